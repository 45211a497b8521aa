"""One function an operation: a node as a Flax layer.

With ``rngs`` its parameters are drawn by Flax's own initialisers. Without, they are to be filled:
then nothing is drawn or compiled, and dropout is to be given its stream. What holds neither weights
nor random numbers is a plain function with settings: Flax walks every module at every nnx.jit call.
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

from zoo.network import Node

Layer = Callable[..., Any]
Pairs = tuple[tuple[int, int], tuple[int, int]]


def conv(node: Node, dtype: Any, rngs: nnx.Rngs | None) -> nnx.Module:
    at = node.attributes
    return nnx.Conv(
        at["in_channels"],
        at["out_channels"],
        at["kernel_size"],  # a tuple: one number would be a one-dimensional convolution
        at["stride"],
        padding=_pairs(at["padding"]),
        kernel_dilation=at["dilation"],
        feature_group_count=at["groups"],
        use_bias=at["bias"],
        dtype=dtype,
        param_dtype=dtype,
        **_initial(rngs),
    )


def linear(node: Node, dtype: Any, rngs: nnx.Rngs | None) -> nnx.Module:
    at = node.attributes
    return nnx.Linear(
        at["in_features"],
        at["out_features"],
        use_bias=at["bias"],
        dtype=dtype,
        param_dtype=dtype,
        **_initial(rngs),
    )


def batch_norm(node: Node, dtype: Any, rngs: nnx.Rngs | None) -> nnx.Module:
    if rngs is None:  # shapes only: Flax would compile something for each width
        layer: nnx.BatchNorm = nnx.eval_shape(lambda: _batch_norm(node, dtype, Keyless()))
        return layer
    return _batch_norm(node, dtype, rngs)


def _batch_norm(node: Node, dtype: Any, rngs: Any) -> nnx.BatchNorm:
    at = node.attributes
    layer = (nnx.BatchNorm if dtype.itemsize >= 4 else HalfBatchNorm)(
        at["num_features"],
        momentum=1 - at["momentum"],  # in Flax the weight of the old value
        epsilon=at["eps"],
        use_scale=at["scale"],
        use_bias=at["shift"],
        use_fast_variance=False,  # E[x^2] - E[x]^2 cancels
        dtype=dtype,
        param_dtype=dtype,
        rngs=rngs,
    )
    # Flax makes the statistics float32 whatever param_dtype says.
    layer.mean.set_value(layer.mean[...].astype(dtype))
    layer.var.set_value(layer.var[...].astype(dtype))
    return layer


def lrn(node: Node, dtype: Any, rngs: nnx.Rngs | None) -> Layer:
    at = node.attributes
    return LRN(at["size"], at["alpha"], at["beta"], at["k"])


def relu(node: Node, dtype: Any, rngs: nnx.Rngs | None) -> Layer:
    return ReLU()


def dropout(node: Node, dtype: Any, rngs: nnx.Rngs | None) -> nnx.Module:
    return nnx.Dropout(node.attributes["rate"], rngs=rngs)


def max_pool(node: Node, dtype: Any, rngs: nnx.Rngs | None) -> Layer:
    at = node.attributes
    return MaxPool(at["kernel_size"], at["stride"], _pairs(at["padding"]))


def avg_pool(node: Node, dtype: Any, rngs: nnx.Rngs | None) -> Layer:
    at = node.attributes
    return AvgPool(at["kernel_size"], at["stride"], _pairs(at["padding"]), at["counts"])


def global_avg_pool(node: Node, dtype: Any, rngs: nnx.Rngs | None) -> Layer:
    return GlobalAvgPool()


def adaptive_avg_pool(node: Node, dtype: Any, rngs: nnx.Rngs | None) -> Layer:
    return AdaptiveAvgPool(node.attributes["windows"])


def scale(node: Node, dtype: Any, rngs: nnx.Rngs | None) -> Layer:
    return Scale(node.attributes["factor"])


def flatten(node: Node, dtype: Any, rngs: nnx.Rngs | None) -> Layer:
    return Flatten()


def concat(node: Node, dtype: Any, rngs: nnx.Rngs | None) -> Layer:
    return Concat()


def add(node: Node, dtype: Any, rngs: nnx.Rngs | None) -> Layer:
    return Add()


#: op name -> function
LAYERS: dict[str, Callable[[Node, Any, nnx.Rngs | None], Layer]] = {
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


class Keyless:
    """Stands for ``nnx.Rngs`` where no initialiser uses its key."""

    def params(self) -> None:
        return None


class HalfBatchNorm(nnx.BatchNorm):
    """A batch norm whose running statistics are of 16 bits too.

    Flax takes a batch's statistics in float32, which JAX warns of writing into fewer bits.
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


