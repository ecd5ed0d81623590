"""Classifiers of tables: bml_classify.h.

    model = bml.classify.fit(x, y, model="forest")      # x [n][d], NaN: missing; y [n]: labels of any kind, None: no label
    p = model.predict(x)                                 # [n][classes], calibrated probabilities; model.classes names them
    scores, p = bml.classify.cross_validate(x, y)        # out of fold
"""
import ctypes

import numpy as np

from . import _abi as abi
from ._lib import BadArgument, Why, check, choice, doubles, lib, pointer

_MODELS = ("logistic", "forest", "boost", "dnn", "rnn", "bnn", "kernel", "stack")
_CALIBRATIONS = ("none", "temperature", "isotonic")


def _codes(y):
    """0 ... k-1 or -1 for each label, and the classes in order."""
    missing = np.array([v is None or v != v for v in y], bool)
    classes = np.unique(np.asarray([v for v, m in zip(y, missing) if not m]))
    codes = np.full(len(missing), -1, np.int32)
    codes[~missing] = np.searchsorted(classes, np.asarray([v for v, m in zip(y, missing) if not m]))
    return codes, classes


def _data(x, codes, n_class):
    x = doubles(x, -1, -1)
    if codes is not None and len(codes) != len(x):
        raise BadArgument("x has %d rows, y %d" % (len(x), len(codes)))
    codes = np.full(len(x), -1, np.int32) if codes is None else codes
    return abi.bml_classify_data(n=len(x), d=x.shape[1], n_class=n_class, x=pointer(x), y=pointer(codes)), (x, codes)


def _config(model, calibrate, seed, options):
    c = abi.bml_classify_config(model=choice("model", model, _MODELS), seed=seed,
                                calibrate=choice("calibrate", calibrate, _CALIBRATIONS))
    for name, value in options.items():
        if name not in {n for n, k in c._fields_ if k in (ctypes.c_int, ctypes.c_double)}:
            raise TypeError("no option '%s'" % name)
        setattr(c, name, value)
    return c


class Model:
    """A fitted classifier; classes: what the columns of predict stand for."""

    def __init__(self, handle, classes, d):
        self.handle, self.classes, self.d = handle, classes, d

    def __del__(self):
        if getattr(self, "handle", None):
            lib.bml_classify_model_free(self.handle)

    def predict(self, x, sd=False):
        """p [n][classes] of x [n][d]; sd: (p, their doubt), NaN where the model has none."""
        data, kept = _data(doubles(x, -1, self.d), None, len(self.classes))
        p = np.empty((data.n, len(self.classes)))
        doubt = np.empty_like(p)
        check("classify", lib.bml_classify_predict(pointer(p), pointer(doubt), self.handle, ctypes.addressof(data), None, data.n))
        return (p, doubt) if sd else p


def fit(x, y, model="forest", calibrate="none", seed=0, **options):
    """Fits to the rows that have a label. model: logistic, forest, boost, dnn, rnn, bnn, kernel; options: members of
    bml_classify_config (trees, depth, copies, class_weights, l2, ...)."""
    codes, classes = _codes(y)
    data, kept = _data(x, codes, len(classes))
    config, why, handle = _config(model, calibrate, seed, options), Why(), ctypes.c_void_p()
    check("classify", lib.bml_classify_fit(ctypes.addressof(handle), ctypes.addressof(config), ctypes.addressof(data), None, 0,
                                           why.buffer), why)
    return Model(handle, classes, data.d)


def cross_validate(x, y, model="forest", folds=5, calibrate="none", seed=0, **options):
    """(scores, p): a dictionary of bml_classify_scores (auc, brier, ...), and p [n][classes] out of fold."""
    codes, classes = _codes(y)
    data, kept = _data(x, codes, len(classes))
    config, why, s = _config(model, calibrate, seed, options), Why(), abi.bml_classify_scores()
    p = np.empty((data.n, len(classes)))
    check("classify", lib.bml_classify_cross_validate(ctypes.addressof(s), pointer(p), ctypes.addressof(config),
                                                      ctypes.addressof(data), folds, why.buffer), why)
    return {n: getattr(s, n) for n, _ in s._fields_}, p


def score(p, y):
    """bml_classify_scores of probabilities p [n][classes] and codes y [n] (negative: left out), of any classifier."""
    p, y, s = doubles(p, -1, -1), np.ascontiguousarray(y, np.int32), abi.bml_classify_scores()
    check("classify", lib.bml_classify_score(ctypes.addressof(s), pointer(p), pointer(y), None, len(p), p.shape[1]))
    return {n: getattr(s, n) for n, _ in s._fields_}
