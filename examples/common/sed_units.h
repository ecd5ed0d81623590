/* sed_units.h: reads units of flux, frequency, energy and wavelength as people write them.

     sed_unit u;
     char wrong[64];
     if (sed_unit_read(&u, "TeV-1 cm-2 s-1", wrong, sizeof wrong)) ... wrong holds the part that is unknown ...

   A unit is a factor to cgs times energy^a length^b time^c. Products of names and numbers, each with a power: "erg /
   (cm2 s)", "TeV-1 cm-2 s-1", "1e-12 erg/(cm^2 s)", "10^-12 erg.cm**-2.s**(-1)", "W m$^{-2}$", "ergcm-2s-1"; a slash
   divides by all that follows it up to the next slash. Names as in the table below; a plural s and other capitals are
   forgiven where only one unit can be meant ("ergs", "kev", "GHZ"; not "mev", which is a million or a thousandth). No
   printing, no exit, no dependence on the locale. Public domain or MIT, see LICENSE. */
#ifndef SED_UNITS_H
#define SED_UNITS_H
#include "common.h" /* real_prefix, is_space */
#include <strings.h>

typedef struct sed_unit {
    double factor;
    int energy, length, time; /* powers of erg, cm, s */
    int dex;                  /* a logarithm */
} sed_unit;

static const struct sed_unit_name {
    const char *name;
    sed_unit unit;
} sed_units[] = {
    {"erg", {1, 1, 0, 0, 0}},
    {"J", {1e7, 1, 0, 0, 0}},
    {"Joule", {1e7, 1, 0, 0, 0}},
    {"meV", {1.602176634e-15, 1, 0, 0, 0}},
    {"eV", {1.602176634e-12, 1, 0, 0, 0}},
    {"keV", {1.602176634e-9, 1, 0, 0, 0}},
    {"MeV", {1.602176634e-6, 1, 0, 0, 0}},
    {"GeV", {1.602176634e-3, 1, 0, 0, 0}},
    {"TeV", {1.602176634, 1, 0, 0, 0}},
    {"PeV", {1602.176634, 1, 0, 0, 0}},
    {"pW", {1e-5, 1, 0, -1, 0}},
    {"nW", {1e-2, 1, 0, -1, 0}},
    {"uW", {1e1, 1, 0, -1, 0}},
    {"mW", {1e4, 1, 0, -1, 0}},
    {"W", {1e7, 1, 0, -1, 0}},
    {"Watt", {1e7, 1, 0, -1, 0}},
    {"kW", {1e10, 1, 0, -1, 0}},
    {"Hz", {1, 0, 0, -1, 0}},
    {"Hertz", {1, 0, 0, -1, 0}},
    {"kHz", {1e3, 0, 0, -1, 0}},
    {"MHz", {1e6, 0, 0, -1, 0}},
    {"GHz", {1e9, 0, 0, -1, 0}},
    {"THz", {1e12, 0, 0, -1, 0}},
    {"PHz", {1e15, 0, 0, -1, 0}},
    {"s", {1, 0, 0, 1, 0}},
    {"sec", {1, 0, 0, 1, 0}},
    {"second", {1, 0, 0, 1, 0}},
    {"cm", {1, 0, 1, 0, 0}},
    {"m", {1e2, 0, 1, 0, 0}},
    {"mm", {1e-1, 0, 1, 0, 0}},
    {"um", {1e-4, 0, 1, 0, 0}},
    {"mum", {1e-4, 0, 1, 0, 0}},
    {"micron", {1e-4, 0, 1, 0, 0}},
    {"micrometer", {1e-4, 0, 1, 0, 0}},
    {"nm", {1e-7, 0, 1, 0, 0}},
    {"Angstrom", {1e-8, 0, 1, 0, 0}},
    {"Ang", {1e-8, 0, 1, 0, 0}},
    {"AA", {1e-8, 0, 1, 0, 0}},
    {"A", {1e-8, 0, 1, 0, 0}},
    {"Jy", {1e-23, 1, -2, 0, 0}},
    {"Jansky", {1e-23, 1, -2, 0, 0}},
    {"mJy", {1e-26, 1, -2, 0, 0}},
    {"milliJy", {1e-26, 1, -2, 0, 0}},
    {"uJy", {1e-29, 1, -2, 0, 0}},
    {"microJy", {1e-29, 1, -2, 0, 0}},
    {"nJy", {1e-32, 1, -2, 0, 0}},
    {"ph", {1, 0, 0, 0, 0}},
    {"photon", {1, 0, 0, 0, 0}},
    {"dex", {1, 0, 0, 0, 1}},
};
enum { SED_UNIT_NAMES = sizeof sed_units / sizeof *sed_units, SED_UNIT_TEXT = 128 };

