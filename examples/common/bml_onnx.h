/* bml_onnx.h: reads ONNX files into networks of bml_nn.h.

   What torch.onnx.export, tf2onnx and others write of feed-forward, recurrent and one-dimensional convolutional
   networks becomes a bml_nn: it predicts, draws, is differentiated, saved and trained on like one made here.

   In ONE source file:           #define BML_ONNX_IMPLEMENTATION
                                 #include "bml_onnx.h"
   everywhere else just:         #include "bml_onnx.h"             with bml_nn.h and its implementation

       #define BML_NN_IMPLEMENTATION
       #include "bml_nn.h"
       #define BML_ONNX_IMPLEMENTATION
       #include "bml_onnx.h"
       #include <stdio.h>

       int main(int argc, char **argv) {
           bml_nn *net;
           char why[BML_ONNX_MESSAGE];
           if (argc != 2 || bml_onnx_load(&net, argv[1], why))
               return fprintf(stderr, "%s\n", argc == 2 ? why : "usage: program MODEL.onnx"), 1;
           printf("%zu numbers in, %zu out\n", bml_nn_n_in(net), bml_nn_n_out(net));
           return bml_nn_free(net), 0;
       }

   It refuses what it does not know, by the name of the operator or attribute; weights in another file; sequences whose
   length is not fixed in the file. Nothing is left out silently. */
#ifndef BML_ONNX_H
#define BML_ONNX_H
#define BML_ONNX_VERSION 200 /* 0.2.0: 10000 major + 100 minor + patch */

/* ---- Setup, use, shutdown ---------------------------------------------------------------------------------------

   1. torch.onnx.export(model.eval(), x, "model.onnx", dynamic_axes={"x": {0: "n"}}), with x of the shape that it is to
      have: [n][features], [n][steps][features], or [n][features][steps] before a convolution. The size of a batch may
      be left open, the number of steps not.
   2. bml_onnx_load(&net, path, why). Rows are laid out as in the ONNX graph, without the batch axis: row-major, all
      inputs one after another. The first output of the graph is the network's.
   3. bml_nn_predict, ..., bml_nn_free.

   ---- What is known ----------------------------------------------------------------------------------------------

   Gemm, MatMul, Add, Sub, Mul, Div   with constants, and the sum of two layers (residual blocks)
   GRU, LSTM, RNN              forward or bidirectional, stacked; GRU in both variants; all steps, the last step, or the
                               final state; zero initial states, default activations, no peepholes
   Conv, MaxPool, AveragePool, GlobalAveragePool, GlobalMaxPool     of one dimension, no dilation, no groups;
                               padding none, or that of `same`
   BatchNormalization, LayerNormalization
   Relu, LeakyRelu, Tanh, Sigmoid, Softplus, Softmax, Gelu, Clip to -1 ... 1; x Sigmoid(x) (SiLU); GELU in terms of Erf; torch's Softplus
   Concat, Reshape, Flatten, Squeeze, Unsqueeze, Transpose, Gather (a step, a direction), Dropout, Identity, Cast, and
   arithmetic on shapes: Constant, ConstantOfShape, Expand, Shape, Slice

   A batch norm behind a product is multiplied into it; an activation that stands alone, or arithmetic with constants,
   becomes a dense layer with an identity matrix; means over windows become convolutions; an axis order that bml_nn.h
   does not have becomes a dense layer with a permutation. GELU is that of bml_nn.h.

   ---- Options ----------------------------------------------------------------------------------------------------

   BML_ONNX_IMPLEMENTATION, BML_ONNX_STATIC, BML_ONNX_IMPLEMENTED    as in bml_nn.h
   BML_ONNX_MALLOC(n), BML_ONNX_FREE(p)                              own allocator: both or none */

#include "bml_nn.h"
#include <stddef.h>

#if defined(BML_ONNX_STATIC) && (defined(__GNUC__) || defined(__clang__))
#define BML_ONNX_DEF static __attribute__((unused))
#elif defined(BML_ONNX_STATIC)
#define BML_ONNX_DEF static
#elif defined(__cplusplus)
#define BML_ONNX_DEF extern "C"
#else
#define BML_ONNX_DEF extern
#endif

/* ---- API --------------------------------------------------------------------------------------------------------- */

#define BML_ONNX_STATUS_TABLE(X)                                       \
    X(OK, 0, "no error")                                               \
    X(BAD_ARGUMENT, -1, "an argument is missing")                      \
    X(NO_MEMORY, -2, "out of memory")                                  \
    X(CANNOT_OPEN, -3, "the file cannot be opened")                    \
    X(BAD_FILE, -4, "the file is truncated, damaged, or no ONNX file") \
    X(UNKNOWN, -5, "the graph has something that this reader or bml_nn.h does not know")

typedef enum bml_onnx_status {
#define BML_ONNX_X(name, value, text) BML_ONNX_##name = (value),
    BML_ONNX_STATUS_TABLE(BML_ONNX_X)
#undef BML_ONNX_X
        BML_ONNX_STATUS_END = 1
} bml_onnx_status;

enum { BML_ONNX_MESSAGE = 512 }; /* bytes of a message, NUL included */

/* The message of a status; never NULL. Thread safe. */
BML_ONNX_DEF const char *bml_onnx_strerror(int status);

/* Makes a network of a file. *net is freed by bml_nn_free, and is NULL on error. why [BML_ONNX_MESSAGE], or NULL: the
   reason, with the node's name, "" after success. BAD_ARGUMENT, NO_MEMORY, CANNOT_OPEN, BAD_FILE, UNKNOWN. */
BML_ONNX_DEF int bml_onnx_load(bml_nn **net, const char *path, char *why);
/* The same of bytes [size]. */
BML_ONNX_DEF int bml_onnx_parse(bml_nn **net, const void *bytes, size_t size, char *why);

/* ---- end of API -------------------------------------------------------------------------------------------------- */

#if defined(BML_ONNX_IMPLEMENTATION) && !defined(BML_ONNX_IMPLEMENTED)
#define BML_ONNX_IMPLEMENTED

/* Contents: search for ">> name".
     >> status and memory   statuses, reasons, what is freed in the end
     >> protobuf            fields of a message
     >> graph               nodes, attributes, constants, values
     >> layers              the network while it is made
     >> values              axes, steps, directions: which layer stands for a value
     >> arithmetic          products, constants, activations, normalisation
     >> recurrent layers
     >> convolutions        and means and maxima over windows
     >> shapes              Reshape, Transpose, ..., and arithmetic on shapes
     >> the whole           nodes in their order, then bml_nn_create and the weights */

#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(BML_ONNX_MALLOC) != defined(BML_ONNX_FREE)
#error "bml_onnx.h: define both or none of BML_ONNX_MALLOC, BML_ONNX_FREE"
#endif
#ifndef BML_ONNX_MALLOC
#define BML_ONNX_MALLOC(n) malloc(n)
#define BML_ONNX_FREE(p) free(p)
#define BML_ONNX__OWN
#endif

/* >> status and memory
   Everything that is made on the way hangs on one chain, which the end frees. */

static const struct {
    int status;
    const char *text;
} bml_onnx__texts[] = {
#define BML_ONNX_X(name, value, text) {value, text},
    BML_ONNX_STATUS_TABLE(BML_ONNX_X)
#undef BML_ONNX_X
};

BML_ONNX_DEF const char *bml_onnx_strerror(int status) {
    for (size_t i = 0; i < sizeof bml_onnx__texts / sizeof *bml_onnx__texts; i++)
        if (bml_onnx__texts[i].status == status) {
            return bml_onnx__texts[i].text;
        }
    return "unknown status";
}

enum {
    BML_ONNX__RANK = 6,
    BML_ONNX__IO = 16, /* inputs and outputs of a node */
    BML_ONNX__LAYERS = 1000,
    BML_ONNX__SQUARE = 4096, /* largest side of an identity or a permutation */
    BML_ONNX__FOLD = 1 << 20 /* most numbers of a constant that is made here */
};
static const double bml_onnx__batch = -9e15; /* the batch's size among sizes */

typedef union bml_onnx__block {
    union bml_onnx__block *next;
    double align;
    void *pointer;
} bml_onnx__block;

/* A text inside the file: not ended by 0. */
typedef struct bml_onnx__text {
    const char *at;
    int n;
} bml_onnx__text;

typedef struct bml_onnx__span {
    const unsigned char *at, *end;
} bml_onnx__span;

typedef struct bml_onnx__tensor {
    int n_dims;
    double dim[BML_ONNX__RANK];
    double *value; /* [n] */
    ptrdiff_t n;
} bml_onnx__tensor;

typedef struct bml_onnx__attribute {
    bml_onnx__text name;
    double f;
    int64_t i;
    bml_onnx__text s;
    bml_onnx__span tensor, ints, strings;
    int has_ints;
} bml_onnx__attribute;

typedef struct bml_onnx__node {
    bml_onnx__text op, name;
    int in[BML_ONNX__IO], out[BML_ONNX__IO]; /* values, -1: none */
    int n_in, n_out;
    bml_onnx__span body;
    int done;
} bml_onnx__node;

/* What a name of the graph stands for. */
enum { BML_ONNX__NOTHING, BML_ONNX__CONSTANT, BML_ONNX__ACTIVATION, BML_ONNX__STATES };
typedef struct bml_onnx__value {
    bml_onnx__text name;
    int kind;
    bml_onnx__tensor constant;
    int layer; /* of an activation, or */
    int cell;  /* a recurrent layer that is not made yet, -1: none; its */
    int last;  /* final state (1) or all steps, and */
    int half;  /* 0: both directions; 1, 2: one of them */
    char axes
        [8]; /* an ONNX axis each: N batch, T steps, C features of a step, F of a vector, D directions, 1 size one */
    int steps, features; /* T (0: a vector), C or F */
    int mixed; /* F is [features of a step][steps], where the layer has them the other way round: steps, or 0 */
    int state[8], n_states; /* STATES: final states one upon another: cell * 2 + direction */
    int uses;
} bml_onnx__value;

/* A layer while the network is made. */
typedef struct bml_onnx__layer {
    bml_nn_layer spec;
    char name[BML_NN_MAX_NAME];
    int from[BML_NN_MAX_FROM], n_from;
    int steps, features;
    float *tensor[6]; /* by bml_onnx__names */
    int fits;         /* a product to which a scale, a bias or an activation can be added */
    int used;
} bml_onnx__layer;
static const char *const bml_onnx__names[6] = {"kernel",         "recurrent",         "bias",
                                               "kernel_reverse", "recurrent_reverse", "bias_reverse"};
static const char *const bml_onnx__norm_names[4] = {"gamma", "beta", "mean", "variance"};

/* A recurrent node: the layer that it would be, made when it is known what is taken of it. */
typedef struct bml_onnx__cell {
    bml_onnx__layer layer;
    int made[2]; /* by last: the layer, or -1 */
} bml_onnx__cell;

typedef struct bml_onnx__reader {
    char *why;
    int status;
    bml_onnx__block *blocks;
    bml_onnx__node *node;
    bml_onnx__value *value;
    bml_onnx__cell *cell;
    bml_onnx__layer *layer;
    int n_nodes, n_values, n_cells, n_layers;
    int room_values;
    int output;               /* a value */
    double static_batch;      /* the batch's size where the file fixes it, else 0 */
    const bml_onnx__node *at; /* the node under way */
} bml_onnx__reader;

/* Keeps the first reason; returns the status. */
static int bml_onnx__fail(bml_onnx__reader *r, int status, const char *fmt, ...) {
    if (r->status) {
        return r->status;
    }
    r->status = status;
    if (!r->why) {
        return status;
    }
    int used = 0;
    if (r->at) {
        const bml_onnx__text *name = r->at->name.n ? &r->at->name : &r->at->op;
        const int length = name->n < 100 ? name->n : 100;
        const int width = r->at->op.n < 40 ? r->at->op.n : 40;
        used = snprintf(r->why, BML_ONNX_MESSAGE, "node %.*s (%.*s): ", length, name->at, width, r->at->op.at);
    }
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(r->why + used, (size_t)(BML_ONNX_MESSAGE - used), fmt, ap);
    va_end(ap);
    return status;
}

/* count things of `size` bytes, zeroed; NULL after a failure. */
static void *bml_onnx__take(bml_onnx__reader *r, ptrdiff_t count, size_t size) {
    const double bytes = (double)count * (double)size;
    bml_onnx__block *b = NULL;
    if (r->status) {
        return NULL;
    }
    if (count >= 0 && bytes < 1e11) {
        b = (bml_onnx__block *)BML_ONNX_MALLOC(sizeof *b + (size_t)count * size);
    }
    if (!b) {
        bml_onnx__fail(r, BML_ONNX_NO_MEMORY, "%s", bml_onnx_strerror(BML_ONNX_NO_MEMORY));
        return NULL;
    }
    memset(b + 1, 0, (size_t)count * size);
    b->next = r->blocks;
    r->blocks = b;
    return b + 1;
}

static float *bml_onnx__floats(bml_onnx__reader *r, ptrdiff_t n) {
    return (float *)bml_onnx__take(r, n, sizeof(float));
}

static int bml_onnx__unknown(bml_onnx__reader *r, const char *what) {
    return bml_onnx__fail(r, BML_ONNX_UNKNOWN, "%s", what);
}

/* >> protobuf
   A message is a run of fields: a varint of 8 number + wire type, then a varint, eight or four bytes, or a length and
   as many bytes. Numbers of fields are those of onnx.proto. */

typedef struct bml_onnx__field {
    int number, wire;
    uint64_t value;      /* wire 0, 1, 5: the bits */
    bml_onnx__span body; /* wire 2 */
} bml_onnx__field;

