"""Posterior samplers, priors, diagnostics and verdicts: bml_mcmc.h, which has the mathematics and when not to use what.

    import numpy as np, bml
    prior = bml.mcmc.Prior([bml.mcmc.uniform("a", -5, 5), bml.mcmc.normal("b", 0, 2)])
    def log_likelihood(theta):                              # theta [n][2], all points of a step at once; returns [n]
        return -0.5 * ((theta[:, 0] - 1) ** 2 + theta[:, 1] ** 2) / 0.1 ** 2
    run = bml.mcmc.nested(log_likelihood, prior)            # or ensemble, or nuts with gradients
    print(run)                                              # medians, errors, ln Z, and the verdict in sentences
    run.samples["a"]; run.verdict.ok; run.to_arviz()

Callbacks get arrays and return arrays; what they raise comes out of the sampler.
"""
import ctypes
import os
from collections import namedtuple

import numpy as np

from . import _abi as abi
from ._lib import BadArgument, Callback, Why, check, choice, doubles, failure, lib, numbers, pointer, spread, view, whole

Summary = namedtuple("Summary", [n for n, _ in abi.bml_mcmc_summary._fields_])
"""median, minus, plus (15.87 and 84.13 % quantiles as distances), mean, sd, ess, rhat, tau, ess_bulk, ess_tail."""
Reason = namedtuple("Reason", "kind refuses parameter value limit text")
"""A sentence of a verdict: kind (a word), refuses (True: do not use the result), parameter (name or None), what was found,
what is allowed, and the text."""

_KINDS = {v: k[len("BML_MCMC_REASON_"):].lower() for k, v in vars(abi).items()
          if k.startswith("BML_MCMC_REASON_")}
_NAN = ("stops", "rejected")
_SOFT = (abi.BML_MCMC_NOT_CONVERGED,)


class Verdict:
    """What a referee would ask. ok: nothing that can be seen speaks against the result. reasons: Reasons; rhat, ess_bulk,
    ess_tail: the worst over parameters; e_bfmi (NUTS); check_log_z and its error (nested); burn (ensemble: steps left out)."""

    def __init__(self, v, names):
        self.ok = v.status == 0
        self.reasons = [Reason(_KINDS.get(r.kind, r.kind), bool(r.refuses), names[r.parameter] if r.parameter >= 0 else None,
                               r.value, r.limit, r.text.decode("utf-8", "replace")) for r in v.reason[:v.n_reasons]]
        for name in ("rhat", "ess_bulk", "ess_tail", "e_bfmi", "check_log_z", "check_log_z_error", "check_ess",
                     "check_evaluations", "burn"):
            setattr(self, name, getattr(v, name))

    def __bool__(self):
        return self.ok

    def __str__(self):
        lines = ["verdict: " + ("OK" if self.ok else "NOT TO BE TRUSTED")]
        return "\n".join(lines + ["  %s %s" % ("-" if not r.refuses else "!", r.text) for r in self.reasons])

    __repr__ = __str__


# ==== priors ==========================================================================================================

class Parameter:
    """One parameter of a prior; made by uniform, log_uniform, normal, table."""

    def __init__(self, name, kind, lower=0.0, upper=0.0, mean=0.0, sd=0.0, x=None, density=None, bounds=None, joint=False):
        self.name, self.kind, self.lower, self.upper, self.mean, self.sd = name, kind, lower, upper, mean, sd
        self.x = None if x is None else doubles(x, -1)
        self.density = None if density is None else doubles(density, len(self.x))
        self.bounds, self.joint = bounds, joint


def uniform(name, lower, upper, **how):
    """Flat in [lower, upper]. bounds(lower, upper, before) -> (lower, upper): narrower ones that depend on the parameters before,
    before [i]; joint=True on each parameter that they read: see Priors in bml_mcmc.h. Both for all kinds."""
    return Parameter(name, abi.BML_MCMC_UNIFORM, lower, upper, **how)


def log_uniform(name, lower, upper, **how):
    """Density ~ 1/x in [lower, upper], 0 < lower."""
    return Parameter(name, abi.BML_MCMC_LOG_UNIFORM, lower, upper, **how)


def normal(name, mean, sd, lower=0.0, upper=0.0, **how):
    """Normal, truncated to [lower, upper] unless both are zero; one may be infinite."""
    return Parameter(name, abi.BML_MCMC_NORMAL, lower, upper, mean, sd, **how)


