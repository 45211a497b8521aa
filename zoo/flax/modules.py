"""Layers that Flax lacks, or whose Flax version behaves differently.

Layers without weights or random numbers are plain functions with settings, because Flax traverses
every module at every nnx.jit call.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax

from zoo.ops.windows import adaptive

Pairs = tuple[tuple[int, int], tuple[int, int]]


class HalfBatchNorm(nnx.BatchNorm):
    """A batch norm whose running statistics have 16 bits, too.

    Flax computes the statistics of a batch in float32, and JAX warns if they are written into 16
    bits.
    """

    def __call__(
        self, x: jax.Array, use_running_average: bool | None = None, **options: Any
    ) -> jax.Array:
        if use_running_average is None:
            use_running_average = self.use_running_average
        if use_running_average:
            return super().__call__(x, True, **options)
        for variable in (self.mean, self.var):
            variable.set_value(variable[...].astype(jnp.float32))
        out = super().__call__(x, False, **options)
        for variable in (self.mean, self.var):
            variable.set_value(variable[...].astype(self.param_dtype))
        return out


def batch_norm(
    num_features: int, *, dtype: Any, param_dtype: Any, rngs: Any, **settings: Any
) -> nnx.BatchNorm:
    """Return Flax's batch norm, its statistics in the dtype of its parameters, not in float32."""
    kind = nnx.BatchNorm if dtype.itemsize >= 4 else HalfBatchNorm
    layer = kind(num_features, dtype=dtype, param_dtype=param_dtype, rngs=rngs, **settings)
    for statistics in (layer.mean, layer.var):
        statistics.set_value(statistics[...].astype(param_dtype))
    return layer


@dataclass(frozen=True)
class Activation:
    """A function of each value, or of the channels, by its name: JAX's own cannot be pickled."""

    name: str

    def __call__(self, x: jax.Array) -> jax.Array:
        result: jax.Array = _FUNCTIONS[self.name](x)
        return result


def gelu(x: jax.Array) -> jax.Array:
    """GELU by the error function; that of JAX rounds differently far below 0."""
    return x * (1 + lax.erf(x / np.sqrt(2).astype(x.dtype))) / 2


_FUNCTIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "relu": nnx.relu,
    "relu6": nnx.relu6,
    "sigmoid": nnx.sigmoid,
    "tanh": nnx.tanh,
    "hard_sigmoid": nnx.hard_sigmoid,
    "hard_swish": nnx.hard_swish,
    "silu": nnx.silu,
    "gelu": gelu,
    "softmax": nnx.softmax,
}


@dataclass(frozen=True)
class LRN:
    """Local response normalization across channels, alpha divided by the size."""

    size: int
    alpha: float
    beta: float
    k: float

    def __call__(self, x: jax.Array) -> jax.Array:
        half, channels = self.size // 2, x.shape[-1]
        squares = jnp.pad(x * x, ((0, 0), (0, 0), (0, 0), (half, half)))
        # XLA fuses shifted slices to one loop: faster on a CPU than a window over channels.
        total = sum(squares[..., i : i + channels] for i in range(self.size))
        base = self.k + self.alpha / self.size * total
        if self.beta == 0.75:  # usual in papers, and two roots take a fifth of the time of a power
            root = jnp.sqrt(base)
            return x / (root * jnp.sqrt(root))
        return x / base**self.beta


@dataclass(frozen=True)
class MaxPool:
    """The largest value of each window; padding is ignored."""

    kernel_size: tuple[int, int]
    stride: tuple[int, int]
    padding: Pairs

    def __call__(self, x: jax.Array) -> jax.Array:
        # One axis at a time: on a CPU this takes a fifth of the time of a two-dimensional window.
        height, width = self.kernel_size
        down, right = self.stride
        rows, columns = self.padding
        x = nnx.max_pool(x, (height, 1), (down, 1), (rows, (0, 0)))
        return nnx.max_pool(x, (1, width), (1, right), ((0, 0), columns))


