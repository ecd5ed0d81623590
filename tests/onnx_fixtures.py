#!/usr/bin/env python3
"""onnx_fixtures.py: ONNX files of small nets, and what onnxruntime says of them. Run in the project's folder:

    python3 tests/onnx_fixtures.py          writes tests/onnx/*.onnx and tests/onnx_fixtures.h

Needs torch, onnx, onnxscript and onnxruntime (2.15, 1.23, 0.7 and 1.32 made the files in the repository); the tests do not. Input number i of a
net is sin(0.7 i + 0.3)."""
import io
import math
import os
import warnings

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

warnings.filterwarnings("ignore")
torch.manual_seed(1)


class Cell(nn.Module):
    """A recurrent layer, then a dense one: on all steps, the last step, or the final state."""

    def __init__(self, kind, both, what, levels=1, **more):
        super().__init__()
        self.cell = kind(2, 3, batch_first=True, bidirectional=both, num_layers=levels, **more)
        self.out, self.what = nn.Linear(6 if both else 3, 2), what

    def forward(self, x):
        y, h = self.cell(x)
        h = h[0] if isinstance(h, tuple) else h
        if self.what == "steps":
            return self.out(y)
        if self.what == "last":
            return self.out(y[:, -1])
        return self.out(torch.cat([h[-2], h[-1]], 1) if self.cell.bidirectional else h[-1])


class StepsFirst(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell, self.out = nn.RNN(2, 3, nonlinearity="relu"), nn.Linear(3, 2)

    def forward(self, x):
        return self.out(self.cell(x)[1][0])


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(4, 6), nn.Linear(6, 6), nn.Linear(10, 3)

    def forward(self, x):
        h = torch.relu((self.a((x - 0.2) / torch.tensor([1.0, 2.0, 3.0, 4.0]))))
        h = h + torch.tanh(self.b(h))
        return torch.softmax(self.c(torch.cat([h, 2 * x], 1)), 1)


class Channels(nn.Module):
    """[n][steps][features] in, convolutions, vector out."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.second = nn.Conv1d(2, 5, 3, padding=1), nn.BatchNorm1d(5), nn.Conv1d(5, 4, 2, stride=2)
        self.out = nn.Linear(8, 2)
        self.norm.running_mean.normal_()
        self.norm.running_var.uniform_(0.5, 2)

    def forward(self, x):
        y = torch.relu(self.norm(self.conv(x.transpose(1, 2))))
        return self.out(torch.tanh(self.second(torch.max_pool1d(y, 2))).flatten(1))


class Tail(nn.Module):
    """[n][features][steps] in and out, without flattening."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(2, 3, 2)

    def forward(self, x):
        return torch.sigmoid(self.conv(x))


class Means(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.out = nn.Conv1d(1, 4, 3), nn.Linear(4, 2)

    def forward(self, x):
        y = nn.functional.avg_pool1d(nn.functional.silu(self.conv(x.unsqueeze(1))), 2)
        return self.out(nn.functional.adaptive_avg_pool1d(y, 1).squeeze(2))


class Norms(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.layer, self.batch, self.b = nn.Linear(4, 6), nn.LayerNorm(6, eps=1e-3), nn.BatchNorm1d(6), nn.Linear(6, 3)
        self.batch.running_mean.normal_()
        self.batch.running_var.uniform_(0.5, 2)

    def forward(self, x):
        return self.b(nn.functional.leaky_relu(self.batch(self.layer(self.a(x))), 0.2))


class Wide(nn.Module):
    """A vector seen as a sequence, by a GRU and an LSTM on it."""

    def __init__(self):
        super().__init__()
        self.gru, self.lstm, self.out = nn.GRU(2, 3, batch_first=True), nn.LSTM(3, 4, batch_first=True), nn.Linear(16, 2)

    def forward(self, x):
        y = self.lstm(self.gru(x.reshape(-1, 4, 2))[0])[0]
        return self.out(y.reshape(y.shape[0], -1))


def mlp(*activations):
    layers, n = [], 4
    for a in activations:
        layers += [nn.Linear(n, 5), a]
        n = 5
    return nn.Sequential(*layers, nn.Linear(n, 2))


NETS = {
    "mlp": (mlp(nn.ReLU(), nn.Tanh(), nn.Sigmoid(), nn.Softplus(), nn.SiLU(), nn.LeakyReLU(0.1), nn.Hardtanh()), (3, 4)),
    "gelu": (mlp(nn.GELU(), nn.Dropout(0.3)), (3, 4)),
    "residual": (Residual(), (3, 4)),
    "norms": (Norms(), (3, 4)),
    "gru_steps": (Cell(nn.GRU, False, "steps"), (3, 4, 2)),
    "gru_both_steps": (Cell(nn.GRU, True, "steps"), (3, 4, 2)),
    "gru_last": (Cell(nn.GRU, False, "last"), (3, 4, 2)),
    "gru_both_state": (Cell(nn.GRU, True, "state"), (3, 4, 2)),
    "gru_deep": (Cell(nn.GRU, True, "state", 2), (3, 4, 2)),
    "lstm_steps": (Cell(nn.LSTM, False, "steps"), (3, 4, 2)),
    "lstm_state": (Cell(nn.LSTM, False, "state", 2), (3, 4, 2)),
    "lstm_both_state": (Cell(nn.LSTM, True, "state"), (3, 4, 2)),
    "lstm_no_bias": (Cell(nn.LSTM, True, "steps", bias=False), (3, 4, 2)),
    "rnn_last": (Cell(nn.RNN, False, "last"), (3, 4, 2)),
    "rnn_steps_first": (StepsFirst(), (4, 3, 2)),
    "conv": (Channels(), (3, 8, 2)),
    "conv_channels_first": (Tail(), (3, 2, 5)),
    "means": (Means(), (3, 9)),
    "wide": (Wide(), (3, 8)),
}
NEW = {"mlp", "gru_both_state", "lstm_both_state", "conv", "residual"}  # by torch's newer exporter, too (onnxscript): new_NAME
OPEN = {"gru_both_steps", "lstm_state", "conv", "mlp", "wide", "rnn_last"}  # exported with an open batch


def inputs(shape):
    n = int(np.prod(shape))
    return np.array([math.sin(0.7 * i + 0.3) for i in range(n)], np.float32).reshape(shape)


def reset_before(path):
    """A GRU of the other variant, which torch does not have, by hand; batch in the second axis, squeezed."""
    rng = np.random.default_rng(3)
    put = lambda name, *shape: numpy_helper.from_array(rng.normal(0, 0.5, shape).astype(np.float32), name)
    weights = [put("W", 1, 9, 2), put("R", 1, 9, 3), put("B", 1, 18), put("M", 3, 2), put("c", 2),
               numpy_helper.from_array(np.array([0], np.int64), "zero")]
    nodes = [helper.make_node("Transpose", ["x"], ["t"], perm=[1, 0, 2]),
             helper.make_node("GRU", ["t", "W", "R", "B"], ["", "h"], hidden_size=3),
             helper.make_node("Squeeze", ["h", "zero"], ["s"]), helper.make_node("MatMul", ["s", "M"], ["p"]),
             helper.make_node("Add", ["p", "c"], ["y"])]
    graph = helper.make_graph(nodes, "reset_before", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4, 2])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8), path)