def table(name, x, density, **how):
    """A density given at x [n], linear between, any normalisation."""
    return Parameter(name, abi.BML_MCMC_TABLE, x=x, density=density, **how)


def _unlike(names):
    """Names are text, and differ."""
    for i, name in enumerate(names):
        if not isinstance(name, str) or name in names[:i]:
            raise BadArgument("parameter %d: its name %r must be text, and nobody else's" % (i, name))


class Prior:
    """A prior of Parameters in order. names; log_density(theta), transform(cube), inverse(theta): [n][d] or [d]; sample(n)."""

    def __init__(self, parameters):
        self.parameters = [parameters] if isinstance(parameters, Parameter) else list(parameters)
        for i, p in enumerate(self.parameters):
            if not isinstance(p, Parameter):
                raise BadArgument("parameter %d: made by uniform, log_uniform, normal or table, not %r" % (i, p))
        self.names = [p.name for p in self.parameters]
        _unlike(self.names)
        self.n_dim = len(self.parameters)
        self.calls = Callback()
        params = (abi.bml_mcmc_prior_param * max(self.n_dim, 1))()
        for to, p in zip(params, self.parameters):
            to.kind, to.lower, to.upper, to.mean, to.sd, to.joint = p.kind, p.lower, p.upper, p.mean, p.sd, int(p.joint)
            if p.x is not None:
                to.x, to.density, to.n = pointer(p.x), pointer(p.density), len(p.x)
            if p.bounds is not None:
                to.bounds = self.calls.keep(abi.bml_mcmc_bounds, self._bounds(p.bounds))
        why, self.handle = Why(), ctypes.c_void_p()
        status = lib.bml_mcmc_prior_create(ctypes.addressof(self.handle), ctypes.addressof(params), self.n_dim, why.buffer)
        self.calls.settle()
        check("mcmc", status, why)

    @staticmethod
    def _bounds(f):
        def call(lower, upper, theta, i, user):
            lo, hi = ctypes.c_double.from_address(lower), ctypes.c_double.from_address(upper)
            narrow = f(lo.value, hi.value, view(theta, np.float64, i))
            lo.value, hi.value = max(lo.value, narrow[0]), min(hi.value, narrow[1])
        return call

    def __del__(self):
        if getattr(self, "handle", None):
            lib.bml_mcmc_prior_free(self.handle)

    def _points(self, x):
        x = numbers(x)
        return doubles(np.atleast_2d(x), -1, self.n_dim), x.ndim == 1

    def log_density(self, theta):
        """ln of the normalised density, [n]; -inf outside."""
        theta, single = self._points(theta)
        at, step, f, handle = pointer(theta), 8 * self.n_dim, lib.bml_mcmc_prior_log_density, self.handle
        out = np.array([f(handle, at + i * step) for i in range(len(theta))])
        self.calls.settle()
        return float(out[0]) if single else out

    def _map(self, f, x):
        x, single = self._points(x)
        out, step = np.empty_like(x), 8 * self.n_dim
        for i in range(len(x)):
            status = f(self.handle, pointer(out) + i * step, pointer(x) + i * step)
            if status:
                self.calls.settle()
                raise failure("mcmc", status, "point %d, %s: outside of what can be transformed" % (i, x[i]))
        return out[0] if single else out

    def transform(self, cube):
        """theta [n][d] of cube [n][d] in [0, 1]: what dynesty, UltraNest and nautilus call a prior transform."""
        return self._map(lib.bml_mcmc_prior_transform, cube)

    def inverse(self, theta):
        """cube of theta, the inverse of transform."""
        return self._map(lib.bml_mcmc_prior_inverse, theta)

    def sample(self, n, seed=None):
        """theta [n][d], independent draws."""
        return self.transform(np.random.default_rng(seed).random((n, self.n_dim)))

    def limits(self):
        """lower [d], upper [d]: the fixed ones."""
        lower, upper = np.empty(self.n_dim), np.empty(self.n_dim)
        lib.bml_mcmc_prior_limits(pointer(lower), pointer(upper), self.handle)
        return lower, upper


