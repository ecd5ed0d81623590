"""Random draws for Monte Carlo codes: bml_sample.h, which has the mathematics and the errors.

    rng = bml.sample.Rng(seed=1)
    energy = bml.sample.compton(1e4, 1e-9, n=100000, rng=rng)         # photons after scattering [m_e c^2]
    table = bml.sample.Table(lambda x: x**2 * np.exp(-x), 0, np.inf)  # any density
    x = table.draw(1000, rng)
"""
import ctypes

import numpy as np

from . import _abi as abi
from ._lib import BadArgument, Callback, Why, check, choice, doubles, lib, numbers, pointer, spread, view, whole

_METHODS = ("net", "table", "exact")
_WEIGHTS = ("photons", "energy")


class Rng:
    """Philox4x32-10: (seed, stream) names a sequence. One per thread. pickle keeps its place."""

    def __init__(self, seed=0, stream=0):
        self.state = abi.bml_sample_rng()
        lib.bml_sample_rng_init(ctypes.addressof(self.state), seed, stream)

    @property
    def address(self):
        return ctypes.addressof(self.state)

    def __reduce__(self):
        return _restore, (bytes(self.state),)

    def uniform(self, n):
        """[n] in (0, 1)."""
        return self._fill(lib.bml_sample_rng_fill, n)

    def normal(self, n):
        """[n], mean 0, standard deviation 1."""
        return self._fill(lib.bml_sample_rng_normals, n)

    def _fill(self, f, n):
        out = np.empty(n)
        f(pointer(out), n, self.address)
        return out


def _restore(state):
    rng = Rng()
    ctypes.memmove(rng.address, state, len(state))
    return rng


_nodes = []


def _table_nodes():
    if not _nodes:
        nodes = abi.bml_sample_compton_nodes()
        check("sample", lib.bml_sample_compton_table(ctypes.addressof(nodes)))
        _nodes.append(nodes)
    return ctypes.addressof(_nodes[0])


def _rng(rng):
    if not isinstance(rng, Rng):
        raise BadArgument("rng: a bml.sample.Rng, not %r" % (rng,))
    return rng.address


def compton(gamma, eps0, n=None, rng=None, *, u=None, method="net", rest=False):
    """Energies [n] [m_e c^2] of isotropic photons of energy eps0 [m_e c^2] after one electron of Lorentz factor gamma scattered
    them; both one number or [n]. method "net", "table", "exact"; u [n] in [0, 1]: the inverse CDF there. rest: returns (energy,
    1 - energy/gamma), precise also near 0. BadArgument and Error (out of the domain) as bml_sample_compton."""
    gamma, eps0 = np.atleast_1d(numbers(gamma, "gamma")), np.atleast_1d(numbers(eps0, "eps0"))
    u = None if u is None else doubles(np.atleast_1d(u), -1)
    n = n if n is not None else max(len(gamma), len(eps0), 0 if u is None else len(u))
    if any(len(a) not in (1, n) for a in (gamma, eps0)) or (u is not None and len(u) != n):
        raise BadArgument("gamma, eps0 and u must have one length")
    if rng is None and u is None:
        raise BadArgument("rng or u is needed")
    gamma, eps0, out = doubles(gamma), doubles(eps0), np.empty(n)
    left = np.empty(n) if rest else None
    how = abi.bml_sample_photons(n=n, gamma=pointer(gamma), eps0=pointer(eps0), one_gamma=int(len(gamma) == 1),
                                 one_eps0=int(len(eps0) == 1), method=choice("method", method, _METHODS), u=pointer(u),
                                 rest=pointer(left))
    if how.method == abi.BML_SAMPLE_TABLE:
        how.nodes = _table_nodes()
    status = lib.bml_sample_compton(pointer(out), ctypes.addressof(how), _rng(rng) if rng is not None else None)
    where = "photon %d" % lib.bml_sample_compton_find(ctypes.addressof(how)) if status and status != -1 else ""
    check("sample", status, where)
    return (out, left) if rest else out


def _each(f, *columns):
    columns = np.broadcast_arrays(*[numbers(c) for c in columns])
    out, value = np.empty(columns[0].shape), ctypes.c_double()
    for i in np.ndindex(out.shape):
        check("sample", f(ctypes.addressof(value), *[float(c[i]) for c in columns]))
        out[i] = value.value
    return out


def compton_cdf(eps, gamma, eps0):
    """The CDF that the draws follow, to 1e-13; arrays broadcast."""
    return _each(lib.bml_sample_compton_cdf, eps, gamma, eps0)


def compton_pdf(eps, gamma, eps0):
    """Its density, per m_e c^2."""
    return _each(lib.bml_sample_compton_pdf, eps, gamma, eps0)


def compton_rates(b):
    """rate, loss, mean_energy, mean_rest of b = 4 gamma eps0: a dictionary, see bml_sample_rates."""
    out = abi.bml_sample_rates()
    check("sample", lib.bml_sample_compton_rates(ctypes.addressof(out), b))
    return {n: getattr(out, n) for n, _ in out._fields_}


