"""Where Keras' layers keep their parameters.

Kernels have the outputs last, and a dense layer after a flatten has its inputs in HWC order. Names
and layouts come from the names, types and connections of the model's layers, so a model that Keras
copied or loaded works as well as one that zoo built.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import keras
import ml_dtypes  # noqa: F401  (registers the dtype bfloat16 with NumPy)
import numpy as np
from keras import layers

from zoo.backend.parameters import Array, Tensor, to_native
from zoo.errors import BackendError
from zoo.graphs.graph import own_graph
from zoo.graphs.nodes import Node
from zoo.graphs.shapes import Map
from zoo.keras import PARAMETERS, _private

#: layer type -> operation, and the canonical names of its parameters
_TYPES: dict[type[keras.Layer], tuple[str, tuple[str, ...]]] = {
    layers.Conv2D: ("conv", ("weight", "bias")),
    layers.DepthwiseConv2D: ("depthwise", ("weight", "bias")),
    layers.Dense: ("linear", ("weight", "bias")),
    layers.EinsumDense: ("affine", ("weight", "bias")),
    layers.LayerNormalization: ("layer_norm", ("weight", "bias")),
    layers.BatchNormalization: ("batch_norm", ("weight", "bias", "running_mean", "running_var")),
}

#: layer types that keep the order of a flattened map
_ELEMENTWISE = (
    layers.ReLU,
    layers.Activation,
    layers.Dropout,
    layers.Add,
    layers.Multiply,
)


def tensors(model: keras.Model) -> dict[str, Tensor]:
    """Return every parameter and running statistic by its canonical name.

    They are in the graph's order if the model has a graph.

    Raises:
        BackendError: The layers have no names, were renamed, or have other weights or none yet.
    """
    if error := unnamed(model):
        raise error
    require_built(model)
    graph = own_graph(model)
    parameters = {
        node.name: (node.op, tuple(_local(p.name) for p in node.parameters))
        for node in (graph.nodes if graph else ())
        if node.parameters
    }
    dense = [layer for layer in model.layers if isinstance(layer, layers.Dense)]
    flattened = dict(zip(dense, layouts(model, [layer.input for layer in dense]), strict=True))
    tensors = {}
    for layer in model.layers:
        path = layer.name.replace(":", ".")  # no name of a spec has a colon
        op, names = _TYPES.get(type(layer)) or parameters.get(path, ("", ()))
        for name in names:
            location = PARAMETERS.slot(op, name)
            variable = getattr(layer, location.name, None)
            if variable is not None:
                layout = flattened.get(layer) if name == "weight" else None
                tensor = Tensor(variable, tuple(variable.shape), location.axes, layout)
                tensors[f"{path}.{name}"] = tensor
        _check_coverage(layer, op, names)
    if not graph:
        return tensors
    for parameter in graph.parameters:
        if parameter.name not in tensors:
            raise BackendError(
                f"this {graph.name} has no {parameter.name}: its layer was renamed, or has other "
                "weights than the layer that zoo built"
            )
    return {p.name: tensors[p.name] for p in graph.parameters}


def require_built(model: keras.Layer) -> None:
    """Check that a sequential model has layers, and that these have weights.

    Raises:
        BackendError: It has none yet.
    """
    if isinstance(model, keras.Sequential) and not (model.layers and model.built):
        lacks = "weights yet: build it, or call it once, first" if model.layers else "layers"
        raise BackendError(f"this {type(model).__name__} has no {lacks}")


def unnamed(model: keras.Layer) -> BackendError | None:
    """Return the error for a model whose layers have no names; None for any other."""
    if _private.has_named_layers(model):
        return None
    return BackendError(
        f"zoo reads functional and sequential models, whose layers have names, and this "
        f"{type(model).__name__} is neither; pass the model that is in it"
    )


def _check_coverage(layer: keras.Layer, op: str, names: Sequence[str]) -> None:
    """Reject a layer with weights that the table does not have.

    Raises:
        BackendError: There are such weights, or they are not used as they are.
    """
    known = {PARAMETERS.slot(op, name).name for name in names}
    variables = [v for v in layer.variables if v.name != "seed_generator_state"]
    if getattr(layer, "lora_enabled", False):
        what = "has an adapter; model.save('w.keras') merges it, and zoo.load reads that file"
    elif getattr(layer, "quantization_mode", None):
        what = "was quantized; pass the model as it was before"
    elif len(variables) > sum(getattr(layer, name, None) is not None for name in known):
        what = "has weights in other layers, or of a kind that zoo does not know"
    else:
        return
    raise BackendError(f"the layer {layer.name!r} {what}")


def to_numpy(variable: keras.Variable) -> Array:
    """Return a variable's value."""
    # Not convert_to_numpy, which makes NumPy warn when it copies TensorFlow's variables.
    return np.asarray(variable).astype(np.dtype(variable.dtype), copy=False)


