# bml: single-file C libraries for the physics and machine learning of blazars.
#
#   make              every program of examples/ into build/
#   make fit          fit the SED of 3HSP J095507.9+355101 by the exact solver; results in build/fit/
#   make fit-network  the same through the network, by nested sampling; results in build/fit_network/
#   make fit-solver   the same by the exact solver and an ensemble of walkers; results in build/fit_solver/
#   make test         all tests, strict warnings; the last line counts them
#   make check-long   the tests with their long parts (BML_CHECK_LONG=1)
#   make check-memory the tests under the address, undefined-behaviour and thread sanitizers
#   make fuzz         every file reader against random input, FUZZ_SECONDS each (needs clang)
#   make lessons      the lessons of examples/lessons/ and their pictures, into build/lessons/
#   make bench        timings, one line each: name value unit
#   make MPI=yes      the same, and in build/mpi/ fit_sed, fit_xray, train_surrogate for mpirun; make bench-mpi: how well
#   make cuda         the GPU library, its example, and the programs with --device cuda in build/cuda/ (needs nvcc)
#                     with CUBLASLT=yes large products of training go through cuBLASLt
#   make check-cuda   the checks of the GPU library, on a card
#   make bench-cuda   its timings, on a card
#   make shared       build/libbml.so.0, all headers for other languages (examples/python, examples/fortran), and libbml.a
#   make bindings     what other languages know of the headers, anew (examples/python/make_bindings.py; needs python3)
#   make install      programs, manual pages, models, tables, headers, libraries, pkg-config file, to $(DESTDIR)$(PREFIX)
#   make train-compton  the network of bml_sample.h again, from scratch
#   make train-surrogate  examples/models/ssc.safetensors again, from scratch
#   make train-surrogate-ssa  ssc_ssa_gg.safetensors beside it: with self-absorption and pair production
#   make numbers      runs the commands of tests/NUMBERS.md and writes down what they print
#   make help         these lines
#   make clean
#
# Variables: CC, CFLAGS (optimisation), WARNINGS, OPENMP= (empty: one thread), CBLAS=yes (OpenBLAS), PREFIX, DESTDIR, FUZZ_SECONDS,
# V=1 (shows the compiler's command lines).
# Files are found by their names: bml_*.h, examples/*.c and examples/*/*.c with a main, tests/test_*.c, tests/bench_*.c, tests/fuzz_*.c.

VERSION = 0.2.0
# By another name, so that `make -n test` plans the tests and does not run them.
SELF = $(MAKE)
PREFIX ?= /usr/local
FUZZ_SECONDS ?= 20

ifeq ($(origin CC),default)
CC := $(if $(shell command -v gcc),gcc,cc)
endif

# -- What this machine offers. A probe says whether a small program compiles with some flags. ----------------------
probe = $(shell printf '%b' '$(2)int main(void){return 0;}\n' | $(CC) $(1) -x c -o /dev/null - 2>/dev/null && echo yes)
include_line = \043include <$(1)>\n

# Optimisation. Nothing here changes the result of a computation, and no flag may. The two -fno- flags give up only
# what no program here reads, errno after sqrt() or exp() and floating-point exception flags, and so let loops with
# sqrt(), and loops with a condition in them, run on vector registers.
NATIVE := $(if $(call probe,-march=native),-march=native)
CFLAGS ?= -O3 $(NATIVE) -fno-math-errno -fno-trapping-math
OPENMP ?= $(if $(call probe,-fopenmp,$(call include_line,omp.h)),-fopenmp)
OPENMP := $(OPENMP)
WARNINGS ?= -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wdouble-promotion

HEADERS  := $(wildcard bml_*.h)
# A program is a .c file in examples/, in examples/hello/, or, where it has parts, in the folder of its name.
SOURCES  := $(wildcard examples/*.c examples/hello/*.c) $(foreach d,$(wildcard examples/*/),$(wildcard $(d)$(notdir $(d:/=)).c))
PROGRAMS := $(filter-out build/hello_cuda,$(patsubst %.c,build/%,$(notdir $(SOURCES))))
PARTS    := $(patsubst %/,-I%,$(filter-out examples/hello/,$(sort $(dir $(SOURCES)))) )
vpath %.c $(sort $(dir $(SOURCES)))
TESTS    := $(patsubst tests/%.c,%,$(wildcard tests/test_*.c))
BENCHES  := $(patsubst tests/%.c,%,$(wildcard tests/bench_*.c))
FUZZERS  := $(patsubst tests/%.c,%,$(wildcard tests/fuzz_*.c))

