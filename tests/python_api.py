"""The Python package against the C programs and against closed forms. tests/python.sh runs it. Prints like a test program.

    python3 tests/python_api.py [--bench]        --bench: what a call costs beside its C function, and a surrogate's spectrum
"""
import json
import os
import pickle
import re
import subprocess
import sys
import tempfile
import time
from math import erfc, log

import numpy as np

import bml

passed = failed = 0
NU = np.logspace(9, 27, 40)
ROW = [16, -1, 3, 6, -4, 2.2]


def check(ok, what):
    global passed, failed
    passed, failed = passed + bool(ok), failed + (not ok)
    print("%s  %s" % ("ok  " if ok else "FAIL", what), flush=True)


def near(got, want, tolerance, what):
    worst = np.max(np.abs(np.asarray(got, float) - np.asarray(want, float)))
    check(worst <= tolerance, "%s: off by %.3g, allowed %.3g" % (what, worst, tolerance))


def refuses(kind, pattern, what, f, *arguments, **more):
    try:
        f(*arguments, **more)
    except kind as e:
        check(pattern in str(e), "%s is refused: %s" % (what, e))
    except Exception as e:
        check(False, "%s: %r" % (what, e))
    else:
        check(False, "%s is accepted" % what)


# ==== spectra =========================================================================================================
def spectra():
    # hello_ssc prints log10 nu and nuFnu of this source, with five digits: half a unit of the last is 5e-5 at most
    out = subprocess.run(["build/hello_ssc"], capture_output=True, text=True).stdout
    nu, flux = np.array([line.split() for line in out.splitlines()], float).T
    nu = 10 ** nu
    source, observer = hello_source()
    blob = bml.ssc.solve(**source)
    near(blob.sed(nu, **observer) / flux, 1, 6e-5, "hello_ssc's spectrum by solve, of C to its printed digits")
    rows = np.array([ROW, [15, 0, 2, 5, -3, 2.5], [17, -2, 1, 7, -5, 1.8]])
    together = bml.ssc.sed(rows, NU, redshift=[0.1, 0.2, 0.3], delta=[10, 20, 30])
    for i, row in enumerate(rows):
        alone = bml.ssc.sed(row, NU, redshift=0.1 * (i + 1), delta=10 * (i + 1))
        check(np.array_equal(alone, together[i]), "row %d alone and among others: the same bits" % i)
    check(np.array_equal(together, bml.ssc.sed(rows, NU, redshift=[0.1, 0.2, 0.3], delta=[10, 20, 30], threads=1)),
          "one thread and all: the same bits")
    parts = [bml.ssc.sed(ROW, NU, redshift=0.1, component=c) for c in ("synchrotron", "compton", "total")]
    near((parts[0] + parts[1])[5:-5] / parts[2][5:-5], 1, 0.02, "synchrotron and Compton make the total, but for interpolation")
    steeper = bml.ssc.sed([ROW, ROW], NU, redshift=0.1, injection="broken", gamma_break=1e5, p2=[2.2, 3.5])
    near(steeper[0], bml.ssc.sed(ROW, NU, redshift=0.1), 1e-9 * steeper[0].max(), "a break without a break")
    check(steeper[1].sum() < steeper[0].sum(), "members may be arrays")
    field = bml.ssc.sed(ROW, NU, redshift=0.1, external=[{"kind": "black_body", "temperature": 1e4, "energy_density": 1.0}])
    check(field[NU > 1e20].max() > 2 * parts[2][NU > 1e20].max(), "a field from outside adds photons")
    ebl = bml.ssc.Ebl("dominguez2011")
    seen = bml.ssc.sed(ROW, [1e26], redshift=0.1, ebl=ebl) / bml.ssc.sed(ROW, [1e26], redshift=0.1)
    near(seen, np.exp(-ebl.depth(0.1, 1e26)), 1e-12, "the background light takes exp(-tau)")
    refuses(bml.Error, "gamma_max", "gamma_max below gamma_min", bml.ssc.sed, [ROW, [16, -1, 3, 2, -4, 2.2]], NU, 0.1)
    refuses(bml.Error, "row 1", "the row is named", bml.ssc.sed, [ROW, [16, -1, 3, 2, -4, 2.2]], NU, 0.1)
    check(np.isnan(bml.ssc.sed([ROW, [16, -1, 3, 2, -4, 2.2]], NU, 0.1, on_error="nan")[1]).all(), "on_error = nan")
    refuses(bml.Error, "redshift = -1", "a negative redshift", bml.ssc.sed, ROW, NU, -1)
    refuses(bml.BadArgument, "shape", "five columns", bml.ssc.sed, [ROW[:5]], NU, 0.1)
    refuses(bml.BadArgument, "no member", "a member that is not there", bml.ssc.sed, ROW, NU, 0.1, gamma_middle=3)
    refuses(bml.Error, "R = ", "a source without a radius", bml.ssc.solve, B=1, gamma_min=1e3, gamma_max=1e6, L_e=1e42)
    energy = blob.energy()
    check(abs(energy["residual"]) < 0.01, "the books balance")
    check(blob.derived(**observer)["U_B"] == np.float64(source["B"] ** 2 / (8 * np.pi)) or
          abs(blob.derived(**observer)["U_B"] * 8 * np.pi / source["B"] ** 2 - 1) < 1e-12, "U_B = B^2/(8 pi)")
    check(np.isfinite(blob.electrons([4.0])).all() and blob.electrons([9.0])[0] == -np.inf, "electrons up to gamma_max")


