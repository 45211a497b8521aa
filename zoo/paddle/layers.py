"""One function an operation: a node as a PaddlePaddle layer.

Paddle's kernels hold eps, momentum, exponents, rates and, in gradients, the sizes of averages in
float32 whatever they compute in; the layers of this file that have one compute in float64 by plain
operations, which do not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np
import paddle
from paddle import nn
from paddle.nn import functional as F

from zoo.network import Node


def conv(node: Node, dtype: str) -> nn.Layer:
    at = node.attributes
    return nn.Conv2D(
        at["in_channels"],
        at["out_channels"],
        at["kernel_size"],
        at["stride"],
        _padding(node),
        dilation=at["dilation"],
        groups=at["groups"],
        bias_attr=None if at["bias"] else False,
    )


def linear(node: Node, dtype: str) -> nn.Layer:
    at = node.attributes
    bias = None if at["bias"] else False
    return nn.Linear(at["in_features"], at["out_features"], bias_attr=bias)


def batch_norm(node: Node, dtype: str) -> nn.Layer:
    at = node.attributes
    return BatchNorm(
        at["num_features"],
        1 - at["momentum"],  # Paddle's is the weight of the old value
        at["eps"],
        weight_attr=None if at["scale"] else False,
        bias_attr=None if at["shift"] else False,
    )


def lrn(node: Node, dtype: str) -> nn.Layer:
    at = node.attributes
    return LocalResponseNorm(at["size"], at["alpha"], at["beta"], at["k"])


def relu(node: Node, dtype: str) -> nn.Layer:
    return nn.ReLU()


def dropout(node: Node, dtype: str) -> nn.Layer:
    return Dropout(node.attributes["rate"])


def max_pool(node: Node, dtype: str) -> nn.Layer:
    at = node.attributes
    return nn.MaxPool2D(at["kernel_size"], at["stride"], _padding(node))


def avg_pool(node: Node, dtype: str) -> nn.Layer:
    at = node.attributes
    top, bottom, left, right = at["padding"]
    if at["counts"] is None and (top, left) == (bottom, right):
        return AvgPool2D(at["kernel_size"], at["stride"], (top, left), exclusive=False)
    return PaddedAvgPool2D(at["kernel_size"], at["stride"], at["padding"], at["counts"], dtype)


def global_avg_pool(node: Node, dtype: str) -> nn.Layer:
    return GlobalAvgPool2D(1)


def adaptive_avg_pool(node: Node, dtype: str) -> nn.Layer:
    return AdaptiveAvgPool2D(node.attributes["output_size"], node.attributes["windows"])


def scale(node: Node, dtype: str) -> nn.Layer:
    return Scale(node.attributes["factor"])


def flatten(node: Node, dtype: str) -> nn.Layer:
    return nn.Flatten()


def concat(node: Node, dtype: str) -> nn.Layer:
    return Concat()


def add(node: Node, dtype: str) -> nn.Layer:
    return Add()


#: op name -> function
LAYERS: dict[str, Callable[[Node, str], nn.Layer]] = {
    function.__name__: function
    for function in (
        conv,
        linear,
        batch_norm,
        lrn,
        relu,
        dropout,
        max_pool,
        avg_pool,
        global_avg_pool,
        adaptive_avg_pool,
        scale,
        flatten,
        concat,
        add,
    )
}


class BatchNorm(nn.BatchNorm2D):
    """Batch norm of maps or vectors, exact in float64."""

    def forward(self, input: paddle.Tensor) -> paddle.Tensor:
        if input.ndim not in (2, 4):
            raise ValueError(f"expected a batch of maps or vectors, got {input.ndim} dimensions")
        if input.dtype == paddle.float64:
            return self._exactly(input)
        # As the native forward does, which in training warns at every call.
        return F.batch_norm(
            input,
            self._mean,
            self._variance,
            self.weight,
            self.bias,
            self.training,
            self._momentum,
            self._epsilon,
            use_global_stats=self._use_global_stats,
        )

    def _exactly(self, x: paddle.Tensor) -> paddle.Tensor:
        across = [1, -1, *(1 for _ in x.shape[2:])]
        mean, variance = self._mean, self._variance
        if self.training and not self._use_global_stats:
            axes = [0, *range(2, x.ndim)]
            mean = x.mean(axes)
            variance = (x - mean.reshape(across)).square().mean(axes)
            with paddle.no_grad():
                old = constant(self._momentum, x)
                for kept, new in ((self._mean, mean), (self._variance, variance)):
                    paddle.assign(old * kept + (1 - old) * new, kept)
        scale = (variance + constant(self._epsilon, x)).rsqrt()
        if self.weight is not None:
            scale = scale * self.weight
        out = (x - mean.reshape(across)) * scale.reshape(across)
        return out if self.bias is None else out + self.bias.reshape(across)


class LocalResponseNorm(nn.LocalResponseNorm):
    """Local response normalisation, exact in float64 and faster than the native forward."""

    def forward(self, input: paddle.Tensor) -> paddle.Tensor:
        half, shape = self.size // 2, [-1, *input.shape[1:]]
        rows = input.square().flatten(2).unsqueeze(1)  # one map, a channel a row
        mean = _means(rows, (self.size, 1), (1, 1), (half, half, 0, 0))
        base = mean.reshape(shape) * constant(self.alpha, input) + constant(self.k, input)
        if self.beta == 0.75:  # several times as fast as the power
            root = base.sqrt()
            return input / (root * root.sqrt())
        return input / base.pow(constant(self.beta, input))


class Dropout(nn.Dropout):
    """Dropout, exact in float64."""

    def forward(self, input: paddle.Tensor) -> paddle.Tensor:
        if not self.training or input.dtype != paddle.float64:
            return super().forward(input)
        # In training this mode drops values and leaves the others as they are.
        return F.dropout(input, self.p, mode="downscale_in_infer") / constant(1 - self.p, input)


class AvgPool2D(nn.AvgPool2D):
    """An average pool, exact in float64."""

    def forward(self, input: paddle.Tensor) -> paddle.Tensor:
        top, left = self.padding
        return _means(input, self.ksize, self.stride, (top, top, left, left))


class GlobalAvgPool2D(nn.AdaptiveAvgPool2D):
    """The mean of each channel, exact in float64."""

    def forward(self, input: paddle.Tensor) -> paddle.Tensor:
        if input.dtype == paddle.float64:
            return input.mean((2, 3), keepdim=True)
        return super().forward(input)


class AdaptiveAvgPool2D(nn.AdaptiveAvgPool2D):
    """The means of windows that cover the map, exact in float64."""

    def __init__(self, output_size: tuple[int, int], windows: Any) -> None:
        super().__init__(output_size)
        self.windows = windows

    def forward(self, input: paddle.Tensor) -> paddle.Tensor:
        if input.dtype != paddle.float64:
            return super().forward(input)
        for axis, windows in enumerate(self.windows, 2):
            means = [input.slice([axis], [a], [b]).mean(axis) for a, b in windows]
            input = paddle.stack(means, axis)
        return input


class PaddedAvgPool2D(nn.AvgPool2D):
    """An average pool with any padding, dividing each window by a count of its own."""

    def __init__(
        self,
        kernel_size: tuple[int, int],
        stride: tuple[int, int],
        padding: tuple[int, int, int, int],
        counts: tuple[tuple[int, ...], tuple[int, ...]] | None,
        dtype: str,
    ) -> None:
        super().__init__(kernel_size, stride)
        top, bottom, left, right = padding
        self.edges = [left, right, top, bottom]  # the order of F.pad
        scale = None
        if counts is not None:
            area = kernel_size[0] * kernel_size[1]
            scale = paddle.to_tensor(area / np.outer(*counts), dtype=dtype)
        self.register_buffer("scale", scale, persistable=False)

    def forward(self, input: paddle.Tensor) -> paddle.Tensor:
        left, right, top, bottom = self.edges
        mean = _means(input, self.ksize, self.stride, (top, bottom, left, right))
        return mean if self.scale is None else mean * self.scale

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, edges={self.edges}"


class Scale(nn.Layer):
    """Multiplies by a constant."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, input: paddle.Tensor) -> paddle.Tensor:
        return input * constant(self.factor, input)

    def extra_repr(self) -> str:
        return f"{self.factor}"


