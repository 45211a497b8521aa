"""Private parts of Keras that zoo relies on; a test checks each of them."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
from keras.src.models.functional import Functional as Functional

_FRAMES = 10  # of Python for each node: Keras calls itself for each of its operations
_recursing = threading.Lock()  # the limit is that of all threads


@contextmanager
def deep(nodes: int) -> Iterator[None]:
    """Let Keras connect a network of many nodes, which it does by recursion along the longest path.

    Only Python calls Python there, which takes memory, but none of the thread's stack.
    """
    needed = 1000 + _FRAMES * nodes
    if needed <= sys.getrecursionlimit():
        yield
        return
    with _recursing:
        before = sys.getrecursionlimit()
        sys.setrecursionlimit(max(before, needed))
        try:
            yield
        finally:
            sys.setrecursionlimit(before)


def output_of(layer: keras.Layer) -> Any:
    """Return a layer's output in the functional model that contains it.

    If the layer is itself a model, its ``output`` is another tensor: that of its inner graph.
    """
    return keras.Operation.output.fget(layer)


def input_of(layer: keras.Layer) -> Any:
    """Return a layer's input in the functional model that contains it."""
    return keras.Operation.input.fget(layer)


def only_call(model: Functional) -> keras.Model | None:
    """Return the model whose single call, in evaluation mode, is all that a functional model does.

    Its operations are more than its layers: functions of ``keras.ops`` and arithmetic are others.
    """
    found = [o for o in model.operations if not isinstance(o, keras.layers.InputLayer)]
    if len(found) != 1 or not isinstance(found[0], keras.Model):
        return None
    inner, numbers = found[0], {tensor._keras_history.node_index for tensor in model.outputs}
    call = inner._inbound_nodes[min(numbers)]
    options = {k: v for k, v in call.arguments.kwargs.items() if v is not None}
    if len(numbers) > 1 or options not in ({}, {"training": False}):
        return None
    if list(map(id, call.input_tensors)) != list(map(id, model.inputs)):
        return None
    # All that it returns, in the same structure.
    returned = {id(tensor): place for place, tensor in enumerate(call.output_tensors)}
    own = {id(tensor): place for place, tensor in enumerate(keras.tree.flatten(inner.output))}
    structures = [
        keras.tree.map_structure(lambda tensor, places=places: places.get(id(tensor)), output)
        for output, places in ((model.output, returned), (inner.output, own))
    ]
    return inner if structures[0] == structures[1] else None


def own_variables(layer: keras.Layer) -> Iterator[Any]:
    """Yield the variables of a layer itself, without those of the layers in it."""
    yield from layer._trainable_variables
    yield from layer._non_trainable_variables


def has_named_layers(layer: keras.Layer) -> bool:
    """Tell whether a layer is a functional or sequential model, whose layers have names."""
    return isinstance(layer, keras.Sequential) or bool(getattr(layer, "_operations", None))


def updated(optimizer: keras.Optimizer) -> list[keras.Variable]:
    """Return the variables that an optimizer updates."""
    return list(optimizer._trainable_variables)


def kept(optimizer: keras.Optimizer) -> dict[str, list[keras.Variable]]:
    """Return what Keras' own optimizers keep of their variables, in that order, by slot."""
    first = getattr(optimizer, "_momentums", [])
    second = getattr(optimizer, "_velocities", [])
    return {"moment1": first, "moment2": second, "mean_square": second, "momentum": first}


def order_outputs(path: Path, names: Sequence[str]) -> None:
    """Put the outputs of a LiteRT file in an order; its converter has a reversed alphabet's."""
    if len(names) == 1:
        return
    from tensorflow.lite.tools import flatbuffer_utils

    program = flatbuffer_utils.read_model(str(path))
    (signature,) = program.signatureDefs
    indices = {tensor.name.decode(): tensor.tensorIndex for tensor in signature.outputs}
    program.subgraphs[signature.subgraphIndex].outputs = [indices[name] for name in names]
    flatbuffer_utils.write_model(program, str(path))