def hello_source():
    """The source and observer of hello_ssc.c, by its own text."""
    text = re.sub(r"/\*.*?\*/", "", open("examples/hello/hello_ssc.c").read(), flags=re.S)
    take = lambda block: {k.strip()[1:]: float(v) for k, v in (
        part.split("=") for part in text.split(block)[1].split("{")[1].split("}")[0].split(",") if "=" in part)}
    observer = take("bml_ssc_observer")
    return take("bml_ssc_source"), {k: v for k, v in observer.items() if k in ("redshift", "delta")}


# ==== data, likelihood, surrogate =====================================================================================
def data():
    sed = bml.read_sed("examples/data/3hsp_j095507.csv")
    check(len(sed) == 31 and sed.upper_limit.sum() == 5 and sed.redshift == 0.557, "the table of 3HSP J095507: %r" % sed)
    check(sed.instrument[0] == "Swift-UVOT" and sed.source.startswith("3HSP"), "names")
    near(sed.nuFnu[0], 5.956621e-13, 0, "the first flux")
    check(len(bml.read_sed("examples/data/3hsp_j095507.csv", skip=["NuSTAR"], nu_min=1e15)) < 31, "options")
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "bad.csv")
        with open(path, "w") as f:
            f.write("nu_Hz,nuFnu_erg_cm2_s,err_dex\n1e15,-1e-12,0.1\n")
        refuses(bml.Error, "bad.csv:2:", "a negative flux", bml.read_sed, path)
    refuses(bml.Error, "nowhere.csv", "a file that is not there", bml.read_sed, "nowhere.csv")
    rows = np.array([[16.5, -1, 3.5, 6.5, -4, 2.0], [16, -0.5, 3, 6, -4, 2.2]])
    # the formula of bml_ssc_log_likelihood once more
    flux = bml.ssc.sed(rows, sed.nu, sed.redshift, 6.0)
    want = []
    for f in flux:
        total = 0.0
        for p, m in zip(sed.points, f):
            if p["upper_limit"]:
                sigma = p["sigma_hi"] or p["nuFnu"] / 1.6448536269514722
                total += log(0.5 * erfc((m - p["nuFnu"]) / sigma / 2 ** 0.5))
            else:
                r = np.log10(m / p["nuFnu"])
                s = p["sigma_hi"] if r > 0 else p["sigma_lo"]
                total += -0.5 * (r / s) ** 2 - log(s) - 0.5 * log(2 * np.pi)
        want.append(total)
    got = bml.ssc.log_likelihood(rows, sed, delta=6.0)
    near(got / want, 1, 1e-9, "log_likelihood by the solver")
    check(bml.ssc.log_likelihood([16, -1, 3, 2, -4, 2.2], sed, delta=20) == -np.inf, "a source that cannot be is impossible")
    check(bml.ssc.log_likelihood(rows, sed, delta=6.0, ln_f=[-1, -1])[0] > got[0], "scatter")
    net = bml.surrogate.load()
    off = np.abs(np.log10(net.sed(rows, sed.nu, sed.redshift, 6.0) / flux))[:, sed.nu < 1e25]
    check(np.sqrt(np.mean(off ** 2)) < 0.02, "the network gives the solver's spectra: rms %.4f dex" % np.sqrt(np.mean(off ** 2)))
    many = np.random.default_rng(1).uniform(net.lo, net.hi, (100, 6))
    many[:, 3] = np.maximum(many[:, 3], many[:, 2] + 2)
    check(np.array_equal(net.sed(many, NU, 0.1, 10, threads=1), net.sed(many, NU, 0.1, 10), equal_nan=True), "threads: the same bits")
    out = np.array([net.outside(r) is not None for r in many])
    check(np.array_equal(np.isnan(net.sed(many, NU, 0.1, 10)).all(axis=1), out) and not out.all(), "outside the domain: NaN")
    lp = net.log_likelihood(rows, sed, delta=20)
    near(lp, bml.ssc.log_likelihood_of(net.sed(rows, sed.nu, sed.redshift, 20.0), sed), 1e-9, "the network's likelihood")
    check((net.log_likelihood(rows, sed, delta=20, own_error=True) > lp).all(), "its own error widens a poor fit")
    gradients(net, sed)
    y = net.spectra(rows)
    check(y.shape == (2, 500) and (y[:, -1] == -30).all(), "spectra on the grid of ssc_sed")
    x = np.linspace(-15, 10, 500)[100:300]
    near(y[0, 100:300], bml.ssc.spectrum(rows[0], x), 0.1, "and they are the solver's")
    refuses(bml.Error, "nothing.safetensors", "a model that is not there", bml.surrogate.load, "nothing.safetensors")
    refuses(bml.Error, "EBL", "a frequency beyond the table", net.sed, rows, [1e30], 0.5, 10, ebl="dominguez2011")