static int bml_onnx__varint(uint64_t *value, bml_onnx__span *s) {
    *value = 0;
    for (int shift = 0; shift < 64 && s->at < s->end; shift += 7) {
        const unsigned char byte = *s->at++;
        *value |= (uint64_t)(byte & 127) << shift;
        if (byte < 128) {
            return 1;
        }
    }
    return 0;
}

/* The next field of *s; 0 at its end; -1 where it is damaged. */
static int bml_onnx__next(bml_onnx__field *f, bml_onnx__span *s) {
    uint64_t key;
    memset(f, 0, sizeof *f); /* a text or message of another wire type is empty */
    if (s->at == s->end) {
        return 0;
    }
    if (!bml_onnx__varint(&key, s) || key >> 32) {
        return -1;
    }
    f->number = (int)(key >> 3);
    f->wire = (int)(key & 7);
    if (f->wire == 0) {
        return bml_onnx__varint(&f->value, s) ? 1 : -1;
    }
    if (f->wire == 2) {
        if (!bml_onnx__varint(&f->value, s) || f->value > (uint64_t)(s->end - s->at)) {
            return -1;
        }
        f->body.at = s->at;
        f->body.end = s->at + f->value;
        s->at = f->body.end;
        return 1;
    }
    const int short_one = f->wire == 5 ? 4 : 0;
    const int bytes = f->wire == 1 ? 8 : short_one;
    if (!bytes || s->end - s->at < bytes) {
        return -1;
    }
    f->value = 0;
    for (int i = 0; i < bytes; i++)
        f->value |= (uint64_t)*s->at++ << (8 * i);
    return 1;
}

static double bml_onnx__single(uint64_t bits) {
    const uint32_t low = (uint32_t)bits;
    float f;
    memcpy(&f, &low, sizeof f);
    return (double)f;
}

static double bml_onnx__double(uint64_t bits) {
    double d;
    memcpy(&d, &bits, sizeof d);
    return d;
}

static bml_onnx__text bml_onnx__text_of(bml_onnx__span s) {
    const ptrdiff_t n = s.end - s.at;
    bml_onnx__text t = {(const char *)s.at, n < 100000 ? (int)n : 100000};
    return t;
}

static int bml_onnx__is(bml_onnx__text t, const char *word) {
    return t.n == (int)strlen(word) && (!t.n || !memcmp(t.at, word, (size_t)t.n));
}

static int bml_onnx__damaged(bml_onnx__reader *r) {
    return bml_onnx__fail(r, BML_ONNX_BAD_FILE, "%s", bml_onnx_strerror(BML_ONNX_BAD_FILE));
}

/* >> graph */

enum { BML_ONNX__FLOAT = 1, BML_ONNX__INT32 = 6, BML_ONNX__INT64 = 7, BML_ONNX__BOOL = 9, BML_ONNX__DOUBLE = 11 };

/* Bytes of one number of raw_data; 0: a type that is not read. */
static int bml_onnx__bytes(int type) {
    if (type == BML_ONNX__FLOAT || type == BML_ONNX__INT32) {
        return 4;
    }
    if (type == BML_ONNX__BOOL) {
        return 1;
    }
    return type == BML_ONNX__INT64 || type == BML_ONNX__DOUBLE ? 8 : 0;
}

static double bml_onnx__number(uint64_t bits, int type) {
    if (type == BML_ONNX__FLOAT) {
        return bml_onnx__single(bits);
    }
    if (type == BML_ONNX__DOUBLE) {
        return bml_onnx__double(bits);
    }
    if (type == BML_ONNX__INT32) {
        return (double)(int32_t)(uint32_t)bits;
    }
    return (double)(int64_t)bits;
}

/* Adds the numbers of a field, which may be packed, to list[room]; returns how many there are now, -1 where they are
   too many or damaged. width: bytes of one, 0: varints. */
static ptrdiff_t bml_onnx__numbers(double *list, ptrdiff_t n, ptrdiff_t room, const bml_onnx__field *f, int type,
                                   int width) {
    bml_onnx__span s = f->body;
    if (f->wire != 2) {
        if (n < room) {
            list[n] = bml_onnx__number(f->value, type);
        }
        return n < room ? n + 1 : -1;
    }
    while (s.at < s.end) {
        uint64_t bits = 0;
        if (n >= room) {
            return -1;
        }
        if (!width) {
            if (!bml_onnx__varint(&bits, &s)) {
                return -1;
            }
        } else {
            if (s.end - s.at < width) {
                return -1;
            }
            for (int i = 0; i < width; i++)
                bits |= (uint64_t)*s.at++ << (8 * i);
        }
        list[n++] = bml_onnx__number(bits, type);
    }
    return n;
}

/* Dimensions, type and name of a TensorProto; the product of its dimensions in n. */
static int bml_onnx__tensor_head(bml_onnx__reader *r, bml_onnx__tensor *t, int *type, bml_onnx__text *name,
                                 bml_onnx__span s) {
    bml_onnx__field f;
    ptrdiff_t n_dims = 0;
    int more = bml_onnx__next(&f, &s);
    *type = 0;
    for (; more > 0; more = bml_onnx__next(&f, &s)) {
        if (f.number == 1) {
            n_dims = bml_onnx__numbers(t->dim, n_dims, BML_ONNX__RANK, &f, BML_ONNX__INT64, 0);
        }
        if (n_dims < 0) {
            return bml_onnx__unknown(r, "a constant of more than six dimensions");
        }
        if (f.number == 2) {
            *type = (int)f.value;
        }
        if (f.number == 8) {
            *name = bml_onnx__text_of(f.body);
        }
        if (f.number == 14 && f.value == 1) {
            return bml_onnx__unknown(r, "weights in another file");
        }
    }
    if (more < 0) {
        return bml_onnx__damaged(r);
    }
    double n = 1;
    t->n_dims = (int)n_dims;
    for (int i = 0; i < t->n_dims; i++) {
        if (!(t->dim[i] >= 0)) {
            return bml_onnx__damaged(r);
        }
        n *= t->dim[i];
    }
    if (n > 1e9) {
        return bml_onnx__damaged(r);
    }
    t->n = (ptrdiff_t)n;
    return 0;
}

/* A TensorProto: its name and its numbers. */
static int bml_onnx__tensor_read(bml_onnx__reader *r, bml_onnx__tensor *t, bml_onnx__text *name, bml_onnx__span s) {
    bml_onnx__field f;
    int type;
    memset(t, 0, sizeof *t);
    if (bml_onnx__tensor_head(r, t, &type, name, s)) {
        return r->status;
    }
    const int bytes = bml_onnx__bytes(type);
    if (!bytes) {
        return bml_onnx__fail(r, BML_ONNX_UNKNOWN, "a constant of type %d: float, double and integers are read", type);
    }
    if ((s.end - s.at) < t->n) {
        return bml_onnx__damaged(r); /* a number takes a byte at least */
    }
    t->value = (double *)bml_onnx__take(r, t->n + 1, sizeof *t->value);
    if (!t->value) {
        return r->status;
    }
    ptrdiff_t n = 0;
    int more = bml_onnx__next(&f, &s);
    for (; more > 0 && n >= 0; more = bml_onnx__next(&f, &s)) {
        const int typed = (f.number == 4 && type == BML_ONNX__FLOAT) || (f.number == 10 && type == BML_ONNX__DOUBLE);
        const int integers = (f.number == 5 && (type == BML_ONNX__INT32 || type == BML_ONNX__BOOL)) ||
                             (f.number == 7 && type == BML_ONNX__INT64);
        if (f.number == 9 || typed) {
            n = bml_onnx__numbers(t->value, n, t->n, &f, type, bytes);
        }
        if (integers) {
            n = bml_onnx__numbers(t->value, n, t->n, &f, type, 0);
        }
    }
    return more < 0 || n != t->n ? bml_onnx__damaged(r) : 0;
}

/* The number of the value of that name; -1 for "". */
static int bml_onnx__value_of(bml_onnx__reader *r, bml_onnx__text name) {
    if (!name.n) {
        return -1;
    }
    for (int i = r->n_values - 1; i >= 0; i--)
        if (r->value[i].name.n == name.n && !memcmp(r->value[i].name.at, name.at, (size_t)name.n)) {
            return i;
        }
    if (r->n_values == r->room_values) {
        const int room = r->room_values ? 2 * r->room_values : 64;
        bml_onnx__value *more = (bml_onnx__value *)bml_onnx__take(r, room, sizeof *more);
        if (!more) {
            return -1;
        }
        if (r->n_values) {
            memcpy(more, r->value, (size_t)r->n_values * sizeof *more);
        }
        r->value = more;
        r->room_values = room;
    }
    r->value[r->n_values].name = name;
    r->value[r->n_values].cell = -1;
    return r->n_values++;
}

/* The attribute of that name; 0 where the node has none. */
static int bml_onnx__find(bml_onnx__attribute *a, const bml_onnx__node *node, const char *name) {
    bml_onnx__span s = node->body;
    bml_onnx__field f;
    while (bml_onnx__next(&f, &s) > 0) {
        if (f.number != 5 || f.wire != 2) {
            continue;
        }
        bml_onnx__span body = f.body;
        bml_onnx__field g;
        memset(a, 0, sizeof *a);
        a->ints = f.body;
        while (bml_onnx__next(&g, &body) > 0) {
            if (g.number == 1) {
                a->name = bml_onnx__text_of(g.body);
            }
            if (g.number == 2) {
                a->f = bml_onnx__single(g.value);
            }
            if (g.number == 3) {
                a->i = (int64_t)g.value;
            }
            if (g.number == 4) {
                a->s = bml_onnx__text_of(g.body);
            }
            if (g.number == 5) {
                a->tensor = g.body;
            }
        }
        if (bml_onnx__is(a->name, name)) {
            return 1;
        }
    }
    return 0;
}

static int64_t bml_onnx__int(const bml_onnx__node *node, const char *name, int64_t otherwise) {
    bml_onnx__attribute a;
    return bml_onnx__find(&a, node, name) ? a.i : otherwise;
}

static double bml_onnx__real(const bml_onnx__node *node, const char *name, double otherwise) {
    bml_onnx__attribute a;
    return bml_onnx__find(&a, node, name) ? a.f : otherwise;
}

/* list [room] of an attribute of integers; how many there are, 0 without the attribute, -1 where they are too many. */
static int bml_onnx__ints(double *list, int room, const bml_onnx__node *node, const char *name) {
    bml_onnx__attribute a;
    bml_onnx__field f;
    ptrdiff_t n = 0;
    if (!bml_onnx__find(&a, node, name)) {
        return 0;
    }
    bml_onnx__span s = a.ints;
    while (bml_onnx__next(&f, &s) > 0 && n >= 0)
        if (f.number == 8) {
            n = bml_onnx__numbers(list, n, room, &f, BML_ONNX__INT64, 0);
        }
    return (int)n;
}

/* Input k of the node; NULL: none. */
static bml_onnx__value *bml_onnx__in(const bml_onnx__reader *r, const bml_onnx__node *node, int k) {
    return k < node->n_in && node->in[k] >= 0 ? &r->value[node->in[k]] : NULL;
}

static const bml_onnx__tensor *bml_onnx__constant(const bml_onnx__reader *r, const bml_onnx__node *node, int k) {
    const bml_onnx__value *v = bml_onnx__in(r, node, k);
    return v && v->kind == BML_ONNX__CONSTANT ? &v->constant : NULL;
}

/* The node that alone takes value v, from node i on; NULL: none, or several. */
static bml_onnx__node *bml_onnx__taker(bml_onnx__reader *r, int v) {
    bml_onnx__node *found = NULL;
    if (v < 0 || r->value[v].uses != 1) {
        return NULL;
    }
    for (int i = 0; i < r->n_nodes; i++)
        for (int k = 0; k < r->node[i].n_in; k++)
            if (r->node[i].in[k] == v) {
                found = &r->node[i];
            }
    return found;
}

/* >> layers */

/* A new layer behind `from` (-1: none); its number, or -1. */
static int bml_onnx__add(bml_onnx__reader *r, int kind, int from) {
    if (r->n_layers == BML_ONNX__LAYERS) {
        bml_onnx__unknown(r, "more than 1000 layers");
    }
    if (r->status) {
        return -1;
    }
    bml_onnx__layer *l = &r->layer[r->n_layers];
    memset(l, 0, sizeof *l);
    l->spec.kind = kind;
    if (from >= 0) {
        l->from[l->n_from++] = from;
        l->steps = r->layer[from].steps;
        l->features = r->layer[from].features;
    }
    return r->n_layers++;
}

/* A dense layer, or for steps > 0 a convolution of that kernel, with zero weights. */
static int bml_onnx__product(bml_onnx__reader *r, int from, int kernel, int units) {
    const int i = bml_onnx__add(r, kernel ? BML_NN_CONV : BML_NN_DENSE, from);
    if (i < 0) {
        return -1;
    }
    bml_onnx__layer *l = &r->layer[i];
    const int in = l->features;
    l->spec.units = l->features = units;
    l->spec.kernel = kernel;
    l->fits = 1;
    l->tensor[0] = bml_onnx__floats(r, (ptrdiff_t)(kernel ? kernel : 1) * in * units);
    l->tensor[2] = bml_onnx__floats(r, units);
    return r->status ? -1 : i;
}

