! bml_ssc.f90: bml_ssc.h for Fortran 2018, through iso_c_binding. Made by make_bindings.py from the header, which says what
! everything means; do not edit. Link the library (make shared), or the header compiled as C:
!
!   cc -O3 -c -x c -DBML_SSC_IMPLEMENTATION bml_ssc.h -o bml_ssc.o
!   gfortran -O3 bml_ssc.f90 your_program.f90 bml_ssc.o -lm
!
! Types have the members of the C structures, in their order; one whose name a constant or function has, too, ends in
! _type, and a constant that has a function's name in _VALUE. Pointers are c_ptr: fill them with c_loc. An argument
! that is left out is NULL. Objects are c_ptr. Texts are passed with a c_null_char at their end; a reason (why) comes back so: bml_ssc_text(c_loc(why)) is it.
! Inline functions of the header cannot be called from Fortran.
module bml_ssc
  use, intrinsic :: iso_c_binding
  implicit none

  integer(c_int), parameter :: BML_SSC_VERSION = 200
  integer(c_int), parameter :: BML_SSC_OK = 0
  integer(c_int), parameter :: BML_SSC_BAD_ARGUMENT = -1
  integer(c_int), parameter :: BML_SSC_NO_MEMORY = -2
  integer(c_int), parameter :: BML_SSC_CONFIG = -4
  integer(c_int), parameter :: BML_SSC_PARAMETER = -5
  integer(c_int), parameter :: BML_SSC_ORDER = -6
  integer(c_int), parameter :: BML_SSC_SPECTRUM_VALUE = -7
  integer(c_int), parameter :: BML_SSC_TIME = -8
  integer(c_int), parameter :: BML_SSC_OUTSIDE_TABLE = -9
  integer(c_int), parameter :: BML_SSC_NOT_CONVERGED = -10
  integer(c_int), parameter :: BML_SSC_POINT = -11
  integer(c_int), parameter :: BML_SSC_CANCELLED = -12
  integer(c_int), parameter :: BML_SSC_BAD_OBSERVER = -13
  integer(c_int), parameter :: BML_SSC_BAD_FREQUENCY = -14
  integer(c_int), parameter :: BML_SSC_BAD_COMPONENT = -15
  integer(c_int), parameter :: BML_SSC_MESSAGE_VALUE = 512
  integer(c_int), parameter :: BML_SSC_CONVERGED = 0
  integer(c_int), parameter :: BML_SSC_ATHENA = 1
  integer(c_int), parameter :: BML_SSC_PITCH_AVERAGED = 0
  integer(c_int), parameter :: BML_SSC_PITCH_90 = 1
  integer(c_int), parameter :: BML_SSC_BLACK_BODY = 0
  integer(c_int), parameter :: BML_SSC_FIELD_POWER_LAW = 1
  integer(c_int), parameter :: BML_SSC_FIELD_TABLE = 2
  integer(c_int), parameter :: BML_SSC_FIELD_SHELL = 3
  integer(c_int), parameter :: BML_SSC_FIELD_RING = 4
  integer(c_int), parameter :: BML_SSC_FIELD_DISC = 5
  integer(c_int), parameter :: BML_SSC_FIELD_CMB = 6
  integer(c_int), parameter :: BML_SSC_POWER_LAW = 0
  integer(c_int), parameter :: BML_SSC_BROKEN = 1
  integer(c_int), parameter :: BML_SSC_LOG_PARABOLA = 2
  integer(c_int), parameter :: BML_SSC_CUTOFF = 3
  integer(c_int), parameter :: BML_SSC_TABLE = 4
  integer(c_int), parameter :: BML_SSC_SSA_OFF = 0
  integer(c_int), parameter :: BML_SSC_SSA = 1
  integer(c_int), parameter :: BML_SSC_SSA_HEATING = 2
  integer(c_int), parameter :: BML_SSC_RATE = 0
  integer(c_int), parameter :: BML_SSC_SPHERE = 1
  integer(c_int), parameter :: BML_SSC_TOTAL = 0
  integer(c_int), parameter :: BML_SSC_SYNCHROTRON = 1
  integer(c_int), parameter :: BML_SSC_COMPTON = 2
  integer(c_int), parameter :: BML_SSC_EXTERNAL = 3
  integer(c_int), parameter :: BML_SSC_EXCHANGED = 4
  integer(c_int), parameter :: BML_SSC_LINE_SHELLS = 19

  type, bind(c) :: bml_ssc_config_type
    integer(c_int) :: grid = 0
    real(c_double) :: spacing = 0
    real(c_double) :: time_step = 0
    integer(c_int) :: pitch = 0
    integer(c_int) :: light_travel = 0
  end type

  type, bind(c) :: bml_ssc_external_type
    integer(c_int) :: kind = 0
    real(c_double) :: energy_density = 0
    real(c_double) :: temperature = 0
    real(c_double) :: x_min = 0
    real(c_double) :: x_max = 0
    real(c_double) :: index = 0
    type(c_ptr) :: table_x = c_null_ptr
    type(c_ptr) :: table_n = c_null_ptr
    integer(c_int) :: n_table = 0
    real(c_double) :: L_disc = 0
    real(c_double) :: fraction = 0
    real(c_double) :: radius = 0
    real(c_double) :: M_bh = 0
    real(c_double) :: efficiency = 0
    real(c_double) :: r_in = 0
    real(c_double) :: r_out = 0
    real(c_double) :: redshift = 0
    integer(c_int) :: monochromatic = 0
    integer(c_int) :: isotropic = 0
  end type

  type, bind(c) :: bml_ssc_source
    real(c_double) :: R = 0
    real(c_double) :: B = 0
    real(c_double) :: gamma_min = 0
    real(c_double) :: gamma_max = 0
    real(c_double) :: compactness = 0
    real(c_double) :: L_e = 0
    real(c_double) :: p = 0
    real(c_double) :: t_end = 0
    real(c_double) :: electron_escape = 0
    integer(c_int) :: photon_escape = 0
    integer(c_int) :: injection = 0
    real(c_double) :: gamma_break = 0
    real(c_double) :: p2 = 0
    real(c_double) :: curvature = 0
    type(c_ptr) :: table_gamma = c_null_ptr
    type(c_ptr) :: table_q = c_null_ptr
    integer(c_int) :: n_table = 0
    integer(c_int) :: self_absorption = 0
    integer(c_int) :: pair_production = 0
    type(c_ptr) :: external = c_null_ptr
    integer(c_int) :: n_external = 0
    real(c_double) :: distance = 0
    real(c_double) :: Gamma = 0
    real(c_double) :: delta = 0
    real(c_double) :: expansion_speed = 0
    real(c_double) :: field_index = 0
    real(c_double) :: gamma_top = 0
    type(c_funptr) :: drive = c_null_funptr
    type(c_funptr) :: exchange = c_null_funptr
    type(c_ptr) :: user = c_null_ptr
  end type

  type, bind(c) :: bml_ssc_ebl
    type(c_ptr) :: z = c_null_ptr
    type(c_ptr) :: log10_nu = c_null_ptr
    type(c_ptr) :: tau = c_null_ptr
    integer(c_int) :: n_z = 0
    integer(c_int) :: n_nu = 0
  end type

  type, bind(c) :: bml_ssc_observer
    real(c_double) :: redshift = 0
    real(c_double) :: delta = 0
    real(c_double) :: H0 = 0
    real(c_double) :: omega_m = 0
    real(c_double) :: distance = 0
    type(c_ptr) :: ebl = c_null_ptr
  end type

  type, bind(c) :: bml_ssc_balance
    real(c_double) :: injected = 0
    real(c_double) :: electrons = 0
    real(c_double) :: photons = 0
    real(c_double) :: escaped_electrons = 0
    real(c_double) :: escaped_photons = 0
    real(c_double) :: cooled = 0
    real(c_double) :: expansion = 0
    real(c_double) :: exchanged = 0
    real(c_double) :: residual = 0
  end type

  type, bind(c) :: bml_ssc_derived
    real(c_double) :: U_e = 0
    real(c_double) :: U_B = 0
    real(c_double) :: U_rad = 0
    real(c_double) :: L_injected = 0
    real(c_double) :: P_jet = 0
    real(c_double) :: nu_synchrotron = 0
    real(c_double) :: L_synchrotron = 0
    real(c_double) :: nu_compton = 0
    real(c_double) :: L_compton = 0
    real(c_double) :: compton_dominance = 0
  end type

  type, bind(c) :: bml_ssc_path
    type(c_ptr) :: fields = c_null_ptr
    integer(c_int) :: n_fields = 0
    real(c_double) :: distance = 0
    real(c_double) :: redshift = 0
  end type

  type, bind(c) :: bml_ssc_point_type
    real(c_double) :: nu = 0
    real(c_double) :: nuFnu = 0
    real(c_double) :: sigma_lo = 0
    real(c_double) :: sigma_hi = 0
    integer(c_int) :: upper_limit = 0
  end type

  type, bind(c) :: bml_ssc_batch_job
    type(c_ptr) :: out = c_null_ptr
    type(c_ptr) :: status = c_null_ptr
    type(c_ptr) :: sources = c_null_ptr
    type(c_ptr) :: observers = c_null_ptr
    type(c_ptr) :: grid = c_null_ptr
    integer(c_int) :: n_sources = 0
    integer(c_int) :: n = 0
    integer(c_int) :: component = 0
    integer(c_int) :: threads = 0
  end type

  interface
    function bml_ssc_strerror_c(status) result(answer) bind(c, name='bml_ssc_strerror')
      import
      integer(c_int), value :: status
      type(c_ptr) :: answer
    end function

    function bml_ssc_create(out, config, why) result(answer) bind(c, name='bml_ssc_create')
      import
      type(c_ptr), intent(inout) :: out
      type(bml_ssc_config_type), intent(in), optional :: config
      character(kind=c_char), intent(inout), optional :: why(*)
      integer(c_int) :: answer
    end function

    subroutine bml_ssc_free(tables) bind(c, name='bml_ssc_free')
      import
      type(c_ptr), value :: tables
    end subroutine

    function bml_ssc_blob_create(out, tables, why) result(answer) bind(c, name='bml_ssc_blob_create')
      import
      type(c_ptr), intent(inout) :: out
      type(c_ptr), value :: tables
      character(kind=c_char), intent(inout), optional :: why(*)
      integer(c_int) :: answer
    end function

    subroutine bml_ssc_blob_free(blob) bind(c, name='bml_ssc_blob_free')
      import
      type(c_ptr), value :: blob
    end subroutine

    subroutine bml_ssc_source_from_row(source, row) bind(c, name='bml_ssc_source_from_row')
      import
      type(bml_ssc_source), intent(inout), optional :: source
      real(c_double), intent(in), optional :: row(*)
    end subroutine

    function bml_ssc_gamma_confined(R, B) result(answer) bind(c, name='bml_ssc_gamma_confined')
      import
      real(c_double), value :: R
      real(c_double), value :: B
      real(c_double) :: answer
    end function

    function bml_ssc_begin(blob, source) result(answer) bind(c, name='bml_ssc_begin')
      import
      type(c_ptr), value :: blob
      type(bml_ssc_source), intent(in), optional :: source
      integer(c_int) :: answer
    end function

    function bml_ssc_advance(blob, t) result(answer) bind(c, name='bml_ssc_advance')
      import
      type(c_ptr), value :: blob
      real(c_double), value :: t
      integer(c_int) :: answer
    end function

    function bml_ssc_steady(blob, tolerance) result(answer) bind(c, name='bml_ssc_steady')
      import
      type(c_ptr), value :: blob
      real(c_double), value :: tolerance
      integer(c_int) :: answer
    end function

    function bml_ssc_solve(blob, source) result(answer) bind(c, name='bml_ssc_solve')
      import
      type(c_ptr), value :: blob
      type(bml_ssc_source), intent(in), optional :: source
      integer(c_int) :: answer
    end function

    function bml_ssc_message_c(blob) result(answer) bind(c, name='bml_ssc_message')
      import
      type(c_ptr), value :: blob
      type(c_ptr) :: answer
    end function

    function bml_ssc_spectrum(log10_x2n, log10_x, n, blob, component) result(answer) bind(c, name='bml_ssc_spectrum')
      import
      real(c_double), intent(inout), optional :: log10_x2n(*)
      real(c_double), intent(in), optional :: log10_x(*)
      integer(c_int), value :: n
      type(c_ptr), value :: blob
      integer(c_int), value :: component
      integer(c_int) :: answer
    end function

    function bml_ssc_electrons(log10_g2N, log10_gamma, n, blob) result(answer) bind(c, name='bml_ssc_electrons')
      import
      real(c_double), intent(inout), optional :: log10_g2N(*)
      real(c_double), intent(in), optional :: log10_gamma(*)
      integer(c_int), value :: n
      type(c_ptr), value :: blob
      integer(c_int) :: answer
    end function

    function bml_ssc_ebl_depth(tau, ebl, z, nu) result(answer) bind(c, name='bml_ssc_ebl_depth')
      import
      real(c_double), intent(inout), optional :: tau
      type(bml_ssc_ebl), intent(in), optional :: ebl
      real(c_double), value :: z
      real(c_double), value :: nu
      integer(c_int) :: answer
    end function

    function bml_ssc_luminosity_distance(z, H0, omega_m) result(answer) bind(c, name='bml_ssc_luminosity_distance')
      import
      real(c_double), value :: z
      real(c_double), value :: H0
      real(c_double), value :: omega_m
      real(c_double) :: answer
    end function

    function bml_ssc_sed(nuFnu, nu, n, blob, observer, component) result(answer) bind(c, name='bml_ssc_sed')
      import
      real(c_double), intent(inout), optional :: nuFnu(*)
      real(c_double), intent(in), optional :: nu(*)
      integer(c_int), value :: n
      type(c_ptr), value :: blob
      type(bml_ssc_observer), intent(in), optional :: observer
      integer(c_int), value :: component
      integer(c_int) :: answer
    end function

    function bml_ssc_energy(out, blob) result(answer) bind(c, name='bml_ssc_energy')
      import
      type(bml_ssc_balance), intent(inout), optional :: out
      type(c_ptr), value :: blob
      integer(c_int) :: answer
    end function

    function bml_ssc_derive(out, blob, observer) result(answer) bind(c, name='bml_ssc_derive')
      import
      type(bml_ssc_derived), intent(inout), optional :: out
      type(c_ptr), value :: blob
      type(bml_ssc_observer), intent(in), optional :: observer
      integer(c_int) :: answer
    end function

    function bml_ssc_field_energy(u, field, distance, Gamma, why) result(answer) bind(c, name='bml_ssc_field_energy')
      import
      real(c_double), intent(inout), optional :: u
      type(bml_ssc_external_type), intent(in), optional :: field
      real(c_double), value :: distance
      real(c_double), value :: Gamma
      character(kind=c_char), intent(inout), optional :: why(*)
      integer(c_int) :: answer
    end function

    function bml_ssc_broad_lines(field, L_disc, fraction, R_Hbeta, why) result(answer) bind(c, &
        name='bml_ssc_broad_lines')
      import
      type(bml_ssc_external_type), intent(inout), optional :: field
      real(c_double), value :: L_disc
      real(c_double), value :: fraction
      real(c_double), value :: R_Hbeta
      character(kind=c_char), intent(inout), optional :: why(*)
      integer(c_int) :: answer
    end function

    function bml_ssc_field_depth(tau, nu, n, path, why) result(answer) bind(c, name='bml_ssc_field_depth')
      import
      real(c_double), intent(inout), optional :: tau(*)
      real(c_double), intent(in), optional :: nu(*)
      integer(c_int), value :: n
      type(bml_ssc_path), intent(in), optional :: path
      character(kind=c_char), intent(inout), optional :: why(*)
      integer(c_int) :: answer
    end function

    function bml_ssc_thermal_sed(nuFnu, nu, n, field, observer, why) result(answer) bind(c, name='bml_ssc_thermal_sed')
      import
      real(c_double), intent(inout), optional :: nuFnu(*)
      real(c_double), intent(in), optional :: nu(*)
      integer(c_int), value :: n
      type(bml_ssc_external_type), intent(in), optional :: field
      type(bml_ssc_observer), intent(in), optional :: observer
      character(kind=c_char), intent(inout), optional :: why(*)
      integer(c_int) :: answer
    end function

    function bml_ssc_host_sed(nuFnu, nu, n, L_R, observer) result(answer) bind(c, name='bml_ssc_host_sed')
      import
      real(c_double), intent(inout), optional :: nuFnu(*)
      real(c_double), intent(in), optional :: nu(*)
      integer(c_int), value :: n
      real(c_double), value :: L_R
      type(bml_ssc_observer), intent(in), optional :: observer
      integer(c_int) :: answer
    end function

    subroutine bml_ssc_point_errors(point, err_lo, err_hi) bind(c, name='bml_ssc_point_errors')
      import
      type(bml_ssc_point_type), intent(inout), optional :: point
      real(c_double), value :: err_lo
      real(c_double), value :: err_hi
    end subroutine

    function bml_ssc_log_likelihood(ln_l, model, points, n, ln_f) result(answer) bind(c, name='bml_ssc_log_likelihood')
      import
      real(c_double), intent(inout), optional :: ln_l
      real(c_double), intent(in), optional :: model(*)
      type(bml_ssc_point_type), intent(in), optional :: points
      integer(c_int), value :: n
      real(c_double), value :: ln_f
      integer(c_int) :: answer
    end function

    function bml_ssc_batch(job, tables) result(answer) bind(c, name='bml_ssc_batch')
      import
      type(bml_ssc_batch_job), intent(in), optional :: job
      type(c_ptr), value :: tables
      integer(c_int) :: answer
    end function

  end interface

contains

  ! A C string as a Fortran one; empty for NULL.
  function bml_ssc_text(c) result(text)
    type(c_ptr), intent(in) :: c
    character(len=:), allocatable :: text
    character(kind=c_char), pointer :: letters(:)
    integer :: n, i
    n = 0
    if (c_associated(c)) then
      call c_f_pointer(c, letters, [100000])
      do while (letters(n + 1) /= c_null_char)
        n = n + 1
      end do
    end if
    allocate (character(len=n) :: text)
    do i = 1, n
      text(i:i) = letters(i)
    end do
  end function

  function bml_ssc_strerror(status) result(text)
    integer(c_int), intent(in) :: status
    character(len=:), allocatable :: text
    text = bml_ssc_text(bml_ssc_strerror_c(status))
  end function

  function bml_ssc_message(blob) result(text)
    type(c_ptr), intent(in) :: blob
    character(len=:), allocatable :: text
    text = bml_ssc_text(bml_ssc_message_c(blob))
  end function
end module