def assign(variable: keras.Variable, array: Array) -> None:
    """Copy an array into a variable, which keeps its dtype."""
    variable.assign(array.astype(np.dtype(variable.dtype), copy=False))


def native(
    array: Array, layer: keras.Layer, op: str, name: str, shape: Sequence[int], layout: Map | None
) -> Array:
    """Convert a canonical array to the layout of a layer.

    Args:
        array: The parameter's value in the canonical layout.
        layer: The layer.
        op: The operation.
        name: The parameter's canonical local name.
        shape: Its shape in the layer.
        layout: (C, H, W) if it is the weight of a linear layer that reads a flattened map.
    """
    axes = PARAMETERS.slot(_op(layer, op), name).axes
    return to_native(array, axes, layout).reshape(tuple(shape))


def initializer_of(layer: keras.Layer, node: Node, name: str) -> str:
    """Return the name of a layer's attribute that holds a parameter's initializer.

    Args:
        layer: The layer.
        node: The node that it was built of.
        name: The parameter's canonical name.

    Raises:
        BackendError: The layer has no such parameter.
    """
    op, local = _op(layer, node.op), _local(name)
    depthwise = (op, local) == ("depthwise", "weight")
    prefix = "depthwise" if depthwise else PARAMETERS.slot(op, local).name
    attribute = f"{prefix}_initializer"
    if not hasattr(layer, attribute):
        raise PARAMETERS.missing(node, name, layer)
    return attribute


def layer_name(path: str) -> str:
    """Return the name of a node's layer: that of the node.

    On PyTorch, colons replace the dots, because Keras registers variables under their layers' names
    and PyTorch does not allow dots in them.
    """
    return path.replace(".", ":") if keras.backend.backend() == "torch" else path


def layouts(model: keras.Model, tensors: Sequence[Any]) -> Iterator[Map | None]:
    """Yield, for each tensor of a model, (C, H, W) if it is a flattened map in HWC order."""
    operations = getattr(model, "operations", model.layers)  # only functional models have them
    producers = {id(_private.output_of(each)): each for each in operations}
    for tensor in tensors:
        layer = producers.get(id(tensor))
        # Operations that are no layers are parts of activations and of scale.
        while isinstance(layer, _ELEMENTWISE) or not isinstance(layer, keras.Layer | None):
            source = _private.input_of(layer)  # a model's .input is that of its inner graph
            layer = producers.get(id(source[0] if isinstance(source, list) else source))
        if isinstance(layer, layers.Flatten) and len(layer.input.shape) == 4:
            _, height, width, channels = layer.input.shape
            yield Map(channels, height, width)
        else:
            yield None


def _op(layer: keras.Layer, op: str) -> str:
    """Return the key of a layer in the table, where depthwise convolutions have their own."""
    return _TYPES.get(type(layer), (op, ()))[0]


def _local(name: str) -> str:
    return name.rpartition(".")[2]
