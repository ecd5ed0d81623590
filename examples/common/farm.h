/* farm.h: any function that works on many points at once, shared by the ranks of an MPI program.

   Compile with mpicc and -DBML_WITH_MPI (Debian: libopenmpi-dev openmpi-bin). Without the macro the same calls work on
   one process, and a program needs no #ifdef:

       farm_begin(&argc, &argv);
       farm f = {.n_in = 8, .n_out = 1, .work = log_likelihoods, .user = &problem};
       if (farm_rank() > 0) return farm_serve(&f), farm_end();     // works until rank 0 dismisses it
       ...
       farm_map(out, in, n, &f);                                   // on rank 0: out[n][n_out] of in[n][n_in]
       ...
       farm_dismiss();
       return farm_end();

   Rank 0 runs the program; the others run `work` for it, block by block, as they become free: a slow block holds nobody
   but itself. Each result goes to the place of its point, so that the numbers do not depend on how many ranks there
   are, if `work` gives a point the same result in any company. All ranks must have made the same `user`, and rank 0
   must not change it afterwards: what changes travels in `in`.

   Up to FARM_WORKING_HOST ranks rank 0 works as well, between looking after the others, who have one block in hand and
   two waiting; beyond that it only hands out, and 16 ranks do the work of 15.

   Waiting is passive (a sleep of FARM_NAP microseconds), so that more ranks than cores do no harm. A rank that dies
   makes mpirun end the others with SIGTERM, and a second later by force: give `stop`, which says that the signal has
   come. Rank 0 then works alone. What it finishes in FARM_GRACE milliseconds is a batch like any other, and the program
   can save its state; of a longer one the missing results are NaN, and farm_map returns FARM_STOPPED: the state of
   before counts. Open MPI's second is short for a large state: mpirun --mca odls_base_sigkill_timeout 10 gives ten.
   farm_serve returns FARM_STOPPED too: end that rank without farm_end, or rank 0 waits for its work.
   No printing, no exit. Public domain or MIT, see LICENSE. */
#ifndef BML_EXAMPLES_FARM_H
#define BML_EXAMPLES_FARM_H
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FARM_STATUS_TABLE(X)                \
    X(FARM_OK, 0, "no error")               \
    X(FARM_BAD_ARGUMENT, -1, "bad sizes")   \
    X(FARM_NO_MEMORY, -2, "out of memory")  \
    X(FARM_NO_MPI, -3, "MPI did not start") \
    X(FARM_STOPPED, -4, "stopped before all points were done")
#define FARM_ENUM(name, value, text) name = value,
enum { FARM_STATUS_TABLE(FARM_ENUM) FARM_WORKING_HOST = 8, FARM_NAP = 50, FARM_GRACE = 400 };
#undef FARM_ENUM

static inline const char *farm_strerror(int status) {
#define FARM_CASE(name, value, text) \
    if (status == value) return text;
    FARM_STATUS_TABLE(FARM_CASE)
#undef FARM_CASE
    return "unknown status";
}

typedef struct farm {
    int n_in, n_out; /* doubles of a point, and of its result */
    int block;       /* points that travel together; 0 = 1. More where a point takes less than 50 microseconds */
    void (*work)(double *out, const double *in, int n, void *user); /* out[n][n_out], in[n][n_in] */
    void *user;
    int (*stop)(void); /* non-zero: a signal has come; NULL = never */
    int alone;         /* set by farm_map after a stop: from then on rank 0 works by itself */
} farm;

/* The first three arguments of farm_map and of farm_serve, checked. */
static inline int farm_is_sound(const farm *f) {
    return f && f->work && f->n_in > 0 && f->n_out > 0 && f->block >= 0;
}

/* The same error meets all ranks: those beside the first say nothing, and stay for a second when they fail, since mpirun
   ends everybody with the first to leave, and rank 0 shall have said why. 0, or -1. */
static inline void farm_linger(void);
static inline int farm_rank(void);
static inline int farm_hush(void) {
    if (farm_rank() == 0) return 0;
    if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr)) return -1;
    return atexit(farm_linger) ? -1 : 0;
}

#ifndef BML_WITH_MPI