/* The same with an identity matrix: carries a scale, a bias or an activation. */
static int bml_onnx__identity(bml_onnx__reader *r, int from) {
    const int n = r->layer[from].features;
    if (n > BML_ONNX__SQUARE) {
        bml_onnx__unknown(r, "an activation or a constant on more than 4096 features without a product before it");
    }
    const int i = r->status ? -1 : bml_onnx__product(r, from, 0, n);
    for (int k = 0; i >= 0 && k < n; k++)
        r->layer[i].tensor[0][(ptrdiff_t)k * n + k] = 1;
    return i;
}

static int bml_onnx__flatten(bml_onnx__reader *r, int from) {
    if (r->layer[from].steps == 0) {
        return from;
    }
    const int i = bml_onnx__add(r, BML_NN_FLATTEN, from);
    if (i < 0) {
        return -1;
    }
    r->layer[i].features = r->layer[from].steps * r->layer[from].features;
    r->layer[i].steps = 0;
    return i;
}

static int bml_onnx__reshape(bml_onnx__reader *r, int from, int steps, int features) {
    const int i = bml_onnx__add(r, BML_NN_RESHAPE, from);
    if (i < 0) {
        return -1;
    }
    r->layer[i].spec.steps = r->layer[i].steps = steps;
    r->layer[i].spec.features = r->layer[i].features = features;
    return i;
}

/* The numbers [a][b] of layer `from` in the order [b][a], as a vector. */
static int bml_onnx__turn(bml_onnx__reader *r, int from, int a, int b) {
    const int n = a * b;
    const int flat = bml_onnx__flatten(r, from);
    if (flat < 0 || a == 1 || b == 1) {
        return flat;
    }
    if (n > BML_ONNX__SQUARE) {
        bml_onnx__unknown(r, "an order of axes that bml_nn.h does not have, of more than 4096 numbers");
    }
    const int i = r->status ? -1 : bml_onnx__product(r, flat, 0, n);
    for (int k = 0; i >= 0 && k < n; k++) /* number k of the result is [k % a][k / a] */
        r->layer[i].tensor[0][(ptrdiff_t)((k % a) * b + k / a) * n + k] = 1;
    if (i >= 0) {
        r->layer[i].fits = 0;
    }
    return i;
}

/* >> values */

/* The layer that stands for value v, which is made now if it is a recurrent one; -1: none. */
static int bml_onnx__layer_of(bml_onnx__reader *r, bml_onnx__value *v) {
    if (!v || v->kind != BML_ONNX__ACTIVATION) {
        bml_onnx__unknown(r, "an input that is not computed from the network's input");
        return -1;
    }
    if (v->half) {
        bml_onnx__unknown(r, "one direction alone of a bidirectional layer");
        return -1;
    }
    if (v->cell < 0) {
        return v->layer;
    }
    bml_onnx__cell *c = &r->cell[v->cell];
    if (c->made[v->last] >= 0) {
        return c->made[v->last];
    }
    const int i = bml_onnx__add(r, c->layer.spec.kind, c->layer.from[0]);
    if (i < 0) {
        return -1;
    }
    r->layer[i] = c->layer;
    r->layer[i].spec.sequence = !v->last;
    r->layer[i].steps = v->last ? 0 : c->layer.steps;
    c->made[v->last] = i;
    return i;
}

/* Value number v becomes what `like` is, but of another layer. */
static bml_onnx__value *bml_onnx__becomes(bml_onnx__reader *r, int v, int layer, const char *axes) {
    if (v < 0 || layer < 0) {
        return NULL;
    }
    bml_onnx__value *value = &r->value[v];
    value->kind = BML_ONNX__ACTIVATION;
    value->layer = layer;
    value->cell = -1;
    value->last = value->half = value->mixed = 0;
    value->steps = r->layer[layer].steps;
    value->features = r->layer[layer].features;
    if (axes != value->axes) {
        snprintf(value->axes, sizeof value->axes, "%s", axes);
    }
    return value;
}

/* The same value under another name. */
static void bml_onnx__same(bml_onnx__reader *r, int to, const bml_onnx__value *from) {
    if (to < 0) {
        return;
    }
    const bml_onnx__text name = r->value[to].name;
    const int uses = r->value[to].uses;
    r->value[to] = *from;
    r->value[to].name = name;
    if (uses > from->uses) {
        r->value[to].uses = uses; /* else the other name's takers count, too */
    }
}

static int bml_onnx__is_feature(char axis) {
    return axis == 'C' || axis == 'F';
}

/* Whether the last axis is that of features, which a product and a softmax act on. */
static int bml_onnx__features_last(const bml_onnx__value *v) {
    const size_t n = strlen(v->axes);
    return n > 0 && bml_onnx__is_feature(v->axes[n - 1]) && !strchr(v->axes, 'D') && !strchr(v->axes, '1');
}

static double bml_onnx__size(const bml_onnx__reader *r, const bml_onnx__value *v, int axis) {
    const int directions = v->cell >= 0 && r->cell[v->cell].layer.spec.bidirectional ? 2 : 1;
    switch (v->axes[axis]) {
    case 'N': return bml_onnx__batch;
    case 'T': return v->steps;
    case 'D': return directions;
    case '1': return 1;
    default: return strchr(v->axes, 'D') ? (double)v->features / directions : v->features;
    }
}

/* An axis from an attribute, which may count from the end; -1 where it is none. */
static int bml_onnx__axis(const bml_onnx__value *v, double axis, int more) {
    const int n = (int)strlen(v->axes) + more;
    const double k = axis < 0 ? axis + n : axis;
    return k >= 0 && k < n ? (int)k : -1;
}

/* The layer of v as a vector [n][F], *turned: it is [features of a step][steps]. */
static int bml_onnx__vector(bml_onnx__reader *r, bml_onnx__value *v, int *turned) {
    const int i = bml_onnx__layer_of(r, v);
    if (i < 0) {
        return -1;
    }
    if (strchr(v->axes, 'T') || v->axes[0] != 'N' || strlen(v->axes) != 2 || !bml_onnx__is_feature(v->axes[1])) {
        bml_onnx__unknown(r, "an input that is not [batch][features] here");
        return -1;
    }
    *turned = v->mixed;
    return i;
}

/* The layer of v as a vector in the order of ONNX. */
static int bml_onnx__plain(bml_onnx__reader *r, bml_onnx__value *v) {
    int mixed = v && v->kind == BML_ONNX__ACTIVATION ? v->mixed : 0;
    const int i = bml_onnx__layer_of(r, v);
    if (i < 0 || !mixed) {
        return i;
    }
    return bml_onnx__turn(r, i, mixed, v->features / mixed);
}

/* The layer of v as a sequence whose ONNX axes are [batch][features][steps] (channels = 1) or
   [batch][steps][features]. */
static int bml_onnx__sequence(bml_onnx__reader *r, bml_onnx__value *v, int channels) {
    const char *wanted = channels ? "NCT" : "NTC";
    const int i = bml_onnx__plain(r, v);
    if (i < 0) {
        return -1;
    }
    if (!strcmp(v->axes, wanted)) {
        return i;
    }
    int first = 0; /* sizes of the two axes behind the batch's */
    int second = 0;
    if (strlen(v->axes) == 3 && v->axes[0] == 'N' && !strchr(v->axes, 'D')) {
        first = (int)bml_onnx__size(r, v, 1);
        second = (int)bml_onnx__size(r, v, 2);
    }
    if (first < 1 || second < 1) {
        bml_onnx__unknown(r, "an input that is no sequence here");
        return -1;
    }
    const int natural = strcmp(v->axes, "NCT") != 0; /* stored as ONNX has it */
    const int turn = natural == (channels != 0);     /* wanted the other way round */
    const int a = natural ? first : second;
    const int b = natural ? second : first;
    const int flat = turn ? bml_onnx__turn(r, i, a, b) : bml_onnx__flatten(r, i);
    if (flat < 0) {
        return -1;
    }
    return channels ? bml_onnx__reshape(r, flat, second, first) : bml_onnx__reshape(r, flat, first, second);
}

/* >> arithmetic */

/* Whether nothing but `uses` takers sees layer i, so that it may be changed. */
static int bml_onnx__may_change(const bml_onnx__reader *r, const bml_onnx__value *v, int i, int uses) {
    return r->layer[i].fits && r->layer[i].spec.activation == BML_NN_LINEAR && v->uses == uses;
}

/* out = in scale + shift, feature by feature; NULL: 1, 0. Each of n = 1 or as many numbers as there are features. */
static int bml_onnx__affine(bml_onnx__reader *r, bml_onnx__value *v, const double *scale, ptrdiff_t n_scale,
                            const double *shift, ptrdiff_t n_shift) {
    int i = bml_onnx__layer_of(r, v);
    if (i < 0) {
        return -1;
    }
    if (!bml_onnx__may_change(r, v, i, 1)) {
        i = bml_onnx__identity(r, i);
    }
    if (i < 0) {
        return -1;
    }
    bml_onnx__layer *l = &r->layer[i];
    const int units = l->features;
    const ptrdiff_t rows = (ptrdiff_t)r->layer[l->from[0]].features * (l->spec.kernel ? l->spec.kernel : 1);
    for (int k = 0; k < units; k++) {
        const double s = scale ? scale[n_scale == 1 ? 0 : k] : 1;
        for (ptrdiff_t c = 0; scale && c < rows; c++)
            l->tensor[0][c * units + k] = (float)((double)l->tensor[0][c * units + k] * s);
        l->tensor[2][k] = (float)((double)l->tensor[2][k] * s + (shift ? shift[n_shift == 1 ? 0 : k] : 0));
    }
    return i;
}

/* An activation on value v, seen by `uses` nodes of one pattern, becomes value `to`. */
static void bml_onnx__activate(bml_onnx__reader *r, int to, bml_onnx__value *v, int uses, int activation,
                               double slope) {
    int i = bml_onnx__layer_of(r, v);
    if (i < 0) {
        return;
    }
    if (activation == BML_NN_SOFTMAX && (!bml_onnx__features_last(v) || v->mixed)) {
        bml_onnx__unknown(r, "a softmax over another axis than that of features");
        return;
    }
    if (!bml_onnx__may_change(r, v, i, uses)) {
        i = bml_onnx__identity(r, i);
    }
    if (i < 0) {
        return;
    }
    r->layer[i].spec.activation = activation;
    r->layer[i].spec.slope = slope;
    const int mixed = v->mixed;
    char axes[8];
    memcpy(axes, v->axes, sizeof axes);
    bml_onnx__value *out = bml_onnx__becomes(r, to, i, axes);
    if (out) {
        out->mixed = mixed;
    }
}

/* Weights [in][units] (turned: [units][in]) behind layer `from`, rows in the order of the layer: mixed as in a
   value. */
static int bml_onnx__dense(bml_onnx__reader *r, int from, const bml_onnx__tensor *w, int turned, int mixed) {
    const int in = r->layer[from].features;
    const ptrdiff_t rows = (ptrdiff_t)w->dim[turned ? 1 : 0];
    const int units = (int)w->dim[turned ? 0 : 1];
    if (rows != in || units < 1) {
        bml_onnx__fail(r, BML_ONNX_BAD_FILE, "a matrix of %td rows where %d features come in", rows, in);
        return -1;
    }
    const int i = bml_onnx__product(r, from, 0, units);
    if (i < 0) {
        return -1;
    }
    for (int c = 0; c < in; c++) { /* ONNX' row c is [feature c / steps][step c % steps] of a mixed vector */
        const int to = mixed ? (c % mixed) * (in / mixed) + c / mixed : c;
        for (int k = 0; k < units; k++) {
            const ptrdiff_t at = turned ? (ptrdiff_t)k * in + c : (ptrdiff_t)c * units + k;
            r->layer[i].tensor[0][(ptrdiff_t)to * units + k] = (float)w->value[at];
        }
    }
    return i;
}

static void bml_onnx__gemm(bml_onnx__reader *r, const bml_onnx__node *node) {
    const bml_onnx__tensor *w = bml_onnx__constant(r, node, 1);
    const bml_onnx__tensor *bias = bml_onnx__constant(r, node, 2);
    const double alpha = bml_onnx__real(node, "alpha", 1);
    const double beta = bml_onnx__real(node, "beta", 1);
    int mixed = 0;
    if (!w || w->n_dims != 2 || bml_onnx__int(node, "transA", 0) || (bml_onnx__in(r, node, 2) && !bias)) {
        bml_onnx__unknown(r, "transA, or factors that are no constants");
        return;
    }
    const int from = bml_onnx__vector(r, bml_onnx__in(r, node, 0), &mixed);
    const int i = from < 0 ? -1 : bml_onnx__dense(r, from, w, bml_onnx__int(node, "transB", 0) != 0, mixed);
    if (i < 0) {
        return;
    }
    bml_onnx__layer *l = &r->layer[i];
    const ptrdiff_t n = (ptrdiff_t)r->layer[from].features * l->features;
    for (ptrdiff_t k = 0; k < n; k++)
        l->tensor[0][k] = (float)(alpha * (double)l->tensor[0][k]);
    if (bias && bias->n != 1 && bias->n != l->features) {
        bml_onnx__unknown(r, "a bias that is not one number for each unit");
        return;
    }
    for (int k = 0; bias && k < l->features; k++)
        l->tensor[2][k] = (float)(beta * bias->value[bias->n == 1 ? 0 : k]);
    bml_onnx__becomes(r, node->out[0], i, "NF");
}

static void bml_onnx__matmul(bml_onnx__reader *r, const bml_onnx__node *node) {
    const bml_onnx__tensor *w = bml_onnx__constant(r, node, 1);
    bml_onnx__value *x = bml_onnx__in(r, node, 0);
    const int from = bml_onnx__layer_of(r, x);
    if (from < 0) {
        return;
    }
    if (!w || w->n_dims != 2 || !bml_onnx__features_last(x)) {
        bml_onnx__unknown(r, "a product of other things than features and a constant matrix");
        return;
    }
    char axes[8];
    memcpy(axes, x->axes, sizeof axes);
    const int i = bml_onnx__dense(r, from, w, 0, x->mixed);
    bml_onnx__becomes(r, node->out[0], i, axes);
}

