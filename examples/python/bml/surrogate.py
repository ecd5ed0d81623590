"""The network that stands in for the SSC solver: some ten microseconds a spectrum. examples/common/surrogate.h says how.

    net = bml.surrogate.load()                             # the one that is shipped; or a file of train_surrogate
    flux = net.sed(rows, nu, redshift=0.557, delta=30)     # [n][m]; NaN outside the domain
"""
import ctypes

import numpy as np

from . import _abi as abi
from ._lib import BadArgument, Why, check, doubles, lib, pointer, share, spread, threads as thread_count
from .ssc import ROW, _observers, _rows, points


class Surrogate:
    """A network with its domain and its error. grid, self_absorption, pair_production: of what it was trained on; lo, hi [6]:
    its domain, in the columns of bml.ssc.ROW; span: least log gamma_max - log gamma_min [dex]."""

    def __init__(self, path):
        why, self.handle = Why(), ctypes.c_void_p()
        check("sed", lib.bml_sed_surrogate_load(ctypes.addressof(self.handle), str(path).encode(), why.buffer), why)
        info = abi.bml_sed_surrogate_info()
        check("sed", lib.bml_sed_surrogate_get_info(ctypes.addressof(info), self.handle))
        self.grid = ("converged", "athena")[info.grid]
        self.self_absorption, self.pair_production = bool(info.self_absorption), bool(info.pair_production)
        self.lo, self.hi, self.span, self.n_params = np.array(info.lo), np.array(info.hi), info.span, info.n_params

    def __del__(self):
        if getattr(self, "handle", None):
            lib.bml_sed_surrogate_free(self.handle)

    def error(self, log10_x):
        """rms error [dex] on spectra that it was not trained on, at log10 x, x = h nu/(m_e c^2) in the blob."""
        return np.vectorize(lambda x: lib.bml_sed_surrogate_error(self.handle, x), otypes=[float])(log10_x)

    def outside(self, row):
        """None, or the name of the parameter of row [6] that is outside the domain."""
        row = doubles(row, 6)
        name = lib.bml_sed_surrogate_outside(self.handle, pointer(row))
        return name.decode() if name else None

    def _ask(self, rows, delta, ln_f, observer, own_error, threads):
        n = len(rows)
        kept = [spread(delta, n, "delta"), None if ln_f is None else spread(ln_f, n, "ln_f"), observer, rows]
        if not (kept[0] > 0).all():
            raise BadArgument("delta: must be positive")
        return abi.bml_sed_rows(pointer(rows), pointer(kept[0]), pointer(kept[1]), n, thread_count(threads), int(own_error),
                                pointer(observer)), kept

    def spectra(self, rows, threads=None):
        """log10(x^2 n) in the blob, [n][500] of float32 at log10 x = -15 ... 10 (-30: nothing); NaN outside the domain."""
        rows, single = _rows(rows)
        out, why = np.empty((len(rows), abi.BML_SED_SPECTRUM), np.float32), Why()
        ask, kept = self._ask(rows, 1.0, None, None, False, threads)
        check("sed", lib.bml_sed_surrogate_spectra(pointer(out), self.handle, ctypes.addressof(ask), why.buffer), why)
        return out[0] if single else out

    def sed(self, rows, nu, redshift=None, delta=1.0, *, ebl=None, H0=0.0, omega_m=0.0, distance=0.0, threads=None):
        """nu F_nu [n][m] [erg cm^-2 s^-1] at nu [m] [Hz], as bml.ssc.sed; NaN where a row is outside the domain. delta may be
        [n], redshift is one number."""
        rows, single = _rows(rows)
        nu, why = doubles(np.atleast_1d(nu), -1), Why()
        out = np.empty((len(rows), len(nu)))
        observer, ebl = _observers(1, redshift, 1.0, ebl, H0, omega_m, distance)
        ask, kept = self._ask(rows, delta, None, observer, False, threads)
        check("sed", lib.bml_sed_surrogate_fluxes(pointer(out), self.handle, ctypes.addressof(ask), pointer(nu), len(nu),
                                                  why.buffer), why)
        return out[0] if single else out

    def log_likelihood(self, rows, data, redshift=None, delta=1.0, *, ln_f=None, own_error=False, ebl=None, H0=0.0, omega_m=0.0,
                       distance=0.0, threads=None):
        """ln L [n] of rows [n][6] for data (a bml.Sed, whose redshift is the default); -inf outside the domain. own_error: the
        network's own error joins the quoted ones."""
        rows, single = _rows(rows)
        point, why, out = points(data), Why(), np.empty(len(rows))
        redshift = getattr(data, "redshift", None) if redshift is None and not distance else redshift
        observer, ebl = _observers(1, redshift, 1.0, ebl, H0, omega_m, distance)
        ask, kept = self._ask(rows, delta, ln_f, observer, own_error, threads)
        check("sed", lib.bml_sed_surrogate_log_likelihood(pointer(out), self.handle, ctypes.addressof(ask), pointer(point),
                                                          len(point), why.buffer), why)
        return float(out[0]) if single else out

    def gradient(self, rows, data, redshift=None, delta=1.0, *, ln_f=None, own_error=False, ebl=None, H0=0.0, omega_m=0.0,
                 distance=0.0, threads=None):
        """(ln L [n], gradient [n][8]): log_likelihood, and its derivatives by the six columns of a row, by log10 delta, by ln_f (0
        without one); zero outside the domain. What bml.mcmc.nuts takes."""
        rows, single = _rows(rows)
        point, why, out = points(data), Why(), np.empty(len(rows))
        slope = np.empty((len(rows), abi.BML_SED_GRADIENT))
        redshift = getattr(data, "redshift", None) if redshift is None and not distance else redshift
        observer, ebl = _observers(1, redshift, 1.0, ebl, H0, omega_m, distance)
        ask, kept = self._ask(rows, delta, ln_f, observer, own_error, threads)
        check("sed", lib.bml_sed_surrogate_gradient(pointer(out), pointer(slope), self.handle, ctypes.addressof(ask), pointer(point),
                                                    len(point), why.buffer), why)
        return (float(out[0]), slope[0]) if single else (out, slope)


def load(name="ssc"):
    """A model that is shipped ("ssc", "ssc_ssa_gg": with self-absorption and pair production), or the path of one."""
    return Surrogate(share("%s.safetensors" % name) or name)
