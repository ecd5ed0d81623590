! compton.f90: photons of 1e-9 m_e c^2 scattered by electrons of gamma = 1e4 and by thermal ones, from Fortran. Prints means
! beside what they must be, and ends with status 1 where one is off by five standard errors.
program compton
  use bml_sample
  implicit none
  integer, parameter :: n = 400000
  type :: particle ! a component of an array of structures goes by its stride
    real(c_double) :: x = 0, gamma = 1e4_c_double, y = 0
  end type
  type(particle), target :: particles(n)
  real(c_double), target :: eps0(1) = [1e-9_c_double]
  real(c_double) :: energy(n), gamma(n), mean, noise, want
  type(bml_sample_compton_nodes), target :: nodes
  type(bml_sample_photons_type) :: how
  type(bml_sample_rates) :: rates
  type(bml_sample_rng) :: rng
  integer(c_int) :: status
  logical :: good

  call bml_sample_rng_init(rng, 1_c_int64_t, 0_c_int64_t)
  call check(bml_sample_compton_table(nodes))
  how%n = n
  how%gamma = c_loc(particles(1)%gamma)
  how%gamma_stride = 3
  how%eps0 = c_loc(eps0)
  how%one_eps0 = 1
  how%method = BML_SAMPLE_TABLE
  how%nodes = c_loc(nodes)
  call check(bml_sample_compton(energy, how, rng))
  call check(bml_sample_compton_rates(rates, 4*1e4_c_double*eps0(1)))
  mean = sum(energy)/n
  noise = sqrt((sum(energy**2)/n - mean**2)/n)
  want = rates%mean_energy*1e4_c_double
  print '(a, es12.5, a, es12.5)', 'scattered photons  mean ', mean, ', must be ', want
  good = abs(mean - want) < 5*noise + 5e-5*want ! the table's own error of the mean is 4e-5

  call check(bml_sample_thermal_electrons(gamma, int(n, c_size_t), 0.01_c_double, rng))
  mean = sum(gamma - 1)/n
  noise = sqrt((sum((gamma - 1)**2)/n - mean**2)/n)
  want = 0.01_c_double*(1.5_c_double + 15*0.01_c_double/8 - 15*0.01_c_double**2/8) ! series in theta
  print '(a, es12.5, a, es12.5)', 'thermal electrons  mean ', mean, ', must be ', want
  good = good .and. abs(mean - want) < 5*noise
  if (.not. good) error stop 1

contains
  subroutine check(code)
    integer(c_int), intent(in) :: code
    status = code
    if (status == BML_SAMPLE_OK) return
    print '(a)', bml_sample_strerror(status)
    error stop 1
  end subroutine
end program
