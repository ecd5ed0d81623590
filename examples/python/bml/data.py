"""Tables of spectral energy distributions: examples/common/sed.h, which lists the formats."""
import ctypes

import numpy as np

from . import _abi as abi
from ._lib import Why, check, lib, record, view


class Sed:
    """A table of points, by frequency.

    nu [n] [Hz] and nuFnu [n] [erg cm^-2 s^-1] at the observer; sigma_lo, sigma_hi [n] one-sigma errors in dex (of an upper limit:
    sigma_hi is the Gaussian sigma of the limit in flux units, 0 = from 95 %); upper_limit [n] of bool; instrument [n];
    bin [n][2] ends of the energy bins [Hz]; redshift (NaN: none); source; notes: what was dropped, assumed, or looks wrong.
    """

    def __init__(self, table):
        self.points = view(table.point, record(abi.bml_ssc_point), table.n)
        names = view(table.instrument, np.uint8, table.n, abi.BML_SED_INSTRUMENT)
        self.instrument = np.array([bytes(n).split(b"\0")[0].decode("utf-8", "replace") for n in names])
        self.bin = view(table.bin, np.float64, table.n, 2)
        self.redshift, self.source = table.redshift, table.source.decode("utf-8", "replace")
        raw = bytes(table.note)
        size = abi.BML_SED_NOTE
        self.notes = [raw[i * size:(i + 1) * size].split(b"\0")[0].decode("utf-8", "replace") for i in range(table.n_notes)]

    nu = property(lambda self: self.points["nu"])
    nuFnu = property(lambda self: self.points["nuFnu"])
    sigma_lo = property(lambda self: self.points["sigma_lo"])
    sigma_hi = property(lambda self: self.points["sigma_hi"])
    upper_limit = property(lambda self: self.points["upper_limit"] != 0)

    def __len__(self):
        return len(self.points)

    def __repr__(self):
        return "<bml.Sed %s: %d points, %d limits, %.3g ... %.3g Hz, z = %.4g>" % (
            self.source or "without a name", len(self), self.upper_limit.sum(), self.nu[0], self.nu[-1], self.redshift)


def read_sed(path, **options):
    """Reads a table of any format of examples/common/sed.h: CSV, ECSV, IPAC, SSDC, ...

    options: confidence (of limits without their own, 0.95), error_floor [dex], nu_min, nu_max [Hz], redshift, source_frame,
    columns ("nu_Hz,nuFnu_erg_cm2_s,err_dex", for tables without names), source, skip (list of instruments), unchecked.
    bml.Error says FILE:LINE and what is wrong. Returns a Sed.
    """
    how, kept, why, handle = abi.bml_sed_options(), [], Why(), ctypes.c_void_p()
    for name, value in options.items():
        if name == "skip":
            kept.append((ctypes.c_char_p * len(value))(*[str(v).encode() for v in value]))
            how.skip, how.n_skip = ctypes.addressof(kept[-1]), len(value)
        elif name in ("columns", "source"):
            setattr(how, name, None if value is None else str(value).encode())
        elif name in {n for n, _ in how._fields_}:
            setattr(how, name, value)
        else:
            raise TypeError("read_sed: no option '%s'" % name)
    status = lib.bml_sed_read(ctypes.addressof(handle), str(path).encode(), ctypes.addressof(how), why.buffer)
    check("sed", status, why)
    try:
        return Sed(abi.bml_sed_table.from_address(handle.value))
    finally:
        lib.bml_sed_free(handle)
