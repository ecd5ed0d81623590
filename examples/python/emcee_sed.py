"""The SED of 3HSP J095507.9+355101 with emcee's walkers and bml's likelihood, prior and diagnostics.

    python3 examples/python/emcee_sed.py            needs emcee; some minutes

The posterior is bent and long: 6,000 steps of 64 walkers are not enough for emcee's local moves, and the verdict says so.
"""
import emcee
import numpy as np

import bml
from sed_problem import log_likelihood, prior

if __name__ == "__main__":
    def log_prob(theta):  # emcee hands over all walkers of a half-step: vectorize=True
        lp = prior.log_density(theta)
        inside = lp > -np.inf
        lp[inside] += log_likelihood(theta[inside])
        return lp

    rng = np.random.default_rng(1)
    start = prior.sample(2000, seed=1)  # the best of many, spread a little
    best = start[np.argsort(log_prob(start))[-64:]]
    start = best[rng.integers(0, 64, 64)] + rng.normal(0, 1e-3, best.shape)
    sampler = emcee.EnsembleSampler(64, prior.n_dim, log_prob, vectorize=True,
                                    moves=[(emcee.moves.DEMove(), 0.8), (emcee.moves.DESnookerMove(), 0.2)])
    sampler.run_mcmc(start, 6000, skip_initial_state_check=True)
    chain = sampler.get_chain(discard=2000)  # [steps][walkers][dims], as bml takes it
    for name, s in bml.mcmc.summarize(chain, prior.names).items():
        print("%-14s %8.3f -%.3f +%.3f  R-hat %.3f  ESS %.0f" % (name, s.median, s.minus, s.plus, s.rhat, s.ess_bulk))
    print(bml.mcmc.verdict(chain, prior.names))