def read_prior(path):
    """The Prior of a file as fit_sed and fit_xray read it: lines name,kind,a,b with kind uniform, loguniform, normal (mean, sd),
    truncnormal (mean, sd, ends), table (a file of lines x,density). bml.Error says FILE:LINE and what is wrong."""
    why, handle = Why(), ctypes.c_void_p()
    check("sed", lib.bml_sed_prior_read(ctypes.addressof(handle), str(path).encode(), why.buffer), why)
    try:
        p = abi.bml_sed_prior.from_address(handle.value)
        rows = (abi.bml_sed_prior_row * p.n).from_address(p.row)
        return Prior([Parameter(r.name.decode(), r.kind, r.lower, r.upper, r.mean, r.sd,
                                view(r.x, np.float64, r.n) if r.n else None, view(r.density, np.float64, r.n) if r.n else None)
                      for r in rows])
    finally:
        lib.bml_sed_prior_free(handle)


# ==== results =========================================================================================================

class Run:
    """What a sampler found.

    names; chain [steps][walkers][d] after the burn-in, log_prob [steps][walkers] (None where there is none); samples: one
    structured array [n], samples["log_R"]; summary: name -> Summary; verdict: Verdict; evaluations (of the likelihood, or
    gradients); nested runs: log_z, log_z_error, information, ess, theta [points][d], log_likelihood, weight [points].
    """

    log_z = log_z_error = theta = log_likelihood = weight = derived = None

    def __init__(self, kind, names, chain, log_prob, summary, verdict, evaluations, **more):
        self.kind, self.names, self.chain, self.log_prob = kind, list(names), chain, log_prob
        self.summary, self.verdict, self.evaluations = dict(zip(names, summary)), verdict, evaluations
        self.__dict__.update(more)

    @property
    def samples(self):
        flat = np.ascontiguousarray(self.chain.reshape(-1, len(self.names)))
        return flat.view([(n, float) for n in self.names])[:, 0]

    def __str__(self):
        width = max(len(n) for n in self.names)
        lines = ["%-*s  median      -           +           ess     R-hat" % (width, "")]
        for name, s in self.summary.items():
            rhat = "" if np.isnan(s.rhat) else "%.3f" % s.rhat
            lines.append("%-*s  %-10.5g  %-10.4g  %-10.4g  %-6.0f  %s" % (width, name, s.median, s.minus, s.plus, s.ess, rhat))
        if self.log_z is not None:
            lines.append("ln Z = %.3f +- %.3f" % (self.log_z, self.log_z_error))
        return "\n".join(lines + ["%d evaluations" % self.evaluations, str(self.verdict)])

    def __repr__(self):
        return "<bml %s run: %s, %d samples, %s>" % (self.kind, ", ".join(self.names), self.chain[..., 0].size,
                                                     "OK" if self.verdict.ok else "NOT TO BE TRUSTED")

    def to_arviz(self):
        """ArviZ's InferenceData: posterior (chains are walkers), sample_stats, and derived quantities. Needs arviz."""
        import arviz
        groups = {"posterior": {n: np.ascontiguousarray(self.chain[:, :, i].T) for i, n in enumerate(self.names)}}
        for name, values in (self.derived or {}).items():
            groups["posterior"][name] = np.ascontiguousarray(values.T)
        if self.log_prob is not None:
            groups["sample_stats"] = {"lp": np.ascontiguousarray(self.log_prob.T)}
        try:
            return arviz.from_dict(**groups)
        except TypeError:  # from version 1 on it takes one dictionary
            return arviz.from_dict(groups)


def _summaries(array):
    return [Summary(*[getattr(s, n) for n in Summary._fields]) for s in array]


def _chain(theta, log_prob=None):
    theta = doubles(theta, -1, -1, -1)
    log_prob = None if log_prob is None else doubles(log_prob, *theta.shape[:2])
    return abi.bml_mcmc_chain(pointer(theta), pointer(log_prob), *theta.shape), (theta, log_prob)


def summarize(chain, names=None):
    """name -> Summary of any chain [steps][walkers][d] (emcee's get_chain(), for instance): R-hat and ESS are ArviZ's."""
    c, kept = _chain(chain)
    names = _named(names, c.n_dim)
    out = (abi.bml_mcmc_summary * c.n_dim)()
    check("mcmc", lib.bml_mcmc_summarize(ctypes.addressof(out), c), allow=_SOFT)
    return dict(zip(names, _summaries(out)))


