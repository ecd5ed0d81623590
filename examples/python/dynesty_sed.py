"""The same SED with dynesty: bml's prior is its transform, bml's likelihood its likelihood. Then bml's own nested sampling.

    python3 examples/python/dynesty_sed.py          needs dynesty; some minutes, since dynesty asks point by point
"""
import sys

import dynesty
import numpy as np

import bml
from sed_problem import log_likelihood, prior

if __name__ == "__main__":
    live = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    sampler = dynesty.NestedSampler(lambda t: log_likelihood(t)[0], prior.transform, prior.n_dim, nlive=live, sample="rslice",
                                    rstate=np.random.default_rng(1))
    sampler.run_nested(print_progress=False)
    r = sampler.results
    print("dynesty: ln Z = %.2f +- %.2f, %d likelihoods" % (r.logz[-1], r.logzerr[-1], np.sum(r.ncall)))
    run = bml.mcmc.nested(log_likelihood, prior, live_points=live)
    print("bml:     ln Z = %.2f +- %.2f, %d likelihoods" % (run.log_z, run.log_z_error, run.evaluations))
    print(run.verdict)
