"""The problem that the examples beside share: the SED of 3HSP J095507.9+355101 through the network, seven parameters."""
import os

import numpy as np

import bml

data = bml.read_sed(os.path.join(os.path.dirname(__file__), "..", "data", "3hsp_j095507.csv"))
net = bml.surrogate.load()
ebl = bml.ssc.Ebl("dominguez2011")


def confined(lower, upper, before):
    """gamma_max: at least 100 gamma_min, and no more than the blob confines (e B R/(m_e c^2))."""
    log_R, log_B, log_gamma_min = before[:3]
    return log_gamma_min + 2, log_R + log_B - 3.2316


prior = bml.mcmc.Prior([
    bml.mcmc.uniform("log_R", 14, 17), bml.mcmc.uniform("log_B", -2, 2), bml.mcmc.uniform("log_gamma_min", 0.1, 4),
    bml.mcmc.uniform("log_gamma_max", 2.1, 8, bounds=confined), bml.mcmc.uniform("log_l_e", -5, -1), bml.mcmc.uniform("p", 1.5, 3),
    bml.mcmc.uniform("log_delta", 0, 3)])


def log_likelihood(theta):
    """ln L [n] of theta [n][7]."""
    theta = np.atleast_2d(theta)
    return net.log_likelihood(theta[:, :6], data, delta=10 ** theta[:, 6], ebl=ebl)
