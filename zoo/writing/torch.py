"""PyTorch's dialect."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from zoo.backend.calls import Call
from zoo.graphs.nodes import Node
from zoo.torch.operations import OPERATIONS
from zoo.writing.dialect import Dialect
from zoo.writing.pieces import Made

_OWN = "zoo.torch.modules."

DEFAULTS: dict[str, dict[str, Any]] = {
    "torch.nn.Conv2d": {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, "bias": True},
    "torch.nn.Linear": {"bias": True},
    "torch.nn.BatchNorm1d": {"eps": 1e-5, "momentum": 0.1},
    "torch.nn.BatchNorm2d": {"eps": 1e-5, "momentum": 0.1},
    "torch.nn.MaxPool2d": {"padding": 0, "ceil_mode": False},
    "torch.nn.AvgPool2d": {"padding": 0, "count_include_pad": True},
    "torch.nn.LocalResponseNorm": {"alpha": 1e-4, "beta": 0.75, "k": 1.0},
    f"{_OWN}BatchNorm": {"scale": True, "shift": True},
    f"{_OWN}PaddedConv2d": {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, "bias": True},
}


INSTEAD = '''
class BatchNorm(nn.BatchNorm2d):
    """Batch norm that may lack a scale or a shift."""

    def __init__(self, num_features, eps, momentum, scale=True, shift=True):
        super().__init__(num_features, eps, momentum)
        if not scale:
            self.register_parameter("weight", None)
        if not shift:
            self.register_parameter("bias", None)
'''


def describe(node: Node) -> Call:
    """Return the call that makes a layer."""
    found = OPERATIONS.describe(node)
    if node.op == "batch_norm" and len(node.shape) == 1:  # of vectors
        settings = dict(found.arguments)
        if settings.pop("scale") and settings.pop("shift"):
            return Call("torch.nn.BatchNorm1d", settings)
    return found


def native(made: Made) -> Made:
    """Return PyTorch's own layer where it computes the same, but for running variances."""
    name = made.target.removeprefix(_OWN)
    arguments = dict(made.arguments)
    if name in ("LocalResponseNorm", "ChannelShuffle"):
        return replace(made, target=f"torch.nn.{name}")
    if name == "BatchNorm" and arguments["scale"] is True and arguments["shift"] is True:
        del arguments["scale"], arguments["shift"]
        return Made("torch.nn.BatchNorm2d", arguments)
    return made


CHAIN = '''\
class Sequential(nn.Sequential):
    """Layers with names, one after the other."""

    def __init__(self, **layers):
        super().__init__(OrderedDict(layers))'''


def main(network: str) -> list[str]:
    """Return the lines of ``main``."""
    return [
        f"model = {network}()",
        'print(f"{sum(p.numel() for p in model.parameters()):,} parameters")',
    ]


DIALECT = Dialect(
    backend="torch",
    imports={
        "OrderedDict": "from collections import OrderedDict",
        "Any": "from typing import Any",
        "torch": "import torch",
        "nn": "from torch import nn",
        "F": "from torch.nn import functional as F",
    },
    prefixes={"torch": "torch.", "torch.nn": "nn."},
    base="nn.Module",
    method="forward",
    describe=describe,
    fields={"num_features": "", "p": "rate"},
    positional={
        "torch.nn.Conv2d": 3,
        "torch.nn.Linear": 2,
        f"{_OWN}PaddedConv2d": 3,
    },
    defaults=DEFAULTS,
    native=native,
    chain=CHAIN,
    identity="nn.Identity()",
    main=main,
    functions={"torch.nn.Flatten": ("torch.flatten", {"start_dim": 1})},
    instead=INSTEAD,
)