def gradients(net, sed):
    """Of the network's likelihood against central differences. What rounds in float (2e-6 dex) is 5e-3 of a slope at steps of
    4e-4; where a point's residual changes sides with its errors, the likelihood jumps, and differences say nothing: this row and
    these steps meet no such jump."""
    row, delta, ln_f, h = np.array([16.5, -1, 3.5, 6.5, -4, 2.0]), 6.0, -2.0, 4e-4
    ln_l, slope = net.gradient(row, sed, delta=delta, ln_f=ln_f)
    check(ln_l == net.log_likelihood(row, sed, delta=delta, ln_f=ln_f), "the gradient's likelihood is the likelihood")
    steps = np.vstack([np.eye(8), -np.eye(8)]) * h
    ends = net.log_likelihood(row + steps[:, :6], sed, delta=delta * 10 ** steps[:, 6], ln_f=ln_f + steps[:, 7])
    near(slope / np.abs(slope).max(), (ends[:8] - ends[8:]) / (2 * h) / np.abs(slope).max(), 1e-2, "the network's gradient")
    nothing, flat = net.gradient([16, -1, 3, 2, -4, 2.2], sed, delta=20)
    check(nothing == -np.inf and not flat.any(), "no gradient outside the domain")
    refuses(bml.BadArgument, "shape", "five columns", net.gradient, row[:5], sed)


# ==== protons =========================================================================================================
def protons():
    electrons = dict(R=1e16, B=0.14, gamma_min=1e3, gamma_max=1e5, L_e=1e41, p=2, self_absorption="on")
    members = dict(gamma_min=1, gamma_max=1e6, L_p=1e46, p=2)
    source, seen = bml.hadron.solve(electrons, members), dict(redshift=0.3365, delta=28)
    with tempfile.TemporaryDirectory() as folder:
        command = "build/hadron --R 1e16 --B 0.14 --L-e 1e41 --gamma-max 1e5 --L-p 1e46 --gamma-p-max 1e6 --redshift 0.3365 --delta 28"
        subprocess.run(command.split() + ["--quiet", "--out", folder], capture_output=True)
        photons = np.loadtxt(os.path.join(folder, "photons.csv"), delimiter=",", skiprows=1)[40:120]
        neutrinos = np.loadtxt(os.path.join(folder, "neutrinos.csv"), delimiter=",", skiprows=1)[20:60]
    # both columns have nine digits, and the spectrum falls like nu^-20 at most
    near(source.sed(photons[:, 0], **seen) / photons[:, 1], 1, 1e-7, "photons of a source with protons, as the program's")
    near(source.sed(photons[:, 0], component="exchanged", **seen) / photons[:, 5], 1, 1e-7, "those made by protons")
    near(source.neutrinos(np.log10(neutrinos[:, 0]), **seen).T / neutrinos[:, 1:4], 1, 1e-7, "neutrinos, as the program's")
    check(source.converged and abs(source.protons.energy()["residual"]) < 0.01, "converged, and the books balance")
    out = subprocess.run(["build/hello_hadron"], capture_output=True, text=True).stdout
    log_e, gamma, nu = np.array([line.split() for line in out.splitlines()], float).T
    made = bml.hadron.rates([1, 1e9], [1, 1e-18], [1e-6, 1e-1], [1e15, 1e5])
    for species, want in (("gamma", gamma), ("neutrinos", nu)):
        have = want > -np.inf
        near(made.spectrum(log_e, species)[have], want[have], 5.1e-4, "hello_hadron's %s, to its printed digits" % species)
    refuses(bml.Error, "gamma_max", "protons without gamma_max", bml.hadron.solve, electrons, dict(gamma_min=1, L_p=1e46, p=2))
    refuses(bml.BadArgument, "no member", "a member that is not there", bml.hadron.solve, electrons, dict(members, charge=2))
    refuses(bml.BadArgument, "species", "a species that is none", made.spectrum, 9, "axions")
    refuses(bml.BadArgument, "length", "gamma and N of two lengths", bml.hadron.rates, [1, 10, 100], [1, 1])