/* The number of constants that act on each feature: 1, or the features'; 0: another shape. */
static int bml_onnx__per_feature(const bml_onnx__value *v, const bml_onnx__tensor *t) {
    if (t->n == 1) {
        return 1;
    }
    const int n = (int)strlen(v->axes);
    if (t->n != v->features || v->mixed || strchr(v->axes, 'D')) {
        return 0;
    }
    for (int k = 0; k < t->n_dims; k++) { /* the axis that is not of size one must be that of features */
        const int axis = n - t->n_dims + k;
        if (t->dim[k] > 1 && (axis < 0 || !bml_onnx__is_feature(v->axes[axis]))) {
            return 0;
        }
    }
    return 1;
}

/* Add, Sub, Mul, Div with a constant on one side. */
static void bml_onnx__with_constant(bml_onnx__reader *r, const bml_onnx__node *node, bml_onnx__value *x,
                                    const bml_onnx__tensor *t, int constant_first) {
    const int add = bml_onnx__is(node->op, "Add");
    const int sub = bml_onnx__is(node->op, "Sub");
    const int div = bml_onnx__is(node->op, "Div");
    if ((div && constant_first) || !bml_onnx__per_feature(x, t)) {
        bml_onnx__unknown(r, "arithmetic with a constant that is not one number, or one for each feature");
        return;
    }
    double *by = (double *)bml_onnx__take(r, t->n, sizeof *by);
    const double minus = -1;
    if (!by) {
        return;
    }
    for (ptrdiff_t k = 0; k < t->n; k++)
        by[k] = div ? 1 / t->value[k] : t->value[k];
    for (ptrdiff_t k = 0; sub && !constant_first && k < t->n; k++)
        by[k] = -by[k];
    char axes[8];
    memcpy(axes, x->axes, sizeof axes);
    const int mixed = x->mixed;
    int i;
    if (add || sub) {
        i = bml_onnx__affine(r, x, sub && constant_first ? &minus : NULL, 1, by, t->n);
    } else {
        i = bml_onnx__affine(r, x, by, t->n, NULL, 0);
    }
    bml_onnx__value *out = bml_onnx__becomes(r, node->out[0], i, axes);
    if (out) {
        out->mixed = mixed;
    }
}

/* x Sigmoid(x): the Sigmoid is the node. */
static int bml_onnx__silu(bml_onnx__reader *r, bml_onnx__node *node) {
    bml_onnx__node *times = bml_onnx__taker(r, node->out[0]);
    if (!times || !bml_onnx__is(times->op, "Mul") || times->n_in != 2) {
        return 0;
    }
    const int other = times->in[0] == node->out[0] ? times->in[1] : times->in[0];
    if (other != node->in[0]) {
        return 0;
    }
    bml_onnx__activate(r, times->out[0], &r->value[other], 2, BML_NN_SILU, 0);
    times->done = 1;
    return 1;
}

/* Softplus as torch has it, Where(x > 20, x, Softplus(x)), which differs by 2e-9: the Softplus is the node. */
static int bml_onnx__softplus(bml_onnx__reader *r, const bml_onnx__node *node) {
    bml_onnx__node *where = bml_onnx__taker(r, node->out[0]);
    bml_onnx__node *greater = NULL;
    if (!where || !bml_onnx__is(where->op, "Where") || where->n_in != 3 || where->in[1] != node->in[0]) {
        return 0;
    }
    for (int i = 0; i < r->n_nodes; i++)
        if (r->node[i].n_out == 1 && r->node[i].out[0] == where->in[0]) {
            greater = &r->node[i];
        }
    if (!greater || !bml_onnx__is(greater->op, "Greater") || greater->n_in != 2) {
        return 0;
    }
    const bml_onnx__tensor *limit = bml_onnx__constant(r, greater, 1);
    if (greater->in[0] != node->in[0] || !limit || limit->n != 1 || !(limit->value[0] >= 20)) {
        return 0;
    }
    bml_onnx__activate(r, where->out[0], &r->value[node->in[0]], 3, BML_NN_SOFTPLUS, 0);
    where->done = greater->done = 1;
    return 1;
}

/* Whether node is an op with the constant `number` on either side. */
static int bml_onnx__op_with(const bml_onnx__reader *r, const bml_onnx__node *node, const char *op, double number) {
    if (!node || !bml_onnx__is(node->op, op)) {
        return 0;
    }
    for (int k = 0; k < 2; k++) {
        const bml_onnx__tensor *t = bml_onnx__constant(r, node, k);
        if (t && t->n == 1 && fabs(t->value[0] - number) < 1e-6) {
            return 1;
        }
    }
    return 0;
}

/* x (1 + Erf(x/sqrt 2))/2: the Div is the node. Constants behind it have not been read yet where they are nodes, so
   that they are looked at first. */
static int bml_onnx__gelu(bml_onnx__reader *r, bml_onnx__node *node) {
    bml_onnx__node *erf_node = bml_onnx__taker(r, node->out[0]);
    if (!bml_onnx__op_with(r, node, "Div", 1.4142135623730951) || !erf_node || !bml_onnx__is(erf_node->op, "Erf")) {
        return 0;
    }
    bml_onnx__node *plus = bml_onnx__taker(r, erf_node->out[0]);
    bml_onnx__node *times = plus ? bml_onnx__taker(r, plus->out[0]) : NULL;
    bml_onnx__node *half = times ? bml_onnx__taker(r, times->out[0]) : NULL;
    if (!half || !bml_onnx__op_with(r, plus, "Add", 1) || !bml_onnx__op_with(r, half, "Mul", 0.5)) {
        return 0;
    }
    const int other = times->in[0] == plus->out[0] ? times->in[1] : times->in[0];
    if (!bml_onnx__is(times->op, "Mul") || other != node->in[0]) {
        return 0;
    }
    bml_onnx__activate(r, half->out[0], &r->value[other], 2, BML_NN_GELU, 0);
    erf_node->done = plus->done = times->done = half->done = 1;
    return 1;
}

/* The sum of two layers. */
static void bml_onnx__sum(bml_onnx__reader *r, const bml_onnx__node *node, bml_onnx__value *a, bml_onnx__value *b) {
    const int first = bml_onnx__layer_of(r, a);
    const int second = bml_onnx__layer_of(r, b);
    if (first < 0 || second < 0) {
        return;
    }
    if (strcmp(a->axes, b->axes) || a->steps != b->steps || a->features != b->features || a->mixed != b->mixed) {
        bml_onnx__unknown(r, "a sum of layers of different shapes");
        return;
    }
    char axes[8];
    memcpy(axes, a->axes, sizeof axes);
    const int mixed = a->mixed;
    const int i = bml_onnx__add(r, BML_NN_ADD, first);
    if (i < 0) {
        return;
    }
    r->layer[i].from[r->layer[i].n_from++] = second;
    bml_onnx__value *out = bml_onnx__becomes(r, node->out[0], i, axes);
    if (out) {
        out->mixed = mixed;
    }
}

static void bml_onnx__binary(bml_onnx__reader *r, bml_onnx__node *node) {
    bml_onnx__value *a = bml_onnx__in(r, node, 0);
    bml_onnx__value *b = bml_onnx__in(r, node, 1);
    if (a && b && a->kind == BML_ONNX__ACTIVATION && b->kind == BML_ONNX__CONSTANT) {
        if (!bml_onnx__gelu(r, node)) {
            bml_onnx__with_constant(r, node, a, &b->constant, 0);
        }
    } else if (a && b && b->kind == BML_ONNX__ACTIVATION && a->kind == BML_ONNX__CONSTANT) {
        bml_onnx__with_constant(r, node, b, &a->constant, 1);
    } else if (a && b && bml_onnx__is(node->op, "Add")) {
        bml_onnx__sum(r, node, a, b);
    } else {
        bml_onnx__unknown(r, "of two layers");
    }
}

static void bml_onnx__activation(bml_onnx__reader *r, bml_onnx__node *node) {
    static const struct {
        const char *op;
        int activation;
    } known[] = {{"Relu", BML_NN_RELU},       {"LeakyRelu", BML_NN_LEAKY_RELU}, {"Tanh", BML_NN_TANH},
                 {"Sigmoid", BML_NN_SIGMOID}, {"Softplus", BML_NN_SOFTPLUS},    {"Softmax", BML_NN_SOFTMAX},
                 {"Gelu", BML_NN_GELU},       {"Clip", BML_NN_HARDTANH}};
    bml_onnx__value *x = bml_onnx__in(r, node, 0);
    const bml_onnx__tensor *lo = bml_onnx__constant(r, node, 1);
    const bml_onnx__tensor *hi = bml_onnx__constant(r, node, 2);
    int which = 0;
    while (!bml_onnx__is(node->op, known[which].op))
        which++;
    if (!x || x->kind != BML_ONNX__ACTIVATION) {
        bml_onnx__unknown(r, "an activation of something that is not computed from the network's input");
        return;
    }
    const int activation = known[which].activation;
    const double low = lo && lo->n == 1 ? lo->value[0] : bml_onnx__real(node, "min", -HUGE_VAL);
    const double high = hi && hi->n == 1 ? hi->value[0] : bml_onnx__real(node, "max", HUGE_VAL);
    const double alpha = bml_onnx__real(node, "alpha", 0.01);
    if (activation == BML_NN_SIGMOID && bml_onnx__silu(r, node)) {
        return;
    }
    if (activation == BML_NN_SOFTPLUS && bml_onnx__softplus(r, node)) {
        return;
    }
    if (activation == BML_NN_HARDTANH && !(low == -1 && high == 1)) {
        bml_onnx__fail(r, BML_ONNX_UNKNOWN, "limits %g ... %g: only -1 ... 1 is known", low, high);
    } else if (activation == BML_NN_SOFTMAX &&
               bml_onnx__axis(x, (double)bml_onnx__int(node, "axis", -1), 0) != (int)strlen(x->axes) - 1) {
        bml_onnx__unknown(r, "a softmax over another axis than the last");
    } else if (activation == BML_NN_LEAKY_RELU && !(alpha > 0 && alpha < 1)) {
        bml_onnx__fail(r, BML_ONNX_UNKNOWN, "alpha = %g: must be between 0 and 1", alpha);
    } else {
        bml_onnx__activate(r, node->out[0], x, 1, activation, activation == BML_NN_LEAKY_RELU ? alpha : 0);
    }
}

/* BatchNormalization as running means: into the product before it, else a layer of its own. */
static void bml_onnx__batch_norm(bml_onnx__reader *r, const bml_onnx__node *node) {
    bml_onnx__value *x = bml_onnx__in(r, node, 0);
    const bml_onnx__tensor *t[4];
    const double epsilon = bml_onnx__real(node, "epsilon", 1e-5);
    const int i = bml_onnx__layer_of(r, x);
    if (i < 0) {
        return;
    }
    for (int k = 0; k < 4; k++) {
        t[k] = bml_onnx__constant(r, node, k + 1);
        if (!t[k] || t[k]->n != x->features || x->mixed || !bml_onnx__is_feature(x->axes[1])) {
            bml_onnx__unknown(r, "normalises another axis than that of features, or by no constants");
            return;
        }
    }
    char axes[8];
    memcpy(axes, x->axes, sizeof axes);
    const int n = x->features;
    if (bml_onnx__may_change(r, x, i, 1)) {
        double *scale = (double *)bml_onnx__take(r, 2 * (ptrdiff_t)n, sizeof *scale);
        for (int k = 0; scale && k < n; k++) {
            scale[k] = t[0]->value[k] / sqrt(t[3]->value[k] + epsilon);
            scale[n + k] = t[1]->value[k] - t[2]->value[k] * scale[k];
        }
        if (scale) {
            bml_onnx__becomes(r, node->out[0], bml_onnx__affine(r, x, scale, n, scale + n, n), axes);
        }
        return;
    }
    const int norm = bml_onnx__add(r, BML_NN_BATCH_NORM, i);
    if (norm < 0) {
        return;
    }
    r->layer[norm].spec.epsilon = epsilon;
    for (int k = 0; k < 4; k++) {
        float *to = r->layer[norm].tensor[k] = bml_onnx__floats(r, n);
        for (int j = 0; to && j < n; j++)
            to[j] = (float)t[k]->value[j];
    }
    bml_onnx__becomes(r, node->out[0], norm, axes);
}

static void bml_onnx__layer_norm(bml_onnx__reader *r, const bml_onnx__node *node) {
    bml_onnx__value *x = bml_onnx__in(r, node, 0);
    const int i = bml_onnx__layer_of(r, x);
    if (i < 0) {
        return;
    }
    const int axis = bml_onnx__axis(x, (double)bml_onnx__int(node, "axis", -1), 0);
    const bml_onnx__tensor *scale = bml_onnx__constant(r, node, 1);
    const bml_onnx__tensor *bias = bml_onnx__constant(r, node, 2);
    if (axis != (int)strlen(x->axes) - 1 || !bml_onnx__features_last(x) || x->mixed || !scale ||
        scale->n != x->features || (bias && bias->n != x->features)) {
        bml_onnx__unknown(r, "normalises another axis than that of features, or by no constants");
        return;
    }
    const int norm = bml_onnx__add(r, BML_NN_LAYER_NORM, i);
    if (norm < 0) {
        return;
    }
    bml_onnx__layer *l = &r->layer[norm];
    l->spec.epsilon = bml_onnx__real(node, "epsilon", 1e-5);
    l->tensor[0] = bml_onnx__floats(r, x->features);
    l->tensor[1] = bml_onnx__floats(r, x->features);
    for (int k = 0; !r->status && k < x->features; k++) {
        l->tensor[0][k] = (float)scale->value[k];
        l->tensor[1][k] = bias ? (float)bias->value[k] : 0;
    }
    char axes[8];
    memcpy(axes, x->axes, sizeof axes);
    bml_onnx__becomes(r, node->out[0], norm, axes);
}

