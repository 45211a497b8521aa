"""Runs a Flax module on NumPy arrays, in evaluation mode and without gradients.

Calling ``nnx.jit(model)`` walks and compares the whole module each time, which costs more than a
small network. Here a function of the Variables' values is compiled once a model, and what a call
adds is to look whether the model is still made of the same objects.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import is_
from typing import Any
from weakref import WeakKeyDictionary

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from zoo.backend.base import Array, Outputs
from zoo.flax import _private
from zoo.flax.parameters import find
from zoo.graphs.layouts import channels_first
from zoo.graphs.nodes import Node
from zoo.graphs.shapes import Shape

#: model -> its forward pass, and the one that last gave features
_predicting: WeakKeyDictionary[nnx.Module, Forward] = WeakKeyDictionary()
_observing: WeakKeyDictionary[nnx.Module, Forward] = WeakKeyDictionary()


def predict(model: nnx.Module, x: Array) -> Outputs:
    """Run the model on x [N, C, H, W]; returns what it returns, as NumPy arrays."""
    result, _ = _forward(_predicting, model, ())(model, x)
    return _named(model, result)


def forms(model: nnx.Module) -> dict[str, Callable[[Array], Outputs]]:
    """Return the ways to run a model, by name: functions of x like :func:`predict`."""
    evaluating = nnx.merge(*nnx.split(model))
    evaluating.eval()
    jitted = nnx.jit(lambda model, x: model(x))

    def run(function: Callable[..., Any], x: Array) -> Outputs:
        dtype = next((v.dtype for v in _variables(model)), x.dtype)
        return _named(model, function(np.asarray(x, dtype).transpose(0, 2, 3, 1)))

    return {
        "eager": lambda x: run(evaluating, x),
        "nnx.jit": lambda x: run(lambda inputs: jitted(evaluating, inputs), x),
    }


def features(model: nnx.Module, x: Array, nodes: Sequence[Node]) -> dict[str, Array]:
    """Run the model on x and return the values of nodes, NCHW or [N, features]."""
    _, found = _forward(_observing, model, tuple(node.name for node in nodes))(model, x)
    return {node.name: _array(found[node.name], node.layout) for node in nodes}


class Forward:
    """The forward pass of a model in evaluation mode, compiled; it does not keep the model alive.

    Besides the model's result it gives the values of the nodes it was made for.
    """

    _compiled: Callable[[list[jax.Array], Array], tuple[Any, dict[str, jax.Array]]]

    def __init__(self, model: nnx.Module, names: tuple[str, ...], old: Forward | None) -> None:
        root, *self._parts = _parts(model)  # all that the model consists of, but for itself
        self._contents = [_private.content(part) for part in (root, *self._parts)]
        self._variables = _variables(model)
        evaluating = nnx.merge(*nnx.split(model))
        evaluating.eval()
        self._graphdef, state = nnx.split(evaluating)
        self._names = names
        if old and (self._graphdef, names) == (old._graphdef, old._names):
            self._compiled = old._compiled  # only the mode or a Variable was changed
        else:
            abstract = jax.eval_shape(lambda: state)
            pure = _pure(self._graphdef, abstract, names)
            options = None if names else _private.compiler_options()
            self._compiled = jax.jit(pure, compiler_options=options)

    def fits(self, model: nnx.Module, names: tuple[str, ...]) -> bool:
        """Tell whether the model still consists of the same objects; values may have changed."""
        return names == self._names and all(
            len(now := _private.content(part)) == len(then) and all(map(is_, now, then))
            for part, then in zip((model, *self._parts), self._contents, strict=True)
        )

    def __call__(self, model: nnx.Module, x: Array) -> tuple[Any, dict[str, jax.Array]]:
        weights = (v.dtype for v in self._variables if isinstance(v, nnx.Param))
        dtype = next(weights, getattr(model, "_dtype", None))  # which a net without weights keeps
        values = [_private.raw(variable) for variable in self._variables]
        return self._compiled(values, np.asarray(x, dtype))


def _forward(
    cache: WeakKeyDictionary[nnx.Module, Forward], model: nnx.Module, names: tuple[str, ...]
) -> Forward:
    known = cache.get(model)
    if known is None or not known.fits(model, names):
        known = cache[model] = Forward(model, names, known)
    return known


def _pure(graphdef: Any, state: Any, names: tuple[str, ...]) -> Any:
    """Return the forward pass as a function of the Variables' values and x [N, C, H, W]."""

    def forward(values: list[jax.Array], x: jax.Array) -> tuple[Any, dict[str, jax.Array]]:
        model = nnx.merge(graphdef, state, copy=True)  # its own, so it may be changed
        for variable, value in zip(_variables(model), values, strict=True):
            _private.set_raw(variable, value)
        found: dict[str, jax.Array] = {}
        for name in names:
            _observe(model, name, found)
        return model(x.transpose(0, 2, 3, 1)), found

    return forward


def _observe(model: nnx.Module, name: str, found: dict[str, jax.Array]) -> None:
    """Put in a layer's place a function that also notes the layer's result."""
    path, _, local = name.rpartition(".")
    parent = find(model, path) if path else model
    layer = getattr(parent, local)

    def noting(*inputs: jax.Array) -> jax.Array:
        found[name] = layer(*inputs)
        return found[name]

    vars(parent)[local] = noting


def _parts(model: nnx.Module) -> list[nnx.Pytree]:
    """All modules and the like that a model consists of, itself first, each once."""
    found: dict[int, nnx.Pytree] = {}

    def visit(part: nnx.Pytree) -> None:
        if id(part) not in found:
            found[id(part)] = part
            for _, value in sorted(vars(part).items()):
                if isinstance(value, nnx.Pytree):
                    visit(value)

    visit(model)
    return list(found.values())


def _variables(model: nnx.Module) -> list[nnx.Variable[Any]]:
    """A model's Variables in an order that its structure alone determines, each once."""
    found = {
        id(value): value
        for part in _parts(model)
        for _, value in sorted(vars(part).items())
        if isinstance(value, nnx.Variable)
    }
    return list(found.values())


def _named(model: nnx.Module, result: Any) -> Outputs:
    """What a model gave, as NumPy arrays, in the order it was built with."""
    graph = getattr(model, "zoo_graph", None)
    layouts = {name: node.layout for name, node in graph.output_nodes.items()} if graph else {}
    if isinstance(result, dict):  # whose keys came out of jit in alphabetical order
        return {name: _array(result[name], layouts.get(name)) for name in layouts or result}
    return _array(result, next(iter(layouts.values()), None))


def _array(value: jax.Array, layout: Shape | None) -> Array:
    if value.dtype == jnp.bfloat16:
        value = value.astype(jnp.float32)
    return channels_first(np.asarray(value), layout)
