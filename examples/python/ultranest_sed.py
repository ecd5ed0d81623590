"""The same SED with UltraNest, vectorised.

    python3 examples/python/ultranest_sed.py        needs ultranest; some minutes
"""
import numpy as np
import ultranest
import ultranest.stepsampler

from sed_problem import log_likelihood, prior

if __name__ == "__main__":
    def finite(theta):  # UltraNest takes no -inf, which stands for sources that cannot be
        return np.maximum(log_likelihood(theta), -1e100)

    sampler = ultranest.ReactiveNestedSampler(prior.names, finite, prior.transform, vectorized=True)
    sampler.stepsampler = ultranest.stepsampler.SliceSampler(
        nsteps=2 * prior.n_dim, generate_direction=ultranest.stepsampler.generate_mixture_random_direction)
    result = sampler.run(min_num_live_points=200, viz_callback=None, show_status=False)
    print("UltraNest: ln Z = %.2f +- %.2f, %d likelihoods" % (result["logz"], result["logzerr"], result["ncall"]))
    for name, median in zip(prior.names, result["posterior"]["median"]):
        print("%-14s %8.3f" % (name, median))
