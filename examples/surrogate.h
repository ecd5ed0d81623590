/* surrogate.h: cheap stand-ins for a model, trained on its own results.

     response     a polynomial of degree 1 to 4 in all parameters for many outputs at once (a "response surface")

   A response is not meant to replace the model: fit_sed uses it to screen proposals, and every proposal that passes is
   still judged by the exact solver (BML_MCMC_SURROGATE in bml_mcmc.h), so an error of the response costs acceptance, never
   correctness. Include common.h first. Public domain or MIT, see LICENSE. */
#ifndef SURROGATE_H
#define SURROGATE_H

enum { RESPONSE_DIM = 16, RESPONSE_TERMS = 512 };

typedef struct response {
    int n_dim, n_out, n_terms;
    double mean[RESPONSE_DIM], inverse[RESPONSE_DIM][RESPONSE_DIM]; /* z = inverse (theta - mean): unit covariance */
    short parent[RESPONSE_TERMS], factor[RESPONSE_TERMS]; /* term t = term[parent] z[factor]; term 0 is 1 */
    double *coef;                                         /* [n_terms][n_out], owned */
} response;

static inline void response_free(response *r) {
    free(r->coef);
    r->coef = NULL;
}

/* Lower Cholesky factor of a [n][n] in place; 0, or -1 when a is not positive definite. */
static inline int cholesky(double *a, int n) {
    for (int j = 0; j < n; j++) {
        for (int k = 0; k < j; k++)
            for (int i = j; i < n; i++) a[i * n + j] -= a[i * n + k] * a[j * n + k];
        if (!(a[j * n + j] > 0)) return -1;
        double d = 1 / sqrt(a[j * n + j]);
        for (int i = j; i < n; i++) a[i * n + j] *= d;
    }
    return 0;
}

/* Lists every product of at most `degree` coordinates, each made from a shorter one. */
static inline void response_terms(response *r, int degree) {
    int from = 0, to = 1;
    r->n_terms = 1;
    r->parent[0] = r->factor[0] = 0;
    for (int g = 1; g <= degree; g++) {
        for (int t = from; t < to; t++)
            for (int f = g > 1 ? r->factor[t] : 0; f < r->n_dim; f++) {
                r->parent[r->n_terms] = (short)t;
                r->factor[r->n_terms++] = (short)f;
            }
        from = to;
        to = r->n_terms;
    }
}

/* Number of terms that response_terms will list: (n_dim + degree)!/(n_dim! degree!). */
static inline long response_count(int n_dim, int degree) {
    long n = 1;
    for (int g = 1; g <= degree; g++) n = n * (n_dim + g) / g;
    return n;
}

/* term [n_terms] at theta [n_dim]. */
static inline void response_basis(double *term, const response *r, const double *theta) {
    double z[RESPONSE_DIM];
    for (int i = 0; i < r->n_dim; i++) {
        z[i] = 0;
        for (int j = 0; j <= i; j++) z[i] += r->inverse[i][j] * (theta[j] - r->mean[j]);
    }
    term[0] = 1;
    for (int t = 1; t < r->n_terms; t++) term[t] = term[r->parent[t]] * z[r->factor[t]];
}

/* out [n_out] at theta [n_dim]. Thread safe. */
static inline void response_at(double *restrict out, const response *r, const double *theta) {
    double term[RESPONSE_TERMS];
    const double *restrict coef = r->coef;
    response_basis(term, r, theta);
    for (int k = 0; k < r->n_out; k++) out[k] = 0;
    for (int t = 0; t < r->n_terms; t++, coef += r->n_out)
        for (int k = 0; k < r->n_out; k++) out[k] += term[t] * coef[k];
}

/* Mean and whitening of theta [n][n_dim]; 0, or -1 when the points span less than the space. */
static inline int response_whiten(response *r, const double *theta, long n) {
    double cov[RESPONSE_DIM * RESPONSE_DIM] = {0};
    int d = r->n_dim;
    memset(r->mean, 0, sizeof r->mean);
    memset(r->inverse, 0, sizeof r->inverse);
    for (long p = 0; p < n; p++)
        for (int i = 0; i < d; i++) r->mean[i] += theta[p * d + i] / (double)n;
    for (long p = 0; p < n; p++)
        for (int i = 0; i < d; i++)
            for (int j = 0; j <= i; j++)
                cov[i * d + j] += (theta[p * d + i] - r->mean[i]) * (theta[p * d + j] - r->mean[j]) / (double)n;
    if (cholesky(cov, d)) return -1;
    for (int c = 0; c < d; c++) /* invert the factor, column by column */
        for (int i = c; i < d; i++) {
            double sum = i == c;
            for (int j = c; j < i; j++) sum -= cov[i * d + j] * r->inverse[j][c];
            r->inverse[i][c] = sum / cov[i * d + i];
        }
    return 0;
}

/* Fits value [n][n_out] at theta [n][n_dim] by least squares, with the highest degree up to max_degree that leaves at least
   ten points a term. Normal equations: the whitened coordinates keep them well conditioned, and a ridge of 1e-9 guards
   the rest. 0, or -1 when there are too few points or memory is short; r owns its coefficients. */
static inline int response_fit(response *r, const double *theta, const double *value, long n, int n_dim, int n_out,
                               int max_degree) {
    int degree = max_degree, terms, status = -1;
    double *normal = NULL, *term = NULL;
    memset(r, 0, sizeof *r);
    r->n_dim = n_dim;
    r->n_out = n_out;
    if (n_dim < 1 || n_dim > RESPONSE_DIM) return -1;
    while (degree > 1 && (response_count(n_dim, degree) > RESPONSE_TERMS || n < 10 * response_count(n_dim, degree))) degree--;
    if (n < 4 * response_count(n_dim, degree) || response_whiten(r, theta, n)) return -1;
    response_terms(r, degree);
    terms = r->n_terms;
    normal = calloc((size_t)terms * (size_t)terms, sizeof *normal);
    term = malloc((size_t)terms * sizeof *term);
    r->coef = calloc((size_t)terms * (size_t)n_out, sizeof *r->coef);
    if (!normal || !term || !r->coef) goto done;
    for (long p = 0; p < n; p++) {
        response_basis(term, r, theta + p * n_dim);
        for (int t = 0; t < terms; t++) {
            double *restrict row = normal + t * terms, *restrict right = r->coef + t * n_out;
            for (int s = 0; s <= t; s++) row[s] += term[t] * term[s];
            for (int k = 0; k < n_out; k++) right[k] += term[t] * value[p * n_out + k];
        }
    }
    for (int t = 0; t < terms; t++) normal[t * terms + t] *= 1 + 1e-9;
    if (cholesky(normal, terms)) goto done;
    for (int t = 0; t < terms; t++) { /* forward, then backward substitution, all outputs at once */
        for (int s = 0; s < t; s++)
            for (int k = 0; k < n_out; k++) r->coef[t * n_out + k] -= normal[t * terms + s] * r->coef[s * n_out + k];
        for (int k = 0; k < n_out; k++) r->coef[t * n_out + k] /= normal[t * terms + t];
    }
    for (int t = terms - 1; t >= 0; t--) {
        for (int s = t + 1; s < terms; s++)
            for (int k = 0; k < n_out; k++) r->coef[t * n_out + k] -= normal[s * terms + t] * r->coef[s * n_out + k];
        for (int k = 0; k < n_out; k++) r->coef[t * n_out + k] /= normal[t * terms + t];
    }
    status = 0;
done:
    free(normal);
    free(term);
    if (status) response_free(r);
    return status;
}
#endif