# ==== samplers ========================================================================================================
TRUTH, SD = np.array([1.0, -0.5]), np.array([0.3, 0.1])


def gaussian(theta):
    return -0.5 * (((theta - TRUTH) / SD) ** 2).sum(axis=1)


def samplers():
    prior = bml.mcmc.Prior([bml.mcmc.uniform("a", -5, 5), bml.mcmc.uniform("b", -5, 5)])
    # ln Z of a Gaussian inside a flat prior: ln(2 pi sd_a sd_b / 100)
    want = np.log(2 * np.pi * SD.prod() / 100)
    run = bml.mcmc.nested(gaussian, prior, seed=3)
    near(run.log_z, want, 5 * run.log_z_error, "nested: ln Z %.3f +- %.3f" % (run.log_z, run.log_z_error))
    check(run.verdict.ok and run.chain.shape[1:] == (1, 2) and abs(run.weight.sum() - 1) < 1e-9, "nested: a verdict, a chain, weights")
    quick = bml.mcmc.importance(gaussian, prior, seed=3)
    near(quick.log_z, want, 5 * quick.log_z_error, "importance: ln Z %.3f +- %.3f" % (quick.log_z, quick.log_z_error))
    check(quick.verdict.ok and quick.ess >= 10000, "importance: the verdict")
    again = bml.mcmc.nested(gaussian, transform=prior.transform, n_dim=2, seed=3)
    check(again.log_z == run.log_z and again.names == ["0", "1"], "nested by a transform: the same numbers")
    calls = []

    def counting(theta):
        calls.append(len(theta))
        return gaussian(theta)
    run = bml.mcmc.ensemble(counting, prior, seed=1)
    check(max(calls) > 1, "callbacks get batches: %d calls for %d points" % (len(calls), sum(calls)))
    for i, name in enumerate("ab"):
        s = run.summary[name]
        near(s.median, TRUTH[i], 5 * 1.25 * SD[i] / np.sqrt(s.ess), "ensemble: median of %s" % name)
    check(run.verdict.ok and run.verdict.ess_bulk >= 1000, "ensemble: the verdict is OK at 1000 effective samples")
    check(run.samples["b"].shape == (run.chain[..., 0].size,), "samples by name")
    same = bml.mcmc.ensemble(log_prob=lambda t: gaussian(t) + prior.log_density(t), prior=prior, seed=1)
    check(np.array_equal(same.chain, run.chain), "log_prob that holds the prior: the same chain")
    short = bml.mcmc.ensemble(gaussian, prior, seed=1, max_steps=20)
    check(not short.verdict.ok and short.verdict.reasons and "NOT" in str(short), "a short run says so: %s" % short.verdict.reasons[0].text)
    more = bml.mcmc.ensemble(lambda t: (gaussian(t), t.sum(axis=1, keepdims=True)), prior, derived=["sum"], seed=1)
    check(np.array_equal(more.derived["sum"], more.chain.sum(axis=2)), "derived quantities go along")
    run = bml.mcmc.nuts(lambda t: (gaussian(t), -(t - TRUTH) / SD ** 2), prior, seed=2)
    near(run.summary["a"].median, TRUTH[0], 5 * 1.25 * SD[0] / np.sqrt(run.summary["a"].ess), "nuts: median")
    check(run.verdict.ok and run.divergences == 0, "nuts: the verdict")
    refuses(bml.Error, "gradient", "a wrong gradient", bml.mcmc.nuts, lambda t: (gaussian(t), t), prior)
    for sampler in (bml.mcmc.nested, bml.mcmc.importance, bml.mcmc.ensemble, bml.mcmc.nuts):
        refuses(KeyError, "mine", "%s: what a callback raises comes out" % sampler.__name__, sampler, raises, prior)
    refuses(bml.BadArgument, "shape", "a callback of the wrong shape", bml.mcmc.ensemble, lambda t: t, prior)
    refuses(bml.Error, "NaN", "NaN stops", bml.mcmc.nested, lambda t: np.where(t[:, 0] > 0, np.nan, 0), prior)
    stopped = bml.mcmc.nested(gaussian, prior, progress=lambda p: p["evaluations"] > 500)
    check(stopped.evaluations < 2000 and not stopped.converged, "progress can stop it")
    refuses(bml.Error, "lower", "an empty prior", bml.mcmc.Prior, [bml.mcmc.uniform("a", 2, 1)])
    # the triangle y < x: joint, so that the density is flat
    triangle = bml.mcmc.Prior([bml.mcmc.uniform("x", 0, 1, joint=True),
                               bml.mcmc.uniform("y", 0, 1, bounds=lambda lo, hi, before: (lo, before[0]))])
    draws = triangle.sample(2000, seed=1)
    near(draws[:, 0].mean(), 2 / 3, 5 * np.sqrt(1 / 18 / 2000), "bounds that depend on another parameter")
    near(triangle.log_density([[0.7, 0.2], [0.2, 0.7]])[0], np.log(2), 1e-9, "a flat triangle")
    near(triangle.inverse(triangle.transform([0.3, 0.6])), [0.3, 0.6], 1e-9, "transform and its inverse")
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "prior.csv")
        with open(path, "w") as f:
            f.write("u,uniform,0,4\nv,truncnormal,2,0.5,1.5,3\n")
        read = bml.mcmc.read_prior(path)
        near(read.log_density([1, 2]), np.log(0.25 / (0.5 * (2 * np.pi) ** 0.5 * 0.5 * (erfc(-2 / 2 ** 0.5) - erfc(1 / 2 ** 0.5)))), 1e-9,
             "a prior file")
        with open(path, "w") as f:
            f.write("u,flat,0,4\n")
        refuses(bml.Error, "prior.csv:1:", "a prior of an unknown kind", bml.mcmc.read_prior, path)
    chain = np.random.default_rng(0).normal(size=(500, 8, 2))
    s = bml.mcmc.summarize(chain, ["u", "v"])["u"]
    apart = bml.mcmc.verdict(chain + np.arange(8)[:, None], ["u", "v"])
    check(not apart and any("of u" in r.text or "of v" in r.text for r in apart.reasons), "walkers apart: %s" % apart.reasons[0].text)
    check(s.rhat < 1.01 and 0.7 < s.ess_bulk / 4000 < 1.4 and bml.mcmc.verdict(chain), "summaries of any chain")


