"""Looks into modules that zoo did not build."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from zoo.backend.outputs import mapped

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]

#: How Flax's own layers hold what they have, in the words of a source of weights.
CONVENTION: dict[str, Any] = {
    "layouts": {"conv": "HWIO", "linear": "IO", "flatten": "HWC"},
    "parameters": {
        "conv": {"weight": ["kernel"]},
        "linear": {"weight": ["kernel"]},
        "layer_norm": {"weight": ["scale"]},
        "batch_norm": {"weight": ["scale"], "running_mean": ["mean"], "running_var": ["var"]},
    },
}


def own_weights(model: nnx.Module) -> dict[str, Array]:
    """Copy every parameter and running statistic, under the model's own names and as it lies."""
    return _named(nnx.state(model, nnx.Any(nnx.Param, nnx.BatchStat)))


def named_modules(model: nnx.Module) -> dict[str, Any]:
    """Path -> module or function, of every one within a model; one of two names is under both."""
    return dict(_modules(model, ""))


def observe(
    model: nnx.Module, x: Array, names: Iterable[str]
) -> tuple[Any, dict[str, list[Array]]]:
    """Run a copy of a model in evaluation mode, and note what its modules give.

    Args:
        model: It is left as it was.
        x: [N, C, H, W].
        names: Paths of attributes; those there are none of are passed over.

    Returns:
        What the model returns, its arrays as NumPy's; and path -> the values of all calls,
        NHWC, for modules that ran.
    """
    copy = _copy(model)
    copy.eval()
    found: dict[str, list[Array]] = {}
    # What is within others first: it has its place no more once they have been replaced.
    for name in sorted(names, key=lambda name: -name.count(".")):
        _note(copy, name, found)
    result = mapped(copy(_input(model, x)), np.asarray)
    return result, {name: values for name, values in found.items() if values}


def differentiate(
    model: nnx.Module, x: Array, loss: Callable[[Any], Any], dropouts: Iterable[str]
) -> tuple[float, dict[str, Array], Array, dict[str, Array]]:
    """Differentiate a loss in training mode, with dropouts that drop nothing.

    Args:
        model: It is left as it was.
        x: [N, C, H, W].
        loss: Of what the model returns.
        dropouts: Paths of modules that are to drop nothing.

    Returns:
        The loss; own name -> gradient, as the parameter lies; the input's, NCHW; and own name ->
        what parameters and running statistics then are.
    """
    training = _copy(model)
    training.train()
    known = named_modules(training)
    for name in dropouts:
        known[name].deterministic = True
    graphdef, weights, rest = nnx.split(training, nnx.Param, ...)

    def compute(weights: Any, x: jax.Array) -> Any:
        moving = nnx.merge(graphdef, weights, rest, copy=True)
        return loss(moving(x)), nnx.state(moving, nnx.BatchStat)

    graded = jax.value_and_grad(compute, (0, 1), has_aux=True)
    (value, moved), (found, on_input) = graded(weights, _input(model, x))
    after = {**_named(weights), **_named(moved)}
    return float(value), _named(found), np.asarray(on_input).transpose(0, 3, 1, 2), after


def _copy(model: nnx.Module) -> nnx.Module:
    return nnx.merge(*nnx.split(model), copy=True)


def _input(model: nnx.Module, x: Array) -> jax.Array:
    leaves = jax.tree.leaves(nnx.state(model, nnx.Param))
    return jnp.asarray(x.transpose(0, 2, 3, 1), leaves[0].dtype if leaves else x.dtype)


class _Noting:
    """A layer that notes what it gives, and is otherwise as it is."""

    def __init__(self, layer: Any, values: list[Array]) -> None:
        self._layer, self._values = layer, values

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        result = self._layer(*inputs, **options)
        if isinstance(result, jax.Array):
            self._values.append(np.asarray(result))
        return result

    def __getattr__(self, name: str) -> Any:
        return getattr(self._layer, name)


def _note(model: nnx.Module, name: str, found: dict[str, list[Array]]) -> None:
    *path, last = name.split(".")
    parent: Any = model
    for part in path:
        parent = _child(parent, part)
    layer = None if parent is None else _child(parent, last)
    if not callable(layer):
        return

    noting = _Noting(layer, found.setdefault(name, []))
    if last.isdecimal():
        parent[int(last)] = noting
    else:
        vars(parent)[last] = noting


def _modules(parent: Any, before: str) -> Iterator[tuple[str, Any]]:
    held = vars(parent) if isinstance(parent, nnx.Module) else dict(enumerate(parent))
    for name, child in held.items():
        if str(name).startswith("_"):
            continue
        if isinstance(child, nnx.Module) or callable(child):
            yield f"{before}{name}", child
        if isinstance(child, nnx.Module | list | tuple):
            yield from _modules(child, f"{before}{name}.")


def _child(parent: Any, name: str) -> Any:
    if not name.isdecimal():
        return getattr(parent, name, None)
    try:
        return parent[int(name)]
    except (TypeError, IndexError, KeyError):
        return None


def _named(state: Any) -> dict[str, Array]:
    flat = nnx.to_flat_state(state)
    return {".".join(map(str, path)): np.array(variable[...]) for path, variable in flat}
