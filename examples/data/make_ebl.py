#!/usr/bin/env python3
"""Makes examples/data/ebl_dominguez2011.csv and ebl_saldana2021.csv from the optical depths in XSPEC table form, as
agnpy and gammapy ship them (exp(-tau) on 500 energies and some hundred redshifts).

    pip install astropy; python3 examples/data/make_ebl.py DATA/ebl     DATA/ebl: where the .fits.gz lie

The tables are thinned to what bilinear interpolation of tau in z and log E needs, and their greatest error stands in
their own comments: |exp(-tau) - exp(-tau of the full table)|, at all energies and redshifts of the full one."""
import gzip
import io
import sys

import numpy as np
from astropy.io import fits

Z = [0.01, 0.02, 0.03, 0.05, 0.08, 0.12, 0.17, 0.22, 0.28, 0.34, 0.4, 0.5, 0.6, 0.7, 0.8, 0.95, 1.1, 1.3, 1.6, 2, 2.5, 3]
MODELS = [('ebl_dominguez11', 'dominguez2011', 'Dominguez et al. 2011, MNRAS 410, 2556'),
          ('ebl_saldana-lopez_2021', 'saldana2021', 'Saldana-Lopez et al. 2021, MNRAS 507, 5144')]
PER_DECADE = 20


def read(path):
    with gzip.open(path) as f:
        h = fits.open(io.BytesIO(f.read()))
    e = h['ENERGIES'].data
    energy = np.sqrt(e['ENERG_LO'].astype(float) * e['ENERG_HI']) * 1e-9  # keV -> TeV
    z = h['SPECTRA'].data['PARAMVAL'].astype(float).ravel()
    passed = h['SPECTRA'].data['INTPSPEC'].astype(float)
    tau = np.full(passed.shape, np.nan)
    sound = passed > 1e-37
    tau[sound] = -np.log(np.minimum(passed[sound], 1))
    for row in tau:  # what single precision lost: a straight line in log tau over log E from the last two that are left
        lost = np.flatnonzero(np.isnan(row))
        if len(lost):
            k = lost[0]
            slope = np.log(row[k - 1] / row[k - 5]) / np.log(energy[k - 1] / energy[k - 5])
            row[k:] = row[k - 1] * (energy[k:] / energy[k - 1])**slope
    return energy, z, tau


def at(energy, z, tau, e_new, z_new):
    """Bilinear in z and log E, tau(z = 0) = 0."""
    z = np.concatenate([[0], z])
    tau = np.vstack([np.zeros(len(energy)), tau])
    across = np.array([np.interp(np.log(e_new), np.log(energy), row) for row in tau])
    return np.array([np.interp(z_new, z, column) for column in across.T]).T


for name, short, paper in MODELS:
    energy, z, tau = read('%s/%s.fits.gz' % (sys.argv[1], name))
    first = energy[np.flatnonzero(tau[z <= 3.005].max(axis=0) > 1e-3)[0] - 1]
    last = min(energy[-1], 100)
    grid = np.exp(np.linspace(np.log(first), np.log(last), int(PER_DECADE * np.log10(last / first)) + 1))
    thin = np.minimum(at(energy, z, tau, grid, np.array(Z)), 690)
    thin = np.array([[float('%.4g' % v) for v in row] for row in thin])
    grid = np.array([float('%.6g' % v) for v in grid])
    grid[-1] = min(grid[-1], energy[-1])
    inside = (energy >= grid[0]) & (energy <= grid[-1])
    few = z <= 3.005
    back = at(grid, np.array(Z), thin, energy[inside], z[few])
    off = np.abs(np.exp(-back) - np.exp(-tau[few][:, inside]))
    with open('examples/data/ebl_%s.csv' % short, 'w') as f:
        f.write('# tau of the extragalactic background light: %s, made by make_ebl.py.\n' % paper)
        f.write('# Bilinear in z and log energy, exp(-tau) is within %.4f of the full table, on average %.5f.\n' %
                (off.max(), off.mean()))
        f.write('energy_TeV,' + ','.join('%g' % v for v in Z) + '\n')
        for k, e in enumerate(grid):
            f.write('%.6g,' % e + ','.join('%.4g' % (v if v > 1e-9 else 0) for v in thin[:, k]) + '\n')
    print(short, len(grid), 'energies', grid[0], grid[-1], 'max', off.max(), 'mean', off.mean())