class Concat(nn.Layer):
    """Joins maps by channel."""

    def forward(self, *inputs: paddle.Tensor) -> paddle.Tensor:
        return paddle.concat(inputs, 1)


class Add(nn.Layer):
    """Adds its inputs."""

    def forward(self, first: paddle.Tensor, *others: paddle.Tensor) -> paddle.Tensor:
        for other in others:
            first = first + other
        return first


def _padding(node: Node) -> list[int]:
    """Top, bottom, left, right, as Paddle's own layers take it; in a max pool it never wins."""
    return list(node.attributes["padding"])


def _means(
    x: paddle.Tensor,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: tuple[int, int, int, int],
) -> paddle.Tensor:
    """The mean of each window, padding counted; padding is top, bottom, left, right."""
    top, bottom, left, right = padding
    if x.dtype != paddle.float64:
        if (top, left) == (bottom, right):
            return F.avg_pool2d(x, kernel, stride, (top, left), exclusive=False)
        return F.avg_pool2d(F.pad(x, [left, right, top, bottom]), kernel, stride)
    # The native gradient divides by a float32. Here the windows' values are added one by one.
    x = F.pad(x, [left, right, top, bottom])
    height, width = (
        (side - k) // step for side, k, step in zip(x.shape[2:], kernel, stride, strict=True)
    )
    total = None
    for row, column in product(range(kernel[0]), range(kernel[1])):
        ends = [row + height * stride[0] + 1, column + width * stride[1] + 1]
        part = paddle.strided_slice(x, [2, 3], [row, column], ends, list(stride))
        total = part if total is None else total + part
    return total / constant(kernel[0] * kernel[1], x)


def constant(value: float, like: paddle.Tensor) -> paddle.Tensor:
    """A number in the dtype of a tensor; compiled functions take Python's as float32."""
    return paddle.full([], value, like.dtype)
