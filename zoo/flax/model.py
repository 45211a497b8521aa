"""Builds a graph as a Flax NNX module whose attributes are the spec's own names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from zoo.backend.base import Initial
from zoo.backend.calls import Call
from zoo.backend.extraction import Plan, extract
from zoo.flax.operations import OPERATIONS
from zoo.flax.parameters import find, require_precision, tensors
from zoo.graphs.blocks import Block, Step
from zoo.graphs.graph import Graph
from zoo.language import sizes


class Factory(NamedTuple):
    """What every layer is made with.

    Attributes:
        dtype: The dtype.
        rngs: Flax's random numbers; None for parameters without values.
    """

    dtype: Any
    rngs: nnx.Rngs | None

    def made(self, call: Call) -> Any:
        """Make a layer; its random numbers and dtypes are no part of the description."""
        settings = {"dtype": self.dtype, "param_dtype": self.dtype, "rngs": self.rngs}
        if self.rngs is None and call.target != "flax.nnx.Dropout":
            settings |= {"rngs": _Keyless(), "kernel_init": _unfilled}
        return call.made_with(settings)


class _Keyless:
    """Replaces ``nnx.Rngs`` if no initializer uses its keys."""

    def params(self) -> None:
        return None


def _unfilled(key: None, shape: tuple[int, ...], dtype: Any) -> Any:
    """Return a placeholder: to draw a kernel takes long even where only its shape is wanted."""
    return np.broadcast_to(np.zeros((), dtype), shape)


def build(graph: Graph, draw: Initial | None, dtype: str, seed: int = 0) -> nnx.Module:
    """Build a graph.

    Args:
        graph: The network.
        draw: Returns each parameter's initial value, in the canonical layout and ``dtype``, as an
            array that the model may keep; None for Flax's own initializers.
        dtype: ``float32``, ``float64``, ``float16`` or ``bfloat16``.
        seed: Random seed for dropout and for Flax's own initializers.

    Returns:
        The module, on JAX's default device and in training mode, as is usual in Flax.

    Raises:
        BackendError: ``dtype`` is float64, but JAX's x64 flag is off.
    """
    kind = _dtype(dtype)
    rngs = nnx.Rngs(seed % 2**32)  # a key takes this with or without the x64 flag
    if draw is None:
        return nnx.jit(lambda rngs: Network(graph, Factory(kind, rngs)))(rngs)
    model = build_without_values(graph, dtype)
    unfilled = tensors(model)
    for parameter in graph.parameters:
        tensor = unfilled[parameter.name]
        tensor.handle.set_value(jax.device_put(tensor.to_native(draw(parameter))))
    for node in graph.nodes:
        layer = find(model, node.name)
        if isinstance(layer, nnx.Dropout):
            layer.rngs = rngs.dropout.fork()
    return model


def build_without_values(graph: Graph, dtype: str) -> nnx.Module:
    """Build a graph whose Variables have shapes and no memory."""
    factory = Factory(_dtype(dtype), None)
    model: nnx.Module = nnx.eval_shape(lambda: Network(graph, factory))
    return model


def _dtype(name: str) -> Any:
    kind = jnp.dtype(name)
    require_precision([kind])
    return kind


class Stack(nnx.Module):
    """A block of the spec: its layers as attributes, computed in the spec's order."""

    def __init__(self, block: Block, factory: Factory) -> None:
        # A single attribute that is no Pytree: Flax traverses all attributes again and again.
        self._block = block
        for step in block.steps:
            setattr(self, step.name, _child(step, factory))

    def __call__(self, x: jax.Array) -> jax.Array:
        return self._compute(x)[self._block.output]

    def _compute(self, x: jax.Array) -> dict[str, jax.Array]:
        """Compute all steps; return the values that no step releases."""
        values = {"input": x}
        for name, inputs, releases in self._block.program:
            values[name] = getattr(self, name)(*[values[source] for source in inputs])
            for source in releases:
                del values[source]
        return values


class Network(Stack):
    """A whole network.

    Takes [N, H, W, C] of the size it was built for, and of every size at which no layer would have
    to change (see ``zoo.language.sizes``). Returns logits [N, num_classes], or a dict of them if it
    has auxiliary heads.
    """

    def __init__(self, graph: Graph, factory: Factory) -> None:
        super().__init__(graph.root, factory)
        self.zoo_graph, self._dtype = graph, factory.dtype

    def __call__(self, x: jax.Array) -> jax.Array | dict[str, jax.Array]:
        self.check_size(x)
        graph = self.zoo_graph
        values = self._compute(x)
        if len(graph.outputs) == 1:
            return values[self._block.output]
        return {output.name: values[output.step] for output in graph.outputs}

    def check_size(self, x: jax.Array) -> None:
        """Reject an input of a size at which layers would have to change.

        Raises:
            InputError: Gives the reason.
        """
        channels, height, width = self.zoo_graph.input_shape
        if tuple(x.shape[1:]) != (height, width, channels):
            sizes.check(self.zoo_graph, tuple(x.shape), channels_last=True)


class Extractor(nnx.Module):
    """Computes nodes of a network, whose weights it shares.

    Takes what the network takes, and returns a dict of the nodes' values, in the framework's own
    layout. They can be differentiated.
    """

    def __init__(self, network: Network, nodes: Mapping[str, str]) -> None:
        self.network, self._nodes = network, tuple(nodes.items())

    def __call__(self, x: jax.Array) -> dict[str, jax.Array]:
        self.network.check_size(x)
        return extract(self.network, x, dict(self._nodes), _plan)


def _plan(module: Any) -> Plan | None:
    return (module._block.program, module._block.output) if isinstance(module, Stack) else None


def _child(step: Step, factory: Factory) -> Any:
    child = step.child
    if isinstance(child, Block):
        return Stack(child, factory)
    layer = OPERATIONS[child.op](child, *factory)
    return factory.made(layer) if isinstance(layer, Call) else layer
