"""bml: physics and machine learning of blazars and other high-energy sources, from Python. numpy is all it needs.

    bml.ssc        spectra of synchrotron self-Compton sources: sed, log_likelihood, solve
    bml.surrogate  the network that stands in for the solver: load
    bml.hadron     protons in such sources: cascades, neutrinos
    bml.read_sed   tables of spectral energy distributions
    bml.mcmc       priors, samplers (ensemble, nested, importance, nuts), summaries, verdicts
    bml.sample     Monte Carlo: Compton scattering, tables of any density, thermal electrons
    bml.nn         networks that were trained elsewhere: load, load_onnx, predict
    bml.classify   classifiers of tables, with calibrated probabilities
    bml.fit        the folders that fit_sed leaves

The headers (bml_ssc.h, ...) hold the physics and mathematics; docstrings here give shapes and units. What a header refuses
raises bml.Error (BadArgument, NoMemory) with its text. Functions release the interpreter while C works.
"""
from ._abi import VERSIONS
from ._lib import BadArgument, Error, NoMemory, library_path
from .data import Sed, read_sed
from . import classify, fit, hadron, mcmc, nn, sample, ssc, surrogate

__version__ = "%d.%d.%d" % (VERSIONS["BML_SSC_VERSION"] // 10000, VERSIONS["BML_SSC_VERSION"] // 100 % 100,
                            VERSIONS["BML_SSC_VERSION"] % 100)
__all__ = ["BadArgument", "Error", "NoMemory", "Sed", "classify", "fit", "hadron", "library_path", "mcmc", "nn", "read_sed", "sample",
           "ssc", "surrogate"]
