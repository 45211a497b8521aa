"""What zoo takes of Flax and JAX that they do not promise; tests watch each."""

from __future__ import annotations

from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx


def content(part: nnx.Pytree) -> list[Any]:
    """Return the values of a part's attributes, but for Flax's own notes.

    ``nnx.jit`` writes those anew at each call.
    """
    return [value for name, value in vars(part).items() if not name.startswith("_pytree__")]


def raw(variable: nnx.Variable[Any]) -> Any:
    """Return a Variable's value without the checks and hooks of its access."""
    return variable.get_raw_value()


def set_raw(variable: nnx.Variable[Any], value: Any) -> None:
    """Give a Variable a value without the checks and hooks of its access."""
    variable.set_raw_value(value)


@cache
def compiler_options() -> dict[str, Any] | None:
    """Let XLA use its library of matrix products on a CPU, by which most networks gain a quarter.

    XLA does not use it by default yet, and not every jaxlib has it: None where it has not.
    """
    options = {"xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_DOT"}
    trial = np.zeros((8, 8), np.float32)
    try:
        jax.jit(jnp.dot, compiler_options=options)(trial, trial)
    except jax.errors.JaxRuntimeError:
        return None
    return options
