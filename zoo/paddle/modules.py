"""Layers that Paddle lacks, or whose Paddle version behaves differently.

Paddle's kernels hold eps, momentum, exponents, rates and, in gradients, the divisors of averages in
float32, whatever dtype they compute in. In float64 the layers here that need such a number use
plain operations instead, which are exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import paddle
from paddle import nn
from paddle.nn import functional as F

from zoo.ops.windows import adaptive


class BatchNorm(nn.BatchNorm2D):
    """Batch norm of maps or vectors, exact in float64."""

    def forward(self, input: paddle.Tensor) -> paddle.Tensor:
        if input.ndim not in (2, 4):
            raise ValueError(f"expected a batch of maps or vectors, got {input.ndim} dimensions")
        if input.dtype == paddle.float64:
            return self._forward_float64(input)
        # The same call as in the native forward, which warns in training at every call.
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

    def _forward_float64(self, x: paddle.Tensor) -> paddle.Tensor:
        shape = [1, -1, *(1 for _ in x.shape[2:])]
        mean, variance = self._mean, self._variance
        if self.training and not self._use_global_stats:
            axes = [0, *range(2, x.ndim)]
            mean = x.mean(axes)
            variance = (x - mean.reshape(shape)).square().mean(axes)
            with paddle.no_grad():
                momentum = constant(self._momentum, x)
                for running, batch in ((self._mean, mean), (self._variance, variance)):
                    paddle.assign(momentum * running + (1 - momentum) * batch, running)
        scale = (variance + constant(self._epsilon, x)).rsqrt()
        if self.weight is not None:
            scale = scale * self.weight
        out = (x - mean.reshape(shape)) * scale.reshape(shape)
        return out if self.bias is None else out + self.bias.reshape(shape)


class LocalResponseNorm(nn.LocalResponseNorm):
    """Local response normalization, exact in float64 and faster than the native forward."""

    def forward(self, input: paddle.Tensor) -> paddle.Tensor:
        half, shape = self.size // 2, [-1, *input.shape[1:]]
        rows = input.square().flatten(2).unsqueeze(1)  # one map whose rows are the channels
        mean = _means(rows, (self.size, 1), (1, 1), (half, half, 0, 0))
        base = mean.reshape(shape) * constant(self.alpha, input) + constant(self.k, input)
        if self.beta == 0.75:  # square roots are several times faster than a power
            root = base.sqrt()
            return input / (root * root.sqrt())
        return input / base.pow(constant(self.beta, input))


class Dropout(nn.Dropout):
    """Dropout, exact in float64."""

    def forward(self, input: paddle.Tensor) -> paddle.Tensor:
        if not self.training or input.dtype != paddle.float64:
            return super().forward(input)
        # In training this mode drops values without scaling the rest.
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

    def forward(self, input: paddle.Tensor) -> paddle.Tensor:
        if input.dtype != paddle.float64:
            return super().forward(input)
        for axis, count in enumerate(self._output_size, 2):
            windows = adaptive(input.shape[axis], count)
            means = [input.slice([axis], [a], [b]).mean(axis) for a, b in windows]
            input = paddle.stack(means, axis)
        return input


class PaddedAvgPool2D(nn.AvgPool2D):
    """An average pool with any padding: the mean of the values that count.

    Args:
        kernel_size: Height and width.
        stride: Down and right.
        padding: Top, bottom, left, right.
        counted: The part of the padding that counts; None for all of it.
    """

    def __init__(
        self,
        kernel_size: tuple[int, int],
        stride: tuple[int, int],
        padding: tuple[int, int, int, int],
        counted: tuple[int, int, int, int] | None,
    ) -> None:
        sizes = [[n, n] if isinstance(n, int) else n for n in (kernel_size, stride)]
        super().__init__(*sizes)
        self.edges, self.counted = padding, counted

    def forward(self, input: paddle.Tensor) -> paddle.Tensor:
        mean = _means(input, self.ksize, self.stride, self.edges)
        if self.counted is None:
            return mean
        top, bottom, left, right = self.counted
        ones = paddle.ones_like(input[:1, :1])
        ones = nn.functional.pad(ones, [left, right, top, bottom], value=1.0)
        # jit.save has no strict zip.
        beyond = [self.edges[i] - self.counted[i] for i in range(4)]
        return mean / _means(ones, self.ksize, self.stride, beyond)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, edges={self.edges}, counted={self.counted}"


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
    """Concatenates along the channel axis."""

    def forward(self, *inputs: paddle.Tensor) -> paddle.Tensor:
        return paddle.concat(inputs, 1)


class Add(nn.Layer):
    """Adds its inputs."""

    def forward(self, first: paddle.Tensor, *rest: paddle.Tensor) -> paddle.Tensor:
        total = first
        for value in rest:
            total = total + value
        return total


class Multiply(nn.Layer):
    """Multiplies its inputs."""

    def forward(self, first: paddle.Tensor, *rest: paddle.Tensor) -> paddle.Tensor:
        product = first
        for value in rest:
            product = product * value
        return product


class HardSigmoid(nn.Layer):
    """relu6(x + 3) / 6; Paddle's own rounds the slope to float32, and is not exactly 1 / 6."""

    def forward(self, input: paddle.Tensor) -> paddle.Tensor:
        # Not / 6, which a compiled function turns into * float32(1 / 6).
        return F.relu6(input + 3) / constant(6, input)


