#!/usr/bin/env python3
"""nn_padded.py > nn_padded.h: PyTorch's numbers for padded sequences, stacked layers without biases, two biases, and
normalisation with settings of its own. Needs torch (2.15 made the numbers in the repository); the tests do not.
Weights and inputs follow the formula of nn_fixtures.h, rounded to float32; everything is evaluated in float64, and the
largest deviation of PyTorch's own float32 evaluation stands beside each array."""
import ctypes
import sys

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


def formula(k, shape, s):
    n = 1
    for d in shape:
        n *= d
    out = []
    for i in range(n):
        h = (i * 0x9E3779B9 + k * 0x7F4A7C15) & 0xFFFFFFFF
        h ^= h >> 16
        h = h * 0x85EBCA6B & 0xFFFFFFFF
        h ^= h >> 13
        h = h * 0xC2B2AE35 & 0xFFFFFFFF
        h ^= h >> 16
        out.append(ctypes.c_float(s * (h / 2147483648.0 - 1)).value)
    return torch.tensor(out, dtype=torch.float64).reshape(shape)


def fill(module, first, s):
    for k, p in enumerate(module.parameters()):
        p.data = formula(first + k, tuple(p.shape), s).to(p.dtype)


def show(name, make):
    """An array and the deviation of float32."""
    exact = [v.detach().double().reshape(-1) for v in make(torch.float64)]
    single = [v.detach().double().reshape(-1) for v in make(torch.float32)]
    a, b = torch.cat(exact), torch.cat(single)
    print('/* %s; float32 deviates by %.1e */' % (' '.join(str(len(v)) for v in exact), (a - b).abs().max()))
    print('static const double %s[%d] = {%s};' % (name, len(a), ', '.join('%.15g' % v for v in a.tolist())))


LENGTHS = [4, 2, 3]


def padded(kind):
    def make(dtype):
        net = kind(2, 3, batch_first=True, bidirectional=True).to(dtype)
        fill(net, 2, 0.6)
        x = formula(1, (3, 4, 2), 1).to(dtype).requires_grad_()
        packed = pack_padded_sequence(x, LENGTHS, batch_first=True, enforce_sorted=False)
        y, state = net(packed)
        y, _ = pad_packed_sequence(y, batch_first=True, total_length=4)
        h = state[0] if kind is nn.LSTM else state
        last = torch.cat([h[0], h[1]], 1)
        (y * formula(90, (3, 4, 6), 1).to(dtype)).sum().backward()
        return [y, last, x.grad] + [p.grad for p in net.parameters()]
    return make


def stacked(dtype):
    net = nn.GRU(2, 3, num_layers=2, batch_first=True, bias=False, bidirectional=True).to(dtype)
    head = nn.Linear(6, 2, bias=False).to(dtype)
    fill(net, 2, 0.6)
    fill(head, 20, 0.6)
    y, h = net(formula(1, (3, 4, 2), 1).to(dtype))
    return [head(torch.cat([h[2], h[3]], 1))]


def adam(dtype):
    net = nn.LSTM(2, 3, batch_first=True).to(dtype)
    fill(net, 2, 0.6)
    x = formula(1, (3, 4, 2), 1).to(dtype)
    target = formula(91, (3, 3), 1).to(dtype)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.05)
    for _ in range(20):
        optimizer.zero_grad()
        _, (h, _) = net(x)
        ((h[0] - target) ** 2).mean().backward()
        optimizer.step()
    _, (h, _) = net(x)
    return [h[0]]


def norms(dtype):
    batch = nn.BatchNorm1d(4, eps=1e-3, momentum=0.01).to(dtype)
    layer = nn.LayerNorm(4, eps=1e-3).to(dtype)
    fill(batch, 2, 1)
    fill(layer, 4, 1)
    x = formula(1, (5, 4), 0.2).to(dtype)
    train = batch(x)
    batch.eval()
    return [train, batch.running_mean, batch.running_var, batch(x), layer(x)]


if __name__ == '__main__':
    print('/* nn_padded.h: made by nn_padded.py with torch %s; see there. */' % torch.__version__.split('+')[0])
    print('#ifndef NN_PADDED_H\n#define NN_PADDED_H\n')
    print('/* x [3][4][2] k=1 s=1, lengths 4 2 3, 3 units each way, weight_ih weight_hh bias_ih bias_hh k=2...5 and the')
    print('   backward direction k=6...9, s=0.6. y [3][4][6], the ends [3][6], and derivatives of sum(y c), c k=90 s=1, by x')
    print('   and by those tensors */')
    for name, kind in (('gru', nn.GRU), ('lstm', nn.LSTM), ('rnn', nn.RNN)):
        show('fx_padded_' + name, padded(kind))
    print('\n/* num_layers=2, both directions, no biases, k=2...9 s=0.6; head 2 of the ends, k=20 s=0.6 */')
    show('fx_stacked', stacked)
    print('\n/* the end of an LSTM of 3 (k=2...5 s=0.6) after 20 steps of Adam, rate 0.05, MSE against k=91 s=1 */')
    show('fx_adam_two_biases', adam)
    print('\n/* batch norm of 4 (gamma k=2, beta k=3), eps 1e-3, momentum 0.01, x [5][4] k=1 s=0.2: training, new running mean')
    print('   and variance, inference; layer norm (k=4, k=5), eps 1e-3 */')
    show('fx_norms', norms)
    print('\n#endif')
    sys.exit(0)
