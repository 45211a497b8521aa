"""Builds a graph as an ONNX model."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

import onnx
from onnx import TensorProto, helper, numpy_helper

import zoo
from zoo import arguments
from zoo.backend.base import Initial
from zoo.errors import BackendError, InputError, WeightsError
from zoo.graphs.graph import Graph
from zoo.graphs.serialization import plain
from zoo.onnx.operations import OPERATIONS
from zoo.onnx.writer import DTYPES, Layer, Writer
from zoo.ops.composite import opened
from zoo.weights.checking import shown
from zoo.weights.reading import metadata, zoo_onnx_file

#: The version of ONNX's operations, which ONNX Runtime and OpenVINO both take.
OPSET = 21
#: The oldest version that zoo writes; before it, the axes of reductions were no inputs.
OLDEST = 18
#: dtype -> the oldest version whose convolutions have it.
_SINCE = {"bfloat16": 22}
#: The name of the free dimension.
BATCH = "batch"
#: Operations that do nothing in evaluation.
_TRAINING_ONLY = ("dropout", "stochastic_depth")


def build(graph: Graph, draw: Initial, dtype: str, opset: int | None = None) -> onnx.ModelProto:
    """Build a graph.

    Args:
        graph: The network.
        draw: Returns each parameter's value, in the canonical layout and ``dtype``.
        dtype: ``float32``, ``float64``, ``float16`` or ``bfloat16``.
        opset: The version of ONNX's operations; see :func:`checked_opset`.

    Returns:
        A model with the input ``input`` [batch, C, H, W] and the outputs ``logits``, ``aux1`` and
        so on, in the graph's order. Its initializers have the canonical names. Its metadata is what
        zoo's files of weights have, and for readers ``source``, ``license``, ``preprocessing`` and
        ``classes``.
    """
    model = without_values(graph, dtype, checked_opset(opset, dtype))
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    for parameter in graph.parameters:
        # NumPy's own bytes: the class TensorProto would copy an array several times.
        tensors[parameter.name].raw_data = draw(parameter).tobytes()
    texts = texts_of(model)
    texts[zoo_onnx_file.SPEC_DIGEST] = zoo_onnx_file.spec_digest(texts)
    texts[zoo_onnx_file.DIGEST] = digest(model, texts)
    helper.set_model_props(model, texts)
    state_weights(model)
    return model


def checked_opset(opset: object, dtype: str) -> int:
    """Return a version of ONNX's operations that zoo writes.

    Args:
        opset: The version; None for the default one, which ONNX Runtime and OpenVINO take.
        dtype: The dtype of the model.

    Raises:
        InputError: zoo does not write it, or the package ``onnx`` does not know it.
    """
    oldest, newest = _SINCE.get(dtype, OLDEST), onnx.defs.onnx_opset_version()
    if opset is None:
        return max(OPSET, oldest)
    number = arguments.integer("opset", opset)
    if not oldest <= number <= newest:
        raise InputError(f"opset: expected {oldest} to {newest} for {dtype}, got {number}")
    return number


def without_values(graph: Graph, dtype: str, opset: int) -> onnx.ModelProto:
    """Build a graph whose parameters have shapes and no values."""
    element = DTYPES[dtype]
    writer = Writer(helper.tensor_dtype_to_np_dtype(element), opset)
    names = value_names(graph)
    for node in graph.nodes:
        inputs, value = [names[name] for name in node.inputs], names[node.name]
        if value not in inputs:  # else it is left out
            OPERATIONS[node.op](Layer(node, inputs, value, writer))
    initializers = [
        TensorProto(name=p.name, dims=p.shape, data_type=element) for p in graph.parameters
    ]
    initializers += [numpy_helper.from_array(a, n) for n, a in writer.constants.items()]

    def described(name: str, shape: tuple[int, ...]) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, element, [BATCH, *shape])

    outputs = {name: node.shape for name, node in graph.output_nodes.items()}
    inner = {names[n.name]: n.shape for n in graph.nodes if names[n.name] not in outputs}
    operations = [helper.make_opsetid("", opset)]
    model = helper.make_model(
        helper.make_graph(
            writer.nodes,
            graph.name,
            [described("input", graph.input_shape)],
            [described(name, shape) for name, shape in outputs.items()],
            initializers,
            value_info=[described(n, shape) for n, shape in inner.items() if n != "input"],
        ),
        producer_name="zoo",
        producer_version=zoo.__version__,
        ir_version=helper.find_min_ir_version_for(operations),
        opset_imports=operations,
    )
    helper.set_model_props(model, {**metadata.of(graph), **_for_readers(graph)})
    return model


def _for_readers(graph: Graph) -> dict[str, str]:
    """Return what users of other programs want to know, which zoo takes from the spec."""
    texts = {key: graph.origin[key] for key in ("source", "license") if graph.origin.get(key)}
    if graph.preprocessing:
        texts["preprocessing"] = json.dumps(plain(graph.preprocessing))
    if graph.classes:
        texts["classes"] = json.dumps(graph.classes, ensure_ascii=False)
    return texts


def value_names(graph: Graph) -> dict[str, str]:
    """Return the name in the model of the value of every node, of blocks and of ``input``.

    An output has its own name; a node that does nothing in evaluation has the value that it reads;
    every other one has the name of the node.
    """
    outputs = {node.name: name for name, node in graph.output_nodes.items()}
    taken = set(outputs.values())
    names = {"input": "input"}
    for node in graph.nodes:
        if node.name in outputs:
            names[node.name] = outputs[node.name]
        elif node.op in _TRAINING_ONLY:
            names[node.name] = names[node.inputs[0]]
        else:
            names[node.name] = f"{node.name}/value" if node.name in taken else node.name
        # A composite that is a block now is still read by its own name.
        block = node.name.rpartition(".")[0]
        while block and graph.node(block) is node:
            names[block] = names[node.name]
            block = block.rpartition(".")[0]
    return names


def texts_of(model: onnx.ModelProto) -> dict[str, str]:
    """Return the metadata of a model."""
    return {entry.key: entry.value for entry in model.metadata_props}


def state_weights(model: onnx.ModelProto) -> None:
    """Write the digest of the weights that a model has into its metadata."""
    values = (t.raw_data for t in model.graph.initializer if not zoo_onnx_file.is_constant(t.name))
    texts = texts_of(model)
    texts[zoo_onnx_file.WEIGHTS_DIGEST] = zoo_onnx_file.weights_digest(values)
    helper.set_model_props(model, texts)


def opset_of(model: onnx.ModelProto) -> int:
    """Return the version of ONNX's operations of a model; 0 if it states none."""
    return next((int(each.version) for each in model.opset_import if not each.domain), 0)


