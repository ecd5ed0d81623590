"""Networks that were trained elsewhere: model files of bml_nn.h (safetensors), and ONNX files.

    net = bml.nn.load("model.safetensors")
    y = net.predict(x)                        # [n][n_in] -> [n][n_out], float32

Files of torch and Keras: export_torch.py and export_keras.py beside this package, or torch.onnx.export and load_onnx.
"""
import ctypes

import numpy as np

from . import _abi as abi
from ._lib import Why, check, choice, floats, lib, numbers, pointer, threads as thread_count, whole

_STORAGE = {"f32": 0, "f16": 1, "bf16": 2, "f64": 3}


class Net:
    """A network. n_in, n_out: numbers of a row; n_params. Made by load and load_onnx."""

    def __init__(self, handle):
        self.handle = handle
        self.n_in, self.n_out = lib.bml_nn_n_in(handle), lib.bml_nn_n_out(handle)
        self.n_params = lib.bml_nn_n_params(handle)

    def __del__(self):
        if getattr(self, "handle", None):
            lib.bml_nn_free(self.handle)

    def _rows(self, x):
        x = numbers(x)
        single = x.ndim <= 1
        x = x.reshape(1, -1) if single else x.reshape(len(x), -1)
        return floats(x, -1, self.n_in), single

    def _work(self, threads):
        work, why = ctypes.c_void_p(), Why()
        check("nn", lib.bml_nn_work_create(ctypes.addressof(work), self.handle, 48, thread_count(threads), why.buffer), why)
        return work

    def _call(self, f, threads, *arguments):
        work = self._work(threads)
        try:
            check("nn", f(self.handle, work, *arguments), self.message)
        finally:
            lib.bml_nn_work_free(work)

    @property
    def message(self):
        return lib.bml_nn_message(self.handle).decode()

    def predict(self, x, threads=1):
        """y [n][n_out] of x [n][n_in] (float32; sequences [n][steps][features] are flattened). One row [n_in] gives [n_out]."""
        rows, single = self._rows(x)
        out = np.empty((len(rows), self.n_out), np.float32)
        self._call(lib.bml_nn_predict, threads, pointer(out), pointer(rows), len(rows))
        return out[0] if single else out

    def draws(self, x, n_draws, seed=0, threads=1):
        """[n_draws][n][n_out] with dropout on and Bayesian weights drawn."""
        rows, _ = self._rows(x)
        out = np.empty((whole(n_draws, "n_draws", 1), len(rows), self.n_out), np.float32)
        self._call(lib.bml_nn_draws, threads, pointer(out), pointer(rows), len(rows), n_draws, seed)
        return out

    def vjp(self, dy, x, threads=1):
        """(dx [n][n_in], y [n][n_out]): the vector-Jacobian product dx = dy dY/dX of dy [n][n_out]."""
        rows, _ = self._rows(x)
        dy = floats(np.atleast_2d(dy), len(rows), self.n_out)
        dx, y = np.empty_like(rows), np.empty((len(rows), self.n_out), np.float32)
        self._call(lib.bml_nn_vjp, threads, pointer(dx), pointer(y), pointer(dy), pointer(rows), len(rows))
        return dx, y

    def text(self, name):
        """A text that travels in the file, or None."""
        value = lib.bml_nn_get_text(self.handle, name.encode())
        return value.decode() if value else None

    def save(self, path, storage="f32"):
        """Writes a model file: "f32", "f16", "bf16", "f64"."""
        check("nn", lib.bml_nn_save(self.handle, str(path).encode(), choice("storage", storage, _STORAGE)), self.message)

    def __str__(self):
        size = lib.bml_nn_summary(None, 0, self.handle) + 1
        text = ctypes.create_string_buffer(size)
        lib.bml_nn_summary(ctypes.cast(text, ctypes.c_void_p), size, self.handle)
        return text.value.decode()


def load(path):
    """The Net of a model file of bml_nn.h. bml.Error says what is wrong with the file."""
    handle, why = ctypes.c_void_p(), Why()
    check("nn", lib.bml_nn_load(ctypes.addressof(handle), str(path).encode(), why.buffer), why)
    return Net(handle)


def load_onnx(path):
    """The Net of an ONNX file (examples/common/bml_onnx.h lists the operators; an unknown one is named in bml.Error)."""
    handle, why = ctypes.c_void_p(), Why()
    check("onnx", lib.bml_onnx_load(ctypes.addressof(handle), str(path).encode(), why.buffer), why)
    return Net(handle)