/* a *= b^power. */
static inline void sed_unit_multiply(sed_unit *a, const sed_unit *b, int power) {
    a->factor *= pow(b->factor, power);
    a->energy += power * b->energy;
    a->length += power * b->length;
    a->time += power * b->time;
    a->dex |= b->dex;
    if (abs(a->energy) + abs(a->length) + abs(a->time) > 99) {
        a->factor = 0; /* no unit, and an overflow to come */
    }
}

/* What stands for the signs of typesetting; longer signs first. */
static const struct sed_sign {
    const char *sign, *plain;
} sed_signs[] = {
    {"\xe2\x81\xbb", "-"},
    {"\xe2\x88\x92", "-"},
    {"\xe2\x80\x93", "-"},
    {"\xe2\x81\xb0", "0"},
    {"\xe2\x81\xb4", "4"},
    {"\xe2\x84\xab", "AA"},
    {"\xe2\x8b\x85", " "},
    {"\xc2\xb9", "1"},
    {"\xc2\xb2", "2"},
    {"\xc2\xb3", "3"},
    {"\xc2\xb5", "u"},
    {"\xce\xbc", "u"},
    {"\xc3\x85", "AA"},
    {"\xc2\xb7", " "},
    {"\xc3\x97", " "},
    {"\\mathrm", " "},
    {"\\rm", " "},
    {"\\times", " "},
    {"\\mu", "u"},
    {"\\,", " "},
    {"^{", "^("},
    {"}", ")"},
    {"{", "("},
    {"$", ""},
    {"\\", ""},
};

/* Copies a unit with typesetting taken out: "cm$^{-2}$" is cm^(-2). */
static inline void sed_unit_plain(char *to, size_t size, const char *s) {
    const int n_signs = (int)(sizeof sed_signs / sizeof *sed_signs);
    size_t n = 0;
    while (*s && n + 3 < size) {
        int k = 0;
        while (k < n_signs && strncmp(s, sed_signs[k].sign, strlen(sed_signs[k].sign)))
            k++;
        if (k == n_signs) {
            to[n++] = *s++;
            continue;
        }
        for (const char *plain = sed_signs[k].plain; *plain; plain++)
            to[n++] = *plain;
        s += strlen(sed_signs[k].sign);
    }
    to[n] = 0;
}

static inline int sed_is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static inline const char *sed_skip(const char *s) {
    while (*s == ' ' || *s == '\t')
        s++;
    return s;
}

/* The table's row of this name with its own capitals, or NULL. */
static inline const sed_unit *sed_unit_exact(const char *s, size_t length) {
    for (int i = 0; i < SED_UNIT_NAMES; i++)
        if (strlen(sed_units[i].name) == length && !strncmp(sed_units[i].name, s, length)) {
            return &sed_units[i].unit;
        }
    return NULL;
}

/* The same with any capitals, where all rows that could be meant are one unit or the first letter decides for the
   larger one: "Mev" is MeV, "mev" nobody knows. */
static inline const sed_unit *sed_unit_loose(const char *s, size_t length) {
    const sed_unit *found = NULL;
    int doubtful = 0;
    for (int i = 0; i < SED_UNIT_NAMES; i++) {
        const char *name = sed_units[i].name;
        if (strlen(name) != length || strncasecmp(name, s, length)) {
            continue;
        }
        if (length == 1) {
            return NULL; /* a is not A, and S is not s */
        }
        if (found && found->factor != sed_units[i].unit.factor) {
            doubtful = 1;
        }
        if (!found || *name == *s) {
            found = &sed_units[i].unit;
        }
    }
    return doubtful && *s >= 'a' ? NULL : found;
}

