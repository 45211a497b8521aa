"""Builds a graph as a functional Keras model whose layers have the spec's path names."""

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
from zoo.keras import _private
from zoo.keras.operations import OPERATIONS
from zoo.keras.parameters import initializer_of, layer_name, native
from zoo.language import sizes
from zoo.ops import OPS


def build(graph: Graph, draw: Initial | None, dtype: str, seed: int = 0) -> keras.Model:
    """Build a graph.

    Args:
        graph: The network.
        draw: Returns each parameter's initial value, in the canonical layout and ``dtype``, as an
            array that the model may keep; None for Keras' own initializers.
        dtype: ``float32``, ``float64``, ``float16`` or ``bfloat16``, for every layer. Keras' global
            dtype is neither read nor changed.
        seed: Random seed for Keras' own initializers and for dropout.

    Returns:
        The model. It takes [N, H, W, C] of any size that the layers allow, unless the network has
        weights for one size or pools that round up. It returns logits [N, num_classes], or a
        dict of them if it has auxiliary heads.

    Raises:
        BackendError: Keras cannot compute an operation exactly, or its engine lacks float64.
    """
    _check_dtype(dtype)
    channels = graph.input_shape.channels
    x = keras.Input((*_sides(graph), channels), dtype=dtype, name="input")
    values = _BlockBuilder(graph.root, dtype, seed, draw)(x)
    outputs = {output.name: values[output.step] for output in graph.outputs}
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", graph.name)  # TensorFlow allows no others in a scope
    with _private.deep(len(graph.nodes)):
        result = outputs if len(outputs) > 1 else values[graph.root.output]
        model = keras.Model(x, result, name=name)
    model.dtype_policy = dtype
    model.zoo_graph = graph
    return model


def layers(graph: Graph) -> Iterator[keras.Layer]:
    """Yield the layers that a graph's nodes are built of, which are connected to nothing."""
    for node in graph.nodes:
        built = OPERATIONS[node.op](replace(node, name=layer_name(node.name)), "float32", 0)
        yield from (layer for layer in built if isinstance(layer, keras.Layer))


def _sides(graph: Graph) -> tuple[int | None, int | None]:
    """Return the height and width that the model takes; None for any."""
    # Keras' pools do not round up. Zeros around their input would, for every size, but take time;
    # and its mode ``same`` stands for rounding up only at sizes like the network's own.
    rounds_up = any(node.attributes.get("rounding") == "ceil" for node in graph.nodes)
    if rounds_up or not sizes.has_same_parameters(graph):
        return graph.input_shape.height, graph.input_shape.width
    return None, None


class _BlockBuilder:
    """A block of the spec: applies its layers to a tensor, in the spec's order.

    It exists only while a model is built. Keras' functional models are flat, and only the names of
    their layers show the blocks.
    """

    def __init__(self, block: Block, dtype: str, seed: int, draw: Initial | None) -> None:
        self.block, self.settings = block, (dtype, seed, draw)

    def __call__(self, x: Any) -> dict[str, Any]:
        """Return the value of every step by its name."""
        values = {"input": x}
        for step in self.block.steps:
            inputs = [values[source] for source in step.inputs]
            if isinstance(step.child, Block):
                inner = _BlockBuilder(step.child, *self.settings)(inputs[0])
                values[step.name] = inner[step.child.output]
            else:
                values[step.name] = _apply(step.child, inputs, *self.settings)
        return values


def _apply(node: Node, inputs: list[Any], dtype: str, seed: int, draw: Initial | None) -> Any:
    x = inputs if OPS[node.op].arity[1] > 1 else inputs[0]
    renamed = replace(node, name=layer_name(node.name))
    *preceding, last = OPERATIONS[node.op](renamed, dtype, seed)
    for layer in (*preceding, last):
        if draw is None or layer is not last or not node.parameters:
            x = layer(x)
        else:
            with _temporary_initializers(layer, node, draw):
                x = layer(x)
    return x


@contextmanager
def _temporary_initializers(layer: keras.Layer, node: Node, draw: Initial) -> Iterator[None]:
    """Make the first call of a layer initialize its variables with drawn values.

    Keras' own initializers are restored afterwards, so that the layer can be saved with its config.
    """
    original = {}
    for parameter in node.parameters:
        attribute = initializer_of(layer, node, parameter.name)
        original[attribute] = getattr(layer, attribute)
        setattr(layer, attribute, _initializer(layer, parameter, node, draw))
    yield
    for attribute, initializer in original.items():
        setattr(layer, attribute, initializer)


def _initializer(
    layer: keras.Layer, parameter: Parameter, node: Node, draw: Initial
) -> Callable[..., Any]:
    name, layout = parameter.name.rpartition(".")[2], node.attributes.get("layout")
    return lambda shape, dtype=None, **_: native(
        draw(parameter), layer, node.op, name, shape, layout
    )


def _check_dtype(dtype: str) -> None:
    engine = keras.backend.backend()
    # Other engines than TensorFlow give float32, even with JAX's x64 flag, and use it in means and
    # batch norms.
    if dtype == "float64" and keras.backend.result_type("float64", "float32") != "float64":
        raise BackendError(
            f"Keras on {engine} always computes means and batch norms in float32: for float64 "
            "set the environment variable KERAS_BACKEND=tensorflow before importing keras"
        )