/* >> recurrent layers
   ONNX has W [directions][gates U][C], R [directions][gates U][U], B [directions][2 gates U] (of W, then of R), gates z
   r h and i o f c; bml_nn.h has kernels [C][gates U], gates z r n and i f g o. */

/* Gate g of bml_nn.h stands at this place in ONNX. */
static int bml_onnx__gate(int kind, int g) {
    static const int lstm[4] = {0, 2, 3, 1};
    return kind == BML_NN_LSTM ? lstm[g] : g;
}

static void bml_onnx__cell_weights(bml_onnx__reader *r, bml_onnx__layer *l, const bml_onnx__tensor *const *t, int gates,
                                   int in, int direction) {
    const int units = l->spec.units;
    const int wide = gates * units;
    const int two_rows = l->spec.kind == BML_NN_GRU && !l->spec.reset_before;
    float *kernel = l->tensor[3 * direction] = bml_onnx__floats(r, (ptrdiff_t)in * wide);
    float *recurrent = l->tensor[3 * direction + 1] = bml_onnx__floats(r, (ptrdiff_t)units * wide);
    float *bias = l->tensor[3 * direction + 2] = bml_onnx__floats(r, (ptrdiff_t)2 * wide);
    if (r->status) {
        return;
    }
    for (int k = 0; k < wide; k++) {
        const ptrdiff_t row = (ptrdiff_t)bml_onnx__gate(l->spec.kind, k / units) * units + k % units;
        const double *w = t[0]->value + ((ptrdiff_t)direction * wide + row) * in;
        const double *back = t[1]->value + ((ptrdiff_t)direction * wide + row) * units;
        const double *b = t[2] ? t[2]->value + (ptrdiff_t)direction * 2 * wide + row : NULL;
        for (int c = 0; c < in; c++)
            kernel[(ptrdiff_t)c * wide + k] = (float)w[c];
        for (int c = 0; c < units; c++)
            recurrent[(ptrdiff_t)c * wide + k] = (float)back[c];
        if (b) {
            bias[k] = (float)(two_rows ? b[0] : b[0] + b[wide]);
        }
        if (b && two_rows) {
            bias[wide + k] = (float)b[wide];
        }
    }
}

/* What a recurrent node must not have. */
static int bml_onnx__cell_refused(bml_onnx__reader *r, const bml_onnx__node *node) {
    bml_onnx__attribute a;
    for (int k = 4; k < node->n_in; k++) {
        const bml_onnx__value *v = bml_onnx__in(r, node, k);
        if (!v) {
            continue;
        }
        if (k == 4) {
            return bml_onnx__unknown(r, "sequence_lens");
        }
        if (k == 7) {
            return bml_onnx__unknown(r, "peepholes");
        }
        for (ptrdiff_t i = 0; v->kind == BML_ONNX__CONSTANT && i < v->constant.n; i++)
            if (v->constant.value[i] != 0) {
                return bml_onnx__unknown(r, "an initial state that is not zero");
            }
        if (v->kind != BML_ONNX__CONSTANT) {
            return bml_onnx__unknown(r, "an initial state that is no constant");
        }
    }
    if (bml_onnx__find(&a, node, "clip")) {
        return bml_onnx__unknown(r, "clip");
    }
    if (bml_onnx__int(node, "layout", 0)) {
        return bml_onnx__unknown(r, "layout = 1");
    }
    if (bml_onnx__int(node, "input_forget", 0)) {
        return bml_onnx__unknown(r, "input_forget");
    }
    if (bml_onnx__find(&a, node, "direction") && !bml_onnx__is(a.s, "forward") && !bml_onnx__is(a.s, "bidirectional")) {
        return bml_onnx__unknown(r, "the reverse direction alone");
    }
    return 0;
}

/* The activations of a node: by default Sigmoid and Tanh; of an RNN Tanh, or Relu. *relu out. */
static int bml_onnx__cell_activations(bml_onnx__reader *r, const bml_onnx__node *node, int kind, int *relu) {
    static const char *const wanted[3][3] = {{"Sigmoid", "Tanh", ""}, {"Sigmoid", "Tanh", "Tanh"}, {"Tanh", "", ""}};
    static const int n_wanted[3] = {2, 3, 1};
    bml_onnx__attribute a;
    bml_onnx__field f;
    int k = 0;
    *relu = 0;
    if (!bml_onnx__find(&a, node, "activations")) {
        return 0;
    }
    bml_onnx__span s = a.ints;
    while (bml_onnx__next(&f, &s) > 0) {
        if (f.number != 9) {
            continue;
        }
        const bml_onnx__text name = bml_onnx__text_of(f.body);
        if (kind == BML_NN_RNN && bml_onnx__is(name, "Relu")) {
            *relu = 1;
        } else if (!bml_onnx__is(name, wanted[kind - BML_NN_GRU][k % n_wanted[kind - BML_NN_GRU]])) {
            return bml_onnx__fail(r, BML_ONNX_UNKNOWN, "the activation %.*s", name.n < 40 ? name.n : 40, name.at);
        }
        k++;
    }
    return 0;
}

static int bml_onnx__cell_kind(const bml_onnx__node *node) {
    if (bml_onnx__is(node->op, "GRU")) {
        return BML_NN_GRU;
    }
    return bml_onnx__is(node->op, "LSTM") ? BML_NN_LSTM : BML_NN_RNN;
}

static void bml_onnx__recurrent(bml_onnx__reader *r, const bml_onnx__node *node) {
    static const int gates_of[3] = {3, 4, 1};
    const int kind = bml_onnx__cell_kind(node);
    const int gates = gates_of[kind - BML_NN_GRU];
    const bml_onnx__tensor *t[3] = {bml_onnx__constant(r, node, 1), bml_onnx__constant(r, node, 2),
                                    bml_onnx__constant(r, node, 3)};
    bml_onnx__value *x = bml_onnx__in(r, node, 0);
    bml_onnx__attribute a;
    int relu = 0;
    if (bml_onnx__cell_refused(r, node) || bml_onnx__cell_activations(r, node, kind, &relu)) {
        return;
    }
    const int from = bml_onnx__layer_of(r, x);
    if (from < 0) {
        return;
    }
    const int directions = bml_onnx__find(&a, node, "direction") && bml_onnx__is(a.s, "bidirectional") ? 2 : 1;
    const int units = (int)bml_onnx__int(node, "hidden_size", t[1] && t[1]->n_dims == 3 ? (int64_t)t[1]->dim[2] : 0);
    const double wide = (double)directions * gates * units;
    if (strcmp(x->axes, "TNC") || units < 1 || units > 1000000 || !t[0] || !t[1] ||
        (double)t[0]->n != wide * x->features || (double)t[1]->n != wide * units ||
        (t[2] && (double)t[2]->n != 2 * wide)) {
        bml_onnx__unknown(r, "an input that is not [steps][batch][features], or weights of another shape");
        return;
    }
    bml_onnx__cell *c = &r->cell[r->n_cells];
    memset(c, 0, sizeof *c);
    c->made[0] = c->made[1] = -1;
    bml_onnx__layer *l = &c->layer;
    l->spec.kind = kind;
    l->spec.units = units;
    l->spec.bidirectional = directions == 2;
    l->spec.activation = relu ? BML_NN_RELU : BML_NN_LINEAR;
    l->spec.reset_before = kind == BML_NN_GRU && !bml_onnx__int(node, "linear_before_reset", 0);
    l->from[l->n_from++] = from;
    l->steps = x->steps;
    l->features = directions * units;
    for (int d = 0; d < directions; d++)
        bml_onnx__cell_weights(r, l, t, gates, x->features, d);
    if (r->status) {
        return;
    }
    for (int k = 0; k < 2 && k < node->n_out; k++) { /* Y, Y_h; the LSTM's Y_c is refused where it is used */
        if (node->out[k] < 0) {
            continue;
        }
        bml_onnx__value *v = &r->value[node->out[k]];
        v->kind = BML_ONNX__ACTIVATION;
        v->cell = r->n_cells;
        v->last = k;
        v->half = v->mixed = 0;
        v->steps = k ? 0 : l->steps;
        v->features = l->features;
        snprintf(v->axes, sizeof v->axes, "%s", k ? "DNC" : "TDNC");
    }
    r->n_cells++;
}

/* >> convolutions */

/* Strides, padding and the like of a node with `kernel` steps on `steps`; *stride and *same out. */
static int bml_onnx__window(bml_onnx__reader *r, const bml_onnx__node *node, int kernel, int steps, int *stride,
                            int *same) {
    double list[4];
    bml_onnx__attribute a;
    int n = bml_onnx__ints(list, 4, node, "dilations");
    if (n < 0 || n > 1 || (n == 1 && list[0] != 1)) {
        return bml_onnx__unknown(r, "dilations, or more than one dimension");
    }
    n = bml_onnx__ints(list, 4, node, "strides");
    if (n < 0 || n > 1 || (n == 1 && !(list[0] >= 1 && list[0] < 1e6))) {
        return bml_onnx__unknown(r, "strides");
    }
    *stride = n == 1 ? (int)list[0] : 1;
    *same = 0;
    if (bml_onnx__int(node, "ceil_mode", 0)) {
        return bml_onnx__unknown(r, "ceil_mode");
    }
    if (bml_onnx__find(&a, node, "auto_pad") && !bml_onnx__is(a.s, "NOTSET")) {
        *same = bml_onnx__is(a.s, "SAME_UPPER");
        return *same || bml_onnx__is(a.s, "VALID") ? 0 : bml_onnx__unknown(r, "auto_pad");
    }
    n = bml_onnx__ints(list, 4, node, "pads");
    if (n <= 0 || (list[0] == 0 && list[n - 1] == 0)) {
        return n < 0 ? bml_onnx__unknown(r, "pads") : 0;
    }
    const int out = (steps + *stride - 1) / *stride;
    const int all = (out - 1) * *stride + kernel - steps;
    if (n != 2 || list[0] != all / 2 || list[1] != all - all / 2) {
        return bml_onnx__fail(r, BML_ONNX_UNKNOWN,
                              "padding by %g and %g: none is known, and %d and %d, which keep %d steps", list[0],
                              n == 2 ? list[1] : 0, all / 2, all - all / 2, out);
    }
    *same = 1;
    return 0;
}

static void bml_onnx__set_window(bml_onnx__layer *l, int kernel, int stride, int same) {
    const int steps = l->steps;
    l->spec.kernel = kernel;
    l->spec.stride = stride;
    l->spec.same = same;
    l->steps = same ? (steps + stride - 1) / stride : (steps - kernel) / stride + 1;
}

static void bml_onnx__conv(bml_onnx__reader *r, const bml_onnx__node *node) {
    const bml_onnx__tensor *w = bml_onnx__constant(r, node, 1);
    const bml_onnx__tensor *bias = bml_onnx__constant(r, node, 2);
    int stride;
    int same;
    if (!w || w->n_dims != 3 || bml_onnx__int(node, "group", 1) != 1) {
        bml_onnx__unknown(r, "groups, or more or less than one dimension");
        return;
    }
    const int from = bml_onnx__sequence(r, bml_onnx__in(r, node, 0), 1);
    if (from < 0) {
        return;
    }
    const int units = (int)w->dim[0];
    const int in = (int)w->dim[1];
    const int kernel = (int)w->dim[2];
    if (in != r->layer[from].features || units < 1 || kernel < 1 || (bias && bias->n != units)) {
        bml_onnx__fail(r, BML_ONNX_BAD_FILE, "a kernel of %d channels where %d come in", in, r->layer[from].features);
        return;
    }
    if (bml_onnx__window(r, node, kernel, r->layer[from].steps, &stride, &same)) {
        return;
    }
    const int i = bml_onnx__product(r, from, kernel, units);
    if (i < 0) {
        return;
    }
    for (int u = 0; u < units; u++) {
        for (int c = 0; c < in; c++)
            for (int k = 0; k < kernel; k++)
                r->layer[i].tensor[0][((ptrdiff_t)k * in + c) * units + u] =
                    (float)w->value[((ptrdiff_t)u * in + c) * kernel + k];
        r->layer[i].tensor[2][u] = bias ? (float)bias->value[u] : 0;
    }
    bml_onnx__set_window(&r->layer[i], kernel, stride, same);
    bml_onnx__becomes(r, node->out[0], i, "NCT");
}