def digest(model: onnx.ModelProto, texts: Mapping[str, str]) -> str:
    """Return the digest of what makes a model besides its weights."""
    return zoo_onnx_file.digest_of(texts, (part for _, part in parts(model)))


def parts(model: onnx.ModelProto) -> Iterator[tuple[str, bytes]]:
    """Yield the parts of a model for its digest, each with what to call it."""
    network = model.graph
    for operations in model.opset_import:
        yield "the version of its operations", operations.SerializeToString()
    for function in model.functions:
        yield f"the function {function.name!r}", function.SerializeToString()
    for kind, values in (
        ("input", network.input),
        ("output", network.output),
        ("value", network.value_info),
        ("node", network.node),
    ):
        for value in values:
            yield f"the {kind} {value.name!r}", value.SerializeToString()
    for sparse in network.sparse_initializer:
        yield f"the initializer {sparse.values.name!r}", sparse.SerializeToString()
    for tensor in network.initializer:
        constant = zoo_onnx_file.is_constant(tensor.name)
        values = tensor.raw_data if constant else b""
        described = zoo_onnx_file.described(tensor.name, tensor.data_type, tensor.dims, values)
        yield f"the initializer {tensor.name!r}", described


def graph_of(model: onnx.ModelProto) -> Graph | None:
    """Return the graph that a model's metadata states; None if it states none.

    Raises:
        WeightsError: The model is not that network.
    """
    texts = texts_of(model)
    try:
        graph = metadata.graph(texts)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise WeightsError(
            f"the metadata of this ONNX model does not state a network: {error}"
        ) from None
    if graph is not None and digest(model, texts) != texts.get(zoo_onnx_file.DIGEST):
        check_loaded(model)
        _compare(model, graph)
    return graph


def check_loaded(model: onnx.ModelProto) -> None:
    """Refuse a model whose values are in another file.

    Raises:
        WeightsError: They are.
    """
    for tensor in model.graph.initializer:
        if tensor.data_location == TensorProto.EXTERNAL:
            raise WeightsError(not_loaded(tensor))


def not_loaded(tensor: TensorProto) -> str:
    """Say what to do about a tensor whose values are in another file."""
    places = [each.value for each in tensor.external_data if each.key == "location"]
    file = f", {shown(places[0])}," if places else ""
    return (
        f"the values of {shown(tensor.name)} are in another file{file} and have not been loaded; "
        "load the model from its file: onnx.load(path)"
    )


def _compare(model: onnx.ModelProto, graph: Graph) -> None:
    """Refuse a model that differs from a graph in anything but its weights.

    Raises:
        WeightsError: Names the first part that differs.
    """
    types = {value.type.tensor_type.elem_type for value in model.graph.input}
    dtypes = [name for name, number in DTYPES.items() if number in types]
    try:
        opset = checked_opset(opset_of(model), dtypes[0] if dtypes else "float32")
        expected = without_values(opened(graph, OPERATIONS), (dtypes or ["float32"])[0], opset)
    except (BackendError, InputError) as error:
        raise WeightsError(_DIFFERS.format(name=graph.name, what=f"({error})")) from None
    wanted, found = dict(parts(expected)), dict(parts(model))
    different = [name for name in (*wanted, *found) if wanted.get(name) != found.get(name)]
    if different:
        state = "is missing" if different[0] not in found else "differs"
        if different[0] not in wanted:
            state = "is no part of it"
        raise WeightsError(_DIFFERS.format(name=graph.name, what=f"{different[0]} {state}"))


_DIFFERS = (
    "this ONNX model is not the {name} that its metadata states: {what}. It was changed after zoo "
    "wrote it; build it anew, or use it as a model of another program, without its metadata: "
    "del model.metadata_props[:]"
)