def refused(path):
    """An operator that bml_nn.h does not have."""
    class Sine(nn.Linear):
        def forward(self, x):
            return torch.sin(super().forward(x))
    net = Sine(4, 3)
    torch.onnx.export(net.eval(), (torch.zeros(3, 4),), path, dynamo=False, opset_version=17, input_names=["x"])


def main():
    os.makedirs("tests/onnx", exist_ok=True)
    out = ["/* onnx_fixtures.h: what onnxruntime %s says of the files in tests/onnx. Made by onnx_fixtures.py; do not edit. */" %
           onnxruntime.__version__, "/* clang-format off */"]
    rows = []
    shapes = {}
    for name, (net, shape) in NETS.items():
        path = "tests/onnx/%s.onnx" % name
        axes = {"x": {0: "n"}} if name in OPEN else None
        torch.onnx.export(net.eval(), (torch.zeros(shape),), path, dynamo=False, opset_version=17, input_names=["x"], dynamic_axes=axes)
        shapes[name] = shape
        if name in NEW:
            path = "tests/onnx/new_%s.onnx" % name
            torch.onnx.export(net, (torch.zeros(shape),), path, dynamo=True, external_data=False, verbose=False, input_names=["x"])
            small = onnx.load(path)
            for node in small.graph.node:  # where in the source it came from
                del node.metadata_props[:]
            for value in list(small.graph.value_info) + list(small.graph.input) + list(small.graph.output):
                del value.metadata_props[:]
            del small.graph.metadata_props[:], small.metadata_props[:]
            onnx.save(small, path)
            shapes["new_" + name] = shape
    reset_before("tests/onnx/gru_reset_before.onnx")
    shapes["gru_reset_before"] = (3, 4, 2)
    refused("tests/onnx_unknown.onnx")
    os.replace("tests/onnx_unknown.onnx", "tests/onnx/unknown_sine.onnx")
    for name, shape in shapes.items():
        x = inputs(shape)
        y = onnxruntime.InferenceSession("tests/onnx/%s.onnx" % name).run(None, {"x": x})[0]
        if name == "rnn_steps_first":
            x = x.transpose(1, 0, 2)
        n = x.shape[0]
        out.append("static const double onnx_%s_x[] = {%s};" % (name, ", ".join("%.9g" % v for v in x.ravel())))
        out.append("static const double onnx_%s_y[] = {%s};" % (name, ", ".join("%.9g" % v for v in y.ravel())))
        rows.append('    {"%s", onnx_%s_x, onnx_%s_y, %d, %d, %d},' % (name, name, name, n, x[0].size, y.reshape(n, -1)[0].size))
    out += ["static const struct onnx_fixture {", "    const char *name;", "    const double *x, *y; /* [n][n_in], [n][n_out] */",
            "    int n, n_in, n_out;", "} onnx_fixtures[] = {"] + rows + ["};", "/* clang-format on */", ""]
    with open("tests/onnx_fixtures.h", "w") as f:
        f.write("\n".join(out))


if __name__ == "__main__":
    main()
