"""Private parts of Flax and JAX that zoo relies on; a test checks each of them."""

from __future__ import annotations

from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx


def content(module: nnx.Pytree) -> list[Any]:
    """Return the values of a module's attributes, without Flax's own bookkeeping.

    ``nnx.jit`` rewrites that at each call.
    """
    return [value for name, value in vars(module).items() if not name.startswith("_pytree__")]


def raw(variable: nnx.Variable[Any]) -> Any:
    """Return a Variable's value without the checks and hooks of its access."""
    return variable.get_raw_value()


def set_raw(variable: nnx.Variable[Any], value: Any) -> None:
    """Give a Variable a value without the checks and hooks of its access."""
    variable.set_raw_value(value)


@cache
def compiler_options() -> dict[str, Any] | None:
    """Return options that make XLA use its library of matrix products on a CPU.

    In float32 most networks become a quarter faster, in float64 slower. XLA does not use the
    library by default yet. Not every jaxlib has it; without it the result is None.
    """
    options = {"xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_DOT"}
    trial = np.zeros((8, 8), np.float32)
    try:
        jax.jit(jnp.dot, compiler_options=options)(trial, trial)
    except jax.errors.JaxRuntimeError:
        return None
    return options
