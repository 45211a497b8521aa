"""Grouped convolutions whose gradient is computed fast on a CPU.

There XLA computes the gradient of a grouped convolution with plain loops, which takes 3 to 50 times
as long as the convolution's forward pass would suggest. Here it is a sum over the places of the
kernel, of matrix products for each group. The values differ by rounding alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax


def convolution(
    x: jax.Array,
    kernel: jax.Array,
    strides: Sequence[int],
    padding: Any,
    *,
    rhs_dilation: Sequence[int],
    feature_group_count: int,
    **options: Any,
) -> jax.Array:
    """Compute what ``jax.lax.conv_general_dilated`` does, with another gradient; for ``nnx.Conv``.

    Args:
        x: [N, H, W, C].
        kernel: [H, W, C / groups, outputs].
        strides: Vertical and horizontal.
        padding: As ``jax.lax.conv_general_dilated`` takes it.
        rhs_dilation: The dilation of the kernel, vertical and horizontal.
        feature_group_count: The number of groups.
        **options: Other arguments of ``jax.lax.conv_general_dilated``.

    Returns:
        [N, H, W, outputs].
    """

    def native(x: jax.Array, kernel: jax.Array) -> jax.Array:
        return lax.conv_general_dilated(
            x,
            kernel,
            strides,
            padding,
            rhs_dilation=rhs_dilation,
            feature_group_count=feature_group_count,
            **options,
        )

    def summed(x: jax.Array, kernel: jax.Array) -> jax.Array:
        return _summed(x, kernel, strides, padding, rhs_dilation, feature_group_count)

    @jax.custom_vjp
    def compute(x: jax.Array, kernel: jax.Array) -> jax.Array:
        return native(x, kernel)

    def forward(x: jax.Array, kernel: jax.Array) -> tuple[jax.Array, Any]:
        return native(x, kernel), (x, kernel)

    def backward(read: Any, gradient: jax.Array) -> Any:
        return jax.vjp(summed, *read)[1](gradient)

    compute.defvjp(forward, backward)
    result: jax.Array = compute(x, kernel)
    return result


def _summed(
    x: jax.Array,
    kernel: jax.Array,
    strides: Sequence[int],
    padding: Any,
    dilation: Sequence[int],
    groups: int,
) -> jax.Array:
    """Compute a grouped convolution as a sum over the places of its kernel."""
    window = tuple((n - 1) * d + 1 for n, d in zip(kernel.shape[:2], dilation, strict=True))
    if isinstance(padding, str):
        padding = lax.padtype_to_pads(x.shape[1:3], window, strides, padding)
    x = lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), *((*p, 0) for p in padding), (0, 0, 0)])
    batch, *size, channels = x.shape
    height, width = ((n - w) // s + 1 for n, w, s in zip(size, window, strides, strict=True))
    inputs, outputs = channels // groups, kernel.shape[-1] // groups
    total: Any = 0
    for i in range(kernel.shape[0]):
        for j in range(kernel.shape[1]):
            top, left = i * dilation[0], j * dilation[1]
            end = top + (height - 1) * strides[0] + 1, left + (width - 1) * strides[1] + 1
            part = lax.slice(x, (0, top, left, 0), (batch, *end, channels), (1, *strides, 1))
            if inputs == outputs == 1:
                total = total + part * kernel[i, j, 0]
                continue
            total = total + jnp.einsum(
                "nhwgi,igo->nhwgo",
                part.reshape(batch, height, width, groups, inputs),
                kernel[i, j].reshape(inputs, groups, outputs),
            )
    result: jax.Array = total.reshape(batch, height, width, groups * outputs)
    return result
