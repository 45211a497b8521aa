"""Runs ONNX models on NumPy arrays."""

from __future__ import annotations

import itertools
import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import onnx
import xxhash
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

from zoo.backend.base import Array
from zoo.errors import BackendError, InputError
from zoo.graphs.graph import Graph
from zoo.onnx import engines
from zoo.onnx.files import split
from zoo.onnx.model import check_loaded, parts, value_names
from zoo.onnx.operations import OPERATIONS
from zoo.ops.composite import opened

#: The dtypes that ONNX Runtime computes in on a CPU; ONNX's own reference computes in the others.
_OF_RUNTIME = (TensorProto.FLOAT, TensorProto.FLOAT16)
_MAX_SESSIONS = 4

Session = Callable[[Array], list[Array]]


def observe(
    model: onnx.ModelProto, x: Array, names: Sequence[str], graph: Graph | None
) -> tuple[Any, dict[str, list[Array]]]:
    """Run a model and record the values of its nodes; see :class:`zoo.backend.base.Backend`."""
    check_loaded(model)
    outputs = [value.name for value in model.graph.output]
    known = values_of(model, graph) if names else {}
    values = {name: known[name] for name in names if name in known}
    given = _input(model)
    element = given.type.tensor_type.elem_type
    wanted = dict.fromkeys([*outputs, *values.values()])
    wanted.pop(given.name, None)
    _check_size(model, given, x)
    x = x.astype(helper.tensor_dtype_to_np_dtype(element))
    run = _in_runtime if element in _OF_RUNTIME else _in_reference
    try:
        computed = dict(zip(wanted, run(model, given.name, list(wanted), x), strict=True))
    except (BackendError, ImportError):
        raise
    except Exception as error:  # an engine may raise anything
        reason = str(error).strip().partition("\n")[0][:300]
        raise BackendError(f"this ONNX model cannot be run: {reason}") from error
    computed[given.name] = x
    result = {name: _readable(computed[name]) for name in outputs}
    plain = result if len(result) > 1 else result[outputs[0]]
    return plain, {name: [_readable(computed[value])] for name, value in values.items()}


def _readable(value: Array) -> Array:
    """Return an array, bfloat16 as float32, which NumPy has itself."""
    return value.astype(np.float32) if value.dtype.name == "bfloat16" else value


def values_of(model: onnx.ModelProto, graph: Graph | None) -> dict[str, str]:
    """Return the name of the value of each node, by its path, and of what the graph calls a node.

    Of the latter, several may have the same value: a dropout has that of what it reads.
    """
    known = {node.name: node.output[0] for node in model.graph.node if node.name}
    return known if graph is None else known | value_names(opened(graph, OPERATIONS))


def _input(model: onnx.ModelProto) -> onnx.ValueInfoProto:
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in constants]
    if len(inputs) != 1 or not model.graph.output:
        raise BackendError(
            f"expected an ONNX model of one input and at least one output, got {len(inputs)} and "
            f"{len(model.graph.output)}"
        )
    given: onnx.ValueInfoProto = inputs[0]
    return given


def _check_size(model: onnx.ModelProto, given: onnx.ValueInfoProto, x: Array) -> None:
    """Refuse an input of another shape than the model states."""
    stated = [dimension.dim_value for dimension in given.type.tensor_type.shape.dim]
    free = [n or m for n, m in zip(stated, x.shape, strict=False)]
    if stated and free != list(x.shape):
        expected = ", ".join(str(n) if n else "N" for n in stated)
        raise InputError(
            f"{model.graph.name} was built for inputs [{expected}], got {list(x.shape)}; in ONNX "
            f"its size is fixed: build it with input_size={x.shape[2:]}"
        )


def _in_reference(
    model: onnx.ModelProto, name: str, outputs: Sequence[str], x: Array
) -> Sequence[Any]:
    evaluator = ReferenceEvaluator(model, new_ops=[Erf, Gelu])
    return list(evaluator.run(list(outputs), {name: x}))