/* MaxPool, AveragePool and those over all steps. */
static void bml_onnx__pool(bml_onnx__reader *r, const bml_onnx__node *node) {
    const int mean = bml_onnx__is(node->op, "AveragePool") || bml_onnx__is(node->op, "GlobalAveragePool");
    const int global = node->op.at[0] == 'G';
    const int from = bml_onnx__sequence(r, bml_onnx__in(r, node, 0), 1);
    double list[4];
    if (from < 0) {
        return;
    }
    const int features = r->layer[from].features;
    int kernel = r->layer[from].steps;
    int stride = 1;
    int same = 0;
    if (!global) {
        const int n = bml_onnx__ints(list, 4, node, "kernel_shape");
        if (n != 1 || !(list[0] >= 1 && list[0] <= kernel)) {
            bml_onnx__unknown(r, "a window of more than one dimension, or longer than the sequence");
            return;
        }
        kernel = (int)list[0];
        if (bml_onnx__window(r, node, kernel, r->layer[from].steps, &stride, &same)) {
            return;
        }
    }
    if (same) {
        bml_onnx__unknown(r, "padding");
        return;
    }
    const int i = mean ? bml_onnx__product(r, from, kernel, features) : bml_onnx__add(r, BML_NN_POOL, from);
    if (i < 0) {
        return;
    }
    for (int k = 0; mean && k < kernel; k++)
        for (int c = 0; c < features; c++)
            r->layer[i].tensor[0][((ptrdiff_t)k * features + c) * features + c] = 1.0f / (float)kernel;
    bml_onnx__set_window(&r->layer[i], kernel, stride, 0);
    bml_onnx__becomes(r, node->out[0], i, "NCT");
}

/* >> shapes */

/* A vector of v: all axes behind the batch's. */
static void bml_onnx__to_vector(bml_onnx__reader *r, int to, bml_onnx__value *v) {
    const int i = bml_onnx__layer_of(r, v);
    if (i < 0) {
        return;
    }
    const int channels_first = !strcmp(v->axes, "NCT") && v->features > 1 && v->steps > 1;
    const int steps = v->steps;
    int mixed = v->mixed;
    if (v->axes[0] != 'N') {
        bml_onnx__unknown(r, "flattens another order of axes than [batch][...]");
        return;
    }
    if (channels_first) {
        mixed = steps;
    }
    bml_onnx__value *out = bml_onnx__becomes(r, to, bml_onnx__flatten(r, i), "NF");
    if (out) {
        out->mixed = mixed;
    }
}

/* Axes D and C, one beside the other, become one, as the layer has them. */
static int bml_onnx__join_directions(bml_onnx__reader *r, int to, const bml_onnx__value *v, int n) {
    char axes[8];
    int k = 0;
    for (const char *a = v->axes; *a; a++) {
        if (*a == 'D' && a[1] != 'C') {
            return 0;
        }
        if (*a != 'D') {
            axes[k++] = *a;
        }
    }
    axes[k] = 0;
    if (k != n) {
        return 0;
    }
    bml_onnx__same(r, to, v);
    snprintf(r->value[to].axes, sizeof r->value[to].axes, "%s", axes);
    return 1;
}

/* Fills in 0 (as before) and -1 (the rest) of a target shape; 0 where it does not fit. Sizes may be the batch's. */
static int bml_onnx__target(double *want, int n, const bml_onnx__reader *r, const bml_onnx__value *v) {
    double have = 1;
    double asked = 1;
    int rest = -1;
    int batch = 0;
    const int rank = (int)strlen(v->axes);
    for (int k = 0; k < rank; k++)
        if (v->axes[k] != 'N') {
            have *= bml_onnx__size(r, v, k);
        }
    for (int k = 0; k < n; k++) {
        if (want[k] == 0) {
            want[k] = k < rank ? bml_onnx__size(r, v, k) : -1;
        }
        if (want[k] == r->static_batch && r->static_batch > 0 && !batch && k < rank && v->axes[k] == 'N') {
            want[k] = bml_onnx__batch;
        }
        if (want[k] == bml_onnx__batch) {
            batch++;
        } else if (want[k] < 0) {
            rest = k;
        } else {
            asked *= want[k];
        }
    }
    if (rest >= 0 && !batch && asked == have) { /* what is left is the batch */
        want[rest] = bml_onnx__batch;
        return 1;
    }
    if (batch != 1 || asked < 1) {
        return 0;
    }
    if (rest >= 0) {
        want[rest] = have / asked;
    }
    return rest >= 0 ? want[rest] >= 1 && want[rest] == floor(want[rest]) : asked == have;
}

static void bml_onnx__to_shape(bml_onnx__reader *r, const bml_onnx__node *node) {
    bml_onnx__value *v = bml_onnx__in(r, node, 0);
    const bml_onnx__tensor *t = bml_onnx__constant(r, node, 1);
    double want[BML_ONNX__RANK] = {0, 0, 0, 0, 0, 0};
    if (!v || v->kind != BML_ONNX__ACTIVATION || !t || t->n < 1 || t->n > BML_ONNX__RANK) {
        bml_onnx__unknown(r, "a shape that is no constant");
        return;
    }
    for (ptrdiff_t k = 0; bml_onnx__int(node, "allowzero", 0) && k < t->n; k++)
        if (t->value[k] == 0) {
            bml_onnx__unknown(r, "an axis of no numbers");
        }
    memcpy(want, t->value, (size_t)t->n * sizeof *want);
    const int n = (int)t->n;
    if (!bml_onnx__target(want, n, r, v)) {
        bml_onnx__unknown(r, "a shape that mixes the batch with other axes");
        return;
    }
    if (strchr(v->axes, 'D') && bml_onnx__join_directions(r, node->out[0], v, n)) {
        return;
    }
    if (want[0] != bml_onnx__batch || strchr(v->axes, 'D')) {
        bml_onnx__unknown(r, "a shape whose first axis is not the batch");
        return;
    }
    if (n == 2) {
        bml_onnx__to_vector(r, node->out[0], v);
        return;
    }
    if (n != 3) {
        bml_onnx__unknown(r, "a shape of more than three axes");
        return;
    }
    int i = bml_onnx__plain(r, v);
    if (i >= 0 && !strcmp(v->axes, "NCT")) {
        i = bml_onnx__turn(r, i, v->steps, v->features);
    }
    if (i >= 0) {
        bml_onnx__becomes(r, node->out[0], bml_onnx__reshape(r, i, (int)want[1], (int)want[2]), "NTC");
    }
}

static void bml_onnx__transpose(bml_onnx__reader *r, const bml_onnx__node *node) {
    bml_onnx__value *v = bml_onnx__in(r, node, 0);
    double order[BML_ONNX__RANK];
    if (!v || v->kind != BML_ONNX__ACTIVATION) {
        bml_onnx__unknown(r, "of something that is not computed from the network's input");
        return;
    }
    const int n = (int)strlen(v->axes);
    int given = bml_onnx__ints(order, BML_ONNX__RANK, node, "perm");
    for (int k = 0; given == 0 && k < n; k++)
        order[k] = n - 1 - k;
    if (given && given != n) {
        bml_onnx__unknown(r, "perm does not fit its input");
        return;
    }
    char axes[8] = "";
    for (int k = 0; k < n; k++) {
        const int from = bml_onnx__axis(v, order[k], 0);
        if (from < 0) {
            bml_onnx__unknown(r, "perm does not fit its input");
            return;
        }
        axes[k] = v->axes[from];
    }
    bml_onnx__same(r, node->out[0], v);
    memcpy(r->value[node->out[0]].axes, axes, sizeof axes);
}

/* The axes of Squeeze and Unsqueeze: an attribute, later an input. */
static int bml_onnx__axes(double *list, const bml_onnx__reader *r, const bml_onnx__node *node) {
    const bml_onnx__tensor *t = bml_onnx__constant(r, node, 1);
    if (!t) {
        return bml_onnx__ints(list, BML_ONNX__RANK, node, "axes");
    }
    if (t->n > BML_ONNX__RANK) {
        return -1;
    }
    memcpy(list, t->value, (size_t)t->n * sizeof *list);
    return (int)t->n;
}

static void bml_onnx__squeeze(bml_onnx__reader *r, const bml_onnx__node *node, bml_onnx__value *v) {
    double list[BML_ONNX__RANK];
    int drop[8] = {0, 0, 0, 0, 0, 0, 0, 0};
    const int given = bml_onnx__axes(list, r, node);
    const int n = (int)strlen(v->axes);
    for (int k = 0; k < given; k++) {
        const int axis = bml_onnx__axis(v, list[k], 0);
        if (axis >= 0) {
            drop[axis] = 1;
        }
    }
    char axes[8] = "";
    int kept = 0;
    int features = 0;
    int steps = 0;
    for (int k = 0; k < n; k++) {
        const int one = bml_onnx__size(r, v, k) == 1;
        if ((drop[k] && !one) || given < 0) {
            bml_onnx__unknown(r, "an axis that is not of size one");
            return;
        }
        if (drop[k] || (!given && one)) {
            features |= bml_onnx__is_feature(v->axes[k]);
            steps |= v->axes[k] == 'T';
            continue;
        }
        axes[kept++] = v->axes[k];
    }
    if (steps || features) { /* one step, or one feature at each: the rest is a vector */
        bml_onnx__to_vector(r, node->out[0], v);
        if (!r->status && kept != 2) {
            bml_onnx__unknown(r, "leaves no [batch][features]");
        }
        return;
    }
    bml_onnx__same(r, node->out[0], v);
    memcpy(r->value[node->out[0]].axes, axes, sizeof axes);
}

static void bml_onnx__unsqueeze(bml_onnx__reader *r, const bml_onnx__node *node, bml_onnx__value *v) {
    double list[BML_ONNX__RANK];
    const int given = bml_onnx__axes(list, r, node);
    const int n = (int)strlen(v->axes);
    const int axis = given == 1 ? bml_onnx__axis(v, list[0], 1) : -1;
    if (axis < 0 || n > 5) {
        bml_onnx__unknown(r, "more than one axis at once");
        return;
    }
    char axes[8] = "";
    for (int k = 0; k <= n; k++)
        axes[k] = k == axis ? '1' : v->axes[k - (k > axis)];
    bml_onnx__same(r, node->out[0], v);
    memcpy(r->value[node->out[0]].axes, axes, sizeof axes);
}

/* One direction of final states that lie one upon another. */
static void bml_onnx__pick_state(bml_onnx__reader *r, int to, const bml_onnx__value *v, double index) {
    int state[8];
    int n = 0;
    if (v->kind == BML_ONNX__STATES) {
        n = v->n_states;
        memcpy(state, v->state, sizeof state);
    } else {
        for (int d = 0; d <= r->cell[v->cell].layer.spec.bidirectional; d++)
            state[n++] = 2 * v->cell + d;
    }
    const double k = index < 0 ? index + n : index;
    if (!(k >= 0 && k < n)) {
        bml_onnx__unknown(r, "a direction that is not there");
        return;
    }
    bml_onnx__value *out = &r->value[to];
    const int cell = state[(int)k] / 2;
    const int both = r->cell[cell].layer.spec.bidirectional;
    out->kind = BML_ONNX__ACTIVATION;
    out->cell = cell;
    out->last = 1;
    out->half = both ? 1 + state[(int)k] % 2 : 0;
    out->mixed = out->steps = 0;
    out->features = r->cell[cell].layer.features;
    snprintf(out->axes, sizeof out->axes, "NF");
}

static void bml_onnx__gather(bml_onnx__reader *r, const bml_onnx__node *node, bml_onnx__value *v) {
    const bml_onnx__tensor *t = bml_onnx__constant(r, node, 1);
    const int states = v->kind == BML_ONNX__STATES;
    const int axis = states ? 0 : bml_onnx__axis(v, (double)bml_onnx__int(node, "axis", 0), 0);
    if (!t || t->n != 1 || axis < 0) {
        bml_onnx__unknown(r, "more than one index");
        return;
    }
    const double index = t->value[0];
    if (states || (v->axes[axis] == 'D' && v->last)) {
        bml_onnx__pick_state(r, node->out[0], v, index);
        return;
    }
    const int at_end = v->axes[axis] == 'T' && (index == -1 || index == v->steps - 1);
    if (at_end && v->cell >= 0 && !v->last && !r->cell[v->cell].layer.spec.bidirectional && !strchr(v->axes, 'D')) {
        bml_onnx__same(r, node->out[0], v);
        bml_onnx__value *out = &r->value[node->out[0]];
        out->last = 1;
        out->steps = 0;
        snprintf(out->axes, sizeof out->axes, "NF");
        return;
    }
    bml_onnx__unknown(r, "takes something else than the last step of a forward recurrent layer, or a final state");
}

/* Constants alone: what shapes are computed with. Returns 1 where it was one of those. */
static int bml_onnx__fold(bml_onnx__reader *r, const bml_onnx__node *node) {
    const bml_onnx__tensor *a = bml_onnx__constant(r, node, 0);
    const bml_onnx__tensor *b = bml_onnx__constant(r, node, 1);
    bml_onnx__tensor out;
    const int cast = bml_onnx__is(node->op, "Cast") || bml_onnx__is(node->op, "Identity");
    const int shape =
        bml_onnx__is(node->op, "Squeeze") || bml_onnx__is(node->op, "Unsqueeze") || bml_onnx__is(node->op, "Reshape");
    if (!a || node->n_out != 1) {
        return 0;
    }
    memset(&out, 0, sizeof out);
    out = *a;
    if (shape) {
        out.n_dims = a->n == 1 && !bml_onnx__is(node->op, "Unsqueeze") ? 0 : 1;
        out.dim[0] = (double)a->n;
    } else if (bml_onnx__is(node->op, "Gather") && b && b->n == 1) {
        const double k = b->value[0] < 0 ? b->value[0] + (double)a->n : b->value[0];
        if (a->n_dims != 1 || !(k >= 0 && k < (double)a->n)) {
            return 0;
        }
        out.value = a->value + (int)k;
        out.n = 1;
        out.n_dims = 0;
    } else if (bml_onnx__is(node->op, "ConstantOfShape") || bml_onnx__is(node->op, "Expand")) {
        /* [..., batch, ...] of one number: only that number matters */
        const int expand = bml_onnx__is(node->op, "Expand");
        bml_onnx__attribute attribute;
        bml_onnx__text name = {"", 0};
        for (ptrdiff_t k = 1; expand && k < a->n; k++)
            if (a->value[k] != a->value[0]) {
                return 0;
            }
        if (expand && a->n < 1) {
            return 0;
        }
        out.n = out.n_dims = 1;
        out.dim[0] = 1;
        if (!expand) {
            out.value = (double *)bml_onnx__take(r, 1, sizeof *out.value);
            if (bml_onnx__find(&attribute, node, "value")) {
                bml_onnx__tensor_read(r, &out, &name, attribute.tensor);
            }
        }
    } else if (!cast) {
        return 0;
    }
    r->value[node->out[0]].kind = BML_ONNX__CONSTANT;
    r->value[node->out[0]].constant = out;
    return 1;
}