class LayerNorm(nn.LayerNorm):
    """Layer norm of a vector's features, or of the channels at each position of a map."""

    def forward(self, input: paddle.Tensor) -> paddle.Tensor:
        last = input if input.ndim == 2 else input.transpose([0, 2, 3, 1])
        forward = self._forward_float64 if input.dtype == paddle.float64 else super().forward
        out = forward(last)
        return out if input.ndim == 2 else out.transpose([0, 3, 1, 2])

    def _forward_float64(self, x: paddle.Tensor) -> paddle.Tensor:
        mean = x.mean(-1, keepdim=True)
        variance = (x - mean).square().mean(-1, keepdim=True)
        out = (x - mean) * (variance + constant(self._epsilon, x)).rsqrt()
        out = out if self.weight is None else out * self.weight
        return out if self.bias is None else out + self.bias


class Affine(nn.Layer):
    """A weight and a bias for each channel."""

    def __init__(
        self,
        num_features: int,
        scale_init: float,
        weight_attr: paddle.ParamAttr | None = None,
        bias_attr: paddle.ParamAttr | bool | None = None,
    ) -> None:
        super().__init__()
        start = nn.initializer.Constant(scale_init)
        shape = [num_features]
        self.weight = self.create_parameter(
            shape,
            weight_attr,
            default_initializer=start,
        )
        self.bias = None
        if bias_attr is not False:
            self.bias = self.create_parameter(shape, bias_attr, is_bias=True)

    def forward(self, input: paddle.Tensor) -> paddle.Tensor:
        shape = [1, -1, *(1 for _ in input.shape[2:])]
        out = input * self.weight.reshape(shape)
        return out if self.bias is None else out + self.bias.reshape(shape)


class StochasticDepth(nn.Layer):
    """Drops whole examples in training, and scales the rest."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, input: paddle.Tensor) -> paddle.Tensor:
        if not self.training or not self.rate:
            return input
        keep_rate = constant(1 - self.rate, input)
        shape = [input.shape[0], *(1 for _ in input.shape[1:])]
        return input * paddle.bernoulli(keep_rate.expand(shape)) / keep_rate

    def extra_repr(self) -> str:
        return f"{self.rate}"


class Slice(nn.Layer):
    """Selects a range of channels."""

    def __init__(self, start: int, stop: int) -> None:
        super().__init__()
        self.start, self.stop = start, stop

    def forward(self, input: paddle.Tensor) -> paddle.Tensor:
        return input[:, self.start : self.stop]

    def extra_repr(self) -> str:
        return f"{self.start}, {self.stop}"


class Select(nn.Layer):
    """Selects channels by index."""

    def __init__(self, channels: tuple[int, ...]) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, input: paddle.Tensor) -> paddle.Tensor:
        # Not a buffer, which would become a float if the model is cast.
        index = paddle.to_tensor(self.channels, "int64")
        return paddle.index_select(input, index, axis=1)

    def extra_repr(self) -> str:
        return f"{list(self.channels)}"


class ChannelShuffle(nn.Layer):
    """Takes the first channel of each group, then the second of each, and so on."""

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, input: paddle.Tensor) -> paddle.Tensor:
        _, channels, height, width = input.shape
        split = input.reshape([-1, self.groups, channels // self.groups, height, width])
        return split.transpose([0, 2, 1, 3, 4]).reshape([-1, channels, height, width])

    def extra_repr(self) -> str:
        return f"{self.groups}"


class Pad(nn.Layer):
    """Adds zeros around a map; a negative number removes pixels."""

    def __init__(self, padding: tuple[int, int, int, int]) -> None:
        super().__init__()
        self.padding = padding

    def forward(self, input: paddle.Tensor) -> paddle.Tensor:
        top, bottom, left, right = self.padding
        return F.pad(input, [left, right, top, bottom])

    def extra_repr(self) -> str:
        return f"{self.padding}"


class PadChannels(nn.Layer):
    """Adds channels of zeros before and after."""

    def __init__(self, padding: tuple[int, int]) -> None:
        super().__init__()
        self.padding = padding

    def forward(self, input: paddle.Tensor) -> paddle.Tensor:
        return F.pad(input, [0, 0, *self.padding, 0, 0, 0, 0])

    def extra_repr(self) -> str:
        return f"{self.padding}"


def _means(
    x: paddle.Tensor,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
) -> paddle.Tensor:
    """Return the mean of each window with its padding: top, bottom, left, right."""
    top, bottom, left, right = padding
    if x.dtype != paddle.float64:
        if (top, left) == (bottom, right):
            return F.avg_pool2d(x, kernel, stride, (top, left), exclusive=False)
        return F.avg_pool2d(F.pad(x, [left, right, top, bottom]), kernel, stride)
    # The native gradient divides by a float32, so the values of a window are added.
    x = F.pad(x, [left, right, top, bottom])
    height, width = [(x.shape[2 + i] - kernel[i]) // stride[i] for i in (0, 1)]
    total = None
    for row, column in product(range(kernel[0]), range(kernel[1])):
        ends = [row + height * stride[0] + 1, column + width * stride[1] + 1]
        part = paddle.strided_slice(x, [2, 3], [row, column], ends, list(stride))
        total = part if total is None else total + part
    return total / constant(kernel[0] * kernel[1], x)


def constant(value: float, tensor: paddle.Tensor) -> paddle.Tensor:
    """Return a number in a tensor's dtype; compiled functions round it otherwise."""
    return paddle.full([], value, tensor.dtype)