# Libraries that some headers can use; looked for only when a file mentions them. OpenBLAS is used when asked for, with
# CBLAS=yes: the built-in product is as fast at the sizes of bml_nn.h (make bench), and does not depend on a processor's name.
mentions = $(if $(wildcard $(2)),$(shell grep -l '$(1)' $(wildcard $(2)) 2>/dev/null))
HAVE_CBLAS := $(if $(call mentions,BML_NN_USE_CBLAS,bml_*.h),$(if $(call probe,-lopenblas,$(call include_line,cblas.h)),yes,no))
USE_CFITSIO := $(if $(call mentions,USE_CFITSIO,bml_*.h examples/*/*.h),$(if $(call probe,-lcfitsio,$(call include_line,fitsio.h)),yes,no))
USE_ZLIB := $(if $(call probe,-lz,$(call include_line,zlib.h)),yes,no)
CBLAS ?= no
EXTRA  := $(if $(filter yes,$(CBLAS)),-DBML_NN_USE_CBLAS) \
          $(if $(filter yes,$(USE_CFITSIO)),-DBML_CLASSIFY_USE_CFITSIO -DBML_XRAY_USE_CFITSIO) \
          $(if $(filter yes,$(USE_ZLIB)),-DBML_CLASSIFY_USE_ZLIB)
LDLIBS := $(if $(filter yes,$(CBLAS)),-lopenblas) $(if $(filter yes,$(USE_CFITSIO)),-lcfitsio) $(if $(filter yes,$(USE_ZLIB)),-lz) -lm
ifeq ($(HAVE_CBLAS),yes)
LONG_TESTS = test_nn_cblas
build/bench_nn: COMPILE += -DBML_BENCH_CBLAS
build/bench_nn: LDLIBS += -lopenblas
endif

COMPILE = -std=c99 $(WARNINGS) $(CFLAGS) $(OPENMP) $(EXTRA) -DBML_VERSION='"$(VERSION)"' -I. -Iexamples/common $(PARTS)
# What links the library has its inner loops there: gcc's -O1 with vectors is nearly as fast and compiles in two thirds of -O2's time.
# -fexpensive-optimizations is what clears the vector registers before a call: without it the C library's exp() is 7 times slower.
BRIEFLY := -O1 -ftree-vectorize -fexpensive-optimizations
BRIEFLY := $(if $(call probe,-Werror $(BRIEFLY)),$(BRIEFLY),-O2)
LINKED = $(COMPILE:-O3=$(BRIEFLY))

.PHONY: all shared bindings man fit fit-network fit-solver train-compton train-surrogate train-surrogate-ssa test check-long check-memory fuzz bench cuda check-cuda bench-cuda bench-mpi install clean help numbers tools FORCE
.DELETE_ON_ERROR:
all: $(PROGRAMS) tools

# What is missing, a line each: no program stops for it.
tools:
	@command -v gnuplot >/dev/null || echo "note: no gnuplot (Debian: gnuplot-nox): pictures are left as gnuplot scripts"
	@test -n "$(OPENMP)" || echo "note: no OpenMP (Debian: with gcc; for clang, libomp-dev): programs use one thread"
	@test "$(USE_CFITSIO)" != no || echo "note: no cfitsio (Debian: libcfitsio-dev): FITS files cannot be read"
	@test "$(USE_ZLIB)" != no || echo "note: no zlib (Debian: zlib1g-dev): compressed tables cannot be read"

# -- Building. A program is made again when a header that it includes, or a flag, has changed. ---------------------
build/flags: FORCE | build
	@echo '$(CC) $(COMPILE) $(LDLIBS)' | cmp -s - $@ || echo '$(CC) $(COMPILE) $(LDLIBS)' > $@
build build/impl build/shared build/memory build/memory/impl build/fuzz build/cuda build/mpi:
	@mkdir -p $@

# Each implementation is compiled once, into a library; programs and tests that define BML_X_IMPLEMENTATION find
# BML_X_IMPLEMENTED defined, and link. A test that looks inside a header undefines that, and compiles its own.
IMPLEMENTED := $(shell echo $(HEADERS:.h=_IMPLEMENTED) | tr a-z A-Z | sed 's/BML_/-DBML_/g')
implement = printf '\043define %s_IMPLEMENTATION\n\043include "%s"\n' $$(echo $* | tr a-z A-Z) $*.h | \
            $(CC) $(1) $(IMPLEMENTED) -U$$(echo $* | tr a-z A-Z)_IMPLEMENTED -Werror -MMD -MP -MF build/$(2)_$*.d -MT $@ -c -x c -o $@ -
PIC    := -fPIC $(if $(call probe,-fno-semantic-interposition),-fno-semantic-interposition)
# What a newcomer sees of it is one short line; `make V=1` shows the compiler's.
say = $(if $(V),,@echo 'compile $(1)';)
build/impl/%.o: %.h build/flags | build/impl
	$(call say,$<)$(call implement,$(COMPILE) $(PIC),impl)
build/libbml.a: $(HEADERS:%.h=build/impl/%.o)
	@rm -f $@
	@ar -rcs $@ $^
build/%: %.c build/libbml.a build/flags
	$(call say,$<)$(CC) $(LINKED) $(IMPLEMENTED) -MMD -MP -MF build/$*.d -o $@ $< build/libbml.a $(LDLIBS)
# These hold an implementation of their own, or much text, and run for a second: optimising takes longer than it saves; what
# is optimised is tested by others. (No target's own COMPILE: that would reach build/flags, and with it the library.)
BRIEF := test_bml_sed test_classify_memory test_nn_contract test_nn_files test_onnx
PLAIN := test_sample test_sample_kernel # one photon at a time: as fast without vectors
build/test_%: tests/test_%.c build/libbml.a build/flags
	$(CC) $(LINKED) $(if $(filter test_$*,$(BRIEF)),-O0) $(if $(filter test_$*,$(PLAIN)),-fno-tree-vectorize) $(IMPLEMENTED) -Werror -MMD -MP -MF build/test_$*.d -o $@ $< build/libbml.a $(LDLIBS)
build/test_nn_cblas: tests/test_nn.c build/flags
	$(CC) $(COMPILE) -DBML_NN_USE_CBLAS -MMD -MP -MF build/test_nn_cblas.d -o $@ $< -lopenblas $(LDLIBS)
# bml_cuda.cu on the CPU. Without a C++ compiler the rule above makes a test that only looks at its declarations.
ifneq ($(shell command -v $(CXX)),)
CUDA_TEST = $(CXX) -std=c++17 $(WARNINGS) -Wno-uninitialized -Werror -I. -MMD -MP
build/test_cuda: tests/test_cuda.c build/flags
	$(CUDA_TEST) -Og -MF build/test_cuda.d -o $@ -x c++ $< -lm
build/memory/test_cuda: tests/test_cuda.c build/flags | build/memory
	$(CUDA_TEST) $(SANITIZE) -MF build/memory_test_cuda.d -o $@ -x c++ $< -lm
endif
build/bench_%: tests/bench_%.c build/flags # a benchmark holds its own implementation, as a user's program does
	$(CC) $(COMPILE) -MMD -MP -MF build/bench_$*.d -o $@ $< $(LDLIBS)
-include $(wildcard build/*.d)

# -- Lessons: each draws its picture in the folder where it runs. --------------------------------------------------
LESSONS := $(patsubst examples/lessons/%.c,build/lessons/%,$(wildcard examples/lessons/*.c))
build/lessons/%: examples/lessons/%.c build/libbml.a build/flags
	@mkdir -p build/lessons
	$(CC) $(LINKED) $(IMPLEMENTED) -Werror -MMD -MP -MF build/lesson_$*.d -MT $@ -o $@ $< build/libbml.a $(LDLIBS)
.PHONY: lessons
lessons: $(LESSONS) tools
	@cd build/lessons && for lesson in $(notdir $(LESSONS)); do ./$$lesson || exit 1; done

# -- The library for other languages: every header, and the glue that they need, examples/common/bml_*.h. Only bml_ names
# are seen from outside, and nothing is left undefined. -----------------------------------------------------------------
GLUE   := $(wildcard examples/common/bml_*.h)
SHARED  = $(HEADERS:%.h=build/impl/%.o) $(GLUE:examples/common/%.h=build/impl/%.o)
build/impl/%.o: examples/common/%.h build/flags | build/impl
	$(call implement,$(LINKED) $(PIC),impl)
build/shared/libbml.a: $(SHARED) | build/shared
	@rm -f $@
	@ar -rcs $@ $^
build/libbml.so.0: $(SHARED)
	@printf 'BML_0 {\n  global: bml_*;\n  local: *;\n};\n' > build/impl/libbml.map
	$(CC) $(CFLAGS) $(OPENMP) -shared -Wl,-soname,libbml.so.0 -Wl,-z,defs -Wl,--version-script,build/impl/libbml.map -o $@ $^ $(LDLIBS)
build/libbml.so: build/libbml.so.0
	@ln -sf libbml.so.0 $@
shared: build/libbml.so build/shared/libbml.a
bindings:
	CC='$(CC)' python3 examples/python/make_bindings.py . $(HEADERS) $(filter-out %/bml_layout.h,$(GLUE))

# -- The family's main job. Exit status 2 means "not converged yet": the results are there and the program has said so.
FIT_DATA = examples/data/3hsp_j095507.csv
FIT_MODEL = examples/models/ssc.safetensors
fit: build/fit_sed tools
	@build/fit_sed $(FIT_DATA) --redshift 0.557 --sampler importance --out build/fit $(FIT_OPTIONS) || test $$? -eq 2
fit-network: build/fit_sed tools
	@build/fit_sed $(FIT_DATA) --redshift 0.557 --model $(FIT_MODEL) --sampler nested --reweigh --out build/fit_network $(FIT_OPTIONS) || test $$? -eq 2
fit-solver: build/fit_sed tools
	@build/fit_sed $(FIT_DATA) --redshift 0.557 --out build/fit_solver $(FIT_OPTIONS) || test $$? -eq 2

# -- The network of 105 weights in bml_sample.h, trained from scratch; prints it and its accuracy. Some minutes. -----------
train-compton: build/compton_sample
	@build/compton_sample --train --threads 2

# -- The network that stands in for the SSC solver (fit_sed --model): solves 100,000 sources, trains, measures. -------------
train-surrogate: build/train_surrogate tools
	@build/train_surrogate --out build/surrogate
	@mkdir -p examples/models && cp build/surrogate/model.safetensors examples/models/ssc.safetensors
train-surrogate-ssa: build/train_surrogate tools
	@build/train_surrogate --ssa --gg --out build/surrogate_ssa
	@mkdir -p examples/models && cp build/surrogate_ssa/model.safetensors examples/models/ssc_ssa_gg.safetensors

# -- Tests. tests/run.sh makes all programs, runs them and the scripts, and adds up what they print. ---------------
# The longest first, so that no core is idle at the end.
SCRIPTS := $(addprefix tests/,programs.sh headers.sh ways_in.sh)
BRISK   := $(addprefix tests/,python.sh readme.sh farm.sh lessons.sh fortran.sh hello.sh uncalled.sh)
SLOW    := test_xray test_sample test_ssc test_importance test_mcmc test_cuda test_nested test_mcmc_verdict test_mcmc_contract
RUN      = $(SCRIPTS) $(filter $(TESTS),$(SLOW)) $(BRISK) $(filter-out $(SLOW),$(TESTS))
test:
	@MAKE='$(SELF)' BML_TEST_NEEDS='$(PROGRAMS) man shared' bash tests/run.sh build $(RUN)
check-long:
	@BML_CHECK_LONG=1 BML_TEST_SECONDS=$${BML_TEST_SECONDS:-7200} BML_TEST_NEEDS='$(PROGRAMS) man shared' MAKE='$(SELF)' \
	  bash tests/run.sh build $(RUN) tests/portable.sh tests/coverage.sh $(LONG_TESTS)

SANITIZE = -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
build/test_threads build/memory/test_threads: LDLIBS += -pthread
SANITIZED = $(filter-out -O%,$(COMPILE)) $(SANITIZE)
build/memory/impl/%.o: %.h build/flags | build/memory/impl
	$(call implement,$(SANITIZED),memory)
build/memory/libbml.a: $(HEADERS:%.h=build/memory/impl/%.o)
	@rm -f $@
	@ar -rcs $@ $^
build/memory/test_%: tests/test_%.c build/memory/libbml.a build/flags
	$(CC) $(SANITIZED) $(IMPLEMENTED) -MMD -MP -MF build/memory_test_$*.d -MT $@ -o $@ $< build/memory/libbml.a $(LDLIBS)
# Seven threads under the thread sanitizer; OpenMP's own, which it does not know, are left out.
build/memory/threads: tests/test_threads.c $(HEADERS) build/flags | build/memory
	$(CC) $(filter-out -O% -fopenmp,$(COMPILE)) -O1 -g -fsanitize=thread -Wno-unknown-pragmas -o $@ $< $(LDLIBS) -pthread
check-memory:
	@BML_CHECK_QUICK=1 BML_TEST_SECONDS=$${BML_TEST_SECONDS:-1800} MAKE='$(SELF)' bash tests/run.sh build/memory threads $(TESTS)

# -- Fuzzing: clang's libFuzzer feeds each reader; what it learns is kept in build/fuzz/ and used again. -----------
FUZZ_CC ?= clang
FUZZ_FLAGS = -std=c99 -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -I. -Iexamples/common $(PARTS)
build/fuzz/fuzz_%: tests/fuzz_%.c build/flags | build/fuzz
	$(FUZZ_CC) $(FUZZ_FLAGS) -MMD -MP -MF build/fuzz_$*.d -MT $@ -o $@ $< -lm
fuzz:
	@printf 'int LLVMFuzzerTestOneInput(void){return 0;}\n' | $(FUZZ_CC) -fsanitize=fuzzer -x c -o /dev/null - 2>/dev/null || \
	  { echo "make fuzz needs clang with its libFuzzer runtime (Debian: clang libclang-rt-dev)" >&2; exit 1; }
	@for f in $(FUZZERS); do \
	  $(MAKE) --no-print-directory build/fuzz/$$f && mkdir -p build/fuzz/$$f.corpus && \
	  build/fuzz/$$f -max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=2048 -dict=tests/fuzz.dict \
	    -artifact_prefix=build/fuzz/$$f. build/fuzz/$$f.corpus examples/data >build/fuzz/$$f.log 2>&1 || \
	    { tail -n 40 build/fuzz/$$f.log; exit 1; }; \
	  echo "$$f: $$(tail -n 1 build/fuzz/$$f.log), nothing found"; \
	done

bench: $(addprefix build/,$(BENCHES))
	@for b in $(BENCHES); do build/$$b || exit 1; done
numbers: all $(addprefix build/,$(BENCHES)) build/test_mcmc_verdict
	@bash tests/numbers.sh $(WORD)

# -- Many machines: MPI (Debian: libopenmpi-dev openmpi-bin). `make MPI=yes` builds the programs that share their work.
MPICC ?= mpicc
MPI_PROGRAMS := $(patsubst %.c,build/mpi/%,$(notdir $(shell grep -l 'farm.h' $(SOURCES))))
ifeq ($(MPI),yes)
all: $(MPI_PROGRAMS)
endif
build/mpi/%: %.c build/libbml.a build/flags | build/mpi
	@command -v $(MPICC) >/dev/null || { echo "make MPI=yes needs $(MPICC) (Debian: libopenmpi-dev openmpi-bin)" >&2; exit 1; }
	OMPI_CC='$(CC)' MPICH_CC='$(CC)' $(MPICC) $(filter-out $(WARNINGS),$(COMPILE)) $(IMPLEMENTED) -DBML_WITH_MPI -MMD -MP -MF build/mpi_$*.d -o $@ $< build/libbml.a $(LDLIBS)
build/farm_check: tests/farm_check.c examples/common/farm.h | build
	$(MPICC) -O2 -DBML_WITH_MPI -Iexamples/common -o $@ $< -lm
bench-mpi: build/farm_check
	@OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1 mpirun -np 16 build/farm_check bench

# -- The GPU side. CUDA 12 or newer; a card is needed to run it, not to build it.
NVCC ?= nvcc
CUDA_ARCHS ?= $(filter 75 80 86 89 90 100 120,$(patsubst sm_%,%,$(shell $(NVCC) --list-gpu-code 2>/dev/null)))
NVCC_FLAGS = -O2 -std=c++17 $(foreach a,$(CUDA_ARCHS),-gencode arch=compute_$(a),code=sm_$(a)) \
             -gencode arch=compute_$(lastword $(CUDA_ARCHS)),code=compute_$(lastword $(CUDA_ARCHS)) -I. -Itests
ifeq ($(CUBLASLT),yes) # training's large products by the library of the CUDA toolkit
NVCC_FLAGS += -DBML_CUDA_CUBLASLT
NVCC_LIBS = -lcublasLt
endif
CUDA_PROGRAMS := $(patsubst %.c,build/cuda/%,$(notdir $(shell grep -l DEVICE_OPTION $(SOURCES))))
CUDA_LINK = -Lbuild -lbml_cuda -Wl,-rpath,'$$ORIGIN' -Wl,-rpath,'$$ORIGIN/..'
build/libbml_cuda.so: bml_cuda.cu bml_sample.h bml_ssc.h bml_nn.h | build
	@command -v $(NVCC) >/dev/null || { echo "make cuda needs nvcc (Debian: nvidia-cuda-toolkit)" >&2; exit 1; }
	$(NVCC) $(NVCC_FLAGS) -DBML_CUDA_IMPLEMENTATION -Xcompiler -fPIC -shared -o $@ bml_cuda.cu $(NVCC_LIBS)
build/hello_cuda: hello_cuda.c build/flags build/libbml_cuda.so
	$(CC) $(COMPILE) -o $@ $< $(CUDA_LINK) $(LDLIBS)
build/cuda/%: %.c build/flags build/libbml_cuda.so | build/cuda
	$(CC) $(COMPILE) -DBML_WITH_CUDA -MMD -MP -MF build/cuda_$*.d -o $@ $< $(CUDA_LINK) $(LDLIBS)
cuda: build/libbml_cuda.so build/hello_cuda $(CUDA_PROGRAMS)
	@build/hello_cuda || echo "note: no card here; on one, next: make check-cuda bench-cuda"
build/cuda_checks build/bench_cuda: build/%: tests/%.cu bml_cuda.cu tests/test_cuda.c | build
	$(NVCC) $(NVCC_FLAGS) -o $@ $< $(NVCC_LIBS)
check-cuda: build/cuda_checks
	build/cuda_checks
bench-cuda: build/bench_cuda
	build/bench_cuda

# -- Installing: programs with their manual pages, models and tables; headers, of which one is copied or included, and the
# library, for those who link; two pkg-config files, bml (headers alone) and libbml (with the library). --------------------
INSTALLED = $(filter-out build/hello_% build/tiny_fit,$(PROGRAMS))
build/man/%.1: build/% examples/common/man.sh
	@mkdir -p build/man
	@sh examples/common/man.sh $< $(VERSION) > $@
man: $(INSTALLED:build/%=build/man/%.1)
TO = $(DESTDIR)$(PREFIX)
pkgconfig = sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@VERSION@|$(VERSION)|' bml.pc.in
install: $(INSTALLED) man shared
	install -d '$(TO)/bin' '$(TO)/include' '$(TO)/lib/pkgconfig' '$(TO)/share/bml' '$(TO)/share/man/man1' '$(TO)/share/pkgconfig'
	install -m 755 $(INSTALLED) '$(TO)/bin'
	install -m 644 $(INSTALLED:build/%=build/man/%.1) '$(TO)/share/man/man1'
	install -m 644 examples/models/*.safetensors examples/data/ebl_*.csv '$(TO)/share/bml'
	install -m 644 $(HEADERS) $(GLUE) bml_cuda.cu '$(TO)/include'
	install -m 644 build/shared/libbml.a '$(TO)/lib'
	install -m 755 build/libbml.so.0 '$(TO)/lib'
	ln -sf libbml.so.0 '$(TO)/lib/libbml.so'
	$(pkgconfig) > '$(TO)/share/pkgconfig/bml.pc'
	$(pkgconfig) | sed -e 's/^Name: bml/Name: libbml/' -e 's/^Libs: /Libs: -L$${libdir} -lbml /' > '$(TO)/lib/pkgconfig/libbml.pc'

help:
	@awk '/^$$/ { exit } { sub(/^# ?/, ""); print }' Makefile

clean:
	rm -rf build
