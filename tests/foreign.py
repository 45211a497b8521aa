"""ONNX models that PyTorch's exporter and the package onnx write, right and with faults."""

from __future__ import annotations

import functools
import io
import warnings

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from torch import nn
from torch.nn import functional as F

from zoo.verification.foreign import verify

LAYERS = """
conv1: {op: conv, out_channels: 8, kernel_size: 3, padding: 1, stride: 2}
bn: {op: batch_norm, eps: 0.001}
relu1: {op: relu}
pool1: {op: max_pool, kernel_size: 3, stride: 2, ceil_mode: true}
norm: {op: lrn, size: 5, alpha: 0.1, beta: 0.75, k: 2}
left: {op: conv, from: norm, out_channels: 6, kernel_size: 1}
right: {op: conv, from: norm, out_channels: 6, kernel_size: 3, padding: 1}
join: {op: concat, from: [left, right]}
pool2: {op: avg_pool, kernel_size: 3, stride: 2, padding: 1, count_include_pad: false}
flatten: {op: flatten}
fc: {op: linear, out_features: $num_classes}
"""
HEADER = "options: {num_classes: 5, input_size: 23}\n"
SHAPE = (3, 23, 23)

#: The exporter merges batch norms and renames what it touched, unless it is told not to.
KEEPING = {
    "training": torch.onnx.TrainingMode.PRESERVE,
    "do_constant_folding": False,
}


class Mine(nn.Module):
    """The network of the spec, with a fault if one is given."""

    def __init__(self, fault=""):
        super().__init__()
        self.fault = fault
        self.conv1 = nn.Conv2d(3, 8, 3, padding=1, stride=2, bias=fault != "no bias")
        self.bn = nn.BatchNorm2d(8, eps=1e-3 if fault != "epsilon" else 1e-5)
        self.left = nn.Conv2d(8, 6, 1)
        self.right = nn.Conv2d(8, 6, 3, padding=1)
        if fault == "padding":
            self.right.padding_mode, self.right.padding = "zeros", (0, 0)
        self.fc = nn.Linear(12 * 3 * 3, 5)
        with torch.no_grad():
            self.bn.running_mean.uniform_(-0.1, 0.1)
            self.bn.running_var.uniform_(0.01, 0.02)
            self.bn.weight.uniform_(0.5, 1.5)
            self.bn.bias.uniform_(-0.5, 0.5)

    def forward(self, x):
        fault = self.fault
        x = self.bn(self.conv1(x))
        x = x if fault == "no relu" else F.relu(x)
        if fault == "window":
            x = F.max_pool2d(F.pad(x, (1, 0, 1, 0)), 3, 2)
        elif fault == "stride":
            x = F.max_pool2d(x, 2, 2)
        else:
            x = F.max_pool2d(x, 3, 2, ceil_mode=fault != "ceil_mode")
        # In operations of its own, as an exporter writes it that knows no LRN.
        k, beta = (1, 0.75) if fault == "lrn" else (2, 0.75)
        squares = F.pad(x * x, (0, 0, 0, 0, 2, 2))
        sums = sum(squares[:, i : i + 8] for i in range(5))
        x = x / (k + 0.1 / 5 * sums) ** beta
        right = self.right(F.pad(x, (2, 0, 2, 0)) if fault == "padding" else x)
        parts = [self.left(x), right]
        x = torch.cat(parts[::-1] if fault == "swapped" else parts, 1)
        x = F.avg_pool2d(x, 3, 2, padding=1, count_include_pad=fault == "count_include_pad")
        if fault == "flatten":
            x = x.permute(0, 2, 3, 1)
        x = self.fc(x.flatten(1))
        return x.softmax(1) if fault == "softmax" else x


#: Fault -> the node that has it, and what is said of it.
FAULTS = {
    "epsilon": ("bn", r"epsilon of 1e-05, the spec has 0\.001"),
    "no relu": ("relu1", r"no value of the file equals it.*\n.*MaxPool.* reads bn"),
    "window": ("pool1", r"has an error of .* above 1\.0e-05"),
    "ceil_mode": ("pool1", "has 8x5x5 there"),
    "stride": ("pool1", r"kernel_shape=\[2, 2\].*strides=\[2, 2\]; the spec has max_pool with"),
    "lrn": ("norm", "the spec has lrn with size=5"),
    "padding": ("right", r"pads=\[0, 0, 0, 0\].*the spec has conv with .*padding=\(1, 1, 1, 1\)"),
    "swapped": ("join", "of right, left; the spec has concat.* of left, right"),
    "count_include_pad": ("pool2", "count_include_pad=1"),
    "flatten": ("flatten", "the spec has flatten"),
}


def exported(model, x, keep=True, **options):
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # this exporter is deprecated
        torch.onnx.export(
            model.eval(), torch.from_numpy(x), buffer, dynamo=False, input_names=["image"],
            **(KEEPING if keep else {}), **options,
        )  # fmt: skip
    return onnx.load_from_string(buffer.getvalue())


@functools.cache
def photograph():
    return np.random.default_rng(0).standard_normal((2, *SHAPE)).astype(np.float32)


@functools.cache
def written(fault="", keep=True):
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return exported(Mine(fault), photograph(), keep)


def renamed(model, words):
    """The model with other names for its initializers."""
    other = onnx.ModelProto()
    other.CopyFrom(model)
    for tensor in other.graph.initializer:
        tensor.name = words(tensor.name)
    for node in other.graph.node:
        node.input[:] = [words(name) for name in node.input]
        node.output[:] = [words(name) for name in node.output]
    return other


def described(name, shape, dtype=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, dtype, shape)


def program_of(nodes, tensors, shape=(1, 3, 5, 5)):
    graph = helper.make_graph(
        nodes, "g", [described("x", shape)], [described(nodes[-1].output[0], None)], tensors
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)])


@pytest.fixture
def here(monkeypatch):
    """Files are run in this process, which saves starting another one."""
    from zoo.onnx import foreign

    def run(file, given, x):
        return foreign.run(foreign.opened(file), given.name, x)

    monkeypatch.setattr(verify, "_in_worker", run)


@pytest.fixture
def spec(spec_file):
    return spec_file(LAYERS, header=HEADER)
