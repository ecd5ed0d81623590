"""Spectra of one-zone synchrotron self-Compton sources: bml_ssc.h, which has the physics, units and errors.

    import numpy as np, bml
    nu = np.logspace(9, 27, 200)                                      # [Hz], observer
    rows = [[16, -1, 3, 6, -4, 2.2]]                                  # one source a row, see ROW
    flux = bml.ssc.sed(rows, nu, redshift=0.1, delta=20)              # [n][200], erg cm^-2 s^-1
    blob = bml.ssc.solve(R=1e16, B=0.1, gamma_min=1e3, gamma_max=1e6, L_e=1e42, p=2.2)
    blob.derived(redshift=0.1, delta=20)["U_e"]
"""
import ctypes

import numpy as np

from . import _abi as abi
from ._lib import (BadArgument, Why, check, choice, doubles, failure, lib, numbers, pointer, record, share, spread,
                   threads as thread_count)

ROW = ("log_R", "log_B", "log_gamma_min", "log_gamma_max", "log_l_e", "p")
"""Columns of a row: log10 of R [cm], B [G], gamma_min, gamma_max, the compactness l_e; and the index p of the electrons."""

COMPONENTS = {"total": abi.BML_SSC_TOTAL, "synchrotron": abi.BML_SSC_SYNCHROTRON, "compton": abi.BML_SSC_COMPTON,
              "external": abi.BML_SSC_EXTERNAL, "exchanged": abi.BML_SSC_EXCHANGED}
_WORDS = {"injection": {"power_law": 0, "broken": 1, "log_parabola": 2, "cutoff": 3},
          "self_absorption": {"off": 0, "on": 1, "heating": 2}, "photon_escape": {"rate": 0, "sphere": 1}}
_FIELDS = {"black_body": 0, "power_law": 1, "table": 2, "shell": 3, "ring": 4, "disc": 5, "cmb": 6}
_SOURCE, _OBSERVER, _POINT = record(abi.bml_ssc_source), record(abi.bml_ssc_observer), record(abi.bml_ssc_point)
_MEMBERS = {n for n, k in abi.bml_ssc_source._fields_ if k in (ctypes.c_double, ctypes.c_int)} - {"n_table", "n_external"}


class Tables:
    """The solver's kernels, made once (0.1 s) and read by all threads.

    grid: "converged" or "athena"; spacing [dex], 0 = 0.1; time_step [R/c], 0 = default; pitch: "averaged" or "90";
    light_travel: True to smear what the observer sees by the light's way across the blob.
    """

    def __init__(self, grid="converged", spacing=0.0, time_step=0.0, pitch="averaged", light_travel=False):
        why, self.handle = Why(), ctypes.c_void_p()
        config = abi.bml_ssc_config(choice("grid", grid, ("converged", "athena")), spacing, time_step,
                                    choice("pitch", pitch, ("averaged", "90")), int(light_travel))
        check("ssc", lib.bml_ssc_create(ctypes.addressof(self.handle), ctypes.addressof(config), why.buffer), why)

    def __del__(self):
        if getattr(self, "handle", None):
            lib.bml_ssc_free(self.handle)


_default = []


def _tables(tables):
    if tables is not None and not isinstance(tables, Tables):
        raise BadArgument("tables: a bml.ssc.Tables")
    if tables is not None:
        return tables
    if not _default:
        _default.append(Tables())
    return _default[0]


class Ebl:
    """Optical depths of the extragalactic background light: the name of a table that is shipped ("dominguez2011",
    "saldana2021"), or the path of one (formats: examples/common/ebl.h)."""

    def __init__(self, name):
        why, self.handle = Why(), ctypes.c_void_p()
        path = share("ebl_%s.csv" % name) or name
        check("sed", lib.bml_sed_ebl_read(ctypes.addressof(self.handle), str(path).encode(), why.buffer), why)
        self.depths = lib.bml_sed_ebl_depths(self.handle)

    def __del__(self):
        if getattr(self, "handle", None):
            lib.bml_sed_ebl_free(self.handle)

    def depth(self, z, nu):
        """tau [shape of nu] at redshift z for nu [Hz]. Error above the table's ends."""
        nu = np.atleast_1d(numbers(nu, "nu"))
        out, tau = np.empty(nu.shape), ctypes.c_double()
        for i, at in np.ndenumerate(nu):
            check("ssc", lib.bml_ssc_ebl_depth(ctypes.addressof(tau), self.depths, z, at))
            out[i] = tau.value
        return out


