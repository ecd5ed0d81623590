"""The folders that the program fit_sed leaves (--out DIR).

    fit = bml.fit.read("build/fit")
    fit.summary["log_R"]["median"]; fit.verdict["summary"]; fit.chain; fit.to_arviz()
"""
import csv
import json
import os

import numpy as np

from ._lib import Error


def _table(path):
    """Columns of a CSV file: name -> array, of numbers where all are."""
    with open(path, newline="") as f:
        rows = [r for r in csv.reader(f) if r and not r[0].startswith("#")]
    out = {}
    for i, name in enumerate(rows[0]):
        column = [r[i] for r in rows[1:]]
        try:
            out[name] = np.array(column, float)
        except ValueError:
            out[name] = np.array(column)
    return out


class Fit:
    """names [d]: the free parameters; chain [steps][walkers][d], log_prob [steps][walkers]; summary: name (derived quantities,
    too) -> dictionary of median, minus, plus, ...; run: run.json; verdict: its verdict; points, sed: columns of points.csv and
    sed.csv (None where the fit left none)."""

    def __init__(self, folder):
        self.folder = str(folder)
        try:
            with open(os.path.join(self.folder, "run.json")) as f:
                self.run = json.load(f)
            posterior = _table(os.path.join(self.folder, "posterior.csv"))
            self.chain = np.load(os.path.join(self.folder, "chain.npy"))
            self.log_prob = np.load(os.path.join(self.folder, "log_prob.npy"))
        except (OSError, ValueError) as e:
            raise Error("%s: no folder of a finished fit: %s" % (self.folder, e))
        self.names = [str(n) for n in posterior["name"][:self.chain.shape[2]]]
        self.summary = {str(n): {k: posterior[k][i] for k in posterior if k != "name"} for i, n in enumerate(posterior["name"])}
        self.verdict = self.run.get("verdict", {})
        self.points, self.sed = [
            _table(os.path.join(self.folder, n)) if os.path.exists(os.path.join(self.folder, n)) else None
            for n in ("points.csv", "sed.csv")]

    @property
    def samples(self):
        """One structured array of all draws: samples["log_R"]."""
        flat = np.ascontiguousarray(self.chain.reshape(-1, len(self.names)), dtype=float)
        return flat.view([(n, float) for n in self.names])[:, 0]

    def to_arviz(self):
        """ArviZ's InferenceData; chains are walkers. Needs arviz."""
        from .mcmc import Run
        return Run("fit", self.names, self.chain, self.log_prob, [], None, 0).to_arviz()


def read(folder):
    """The Fit of a folder; bml.Error where it holds none."""
    return Fit(folder)