/* Arithmetic, slices and joins of constants. 1 where it was one of those. */
static int bml_onnx__fold_lists(bml_onnx__reader *r, const bml_onnx__node *node) {
    const int concat = bml_onnx__is(node->op, "Concat");
    const int slice = bml_onnx__is(node->op, "Slice");
    bml_onnx__tensor out;
    memset(&out, 0, sizeof out);
    for (int k = 0; k < node->n_in; k++) {
        const bml_onnx__tensor *t = bml_onnx__constant(r, node, k);
        if (!t) {
            return 0;
        }
        out.n += t->n;
    }
    if ((!concat && !slice) || node->n_out != 1 || out.n > BML_ONNX__FOLD) {
        return 0;
    }
    out.n_dims = 1;
    out.value = (double *)bml_onnx__take(r, out.n + 1, sizeof *out.value);
    if (!out.value) {
        return 1;
    }
    ptrdiff_t n = 0;
    if (concat) {
        for (int k = 0; k < node->n_in; k++) {
            const bml_onnx__tensor *t = bml_onnx__constant(r, node, k);
            memcpy(out.value + n, t->value, (size_t)t->n * sizeof *out.value);
            n += t->n;
        }
    } else {
        const bml_onnx__tensor *t = bml_onnx__constant(r, node, 0);
        const bml_onnx__tensor *from = bml_onnx__constant(r, node, 1);
        const bml_onnx__tensor *to = bml_onnx__constant(r, node, 2);
        if (t->n_dims != 1 || !from || !to || from->n != 1 || to->n != 1 || node->n_in > 4) {
            return 0;
        }
        const double size = (double)t->n;
        const double first = from->value[0] < 0 ? from->value[0] + size : from->value[0];
        const double end = to->value[0] < 0 ? to->value[0] + size : to->value[0];
        for (ptrdiff_t k = 0; k < t->n; k++)
            if ((double)k >= first && (double)k < end) {
                out.value[n++] = t->value[k];
            }
    }
    out.n = n;
    out.dim[0] = (double)n;
    r->value[node->out[0]].kind = BML_ONNX__CONSTANT;
    r->value[node->out[0]].constant = out;
    return 1;
}

static void bml_onnx__shape(bml_onnx__reader *r, const bml_onnx__node *node) {
    const bml_onnx__value *v = bml_onnx__in(r, node, 0);
    bml_onnx__value *out = &r->value[node->out[0]];
    if (!v || v->kind != BML_ONNX__ACTIVATION) {
        bml_onnx__unknown(r, "of something that is not computed from the network's input");
        return;
    }
    const int n = (int)strlen(v->axes);
    out->constant.value = (double *)bml_onnx__take(r, n + 1, sizeof(double));
    if (r->status) {
        return;
    }
    out->kind = BML_ONNX__CONSTANT;
    out->constant.n = n;
    out->constant.n_dims = 1;
    out->constant.dim[0] = n;
    for (int k = 0; k < n; k++)
        out->constant.value[k] = bml_onnx__size(r, v, k);
}

/* The two directions' final states side by side: the layer's own. */
static int bml_onnx__both_halves(bml_onnx__reader *r, const bml_onnx__node *node) {
    const bml_onnx__value *a = bml_onnx__in(r, node, 0);
    const bml_onnx__value *b = bml_onnx__in(r, node, 1);
    if (node->n_in != 2 || !a || !b || a->half != 1 || b->half != 2 || a->cell != b->cell) {
        return 0;
    }
    bml_onnx__same(r, node->out[0], a);
    r->value[node->out[0]].half = 0;
    return 1;
}

/* Final states of several layers, one upon another: 1 where that is what the node makes. */
static int bml_onnx__stack(bml_onnx__reader *r, const bml_onnx__node *node) {
    int n = 0;
    int state[8];
    for (int k = 0; k < node->n_in; k++) {
        const bml_onnx__value *v = bml_onnx__in(r, node, k);
        if (!v || v->kind != BML_ONNX__ACTIVATION || v->cell < 0 || !v->last || v->axes[0] != 'D') {
            return 0;
        }
        for (int d = 0; d <= r->cell[v->cell].layer.spec.bidirectional && n < 8; d++)
            state[n++] = 2 * v->cell + d;
    }
    if (bml_onnx__int(node, "axis", 0) != 0 || n >= 8) {
        return 0;
    }
    bml_onnx__value *out = &r->value[node->out[0]];
    out->kind = BML_ONNX__STATES;
    memcpy(out->state, state, sizeof state);
    out->n_states = n;
    return 1;
}

static void bml_onnx__concat(bml_onnx__reader *r, const bml_onnx__node *node) {
    bml_onnx__value *first = bml_onnx__in(r, node, 0);
    int from[BML_NN_MAX_FROM];
    int features = 0;
    if (bml_onnx__both_halves(r, node) || bml_onnx__stack(r, node)) {
        return;
    }
    if (node->n_in > BML_NN_MAX_FROM || !first) {
        bml_onnx__unknown(r, "of more than eight layers");
        return;
    }
    char axes[8];
    memcpy(axes, first->axes, sizeof axes);
    const int axis = bml_onnx__axis(first, (double)bml_onnx__int(node, "axis", 0), 0);
    for (int k = 0; k < node->n_in; k++) {
        bml_onnx__value *v = bml_onnx__in(r, node, k);
        from[k] = bml_onnx__plain(r, v);
        if (from[k] < 0) {
            return;
        }
        if (axis < 0 || strcmp(v->axes, axes) || !bml_onnx__is_feature(axes[axis]) || v->steps != first->steps) {
            bml_onnx__unknown(r, "joins another axis than that of features");
            return;
        }
        features += v->features;
    }
    const int i = bml_onnx__add(r, BML_NN_CONCAT, from[0]);
    if (i < 0) {
        return;
    }
    for (int k = 1; k < node->n_in; k++)
        r->layer[i].from[r->layer[i].n_from++] = from[k];
    r->layer[i].features = features;
    bml_onnx__becomes(r, node->out[0], i, axes);
}

/* >> the whole */

static void bml_onnx__constant_node(bml_onnx__reader *r, const bml_onnx__node *node) {
    bml_onnx__attribute a;
    bml_onnx__value *v = &r->value[node->out[0]];
    bml_onnx__text name = {"", 0};
    double list[BML_ONNX__RANK];
    v->kind = BML_ONNX__CONSTANT;
    if (bml_onnx__find(&a, node, "value")) {
        bml_onnx__tensor_read(r, &v->constant, &name, a.tensor);
        return;
    }
    v->constant.value = (double *)bml_onnx__take(r, BML_ONNX__RANK, sizeof(double));
    if (r->status) {
        return;
    }
    v->constant.n = 1;
    if (bml_onnx__find(&a, node, "value_float")) {
        v->constant.value[0] = a.f;
    } else if (bml_onnx__find(&a, node, "value_int")) {
        v->constant.value[0] = (double)a.i;
    } else {
        const int n = bml_onnx__ints(list, BML_ONNX__RANK, node, "value_ints");
        if (n < 1) {
            bml_onnx__unknown(r, "a constant of another kind");
            return;
        }
        memcpy(v->constant.value, list, (size_t)n * sizeof *list);
        v->constant.n = n;
        v->constant.n_dims = 1;
        v->constant.dim[0] = n;
    }
}

/* Operators on one value that only change how it is seen. */
static int bml_onnx__seen(bml_onnx__reader *r, const bml_onnx__node *node) {
    bml_onnx__value *v = bml_onnx__in(r, node, 0);
    if (bml_onnx__is(node->op, "Reshape")) {
        bml_onnx__to_shape(r, node);
    } else if (bml_onnx__is(node->op, "Transpose")) {
        bml_onnx__transpose(r, node);
    } else if (bml_onnx__is(node->op, "Shape")) {
        bml_onnx__shape(r, node);
    } else if (!v || (v->kind != BML_ONNX__ACTIVATION && v->kind != BML_ONNX__STATES)) {
        return 0;
    } else if (bml_onnx__is(node->op, "Flatten")) {
        if (bml_onnx__int(node, "axis", 1) == 1) {
            bml_onnx__to_vector(r, node->out[0], v);
        } else {
            bml_onnx__unknown(r, "axis is not 1");
        }
    } else if (bml_onnx__is(node->op, "Squeeze")) {
        bml_onnx__squeeze(r, node, v);
    } else if (bml_onnx__is(node->op, "Unsqueeze")) {
        bml_onnx__unsqueeze(r, node, v);
    } else if (bml_onnx__is(node->op, "Gather")) {
        bml_onnx__gather(r, node, v);
    } else if (bml_onnx__is(node->op, "Identity") || bml_onnx__is(node->op, "Dropout") ||
               bml_onnx__is(node->op, "Cast")) {
        bml_onnx__same(r, node->out[0], v);
    } else {
        return 0;
    }
    return 1;
}

static void bml_onnx__do(bml_onnx__reader *r, bml_onnx__node *node) {
    static const char *const activations[] = {"Relu",     "LeakyRelu", "Tanh", "Sigmoid",
                                              "Softplus", "Softmax",   "Gelu", "Clip"};
    static const struct {
        const char *op;
        void (*read)(bml_onnx__reader *, const bml_onnx__node *);
    } known[] = {{"Constant", bml_onnx__constant_node},
                 {"Gemm", bml_onnx__gemm},
                 {"MatMul", bml_onnx__matmul},
                 {"BatchNormalization", bml_onnx__batch_norm},
                 {"LayerNormalization", bml_onnx__layer_norm},
                 {"GRU", bml_onnx__recurrent},
                 {"LSTM", bml_onnx__recurrent},
                 {"RNN", bml_onnx__recurrent},
                 {"Conv", bml_onnx__conv},
                 {"MaxPool", bml_onnx__pool},
                 {"AveragePool", bml_onnx__pool},
                 {"GlobalAveragePool", bml_onnx__pool},
                 {"GlobalMaxPool", bml_onnx__pool},
                 {"Concat", bml_onnx__concat}};
    if (node->n_out < 1 || node->out[0] < 0) {
        if (!(node->n_out > 1 && node->out[1] >= 0)) {
            bml_onnx__unknown(r, "a node without an output");
            return;
        }
        if (!bml_onnx__is(node->op, "GRU") && !bml_onnx__is(node->op, "LSTM") && !bml_onnx__is(node->op, "RNN")) {
            bml_onnx__unknown(r, "a node without a first output");
            return;
        }
        bml_onnx__recurrent(r, node);
        return;
    }
    if (bml_onnx__fold(r, node) || bml_onnx__fold_lists(r, node) || bml_onnx__seen(r, node)) {
        return;
    }
    for (size_t k = 0; k < sizeof activations / sizeof *activations; k++)
        if (bml_onnx__is(node->op, activations[k])) {
            bml_onnx__activation(r, node);
            return;
        }
    for (size_t k = 0; k < sizeof known / sizeof *known; k++)
        if (bml_onnx__is(node->op, known[k].op)) {
            known[k].read(r, node);
            return;
        }
    if (bml_onnx__is(node->op, "Add") || bml_onnx__is(node->op, "Sub") || bml_onnx__is(node->op, "Mul") ||
        bml_onnx__is(node->op, "Div")) {
        bml_onnx__binary(r, node);
    } else {
        bml_onnx__unknown(r, "an operator that is not known here");
    }
}

static int bml_onnx__node_read(bml_onnx__reader *r, bml_onnx__node *node, bml_onnx__span s) {
    bml_onnx__field f;
    node->body = s;
    int more = bml_onnx__next(&f, &s);
    for (; more > 0; more = bml_onnx__next(&f, &s)) {
        if (f.wire != 2) {
            continue;
        }
        if (f.number == 3) {
            node->name = bml_onnx__text_of(f.body);
        }
        if (f.number == 4) {
            node->op = bml_onnx__text_of(f.body);
        }
        if (f.number != 1 && f.number != 2) {
            continue;
        }
        int *list = f.number == 1 ? node->in : node->out;
        int *n = f.number == 1 ? &node->n_in : &node->n_out;
        if (*n == BML_ONNX__IO) {
            return bml_onnx__unknown(r, "a node of more than sixteen inputs");
        }
        const int v = bml_onnx__value_of(r, bml_onnx__text_of(f.body));
        if (v >= 0 && f.number == 1) {
            r->value[v].uses++;
        }
        list[(*n)++] = v;
    }
    return more < 0 ? bml_onnx__damaged(r) : r->status;
}