_ebl = {}


def ebl_of(ebl):
    """An Ebl, or its name or path; None: none."""
    if ebl is None or isinstance(ebl, Ebl):
        return ebl
    if ebl not in _ebl:
        _ebl[ebl] = Ebl(ebl)
    return _ebl[ebl]


def luminosity_distance(z, H0=70.0, omega_m=0.3):
    """[cm], flat Lambda-CDM."""
    return lib.bml_ssc_luminosity_distance(z, H0, omega_m)


def _external(fields):
    """An array of bml_ssc_external from dictionaries, and what it points to."""
    if isinstance(fields, dict):
        raise BadArgument("external: a list of dictionaries, one for each field")
    out, kept = (abi.bml_ssc_external * len(fields))(), []
    for to, field in zip(out, fields):
        if "kind" not in field:
            raise BadArgument("external: each field needs a kind: one of " + ", ".join(_FIELDS))
        for name, value in field.items():
            if name in ("table_x", "table_n"):
                value = doubles(value, -1)
                kept.append(value)
                to.n_table = len(value)
                setattr(to, name, pointer(value))
            elif name == "kind":
                to.kind = choice("kind", value, _FIELDS)
            elif name in {n for n, _ in to._fields_}:
                setattr(to, name, value)
            else:
                raise BadArgument("external: no member '%s'" % name)
    return out, kept


def _sources(rows, n, source):
    """n structures from rows [n][6] (or None) and members, each one number or [n]. Returns them and what they point to."""
    out, kept = np.zeros(n, _SOURCE), []
    if rows is not None:
        for k, name in enumerate(("R", "B", "gamma_min", "gamma_max", "compactness", "p")):
            if name in source:
                raise BadArgument("%s: the rows have it already" % name)
            with np.errstate(over="ignore"):  # refused by name, soon
                out[name] = rows[:, k] if name == "p" else 10.0 ** rows[:, k]
    for name, value in source.items():
        if value is None:
            continue
        if name == "external":
            fields, more = _external(value)
            kept += [fields, more]
            out["external"], out["n_external"] = ctypes.addressof(fields), len(fields)
        elif name in ("table_gamma", "table_q"):
            value = doubles(value, -1)
            kept.append(value)
            out[name], out["n_table"], out["injection"] = pointer(value), len(value), abi.BML_SSC_TABLE
        elif name in _MEMBERS:
            out[name] = choice(name, value, _WORDS[name]) if isinstance(value, str) and name in _WORDS else spread(value, n, name)
        else:
            raise BadArgument("a source has no member '%s'" % name)
    return out, kept


def _observers(n, redshift, delta, ebl, H0=0.0, omega_m=0.0, distance=0.0):
    out = np.zeros(n, _OBSERVER)
    for name, value in (("redshift", redshift), ("delta", delta), ("H0", H0), ("omega_m", omega_m), ("distance", distance)):
        out[name] = 0 if value is None else spread(value, n, name)
    ebl = ebl_of(ebl)
    if ebl is not None:
        out["ebl"] = ebl.depths
    return out, ebl


def _rows(rows):
    """rows as [n][6], and whether they were one row."""
    rows = numbers(rows, "rows")
    return doubles(np.atleast_2d(rows), -1, 6), rows.ndim == 1


def _frequencies(nu):
    nu = doubles(np.atleast_1d(nu), -1)
    bad = np.nonzero(~((nu > 0) & (nu < np.inf)))[0]
    if len(bad):
        raise BadArgument("nu[%d] = %g Hz: must be positive and finite" % (bad[0], nu[bad[0]]))
    return nu


def _seen_by(observer):
    return ", ".join("%s = %g" % (n, observer[n]) for n in ("redshift", "delta", "H0", "omega_m", "distance"))


