"""Private parts of Flax and JAX that zoo relies on; a test checks each of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx


def content(part: Any) -> list[Any]:
    """Return the values of a module's attributes, or of a container.

    They are without Flax's own bookkeeping, which ``nnx.jit`` rewrites at each call.
    """
    if isinstance(part, list | tuple):
        return list(part)
    named = part if isinstance(part, dict) else vars(part)
    return [value for name, value in named.items() if not str(name).startswith("_pytree__")]


def raw(variable: nnx.Variable[Any]) -> Any:
    """Return a Variable's value without the checks and hooks of its access."""
    return variable.get_raw_value()


def set_raw(variable: nnx.Variable[Any], value: Any) -> None:
    """Give a Variable a value without the checks and hooks of its access."""
    variable.set_raw_value(value)


class Piece(NamedTuple):
    """A transformation of Optax that does not consist of others.

    Attributes:
        name: The function that makes it, such as ``scale_by_adam``; with its module, if that is not
            one of Optax.
        settings: The arguments and other values that it computes with, by name.
        state: What it keeps.
    """

    name: str
    settings: Mapping[str, Any]
    state: Any


def pieces(update: Callable[..., Any], state: Any) -> Iterator[Piece]:
    """Yield what a transformation of Optax consists of, in the order in which it is applied.

    Different transformations can have states of the same class. But their functions are defined
    within functions of different names, and have the parts as variables.

    Args:
        update: The function of the transformation.
        state: Its state in an optimizer of Flax.
    """
    maker, _, _ = getattr(update, "__qualname__", type(update).__name__).partition(".<locals>")
    module = getattr(update, "__module__", "")
    own = inspect.getclosurevars(update).nonlocals if inspect.isfunction(update) else {}
    match maker if module.partition(".")[0] == "optax" else f"{module}.{maker}":
        case "chain":
            for each, part in zip(own["update_fns"], state, strict=True):
                yield from pieces(each, part)
        case "named_chain":
            for name, each in own["transforms"]:
                yield from pieces(each.update, state[name])
        case "with_extra_args_support":
            yield from pieces(own["tx"].update, state)
        case "masked":
            yield from pieces(own["inner"].update, state.inner_state)
        case "inject_hyperparams" | "inject_stateful_hyperparams":
            numbers = {name: value[...] for name, value in state.hyperparams.items()}
            inner = own["inner_factory"](**own["other_hps"], **numbers)
            yield from pieces(inner.update, state.inner_state)
        case name:
            yield Piece(name, own, state)


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
