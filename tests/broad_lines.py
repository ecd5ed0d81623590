"""Numbers of test_agnpy_lines in test_ssc.c: pip install agnpy numpy; python3 tests/broad_lines.py

25 broad lines (Finke 2016, table 5, as agnpy.targets.lines_dictionary has it), of 1e45 erg/s together, H beta at 1e17 cm,
seen from r by a blob of Gamma = delta = 20 at z = 0.5. Scattered light: agnpy's, the sum over the lines. Energy density and
optical depth: the formulas of Finke 2016 (80, 121) in numpy, with steps in ln x, since agnpy's 50 and 400 equal steps of
the cosine miss a shell that the path crosses (two decades in tau)."""
import astropy.units as u
import numpy as np
from agnpy.compton import ExternalCompton
from agnpy.emission_regions import Blob
from agnpy.spectra import PowerLaw
from agnpy.targets import SphericalShellBLR, lines_dictionary
from astropy.constants import c, h, m_e, sigma_T

if not hasattr(np, "trapz"):
    np.trapz = np.trapezoid
c, h, sigma_T, mec2 = (q.cgs.value for q in (c, h, sigma_T, m_e * c**2))
lines = lines_dictionary.values()
total = sum(v["L_Hbeta_ratio"] for v in lines)


def shell(r, v):
    """For all distances r: 1 - mu, energy density per unit of t, of beams at t = 0 ... 1 from the nearest element on."""
    R = 1e17 * v["R_Hbeta_ratio"]
    r = np.asarray(r)[:, None]
    t = np.linspace(0, 1, 301)
    near = np.maximum(abs(R - r), 1e-9 * R)
    ln = np.log((R + r) / near)
    x = near * np.exp(ln * t)
    mu = (r * r + x * x - R * R) / (2 * r * x)
    return 1 - mu, 1e45 * v["L_Hbeta_ratio"] / total / (8 * np.pi * c * r * R) * ln, t


def energy_density(r, Gamma):
    beta = np.sqrt(1 - Gamma**-2)
    both = [shell([r], v) for v in lines]
    return sum(np.trapezoid(w * (Gamma * (1 - beta + beta * away)) ** 2, t, axis=1)[0] for away, w, t in both)


def section(s):
    b = np.sqrt(1 - 1 / np.maximum(s, 1 + 1e-12))
    pairs = 3 / 16 * (1 - b * b) * ((3 - b**4) * np.log((1 + b) / (1 - b)) - 2 * b * (2 - b * b))
    return np.where(s > 1, pairs, 0)


def depth(r, nu):
    tau = np.zeros(len(nu))
    for v in lines:
        R = 1e17 * v["R_Hbeta_ratio"]
        beside = np.geomspace(1e-4, 0.5, 200)
        l = np.unique(np.concatenate([np.geomspace(r, 1e4 * r, 1500), R - R * beside, R + R * beside]))
        l = l[l >= r]
        away, w, t = shell(l, v)
        energy = h * c / (v["lambda"].to_value("cm") * mec2)
        for i, x in enumerate(h * nu * 1.5 / mec2):
            f = w / (energy * mec2) * away * sigma_T * section(energy * x * away / 2)
            tau[i] += np.trapezoid(np.trapezoid(f, t, axis=1), l)
    return tau


electrons = PowerLaw(k=1e3 * u.Unit("cm-3"), p=2.4, gamma_min=10, gamma_max=1e5, mass=m_e)
blob = Blob(R_b=1e10 * u.cm, z=0.5, delta_D=20, Gamma=20, B=0.1 * u.G, n_e=electrons, gamma_e_size=700)
for r in (2e16, 2e17):
    flux = 0
    for name, v in lines_dictionary.items():
        one = SphericalShellBLR(
            1e46 * u.Unit("erg s-1"), 0.1 * v["L_Hbeta_ratio"] / total, name, 1e17 * v["R_Hbeta_ratio"] * u.cm
        )
        scattered = ExternalCompton(blob, one, r * u.cm)
        scattered.set_mu(400)
        scattered.set_phi(17)
        flux = flux + scattered.sed_flux(np.logspace(20, 25, 6) * u.Hz).value
    print(r, energy_density(r, 20), flux, depth(r, np.logspace(24.5, 28.5, 9)))