def _batch(sources, observers, grid, component, tables, threads):
    n = len(sources)
    out, status = np.empty((n, len(grid))), np.zeros(n, np.int32)
    job = abi.bml_ssc_batch_job(pointer(out), pointer(status), pointer(sources), pointer(observers), pointer(grid), n, len(grid),
                                choice("component", component, COMPONENTS), thread_count(threads))
    first = lib.bml_ssc_batch(ctypes.addressof(job), tables.handle) if n and len(grid) else 0
    if first in (-1, -2):
        check("ssc", first)
    return out, status


def _complain(sources, observers, status, tables):
    """Raises for the first source that failed, with the reason."""
    bad = int(np.nonzero(status)[0][0])
    blob = Blob(tables, sources[bad:bad + 1], solve=False)
    lib.bml_ssc_solve(blob.handle, pointer(blob.source))
    text = blob.message
    if not text and observers is not None:
        text = _seen_by(observers[bad])
    raise failure("ssc", int(status[bad]), "row %d: %s" % (bad, text))


def sed(rows, nu, redshift=None, delta=1.0, *, component="total", ebl=None, H0=0.0, omega_m=0.0, distance=0.0, threads=None,
        tables=None, on_error="raise", **source):
    """nu F_nu of many sources at once.

    rows      [n][6] (or [6]), see ROW
    nu        [m] observer's frequencies [Hz]
    redshift  one number or [n]; or distance [cm], luminosity distance
    delta     Doppler factor, one number or [n]
    component "total", "synchrotron", "compton", "external", "exchanged"
    ebl       name, path or Ebl: absorption by the background light
    threads   None: all
    source    any other member of bml_ssc_source, one number or [n]: self_absorption="heating", pair_production=1,
              photon_escape="sphere", injection="broken", gamma_break=, p2=, external=[{"kind": "black_body", ...}], ...
    on_error  "raise": bml.Error names row, member, value and range; "nan": such rows are NaN

    Returns [n][m] (or [m]) in erg cm^-2 s^-1. 0.3 ms a source and core. The interpreter is free meanwhile.
    """
    rows, single = _rows(rows)
    nu, on_error = _frequencies(nu), choice("on_error", on_error, ("raise", "nan"))
    sources, kept = _sources(rows, len(rows), source)
    observers, ebl = _observers(len(rows), redshift, delta, ebl, H0, omega_m, distance)
    tables = _tables(tables)
    out, status = _batch(sources, observers, nu, component, tables, threads)
    if on_error == 0 and status.any():
        _complain(sources, observers, status, tables)
    return out[0] if single else out


def spectrum(rows, log10_x, *, component="total", threads=None, tables=None, on_error="raise", **source):
    """log10(x^2 n) in the blob: [n][m] (or [m]) at log10_x [m], x = h nu/(m_e c^2); the rest as in `sed`."""
    rows, single = _rows(rows)
    log10_x, on_error = doubles(np.atleast_1d(log10_x), -1), choice("on_error", on_error, ("raise", "nan"))
    sources, kept = _sources(rows, len(rows), source)
    tables = _tables(tables)
    out, status = _batch(sources, None, log10_x, component, tables, threads)
    if on_error == 0 and status.any():
        _complain(sources, None, status, tables)
    return out[0] if single else out


def points(data):
    """The data points of a bml.Sed, or of (nu, nuFnu, sigma_lo, sigma_hi[, upper_limit]): structures for C, [n]."""
    if hasattr(data, "points"):
        return data.points
    columns = list(data)
    if len(columns) not in (4, 5):
        raise BadArgument("data: a bml.Sed, or (nu, nuFnu, sigma_lo, sigma_hi[, upper_limit])")
    out = np.zeros(len(np.atleast_1d(columns[0])), _POINT)
    for name, value in zip(("nu", "nuFnu", "sigma_lo", "sigma_hi", "upper_limit"), columns):
        out[name] = spread(value, len(out), name)
    return out


def log_likelihood_of(flux, data, ln_f=None):
    """ln L [n] of model SEDs flux [n][points] (or one number of [points]) at data.nu, from any code.

    Detections are Gaussian in log10 nuFnu, with the error of the model's side, and exp(ln_f) dex (one number or [n]) added in
    quadrature; limits are ln Phi. -inf where the model is NaN, or zero at a detection. bml_ssc_log_likelihood has it all.
    """
    point = points(data)
    flux = numbers(flux, "flux")
    single = flux.ndim == 1
    flux = doubles(np.atleast_2d(flux), -1, len(point))
    out = np.empty(len(flux))
    scatter = None if ln_f is None else spread(ln_f, len(flux), "ln_f")
    check("sed", lib.bml_sed_log_likelihood(pointer(out), pointer(flux), len(flux), pointer(point), len(point), pointer(scatter)))
    return float(out[0]) if single else out