def verdict(chain, names=None):
    """The Verdict on any chain [steps][walkers][d]."""
    c, kept = _chain(chain)
    names = _named(names, c.n_dim)
    v, array = abi.bml_mcmc_verdict(), _name_array(names)
    check("mcmc", lib.bml_mcmc_chain_verdict(ctypes.addressof(v), c, ctypes.addressof(array)), allow=_SOFT)
    return Verdict(v, names)


def _named(names, n_dim):
    names = list(names or ["%d" % i for i in range(n_dim)])
    if len(names) != n_dim:
        raise BadArgument("%d names for %d parameters" % (len(names), n_dim))
    _unlike(names)
    return names


def _name_array(names):
    return (ctypes.c_char_p * len(names))(*[n.encode() for n in names])


# ==== samplers ========================================================================================================

def _pair(returned, what):
    if not isinstance(returned, (tuple, list)) or len(returned) != 2:
        raise BadArgument("the callback must return two things, %s" % what)
    return returned


class _Sampler(Callback):
    """What the samplers share: callbacks with arrays, names, progress."""

    failed = 1  # of a progress callback: cancel

    def points(self, address, n, n_dim):
        return view(address, np.float64, n, n_dim)

    def fill(self, address, values, *shape):
        values = numbers(values, "what the callback returned")
        if values.shape != shape:
            raise BadArgument("the callback returned shape %s, where %s is needed" % (values.shape, shape))
        np.frombuffer((ctypes.c_double * int(np.prod(shape))).from_address(address)).reshape(shape)[...] = values

    def log_prob(self, f, prior=None, kind=abi.bml_mcmc_log_prob):
        """f(theta [n][d]) -> [n]; with prior its density is added, and f sees only points where there is some."""
        def call(out, theta, n, n_dim, user):
            x = self.points(theta, n, n_dim)
            if prior is None:
                return self.fill(out, f(x), n)
            lp = prior.log_density(x)
            inside = lp > -np.inf
            if inside.any():
                values = numbers(f(x[inside]), "what the callback returned")
                if values.shape != (int(inside.sum()),):
                    raise BadArgument("the callback returned shape %s, where (%d,) is needed" % (values.shape, inside.sum()))
                lp[inside] += values
            self.fill(out, lp, n)

        def guarded(out, theta, n, n_dim, user):
            made = self.guard(call, out, theta, n, n_dim, user)
            if not made:
                self.fill(out, np.full(n, np.nan), n)
        self.kept.append(kind(guarded))
        return self.kept[-1]

    def derived(self, f, prior, k):
        """f(theta) -> ([n], derived [n][k])."""
        def call(out, to, theta, n, n_dim, user):
            x = self.points(theta, n, n_dim)
            lp = np.zeros(n) if prior is None else prior.log_density(x)
            more = np.full((n, k), np.nan)
            inside = lp > -np.inf
            if inside.any():
                values, quantities = _pair(f(x[inside]), "([n], derived [n][k])")
                lp[inside] += numbers(values, "what the callback returned")
                more[inside] = quantities
            self.fill(out, lp, n)
            self.fill(to, more, n, k)

        def guarded(out, to, theta, n, n_dim, user):
            if not self.guard(call, out, to, theta, n, n_dim, user):
                self.fill(out, np.full(n, np.nan), n)
                self.fill(to, np.full((n, k), np.nan), n, k)
        self.kept.append(abi.bml_mcmc_log_prob_derived(guarded))
        return self.kept[-1]

    def gradient(self, f):
        """f(theta [n][d]) -> ([n], [n][d])."""
        def call(out, to, theta, n, n_dim, user):
            values, slope = _pair(f(self.points(theta, n, n_dim)), "([n], gradient [n][d])")
            self.fill(out, values, n)
            self.fill(to, slope, n, n_dim)

        def guarded(out, to, theta, n, n_dim, user):
            if not self.guard(call, out, to, theta, n, n_dim, user):
                self.fill(out, np.full(n, np.nan), n)
                self.fill(to, np.full((n, n_dim), np.nan), n, n_dim)
        self.kept.append(abi.bml_mcmc_gradient(guarded))
        return self.kept[-1]

    def guard(self, call, *arguments):
        """Whether the call came through; what it raised is kept."""
        if self.error is not None:
            return False
        try:
            call(*arguments)
            return True
        except BaseException as e:
            self.error = e
            return False

    def progress(self, f, kind, structure):
        """f(dictionary) -> true to stop. Without f it only passes on what a callback raised."""
        def call(address, user):
            if f is None:
                return 0
            now = structure.from_address(address)
            return 1 if f({n: getattr(now, n) for n, _ in structure._fields_}) else 0
        return self.keep(kind, call)

    def target(self, prior, transform, n_dim):
        """The number of parameters."""
        if (prior is None) == (transform is None):
            raise BadArgument("one of prior and transform is needed")
        return prior.n_dim if prior else n_dim

    def set_prior(self, config, prior, transform):
        if prior:
            config.prior = prior.handle
            return

        def call(to, cube, n, d, user):
            self.fill(to, transform(self.points(cube, n, d)), n, d)
            return 0
        config.transform = self.keep(abi.bml_mcmc_transform, call)

    def names(self, prior, names, n_dim):
        names = _named(names or (prior.names if prior else None), whole(n_dim, "n_dim"))
        self.kept.append(_name_array(names))
        return names, ctypes.addressof(self.kept[-1])

    def finish(self, status, message, allow):
        self.settle()
        check("mcmc", status, message, allow=tuple(allow) + (abi.BML_MCMC_CANCELLED,))


