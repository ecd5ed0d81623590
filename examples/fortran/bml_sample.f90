! bml_sample.f90: bml_sample.h for Fortran 2018, through iso_c_binding. Made by make_bindings.py from the header, which says what
! everything means; do not edit. Link the library (make shared), or the header compiled as C:
!
!   cc -O3 -c -x c -DBML_SAMPLE_IMPLEMENTATION bml_sample.h -o bml_sample.o
!   gfortran -O3 bml_sample.f90 your_program.f90 bml_sample.o -lm
!
! Types have the members of the C structures, in their order; one whose name a constant or function has, too, ends in
! _type, and a constant that has a function's name in _VALUE. Pointers are c_ptr: fill them with c_loc. An argument
! that is left out is NULL. Objects are c_ptr. Texts are passed with a c_null_char at their end; a reason (why) comes back so: bml_sample_text(c_loc(why)) is it.
! Inline functions of the header cannot be called from Fortran.
module bml_sample
  use, intrinsic :: iso_c_binding
  implicit none

  integer(c_int), parameter :: BML_SAMPLE_VERSION = 200
  integer(c_int), parameter :: BML_SAMPLE_OK = 0
  integer(c_int), parameter :: BML_SAMPLE_BAD_ARGUMENT = -1
  integer(c_int), parameter :: BML_SAMPLE_NO_MEMORY = -2
  integer(c_int), parameter :: BML_SAMPLE_TOO_LARGE = -3
  integer(c_int), parameter :: BML_SAMPLE_BAD_DENSITY = -4
  integer(c_int), parameter :: BML_SAMPLE_ZERO_DENSITY = -5
  integer(c_int), parameter :: BML_SAMPLE_NOT_INTEGRABLE = -6
  integer(c_int), parameter :: BML_SAMPLE_OUT_OF_DOMAIN = -7
  integer(c_int), parameter :: BML_SAMPLE_BAD_ENVELOPE = -8
  integer(c_int), parameter :: BML_SAMPLE_NOT_CONVERGED = -9
  integer(c_int), parameter :: BML_SAMPLE_BAD_ARRAY = -10
  integer(c_int), parameter :: BML_SAMPLE_NOT_MONOTONE = -11
  integer(c_int), parameter :: BML_SAMPLE_CANCELLED = -12
  integer(c_int), parameter :: BML_SAMPLE_TRAINING = -13
  integer(c_int), parameter :: BML_SAMPLE_MESSAGE = 512
  integer(c_int), parameter :: BML_SAMPLE_NET = 0
  integer(c_int), parameter :: BML_SAMPLE_TABLE = 1
  integer(c_int), parameter :: BML_SAMPLE_EXACT = 2
  integer(c_int), parameter :: BML_SAMPLE_PHOTONS = 0
  integer(c_int), parameter :: BML_SAMPLE_ENERGY = 1
  integer(c_int), parameter :: BML_SAMPLE_MAX_Z = 6
  integer(c_int), parameter :: BML_SAMPLE_MAX_DIM = 8

  type, bind(c) :: bml_sample_rng
    integer(c_int32_t) :: key(2) = 0
    integer(c_int32_t) :: counter(4) = 0
    integer(c_int32_t) :: block(4) = 0
    integer(c_int32_t) :: used = 0
  end type

  type, bind(c) :: bml_sample_compton_nodes
    real(c_float) :: n(8192) = 0
    integer(c_int) :: ready = 0
  end type

  type, bind(c) :: bml_sample_photonsf
    integer(c_size_t) :: n = 0
    type(c_ptr) :: gamma = c_null_ptr
    type(c_ptr) :: eps0 = c_null_ptr
    integer(c_int) :: one_gamma = 0
    integer(c_int) :: one_eps0 = 0
    integer(c_int) :: method = 0
    type(c_ptr) :: nodes = c_null_ptr
    type(c_ptr) :: u = c_null_ptr
    type(c_ptr) :: rest = c_null_ptr
    integer(c_int) :: gamma_stride = 0
    integer(c_int) :: eps0_stride = 0
    integer(c_int) :: u_stride = 0
    integer(c_int) :: rest_stride = 0
    integer(c_int) :: energy_stride = 0
  end type

  type, bind(c) :: bml_sample_photons_type
    integer(c_size_t) :: n = 0
    type(c_ptr) :: gamma = c_null_ptr
    type(c_ptr) :: eps0 = c_null_ptr
    integer(c_int) :: one_gamma = 0
    integer(c_int) :: one_eps0 = 0
    integer(c_int) :: method = 0
    type(c_ptr) :: nodes = c_null_ptr
    type(c_ptr) :: u = c_null_ptr
    type(c_ptr) :: rest = c_null_ptr
    integer(c_int) :: gamma_stride = 0
    integer(c_int) :: eps0_stride = 0
    integer(c_int) :: u_stride = 0
    integer(c_int) :: rest_stride = 0
    integer(c_int) :: energy_stride = 0
  end type

  type, bind(c) :: bml_sample_rates
    real(c_double) :: rate = 0
    real(c_double) :: loss = 0
    real(c_double) :: mean_energy = 0
    real(c_double) :: mean_rest = 0
  end type

  type, bind(c) :: bml_sample_event
    real(c_double) :: gamma = 0
    real(c_double) :: eps0 = 0
    real(c_double) :: eps = 0
  end type

  type, bind(c) :: bml_sample_collision
    real(c_double) :: gamma = 0
    type(c_ptr) :: electron = c_null_ptr
    real(c_double) :: eps0 = 0
    type(c_ptr) :: photon = c_null_ptr
  end type

  type, bind(c) :: bml_sample_scattered
    real(c_double) :: eps = 0
    real(c_double) :: gamma = 0
    real(c_double) :: minus = 0
    real(c_double) :: out(3) = 0
  end type

  type, bind(c) :: bml_sample_stokes
    real(c_double) :: q = 0
    real(c_double) :: u = 0
    real(c_double) :: v = 0
    real(c_double) :: axis(3) = 0
  end type

  type, bind(c) :: bml_sample_thermal_nodes
    real(c_float) :: recoil(8192) = 0
    real(c_float) :: momentum(8192) = 0
    real(c_float) :: cross_section(4096) = 0
    integer(c_int) :: ready = 0
  end type

  type, bind(c) :: bml_sample_qed_nodes
    real(c_float) :: emission(8192) = 0
    real(c_float) :: pair(8192) = 0
    real(c_float) :: emission_rate(64) = 0
    real(c_float) :: pair_rate(64) = 0
    integer(c_int) :: ready = 0
  end type

  type, bind(c) :: bml_sample_synchrotron
    real(c_double) :: ln_x(512) = 0
    real(c_double) :: ln_below(512) = 0
    real(c_double) :: ln_above(512) = 0
    real(c_double) :: slope_below(512) = 0
    real(c_double) :: slope_above(512) = 0
    integer(c_int) :: ready = 0
  end type

  type, bind(c) :: bml_sample_power
    real(c_double) :: lower = 0
    real(c_double) :: upper = 0
    real(c_double) :: index = 0
    real(c_double) :: break_at = 0
    real(c_double) :: index_above = 0
  end type

  type, bind(c) :: bml_sample_table_config
    type(c_funptr) :: density = c_null_funptr
    type(c_ptr) :: user = c_null_ptr
    type(c_ptr) :: z = c_null_ptr
    real(c_double) :: lower = 0
    real(c_double) :: upper = 0
    real(c_double) :: tolerance = 0
    integer(c_int) :: max_intervals = 0
    real(c_double) :: centre = 0
    type(c_ptr) :: breaks = c_null_ptr
    integer(c_int) :: n_breaks = 0
    integer(c_int) :: look = 0
  end type

  type, bind(c) :: bml_sample_grid_config
    type(c_funptr) :: density = c_null_funptr
    type(c_ptr) :: user = c_null_ptr
    real(c_double) :: lower = 0
    real(c_double) :: upper = 0
    integer(c_int) :: n_z = 0
    type(c_ptr) :: z_lower = c_null_ptr
    type(c_ptr) :: z_upper = c_null_ptr
    type(c_ptr) :: z_nodes = c_null_ptr
    integer(c_int) :: u_nodes = 0
  end type

  type, bind(c) :: bml_sample_cells_config
    type(c_funptr) :: density = c_null_funptr
    type(c_ptr) :: user = c_null_ptr
    integer(c_int) :: n_dim = 0
    integer(c_int) :: n_z = 0
    type(c_ptr) :: lower = c_null_ptr
    type(c_ptr) :: upper = c_null_ptr
    type(c_ptr) :: z_lower = c_null_ptr
    type(c_ptr) :: z_upper = c_null_ptr
    type(c_ptr) :: z_nodes = c_null_ptr
    real(c_double) :: tolerance = 0
    integer(c_int) :: max_cells = 0
  end type

  type, bind(c) :: bml_sample_rejection
    type(c_funptr) :: density = c_null_funptr
    type(c_ptr) :: user = c_null_ptr
    type(c_ptr) :: z = c_null_ptr
    real(c_double) :: lower = 0
    real(c_double) :: upper = 0
    real(c_double) :: bound = 0
  end type

  type, bind(c) :: bml_sample_ratio
    type(c_funptr) :: density = c_null_funptr
    type(c_ptr) :: user = c_null_ptr
    type(c_ptr) :: z = c_null_ptr
    real(c_double) :: s_max = 0
    real(c_double) :: v_min = 0
    real(c_double) :: v_max = 0
  end type

  type, bind(c) :: bml_sample_net_call
    integer(c_size_t) :: n = 0
    type(c_ptr) :: u = c_null_ptr
    type(c_ptr) :: z = c_null_ptr
    integer(c_int) :: one_z = 0
  end type

  type, bind(c) :: bml_sample_quality
    real(c_double) :: max_error = 0
    real(c_double) :: mean_error = 0
    real(c_double) :: js = 0
    integer(c_size_t) :: falls = 0
  end type

  type, bind(c) :: bml_sample_check
    type(c_funptr) :: inverse = c_null_funptr
    type(c_funptr) :: cdf = c_null_funptr
    type(c_ptr) :: user = c_null_ptr
    integer(c_int) :: n = 0
    integer(c_int) :: bins = 0
  end type

  type, bind(c) :: bml_sample_divergence
    real(c_double) :: js = 0
    real(c_double) :: noise = 0
    real(c_double) :: noise_sd = 0
  end type

  interface
    function bml_sample_strerror_c(status) result(answer) bind(c, name='bml_sample_strerror')
      import
      integer(c_int), value :: status
      type(c_ptr) :: answer
    end function

    subroutine bml_sample_rng_init(rng, seed, stream) bind(c, name='bml_sample_rng_init')
      import
      type(bml_sample_rng), intent(inout), optional :: rng
      integer(c_int64_t), value :: seed
      integer(c_int64_t), value :: stream
    end subroutine

    function bml_sample_rng_u32(rng) result(answer) bind(c, name='bml_sample_rng_u32')
      import
      type(bml_sample_rng), intent(inout), optional :: rng
      integer(c_int32_t) :: answer
    end function

    function bml_sample_rng_uniform(rng) result(answer) bind(c, name='bml_sample_rng_uniform')
      import
      type(bml_sample_rng), intent(inout), optional :: rng
      real(c_double) :: answer
    end function

    function bml_sample_rng_normal(rng) result(answer) bind(c, name='bml_sample_rng_normal')
      import
      type(bml_sample_rng), intent(inout), optional :: rng
      real(c_double) :: answer
    end function

    function bml_sample_rng_gamma(rng, twice) result(answer) bind(c, name='bml_sample_rng_gamma')
      import
      type(bml_sample_rng), intent(inout), optional :: rng
      integer(c_int), value :: twice
      real(c_double) :: answer
    end function

    subroutine bml_sample_rng_fill(u, n, rng) bind(c, name='bml_sample_rng_fill')
      import
      real(c_double), intent(inout), optional :: u(*)
      integer(c_size_t), value :: n
      type(bml_sample_rng), intent(inout), optional :: rng
    end subroutine

    subroutine bml_sample_rng_normals(x, n, rng) bind(c, name='bml_sample_rng_normals')
      import
      real(c_double), intent(inout), optional :: x(*)
      integer(c_size_t), value :: n
      type(bml_sample_rng), intent(inout), optional :: rng
    end subroutine

    function bml_sample_compton_table(nodes) result(answer) bind(c, name='bml_sample_compton_table')
      import
      type(bml_sample_compton_nodes), intent(inout), optional :: nodes
      integer(c_int) :: answer
    end function

    function bml_sample_comptonf(energy, how, rng) result(answer) bind(c, name='bml_sample_comptonf')
      import
      real(c_float), intent(inout), optional :: energy(*)
      type(bml_sample_photonsf), intent(in), optional :: how
      type(bml_sample_rng), intent(inout), optional :: rng
      integer(c_int) :: answer
    end function

    function bml_sample_compton(energy, how, rng) result(answer) bind(c, name='bml_sample_compton')
      import
      real(c_double), intent(inout), optional :: energy(*)
      type(bml_sample_photons_type), intent(in), optional :: how
      type(bml_sample_rng), intent(inout), optional :: rng
      integer(c_int) :: answer
    end function

    function bml_sample_compton_find(how) result(answer) bind(c, name='bml_sample_compton_find')
      import
      type(bml_sample_photons_type), intent(in), optional :: how
      integer(c_size_t) :: answer
    end function

    function bml_sample_compton_findf(how) result(answer) bind(c, name='bml_sample_compton_findf')
      import
      type(bml_sample_photonsf), intent(in), optional :: how
      integer(c_size_t) :: answer
    end function

    function bml_sample_compton_cdf(cdf, eps, gamma, eps0) result(answer) bind(c, name='bml_sample_compton_cdf')
      import
      real(c_double), intent(inout), optional :: cdf
      real(c_double), value :: eps
      real(c_double), value :: gamma
      real(c_double), value :: eps0
      integer(c_int) :: answer
    end function

    function bml_sample_compton_pdf(pdf, eps, gamma, eps0) result(answer) bind(c, name='bml_sample_compton_pdf')
      import
      real(c_double), intent(inout), optional :: pdf
      real(c_double), value :: eps
      real(c_double), value :: gamma
      real(c_double), value :: eps0
      integer(c_int) :: answer
    end function

    function bml_sample_compton_rates(rates, b) result(answer) bind(c, name='bml_sample_compton_rates')
      import
      type(bml_sample_rates), intent(inout), optional :: rates
      real(c_double), value :: b
      integer(c_int) :: answer
    end function

    function bml_sample_compton_direction(out, direction, event, rng) result(answer) bind(c, &
        name='bml_sample_compton_direction')
      import
      real(c_double), intent(inout), optional :: out(*)
      real(c_double), intent(in), optional :: direction(*)
      type(bml_sample_event), intent(in), optional :: event
      type(bml_sample_rng), intent(inout), optional :: rng
      integer(c_int) :: answer
    end function

    function bml_sample_scatter(eps, out, collision, rng) result(answer) bind(c, name='bml_sample_scatter')
      import
      real(c_double), intent(inout), optional :: eps
      real(c_double), intent(inout), optional :: out(*)
      type(bml_sample_collision), intent(in), optional :: collision
      type(bml_sample_rng), intent(inout), optional :: rng
      integer(c_int) :: answer
    end function

    function bml_sample_scatter_stokes(after, stokes, collision, rng) result(answer) bind(c, &
        name='bml_sample_scatter_stokes')
      import
      type(bml_sample_scattered), intent(inout), optional :: after
      type(bml_sample_stokes), intent(inout), optional :: stokes
      type(bml_sample_collision), intent(in), optional :: collision
      type(bml_sample_rng), intent(inout), optional :: rng
      integer(c_int) :: answer
    end function

    function bml_sample_klein_nishina(x) result(answer) bind(c, name='bml_sample_klein_nishina')
      import
      real(c_double), value :: x
      real(c_double) :: answer
    end function

    function bml_sample_thermal_table(nodes) result(answer) bind(c, name='bml_sample_thermal_table')
      import
      type(bml_sample_thermal_nodes), intent(inout), optional :: nodes
      integer(c_int) :: answer
    end function

    function bml_sample_qed_table(nodes) result(answer) bind(c, name='bml_sample_qed_table')
      import
      type(bml_sample_qed_nodes), intent(inout), optional :: nodes
      integer(c_int) :: answer
    end function

    function bml_sample_thermal_electrons(gamma, n, theta, rng) result(answer) bind(c, &
        name='bml_sample_thermal_electrons')
      import
      real(c_double), intent(inout), optional :: gamma(*)
      integer(c_size_t), value :: n
      real(c_double), value :: theta
      type(bml_sample_rng), intent(inout), optional :: rng
      integer(c_int) :: answer
    end function

    function bml_sample_black_body(x, n, weight, rng) result(answer) bind(c, name='bml_sample_black_body')
      import
      real(c_double), intent(inout), optional :: x(*)
      integer(c_size_t), value :: n
      integer(c_int), value :: weight
      type(bml_sample_rng), intent(inout), optional :: rng
      integer(c_int) :: answer
    end function

    function bml_sample_synchrotron_init(table, weight) result(answer) bind(c, name='bml_sample_synchrotron_init')
      import
      type(bml_sample_synchrotron), intent(inout), optional :: table
      integer(c_int), value :: weight
      integer(c_int) :: answer
    end function

    function bml_sample_synchrotron_draw(x, u, n, table, rng) result(answer) bind(c, name='bml_sample_synchrotron_draw')
      import
      real(c_double), intent(inout), optional :: x(*)
      real(c_double), intent(in), optional :: u(*)
      integer(c_size_t), value :: n
      type(bml_sample_synchrotron), intent(in), optional :: table
      type(bml_sample_rng), intent(inout), optional :: rng
      integer(c_int) :: answer
    end function

    function bml_sample_power_law(x, u, n, power, rng) result(answer) bind(c, name='bml_sample_power_law')
      import
      real(c_double), intent(inout), optional :: x(*)
      real(c_double), intent(in), optional :: u(*)
      integer(c_size_t), value :: n
      type(bml_sample_power), intent(in), optional :: power
      type(bml_sample_rng), intent(inout), optional :: rng
      integer(c_int) :: answer
    end function

    function bml_sample_table_create(table, config, why) result(answer) bind(c, name='bml_sample_table_create')
      import
      type(c_ptr), intent(inout) :: table
      type(bml_sample_table_config), intent(in), optional :: config
      character(kind=c_char), intent(inout), optional :: why(*)
      integer(c_int) :: answer
    end function

    function bml_sample_table_from_samples(table, samples, n, nodes, why) result(answer) bind(c, &
        name='bml_sample_table_from_samples')
      import
      type(c_ptr), intent(inout) :: table
      real(c_double), intent(in), optional :: samples(*)
      integer(c_size_t), value :: n
      integer(c_int), value :: nodes
      character(kind=c_char), intent(inout), optional :: why(*)
      integer(c_int) :: answer
    end function

    subroutine bml_sample_table_free(table) bind(c, name='bml_sample_table_free')
      import
      type(c_ptr), value :: table
    end subroutine

    function bml_sample_table_message_c(table) result(answer) bind(c, name='bml_sample_table_message')
      import
      type(c_ptr), value :: table
      type(c_ptr) :: answer
    end function

    function bml_sample_table_error(table) result(answer) bind(c, name='bml_sample_table_error')
      import
      type(c_ptr), value :: table
      real(c_double) :: answer
    end function

    function bml_sample_table_integral(table) result(answer) bind(c, name='bml_sample_table_integral')
      import
      type(c_ptr), value :: table
      real(c_double) :: answer
    end function

    function bml_sample_table_intervals(table) result(answer) bind(c, name='bml_sample_table_intervals')
      import
      type(c_ptr), value :: table
      integer(c_int) :: answer
    end function

    function bml_sample_table_inverse(table, x, u, n) result(answer) bind(c, name='bml_sample_table_inverse')
      import
      type(c_ptr), value :: table
      real(c_double), intent(inout), optional :: x(*)
      real(c_double), intent(in), optional :: u(*)
      integer(c_size_t), value :: n
      integer(c_int) :: answer
    end function

    function bml_sample_table_draw(table, x, n, rng) result(answer) bind(c, name='bml_sample_table_draw')
      import
      type(c_ptr), value :: table
      real(c_double), intent(inout), optional :: x(*)
      integer(c_size_t), value :: n
      type(bml_sample_rng), intent(inout), optional :: rng
      integer(c_int) :: answer
    end function

    function bml_sample_table_cdf(table, cdf, pdf, x, n) result(answer) bind(c, name='bml_sample_table_cdf')
      import
      type(c_ptr), value :: table
      real(c_double), intent(inout), optional :: cdf(*)
      real(c_double), intent(inout), optional :: pdf(*)
      real(c_double), intent(in), optional :: x(*)
      integer(c_size_t), value :: n
      integer(c_int) :: answer
    end function

    function bml_sample_grid_create(grid, config, why) result(answer) bind(c, name='bml_sample_grid_create')
      import
      type(c_ptr), intent(inout) :: grid
      type(bml_sample_grid_config), intent(in), optional :: config
      character(kind=c_char), intent(inout), optional :: why(*)
      integer(c_int) :: answer
    end function

    subroutine bml_sample_grid_free(grid) bind(c, name='bml_sample_grid_free')
      import
      type(c_ptr), value :: grid
    end subroutine

    function bml_sample_grid_message_c(grid) result(answer) bind(c, name='bml_sample_grid_message')
      import
      type(c_ptr), value :: grid
      type(c_ptr) :: answer
    end function

    function bml_sample_grid_error(grid) result(answer) bind(c, name='bml_sample_grid_error')
      import
      type(c_ptr), value :: grid
      real(c_double) :: answer
    end function

    function bml_sample_grid_draw(grid, x, z, u, n, rng) result(answer) bind(c, name='bml_sample_grid_draw')
      import
      type(c_ptr), value :: grid
      real(c_double), intent(inout), optional :: x(*)
      real(c_double), intent(in), optional :: z(*)
      real(c_double), intent(in), optional :: u(*)
      integer(c_size_t), value :: n
      type(bml_sample_rng), intent(inout), optional :: rng
      integer(c_int) :: answer
    end function

    function bml_sample_cells_create(cells, config, why) result(answer) bind(c, name='bml_sample_cells_create')
      import
      type(c_ptr), intent(inout) :: cells
      type(bml_sample_cells_config), intent(in), optional :: config
      character(kind=c_char), intent(inout), optional :: why(*)
      integer(c_int) :: answer
    end function

    subroutine bml_sample_cells_free(cells) bind(c, name='bml_sample_cells_free')
      import
      type(c_ptr), value :: cells
    end subroutine

    function bml_sample_cells_message_c(cells) result(answer) bind(c, name='bml_sample_cells_message')
      import
      type(c_ptr), value :: cells
      type(c_ptr) :: answer
    end function

    function bml_sample_cells_error(cells) result(answer) bind(c, name='bml_sample_cells_error')
      import
      type(c_ptr), value :: cells
      real(c_double) :: answer
    end function

    function bml_sample_cells_count(cells) result(answer) bind(c, name='bml_sample_cells_count')
      import
      type(c_ptr), value :: cells
      real(c_double) :: answer
    end function

    function bml_sample_cells_draw(cells, x, n, z, one_z, rng) result(answer) bind(c, name='bml_sample_cells_draw')
      import
      type(c_ptr), value :: cells
      real(c_double), intent(inout), optional :: x(*)
      integer(c_size_t), value :: n
      real(c_double), intent(in), optional :: z(*)
      integer(c_int), value :: one_z
      type(bml_sample_rng), intent(inout), optional :: rng
      integer(c_int) :: answer
    end function

    function bml_sample_alias_create(alias, weights, n, why) result(answer) bind(c, name='bml_sample_alias_create')
      import
      type(c_ptr), intent(inout) :: alias
      real(c_double), intent(in), optional :: weights(*)
      integer(c_size_t), value :: n
      character(kind=c_char), intent(inout), optional :: why(*)
      integer(c_int) :: answer
    end function

    subroutine bml_sample_alias_free(alias) bind(c, name='bml_sample_alias_free')
      import
      type(c_ptr), value :: alias
    end subroutine

    function bml_sample_alias_draw(alias, index, n, rng) result(answer) bind(c, name='bml_sample_alias_draw')
      import
      type(c_ptr), value :: alias
      integer(c_int32_t), intent(inout), optional :: index(*)
      integer(c_size_t), value :: n
      type(bml_sample_rng), intent(inout), optional :: rng
      integer(c_int) :: answer
    end function

    function bml_sample_reject(x, n, how, rng) result(answer) bind(c, name='bml_sample_reject')
      import
      real(c_double), intent(inout), optional :: x(*)
      integer(c_size_t), value :: n
      type(bml_sample_rejection), intent(in), optional :: how
      type(bml_sample_rng), intent(inout), optional :: rng
      integer(c_int) :: answer
    end function

    function bml_sample_ratio_of_uniforms(x, n, how, rng) result(answer) bind(c, name='bml_sample_ratio_of_uniforms')
      import
      real(c_double), intent(inout), optional :: x(*)
      integer(c_size_t), value :: n
      type(bml_sample_ratio), intent(in), optional :: how
      type(bml_sample_rng), intent(inout), optional :: rng
      integer(c_int) :: answer
    end function

    function bml_sample_net_create(net, array, count, why) result(answer) bind(c, name='bml_sample_net_create')
      import
      type(c_ptr), intent(inout) :: net
      real(c_float), intent(in), optional :: array(*)
      integer(c_size_t), value :: count
      character(kind=c_char), intent(inout), optional :: why(*)
      integer(c_int) :: answer
    end function

    subroutine bml_sample_net_free(net) bind(c, name='bml_sample_net_free')
      import
      type(c_ptr), value :: net
    end subroutine

    function bml_sample_net_dims(net, n_z) result(answer) bind(c, name='bml_sample_net_dims')
      import
      type(c_ptr), value :: net
      integer(c_int), intent(inout), optional :: n_z
      integer(c_int) :: answer
    end function

    function bml_sample_net_array(net, count) result(answer) bind(c, name='bml_sample_net_array')
      import
      type(c_ptr), value :: net
      integer(c_size_t), intent(inout), optional :: count
      type(c_ptr) :: answer
    end function

    function bml_sample_net_draw(net, x, call, rng) result(answer) bind(c, name='bml_sample_net_draw')
      import
      type(c_ptr), value :: net
      real(c_float), intent(inout), optional :: x(*)
      type(bml_sample_net_call), intent(in), optional :: call
      type(bml_sample_rng), intent(inout), optional :: rng
      integer(c_int) :: answer
    end function

    function bml_sample_net_write(text, size, net, name) result(answer) bind(c, name='bml_sample_net_write')
      import
      character(kind=c_char), intent(inout), optional :: text(*)
      integer(c_size_t), value :: size
      type(c_ptr), value :: net
      character(kind=c_char), intent(in), optional :: name(*)
      integer(c_size_t) :: answer
    end function

    function bml_sample_net_safetensors(bytes, size, net) result(answer) bind(c, name='bml_sample_net_safetensors')
      import
      integer(c_int8_t), intent(inout), optional :: bytes(*)
      integer(c_size_t), value :: size
      type(c_ptr), value :: net
      integer(c_size_t) :: answer
    end function

    function bml_sample_check_inverse(quality, check) result(answer) bind(c, name='bml_sample_check_inverse')
      import
      type(bml_sample_quality), intent(inout), optional :: quality
      type(bml_sample_check), intent(in), optional :: check
      integer(c_int) :: answer
    end function

    function bml_sample_histogram(out, counts, prob, bins) result(answer) bind(c, name='bml_sample_histogram')
      import
      type(bml_sample_divergence), intent(inout), optional :: out
      real(c_double), intent(in), optional :: counts(*)
      real(c_double), intent(in), optional :: prob(*)
      integer(c_int), value :: bins
      integer(c_int) :: answer
    end function

  end interface

contains

  ! A C string as a Fortran one; empty for NULL.
  function bml_sample_text(c) result(text)
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

  function bml_sample_strerror(status) result(text)
    integer(c_int), intent(in) :: status
    character(len=:), allocatable :: text
    text = bml_sample_text(bml_sample_strerror_c(status))
  end function

  function bml_sample_table_message(table) result(text)
    type(c_ptr), intent(in) :: table
    character(len=:), allocatable :: text
    text = bml_sample_text(bml_sample_table_message_c(table))
  end function

  function bml_sample_grid_message(grid) result(text)
    type(c_ptr), intent(in) :: grid
    character(len=:), allocatable :: text
    text = bml_sample_text(bml_sample_grid_message_c(grid))
  end function

  function bml_sample_cells_message(cells) result(text)
    type(c_ptr), intent(in) :: cells
    character(len=:), allocatable :: text
    text = bml_sample_text(bml_sample_cells_message_c(cells))
  end function
end module