@dataclass(frozen=True)
class AvgPool:
    """The mean of each window over the values that count.

    Attributes:
        counted: The part of the padding that counts; None for all of it.
    """

    kernel_size: tuple[int, int]
    stride: tuple[int, int]
    padding: Pairs
    counted: Pairs | None

    def __call__(self, x: jax.Array) -> jax.Array:
        total = self._sum(x, self.padding)
        if self.counted is None:
            return total / (self.kernel_size[0] * self.kernel_size[1])
        rows, columns = self.counted
        ones = jnp.ones_like(x[:1, ..., :1])
        ones = jnp.pad(ones, ((0, 0), rows, columns, (0, 0)), constant_values=1)
        (top, bottom), (left, right) = self.padding
        beyond = (top - rows[0], bottom - rows[1]), (left - columns[0], right - columns[1])
        return total / self._sum(ones, beyond)

    def _sum(self, x: jax.Array, padding: Pairs) -> jax.Array:
        total: jax.Array = nnx.pool(x, 0.0, lax.add, self.kernel_size, self.stride, padding)
        return total


@dataclass(frozen=True)
class GlobalAvgPool:
    """The mean of each channel, as a map of one pixel."""

    def __call__(self, x: jax.Array) -> jax.Array:
        return x.mean((1, 2), keepdims=True)


@dataclass(frozen=True)
class AdaptiveAvgPool:
    """The mean of each of a given number of windows, which together cover the map."""

    output_size: tuple[int, int]

    def __call__(self, x: jax.Array) -> jax.Array:
        for axis, count in enumerate(self.output_size, 1):
            windows = adaptive(x.shape[axis], count)
            means = [lax.slice_in_dim(x, a, b, axis=axis).mean(axis) for a, b in windows]
            x = jnp.stack(means, axis)
        return x


@dataclass(frozen=True)
class Scale:
    """Multiplies by a constant."""

    factor: float

    def __call__(self, x: jax.Array) -> jax.Array:
        return x * self.factor


@dataclass(frozen=True)
class Flatten:
    """A map as a vector in HWC order, which is also the order of the next layer's weights."""

    def __call__(self, x: jax.Array) -> jax.Array:
        return x.reshape(x.shape[0], -1)  # not len(x), which a symbolic batch does not have


@dataclass(frozen=True)
class Concat:
    """Concatenates along the channel axis."""

    def __call__(self, *inputs: jax.Array) -> jax.Array:
        return jnp.concatenate(inputs, -1)


@dataclass(frozen=True)
class Add:
    """Adds its inputs."""

    def __call__(self, first: jax.Array, *rest: jax.Array) -> jax.Array:
        total = first
        for value in rest:
            total = total + value
        return total


@dataclass(frozen=True)
class Multiply:
    """Multiplies its inputs."""

    def __call__(self, first: jax.Array, *rest: jax.Array) -> jax.Array:
        product = first
        for value in rest:
            product = product * value
        return product


class Affine(nnx.Module):
    """A weight and a bias for each channel."""

    def __init__(
        self, num_features: int, shift: bool, scale_init: float, *, param_dtype: Any
    ) -> None:
        # NumPy arrays: JAX would compile a function for each width.
        self.weight = nnx.Param(np.full(num_features, scale_init, param_dtype))
        self.bias = nnx.Param(np.zeros(num_features, param_dtype)) if shift else None

    def __call__(self, x: jax.Array) -> jax.Array:
        out = x * self.weight[...]
        return out if self.bias is None else out + self.bias[...]


@dataclass(frozen=True)
class Slice:
    """Selects a range of channels."""

    start: int
    stop: int

    def __call__(self, x: jax.Array) -> jax.Array:
        return x[..., self.start : self.stop]


@dataclass(frozen=True)
class Select:
    """Selects channels by index."""

    channels: tuple[int, ...]

    def __call__(self, x: jax.Array) -> jax.Array:
        return x[..., np.array(self.channels)]


@dataclass(frozen=True)
class ChannelShuffle:
    """Takes the first channel of each group, then the second of each, and so on."""

    groups: int

    def __call__(self, x: jax.Array) -> jax.Array:
        batch, height, width, channels = x.shape
        split = x.reshape(batch, height, width, self.groups, channels // self.groups)
        return split.swapaxes(3, 4).reshape(x.shape)


@dataclass(frozen=True)
class Pad:
    """Adds zeros around a map; a negative number removes pixels."""

    padding: tuple[int, int, int, int]

    def __call__(self, x: jax.Array) -> jax.Array:
        top, bottom, left, right = self.padding
        widths = ((0, 0, 0), (top, bottom, 0), (left, right, 0), (0, 0, 0))
        return jax.lax.pad(x, jnp.zeros((), x.dtype), widths)


@dataclass(frozen=True)
class PadChannels:
    """Adds channels of zeros before and after."""

    padding: tuple[int, int]

    def __call__(self, x: jax.Array) -> jax.Array:
        return jnp.pad(x, ((0, 0), (0, 0), (0, 0), self.padding))