/* dim [rank] of a ValueInfoProto; -1 where one is open. Returns the rank, -1: none. */
static int bml_onnx__info(double *dim, bml_onnx__text *name, bml_onnx__span s) {
    static const int path[3] = {2, 1, 2}; /* type, tensor_type, shape */
    bml_onnx__field f;
    int rank = -1;
    bml_onnx__span at = s;
    while (bml_onnx__next(&f, &at) > 0)
        if (f.number == 1 && f.wire == 2) {
            *name = bml_onnx__text_of(f.body);
        }
    for (int level = 0; level < 3; level++) {
        int found = 0;
        at = s;
        while (!found && bml_onnx__next(&f, &at) > 0)
            found = f.number == path[level] && f.wire == 2;
        if (!found) {
            return -1;
        }
        s = f.body;
    }
    for (rank = 0; bml_onnx__next(&f, &s) > 0;) {
        if (f.number != 1 || f.wire != 2) {
            continue;
        }
        if (rank == BML_ONNX__RANK) {
            return -1;
        }
        bml_onnx__span body = f.body;
        bml_onnx__field g;
        dim[rank] = -1;
        while (bml_onnx__next(&g, &body) > 0)
            if (g.number == 1 && g.wire == 0 && g.value > 0 && g.value < 1u << 30) {
                dim[rank] = (double)g.value;
            }
        rank++;
    }
    return rank;
}

/* Whether a recurrent node takes the value itself: its first axis is then that of steps. */
static int bml_onnx__to_cell(const bml_onnx__reader *r, int v) {
    for (int i = 0; i < r->n_nodes; i++) {
        const bml_onnx__node *node = &r->node[i];
        if (node->n_in && node->in[0] == v &&
            (bml_onnx__is(node->op, "GRU") || bml_onnx__is(node->op, "LSTM") || bml_onnx__is(node->op, "RNN"))) {
            return 1;
        }
    }
    return 0;
}

/* An input of the graph, unless it is a weight. */
static int bml_onnx__input(bml_onnx__reader *r, bml_onnx__span s) {
    double dim[BML_ONNX__RANK];
    bml_onnx__text name = {"", 0};
    const int rank = bml_onnx__info(dim, &name, s);
    const int v = bml_onnx__value_of(r, name);
    if (v < 0) {
        return bml_onnx__damaged(r);
    }
    if (r->value[v].kind == BML_ONNX__CONSTANT) {
        return 0;
    }
    const int steps_first = rank == 3 && bml_onnx__to_cell(r, v);
    const int batch = steps_first ? 1 : 0;
    const int first = steps_first ? 0 : 1;
    if (rank != 2 && rank != 3) {
        return bml_onnx__fail(r, BML_ONNX_UNKNOWN,
                              "input %.*s is neither [batch][features] nor [batch][steps][features]",
                              name.n < 60 ? name.n : 60, name.at);
    }
    for (int k = 0; k < rank; k++)
        if (k != batch && dim[k] < 1) {
            return bml_onnx__fail(r, BML_ONNX_UNKNOWN, "input %.*s: only the batch's size may be open in the file",
                                  name.n < 60 ? name.n : 60, name.at);
        }
    if (dim[batch] > 0) {
        r->static_batch = dim[batch];
    }
    const int i = bml_onnx__add(r, BML_NN_INPUT, -1);
    if (i < 0) {
        return r->status;
    }
    bml_onnx__layer *l = &r->layer[i];
    l->steps = l->spec.steps = rank == 3 ? (int)dim[first] : 0;
    l->features = l->spec.features = (int)dim[rank - 1];
    const char *sequence = steps_first ? "TNC" : "NTC";
    bml_onnx__becomes(r, v, i, rank == 2 ? "NF" : sequence);
    return r->status;
}

/* The last layer: the output's numbers in the order of ONNX. */
static int bml_onnx__last(bml_onnx__reader *r) {
    bml_onnx__value *v = &r->value[r->output];
    if (v->kind != BML_ONNX__ACTIVATION) {
        bml_onnx__unknown(r, "the output is not computed from the input");
    }
    int i = r->status ? -1 : bml_onnx__plain(r, v);
    if (i < 0) {
        return -1;
    }
    if (v->axes[0] != 'N') {
        bml_onnx__unknown(r, "the first axis of the output is not the batch");
    }
    if (strchr(v->axes, 'D') && v->features && r->cell[v->cell].layer.spec.bidirectional) {
        bml_onnx__unknown(r, "an output with an axis of directions");
    }
    if (!r->status && !strcmp(v->axes, "NCT") && v->steps > 1 && v->features > 1) {
        i = bml_onnx__turn(r, i, v->steps, v->features);
    }
    if (i >= 0 && r->layer[i].spec.kind == BML_NN_INPUT) {
        i = bml_onnx__identity(r, i);
    }
    return r->status ? -1 : i;
}

/* All layers that the last one needs, and all inputs. */
static int bml_onnx__choose(bml_onnx__reader *r, int last) {
    int n = 0;
    r->layer[last].used = 1;
    for (int i = last; i >= 0; i--) {
        bml_onnx__layer *l = &r->layer[i];
        if (l->spec.kind == BML_NN_INPUT) {
            l->used = 1;
        }
        for (int k = 0; l->used && k < l->n_from; k++)
            r->layer[l->from[k]].used = 1;
        n += l->used;
    }
    return n;
}

/* Copies what was collected into the tensors of the network. */
static int bml_onnx__weights(bml_onnx__reader *r, bml_nn *net, const bml_onnx__layer *l) {
    const int norm = l->spec.kind == BML_NN_BATCH_NORM || l->spec.kind == BML_NN_LAYER_NORM;
    for (int k = 0; k < (norm ? 4 : 6); k++) {
        char name[80];
        size_t n = 0;
        if (!l->tensor[k]) {
            continue;
        }
        snprintf(name, sizeof name, "%.32s.%s", l->name, norm ? bml_onnx__norm_names[k] : bml_onnx__names[k]);
        bml_nn_real *to = bml_nn_tensor(net, name, &n);
        if (!to) {
            return bml_onnx__fail(r, BML_ONNX_UNKNOWN, "bml_nn.h has no tensor %s", name);
        }
        for (size_t i = 0; i < n; i++)
            to[i] = (bml_nn_real)l->tensor[k][i];
    }
    return 0;
}

static int bml_onnx__build(bml_onnx__reader *r, bml_nn **net) {
    const int last = bml_onnx__last(r);
    if (last < 0) {
        return r->status;
    }
    const int n = bml_onnx__choose(r, last);
    bml_nn_layer *list = (bml_nn_layer *)bml_onnx__take(r, n, sizeof *list);
    if (!list) {
        return r->status;
    }
    int k = 0;
    for (int i = 0; i <= last; i++) {
        bml_onnx__layer *l = &r->layer[i];
        if (!l->used) {
            continue;
        }
        snprintf(l->name, sizeof l->name, "onnx_%d", k);
        l->spec.name = l->name;
        for (int j = 0; j < l->n_from; j++)
            l->spec.from[j] = r->layer[l->from[j]].name;
        list[k++] = l->spec;
    }
    bml_nn_config config;
    char why[BML_NN_MESSAGE];
    memset(&config, 0, sizeof config);
    config.layers = list;
    config.n_layers = n;
    const int status = bml_nn_create(net, &config, why);
    if (status == BML_NN_NO_MEMORY) {
        return bml_onnx__fail(r, BML_ONNX_NO_MEMORY, "%s", why);
    }
    if (status) {
        return bml_onnx__fail(r, BML_ONNX_UNKNOWN, "%s", why);
    }
    for (int i = 0; i <= last && !r->status; i++)
        if (r->layer[i].used) {
            bml_onnx__weights(r, *net, &r->layer[i]);
        }
    return r->status;
}

/* Initializers, then nodes, then inputs and the first output. */
static int bml_onnx__graph(bml_onnx__reader *r, bml_onnx__span graph) {
    bml_onnx__field f;
    bml_onnx__span s = graph;
    int nodes = 0;
    int more = bml_onnx__next(&f, &s);
    for (; more > 0; more = bml_onnx__next(&f, &s))
        nodes += f.number == 1;
    if (more < 0 || nodes == 0) {
        return bml_onnx__damaged(r);
    }
    r->node = (bml_onnx__node *)bml_onnx__take(r, nodes, sizeof *r->node);
    r->cell = (bml_onnx__cell *)bml_onnx__take(r, nodes, sizeof *r->cell);
    r->layer = (bml_onnx__layer *)bml_onnx__take(r, BML_ONNX__LAYERS, sizeof *r->layer);
    r->output = -1;
    for (s = graph; !r->status && bml_onnx__next(&f, &s) > 0;) {
        bml_onnx__tensor t;
        bml_onnx__text name = {"", 0};
        if (f.number == 1 && f.wire == 2) {
            bml_onnx__node_read(r, &r->node[r->n_nodes++], f.body);
        }
        if (f.number != 5 || f.wire != 2 || bml_onnx__tensor_read(r, &t, &name, f.body)) {
            continue;
        }
        const int v = bml_onnx__value_of(r, name);
        if (v < 0) {
            continue;
        }
        r->value[v].kind = BML_ONNX__CONSTANT;
        r->value[v].constant = t;
    }
    for (s = graph; !r->status && bml_onnx__next(&f, &s) > 0;) {
        double dim[BML_ONNX__RANK];
        bml_onnx__text name = {"", 0};
        if (f.number == 11 && f.wire == 2) {
            bml_onnx__input(r, f.body);
        }
        if (f.number != 12 || f.wire != 2) {
            continue;
        }
        bml_onnx__info(dim, &name, f.body);
        const int v = bml_onnx__value_of(r, name);
        if (v < 0) {
            continue;
        }
        r->value[v].uses++;
        if (r->output < 0) {
            r->output = v;
        }
    }
    if (!r->status && r->output < 0) {
        bml_onnx__damaged(r);
    }
    return r->status;
}

/* Constants that are nodes come first: patterns look ahead for them. */
static int bml_onnx__run(bml_onnx__reader *r) {
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < r->n_nodes && !r->status; i++) {
            bml_onnx__node *node = &r->node[i];
            r->at = node;
            if (node->done || (pass == 0 && !bml_onnx__is(node->op, "Constant"))) {
                continue;
            }
            bml_onnx__do(r, node);
            node->done = 1;
        }
    r->at = NULL;
    return r->status;
}

BML_ONNX_DEF int bml_onnx_parse(bml_nn **net, const void *bytes, size_t size, char *why) {
    bml_onnx__reader r;
    bml_onnx__field f;
    bml_onnx__span graph = {NULL, NULL};
    memset(&r, 0, sizeof r);
    r.why = why;
    if (why) {
        why[0] = 0;
    }
    if (net) {
        *net = NULL;
    }
    if (!net || !bytes) {
        return bml_onnx__fail(&r, BML_ONNX_BAD_ARGUMENT, "net or bytes is NULL");
    }
    bml_onnx__span s = {(const unsigned char *)bytes, (const unsigned char *)bytes + size};
    int more = bml_onnx__next(&f, &s);
    for (; more > 0; more = bml_onnx__next(&f, &s))
        if (f.number == 7 && f.wire == 2) {
            graph = f.body;
        }
    if (more < 0 || !graph.at) {
        bml_onnx__damaged(&r);
    }
    if (!r.status && !bml_onnx__graph(&r, graph) && !bml_onnx__run(&r)) {
        bml_onnx__build(&r, net);
    }
    if (r.status && *net) {
        bml_nn_free(*net);
        *net = NULL;
    }
    while (r.blocks) {
        bml_onnx__block *next = r.blocks->next;
        BML_ONNX_FREE(r.blocks);
        r.blocks = next;
    }
    return r.status;
}

/* The bytes of a file; NULL where it cannot be opened (*size = 0) or held (*size > 0). */
static unsigned char *bml_onnx__slurp(size_t *size, FILE *file) {
    unsigned char *bytes = NULL;
    *size = 0;
    if (fseek(file, 0, SEEK_END)) {
        return NULL;
    }
    const long n = ftell(file);
    if (n < 1 || n > 2000000000L || fseek(file, 0, SEEK_SET)) {
        return NULL;
    }
    *size = (size_t)n;
    bytes = (unsigned char *)BML_ONNX_MALLOC(*size);
    if (bytes && fread(bytes, 1, *size, file) != *size) {
        BML_ONNX_FREE(bytes);
        *size = 0;
        bytes = NULL;
    }
    return bytes;
}

BML_ONNX_DEF int bml_onnx_load(bml_nn **net, const char *path, char *why) {
    size_t size = 0;
    if (why) {
        why[0] = 0;
    }
    if (net) {
        *net = NULL;
    }
    if (!net || !path) {
        if (why) {
            snprintf(why, BML_ONNX_MESSAGE, "net or path is NULL");
        }
        return BML_ONNX_BAD_ARGUMENT;
    }
    FILE *file = fopen(path, "rb");
    unsigned char *bytes = file ? bml_onnx__slurp(&size, file) : NULL;
    if (file) {
        fclose(file);
    }
    if (!bytes) {
        const int status = size ? BML_ONNX_NO_MEMORY : BML_ONNX_CANNOT_OPEN;
        if (why) {
            snprintf(why, BML_ONNX_MESSAGE, "%.300s: %s", path, bml_onnx_strerror(status));
        }
        return status;
    }
    char reason[BML_ONNX_MESSAGE];
    const int status = bml_onnx_parse(net, bytes, size, reason);
    if (status && why) {
        snprintf(why, BML_ONNX_MESSAGE, "%.150s: %.350s", path, reason);
    }
    BML_ONNX_FREE(bytes);
    return status;
}

#ifdef BML_ONNX__OWN
#undef BML_ONNX__OWN
#undef BML_ONNX_MALLOC
#undef BML_ONNX_FREE
#endif
#endif /* BML_ONNX_IMPLEMENTATION */
#endif /* BML_ONNX_H */

/* 0.2.0  the first. Public domain or MIT, see LICENSE. */
