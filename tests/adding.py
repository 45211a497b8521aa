"""Operations that others add to zoo: PReLU, with one function a backend, and a composite."""

from __future__ import annotations

import sys
import textwrap

import pytest

from zoo import ops
from zoo.ops import Composite, operation
from zoo.ops.fields import POSITIVE
from zoo.ops.grammar import Field

PRELU = '''
"""The parametric rectifier."""

import numpy as np

from zoo.graphs.nodes import Parameter
from zoo.ops.base import Inferred, Op, ShapeError, channels_of, per_channel
from zoo.ops.fields import NUMBER
from zoo.ops.grammar import Field
from zoo.ops.registry import operation


@operation("prelu", family="activation", words=("PReLU", "ParametricReLU"))
class PReLU(Op):
    """x where x is positive, elsewhere x times a learned slope of its channel.

    Attributes of the node: num_features, init. Parameters: weight [channels].

    Source: He et al., Delving Deep into Rectifiers, https://arxiv.org/abs/1502.01852
    """

    implementations = {
        backend: f"prelu_for_zoo_in_{backend}:prelu" for backend in ("torch", "paddle", "keras", "flax", "onnx")
    }
    parameters = {
        "torch": {"weight": "slope"},
        "paddle": {"weight": "_weight"},
        "keras": {"weight": "alpha"},
    }
    init = Field(NUMBER, 0.25, doc="the initial slope")

    def infer(self, inputs, layout):
        if layout:
            raise ShapeError("a flattened map has no channels; put the layer before flatten")
        channels, start = channels_of(inputs[0]), float(self.init)
        attributes = {"num_features": channels, "init": start}
        return Inferred(inputs[0], attributes, (Parameter("weight", (channels,), start),))

    @staticmethod
    def meaning(node, inputs, weights):
        (x,) = inputs
        return np.where(x >= 0, x, x * per_channel(weights["weight"], x))
'''

IN_TORCH = """
import torch
from torch import nn


class PReLU(nn.Module):
    def __init__(self, features, init, factory):
        super().__init__()
        self.slope = nn.Parameter(torch.full((features,), init, **factory))

    def forward(self, x):
        return nn.functional.prelu(x, self.slope)


def prelu(node, factory):
    return PReLU(node.attributes["num_features"], node.attributes["init"], factory)
"""

IN_PADDLE = """
from paddle import nn


def prelu(node, dtype):
    return nn.PReLU(node.attributes["num_features"], node.attributes["init"])
"""

IN_KERAS = """
import keras


def prelu(node, dtype, seed):
    axes = list(range(1, len(node.shape)))
    return [keras.layers.PReLU(shared_axes=axes, dtype=dtype, name=node.name)]
"""

IN_FLAX = """
import jax.numpy as jnp
import numpy as np
from flax import nnx


class PReLU(nnx.Module):
    def __init__(self, features, init, dtype):
        self.weight = nnx.Param(np.full(features, init, dtype))

    def __call__(self, x):
        return jnp.where(x >= 0, x, x * self.weight[...])


def prelu(node, dtype, rngs):
    return PReLU(node.attributes["num_features"], node.attributes["init"], dtype)
"""

IN_ONNX = """
def prelu(layer):
    layer.result("PRelu", layer.x, layer.per_channel("weight"))
"""


@pytest.fixture
def prelu(tmp_path, monkeypatch):
    """A package that adds an operation to zoo: one file, and the entry point that names it."""
    (tmp_path / "prelu_for_zoo.py").write_text(textwrap.dedent(PRELU))
    functions = {
        "torch": IN_TORCH,
        "paddle": IN_PADDLE,
        "keras": IN_KERAS,
        "flax": IN_FLAX,
        "onnx": IN_ONNX,
    }
    for backend, text in functions.items():
        (tmp_path / f"prelu_for_zoo_in_{backend}.py").write_text(text)
    info = tmp_path / "prelu_for_zoo-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: prelu-for-zoo\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[zoo.operations]\nprelu = prelu_for_zoo\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with ops.OPS.restored():
        yield "prelu"
    for name in [name for name in sys.modules if name.startswith("prelu_for_zoo")]:
        del sys.modules[name]


@pytest.fixture
def squeeze_excite():
    """A composite with a field and parameters: squeeze-and-excitation in one operation."""
    with ops.OPS.restored():

        @operation("squeeze_excite", family="arranging")
        class SqueezeExcite(Composite):
            """Each channel times a gate computed from the means of all."""

            reduction = Field(POSITIVE, 2)
            expands = {
                "pool": {"op": "global_avg_pool"},
                "reduce": {
                    "op": "conv",
                    "out_channels": "$input.channels // $reduction",
                    "kernel_size": 1,
                },
                "relu": {"op": "relu"},
                "expand": {
                    "op": "conv",
                    "out_channels": "$input.channels * $reduction",
                    "kernel_size": 1,
                },
                "gate": {"op": "sigmoid"},
                "product": {"op": "multiply", "from": ["input", "gate"]},
            }

        yield SqueezeExcite