def states():
    """A run in two parts through a file is the run in one: same seed, same numbers."""
    prior = bml.mcmc.Prior([bml.mcmc.uniform("a", -5, 5), bml.mcmc.uniform("b", -5, 5)])
    slope = lambda t: (gaussian(t), -(t - TRUTH) / SD ** 2)
    parts = {
        "ensemble": (dict(max_steps=40, ess=1e9), dict(max_steps=100, ess=1e9), gaussian),
        "nested": (dict(max_evaluations=500), {}, gaussian),
        "importance": (dict(max_evaluations=1500, min_ess=500), dict(min_ess=500), gaussian),
        "nuts": (dict(draws=30), dict(draws=100), slope),
    }
    if not os.environ.get("BML_CHECK_LONG"):  # three runs of a second each
        del parts["importance"]
    with tempfile.TemporaryDirectory() as folder:
        for kind, (part, whole, f) in parts.items():
            sample, path = getattr(bml.mcmc, kind), os.path.join(folder, kind)
            once = sample(f, prior, seed=4, **whole)
            try:
                sample(f, prior, seed=4, state=path, **part)
            except bml.Error as e:  # importance sampling that stopped before its fresh draws has no result
                check(kind == "importance" and os.path.exists(path), "%s stops: %s" % (kind, e))
            again = sample(f, prior, seed=4, state=path, **whole)
            check(np.array_equal(once.chain, again.chain), "%s: stopped, saved and resumed: the same numbers" % kind)
        path, whole = os.path.join(folder, "broken"), dict(seed=4, max_steps=100, ess=1e9)
        calls = []

        def breaks(theta):
            calls.append(1)
            if len(calls) == 30:
                raise KeyError("mine")
            return gaussian(theta)
        refuses(KeyError, "mine", "a likelihood that breaks down", bml.mcmc.ensemble, breaks, prior, state=path, **whole)
        check(np.array_equal(bml.mcmc.ensemble(gaussian, prior, **whole).chain, bml.mcmc.ensemble(gaussian, prior, state=path, **whole).chain),
              "and is mended goes on from there")
        refuses(bml.Error, path, "the state of another problem", bml.mcmc.ensemble, lambda t: 2 * gaussian(t), prior, seed=4, state=path)
        with open(path, "r+b") as file:
            file.truncate(1000)
        refuses(bml.Error, path, "half a state", bml.mcmc.ensemble, gaussian, prior, seed=4, state=path)


