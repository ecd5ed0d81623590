"""The same SED with nautilus, which asks for many points at once.

    python3 examples/python/nautilus_sed.py         needs nautilus-sampler; some minutes
"""
import nautilus
import numpy as np

from sed_problem import log_likelihood, prior

if __name__ == "__main__":
    sampler = nautilus.Sampler(prior.transform, log_likelihood, n_dim=prior.n_dim, n_live=400, n_networks=1, pass_dict=False, vectorized=True, seed=1)
    sampler.run(f_live=0.05, n_eff=500, verbose=False)
    points, log_w, _ = sampler.posterior()
    w = np.exp(log_w - log_w.max())
    print("nautilus: ln Z = %.2f, %d likelihoods, %.0f effective samples" % (sampler.log_z, sampler.n_like, sampler.n_eff))
    for name, x in zip(prior.names, points.T):
        print("%-14s %8.3f" % (name, x[np.argsort(x)][np.searchsorted(np.cumsum(w[np.argsort(x)]) / w.sum(), 0.5)]))
