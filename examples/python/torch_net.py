"""A network trained by torch, in C: exported as ONNX, read, asked, saved as a model file of bml_nn.h.

    python3 examples/python/torch_net.py            needs torch and onnx
"""
import numpy as np
import torch
from torch import nn

import bml

if __name__ == "__main__":
    torch.manual_seed(1)
    x = torch.rand(2000, 2) * 2 - 1
    y = torch.sin(3 * x[:, :1]) * x[:, 1:]
    net = nn.Sequential(nn.Linear(2, 32), nn.SiLU(), nn.Linear(32, 32), nn.SiLU(), nn.Linear(32, 1))
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    for step in range(500):
        optimizer.zero_grad()
        loss = ((net(x) - y) ** 2).mean()
        loss.backward()
        optimizer.step()
    torch.onnx.export(net.eval(), (x[:1],), "torch_net.onnx", dynamo=False, input_names=["x"], dynamic_axes={"x": {0: "n"}})
    here = bml.nn.load_onnx("torch_net.onnx")
    off = np.abs(here.predict(x.numpy()) - net(x).detach().numpy()).max()
    print("loss %.2e; bml and torch differ by %.1e at most" % (loss.item(), off))
    here.save("torch_net.safetensors")
    print(here)