def raises(theta):
    raise KeyError("mine")


# ==== draws, networks, classifiers, fits ==============================================================================
def draws():
    rng = bml.sample.Rng(1)
    energy = bml.sample.compton(1e4, 1e-9, n=100000, rng=rng)
    want = bml.sample.compton_rates(4e-5)["mean_energy"] * 1e4
    near(energy.mean(), want, 5 * energy.std() / np.sqrt(1e5) + 1e-3 * want, "the mean energy of scattered photons")
    u = np.linspace(0.01, 0.99, 50)
    near(bml.sample.compton_cdf(bml.sample.compton(1e4, 1e-9, u=u, method="exact"), 1e4, 1e-9), u, 1e-6, "inverse and CDF")
    check(np.array_equal(bml.sample.Rng(7).normal(5), bml.sample.Rng(7).normal(5)), "a seed")
    copy = pickle.loads(pickle.dumps(rng))
    check(np.array_equal(copy.uniform(3), rng.uniform(3)), "a generator is saved with its place")
    refuses(bml.Error, "photon 1", "a Lorentz factor below 1", bml.sample.compton, [10, 0.5], 1e-9, rng=rng)
    table = bml.sample.Table(lambda x: x ** 2 * np.exp(-x), 0, np.inf)
    near(table.integral, 2, 1e-6, "the integral of x^2 e^-x")
    near(table.cdf([3.0]), 1 - np.exp(-3) * (1 + 3 + 4.5), 1e-6, "its CDF")
    refuses(KeyError, "mine", "what a density raises comes out", bml.sample.Table, raises, 0, 1)
    refuses(bml.Error, "", "a negative density", bml.sample.Table, lambda x: x - 5, 0, 10)
    near(bml.sample.Table.from_samples(np.arange(100.0)).inverse([0.5]), 49.5, 1.0, "a table of samples")
    near(bml.sample.thermal_electrons(100000, 0.01, rng).mean(), 1 + 0.01 * (1.5 + 15 * 0.01 / 8), 2e-4, "thermal electrons")
    near(bml.sample.black_body(100000, rng).mean(), 2.70118, 5 * 1.5 / 300, "black-body photons")
    near(bml.sample.power_law(100000, rng, 1, 10, 2).mean(), np.log(10) / 0.9, 5 * 2 / 300, "a power law")
    eps, out = bml.sample.scatter(100.0, [0, 0, 1], 1e-6, [0, 0, -1], rng)
    check(eps > 0 and abs(np.linalg.norm(out) - 1) < 1e-12, "one collision")
    near(bml.sample.klein_nishina([1e-9]), 1, 1e-8, "Thomson's limit")


def networks():
    net = bml.nn.load("examples/models/ssc.safetensors")
    x = np.random.default_rng(0).normal([16, 0, 2, 6, -3, 2.2], 0.1, (7, 6))
    y = net.predict(x)
    check(y.shape == (7, net.n_out) and np.allclose(net.predict(x[3]), y[3], rtol=1e-5, atol=1e-5), "predict, rows and one row")
    dy = np.zeros_like(y)
    dy[:, 5] = 1
    h = 0.02
    dx, same = net.vjp(dy, x)
    step = x.copy()
    step[:, 1] += h
    back = x.copy()
    back[:, 1] -= h
    near(dx[:, 1], (net.predict(step)[:, 5] - net.predict(back)[:, 5]) / (2 * h), 0.05, "vjp is the slope")
    check("surrogate_kind" not in str(net) and net.text("surrogate_kind") == "mlp", "texts of the file")
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "copy.safetensors")
        net.save(path)
        check(np.array_equal(bml.nn.load(path).predict(x), y), "saved and read again")
        with open(path, "r+b") as f:
            f.truncate(1000)
        refuses(bml.Error, "", "half a file", bml.nn.load, path)
    text = open("tests/onnx_fixtures.h").read()
    numbers = lambda what: np.array(re.search(r"onnx_gru_both_steps_%s\[\] = \{(.*?)\}" % what, text).group(1).split(","), float)
    net = bml.nn.load_onnx("tests/onnx/gru_both_steps.onnx")
    near(net.predict(numbers("x").reshape(3, 4, 2)).ravel(), numbers("y"), 1e-6, "an ONNX file, as onnxruntime")
    refuses(bml.Error, "Sin", "an operator that is not known", bml.nn.load_onnx, "tests/onnx/unknown_sine.onnx")
    net = bml.nn.load("examples/models/ssc.safetensors")
    refuses(bml.BadArgument, "shape", "rows of another length", net.predict, np.zeros((2, 5)))