def log_likelihood(rows, data, redshift=None, delta=1.0, *, ln_f=None, **how):
    """ln L [n] of rows [n][6] for data (a bml.Sed); redshift defaults to the table's. Other arguments as in `sed`. -inf for rows
    that the solver refuses (gamma_max below gamma_min, ...)."""
    point = points(data)
    if redshift is None and not how.get("distance"):
        redshift = getattr(data, "redshift", None)
    how.setdefault("on_error", "nan")
    return log_likelihood_of(sed(rows, point["nu"], redshift, delta, **how), data, ln_f)


class Blob:
    """One solved source, to be read as often as you like. Made by `solve`."""

    def __init__(self, tables, source, solve=True):
        why, self.handle, self.tables, self.source = Why(), ctypes.c_void_p(), tables, source
        check("ssc", lib.bml_ssc_blob_create(ctypes.addressof(self.handle), tables.handle, why.buffer), why)
        if solve:
            status = lib.bml_ssc_solve(self.handle, pointer(source))
            check("ssc", status, self.message, allow=(abi.BML_SSC_NOT_CONVERGED,))
            self.converged = status == 0

    def __del__(self):
        if getattr(self, "handle", None):
            lib.bml_ssc_blob_free(self.handle)

    @property
    def message(self):
        return lib.bml_ssc_message(self.handle).decode()

    def sed(self, nu, redshift=None, delta=1.0, *, component="total", ebl=None, **how):
        """nu F_nu [erg cm^-2 s^-1] at nu [m] [Hz]; arguments as in bml.ssc.sed."""
        nu = _frequencies(nu)
        out = np.empty(len(nu))
        observer, kept = _observers(1, redshift, delta, ebl, **how)
        check("ssc", lib.bml_ssc_sed(pointer(out), pointer(nu), len(nu), self.handle, pointer(observer),
                                     choice("component", component, COMPONENTS)), _seen_by(observer[0]))
        return out

    def spectrum(self, log10_x, component="total"):
        """log10(x^2 n) in the blob at log10_x [m]."""
        return self._read(lib.bml_ssc_spectrum, log10_x, choice("component", component, COMPONENTS))

    def electrons(self, log10_gamma):
        """log10(gamma^2 N) at log10_gamma [m]."""
        return self._read(lib.bml_ssc_electrons, log10_gamma)

    def _read(self, f, at, *more):
        at = doubles(np.atleast_1d(at), -1)
        out = np.empty(len(at))
        arguments = [pointer(out), pointer(at), len(at), self.handle] + list(more)
        check("ssc", f(*arguments), self.message)
        return out

    def energy(self):
        """The balance since the beginning: a dictionary, see bml_ssc_balance."""
        out = abi.bml_ssc_balance()
        check("ssc", lib.bml_ssc_energy(ctypes.addressof(out), self.handle), self.message)
        return {n: getattr(out, n) for n, _ in out._fields_}

    def derived(self, redshift=None, delta=1.0, *, ebl=None, **how):
        """Energy densities, powers, peaks: a dictionary, see bml_ssc_derived for units."""
        out = abi.bml_ssc_derived()
        observer, kept = _observers(1, redshift, delta, ebl, **how)
        check("ssc", lib.bml_ssc_derive(ctypes.addressof(out), self.handle, pointer(observer)), _seen_by(observer[0]))
        return {n: getattr(out, n) for n, _ in out._fields_}


def solve(row=None, *, tables=None, **source):
    """A solved Blob of one source: row [6], see ROW, or members of bml_ssc_source (R, B, gamma_min, gamma_max, L_e or
    compactness, p, ...) in cgs. blob.converged is False where the solver says so."""
    rows = None if row is None else doubles(np.atleast_2d(row), 1, 6)
    sources, kept = _sources(rows, 1, source)
    blob = Blob(_tables(tables), sources)
    blob.kept = kept
    return blob