static inline int farm_begin(int *argc, char ***argv) {
    (void)argc;
    (void)argv;
    return FARM_OK;
}
static inline int farm_rank(void) {
    return 0;
}
static inline int farm_ranks(void) {
    return 1;
}
static inline int farm_map(double *out, const double *in, int n, farm *f) {
    if (!farm_is_sound(f) || n < 0) return FARM_BAD_ARGUMENT;
    if (n > 0) f->work(out, in, n, f->user);
    return FARM_OK;
}
static inline int farm_serve(const farm *f) {
    return farm_is_sound(f) ? FARM_OK : FARM_BAD_ARGUMENT;
}
static inline void farm_dismiss(void) {
}
static inline int farm_end(void) {
    return FARM_OK;
}
static inline void farm_linger(void) {
}

#else
#include <mpi.h>
#include <time.h>

enum { FARM_WORK = 1, FARM_DONE = 2, FARM_GO_HOME = 3 }; /* tags */

/* Threads of a rank other than this one do not call MPI. */
static inline int farm_begin(int *argc, char ***argv) {
    int given;
    int ready = 0;
    MPI_Initialized(&ready);
    if (ready) return FARM_OK;
    return MPI_Init_thread(argc, argv, MPI_THREAD_FUNNELED, &given) == MPI_SUCCESS ? FARM_OK : FARM_NO_MPI;
}

static inline int farm_rank(void) {
    int rank = 0;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    return rank;
}

static inline int farm_ranks(void) {
    int ranks = 1;
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    return ranks;
}

static inline void farm_nap(void) {
    const struct timespec nap = {0, FARM_NAP * 1000L};
    nanosleep(&nap, NULL);
}

/* A letter is its number and its points or results: 1 + block max(n_in, n_out) doubles. */
static inline double *farm_letter(const farm *f, int block) {
    const int widest = f->n_in > f->n_out ? f->n_in : f->n_out;
    return malloc((1 + (size_t)block * (size_t)widest) * sizeof(double));
}