def classifiers():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 3))
    y = np.where(x[:, 0] + 0.5 * rng.normal(size=300) > 0, "yes", "no")
    scores, p = bml.classify.cross_validate(x, y, "logistic")
    check(scores["auc"] > 0.9 and p.shape == (300, 2), "cross-validation: AUC %.3f" % scores["auc"])
    model = bml.classify.fit(x, y, "forest", trees=50)
    check(list(model.classes) == ["no", "yes"] and np.allclose(model.predict(x).sum(axis=1), 1), "probabilities")
    refuses(bml.Error, "2 to 32 classes", "one class", bml.classify.fit, x, ["a"] * 300)


def fits():
    with tempfile.TemporaryDirectory() as folder:
        command = ["build/fit_sed", "examples/data/3hsp_j095507.csv", "--redshift", "0.557", "--model",
                   "examples/models/ssc.safetensors", "--sampler", "nested", "--live", "30", "--quiet", "--out", folder]
        done = subprocess.run(command, capture_output=True, text=True)
        check(done.returncode in (0, 2), "fit_sed runs %s" % done.stderr[:200])
        fit = bml.fit.read(folder)
        check(fit.chain.shape[2] == len(fit.names) and "log_R" in fit.names, "its chain: %s, %s" % (fit.chain.shape, fit.names))
        check(abs(np.median(fit.samples["log_R"]) - fit.summary["log_R"]["median"]) < 0.05, "chain and summary agree")
        check(fit.verdict.get("exit_status") == done.returncode, "the verdict: %s" % fit.verdict.get("summary"))
        check(len(fit.points["nu_Hz"]) == 31, "its points")
    refuses(bml.Error, "no folder", "a folder that is none", bml.fit.read, "nowhere")


# ==== mistakes ========================================================================================================
def mistakes():
    """What is typed wrong is refused by its name, before C sees it: shapes, kinds of numbers, words, counts."""
    ssc, mcmc, nn = bml.ssc, bml.mcmc, bml.nn.load("examples/models/ssc.safetensors")
    prior, rng, blob = mcmc.Prior([mcmc.uniform("a", 0, 1)]), bml.sample.Rng(1), ssc.solve(ROW)
    flat, two = lambda t: np.zeros(len(t)), [ROW, ROW]
    for word, what, f in (
            ("redshift", "text for a number", lambda: ssc.sed(ROW, NU, "0.1")),
            ("real numbers", "complex rows", lambda: ssc.sed(np.array(ROW) + 0j, NU, 0.1)),
            ("redshift has shape (3,)", "three redshifts of two rows", lambda: ssc.sed(two, NU, [0.1, 0.2, 0.3])),
            ("gamma_break has shape (3,)", "three breaks of two rows", lambda: ssc.sed(two, NU, 0.1, gamma_break=[1, 2, 3])),
            ("nu[1] = nan", "NaN for a frequency", lambda: ssc.sed(ROW, [1e9, np.nan], 0.1)),
            ("nu[0] = -1", "a negative frequency", lambda: blob.sed([-1], 0.1)),
            ("injection = 'powerlaw'", "a word that is none", lambda: ssc.sed(ROW, NU, 0.1, injection="powerlaw")),
            ("on_error = 'ignore'", "another", lambda: ssc.sed(ROW, NU, 0.1, on_error="ignore")),
            ("component = None", "None for a word", lambda: ssc.sed(ROW, NU, 0.1, component=None)),
            ("have it already", "a row and one of its members", lambda: ssc.solve(ROW, R=1e15)),
            ("shape", "two rows for one source", lambda: ssc.solve(two)),
            ("needs a kind", "a field of no kind", lambda: ssc.sed(ROW, NU, 0.1, external=[{"temperature": 1e4}])),
            ("redshift = 0", "an observer without a redshift", lambda: blob.derived()),
            ("delta", "a negative Doppler factor", lambda: bml.surrogate.load().sed(ROW, NU, 0.1, -3)),
            ("shape", "12 numbers in rows of four", lambda: nn.predict(np.zeros((3, 4)))),
            ("n_draws", "-1 draws", lambda: nn.draws(np.zeros(6), -1)),
            ("nobody else's", "two parameters of one name", lambda: mcmc.Prior([mcmc.uniform("a", 0, 1)] * 2)),
            ("made by uniform", "a pair for a parameter", lambda: mcmc.Prior([(0, 1)])),
            ("1 names for 2", "too few names", lambda: mcmc.verdict(np.random.rand(50, 4, 2), ["a"])),
            ("seed = -1", "a negative seed", lambda: mcmc.ensemble(flat, prior, seed=-1)),
            ("thin = 0", "thin = 0", lambda: mcmc.ensemble(flat, prior, thin=0)),
            ("two things", "NUTS without a gradient", lambda: mcmc.nuts(flat, prior)),
            ("rng", "a number for a generator", lambda: bml.sample.black_body(3, 1)),
            ("the density returned", "a density of another length", lambda: bml.sample.Table(lambda x: np.ones(3), 0, 1)),
            ("that of the electrons", "protons with a field", lambda: bml.hadron.solve({}, dict(B=1)))):
        refuses(bml.Error, word, what, f)