/* A name in letters: as it stands, with other capitals, without a plural's s. */
static inline const sed_unit *sed_unit_name(const char *s, size_t length) {
    const sed_unit *found = sed_unit_exact(s, length);
    if (!found) {
        found = sed_unit_loose(s, length);
    }
    const int plural = length > 2 && (s[length - 1] | 32) == 's';
    if (!found && plural) {
        found = sed_unit_exact(s, length - 1);
    }
    if (!found && plural) {
        found = sed_unit_loose(s, length - 1);
    }
    return found;
}

/* The length of the name that stands first in a run of letters such as "ergcm": the longest for which the rest is made
   of names too; 0: there is none. */
static inline size_t sed_unit_first(const char *s, size_t length, int depth) {
    if (depth ? sed_unit_exact(s, length) : sed_unit_name(s, length)) {
        return length;
    }
    for (size_t n = length - 1; n > 0 && depth < 3; n--)
        if (sed_unit_exact(s, n) && sed_unit_first(s + n, length - n, depth + 1)) {
            return n;
        }
    return 0;
}

/* A power after a factor: "2", "-2", "^2", "**-2", "(-2)"; 1 when there is none. */
static inline int sed_unit_power(const char **s) {
    const char *p = *s;
    p += *p == '^' ? 1 : !strncmp(p, "**", 2) ? 2 : 0;
    int bracket = *p == '(' && p > *s;
    p += bracket;
    char *end;
    long power = strtol(p, &end, 10);
    if (end == p || labs(power) > 30 || is_space(*p)) {
        return 1;
    }
    *s = end + (bracket && *end == ')');
    return (int)power;
}

/* A unit while it is read. */
typedef struct sed_unit_text {
    const char *s; /* what is left of it */
    int depth;     /* of brackets */
    char *wrong;   /* [size] the part that is unknown */
    size_t size;
} sed_unit_text;

static inline int sed_unit_product(sed_unit *u, sed_unit_text *t);

/* A run of letters. */
static inline int sed_unit_letters(sed_unit *factor, sed_unit_text *t) {
    size_t length = 0;
    while (sed_is_letter(t->s[length]))
        length++;
    const size_t first = length ? sed_unit_first(t->s, length, 0) : 0;
    if (!first) {
        snprintf(t->wrong, t->size, "%.*s", (int)(length && length < 40 ? length : 40), t->s);
        return -1;
    }
    *factor = *sed_unit_name(t->s, first);
    t->s += first;
    return 0;
}

/* One factor: a number, a name from the table, or a bracket; raised to a power. */
static inline int sed_unit_factor(sed_unit *u, sed_unit_text *t, int sign) {
    sed_unit factor = {1, 0, 0, 0, 0};
    if (*t->s == '(' && t->depth < 8) {
        t->s++;
        t->depth++;
        if (sed_unit_product(&factor, t)) {
            return -1;
        }
        t->depth--;
        if (*t->s == ')') {
            t->s++;
        }
    } else if (*t->s >= '0' && *t->s <= '9') {
        t->s += real_prefix(&factor.factor, t->s);
    } else if (sed_unit_letters(&factor, t)) {
        return -1;
    }
    sed_unit_multiply(u, &factor, sign * sed_unit_power(&t->s));
    return 0;
}

static inline int sed_unit_product(sed_unit *u, sed_unit_text *t) {
    int sign = 1;
    for (;;) {
        t->s = sed_skip(t->s);
        if (*t->s == '/') {
            sign = -1;
        }
        if (*t->s == '/' || *t->s == '*' || *t->s == '.') {
            t->s = sed_skip(t->s + 1);
        }
        if (!*t->s || *t->s == ')') {
            return 0;
        }
        if (sed_unit_factor(u, t, sign)) {
            return -1;
        }
    }
}

/* Reads a whole unit. On failure writes into wrong [size] the part that is unknown. */
static inline int sed_unit_read(sed_unit *u, const char *whole, char *wrong, size_t size) {
    static const sed_unit one = {1, 0, 0, 0, 0};
    char plain[SED_UNIT_TEXT];
    sed_unit_plain(plain, sizeof plain, whole);
    sed_unit_text t = {plain, 0, wrong, size};
    *u = one;
    if (sed_unit_product(u, &t)) {
        return -1;
    }
    if (!*t.s && isfinite(u->factor) && u->factor > 0) {
        return 0;
    }
    snprintf(wrong, size, "%.40s", whole);
    return -1;
}
#endif
