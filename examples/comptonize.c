/* comptonize: soft photons in a ball of thermal electrons: the spectrum that leaves it, its slope beside those of
   Sunyaev & Titarchuk (1980, A&A 86, 121), Titarchuk & Lyubarskij (1995, ApJ 450, 876; Hua & Titarchuk 1995, ApJ 449,
   188) and transport theory, and the same again by a plain loop in double precision. The first two are approximations
   that are right where theta << 1 << tau: at theta 0.02, 0.1, 1 and tau 5, 1.5, 1.5 their slopes are 1.215, 1.543,
   0.218 and 1.155, 1.035, 0.196, transport theory's 1.078, 1.039, 0.183, and what leaves 1.087 +- 0.004, 1.041 +-
   0.006, 0.186 +- 0.004.

   build/comptonize --theta 0.1 --tau 1.5 --out DIR
   build/comptonize --theta 0.2 --tau 1 --polarised --out DIR     also the polarisation of what leaves, against its
   angle

   The photons are a black body of --seed-theta, born where diffusion keeps them, ~ sin(lambda r)/r (then the spectrum
   is one power law; from the centre it bends); the ball is even, tau its Thomson depth from the centre. */
#include "common.h"
#define BML_SAMPLE_IMPLEMENTATION
#include "bml_sample.h"

static const double PI = 3.14159265358979323846;
enum { BINS = 100 };
enum { MOST = 100000 }; /* scatterings of a photon */

typedef struct settings {
    double theta;
    double tau;
    double seed_theta;
    long n;
    long check;
    long threads;
    int polarised;
    int quiet;
    uint64_t seed;
    const char *out;
} settings;

typedef struct cloud {
    bml_sample_medium medium;
    double tau;                    /* in units of the ball's radius: n_e sigma_T R */
    const bml_sample_table *birth; /* of radii */
} cloud;

/* What a photon is when it leaves. */
typedef struct escaped {
    double x;        /* h nu/(m_e c^2) */
    double scatters; /* how often it met an electron */
    double degree;   /* of linear polarisation, along the normal of its direction and the radius > 0 */
    double radial;   /* cosine of its direction to the radius */
} escaped;

/* ==== the walk ==================================================================================================== */