class _State:
    """A file in which a sampler stands where it stopped; path None: none. `found`: whether this one has been taken from it."""

    def __init__(self, path, kind, handle, sampler, message):
        self.path, self.handle, self.found = path, handle, False
        self.size, self.write, load = [getattr(lib, "bml_mcmc_%s_%s" % (kind, what)) for what in ("save_size", "save", "load")]
        if path is not None and os.path.exists(path):
            with open(path, "rb") as f:
                data = f.read()
            sampler.finish(load(handle, ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p), len(data)),
                           "%s: %s" % (path, message()), ())
            self.found = True

    def __enter__(self):
        return self

    def __exit__(self, *error):
        """Whatever ended the run, an error or Ctrl-C: the sampler stands at the end of its last whole step."""
        if self.path is None:
            return
        data = ctypes.create_string_buffer(self.size(self.handle) + 1)
        if self.write(self.handle, ctypes.cast(data, ctypes.c_void_p), len(data) - 1) == 0:
            new = "%s.new" % self.path
            with open(new, "wb") as f:
                f.write(data.raw[:-1])
            os.replace(new, self.path)


def _one(log_prob, log_likelihood, prior):
    """The callback, and the prior whose density belongs to it."""
    if (log_prob is None) == (log_likelihood is None):
        raise BadArgument("one of log_prob and log_likelihood is needed")
    if log_likelihood is not None and prior is None:
        raise BadArgument("log_likelihood needs a prior; a log_prob holds its own")
    return (log_prob, None) if log_prob is not None else (log_likelihood, prior)


