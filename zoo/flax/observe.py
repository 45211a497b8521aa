"""Inspects modules, whether or not zoo built them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from zoo.backend.base import Array
from zoo.backend.outputs import mapped
from zoo.flax.parameters import dtype_of


def own_weights(model: nnx.Module) -> dict[str, Array]:
    """Copy every parameter and running statistic, with the model's own names and layouts."""
    return values_of(nnx.state(model, nnx.Any(nnx.Param, nnx.BatchStat)))


def named_modules(model: nnx.Module) -> dict[str, Any]:
    """Return every module or function of a model by its path; a shared one has several paths."""
    return dict(_modules(model, ""))


def observe(
    model: nnx.Module, x: Array, names: Iterable[str]
) -> tuple[Any, dict[str, list[Array]]]:
    """Run a copy of a model in evaluation mode, and record the outputs of its modules.

    Args:
        model: It is not changed.
        x: [N, C, H, W].
        names: Paths of attributes; unknown ones are ignored.

    Returns:
        The model's result, as NumPy arrays; and path -> the outputs of all calls, NHWC, for modules
        that ran.
    """
    copy = clone(model)
    copy.eval()
    calls: dict[str, list[Array]] = {}
    # Inner modules first: they cannot be reached once those around them are replaced.
    for name in sorted(names, key=lambda name: -name.count(".")):
        _record(copy, name, calls)
    result = mapped(copy(to_input(model, x)), np.asarray)
    return result, {name: values for name, values in calls.items() if values}


def clone(model: nnx.Module) -> nnx.Module:
    """Return a copy of a model with its own Variables."""
    return nnx.merge(*nnx.split(model), copy=True)


def to_input(model: nnx.Module, x: Array) -> jax.Array:
    """Copy x [N, C, H, W] to JAX as NHWC, in the model's dtype."""
    return jnp.asarray(x.transpose(0, 2, 3, 1), dtype_of(model))


class _Recorder:
    """Wraps a layer and records its outputs."""

    def __init__(self, layer: Any, values: list[Array]) -> None:
        self._layer, self._values = layer, values

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        result = self._layer(*inputs, **options)
        if isinstance(result, jax.Array):
            self._values.append(np.asarray(result))
        return result

    def __getattr__(self, name: str) -> Any:
        return getattr(self._layer, name)


def _record(model: nnx.Module, name: str, calls: dict[str, list[Array]]) -> None:
    *path, last = name.split(".")
    parent: Any = model
    for part in path:
        parent = _child(parent, part)
    layer = None if parent is None else _child(parent, last)
    if not callable(layer):
        return
    recorder = _Recorder(layer, calls.setdefault(name, []))
    if last.isdecimal():
        parent[int(last)] = recorder
    else:
        vars(parent)[last] = recorder


def _modules(parent: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    children = vars(parent) if isinstance(parent, nnx.Module) else dict(enumerate(parent))
    for name, child in children.items():
        if str(name).startswith("_") and not isinstance(child, nnx.Module):
            continue
        if isinstance(child, nnx.Module) or callable(child):
            yield f"{prefix}{name}", child
        if isinstance(child, nnx.Module | list | tuple):
            yield from _modules(child, f"{prefix}{name}.")


def _child(parent: Any, name: str) -> Any:
    if not name.isdecimal():
        return getattr(parent, "__dict__", {}).get(name)  # a method is no module
    try:
        return parent[int(name)]
    except (TypeError, IndexError, KeyError):
        return None


def values_of(state: Any) -> dict[str, Array]:
    """Return the values of a state by their paths."""
    flat = nnx.to_flat_state(state)
    return {".".join(map(str, path)): np.array(variable[...]) for path, variable in flat}
