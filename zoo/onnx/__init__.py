"""The ONNX backend: graphs as ``onnx.ModelProto``, NCHW, run by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from zoo import arguments
from zoo.backend.description import Description, Mode
from zoo.backend.parameters import Array, Parameters, convention
from zoo.graphs.graph import Graph

if TYPE_CHECKING:
    from onnx import ModelProto

#: operation -> canonical name -> ONNX's own name and axes: all are the canonical ones
PARAMETERS = Parameters("onnx", {})

#: What the names of operations' constants end in, as in ``norm1/window``. Arrays of other programs
#: may have a slash in their names, too.
CONSTANTS = (
    "axes_* beta channels columns edges eps factor k least most one ones rest_of_eps root_of_half "
    "rows shape shape_of_groups six start stop three window zeros"
).split()

DESCRIPTION = Description(
    name="onnx",
    title="ONNX",
    implementation="zoo.onnx.backend:OnnxBackend",
    framework="onnx",
    requires=("onnxruntime",),
    packages=("onnx", "onnxruntime"),
    install="polyzoo[onnx]",
    suffix=".onnx",
    convention=convention(PARAMETERS, "CHW", left_out=[f"*/{name}" for name in CONSTANTS]),
    formats=("onnx",),
    holds_network=True,
    modes=(
        Mode("ONNX Runtime"),
        Mode("OpenVINO", needs={"openvino": "polyzoo[openvino]"}),
    ),
)


def build(graph: Graph, weights: Mapping[str, Array], *, opset: int | None = None) -> ModelProto:
    """Build an ONNX model for a version of ONNX's operations.

    ``zoo.build`` and ``zoo.convert`` build for version 21, which ONNX Runtime and OpenVINO take.

    Args:
        graph: The network.
        weights: Canonical name -> array, as ``zoo.get_weights`` returns; the model has their dtype.
        opset: The version, 18 or later; 21 by default (22 in bfloat16).

    Returns:
        A model with the input ``input`` [batch, C, H, W] and the outputs ``logits``, ``aux1`` and
        so on.

    Raises:
        InputError: ``graph`` is no graph; zoo does not write that version, or the package ``onnx``
            does not know it.
        WeightsError: The weights do not fit the graph.
        BackendError: The package ``onnx`` is not installed, or lacks an operation.

    Example:
        >>> import zoo, zoo.onnx
        >>> graph = zoo.graph("lenet5_modern")
        >>> weights = zoo.get_weights(zoo.build(graph, "torch"))
        >>> zoo.onnx.build(graph, weights, opset=18).opset_import[0].version
        18
    """
    from zoo.backend import registry
    from zoo.weights.checking import checked_arrays, floating, widest

    if not isinstance(graph, Graph):
        raise arguments.wrong("graph", "a graph, as zoo.graph returns", graph)
    registry.load("onnx")  # reports a package that is missing
    from zoo.onnx import model
    from zoo.onnx.operations import OPERATIONS
    from zoo.ops.composite import opened

    expected = {parameter.name: parameter.shape for parameter in graph.parameters}
    arrays = floating(checked_arrays(expected, weights))
    dtype = widest(array.dtype.name for array in arrays.values())
    network = opened(graph, OPERATIONS)
    return model.build(network, lambda p: arrays[p.name].astype(dtype), dtype, opset)
