"""Runs a Flax module on NumPy arrays, in evaluation mode and without gradients.

Calling ``nnx.jit(model)`` traverses and compares the whole module each time, which takes longer
than a small network. Here a function of the Variables' values is compiled once per model, and each
call only checks that the model still consists of the same objects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import is_
from typing import Any
from weakref import ref

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from zoo.backend.base import Array, Outputs
from zoo.flax import _private
from zoo.flax.devices import FlaxGroup, predicting
from zoo.flax.parameters import dtype_of, find, require_precision
from zoo.graphs.graph import own_graph
from zoo.graphs.layouts import channels_first
from zoo.graphs.nodes import Node
from zoo.graphs.shapes import Shape

#: ``id`` of a model, which need not be hashable, as a dataclass -> it, and its forward pass
_Cache = dict[int, tuple[ref[nnx.Module], "Forward"]]
_predicting: _Cache = {}
_observing: _Cache = {}  # the one that last returned features


def predict(model: nnx.Module, x: Array, group: FlaxGroup | None = None) -> Outputs:
    """Run the model on x [N, C, H, W], and return its result as NumPy arrays.

    Args:
        model: The model.
        x: The images.
        group: Whose devices of this process share x; None for the model's own.

    Raises:
        BackendError: JAX would silently compute in another precision than that of the weights.
    """
    result, _ = _forward(_predicting, model, ())(model, x, group)
    return _to_outputs(model, result)


def forms(model: nnx.Module) -> dict[str, Callable[[Array], Outputs]]:
    """Return the ways to run a model, by name: functions of x like :func:`predict`."""
    evaluating = nnx.merge(*nnx.split(model))
    evaluating.eval()
    jitted = nnx.jit(lambda model, x: model(x))

    def run(function: Callable[..., Any], x: Array) -> Outputs:
        dtype = dtype_of(model)
        return _to_outputs(model, function(np.asarray(x, dtype).transpose(0, 2, 3, 1)))

    return {
        "eager": lambda x: run(evaluating, x),
        "nnx.jit": lambda x: run(lambda inputs: jitted(evaluating, inputs), x),
    }


def features(model: nnx.Module, x: Array, nodes: Sequence[Node]) -> dict[str, Array]:
    """Run the model on x and return the values of nodes, NCHW or [N, features]."""
    _, values = _forward(_observing, model, tuple(node.name for node in nodes))(model, x)
    return {node.name: _to_numpy(values[node.name], node.layout) for node in nodes}


class Forward:
    """The forward pass of a model in evaluation mode, compiled; it does not keep the model alive.

    Besides the model's result, it returns the values of the nodes in ``names``.
    """

    _compiled: Callable[[list[jax.Array], Array], tuple[Any, dict[str, jax.Array]]]

    def __init__(self, model: nnx.Module, names: tuple[str, ...], previous: Forward | None) -> None:
        root, *self._parts = _parts(model)  # a reference to the model would keep it alive
        self._contents = [_private.content(part) for part in (root, *self._parts)]
        self._variables = _variables(model)
        evaluating = nnx.merge(*nnx.split(model))
        evaluating.eval()
        self._graphdef, state = nnx.split(evaluating)
        self._names = names
        if previous and (self._graphdef, names) == (previous._graphdef, previous._names):
            self._compiled = previous._compiled  # only the mode or a Variable changed
        else:
            abstract = jax.eval_shape(lambda: state)
            pure = _pure(self._graphdef, abstract, names)
            # In float64 the library makes most networks several times slower.
            plain = bool(names) or jnp.float64 in _dtypes(self._variables)
            options = None if plain else _private.compiler_options()
            self._compiled = jax.jit(pure, compiler_options=options)

    def fits(self, model: nnx.Module, names: tuple[str, ...]) -> bool:
        """Tell whether the model still consists of the same objects; values may have changed."""
        return names == self._names and all(
            len(content := _private.content(part)) == len(before) and all(map(is_, content, before))
            for part, before in zip((model, *self._parts), self._contents, strict=True)
        )

    def __call__(
        self, model: nnx.Module, x: Array, group: FlaxGroup | None = None
    ) -> tuple[Any, dict[str, jax.Array]]:
        own = getattr(model, "_dtype", None)  # kept by a network without weights
        dtypes: list[Any] = list(_dtypes(self._variables)) or [own]
        require_precision(filter(None, dtypes))
        values = [_private.raw(variable) for variable in self._variables]
        compiled = self._compiled if group is None else predicting(group, self._compiled)
        return compiled(values, np.asarray(x, dtypes[0]))


def _forward(cache: _Cache, model: nnx.Module, names: tuple[str, ...]) -> Forward:
    key = id(model)
    _, forward = cache.get(key, (None, None))
    if forward is None or not forward.fits(model, names):
        forward = Forward(model, names, forward)
        cache[key] = ref(model, lambda _: cache.pop(key, None)), forward
    return forward


def _pure(graphdef: Any, state: Any, names: tuple[str, ...]) -> Any:
    """Return the forward pass as a function of the Variables' values and x [N, C, H, W]."""

    def forward(values: list[jax.Array], x: jax.Array) -> tuple[Any, dict[str, jax.Array]]:
        model = nnx.merge(graphdef, state, copy=True)  # a copy, which may be changed
        for variable, value in zip(_variables(model), values, strict=True):
            _private.set_raw(variable, value)
        outputs: dict[str, jax.Array] = {}
        for name in names:
            _record_output(model, name, outputs)
        return model(x.transpose(0, 2, 3, 1)), outputs

    return forward


