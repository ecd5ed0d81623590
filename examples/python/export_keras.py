"""Writes the weights of a Keras model for bml_nn_load_weights (BML_NN_KERAS).

    from export_keras import save
    save(model, "model.safetensors")

Needs keras 3 and safetensors. Tensors have bml_nn.h's names under the layers' ("gru.kernel", "gru.recurrent", "gru.bias",
"norm.gamma", ..., and "..._reverse" for the backward direction); orders and gates are the same (z r n, i f g o). The epsilon
of a normalisation goes into the metadata, and so does momentum, as the share of a new batch: 1 - Keras' momentum. In C write
the layers with reset_before = 1 where a GRU has reset_after=False, and no_bias = 1 where use_bias=False.
"""
import keras
import numpy as np
from safetensors.numpy import save_file

CELLS = (keras.layers.GRU, keras.layers.LSTM, keras.layers.SimpleRNN)
NORMS = (keras.layers.BatchNormalization, keras.layers.LayerNormalization)
NAMES = {"kernel": "kernel", "recurrent_kernel": "recurrent", "bias": "bias", "gamma": "gamma", "beta": "beta",
         "moving_mean": "mean", "moving_variance": "variance"}


def check(layer):
    """Stops at what bml_nn.h would compute differently."""
    if isinstance(layer, CELLS):
        default = "sigmoid" if not isinstance(layer, keras.layers.SimpleRNN) else None
        if layer.activation.__name__ not in ("tanh", "relu") or (
                default and (layer.activation.__name__ != "tanh" or layer.recurrent_activation.__name__ != default)):
            raise ValueError("%s: activations other than tanh and sigmoid" % layer.name)
        if layer.go_backwards or layer.stateful:
            raise ValueError("%s: go_backwards and stateful have no counterpart" % layer.name)
    if isinstance(layer, keras.layers.Conv1D) and (layer.groups != 1 or layer.dilation_rate != (1,) or layer.padding == "causal"):
        raise ValueError("%s: groups, dilation and causal padding have no counterpart" % layer.name)
    if isinstance(layer, NORMS) and not (layer.center and layer.scale):
        raise ValueError("%s: a norm needs gamma and beta" % layer.name)
    known = CELLS + NORMS + (keras.layers.Dense, keras.layers.Conv1D, keras.layers.Bidirectional)
    if layer.weights and not isinstance(layer, known):
        raise ValueError("%s: bml_nn.h has no %s" % (layer.name, type(layer).__name__))


def put(tensors, prefix, layer, suffix=""):
    for v in layer.weights:
        if v.name in NAMES:
            tensors["%s.%s%s" % (prefix, NAMES[v.name], suffix)] = np.ascontiguousarray(np.asarray(v.numpy()))


def save(model, path):
    """Weights of `model` to `path`; ValueError names a layer that has no counterpart."""
    tensors, metadata = {}, {}
    for layer in model.layers:
        check(layer)
        if isinstance(layer, keras.layers.Bidirectional):
            if layer.merge_mode != "concat":
                raise ValueError("%s: merge_mode must be concat" % layer.name)
            check(layer.forward_layer)
            put(tensors, layer.name, layer.forward_layer)
            put(tensors, layer.name, layer.backward_layer, "_reverse")
            continue
        put(tensors, layer.name, layer)
        if isinstance(layer, NORMS):
            metadata[layer.name + ".epsilon"] = "%.20f" % layer.epsilon
        if isinstance(layer, keras.layers.BatchNormalization):
            metadata[layer.name + ".momentum"] = "%.20f" % (1 - layer.momentum)
    save_file(tensors, path, metadata=metadata)


if __name__ == "__main__":
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.layers.Input((4, 2)),
                              keras.layers.Bidirectional(keras.layers.GRU(3), name="gru"),
                              keras.layers.LayerNormalization(name="norm"),
                              keras.layers.BatchNormalization(name="batch"),
                              keras.layers.Dense(2, name="out")])
    save(model, "export_keras.safetensors")
    x = np.sin(np.arange(8, dtype="float32")).reshape(1, 4, 2)
    print(np.asarray(model.predict(x, verbose=0)).tolist())
