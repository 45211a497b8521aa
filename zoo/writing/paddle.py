"""PaddlePaddle's dialect."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from zoo.backend.calls import Call
from zoo.graphs.nodes import Node
from zoo.paddle.operations import OPERATIONS
from zoo.writing.dialect import Dialect
from zoo.writing.pieces import Made

_OWN = "zoo.paddle.modules."

DEFAULTS: dict[str, dict[str, Any]] = {
    "paddle.nn.Conv2D": {
        "stride": 1,
        "padding": 0,
        "dilation": 1,
        "groups": 1,
        "bias_attr": None,
    },
    "paddle.nn.Linear": {"bias_attr": None},
    "paddle.nn.MaxPool2D": {"padding": 0},
    f"{_OWN}BatchNorm": {
        "momentum": 0.9,
        "epsilon": 1e-5,
        "weight_attr": None,
        "bias_attr": None,
    },
    f"{_OWN}LayerNorm": {"epsilon": 1e-5, "weight_attr": None, "bias_attr": None},
    f"{_OWN}Affine": {"bias_attr": None},
    f"{_OWN}AvgPool2D": {"padding": 0},
    f"{_OWN}avg_pool": {"padding": 0},
    f"{_OWN}local_response_norm": {"alpha": 1e-4, "beta": 0.75, "k": 1.0},
}

#: Shorter forms of zoo's own layers, of any dtype. Paddle's own layers round constants to float32.
INSTEAD = '''
def local_response_norm(x, size, alpha=1e-4, beta=0.75, k=1.0):
    """Paddle's own rounds constants to float32."""
    squares = nn.functional.pad(x * x, [0, 0, size // 2, size // 2, 0, 0, 0, 0])
    total = sum(squares[:, i : i + x.shape[1]] for i in range(size))
    return x / (k + alpha / size * total) ** beta


def avg_pool(x, kernel_size, stride, padding=0):
    """Averages windows with their padding; Paddle's own rounds divisors to float32."""
    size = [kernel_size] * 2 if isinstance(kernel_size, int) else kernel_size
    ones = paddle.ones([x.shape[1], 1, *size], x.dtype) / (size[0] * size[1])
    return nn.functional.conv2d(x, ones, None, stride, padding, groups=x.shape[1])


class AvgPool2D(nn.AvgPool2D):
    """Paddle's own, without its rounding of divisors to float32."""

    def forward(self, x):
        size = [self.ksize] * 2 if isinstance(self.ksize, int) else self.ksize
        ones = paddle.ones([x.shape[1], 1, *size], x.dtype) / (size[0] * size[1])
        return F.conv2d(x, ones, None, self.stride, self.padding, groups=x.shape[1])


class BatchNorm(nn.BatchNorm2D):
    """Paddle's own, without its rounding of constants to float32."""

    def forward(self, x):
        axes, shape = [0, *range(2, x.ndim)], [1, -1, *[1] * (x.ndim - 2)]
        mean, variance = self._mean, self._variance
        if self.training:
            mean, variance = x.mean(axes), x.var(axes, unbiased=False)
            with paddle.no_grad():
                for running, batch in ((self._mean, mean), (self._variance, variance)):
                    new = self._momentum * running + (1 - self._momentum) * batch
                    paddle.assign(new, running)
        scale = (variance + self._epsilon).rsqrt()
        if self.weight is not None:
            scale = scale * self.weight
        out = (x - mean.reshape(shape)) * scale.reshape(shape)
        return out if self.bias is None else out + self.bias.reshape(shape)


class AdaptiveAvgPool2D(nn.AdaptiveAvgPool2D):
    """The means of windows that cover the map, without Paddle's rounding to float32."""

    def forward(self, x):
        sizes = self._output_size
        sizes = [sizes] * 2 if isinstance(sizes, int) else sizes
        for axis, count in enumerate(sizes, 2):
            size = x.shape[axis]
            starts = [i * size // count for i in range(count)]
            ends = [-(-(i + 1) * size // count) for i in range(count)]
            windows = zip(starts, ends, strict=True)
            parts = [x.slice([axis], [a], [b]) for a, b in windows]
            x = paddle.stack([part.mean(axis) for part in parts], axis)
        return x


class LayerNorm(nn.LayerNorm):
    """Layer norm of channels, without Paddle's rounding of constants to float32."""

    def forward(self, x):
        last = x if x.ndim == 2 else x.transpose([0, 2, 3, 1])
        mean = last.mean(-1, keepdim=True)
        variance = (last - mean).square().mean(-1, keepdim=True)
        out = (last - mean) * (variance + self._epsilon).rsqrt()
        out = out if self.weight is None else out * self.weight
        out = out if self.bias is None else out + self.bias
        return out if x.ndim == 2 else out.transpose([0, 3, 1, 2])


class GlobalAvgPool2D(nn.Layer):
    """The mean of each channel."""

    def forward(self, input):
        return input.mean([2, 3], keepdim=True)


class Scale(nn.Layer):
    """Multiplies by a constant."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, input):
        return input * self.factor


class StochasticDepth(nn.Layer):
    """Drops whole examples in training, and scales the rest."""

    def __init__(self, rate):
        super().__init__()
        self.rate = rate

    def forward(self, x):
        if not self.training or not self.rate:
            return x
        keep = paddle.full([x.shape[0]] + [1] * (x.ndim - 1), 1 - self.rate, x.dtype)
        return x * paddle.bernoulli(keep) / keep


class HardSigmoid(nn.Layer):
    """Paddle's own rounds the slope to float32."""

    def forward(self, input):
        return F.relu6(input + 3) / 6
'''


def describe(node: Node) -> Call:
    """Return the call that makes a layer; padding is given as short as Paddle takes it."""
    found = OPERATIONS.describe(node)
    padding = found.arguments.get("padding")
    if isinstance(padding, list):
        top, bottom, left, right = padding
        if (top, left) == (bottom, right):
            padding = top if top == left else (top, left)
        return Call(found.target, {**found.arguments, "padding": padding})
    return found


def native(made: Made) -> Made:
    """Return Paddle's own layer where it computes the same, but for rounding in dropout."""
    if made.target == f"{_OWN}Dropout":
        return replace(made, target="paddle.nn.Dropout")
    if made.target == f"{_OWN}GlobalAvgPool2D":  # whose output is one pixel
        return replace(made, arguments={})
    if made.target == f"{_OWN}AvgPool2D":  # whose divisor is that of the whole window
        return replace(
            made, arguments={k: v for k, v in made.arguments.items() if k != "exclusive"}
        )
    return made


def main(network: str) -> list[str]:
    """Return the lines of ``main``."""
    return [
        f"model = {network}()",
        'print(f"{sum(p.size for p in model.parameters() if p.trainable):,} parameters")',
    ]


DIALECT = Dialect(
    backend="paddle",
    imports={
        "Sequence": "from collections.abc import Sequence",
        "product": "from itertools import product",
        "paddle": "import paddle",
        "nn": "from paddle import nn",
        "F": "from paddle.nn import functional as F",
    },
    prefixes={"paddle": "paddle.", "paddle.nn": "nn."},
    base="nn.Layer",
    method="forward",
    describe=describe,
    fields={"num_features": "", "p": "rate"},
    positional={"paddle.nn.Conv2D": 3, "paddle.nn.Linear": 2},
    defaults=DEFAULTS,
    native=native,
    chain="",
    identity="nn.Identity()",
    main=main,
    functions={
        "paddle.nn.Flatten": ("paddle.flatten", {"start_axis": 1}),
        f"{_OWN}AvgPool2D": (f"{_OWN}avg_pool", {}),
        f"{_OWN}LocalResponseNorm": (f"{_OWN}local_response_norm", {}),
    },
    instead=INSTEAD,
)