def ensemble(log_likelihood=None, prior=None, *, log_prob=None, n_dim=0, start=None, n_walkers=0, ess=1000, max_steps=100000,
             seed=0, names=None, moves=None, thin=1, derived=None, nan="stops", keep_stuck=False, progress=None, state=None):
    """The affine-invariant ensemble sampler, run until its verdict is OK with `ess` effective samples of every parameter.

    log_likelihood(theta [n][d]) -> [n], to which the prior's density is added, or log_prob(theta) that holds its own (then
    prior serves the verdict and the start; give n_dim without one)
    start    None: from the prior; (centre [d], radius [d]); or [n_walkers][d]
    moves    [("mixture", 0.8), ("de", 0.2)]: kinds (stretch, walk, de, snooker, kde, mixture) and weights; None: these
    derived  names of quantities: log_likelihood then returns ([n], [n][k]), and run.derived has them
    nan      "stops": an error that names the point; "rejected": as -inf, counted
    progress(dictionary) after every step; true stops there
    state    a file: the sampler goes on from there if it exists (max_steps in all), and is left there whatever ends the run, Ctrl-C
             too

    Returns a Run; one that did not reach `ess` in max_steps says so in run.verdict.
    """
    f, density = _one(log_prob, log_likelihood, prior)
    s, why, handle = _Sampler(), Why(), ctypes.c_void_p()
    n_dim = prior.n_dim if prior else n_dim or (np.shape(start[0] if isinstance(start, tuple) else start)[-1])
    names, array = s.names(prior, names, n_dim)
    c = abi.bml_mcmc_config(n_dim=n_dim, n_walkers=whole(n_walkers, "n_walkers"), seed=whole(seed, "seed"), names=array,
                            thin=whole(thin, "thin", 1), nan_policy=choice("nan", nan, _NAN))
    if derived:
        c.log_prob_derived, c.n_derived = s.derived(f, density, len(derived)), len(derived)
    else:
        c.log_prob = s.log_prob(f, density)
    c.prior = prior.handle if prior else None
    c.progress = s.progress(progress, abi.bml_mcmc_progress_fn, abi.bml_mcmc_progress)
    if moves:
        kinds = ("stretch", "walk", "de", "snooker", "kde", "mixture")
        s.kept.append((abi.bml_mcmc_move * len(moves))(*[abi.bml_mcmc_move(choice("move", k, kinds), w, 0, 0) for k, w in moves]))
        c.moves, c.n_moves = ctypes.addressof(s.kept[-1]), len(moves)
    check("mcmc", lib.bml_mcmc_ensemble_create(ctypes.addressof(handle), ctypes.addressof(c), why.buffer), why)
    try:
        message = lambda: lib.bml_mcmc_ensemble_message(handle).decode("utf-8", "replace")
        saved = _State(state, "ensemble", handle, s, message)
        if start is None and prior is None:
            raise BadArgument("start: needed without a prior")
        if saved.found:
            status = 0
        elif start is None:
            status = lib.bml_mcmc_start_prior(handle, prior.handle)
        elif isinstance(start, tuple):
            centre, radius = doubles(start[0], n_dim), spread(start[1], n_dim, "radius")
            status = lib.bml_mcmc_start_ball(handle, pointer(centre), pointer(radius))
        else:
            given = doubles(start, lib.bml_mcmc_ensemble_get_info(handle).n_walkers, n_dim)
            status = lib.bml_mcmc_start_given(handle, pointer(given))
        s.finish(status, message(), ())
        done = lib.bml_mcmc_ensemble_get_info(handle).step if saved.found else 0
        v, goal = abi.bml_mcmc_verdict(), abi.bml_mcmc_goal(ess, max(1, max_steps - done), int(keep_stuck))
        with saved:
            s.finish(lib.bml_mcmc_run_until(handle, ctypes.addressof(v), ctypes.addressof(goal)), message(), _SOFT)
        out = (abi.bml_mcmc_summary * n_dim)()
        s.finish(lib.bml_mcmc_ensemble_summary(handle, ctypes.addressof(out), v.burn), message(), _SOFT)
        info = lib.bml_mcmc_ensemble_get_info(handle)
        chain, burn = lib.bml_mcmc_ensemble_chain(handle), v.burn // thin
        theta = view(chain.theta, np.float64, chain.n_steps, chain.n_walkers, n_dim)[burn:]
        log_probs = view(chain.log_prob, np.float64, chain.n_steps, chain.n_walkers)[burn:]
        more = {"acceptance": view(info.accepted, np.uint64, info.n_walkers).sum() / max(1, info.steps_counted * info.n_walkers)}
        if derived:
            d = lib.bml_mcmc_ensemble_derived(handle)
            quantity = view(d.theta, np.float64, d.n_steps, d.n_walkers, len(derived))[burn:]
            more["derived"] = {n: quantity[:, :, i] for i, n in enumerate(derived)}
        return Run("ensemble", names, theta, log_probs, _summaries(out), Verdict(v, names), info.evaluations, **more)
    finally:
        lib.bml_mcmc_ensemble_free(handle)