# ==== import ==========================================================================================================
def imports():
    """A library of another layout does not load; the message names what differs."""
    code = """
import bml._abi as abi
class bml_ssc_observer(abi.Structure):
    _fields_ = abi.bml_ssc_observer._fields_[:-1]
abi.STRUCTURES[abi.STRUCTURES.index(abi.bml_ssc_observer)] = bml_ssc_observer
abi.VERSIONS["BML_NN_VERSION"] = 999
import bml
"""
    code = "import sys, types, importlib.util as u\nspec = u.find_spec('bml')\n" \
           "p = types.ModuleType('bml'); p.__path__ = list(spec.submodule_search_locations); sys.modules['bml'] = p\n" \
           + code.replace("import bml\n", "from bml import _lib\n")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    check(done.returncode and "ImportError" in done.stderr and "BML_NN_VERSION" in done.stderr and "bml_ssc_observer" in done.stderr,
          "a library of another layout: %s" % done.stderr.strip().splitlines()[-1][:300])
    done = subprocess.run([sys.executable, "-c", "import bml"], capture_output=True, text=True,
                          env=dict(os.environ, BML_LIBRARY="/nowhere/libbml.so"))
    check("ImportError" in done.stderr and "make shared" in done.stderr, "no library: says how to make it")


# ==== costs ===========================================================================================================
def bench():
    # all on one thread, in processor time: other work on the machine hardly counts
    lib, tables = bml._lib.lib, bml.ssc._tables(None)
    rng = np.random.default_rng(2)
    rows = np.array([16, -1, 3, 6, -4, 2.2]) + rng.uniform(-0.3, 0.3, (1000, 6))
    nu, spent, f = np.logspace(9, 26, 31), [0.0], lib.bml_ssc_batch

    class Timed:
        def __getattr__(self, name):
            return getattr(lib, name)

        def bml_ssc_batch(self, *a):
            t = time.process_time()
            status = f(*a)
            spent[0] += time.process_time() - t
            return status
    bml.ssc.lib = Timed()
    ratios = []
    for _ in range(5):
        spent[0] = 0.0
        t = time.process_time()
        bml.ssc.sed(rows, nu, redshift=0.1, delta=20.0, threads=1)
        whole = time.process_time() - t
        ratios.append(whole / spent[0] - 1)
    bml.ssc.lib = lib
    print("python_sed_1000 %.4g us a spectrum" % (1e3 * spent[0]))
    print("python_sed_overhead %.4g %% of the C call, median of 5" % (100 * np.median(ratios)))
    net = bml.surrogate.load()
    for n in (1, 24, 1000):
        best = min(timed(lambda: net.sed(rows[:n], nu, 0.1, 20.0, threads=1)) for _ in range(9))
        print("python_surrogate_sed_%d %.4g us a spectrum of 31 points" % (n, 1e6 * best / n))
    best = min(timed(lambda: net.spectra(rows, threads=1)) for _ in range(9))
    print("python_surrogate_spectra_1000 %.4g us a spectrum of 500 points" % (1e3 * best))
    prior = bml.mcmc.Prior([bml.mcmc.uniform("x%d" % i, -5, 5) for i in range(6)])
    run, t = None, time.process_time()
    run = bml.mcmc.ensemble(lambda t: -0.5 * (t ** 2).sum(axis=1), prior, n_walkers=100)
    print("python_ensemble %.4g us an evaluation" % (1e6 * (time.process_time() - t) / run.evaluations))


def timed(f):
    t = time.process_time()
    f()
    return time.process_time() - t


if __name__ == "__main__":
    if "--bench" in sys.argv:
        bench()
        sys.exit()
    for part in (imports, mistakes, spectra, data, protons, samplers, states, draws, networks, classifiers, fits):
        t = time.perf_counter()
        part()
        print("      %s: %.1f s" % (part.__name__, time.perf_counter() - t))
    print("%d passed, %d failed, 0 skipped" % (passed, failed))
    sys.exit(failed != 0)
