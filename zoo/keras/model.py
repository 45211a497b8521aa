"""Builds a graph as a functional Keras model whose layers bear the spec's own path names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import keras

from zoo.backend.base import Initial
from zoo.errors import BackendError
from zoo.graphs.blocks import Block
from zoo.graphs.graph import Graph
from zoo.graphs.nodes import Node, Parameter
from zoo.keras.operations import OPERATIONS
from zoo.keras.parameters import initializer_of, layer_name, native
from zoo.ops import OPS


def build(graph: Graph, draw: Initial | None, dtype: str, seed: int = 0) -> keras.Model:
    """Build a graph.

    Args:
        graph: The network.
        draw: Gives each parameter's initial value, in the canonical layout and ``dtype``, as an
            array that nobody else holds; None for Keras' own initialisers.
        dtype: ``float32``, ``float64``, ``float16`` or ``bfloat16``, of every layer; Keras' global
            dtype is neither read nor changed.
        seed: For Keras' own initialisers and for dropout.

    Returns:
        The model: [N, H, W, C] of the size it was built for -> logits [N, num_classes], or with
        auxiliary heads a dict of them by name.

    Raises:
        BackendError: Keras cannot do an operation exactly, or its engine has no float64.
    """
    _check(dtype)
    channels, height, width = graph.input_shape
    x = keras.Input((height, width, channels), dtype=dtype, name="input")
    values = Stack(graph.root, dtype, seed, draw)(x)
    outputs = {output.name: values[output.step] for output in graph.outputs}
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", graph.name)  # what TensorFlow takes in a scope
    model = keras.Model(x, outputs if len(outputs) > 1 else values[graph.root.output], name=name)
    model.dtype_policy = dtype
    model.zoo_graph = graph
    return model


class Stack:
    """A block of the spec: lays its layers on a tensor, in the spec's order.

    Only while building: Keras' functional models are flat, and hold blocks in their layers' names.
    """

    def __init__(self, block: Block, dtype: str, seed: int, draw: Initial | None) -> None:
        self.block, self.settings = block, (dtype, seed, draw)

    def __call__(self, x: Any) -> dict[str, Any]:
        """Return the value of every step by its name."""
        values = {"input": x}
        for step in self.block.steps:
            inputs = [values[source] for source in step.inputs]
            if isinstance(step.child, Block):
                inner = Stack(step.child, *self.settings)(inputs[0])
                values[step.name] = inner[step.child.output]
            else:
                values[step.name] = _lay(step.child, inputs, *self.settings)
        return values


def _lay(node: Node, inputs: list[Any], dtype: str, seed: int, draw: Initial | None) -> Any:
    x = inputs if OPS[node.op].arity[1] > 1 else inputs[0]
    named = replace(node, name=layer_name(node.name))
    *before, last = OPERATIONS[node.op](named, dtype, seed)
    for layer in (*before, last):
        if draw is None or layer is not last or not node.parameters:
            x = layer(x)
        else:
            with _starting(layer, node, draw):
                x = layer(x)
    return x


@contextmanager
def _starting(layer: keras.Layer, node: Node, draw: Initial) -> Iterator[None]:
    """Let a layer's variables start from drawn values while it is first called.

    Keras' own initialisers are put back then, so that the layer's config is an ordinary one.
    """
    usual = {}
    for parameter in node.parameters:
        attribute = initializer_of(layer, node.op, parameter.name.rpartition(".")[2])
        usual[attribute] = getattr(layer, attribute)
        setattr(layer, attribute, _drawn(layer, parameter, node, draw))
    yield
    for attribute, initializer in usual.items():
        setattr(layer, attribute, initializer)


def _drawn(
    layer: keras.Layer, parameter: Parameter, node: Node, draw: Initial
) -> Callable[..., Any]:
    name, layout = parameter.name.rpartition(".")[2], node.attributes.get("layout")
    return lambda shape, dtype=None, **_: native(
        draw(parameter), layer, node.op, name, shape, layout
    )


def _check(dtype: str) -> None:
    engine = keras.backend.backend()
    # Off TensorFlow it is float32, whatever JAX's x64 flag; means and batch norms then use that.
    if dtype == "float64" and keras.backend.result_type("float64", "float32") != "float64":
        raise BackendError(
            f"Keras on {engine} computes means and batch norms in float32 whatever is asked: for "
            "float64 set the environment variable KERAS_BACKEND=tensorflow before importing keras"
        )