def nested(log_likelihood, prior=None, *, transform=None, n_dim=0, live_points=0, seed=0, names=None, method="auto", remaining=0.0,
           error=0.0, min_ess=0.0, wrapped=None, max_evaluations=0, check_evidence=True, nan="stops", draws=None, progress=None,
           state=None):
    """Nested sampling: the evidence, and the posterior with all its modes.

    log_likelihood(theta [n][d]) -> [n]; prior, or transform(cube [n][d]) -> theta [n][d] with n_dim
    live_points 0 = 400 or more; method "auto", "region", "slice"; error: of ln Z, and min_ess, reached by dynamic passes
    wrapped [d] of bool: periodic parameters; max_evaluations 0: no limit
    check_evidence  the verdict asks for likelihoods at fresh draws, to judge ln Z
    draws    equally weighted posterior draws to be made; None: as many as effective samples
    state    a file to go on from and to be left in, as of the ensemble

    Returns a Run: log_z, log_z_error, weighted points (theta, log_likelihood, weight), chain [draws][1][d].
    """
    s = _Sampler()
    n_dim = s.target(prior, transform, n_dim)
    names, array = s.names(prior, names, n_dim)
    c = abi.bml_mcmc_nested_config(n_dim=n_dim, live_points=whole(live_points, "live_points"), seed=whole(seed, "seed"),
                                   names=array, remaining=remaining, error=error, min_ess=min_ess, nan_policy=choice("nan", nan, _NAN),
                                   method=choice("method", method, ("auto", "region", "slice")))
    c.log_likelihood = s.log_prob(log_likelihood)
    c.check_evidence = abi.BML_MCMC_CHECKED if check_evidence else abi.BML_MCMC_UNCHECKED
    s.set_prior(c, prior, transform)
    if wrapped is not None:
        s.kept.append(spread(wrapped, n_dim, "wrapped").astype(np.uint8))
        c.wrapped = pointer(s.kept[-1])
    return _run_weighted("nested", s, c, names, draws, seed, state, max_evaluations, progress)


def importance(log_likelihood, prior=None, *, transform=None, n_dim=0, points=0, seed=0, names=None, min_ess=0.0, error=0.0,
               max_evaluations=0, draws=None, progress=None, state=None):
    """Importance sampling from a learned density: the evidence and the posterior by few likelihoods, where it works (one blob or
    several, bananas, shells, up to some 15 dimensions). Its verdict says where it does not: take nested or ensemble there.

    log_likelihood, prior, transform, n_dim, draws, state as in nested; points of a stage; min_ess (0 = 10000) effective samples and
    the error of ln Z (0 = 0.05) wanted

    Returns a Run as of nested.
    """
    s = _Sampler()
    n_dim = s.target(prior, transform, n_dim)
    names, array = s.names(prior, names, n_dim)
    c = abi.bml_mcmc_importance_config(n_dim=n_dim, points=whole(points, "points"), seed=whole(seed, "seed"), names=array,
                                       min_ess=min_ess, error=error)
    c.log_likelihood = s.log_prob(log_likelihood)
    s.set_prior(c, prior, transform)
    return _run_weighted("importance", s, c, names, draws, seed, state, max_evaluations, progress)


def _run_weighted(kind, s, c, names, draws, seed, state, max_evaluations, progress):
    """Makes the sampler of the config c, runs it, frees it; its Run."""
    why, handle = Why(), ctypes.c_void_p()
    create, run, free, says = [getattr(lib, "bml_mcmc_%s_%s" % (kind, f)) for f in ("create", "run", "free", "message")]
    shown, result = [getattr(abi, "bml_mcmc_%s_%s" % (kind, t)) for t in ("progress", "result")]
    c.progress = s.progress(progress, getattr(abi, "bml_mcmc_%s_progress_fn" % kind), shown)
    check("mcmc", create(ctypes.addressof(handle), ctypes.addressof(c), why.buffer), why)
    try:
        message = lambda: says(handle).decode("utf-8", "replace")
        with _State(state, kind, handle, s, message):
            s.finish(run(handle, max_evaluations), message(), _SOFT)
        return _weighted(kind, handle, s, message, names, draws, seed, result())
    finally:
        free(handle)


def _weighted(kind, handle, s, message, names, draws, seed, r):
    """The Run of a sampler with weighted points; r: its empty result."""
    result, judge, summary, draw = [getattr(lib, "bml_mcmc_%s_%s" % (kind, f))
                                    for f in ("get_result", "verdict", "summary", "draw")]
    n_dim = len(names)
    v, out = abi.bml_mcmc_verdict(), (abi.bml_mcmc_summary * n_dim)()
    s.finish(result(handle, ctypes.addressof(r)), message(), _SOFT)
    theta, ln_l = view(r.theta, np.float64, r.n_points, n_dim), view(r.log_likelihood, np.float64, r.n_points)
    weight = view(r.weight, np.float64, r.n_points)
    s.finish(judge(ctypes.addressof(v), handle), message(), _SOFT)
    s.finish(summary(handle, ctypes.addressof(out)), message(), _SOFT)
    n = whole(draws, "draws", 1) if draws else max(1, int(r.ess))
    chain, chain_ln_l = np.empty((n, 1, n_dim)), np.empty((n, 1))
    s.finish(draw(handle, pointer(chain), pointer(chain_ln_l), n, seed), message(), ())
    more = {m: getattr(r, m) for m in ("log_z", "log_z_error", "information", "ess", "rank_p", "pareto", "strays") if hasattr(r, m)}
    return Run(kind, names, chain, chain_ln_l, _summaries(out), Verdict(v, names), r.evaluations, converged=bool(r.converged),
               theta=theta, log_likelihood=ln_l, weight=weight, **more)


