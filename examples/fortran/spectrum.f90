! spectrum.f90: the spectrum of one source by the solver, from Fortran, and the network that stands in for it asked directly.
! Prints log10 nu and nuFnu as hello_ssc does: tests/fortran.sh compares them. With a model file as argument it predicts, too.
program spectrum
  use bml_ssc
  use bml_nn, only: bml_nn_load, bml_nn_predict, bml_nn_free, bml_nn_n_in, bml_nn_n_out, bml_nn_text, BML_NN_OK
  implicit none
  integer, parameter :: n = 161
  type(c_ptr) :: tables = c_null_ptr, blob = c_null_ptr
  type(bml_ssc_source) :: source
  type(bml_ssc_observer) :: observer
  real(c_double) :: nu(n), flux(n)
  character(kind=c_char), target :: why(512)
  character(len=512) :: path
  integer :: i, length

  call check(bml_ssc_create(tables, why=why))
  call check(bml_ssc_blob_create(blob, tables, why))
  source%R = 1e16_c_double
  source%B = 0.1_c_double
  source%gamma_min = 1e3_c_double
  source%gamma_max = 1e6_c_double
  source%L_e = 1e42_c_double
  source%p = 2.2_c_double
  observer%redshift = 0.1_c_double
  observer%delta = 20
  nu = [(10**(10 + 0.1_c_double*i), i=0, n - 1)]
  call check(bml_ssc_solve(blob, source))
  call check(bml_ssc_sed(flux, nu, n, blob, observer, BML_SSC_TOTAL))
  do i = 1, n
    print '(f0.1, es11.4)', log10(nu(i)), flux(i)
  end do
  call bml_ssc_blob_free(blob)
  call bml_ssc_free(tables)
  call get_command_argument(1, path, length)
  if (length > 0) call network(path(1:length)//c_null_char)

contains
  subroutine check(status)
    integer(c_int), intent(in) :: status
    if (status == BML_SSC_OK) return
    print '(a)', bml_ssc_strerror(status)//'. '//bml_ssc_text(c_loc(why))//bml_ssc_message(blob)
    error stop 1
  end subroutine

  ! One row through a model file; prints its first output.
  subroutine network(file)
    character(len=*), intent(in) :: file
    type(c_ptr) :: net
    real(c_float), allocatable :: x(:), y(:)
    character(kind=c_char) :: name(len(file))
    integer :: k
    do k = 1, len(file)
      name(k) = file(k:k)
    end do
    if (bml_nn_load(net, name, why) /= BML_NN_OK) then
      print '(a)', bml_nn_text(c_loc(why))
      error stop 1
    end if
    x = [16., -1., 3., 6., -4., 2.2]
    if (bml_nn_n_in(net) /= size(x)) error stop 1
    allocate (y(bml_nn_n_out(net)))
    if (bml_nn_predict(net, c_null_ptr, y, x, 1_c_size_t) /= BML_NN_OK) error stop 1
    print '(a, es13.6)', 'first output', y(1)
    call bml_nn_free(net)
  end subroutine
end program
