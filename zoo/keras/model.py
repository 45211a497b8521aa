"""Builds a graph as a functional Keras model whose layers have the spec's path names."""

from __future__ import annotations

import copyreg
import functools
import hashlib
import math
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

import keras

from zoo.backend.base import Initial
from zoo.backend.calls import Call, located
from zoo.errors import BackendError
from zoo.graphs.blocks import Block
from zoo.graphs.graph import Graph, own_graph
from zoo.graphs.nodes import Node, Parameter
from zoo.keras import _private
from zoo.keras.modules import LAST, padded
from zoo.keras.operations import OPERATIONS
from zoo.keras.parameters import initializer_of, layer_name, native
from zoo.language import sizes
from zoo.ops import OPS

#: What is applied to a tensor: a layer, or a function of operations.
Step = Callable[[Any], Any]

#: Arguments of a description that stand for steps before its layer.
_PRECEDING = ("crop", "edges", "sampling")


class Factory(NamedTuple):
    """What every layer is made with.

    Every layer states its data format and dtype, so Keras' global settings do not matter.

    Attributes:
        dtype: The name of the dtype.
        seed: Random seed for Keras' own initializers and for dropout.
    """

    dtype: str
    seed: int

    def steps(self, node: Node) -> list[Step]:
        """Return what computes a node; the last step is a layer with its name and parameters."""
        node = replace(node, name=layer_name(node.name))
        found = OPERATIONS[node.op](node, *self)
        return self._described(found, node.name) if isinstance(found, Call) else list(found)

    def _described(self, call: Call, name: str) -> list[Step]:
        arguments = {n: v for n, v in call.arguments.items() if n not in _PRECEDING}
        if not isinstance(located(call.target), type):  # a function of tensors
            function = functools.partial(located(call.target), **call.arguments)
            return [
                _named(function, name),
                self._made(_layer("Activation", activation="linear"), name),
            ]
        steps: list[Step] = []
        if crop := call.arguments.get("crop"):
            steps.append(self._made(_layer("Cropping2D", cropping=_pairs(crop)), f"{name}.crop"))
        if any(edges := call.arguments.get("edges", ())):
            if call.target.endswith("MaxPooling2D"):
                pad = functools.partial(padded, edges=edges, value=-math.inf)
                steps.append(_named(pad, name))
            else:
                zeros = _layer("ZeroPadding2D", padding=_pairs(edges))
                steps.append(self._made(zeros, f"{name}.pad"))
        if sampling := call.arguments.get("sampling"):
            first = _layer("MaxPooling2D", pool_size=1, strides=sampling)
            steps.append(self._made(first, f"{name}.sample"))
        return [*steps, self._made(Call(call.target, arguments), name)]

    def _made(self, call: Call, name: str) -> keras.Layer:
        """Make a layer with its own settings, and those of zoo's that it takes."""
        digest = hashlib.sha256(f"{self.seed}|{name}".encode()).digest()
        seed = int.from_bytes(digest[:4], "little") >> 1
        # Keras' default with a seed, which would otherwise come from Python's generator.
        glorot = keras.initializers.GlorotUniform(seed=seed)
        settings = {
            "data_format": LAST,
            "seed": seed,
            "kernel_initializer": glorot,
            "depthwise_initializer": glorot,
        }
        layer: keras.Layer = call.made_with(settings, dtype=self.dtype, name=name)
        return layer


def _layer(kind: str, **arguments: Any) -> Call:
    return Call(f"keras.layers.{kind}", arguments)


def _pairs(edges: Sequence[int]) -> tuple[tuple[int, int], tuple[int, int]]:
    top, bottom, left, right = edges
    return (top, bottom), (left, right)


def _named(function: Step, name: str) -> Step:
    """Return a function of operations that gives them names: Keras' own may be taken in a model."""

    def apply(x: Any) -> Any:
        result = function(x)
        for number, operation in enumerate(keras.Function(x, result).operations):
            if not isinstance(operation, keras.Layer):
                operation.name = f"{name}:{type(operation).__name__.lower()}{number}"
        return result

    return apply


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
    values = _BlockBuilder(graph.root, Factory(dtype, seed), draw)(x)
    outputs = {output.name: values[output.step] for output in graph.outputs}
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", graph.name)  # TensorFlow allows no others in a scope
    with _private.deep(len(graph.nodes)):
        result = outputs if len(outputs) > 1 else values[graph.root.output]
        model = keras.Model(x, result, name=name)
    model.dtype_policy = dtype
    model.zoo_graph = graph
    return model


def _restored(make: Callable[..., keras.Model], arguments: Any, graph: Graph) -> keras.Model:
    model = make(*arguments)
    model.zoo_graph = graph
    return model


def _reduced(model: keras.Model) -> tuple[Any, ...]:
    """Return how to copy or unpickle a model: as Keras does, which leaves out the graph."""
    make, arguments = model.__reduce__()
    graph = own_graph(model)
    return (make, arguments) if graph is None else (_restored, (make, arguments, graph))


copyreg.pickle(_private.Functional, _reduced)


def layers(graph: Graph) -> Iterator[keras.Layer]:
    """Yield the layers that a graph's nodes are built of, which are connected to nothing."""
    for node in graph.nodes:
        steps = Factory("float32", 0).steps(node)
        yield from (layer for layer in steps if isinstance(layer, keras.Layer))


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

    def __init__(self, block: Block, factory: Factory, draw: Initial | None) -> None:
        self.block, self.settings = block, (factory, draw)

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


def _apply(node: Node, inputs: list[Any], factory: Factory, draw: Initial | None) -> Any:
    x = inputs if OPS[node.op].arity[1] > 1 else inputs[0]
    *preceding, last = factory.steps(node)
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