def nuts(log_prob, prior=None, *, n_dim=0, start=None, draws=1000, warmup=0, n_chains=0, seed=0, names=None, lower=None,
         upper=None, dense=False, target_accept=0.0, max_depth=0, gradient_tolerance=0.0, nan="stops", progress=None, state=None):
    """NUTS, for log-probabilities with gradients.

    log_prob(theta [n][d]) -> ([n], gradient [n][d]), of the whole posterior: the prior's density belongs into it
    prior    its limits bound the parameters, and it is the start; or lower [d], upper [d], and start [n_chains][d]
    draws    kept, of each of n_chains (0 = 4) chains; warmup 0 = 1000
    state    a file to go on from, up to `draws`, and to be left in, as of the ensemble

    The gradient is checked by differences at the start (bml.Error names the parameter). Returns a Run.
    """
    s, why, handle = _Sampler(), Why(), ctypes.c_void_p()
    n_dim = prior.n_dim if prior else n_dim or np.shape(start)[-1]
    names, array = s.names(prior, names, n_dim)
    c = abi.bml_mcmc_nuts_config(n_dim=n_dim, n_chains=whole(n_chains, "n_chains"), seed=whole(seed, "seed"), names=array,
                                 warmup=whole(warmup, "warmup"), max_depth=whole(max_depth, "max_depth"),
                                 target_accept=target_accept, gradient_tolerance=gradient_tolerance,
                                 nan_policy=choice("nan", nan, _NAN), metric=abi.BML_MCMC_DENSE if dense else abi.BML_MCMC_DIAGONAL)
    c.log_prob = s.gradient(log_prob)
    c.prior = prior.handle if prior else None
    for name, value in (("lower", lower), ("upper", upper)):
        if value is not None:
            s.kept.append(spread(value, n_dim, name))
            setattr(c, name, pointer(s.kept[-1]))
    c.progress = s.progress(progress, abi.bml_mcmc_nuts_progress_fn, abi.bml_mcmc_nuts_progress)
    check("mcmc", lib.bml_mcmc_nuts_create(ctypes.addressof(handle), ctypes.addressof(c), why.buffer), why)
    try:
        message = lambda: lib.bml_mcmc_nuts_message(handle).decode("utf-8", "replace")
        saved = _State(state, "nuts", handle, s, message)
        if saved.found:
            status = 0
        elif start is None:
            status = lib.bml_mcmc_nuts_start_prior(handle)
        else:
            given = doubles(start, n_chains or 4, n_dim)
            status = lib.bml_mcmc_nuts_start(handle, pointer(given))
        s.finish(status, message(), ())
        more = max(0, whole(draws, "draws", 1) - lib.bml_mcmc_nuts_get_info(handle).draws)
        with saved:
            s.finish(lib.bml_mcmc_nuts_run(handle, more) if more else 0, message(), ())
        chain, info = lib.bml_mcmc_nuts_chain(handle), lib.bml_mcmc_nuts_get_info(handle)
        out, v = (abi.bml_mcmc_summary * n_dim)(), abi.bml_mcmc_verdict()
        s.finish(lib.bml_mcmc_summarize(ctypes.addressof(out), chain), message(), _SOFT)
        s.finish(lib.bml_mcmc_nuts_verdict(ctypes.addressof(v), handle), message(), _SOFT)
        theta = view(chain.theta, np.float64, chain.n_steps, chain.n_walkers, n_dim)
        log_probs = view(chain.log_prob, np.float64, chain.n_steps, chain.n_walkers) if chain.log_prob else None
        return Run("nuts", names, theta, log_probs, _summaries(out), Verdict(v, names), info.gradients,
                   divergences=info.divergences, step_size=view(info.step_size, np.float64, info.n_chains))
    finally:
        lib.bml_mcmc_nuts_free(handle)