def scatter(gamma, electron, eps0, photon, rng):
    """One exact collision: (energy [m_e c^2], direction [3]) of a photon of energy eps0 and direction photon [3] after an electron
    of Lorentz factor gamma and direction electron [3]."""
    electron, photon, out, eps = doubles(electron, 3), doubles(photon, 3), np.empty(3), ctypes.c_double()
    how = abi.bml_sample_collision(gamma, pointer(electron), eps0, pointer(photon))
    check("sample", lib.bml_sample_scatter(ctypes.addressof(eps), pointer(out), ctypes.addressof(how), _rng(rng)))
    return eps.value, out


def klein_nishina(x):
    """Total cross section over sigma_T for a photon of energy x [m_e c^2] on an electron at rest."""
    return np.vectorize(lib.bml_sample_klein_nishina, otypes=[float])(x)


def thermal_electrons(n, theta, rng):
    """[n] Lorentz factors of a relativistic Maxwell distribution, theta = kT/(m_e c^2)."""
    out = np.empty(whole(n, "n"))
    check("sample", lib.bml_sample_thermal_electrons(pointer(out), n, theta, _rng(rng)))
    return out


def black_body(n, rng, weight="photons"):
    """[n] of h nu/(kT), by number of photons or by their "energy"."""
    out = np.empty(whole(n, "n"))
    check("sample", lib.bml_sample_black_body(pointer(out), n, choice("weight", weight, _WEIGHTS), _rng(rng)))
    return out


def power_law(n, rng, lower, upper, index, break_at=0.0, index_above=0.0):
    """[n] of a density ~ x^-index in [lower, upper], ~ x^-index_above from break_at on."""
    out, power = np.empty(whole(n, "n")), abi.bml_sample_power(lower, upper, index, break_at, index_above)
    check("sample", lib.bml_sample_power_law(pointer(out), None, n, ctypes.addressof(power), _rng(rng)))
    return out


class Table:
    """Draws from any density of one variable, by its inverse CDF.

    density(x [n]) -> [n], any normalisation, between lower and upper (which may be infinite); tolerance of the CDF, 0 = 1e-7;
    centre: where it is large; breaks: jumps, kinks, narrow peaks; look: points in which peaks are looked for. error, integral,
    converged, message tell how it went.
    """

    def __init__(self, density, lower, upper, *, tolerance=0.0, centre=0.0, breaks=None, look=0, max_intervals=0):
        calls, why = Callback(), Why()

        def call(p, x, z, n, user):
            values = spread(density(view(x, np.float64, n)), n, "what the density returned")
            np.frombuffer((ctypes.c_double * n).from_address(p))[...] = values
        breaks = None if breaks is None else doubles(breaks, -1)
        c = abi.bml_sample_table_config(lower=lower, upper=upper, tolerance=tolerance, centre=centre, look=look,
                                        max_intervals=max_intervals)
        c.breaks, c.n_breaks = pointer(breaks), 0 if breaks is None else len(breaks)

        def guarded(p, x, z, n, user):  # a failing density is NaN, which the header refuses
            try:
                if calls.error is None:
                    return call(p, x, z, n, user)
            except BaseException as e:
                calls.error = e
            np.frombuffer((ctypes.c_double * n).from_address(p))[...] = np.nan
        calls.kept.append(abi.bml_sample_density(guarded))
        c.density = calls.kept[-1]
        self.handle = ctypes.c_void_p()
        status = lib.bml_sample_table_create(ctypes.addressof(self.handle), ctypes.addressof(c), why.buffer)
        calls.settle()
        self.converged = status == 0
        check("sample", status, why, allow=(abi.BML_SAMPLE_NOT_CONVERGED,))

    @classmethod
    def from_samples(cls, samples, nodes=0):
        """The empirical CDF of samples [n] through `nodes` quantiles (0 = up to 1024)."""
        self, why, samples = cls.__new__(cls), Why(), doubles(samples, -1)
        self.handle, self.converged = ctypes.c_void_p(), True
        check("sample", lib.bml_sample_table_from_samples(ctypes.addressof(self.handle), pointer(samples), len(samples), nodes,
                                                          why.buffer), why)
        return self

    def __del__(self):
        if getattr(self, "handle", None):
            lib.bml_sample_table_free(self.handle)

    error = property(lambda self: lib.bml_sample_table_error(self.handle))
    integral = property(lambda self: lib.bml_sample_table_integral(self.handle))
    message = property(lambda self: lib.bml_sample_table_message(self.handle).decode())

    def draw(self, n, rng):
        """[n] draws."""
        out = np.empty(whole(n, "n"))
        check("sample", lib.bml_sample_table_draw(self.handle, pointer(out), n, _rng(rng)))
        return out

    def inverse(self, u):
        """x [n] at u [n] in [0, 1]."""
        u = doubles(np.atleast_1d(u), -1)
        out = np.empty(len(u))
        check("sample", lib.bml_sample_table_inverse(self.handle, pointer(out), pointer(u), len(u)))
        return out

    def _at(self, x, cdf, pdf):
        x = doubles(np.atleast_1d(x), -1)
        out = np.empty(len(x))
        check("sample", lib.bml_sample_table_cdf(self.handle, pointer(out) if cdf else None, pointer(out) if pdf else None, pointer(x),
                                                 len(x)))
        return out

    def cdf(self, x):
        """[n] at x [n]."""
        return self._at(x, True, False)

    def pdf(self, x):
        """[n] at x [n], normalised."""
        return self._at(x, False, True)
