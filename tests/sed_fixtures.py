#!/usr/bin/env python3
"""Makes tests/sed_fixtures.h: what astropy reads in the sample tables, for tests/test_sed.c.

    pip install astropy; python3 tests/sed_fixtures.py DATA > tests/sed_fixtures.h

A line for each table: detections, limits, and the sums over all points of log10 nu, log10 nuFnu, and the upper error
[dex] or, for limits, log10 of limit over sigma. Rules: GADF (a nan flux with a filled limit is a limit; neither: dropped);
E^2 dN/dE by astropy's units; a limit is at UL_CONF, one-sided, else 0.95. The tables that astropy cannot read as they
are (bars, comments, Bjet) stand in tests/test_sed.c by hand."""
import glob
import os
import sys
import warnings
from statistics import NormalDist

import astropy.units as u
import numpy as np
from astropy.table import Table

warnings.filterwarnings('ignore')


def column(table, name):
    filled = np.ma.filled(np.ma.array(table[name], dtype=float), np.nan)
    return filled * u.Unit(str(table[name].unit))


def level(meta):
    if isinstance(meta, dict):
        if 'UL_CONF' in meta:
            return float(meta['UL_CONF'])
        meta = list(meta.values())
    if isinstance(meta, (list, tuple)):
        for m in meta:
            if level(m):
                return level(m)
    return None


def points(path):
    t = Table.read(path, format='ascii.ecsv')
    has = t.colnames
    family = [x for x in ('e2dnde', 'dnde', 'y', 'flux') if x in has][0]
    place = [x for x in ('e_ref', 'energy', 'x') if x in has]
    energy = column(t, place[0]) if place else np.sqrt(column(t, 'e_min') * column(t, 'e_max'))
    nu = energy.to(u.Hz, u.spectral()).value
    flux = column(t, family)

    def nufnu(q):
        if q.unit.is_equivalent('erg cm-2 s-1'):
            return q.to('erg cm-2 s-1').value
        if q.unit.is_equivalent('cm-2 s-1'):
            g = abs(np.array(t['index'], dtype=float))
            lo, hi, e = column(t, 'e_min').value, column(t, 'e_max').value, energy.value
            return (q * energy * e**(1 - g) * (g - 1) / (lo**(1 - g) - hi**(1 - g))).to('erg cm-2 s-1').value
        return (q * energy**2).to('erg cm-2 s-1').value

    def first(*names):
        for n in names:
            if n in has:
                return nufnu(column(t, n))
        return np.full(len(t), np.nan)

    f = nufnu(flux)
    hi = first(family + '_errp', family + '_error_hi', family + '_err', family + '_error', 'dy')
    limit = first(family + '_ul')
    sigmas = NormalDist().inv_cdf(level(t.meta) or 0.95)
    rows = []
    for k in range(len(t)):
        if np.isfinite(f[k]) and np.isfinite(hi[k]):
            rows.append((0, np.log10(nu[k]), np.log10(f[k]), np.log10(1 + hi[k] / f[k])))
        elif np.isfinite(limit[k]):
            rows.append((1, np.log10(nu[k]), np.log10(limit[k]), np.log10(sigmas)))
    return np.array(rows)


print('/* Made by tests/sed_fixtures.py from the sample tables with astropy; see there. */')
print('static const struct sed_fixture {\n    const char *name;\n    int detections, limits;')
print('    double log10_nu, log10_flux, log10_error; /* sums */\n} sed_fixtures[] = {')
ROOT = sys.argv[1]
OTHERS = ['CrabNebula_spectrum.ecsv', 'PKS1510-089_2015b.ecsv', 'nanul.ecsv', 'SED_MW_Mrk501_EBL_ABS.ecsv',
          'SED_MW_Mrk501_EBL_DEABS.ecsv']
FILES = sorted(glob.glob(ROOT + '/sed_formats/vtscat/*')) + sorted(glob.glob(ROOT + '/sed_formats/gamma-cat/*')) + [
    ROOT + '/sed_formats/others/' + n for n in OTHERS] + [ROOT + '/sed/mrk421_2011_agnpy.ecsv']
for path in FILES:
    p = points(path)
    sums = p.sum(axis=0)
    print('    {"%s", %d, %d, %.8f, %.8f, %.8f},' % (os.path.relpath(path, ROOT), len(p) - sums[0], sums[0], *sums[1:]))
print('};')
