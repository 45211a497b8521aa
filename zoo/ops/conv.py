"""Convolution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from zoo.graphs.nodes import Node, Parameter
from zoo.graphs.shapes import Map, NodeShape
from zoo.ops.base import Array, Inferred, Op, ShapeError, map_of, pair
from zoo.ops.cases import Case, Draw, boolean, integers, padding
from zoo.ops.fields import BOOLEAN, PADDING, PAIR, POSITIVE
from zoo.ops.grammar import Field
from zoo.ops.registry import operation
from zoo.ops.windows import pad, place, rounding, view


@operation(
    "conv",
    family="convolution",
    words=("conv2d", "convolution", "Convolution2D", "DepthwiseConv2D", "depthwise_conv"),
)
class Conv(Op):
    """A two-dimensional cross-correlation; depthwise if `groups` is the number of input channels.

    Attributes of the node: in_channels, out_channels, kernel_size, stride, padding, dilation,
    groups, bias. Where an input of another size may be padded in another way, also rounding:
    ``same``, or in pools ``ceil`` with stated, the padding without what rounding up added.
    Parameters: weight [out, in / groups, height, width], bias [out].
    """

    out_channels = Field(POSITIVE)
    kernel_size = Field(PAIR)
    stride = Field(PAIR, 1)
    padding = Field(PADDING, 0)
    dilation = Field(PAIR, 1)
    groups = Field(POSITIVE, 1)
    bias = Field(BOOLEAN, True)

    def infer(self, inputs: Sequence[NodeShape], layout: Map | None) -> Inferred:
        channels, *size = map_of(inputs[0])
        kernel, stride, dilation = map(pair, (self.kernel_size, self.stride, self.dilation))
        if channels % self.groups or self.out_channels % self.groups:
            raise ShapeError(
                f"{channels} input and {self.out_channels} output channels cannot be divided into "
                f"{self.groups} groups"
            )
        windows = place((size[0], size[1]), kernel, stride, self.padding, dilation)
        area = kernel[0] * kernel[1]
        fan_in = channels // self.groups * area
        fan_out = self.out_channels // self.groups * area
        weight_shape = (self.out_channels, channels // self.groups, *kernel)
        parameters = [Parameter("weight", weight_shape, fan_in=fan_in, fan_out=fan_out)]
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
            **rounding(windows, stride, self.padding),
        }
        shape = Map(self.out_channels, *windows.size)
        macs = fan_in * self.out_channels * windows.size[0] * windows.size[1]
        return Inferred(shape, attributes, tuple(parameters), macs)

    @staticmethod
    def meaning(node: Node, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        attributes, (x,) = node.attributes, inputs
        groups, kernel = attributes["groups"], weights["weight"]
        windows = view(pad(x, attributes["padding"]), attributes)
        n, _, height, width = windows.shape[:4]
        out = np.empty((n, *node.shape), x.dtype)
        per_in = attributes["in_channels"] // groups
        per_out = attributes["out_channels"] // groups
        for i in range(n):
            for g in range(groups):
                outs = slice(g * per_out, (g + 1) * per_out)
                # im2col: one row for each output position, one column for each value of its window
                part = windows[i, g * per_in : (g + 1) * per_in].transpose(1, 2, 0, 3, 4)
                columns = part.reshape(height * width, -1)
                product = columns @ kernel[outs].reshape(per_out, -1).T
                out[i, outs] = product.T.reshape(per_out, height, width)
        return out + weights["bias"][:, None, None] if "bias" in weights else out

    @classmethod
    def cases(cls, draw: Draw) -> Case:
        groups, dilated = draw.integer(1, 3), boolean(draw)
        layer = {
            "op": cls.op,
            "out_channels": groups * draw.integer(1, 3),
            "kernel_size": integers(draw, 1, 4, 2),
            "stride": 1 if dilated else integers(draw, 1, 3, 2),
            "padding": padding(draw, 3),
            "dilation": integers(draw, 1, 3, 2) if dilated else 1,
            "groups": groups,
            "bias": boolean(draw),
        }
        return Case(groups * draw.integer(1, 3), [layer])
