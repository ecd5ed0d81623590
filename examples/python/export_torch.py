"""Writes the weights of a PyTorch module for bml_nn_load_weights and bml_nn_import_weights (BML_NN_PYTORCH).

    from export_torch import save
    save(model, "model.safetensors")

Needs torch and safetensors. The tensors are those of state_dict under their own names. What a state_dict does not hold, the
epsilon and momentum of the normalisations, goes into the metadata as "NAME.epsilon" and "NAME.momentum", from where the
loader takes it. In C write the layers, with no_bias = 1 where bias=False, two_biases = 1 for LSTM and RNN that are to be
trained on as PyTorch would, one layer for each of num_layers, and name what has another name with bml_nn_alias.
"""
import torch
from safetensors.torch import save_file
from torch import nn

KNOWN = (nn.Linear, nn.GRU, nn.LSTM, nn.RNN, nn.Conv1d, nn.BatchNorm1d, nn.LayerNorm)


def decimal(value):
    """A number in (0, 1] as a decimal fraction, which reads back as the same number."""
    return "%.20f" % value


def check(name, module):
    """Stops at what bml_nn.h would compute differently."""
    if isinstance(module, (nn.GRU, nn.LSTM, nn.RNN)) and (module.dropout or getattr(module, "proj_size", 0)):
        raise ValueError("%s: dropout between levels and proj_size have no counterpart: use layers of your own" % name)
    if isinstance(module, nn.Conv1d) and (module.groups != 1 or module.dilation != (1,) or module.padding_mode != "zeros"):
        raise ValueError("%s: groups, dilation and other paddings have no counterpart" % name)
    if isinstance(module, nn.BatchNorm1d) and (module.momentum is None or not module.affine or not module.track_running_stats):
        raise ValueError("%s: batch norm needs momentum, affine and running means" % name)
    if isinstance(module, nn.LayerNorm) and (not module.elementwise_affine or module.bias is None or len(module.normalized_shape) != 1):
        raise ValueError("%s: layer norm needs gamma and beta, over one dimension" % name)
    if not isinstance(module, KNOWN) and any(True for _ in module.parameters(recurse=False)):
        raise ValueError("%s: bml_nn.h has no %s" % (name, type(module).__name__))


def save(model, path):
    """Weights of `model` to `path`; ValueError names a layer that has no counterpart."""
    metadata = {"format": "pt"}
    for name, module in model.named_modules():
        check(name, module)
        if isinstance(module, (nn.BatchNorm1d, nn.LayerNorm)):
            metadata[name + ".epsilon"] = decimal(module.eps)
        if isinstance(module, nn.BatchNorm1d):
            metadata[name + ".momentum"] = decimal(module.momentum)
    tensors = {k: v.detach().cpu().contiguous().clone() for k, v in model.state_dict().items()}
    save_file(tensors, path, metadata=metadata)


if __name__ == "__main__":
    torch.manual_seed(1)
    model = nn.Sequential()
    model.add_module("hidden", nn.Linear(3, 4))
    model.add_module("norm", nn.BatchNorm1d(4, eps=1e-3, momentum=0.01))
    model.add_module("out", nn.Linear(4, 2, bias=False))
    model.eval()
    save(model, "export_torch.safetensors")
    print(model(torch.tensor([[0.5, -1.0, 2.0]])).tolist())