class Erf(OpRun):
    """The error function in the precision of its input; ONNX's own reference has it in float32."""

    op_domain = ""

    def _run(self, x: Array) -> tuple[Array]:
        return (_erf(x),)


class Gelu(OpRun):
    """GELU of that error function."""

    op_domain = ""

    def _run(self, x: Array, approximate: str = "none") -> tuple[Array]:
        if approximate == "tanh":
            share = np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))
        else:
            share = _erf(x / math.sqrt(2))
        return ((x * (1 + share) / 2).astype(x.dtype),)


def _erf(x: Array) -> Array:
    values: Array = np.vectorize(math.erf, otypes=[np.float64])(x)
    return values.astype(x.dtype)


# What a ModelProto holds can be changed at any time, and it tells nobody. Its bytes are the only
# sign, and to copy and hash them takes a tenth of the time that a network takes. So the session
# that the model had last is run at once by another thread, while this one looks whether it is the
# right one. (Not the other way round: a thread that hashes would keep the run from starting.)

#: Digest of a network with its weights, and its outputs -> session; the last used at the end.
_sessions: OrderedDict[tuple[str, ...], Session] = OrderedDict()
#: Identity of a model, and outputs -> the key of its last session: a guess, which is checked.
_guesses: dict[tuple[int, tuple[str, ...]], tuple[str, ...]] = {}
_lock = threading.Lock()


def _in_runtime(
    model: onnx.ModelProto, name: str, outputs: Sequence[str], x: Array
) -> Sequence[Any]:
    place = (id(model), (name, *outputs))
    with _lock:
        guess = _guesses.get(place)
        held = _sessions.get(guess) if guess else None
    with ThreadPoolExecutor(1) as pool:
        result = pool.submit(held, x) if held else None
        key = (_digest_of(model), *place[1])
    if result is None or key != guess:
        with _lock:
            held = _sessions.get(key)
        held = held or session(model, name, outputs)
        values = held(x)
    else:
        values = result.result()
    assert held
    with _lock:
        _sessions[key] = held
        _sessions.move_to_end(key)
        while len(_sessions) > _MAX_SESSIONS:
            _sessions.popitem(last=False)
        if len(_guesses) > 2 * _MAX_SESSIONS:
            _guesses.clear()
        _guesses[place] = key
    return values


def _digest_of(model: onnx.ModelProto) -> str:
    """Return a digest of everything that a model computes with."""
    weights = map(_bytes, model.graph.initializer)
    return _digest(itertools.chain((part for _, part in parts(model)), weights))


def session(model: onnx.ModelProto, name: str, outputs: Sequence[str]) -> Session:
    """Start ONNX Runtime for a model.

    Args:
        model: The model.
        name: Its input.
        outputs: The values to compute, outputs or others.

    Returns:
        A function of the input that returns these values.

    Raises:
        BackendError: ONNX Runtime is not installed.
    """
    try:
        onnxruntime = engines.onnxruntime()
    except ImportError:
        raise BackendError(
            "to run ONNX models, zoo needs ONNX Runtime: python -m pip install onnxruntime"
        ) from None
    # A message has at most 2 GB, so the weights come beside it.
    bare, arrays = split(model, "beside")
    known = {value.name for value in bare.graph.output}
    missing = (each for each in outputs if each not in known)
    bare.graph.output.extend(map(helper.make_empty_tensor_value_info, missing))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors; it warns of initializers that it leaves out
    values = [onnxruntime.OrtValue.ortvalue_from_numpy(array) for array in arrays.values()]
    options.add_external_initializers(list(arrays), values)
    engine = onnxruntime.InferenceSession(
        bare.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return lambda x: list(engine.run(list(outputs), {name: x}))


def _bytes(tensor: onnx.TensorProto) -> bytes:
    """Return the values of a tensor, in whichever of its fields they are."""
    return tensor.raw_data or tensor.SerializeToString()


def _digest(values: Iterable[bytes]) -> str:
    total = xxhash.xxh3_128()
    for value in values:
        total.update(len(value).to_bytes(8, "little"))
        total.update(value)
    return total.hexdigest()
