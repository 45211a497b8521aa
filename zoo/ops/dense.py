"""Operations with weights: convolution and linear."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from zoo.graphs.nodes import Node, Parameter
from zoo.graphs.shapes import Shape, text_of
from zoo.ops.base import Array, Inferred, Op, ShapeError, map_of, pair
from zoo.ops.fields import Boolean, Padding, Pair, Positive
from zoo.ops.windows import pad, place, view


class Conv(Op):
    """A two-dimensional convolution (cross-correlation), grouped and dilated if asked.

    Attributes of the node: in_channels, out_channels, kernel_size, stride, padding, dilation,
    groups, bias. Parameters: weight [out, in / groups, height, width], bias [out].
    """

    op: Literal["conv"]
    out_channels: Positive
    kernel_size: Pair
    stride: Pair = 1
    padding: Padding = 0
    dilation: Pair = 1
    groups: Positive = 1
    bias: Boolean = True

    def infer(self, inputs: Sequence[Shape], layout: Shape | None) -> Inferred:
        channels, *size = map_of(inputs[0])
        kernel, stride, dilation = map(pair, (self.kernel_size, self.stride, self.dilation))
        if channels % self.groups or self.out_channels % self.groups:
            raise ShapeError(
                f"{channels} input and {self.out_channels} output channels do not divide into "
                f"{self.groups} groups"
            )
        windows = place((size[0], size[1]), kernel, stride, self.padding, dilation)
        area = kernel[0] * kernel[1]
        fan_in = channels // self.groups * area
        weight_shape = (self.out_channels, channels // self.groups, *kernel)
        parameters = [
            Parameter(
                "weight",
                weight_shape,
                fan_in=fan_in,
                fan_out=self.out_channels // self.groups * area,
            )
        ]
        if self.bias:
            parameters.append(Parameter("bias", (self.out_channels,), 0.0))
        attributes = {
            "in_channels": channels,
            "out_channels": self.out_channels,
            "kernel_size": kernel,
            "stride": stride,
            "padding": windows.padding,
            "dilation": dilation,
            "groups": self.groups,
            "bias": self.bias,
        }
        shape = (self.out_channels, *windows.size)
        macs = fan_in * self.out_channels * windows.size[0] * windows.size[1]
        return Inferred(shape, attributes, tuple(parameters), macs)

    @staticmethod
    def meaning(node: Node, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        at, (x,) = node.attributes, inputs
        groups, kernel = at["groups"], weights["weight"]
        windows = view(pad(x, at["padding"]), at)
        n, _, height, width = windows.shape[:4]
        out = np.empty((n, *node.shape), x.dtype)
        per_in, per_out = at["in_channels"] // groups, at["out_channels"] // groups
        for i in range(n):
            for g in range(groups):
                outs = slice(g * per_out, (g + 1) * per_out)
                # im2col: one row an output position, one column a value of its window
                part = windows[i, g * per_in : (g + 1) * per_in].transpose(1, 2, 0, 3, 4)
                columns = part.reshape(height * width, -1)
                product = columns @ kernel[outs].reshape(per_out, -1).T
                out[i, outs] = product.T.reshape(per_out, height, width)
        return out + weights["bias"][:, None, None] if "bias" in weights else out


class Linear(Op):
    """A fully connected layer, x W^T + b.

    Attributes of the node: in_features, out_features, bias, and layout: ``(C, H, W)`` if the input
    is a flattened map, else None; a framework that flattens in HWC order permutes the weight's
    input axis by it once. Parameters: weight [out, in], bias [out].
    """

    op: Literal["linear"]
    out_features: Positive
    bias: Boolean = True

    def infer(self, inputs: Sequence[Shape], layout: Shape | None) -> Inferred:
        if len(inputs[0]) != 1:
            raise ShapeError(
                f"expected a vector, got {text_of(inputs[0])}; put a flatten before it"
            )
        (features,), out = inputs[0], self.out_features
        parameters = [Parameter("weight", (out, features), fan_in=features, fan_out=out)]
        if self.bias:
            parameters.append(Parameter("bias", (out,), 0.0))
        attributes = {
            "in_features": features,
            "out_features": out,
            "bias": self.bias,
            "layout": layout,
        }
        return Inferred((out,), attributes, tuple(parameters), features * out)

    @staticmethod
    def meaning(node: Node, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        product: Array = inputs[0] @ weights["weight"].T
        return product + weights["bias"] if "bias" in weights else product
