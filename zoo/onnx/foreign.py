"""Opens ONNX models of other programs, within bounds, and runs them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import AttributeProto, GraphProto, ModelProto, TensorProto

from zoo.backend.base import Array
from zoo.errors import InputError, with_article
from zoo.onnx.files import MAX_MESSAGE, split
from zoo.onnx.model import not_loaded
from zoo.onnx.run import session
from zoo.weights.checking import shown
from zoo.weights.checkpoint import UnreadableError, reporting_damage
from zoo.weights.reading import onnx_file
from zoo.weights.reading.protobuf import mapped

MAX_VALUES = 2**28  # numbers in one value: a gigabyte of float32
#: Operations that may never end.
_LOOPS = ("Loop", "Scan")


def opened(path: Path) -> ModelProto:
    """Open a file, with the values that are in files beside it.

    Raises:
        WeightsError: The file is damaged, or has values outside its folder.
        InputError: zoo cannot compare such a model.
    """
    if path.stat().st_size > MAX_MESSAGE:
        raise InputError(f"{path}: an ONNX message of more than 2 GB")
    with reporting_damage(path, "an ONNX model"):
        contents = onnx_file.contents(mapped(path), path.parent)  # within bounds
        model = onnx.load(path, load_external_data=False)
        total = path.stat().st_size
        for tensor in model.graph.initializer:
            if tensor.data_location != TensorProto.EXTERNAL:
                continue
            stored = contents.tensors.get(tensor.name)
            if stored is None:
                raise ValueError(f"{shown(tensor.name)} is in another file, but is not a weight")
            total += len(stored.values)
            if total > MAX_MESSAGE:
                raise InputError(f"{path}: more than 2 GB of weights")
            tensor.raw_data = bytes(stored.values)
            tensor.data_location = TensorProto.DEFAULT
            tensor.ClearField("external_data")
    check(model, str(path))
    return model


def check(model: ModelProto, title: str) -> None:
    """Refuse a model that is damaged, or that zoo cannot run within bounds.

    Args:
        model: The model.
        title: What to call it in an error.

    Raises:
        WeightsError: It is damaged.
        InputError: It has loops, or values that are too large.
    """
    with reporting_damage(title, "an ONNX model"):
        for graph in _graphs(model):
            for node in graph:
                if node.op_type in _LOOPS:
                    raise InputError(
                        f"{title}: it has {with_article(node.op_type)}; zoo compares networks "
                        "without loops"
                    )
        for tensor in _tensors(model):
            if tensor.data_location == TensorProto.EXTERNAL:
                raise UnreadableError(not_loaded(tensor))
        _check_nodes(model, title)
        onnx.checker.check_model(model)
        bare, _ = split(model, "beside")
        inferred = onnx.shape_inference.infer_shapes(bare, data_prop=True)
    for value in inferred.graph.value_info:
        sizes = [size.dim_value for size in value.type.tensor_type.shape.dim]
        if math.prod(max(size, 1) for size in sizes) > MAX_VALUES:
            raise InputError(f"{title}: its value {shown(value.name)} is too large: {sizes}")


def _check_nodes(model: ModelProto, title: str) -> None:
    """Refuse what ONNX's checker would report without saying where it is.

    Raises:
        InputError: The installed package ``onnx`` does not know an operation, or its version.
        UnreadableError: A node reads what nothing before it computes.
    """
    versions = {each.domain: each.version for each in model.opset_import}
    version, known = versions.get("", 1), onnx.defs.onnx_opset_version()
    if version > known:
        raise InputError(
            f"{title}: it needs version {version} of ONNX's operations, and onnx "
            f"{onnx.__version__} knows those up to {known}"
        )
    functions = {function.name for function in model.functions}
    sparse = (each.values.name for each in model.graph.sparse_initializer)
    there = {each.name for each in (*model.graph.input, *model.graph.initializer)} | {*sparse}
    for node in model.graph.node:
        place = f"the node {shown(node.name or ', '.join(node.output))}"
        # Those of other domains are known to engines alone.
        own = not node.domain and node.op_type not in functions
        if own and not onnx.defs.has(node.op_type, version, ""):
            raise InputError(
                f"{title}: {place} is {shown(node.op_type)}, which is no operation of ONNX's "
                f"version {version}"
            )
        for name in node.input:
            if name and name not in there:
                raise UnreadableError(
                    f"{place} reads {shown(name)}, which nothing before it computes"
                )
        there.update(node.output)


def run(model: ModelProto, name: str, x: Array) -> tuple[dict[str, Array], dict[str, Array]]:
    """Run a model as an engine does, and again to read the value of every operation.

    Args:
        model: The model.
        name: Its input.
        x: The input, in the model's own layout.

    Returns:
        Its outputs by name; and the name of each floating-point value -> the value.

    Raises:
        onnxruntime's errors: It cannot be run.
    """
    outputs = [value.name for value in model.graph.output]
    result = dict(zip(outputs, session(model, name, outputs)(x), strict=True))
    computed = (
        node.output[0]
        for node in model.graph.node
        if node.op_type != "Constant" and node.output and node.output[0]
    )
    wanted = [each for each in dict.fromkeys(computed) if each not in result]
    values = dict(zip(wanted, session(model, name, wanted)(x), strict=True)) if wanted else {}
    return result, {n: v for n, v in {**values, **result}.items() if _is_number(v)}


def _is_number(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"


def _graphs(model: ModelProto) -> Iterator[Iterable[Any]]:
    """Yield the nodes of every graph and function."""
    yield model.graph.node
    for function in model.functions:
        yield function.node
    for attribute in _attributes(model):
        for graph in _held(attribute):
            yield graph.node


def _tensors(model: ModelProto) -> Iterator[TensorProto]:
    """Yield every tensor, wherever it is."""
    graphs = [model.graph]
    for attribute in _attributes(model):
        yield attribute.t
        yield from attribute.tensors
        for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
            yield from (sparse.values, sparse.indices)
        graphs += _held(attribute)
    for graph in graphs:
        yield from graph.initializer
        for sparse in graph.sparse_initializer:
            yield from (sparse.values, sparse.indices)


def _attributes(model: ModelProto) -> Iterator[AttributeProto]:
    """Yield the attributes of all nodes, also of those in other attributes."""
    waiting = [model.graph.node, *(function.node for function in model.functions)]
    while waiting:
        for node in waiting.pop():
            for attribute in node.attribute:
                yield attribute
                waiting += [graph.node for graph in _held(attribute)]


def _held(attribute: AttributeProto) -> list[GraphProto]:
    graphs = list(attribute.graphs)
    return [*graphs, attribute.g] if attribute.HasField("g") else graphs
