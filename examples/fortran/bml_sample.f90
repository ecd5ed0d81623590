! bml_sample.f90: bml_sample.h for Fortran 2003, through iso_c_binding. Beside it stands compton.f90, a program that uses it.
!
!   cc -O3 -c -x c -DBML_SAMPLE_IMPLEMENTATION bml_sample.h -o bml_sample.o      (or link the library)
!   gfortran -O3 bml_sample.f90 your_program.f90 bml_sample.o -lm
!
! Types have the members of the C structs, in their order: see bml_sample.h for what they mean. Inline functions of the
! header cannot be called from Fortran: bml_sample_comptonf and bml_sample_compton take arrays instead, with strides for
! components of derived types.
module bml_sample
  use, intrinsic :: iso_c_binding
  implicit none

  integer(c_int), parameter :: BML_SAMPLE_OK = 0
  integer(c_int), parameter :: BML_SAMPLE_NET = 0, BML_SAMPLE_TABLE = 1, BML_SAMPLE_EXACT = 2
  integer(c_int), parameter :: BML_SAMPLE_PHOTONS = 0, BML_SAMPLE_ENERGY = 1

  type, bind(c) :: bml_sample_rng
    integer(c_int32_t) :: key(2), counter(4), block(4), used
  end type

  type, bind(c) :: bml_sample_compton_nodes
    real(c_float) :: n(128*64)
    integer(c_int) :: ready = 0
  end type

  type, bind(c) :: bml_sample_photons_type
    integer(c_size_t) :: n = 0
    type(c_ptr) :: gamma = c_null_ptr, eps0 = c_null_ptr
    integer(c_int) :: one_gamma = 0, one_eps0 = 0, method = BML_SAMPLE_NET
    type(c_ptr) :: nodes = c_null_ptr, u = c_null_ptr, rest = c_null_ptr
    integer(c_int) :: gamma_stride = 0, eps0_stride = 0, u_stride = 0, rest_stride = 0, energy_stride = 0
  end type

  type, bind(c) :: bml_sample_rates
    real(c_double) :: rate, loss, mean_energy, mean_rest
  end type

  type, bind(c) :: bml_sample_collision
    real(c_double) :: gamma
    type(c_ptr) :: electron
    real(c_double) :: eps0
    type(c_ptr) :: photon
  end type

  interface
    ! The generator of (seed, stream).
    subroutine bml_sample_rng_init(rng, seed, stream) bind(c)
      import :: bml_sample_rng, c_int64_t
      type(bml_sample_rng), intent(out) :: rng
      integer(c_int64_t), value :: seed, stream
    end subroutine

    ! n uniform, or normal, numbers.
    subroutine bml_sample_rng_fill(u, n, rng) bind(c)
      import :: bml_sample_rng, c_size_t, c_double
      real(c_double), intent(out) :: u(*)
      integer(c_size_t), value :: n
      type(bml_sample_rng), intent(inout) :: rng
    end subroutine

    subroutine bml_sample_rng_normals(x, n, rng) bind(c)
      import :: bml_sample_rng, c_size_t, c_double
      real(c_double), intent(out) :: x(*)
      integer(c_size_t), value :: n
      type(bml_sample_rng), intent(inout) :: rng
    end subroutine

    ! The nodes of BML_SAMPLE_TABLE.
    function bml_sample_compton_table(nodes) result(status) bind(c)
      import :: bml_sample_compton_nodes, c_int
      type(bml_sample_compton_nodes), intent(out) :: nodes
      integer(c_int) :: status
    end function

    ! Energies of scattered photons; in single precision the pointers of `how` are to real(c_float).
    function bml_sample_compton(energy, how, rng) result(status) bind(c)
      import :: bml_sample_photons_type, bml_sample_rng, c_double, c_int
      real(c_double), intent(out) :: energy(*)
      type(bml_sample_photons_type), intent(in) :: how
      type(bml_sample_rng), intent(inout) :: rng
      integer(c_int) :: status
    end function

    function bml_sample_comptonf(energy, how, rng) result(status) bind(c)
      import :: bml_sample_photons_type, bml_sample_rng, c_float, c_int
      real(c_float), intent(out) :: energy(*)
      type(bml_sample_photons_type), intent(in) :: how
      type(bml_sample_rng), intent(inout) :: rng
      integer(c_int) :: status
    end function

    function bml_sample_compton_rates(rates, b) result(status) bind(c)
      import :: bml_sample_rates, c_double, c_int
      type(bml_sample_rates), intent(out) :: rates
      real(c_double), value :: b
      integer(c_int) :: status
    end function

    ! One exact collision: the photon's energy and direction after it.
    function bml_sample_scatter(eps, out, collision, rng) result(status) bind(c)
      import :: bml_sample_collision, bml_sample_rng, c_double, c_int
      real(c_double), intent(out) :: eps, out(3)
      type(bml_sample_collision), intent(in) :: collision
      type(bml_sample_rng), intent(inout) :: rng
      integer(c_int) :: status
    end function

    ! Lorentz factors of thermal electrons; black-body photons in units of kT.
    function bml_sample_thermal_electrons(gamma, n, theta, rng) result(status) bind(c)
      import :: bml_sample_rng, c_size_t, c_double, c_int
      real(c_double), intent(out) :: gamma(*)
      integer(c_size_t), value :: n
      real(c_double), value :: theta
      type(bml_sample_rng), intent(inout) :: rng
      integer(c_int) :: status
    end function

    function bml_sample_black_body(x, n, weight, rng) result(status) bind(c)
      import :: bml_sample_rng, c_size_t, c_double, c_int
      real(c_double), intent(out) :: x(*)
      integer(c_size_t), value :: n
      integer(c_int), value :: weight
      type(bml_sample_rng), intent(inout) :: rng
      integer(c_int) :: status
    end function

    function bml_sample_strerror_c(status) result(text) bind(c, name='bml_sample_strerror')
      import :: c_int, c_ptr
      integer(c_int), value :: status
      type(c_ptr) :: text
    end function
  end interface

contains

  ! The message of a status.
  function bml_sample_strerror(status) result(text)
    integer(c_int), intent(in) :: status
    character(len=:), allocatable :: text
    character(kind=c_char), pointer :: c(:)
    integer :: n
    call c_f_pointer(bml_sample_strerror_c(status), c, [200])
    n = 0
    do while (n < 199)
      if (c(n + 1) == c_null_char) exit
      n = n + 1
    end do
    allocate (character(len=n) :: text)
    block
      integer :: i
      do i = 1, n
        text(i:i) = c(i)
      end do
    end block
  end function
end module