static inline int farm_serve(const farm *f) {
    if (!farm_is_sound(f)) return FARM_BAD_ARGUMENT;
    const int block = f->block ? f->block : 1;
    double *in = farm_letter(f, block);
    double *out = farm_letter(f, block);
    int stopped = 0;
    while (in && out) {
        MPI_Status letter;
        int there = 0;
        MPI_Iprobe(0, MPI_ANY_TAG, MPI_COMM_WORLD, &there, &letter);
        if (!there) {
            stopped = f->stop && f->stop();
            if (stopped) break;
            farm_nap();
            continue;
        }
        int size;
        MPI_Get_count(&letter, MPI_DOUBLE, &size);
        MPI_Recv(in, size, MPI_DOUBLE, 0, letter.MPI_TAG, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        if (letter.MPI_TAG == FARM_GO_HOME) break;
        const int n = (size - 1) / f->n_in;
        out[0] = in[0];
        f->work(out + 1, in + 1, n, f->user);
        MPI_Send(out, 1 + n * f->n_out, MPI_DOUBLE, 0, FARM_DONE, MPI_COMM_WORLD);
    }
    const int status = stopped ? FARM_STOPPED : FARM_OK;
    const int room = in && out;
    free(in);
    free(out);
    return room ? status : FARM_NO_MEMORY;
}

/* One call of farm_map on rank 0. */
typedef struct farm_batch {
    const farm *f;
    double *out;
    const double *in;
    int n, block, blocks;
    int next;     /* the first block that nobody has */
    int away;     /* blocks that others have */
    char *done;   /* [blocks] */
    int *holding; /* [ranks] blocks that a rank has */
    double *letter;
} farm_batch;

static inline int farm_block_size(const farm_batch *b, int which) {
    const int left = b->n - which * b->block;
    return left < b->block ? left : b->block;
}

static inline void farm_work_here(farm_batch *b, int which) {
    const size_t first = (size_t)which * (size_t)b->block;
    const double *in = b->in + first * (size_t)b->f->n_in;
    b->f->work(b->out + first * (size_t)b->f->n_out, in, farm_block_size(b, which), b->f->user);
    b->done[which] = 1;
}

static inline void farm_hand_out(farm_batch *b, int rank) {
    const int which = b->next++;
    const int size = farm_block_size(b, which) * b->f->n_in;
    const size_t first = (size_t)which * (size_t)b->block * (size_t)b->f->n_in;
    b->letter[0] = which;
    memcpy(b->letter + 1, b->in + first, (size_t)size * sizeof(double));
    MPI_Send(b->letter, 1 + size, MPI_DOUBLE, rank, FARM_WORK, MPI_COMM_WORLD);
    b->holding[rank]++;
    b->away++;
}

/* Takes one result in; 0: there is none yet. */
static inline int farm_take_in(farm_batch *b) {
    MPI_Status letter;
    int there = 0;
    MPI_Iprobe(MPI_ANY_SOURCE, FARM_DONE, MPI_COMM_WORLD, &there, &letter);
    if (!there) return 0;
    int size;
    MPI_Get_count(&letter, MPI_DOUBLE, &size);
    MPI_Recv(b->letter, size, MPI_DOUBLE, letter.MPI_SOURCE, FARM_DONE, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    const int which = (int)b->letter[0];
    const size_t first = (size_t)which * (size_t)b->block * (size_t)b->f->n_out;
    memcpy(b->out + first, b->letter + 1, (size_t)(size - 1) * sizeof(double));
    b->done[which] = 1;
    b->holding[letter.MPI_SOURCE]--;
    b->away--;
    return 1;
}

/* One block for everybody, then a second and a third in waiting, as long as there are more of them than ranks: rank 0 may
   look away for one block's time, and then for another. */
static inline void farm_hand_round(farm_batch *b, int ranks) {
    for (int held = 0; held < 3; held++) {
        for (int rank = 1; rank < ranks && b->blocks - b->next > held * ranks; rank++) {
            if (b->holding[rank] == held) farm_hand_out(b, rank);
        }
    }
}

static inline double farm_milliseconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

/* After a stop: the points that are missing, here, as long as there is time. Returns whether all are done. */
static inline int farm_finish(farm_batch *b) {
    const double end = farm_milliseconds() + FARM_GRACE;
    int whole = 1;
    for (int which = 0; which < b->blocks; which++) {
        if (b->done[which]) continue;
        if (farm_milliseconds() < end) {
            farm_work_here(b, which);
            continue;
        }
        const size_t first = (size_t)which * (size_t)b->block * (size_t)b->f->n_out;
        for (int i = 0; i < farm_block_size(b, which) * b->f->n_out; i++)
            b->out[first + (size_t)i] = (double)NAN;
        whole = 0;
    }
    return whole;
}

static inline int farm_map(double *out, const double *in, int n, farm *f) {
    if (!farm_is_sound(f) || n < 0) return FARM_BAD_ARGUMENT;
    const int ranks = farm_ranks();
    const int here = ranks == 1 || f->alone;
    if (here && n > 0) f->work(out, in, n, f->user);
    if (here || n == 0) return FARM_OK;
    farm_batch b = {.f = f, .out = out, .in = in, .n = n, .block = f->block ? f->block : 1};
    b.blocks = (n - 1) / b.block + 1;
    b.done = calloc((size_t)b.blocks, 1);
    b.holding = calloc((size_t)ranks, sizeof *b.holding);
    b.letter = farm_letter(f, b.block);
    const int sound = b.done && b.holding && b.letter;
    while (sound && !f->alone && (b.next < b.blocks || b.away > 0)) {
        farm_hand_round(&b, ranks);
        if (farm_take_in(&b)) continue;
        f->alone = f->stop && f->stop();
        if (f->alone) break;
        if (ranks <= FARM_WORKING_HOST && b.next < b.blocks)
            farm_work_here(&b, b.next++);
        else
            farm_nap();
    }
    const int whole = !sound || !f->alone || farm_finish(&b);
    free(b.done);
    free(b.holding);
    free(b.letter);
    if (!sound) return FARM_NO_MEMORY;
    return whole ? FARM_OK : FARM_STOPPED;
}

/* Sends the other ranks out of farm_serve. */
static inline void farm_dismiss(void) {
    const double nothing = 0;
    for (int rank = 1; farm_rank() == 0 && rank < farm_ranks(); rank++)
        MPI_Send(&nothing, 1, MPI_DOUBLE, rank, FARM_GO_HOME, MPI_COMM_WORLD);
}

static inline int farm_end(void) {
    MPI_Finalize();
    return FARM_OK;
}

static inline void farm_linger(void) {
    const struct timespec second = {1, 0};
    int ended = 0;
    MPI_Finalized(&ended);
    if (!ended) nanosleep(&second, NULL);
}
#endif
#endif
