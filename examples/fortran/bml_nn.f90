! bml_nn.f90: bml_nn.h for Fortran 2018, through iso_c_binding. Made by make_bindings.py from the header, which says what
! everything means; do not edit. Link the library (make shared), or the header compiled as C:
!
!   cc -O3 -c -x c -DBML_NN_IMPLEMENTATION bml_nn.h -o bml_nn.o
!   gfortran -O3 bml_nn.f90 your_program.f90 bml_nn.o -lm
!
! Types have the members of the C structures, in their order; one whose name a constant or function has, too, ends in
! _type, and a constant that has a function's name in _VALUE. Pointers are c_ptr: fill them with c_loc. An argument
! that is left out is NULL. Objects are c_ptr. Texts are passed with a c_null_char at their end; a reason (why) comes back so: bml_nn_text(c_loc(why)) is it.
! Inline functions of the header cannot be called from Fortran.
module bml_nn
  use, intrinsic :: iso_c_binding
  implicit none

  integer(c_int), parameter :: BML_NN_VERSION = 200
  integer(c_int), parameter :: BML_NN_OK = 0
  integer(c_int), parameter :: BML_NN_BAD_ARGUMENT = -1
  integer(c_int), parameter :: BML_NN_NO_MEMORY = -2
  integer(c_int), parameter :: BML_NN_TOO_LARGE = -3
  integer(c_int), parameter :: BML_NN_BAD_LAYER = -4
  integer(c_int), parameter :: BML_NN_BAD_DATA = -5
  integer(c_int), parameter :: BML_NN_NAN = -6
  integer(c_int), parameter :: BML_NN_CANCELLED = -7
  integer(c_int), parameter :: BML_NN_CANNOT_OPEN = -8
  integer(c_int), parameter :: BML_NN_CANNOT_WRITE = -9
  integer(c_int), parameter :: BML_NN_BAD_FILE = -10
  integer(c_int), parameter :: BML_NN_MISMATCH = -11
  integer(c_int), parameter :: BML_NN_MESSAGE_VALUE = 512
  integer(c_int), parameter :: BML_NN_INPUT = 0
  integer(c_int), parameter :: BML_NN_DENSE = 1
  integer(c_int), parameter :: BML_NN_GRU = 2
  integer(c_int), parameter :: BML_NN_LSTM = 3
  integer(c_int), parameter :: BML_NN_RNN = 4
  integer(c_int), parameter :: BML_NN_CONV = 5
  integer(c_int), parameter :: BML_NN_POOL = 6
  integer(c_int), parameter :: BML_NN_DROPOUT = 7
  integer(c_int), parameter :: BML_NN_FLATTEN = 8
  integer(c_int), parameter :: BML_NN_RESHAPE = 9
  integer(c_int), parameter :: BML_NN_CONCAT = 10
  integer(c_int), parameter :: BML_NN_BATCH_NORM = 11
  integer(c_int), parameter :: BML_NN_LAYER_NORM = 12
  integer(c_int), parameter :: BML_NN_BAYES = 13
  integer(c_int), parameter :: BML_NN_ADD = 14
  integer(c_int), parameter :: BML_NN_N_KINDS = 15
  integer(c_int), parameter :: BML_NN_LINEAR = 0
  integer(c_int), parameter :: BML_NN_RELU = 1
  integer(c_int), parameter :: BML_NN_LEAKY_RELU = 2
  integer(c_int), parameter :: BML_NN_TANH = 3
  integer(c_int), parameter :: BML_NN_SIGMOID = 4
  integer(c_int), parameter :: BML_NN_SOFTPLUS = 5
  integer(c_int), parameter :: BML_NN_SILU = 6
  integer(c_int), parameter :: BML_NN_GELU = 7
  integer(c_int), parameter :: BML_NN_HARDTANH = 8
  integer(c_int), parameter :: BML_NN_SOFTMAX = 9
  integer(c_int), parameter :: BML_NN_N_ACTIVATIONS = 10
  integer(c_int), parameter :: BML_NN_GLOROT = 0
  integer(c_int), parameter :: BML_NN_HE = 1
  integer(c_int), parameter :: BML_NN_MAX_FROM = 8
  integer(c_int), parameter :: BML_NN_MAX_NAME = 32
  integer(c_int), parameter :: BML_NN_INPUTS = 0
  integer(c_int), parameter :: BML_NN_OUTPUTS = 1
  integer(c_int), parameter :: BML_NN_STANDARD = 0
  integer(c_int), parameter :: BML_NN_MIN_MAX = 1
  integer(c_int), parameter :: BML_NN_MIN_MAX_ALL = 2
  integer(c_int), parameter :: BML_NN_MSE = 0
  integer(c_int), parameter :: BML_NN_MSLE = 1
  integer(c_int), parameter :: BML_NN_MAE = 2
  integer(c_int), parameter :: BML_NN_BINARY = 3
  integer(c_int), parameter :: BML_NN_BINARY_LOGITS = 4
  integer(c_int), parameter :: BML_NN_CATEGORICAL = 5
  integer(c_int), parameter :: BML_NN_CATEGORICAL_LOGITS = 6
  integer(c_int), parameter :: BML_NN_CUSTOM = 7
  integer(c_int), parameter :: BML_NN_N_LOSSES = 8
  integer(c_int), parameter :: BML_NN_ADAM = 0
  integer(c_int), parameter :: BML_NN_ADAMW = 1
  integer(c_int), parameter :: BML_NN_RMSPROP = 2
  integer(c_int), parameter :: BML_NN_SGD = 3
  integer(c_int), parameter :: BML_NN_N_OPTIMIZERS = 4
  integer(c_int), parameter :: BML_NN_CONSTANT = 0
  integer(c_int), parameter :: BML_NN_STEP = 1
  integer(c_int), parameter :: BML_NN_EXPONENTIAL = 2
  integer(c_int), parameter :: BML_NN_COSINE = 3
  integer(c_int), parameter :: BML_NN_N_SCHEDULES = 4
  integer(c_int), parameter :: BML_NN_F32 = 0
  integer(c_int), parameter :: BML_NN_F16 = 1
  integer(c_int), parameter :: BML_NN_BF16 = 2
  integer(c_int), parameter :: BML_NN_F64 = 3
  integer(c_int), parameter :: BML_NN_KERAS = 0
  integer(c_int), parameter :: BML_NN_PYTORCH = 1

  type, bind(c) :: bml_nn_spread
    type(c_ptr) :: mean = c_null_ptr
    type(c_ptr) :: sd = c_null_ptr
    type(c_ptr) :: quantiles = c_null_ptr
    type(c_ptr) :: levels = c_null_ptr
    integer(c_int) :: n_levels = 0
  end type

  interface
    function bml_nn_strerror_c(status) result(answer) bind(c, name='bml_nn_strerror')
      import
      integer(c_int), value :: status
      type(c_ptr) :: answer
    end function

    subroutine bml_nn_free(net) bind(c, name='bml_nn_free')
      import
      type(c_ptr), value :: net
    end subroutine

    function bml_nn_message_c(net) result(answer) bind(c, name='bml_nn_message')
      import
      type(c_ptr), value :: net
      type(c_ptr) :: answer
    end function

    function bml_nn_n_in(net) result(answer) bind(c, name='bml_nn_n_in')
      import
      type(c_ptr), value :: net
      integer(c_size_t) :: answer
    end function

    function bml_nn_n_out(net) result(answer) bind(c, name='bml_nn_n_out')
      import
      type(c_ptr), value :: net
      integer(c_size_t) :: answer
    end function

    function bml_nn_n_params(net) result(answer) bind(c, name='bml_nn_n_params')
      import
      type(c_ptr), value :: net
      integer(c_size_t) :: answer
    end function

    function bml_nn_set_scaler(net, which, shift, scale) result(answer) bind(c, name='bml_nn_set_scaler')
      import
      type(c_ptr), value :: net
      integer(c_int), value :: which
      real(c_float), intent(in), optional :: shift(*)
      real(c_float), intent(in), optional :: scale(*)
      integer(c_int) :: answer
    end function

    function bml_nn_get_text_c(net, name) result(answer) bind(c, name='bml_nn_get_text')
      import
      type(c_ptr), value :: net
      character(kind=c_char), intent(in), optional :: name(*)
      type(c_ptr) :: answer
    end function

    function bml_nn_get_array(net, name, n) result(answer) bind(c, name='bml_nn_get_array')
      import
      type(c_ptr), value :: net
      character(kind=c_char), intent(in), optional :: name(*)
      integer(c_size_t), intent(inout), optional :: n
      type(c_ptr) :: answer
    end function

    function bml_nn_work_create(work, net, rows, threads, why) result(answer) bind(c, name='bml_nn_work_create')
      import
      type(c_ptr), intent(inout) :: work
      type(c_ptr), value :: net
      integer(c_int), value :: rows
      integer(c_int), value :: threads
      character(kind=c_char), intent(inout), optional :: why(*)
      integer(c_int) :: answer
    end function

    subroutine bml_nn_work_free(work) bind(c, name='bml_nn_work_free')
      import
      type(c_ptr), value :: work
    end subroutine

    function bml_nn_predict(net, work, y, x, n) result(answer) bind(c, name='bml_nn_predict')
      import
      type(c_ptr), value :: net
      type(c_ptr), value :: work
      real(c_float), intent(inout), optional :: y(*)
      real(c_float), intent(in), optional :: x(*)
      integer(c_size_t), value :: n
      integer(c_int) :: answer
    end function

    function bml_nn_draws(net, work, draws, x, n, n_draws, seed) result(answer) bind(c, name='bml_nn_draws')
      import
      type(c_ptr), value :: net
      type(c_ptr), value :: work
      real(c_float), intent(inout), optional :: draws(*)
      real(c_float), intent(in), optional :: x(*)
      integer(c_size_t), value :: n
      integer(c_int), value :: n_draws
      integer(c_int64_t), value :: seed
      integer(c_int) :: answer
    end function

    function bml_nn_summarize_draws(out, draws, n_draws, n_values) result(answer) bind(c, name='bml_nn_summarize_draws')
      import
      type(bml_nn_spread), intent(in), optional :: out
      real(c_float), intent(in), optional :: draws(*)
      integer(c_int), value :: n_draws
      integer(c_size_t), value :: n_values
      integer(c_int) :: answer
    end function

    function bml_nn_vjp(net, work, dx, y, dy, x, n) result(answer) bind(c, name='bml_nn_vjp')
      import
      type(c_ptr), value :: net
      type(c_ptr), value :: work
      real(c_float), intent(inout), optional :: dx(*)
      real(c_float), intent(inout), optional :: y(*)
      real(c_float), intent(in), optional :: dy(*)
      real(c_float), intent(in), optional :: x(*)
      integer(c_size_t), value :: n
      integer(c_int) :: answer
    end function

    function bml_nn_gradient(net, work, dx, output, x, n) result(answer) bind(c, name='bml_nn_gradient')
      import
      type(c_ptr), value :: net
      type(c_ptr), value :: work
      real(c_float), intent(inout), optional :: dx(*)
      integer(c_int), value :: output
      real(c_float), intent(in), optional :: x(*)
      integer(c_size_t), value :: n
      integer(c_int) :: answer
    end function

    function bml_nn_decode(net, bytes, size, why) result(answer) bind(c, name='bml_nn_decode')
      import
      type(c_ptr), intent(inout) :: net
      integer(c_int8_t), intent(in), optional :: bytes(*)
      integer(c_size_t), value :: size
      character(kind=c_char), intent(inout), optional :: why(*)
      integer(c_int) :: answer
    end function

    function bml_nn_load(net, path, why) result(answer) bind(c, name='bml_nn_load')
      import
      type(c_ptr), intent(inout) :: net
      character(kind=c_char), intent(in), optional :: path(*)
      character(kind=c_char), intent(inout), optional :: why(*)
      integer(c_int) :: answer
    end function

    function bml_nn_load_weights(net, path, convention) result(answer) bind(c, name='bml_nn_load_weights')
      import
      type(c_ptr), value :: net
      character(kind=c_char), intent(in), optional :: path(*)
      integer(c_int), value :: convention
      integer(c_int) :: answer
    end function

  end interface

contains

  ! A C string as a Fortran one; empty for NULL.
  function bml_nn_text(c) result(text)
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

  function bml_nn_strerror(status) result(text)
    integer(c_int), intent(in) :: status
    character(len=:), allocatable :: text
    text = bml_nn_text(bml_nn_strerror_c(status))
  end function

  function bml_nn_message(net) result(text)
    type(c_ptr), intent(in) :: net
    character(len=:), allocatable :: text
    text = bml_nn_text(bml_nn_message_c(net))
  end function

  function bml_nn_get_text(net, name) result(text)
    type(c_ptr), intent(in) :: net
    character(kind=c_char), intent(in) :: name(*)
    character(len=:), allocatable :: text
    text = bml_nn_text(bml_nn_get_text_c(net, name))
  end function
end module