@dataclass(frozen=True)
class ReLU:
    """max(x, 0)."""

    def __call__(self, x: jax.Array) -> jax.Array:
        return nnx.relu(x)


@dataclass(frozen=True)
class LRN:
    """Local response normalisation across channels, alpha divided by the size."""

    size: int
    alpha: float
    beta: float
    k: float

    def __call__(self, x: jax.Array) -> jax.Array:
        half, channels = self.size // 2, x.shape[-1]
        squares = jnp.pad(x * x, ((0, 0), (0, 0), (0, 0), (half, half)))
        # Shifted slices: XLA makes one loop of them, faster on a CPU than a window over channels.
        total = sum(squares[..., i : i + channels] for i in range(self.size))
        base = self.k + self.alpha / self.size * total
        if self.beta == 0.75:  # what papers use, and two roots cost a fifth of a power
            root = jnp.sqrt(base)
            return x / (root * jnp.sqrt(root))
        return x / base**self.beta


@dataclass(frozen=True)
class MaxPool:
    """The largest value of each window; padding never wins."""

    kernel_size: tuple[int, int]
    stride: tuple[int, int]
    padding: Pairs

    def __call__(self, x: jax.Array) -> jax.Array:
        return nnx.max_pool(x, self.kernel_size, self.stride, self.padding)


@dataclass(frozen=True)
class AvgPool:
    """The mean of each window, divided by a count of its own where counts are given."""

    kernel_size: tuple[int, int]
    stride: tuple[int, int]
    padding: Pairs
    counts: tuple[tuple[int, ...], tuple[int, ...]] | None

    def __call__(self, x: jax.Array) -> jax.Array:
        total = nnx.pool(x, 0.0, lax.add, self.kernel_size, self.stride, self.padding)
        if self.counts is None:
            return total / (self.kernel_size[0] * self.kernel_size[1])
        return total / jnp.asarray(np.outer(*self.counts)[:, :, None], x.dtype)


@dataclass(frozen=True)
class GlobalAvgPool:
    """The mean of each channel, as a map of one pixel."""

    def __call__(self, x: jax.Array) -> jax.Array:
        return x.mean((1, 2), keepdims=True)


@dataclass(frozen=True)
class AdaptiveAvgPool:
    """The mean of each of a given number of windows, which together cover the map."""

    windows: tuple[tuple[tuple[int, int], ...], ...]

    def __call__(self, x: jax.Array) -> jax.Array:
        for axis, windows in enumerate(self.windows, 1):
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
    """A map as a vector, in HWC order; the weights of what reads it are laid out for that."""

    def __call__(self, x: jax.Array) -> jax.Array:
        return x.reshape(len(x), -1)


@dataclass(frozen=True)
class Concat:
    """Joins maps by channel."""

    def __call__(self, *inputs: jax.Array) -> jax.Array:
        return jnp.concatenate(inputs, -1)


@dataclass(frozen=True)
class Add:
    """Adds its inputs."""

    def __call__(self, first: jax.Array, *others: jax.Array) -> jax.Array:
        for other in others:
            first = first + other
        return first


def _pairs(padding: tuple[int, int, int, int]) -> Pairs:
    top, bottom, left, right = padding
    return (top, bottom), (left, right)


def _initial(rngs: nnx.Rngs | None) -> dict[str, Any]:
    if rngs is None:
        return {"rngs": Keyless(), "kernel_init": _unfilled, "bias_init": _unfilled}
    return {"rngs": rngs}


def _unfilled(key: None, shape: tuple[int, ...], dtype: Any, *_: Any) -> Any:
    """Stand for values to come: JAX would compile something for each shape."""
    return np.broadcast_to(np.zeros((), dtype), shape)