static double dot(const double *a, const double *b) {
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

/* Of births: r^2 sin(lambda r)/r, which vanishes 2/3 of a mean free path outside (Eddington). */
static void birth_density(double *p, const double *r, const double *tau, int n, void *user) {
    (void)user;
    double lambda = PI * *tau / (*tau + 2.0 / 3);
    for (int i = 0; i < n; i++) {
        p[i] = r[i] * sin(lambda * r[i]);
    }
}

static void born(double *place, double r, double u, double v) {
    bml_sample_isotropic(place, u, v);
    for (int i = 0; i < 3; i++) {
        place[i] *= r;
    }
}

/* Moves by `way` along the direction, to the surface of the unit ball at most: 1 where it is reached. */
static int leaves(double *place, const double *direction, double way) {
    for (int i = 0; i < 3; i++) {
        place[i] += way * direction[i];
    }
    double outside = dot(place, place) - 1;
    if (outside < 0) {
        return 0;
    }
    double along = dot(place, direction);
    double back = along - sqrt(fmax(along * along - outside, 0));
    for (int i = 0; i < 3; i++) {
        place[i] -= back * direction[i];
    }
    return 1;
}

/* Stokes q about the normal of direction and radius. */
static void against_radius(escaped *out, const bml_sample_stokes *s, const double *place, const double *direction) {
    double radius = sqrt(dot(place, place));
    double normal[3] = {place[1] * direction[2] - place[2] * direction[1],
                        place[2] * direction[0] - place[0] * direction[2],
                        place[0] * direction[1] - place[1] * direction[0]};
    double size = sqrt(dot(normal, normal));
    out->radial = dot(place, direction) / radius;
    out->degree = 0;
    if (!(size > 1e-9)) {
        return;
    }
    double along = dot(s->axis, normal) / size;
    double cross[3] = {direction[1] * s->axis[2] - direction[2] * s->axis[1],
                       direction[2] * s->axis[0] - direction[0] * s->axis[2],
                       direction[0] * s->axis[1] - direction[1] * s->axis[0]};
    double angle = atan2(dot(cross, normal) / size, along);
    out->degree = s->q * cos(2 * angle) + s->u * sin(2 * angle);
}

/* One photon by the inline functions. */
static void follow(escaped *out, const cloud *c, double x, double r, int polarised, bml_sample_rng *rng) {
    double place[3];
    double direction[3];
    float u[4];
    bml_sample_uniform4(u, rng);
    born(place, r, (double)u[0], (double)u[1]);
    bml_sample_stokes s = {0, 0, 0, {0, 0, 0}};
    bml_sample_uniform4(u, rng);
    bml_sample_isotropic(direction, (double)u[0], (double)u[1]);
    double shortest = fabs(direction[0]) < 0.6 ? direction[0] : direction[1];
    for (int i = 0; i < 3; i++) { /* any direction across it: the light is not polarised yet */
        s.axis[i] =
            ((fabs(direction[0]) < 0.6 ? i == 0 : i == 1) - shortest * direction[i]) / sqrt(1 - shortest * shortest);
    }
    out->scatters = 0;
    for (int k = 0; k < MOST; k++) {
        double section = (double)bml_sample_thermal_cross_section(c->medium.theta, (float)x, c->medium.nodes);
        double depth = -log((double)u[2]);
        if (leaves(place, direction, depth / (c->tau * section))) {
            break;
        }
        bml_sample_scattered after;
        bml_sample_thermal_step(&after, polarised ? &s : NULL, &c->medium, x, direction, rng);
        x = after.eps;
        memcpy(direction, after.out, sizeof direction);
        out->scatters++;
        bml_sample_uniform4(u, rng);
    }
    out->x = x;
    against_radius(out, &s, place, direction);
}

/* The same in double precision throughout: electrons by rejection, exact cross section, exact collisions. */
static double reference(const cloud *c, double x, double r, bml_sample_rng *rng) {
    double place[3];
    double direction[3];
    double theta = (double)c->medium.theta;
    double u = bml_sample_rng_uniform(rng);
    born(place, r, u, bml_sample_rng_uniform(rng));
    u = bml_sample_rng_uniform(rng);
    bml_sample_isotropic(direction, u, bml_sample_rng_uniform(rng));
    for (int k = 0; k < MOST; k++) {
        double section = (double)bml_sample_thermal_cross_section(c->medium.theta, (float)x, c->medium.nodes);
        if (leaves(place, direction, -log(bml_sample_rng_uniform(rng)) / (c->tau * section))) {
            break;
        }
        double axis[3];
        double gamma[16];
        double closing;
        int next = 16;
        do {
            if (next == 16) {
                bml_sample_thermal_electrons(gamma, 16, theta, rng);
                next = 0;
            }
            double g = gamma[next++];
            u = bml_sample_rng_uniform(rng);
            bml_sample_isotropic(axis, u, bml_sample_rng_uniform(rng));
            closing = 1 - sqrt((g - 1) * (g + 1)) / g * dot(axis, direction);
        } while (2 * bml_sample_rng_uniform(rng) > closing * bml_sample_klein_nishina(gamma[next - 1] * x * closing));
        bml_sample_collision hit = {gamma[next - 1], axis, x, direction};
        double out[3];
        if (bml_sample_scatter(&x, out, &hit, rng)) {
            return -1;
        }
        memcpy(direction, out, sizeof direction);
    }
    return x;
}

/* ==== slopes ====================================================================================================== */

/* Energy index between x1 and x2 by maximum likelihood (dN/dln x ~ x^-alpha), and its error. */
static double slope_of(double *error, const escaped *e, long n, double x1, double x2) {
    double width = log(x2 / x1);
    double mean = 0;
    double count = 0;
    for (long i = 0; i < n; i++) {
        if (!(e[i].x > x1 && e[i].x < x2)) {
            continue;
        }
        mean += log(e[i].x / x1);
        count++;
    }
    mean /= count * width;
    double low = -60;
    double high = 60;
    for (int k = 0; k < 80; k++) { /* mean = 1/a - 1/(e^a - 1) */
        double a = 0.5 * (low + high);
        double expected = fabs(a) < 1e-5 ? 0.5 - a / 12 : 1 / a - 1 / expm1(a);
        if (expected > mean) {
            low = a;
        } else {
            high = a;
        }
    }
    double a = 0.5 * (low + high);
    double half = sinh(0.5 * a);
    double variance = fabs(a) < 1e-3 ? 1.0 / 12 : 1 / (a * a) - 0.25 / (half * half);
    *error = 1 / sqrt(variance * count) / width;
    return a / width;
}

/* Sunyaev & Titarchuk 1980: alpha (alpha + 3) = beta/theta, with beta = pi^2/(3 (tau + 2/3)^2) for a ball. */
static double sunyaev_titarchuk(double theta, double tau) {
    double root = tau + 2.0 / 3;
    double beta = PI * PI / (3 * root * root);
    return sqrt(2.25 + beta / theta) - 1.5;
}

/* Titarchuk & Lyubarskij 1995, eqs. 17, 21 and 24: any theta, and beta for any depth. */
static double titarchuk_lyubarskij(double theta, double tau) {
    double root = tau + 2.0 / 3;
    double beta = PI * PI / (3 * root * root) * (1 - exp(-0.7 * tau)) + exp(-1.4 * tau) * log(4 / (3 * tau));
    double low = 0.01;
    double high = 30;
    for (int k = 0; k < 80; k++) {
        double a = 0.5 * (low + high);
        double d0 = 3 * ((a + 3) * a + 4) * tgamma(2 * a + 2) / ((a + 3) * (a + 2) * (a + 2));
        double gain = log(1 + (a + 3) * theta / (1 + theta) + 4 * pow(d0, 1 / a) * theta * theta);
        if (a * gain < beta) {
            low = a;
        } else {
            high = a;
        }
    }
    return 0.5 * (low + high);
}

/* ---- the slope that transport theory gives ----
   Where no photon is absorbed and cross section and gain do not depend on its energy (x gamma << 1), dN/dln x ~ x^-alpha
   is steady when the mean of (x after/x before)^alpha over a scattering makes up for escape: it equals the multiplicity
   c at which a ball of that depth would be critical. Photons that gain are mostly scattered back, off electrons that
   came to meet them, which holds them longer: the transport approximation shortens depth and counts by c times the mean
   cosine, weighted with the gain. Sunyaev & Titarchuk take 1 + beta for c, beta from diffusion, and the first order in
   theta for the mean; Titarchuk & Lyubarskij fit both; neither has the cosine. */

/* E_2(x) = e^-x - x E_1(x); E_1 by its series, or by its continued fraction (Abramowitz & Stegun 1964, 5.1.11, 22). */
static double exponential_integral_2(double x) {
    double e1 = 0;
    if (x <= 0) {
        return 1;
    }
    if (x > 600) {
        return 0;
    }
    if (x < 1) {
        double term = 1;
        e1 = -0.57721566490153286 - log(x);
        for (int k = 1; k < 30; k++) {
            term *= -x / k;
            e1 -= term / k;
        }
    } else {
        double fraction = 0;
        for (int k = 60; k >= 1; k--) {
            fraction = k / (1 + k / (x + fraction));
        }
        e1 = exp(-x) / (x + fraction);
    }
    return exp(-x) - x * e1;
}

/* Of a ball of radius tau with isotropic scattering: psi = r phi solves psi(r) = (c/2) int [E_1(|r - r'|) - E_1(r + r')]
   psi dr'. Constant psi in cells, in which the kernel is integrated; the largest eigenvalue by the power method. */
static double multiplicity(double tau) {
    enum { CELLS = 200 };
    static double kernel[CELLS][CELLS];
    double h = tau / CELLS;
    double psi[CELLS];
    double next[CELLS];
    double eigenvalue = 1;
    for (int i = 0; i < CELLS; i++) {
        double r = (i + 0.5) * h;
        psi[i] = sin(PI * r / (tau + 0.7));
        for (int k = 0; k < CELLS; k++) {
            double near_ = fabs(r - (k + 0.5) * h) - 0.5 * h;
            double there = exponential_integral_2(near_) - exponential_integral_2(near_ + h);
            if (k == i) {
                there = 2 * (1 - exponential_integral_2(0.5 * h));
            }
            double mirror = exponential_integral_2(r + k * h) - exponential_integral_2(r + (k + 1) * h);
            kernel[i][k] = 0.5 * (there - mirror);
        }
    }
    for (int turn = 0; turn < 200; turn++) {
        double size = 0;
        double before = 0;
        for (int i = 0; i < CELLS; i++) {
            next[i] = 0;
            for (int k = 0; k < CELLS; k++) {
                next[i] += kernel[i][k] * psi[k];
            }
            size += next[i];
            before += psi[i];
        }
        eigenvalue = size / before;
        for (int i = 0; i < CELLS; i++) {
            psi[i] = next[i] / size;
        }
    }
    return 1 / eigenvalue;
}

/* Of one scattering: mean of A^alpha, A = x after/x before, and of A^alpha times the cosine of the angle. */
typedef struct gains {
    double mean;
    double cosine;
} gains;

/* A = gamma^2 (1 - beta mu)(1 + beta m), over photons from everywhere that meet an electron, at mu, as often as
   1 - beta mu, and leave its rest frame at m, as Rayleigh's phase function has it from where they came. */
static gains gain_of_electron(double alpha, double gamma) {
    enum { STEPS = 24 };
    double beta = sqrt((gamma - 1) * (gamma + 1)) / gamma;
    double all = 0;
    gains sum = {0, 0};
    for (int i = 0; i < STEPS; i++) {
        double mu = (2 * i + 1.0) / STEPS - 1;
        double closing = 1 - beta * mu;
        double in = (mu - beta) / closing;
        for (int k = 0; k < STEPS; k++) {
            double m = (2 * k + 1.0) / STEPS - 1;
            double leaving = 1 + beta * m;
            double out = (m + beta) / leaving; /* mu after */
            double phase = 0.375 * (3 - in * in + (3 * in * in - 1) * m * m);
            double rest_sines = sqrt((1 - in * in) * (1 - m * m));
            double sines = sqrt((1 - mu * mu) * (1 - out * out));
            double turned = 0.75 * in * m * rest_sines * sines; /* mean of the azimuth's cosine */
            double weight = closing * pow(gamma * gamma * closing * leaving, alpha);
            all += closing * phase;
            sum.mean += weight * phase;
            sum.cosine += weight * (phase * mu * out + turned);
        }
    }
    sum.mean /= all;
    sum.cosine /= all;
    return sum;
}

/* The mean over thermal electrons, p^2 e^(-gamma/theta) dp. */
static gains gain_of(double alpha, double theta) {
    enum { STEPS = 60 };
    double top = sqrt(30 * theta * (30 * theta + 2));
    double all = 0;
    gains sum = {0, 0};
    for (int i = 0; i < STEPS; i++) {
        double p = top * (i + 0.5) / STEPS;
        double gamma = sqrt(1 + p * p);
        double weight = p * p * exp((1 - gamma) / theta);
        gains one = gain_of_electron(alpha, gamma);
        sum.mean += weight * one.mean;
        sum.cosine += weight * one.cosine;
        all += weight;
    }
    sum.mean /= all;
    sum.cosine /= all;
    return sum;
}

static double transport(double theta, double tau) {
    double low = 0.001;
    double high = 15;
    for (int k = 0; k < 22; k++) {
        double a = 0.5 * (low + high);
        gains g = gain_of(a, theta);
        double shorter = 1 - g.cosine;
        if ((g.mean - g.cosine) / shorter < multiplicity(tau * shorter)) {
            low = a;
        } else {
            high = a;
        }
    }
    return 0.5 * (low + high);
}

/* ==== output ====================================================================================================== */

typedef struct result {
    double x1; /* where slopes are taken, */
    double x2; /* to here */
    double alpha;
    double error;
    double plain;
    double plain_error;
    double st; /* Sunyaev & Titarchuk */
    double tl; /* Titarchuk & Lyubarskij */
    double transport;
    double distance; /* Kolmogorov-Smirnov, times sqrt(n m/(n+m)) */
    double scatters;
} result;

static int rising(const void *a, const void *b) {
    return (*(const double *)a > *(const double *)b) - (*(const double *)a < *(const double *)b);
}

static double distance(const escaped *a, long n, const escaped *b, long m) {
    double *x = malloc((size_t)(n + m) * sizeof *x);
    if (!x) {
        fail("out of memory");
    }
    for (long i = 0; i < n; i++) {
        x[i] = a[i].x;
    }
    for (long i = 0; i < m; i++) {
        x[n + i] = b[i].x;
    }
    qsort(x, (size_t)n, sizeof *x, rising);
    qsort(x + n, (size_t)m, sizeof *x, rising);
    double worst = 0;
    long i = 0;
    long k = 0;
    while (i < n && k < m) {
        if (x[i] <= x[n + k]) {
            i++;
        } else {
            k++;
        }
        worst = fmax(worst, fabs((double)i / (double)n - (double)k / (double)m));
    }
    free(x);
    return worst * sqrt((double)n * (double)m / (double)(n + m));
}

/* columns: x, dN/dln x of both, and of the first its noise; over all photons. */
static void spectrum(double *table, const escaped *e, long n, const escaped *plain, long m, double x_low,
                     double x_high) {
    double step = log(x_high / x_low) / BINS;
    memset(table, 0, sizeof(double) * BINS * 4);
    for (int k = 0; k < BINS; k++) {
        table[4 * k] = x_low * exp((k + 0.5) * step);
    }
    for (int pass = 0; pass < 2; pass++) {
        for (long i = 0; i < (pass ? m : n); i++) {
            double at = log((pass ? plain : e)[i].x / x_low) / step;
            if (at >= 0 && at < BINS) {
                table[4 * (int)at + (pass ? 3 : 1)] += 1;
            }
        }
    }
    for (int k = 0; k < BINS; k++) {
        table[4 * k + 2] = sqrt(table[4 * k + 1]) / ((double)n * step);
        table[4 * k + 1] /= (double)n * step;
        table[4 * k + 3] /= m ? (double)m * step : 1;
    }
}

static void picture(const double *table, const settings *set, const result *r) {
    static out_file o;
    char err[ERROR_SIZE];
    if (plot_begin(&o, set->out, "comptonized", 900, 640, 14, err)) {
        fail("%s", err);
    }
    fprintf(o.f, "$s << EOD\n");
    for (int k = 0; k < BINS; k++) {
        fprintf(o.f, "%.6g %.6g %.6g %.6g\n", table[4 * k], table[4 * k + 1], table[4 * k + 2], table[4 * k + 3]);
    }
    fprintf(o.f, "EOD\nset logscale xy; set format '10^{%%T}'; set key bottom left\n");
    fprintf(o.f, "set xlabel 'h{/Symbol n}/(m_e c^2)'; set ylabel 'dN/d ln{/Symbol n} per photon'\n");
    double highest = 0;
    int at = 0;
    for (int k = 0; k < BINS; k++) {
        highest = fmax(highest, table[4 * k + 1]);
        if (table[4 * k] < sqrt(r->x1 * r->x2)) {
            at = k;
        }
    }
    fprintf(o.f, "set yrange [%.3g:%.3g]\n", 2 / (double)set->n, highest * 5);
    fprintf(o.f, "st(x) = %.6g*(x/%.6g)**(%.6g)\n", 2 * table[4 * at + 1], table[4 * at], -r->st);
    fprintf(o.f, "tl(x) = %.6g*(x/%.6g)**(%.6g)\n", 2 * table[4 * at + 1], table[4 * at], -r->tl);
    fprintf(o.f, "tt(x) = %.6g*(x/%.6g)**(%.6g)\n", 2 * table[4 * at + 1], table[4 * at], -r->transport);
    fprintf(o.f, "set title '{/Symbol q} = %.3g, {/Symbol t} = %.3g'\n", set->theta, set->tau);
    fprintf(o.f, "plot [%.4g:%.4g] $s using 1:4 with histeps lw 2 lc rgb '#0072B2' title 'plain double loop'", table[0],
            table[4 * (BINS - 1)]);
    fprintf(o.f, ", $s using 1:2:3 with yerrorbars pt 7 ps 0.6 lc rgb '#D55E00' title 'bml\\_sample\\_thermal\\_step'");
    fprintf(o.f, ", [%.4g:%.4g] st(x) dt 2 lw 2 lc rgb '#555555' title 'Sunyaev \\& Titarchuk'", r->x1, r->x2);
    fprintf(o.f, ", [%.4g:%.4g] tl(x) dt 3 lw 2 lc rgb '#009E73' title 'Titarchuk \\& Lyubarskij'", r->x1, r->x2);
    fprintf(o.f, ", [%.4g:%.4g] tt(x) lw 2 lc rgb 'black' title 'transport theory'\n", r->x1, r->x2);
    if (plot_end(&o, set->out, "comptonized", err) < 0) {
        fail("%s", err);
    }
}

/* Mean polarisation of what leaves, in ten bins of its cosine to the radius. */
static void polarisation(const settings *set, const escaped *e) {
    double table[10 * 4] = {0};
    char err[ERROR_SIZE];
    for (long i = 0; i < set->n; i++) {
        int k = (int)(10 * e[i].radial);
        if (k < 0 || k > 9 || !(e[i].scatters > 0)) {
            continue;
        }
        table[4 * k + 1] += e[i].degree;
        table[4 * k + 2] += e[i].degree * e[i].degree;
        table[4 * k + 3] += 1;
    }
    for (int k = 0; k < 10; k++) {
        double n = fmax(table[4 * k + 3], 1);
        double mean = table[4 * k + 1] / n;
        table[4 * k] = (k + 0.5) / 10;
        table[4 * k + 1] = mean;
        table[4 * k + 2] = sqrt(fmax(table[4 * k + 2] / n - mean * mean, 0) / n);
    }
    if (csv_write(set->out, "polarisation.csv", "cos_radius,degree,noise,photons", table, 10, 4, err)) {
        fail("%s", err);
    }
}

/* Photons [from, from + n), each block of 1000 with a stream of its own. */
static void run(escaped *e, const cloud *c, const settings *set, long n, int plain) {
    long blocks = (n + 999) / 1000;
    progress_bar bar;
    progress_begin(&bar, plain ? "plain loop" : "photons", (double)blocks, set->quiet);
    long done = 0;
#ifdef _OPENMP
#pragma omp parallel for schedule(dynamic) num_threads((int)set->threads)
#endif
    for (long b = 0; b < blocks; b++) {
        double x[1000];
        double r[1000];
        bml_sample_rng rng;
        long m = n - 1000 * b < 1000 ? n - 1000 * b : 1000;
        bml_sample_rng_init(&rng, set->seed, (uint64_t)(2 * b + plain));
        bml_sample_black_body(x, (size_t)m, BML_SAMPLE_PHOTONS, &rng);
        bml_sample_table_draw(c->birth, r, (size_t)m, &rng);
        for (long i = 0; i < m; i++) {
            escaped *one = &e[1000 * b + i];
            if (plain) {
                one->x = reference(c, x[i] * set->seed_theta, r[i], &rng);
            } else {
                follow(one, c, x[i] * set->seed_theta, r[i], set->polarised, &rng);
            }
        }
#ifdef _OPENMP
#pragma omp critical
#endif
        {
            done++;
            progress_at(&bar, (double)done, "");
        }
    }
    progress_end(&bar);
}

static double lower_end(const settings *set) {
    return 10 * set->seed_theta * (1 + 4 * set->theta + 16 * set->theta * set->theta);
}

static double upper_end(const settings *set) {
    return fmin(0.1 * set->theta, 0.005 / (1 + 4 * set->theta));
}

static void measure(result *r, const settings *set, const escaped *e, const escaped *plain) {
    /* above the seeds and what one scattering makes of them; below what recoil and Klein and Nishina bend */
    r->x1 = lower_end(set);
    r->x2 = upper_end(set);
    r->alpha = slope_of(&r->error, e, set->n, r->x1, r->x2);
    r->plain = slope_of(&r->plain_error, plain, set->check, r->x1, r->x2);
    r->st = sunyaev_titarchuk(set->theta, set->tau);
    r->tl = titarchuk_lyubarskij(set->theta, set->tau);
    r->transport = transport(set->theta, set->tau);
    r->distance = distance(e, set->n, plain, set->check);
    for (long i = 0; i < set->n; i++) {
        r->scatters += e[i].scatters / (double)set->n;
    }
}

static settings set;

static void defaults(void) {
    set.theta = 0.1;
    set.tau = 1.5;
    set.seed_theta = 1e-7;
    set.n = 1000000;
    set.check = 100000;
    set.threads = 1;
    set.seed = 1;
}

static const option_row options[] = {
    OPTION_REAL("theta", &set.theta, 1e-3, 10, "T", "kT/(m_e c^2) of the electrons"),
    OPTION_REAL("tau", &set.tau, 0.01, 20, "D", "Thomson depth from the centre"),
    OPTION_REAL("seed-theta", &set.seed_theta, 1e-9, 1e-2, "T", "kT/(m_e c^2) of the seed photons"),
    OPTION_WHOLE("n", &set.n, 1000, 1e9, "photons"),
    OPTION_WHOLE("check", &set.check, 1000, 1e9, "photons of the plain loop"),
    OPTION_SWITCH("polarised", &set.polarised, "Stokes parameters too"),
    OPTION_SEED("seed", &set.seed, "seed"),
    OPTION_WHOLE("threads", &set.threads, 1, 1024, "threads; the numbers do not depend on them"),
    OPTION_SWITCH("quiet", &set.quiet, "no progress bar"),
    OPTION_WORD("out", &set.out, "DIR", "folder for the results"),
    {0}};

/* Whether the loops agree with each other, and with theory, as far as the photons tell; the sentence to *verdict. */
static int judge(const char **verdict, const result *r) {
    int same = r->distance < 2; /* exceeded by chance once in 1500 */
    int seen = r->error < 0.1 * r->alpha;
    int slope =
        !(fabs(r->alpha - r->transport) > 3 * r->error + 0.02 * r->transport); /* 1 % is the approximation's own */
    int usable = same && (slope || !seen);
    *verdict = "usable: both loops agree, and the slope is transport theory's";
    if (!same) {
        *verdict = "not to be trusted: the loops differ";
    } else if (!usable) {
        *verdict = "not to be trusted: the slope is not transport theory's";
    } else if (!seen) {
        *verdict = "usable: both loops agree; too few photons leave between these energies for a slope";
    }
    return usable;
}

/* Lines and run.json; returns the exit status. times: what a photon of the plain loop takes, over one of the other. */
static int report(const result *r, double times, double seconds) {
    char err[ERROR_SIZE];
    const char *verdict;
    printf("energy index             %.4f +- %.4f between x = %.3g and %.3g\n", r->alpha, r->error, r->x1, r->x2);
    printf("  of the plain loop      %.4f +- %.4f\n", r->plain, r->plain_error);
    printf("  Sunyaev & Titarchuk    %.4f\n  Titarchuk & Lyubarskij %.4f\n", r->st, r->tl);
    printf("  transport theory       %.4f\n", r->transport);
    printf("both spectra             Kolmogorov-Smirnov distance %.2f of its noise\n", r->distance);
    printf("scatterings a photon     %.2f\n", r->scatters);
    printf("time of a scattering     the plain loop takes %.1f times as long\n", times);
    int usable = judge(&verdict, r);
    printf("verdict                  %s\n", verdict);
    run_entry results[] = {{"energy_index", r->alpha, NULL},
                           {"energy_index_error", r->error, NULL},
                           {"energy_index_plain", r->plain, NULL},
                           {"sunyaev_titarchuk", r->st, NULL},
                           {"titarchuk_lyubarskij", r->tl, NULL},
                           {"transport", r->transport, NULL},
                           {"distance", r->distance, NULL},
                           {"scatterings", r->scatters, NULL},
                           {"verdict", 0, verdict},
                           {NULL, 0, NULL}};
    run_info info = {0};
    info.program = "comptonize";
    info.options = options;
    info.seed = set.seed;
    info.results = results;
    info.seconds = seconds;
    if (run_write(set.out, &info, err)) {
        fail("%s", err);
    }
    return usable ? 0 : 2;
}

int main(int argc, char **argv) {
    static bml_sample_thermal_nodes nodes;
    static double table[BINS * 4];
    char err[ERROR_SIZE];
    defaults();
    int first =
        options_parse(argc, argv, options, "comptonize --out DIR [options]",
                      "Soft photons in a ball of thermal electrons: the spectrum that leaves it, and its slope.");
    if (first < argc) {
        fail("%.300s: no argument is expected beside the options", argv[first]);
    }
    if (!set.out) {
        fail("--out is missing");
    }
    if (!(10 * lower_end(&set) < upper_end(&set))) {
        fail("--seed-theta must be lower: no decade of slope is left from x = %.3g to %.3g", lower_end(&set),
             upper_end(&set));
    }
    if (out_folder(set.out, err)) {
        fail("%s", err);
    }
    bml_sample_thermal_table(&nodes);
    bml_sample_table *birth;
    bml_sample_table_config births = {0};
    births.density = birth_density;
    births.z = &set.tau;
    births.upper = 1;
    char why[BML_SAMPLE_MESSAGE];
    if (bml_sample_table_create(&birth, &births, why)) {
        fail("%s", why);
    }
    cloud c = {{(float)set.theta, &nodes}, set.tau, birth};
    escaped *e = calloc((size_t)(set.n + set.check), sizeof *e);
    if (!e) {
        fail("out of memory");
    }
    double start = seconds_now();
    run(e, &c, &set, set.n, 0);
    double seconds = seconds_now() - start;
    run(e + set.n, &c, &set, set.check, 1);
    double plain_seconds = seconds_now() - start - seconds;
    result r = {0};
    measure(&r, &set, e, e + set.n);
    spectrum(table, e, set.n, e + set.n, set.check, 0.1 * set.seed_theta, 30 * set.theta);
    if (csv_write(set.out, "spectrum.csv", "x,dN_dlnx,noise,plain", table, BINS, 4, err)) {
        fail("%s", err);
    }
    picture(table, &set, &r);
    if (set.polarised) {
        polarisation(&set, e);
    }
    free(e);
    bml_sample_table_free(birth);
    const double times = plain_seconds / (double)set.check / (seconds / (double)set.n);
    return report(&r, times, seconds_now() - start);
}
