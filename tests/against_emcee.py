#!/usr/bin/env python3
"""The posterior of `make fit-solver`, sampled again by emcee (Debian: python3-emcee): the same density, another sampler.

    make fit-solver && python3 tests/against_emcee.py [steps]

Run from the project's root. emcee starts from points of the chain in build/fit_solver, walks `steps` steps (default 9000, a quarter of
an hour on two cores) with 200 walkers, drops the first 1000 (or a tenth), and a table compares means and sds. z is the
difference over both samplers' errors; emcee warns where its chain is too short for them to be trusted."""
import ctypes, os, subprocess, sys, tempfile
import emcee
import numpy as np

SOURCE = r'''
#define main fit_sed_main
#include "fit_sed.c"
static options opt = {.redshift = 0.557, .systematic_scatter = 1, .walkers = 48, .confidence = 0.95};
static problem p;
void start(void) { set_up(&p, &opt, "examples/data/3hsp_j095507.csv"); }
void ln_p(double *lp, const double *theta, int n) { log_prob(lp, theta, n, p.n_free, &p); }
'''

def library(folder):
    source, target = os.path.join(folder, "fit.c"), os.path.join(folder, "fit.so")
    open(source, "w").write(SOURCE)
    subprocess.check_call(["gcc", "-std=c99", "-O3", "-march=native", "-fno-math-errno", "-fopenmp", "-shared", "-fPIC", "-I.",
                           "-Iexamples", "-Iexamples/common", "-Iexamples/fit_sed", source, "-o", target, "-lm"])
    return ctypes.CDLL(target)

with tempfile.TemporaryDirectory() as folder:
    lib = library(folder)
lib.start()

def ln_p(x):
    x, lp = np.ascontiguousarray(x), np.empty(len(x))
    lib.ln_p(lp.ctypes.data_as(ctypes.c_void_p), x.ctypes.data_as(ctypes.c_void_p), len(x))
    return lp

steps, walkers = int(sys.argv[1]) if len(sys.argv) > 1 else 9000, 200
ours = np.load("build/fit_solver/chain.npy")
n_dim = ours.shape[2]
np.random.seed(5)
flat = ours.reshape(-1, n_dim)[np.random.permutation(ours.shape[0] * ours.shape[1])[:4 * walkers]]
start = flat[np.sort(np.unique(flat, axis=0, return_index=True)[1])[:walkers]]  # as often as the chain has them, none twice
moves = [(emcee.moves.StretchMove(), 0.4), (emcee.moves.DEMove(), 0.3), (emcee.moves.KDEMove(), 0.3)]
sampler = emcee.EnsembleSampler(walkers, n_dim, ln_p, vectorize=True, moves=moves)
sampler.run_mcmc(start, steps)
theirs = sampler.get_chain(discard=min(1000, steps // 10))
tau = emcee.autocorr.integrated_time(theirs, quiet=True), emcee.autocorr.integrated_time(ours, quiet=True)
print("%-14s %9s %9s %9s %9s %6s" % ("parameter", "mean", "emcee", "sd", "emcee", "z"))
names = "log_R log_B log_gamma_min log_gamma_max log_l_e p log_delta ln_f".split()
for k, name in enumerate(names):
    a, b = ours[:, :, k], theirs[:, :, k]
    error = np.hypot(a.std() / np.sqrt(a.size / tau[1][k]), b.std() / np.sqrt(b.size / tau[0][k]))
    print("%-14s %9.4f %9.4f %9.4f %9.4f %6.2f" % (name, a.mean(), b.mean(), a.std(), b.std(), (a.mean() - b.mean()) / error))