def _record_output(model: nnx.Module, name: str, outputs: dict[str, jax.Array]) -> None:
    """Replace a layer with a function that also records the layer's output."""
    path, _, local = name.rpartition(".")
    parent = find(model, path) if path else model
    layer = getattr(parent, local)

    def recording(*inputs: jax.Array) -> jax.Array:
        outputs[name] = layer(*inputs)
        return outputs[name]

    vars(parent)[local] = recording


def _parts(model: nnx.Module) -> list[Any]:
    """Return the modules and other Pytrees in a model, and containers, itself first, each once."""
    parts: dict[int, Any] = {}

    def visit(part: Any) -> None:
        if id(part) not in parts:
            parts[id(part)] = part
            for value in _sorted(part):
                if isinstance(value, nnx.Pytree | dict | list | tuple):
                    visit(value)

    visit(model)
    return list(parts.values())


def _sorted(part: Any) -> list[Any]:
    """Return what a part consists of, in an order that depends only on its structure."""
    if isinstance(part, list | tuple):
        return list(part)
    named = part if isinstance(part, dict) else vars(part)
    return [value for _, value in sorted(named.items(), key=lambda item: str(item[0]))]


def _variables(model: nnx.Module) -> list[nnx.Variable[Any]]:
    """Return a model's Variables, each once, in an order that depends only on its structure."""
    variables = {
        id(value): value
        for part in _parts(model)
        for value in _sorted(part)
        if isinstance(value, nnx.Variable)
    }
    return list(variables.values())


def _dtypes(variables: Iterable[nnx.Variable[Any]]) -> Iterator[np.dtype[Any]]:
    """Yield the dtypes of parameters; other Variables may have values that are no arrays."""
    return (variable.dtype for variable in variables if isinstance(variable, nnx.Param))


def _to_outputs(model: nnx.Module, result: Any) -> Outputs:
    """Return a model's result as NumPy arrays, its outputs in the order of the spec."""
    graph = own_graph(model)
    layouts = {name: node.layout for name, node in graph.output_nodes.items()} if graph else {}
    if isinstance(result, dict):  # jit returns its keys in alphabetical order
        return {name: _to_numpy(result[name], layouts.get(name)) for name in layouts or result}
    return _to_numpy(result, next(iter(layouts.values()), None))


def _to_numpy(value: jax.Array, layout: Shape | None) -> Array:
    if value.dtype == jnp.bfloat16:
        value = value.astype(jnp.float32)
    return channels_first(np.asarray(value), layout)
