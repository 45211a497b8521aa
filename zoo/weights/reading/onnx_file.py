"""Reads the weights in ONNX files of other programs, under the names that their exporters wrote.

Weights are the initializers that operations with parameters read, and other arrays of numbers that
take part in the computation. The program decides what names cannot: whether the kernel of a linear
layer is [out, in] or [in, out] is stated by the operation that reads it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from zoo.weights.checking import shown
from zoo.weights.checkpoint import Stored, UnreadableError, reporting_damage
from zoo.weights.reading import protobuf
from zoo.weights.reading.onnx_messages import OtherDtypeError, Reader, Tensor
from zoo.weights.reading.protobuf import mapped

_KIND = "an ONNX model"
#: In ONNX's messages: the numbers of the fields that are read.
_GRAPH, _OPERATIONS = 7, 8
_NODES, _TENSORS, _GIVEN, _RETURNED = 1, 5, 11, 12
_INPUTS, _OUTPUTS, _NAME, _OP, _ATTRIBUTES = 1, 2, 3, 4, 5
_ATTRIBUTE, _FLOAT, _INTEGER, _TENSOR, _INTEGERS = 1, 2, 3, 5, 8

_MAX_AXES = 16

#: Operation -> the positions of the inputs that are its parameters.
PARAMETERS: Mapping[str, tuple[int, ...]] = {
    "Conv": (1, 2),
    "Gemm": (1, 2),
    "MatMul": (1,),
    "BatchNormalization": (1, 2, 3, 4),
    "LayerNormalization": (1, 2),
}


@dataclass(frozen=True)
class Operation:
    """An operation of a program: its name, what it reads and computes, and its attributes."""

    name: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Mapping[int, Any]]

    def integer(self, name: str) -> int:
        """Return an attribute, 0 if it is not given."""
        value = self.attributes.get(name, {}).get(_INTEGER, 0)
        return value if isinstance(value, int) else 0

    def number(self, name: str, default: float) -> float:
        """Return an attribute that is a float32."""
        value = self.attributes.get(name, {}).get(_FLOAT)
        return default if value is None else float(np.frombuffer(value, "<f4")[0])

    @property
    def settings(self) -> dict[str, Any]:
        """The attributes that are numbers, by name."""
        return {
            name: value
            for name, fields in sorted(self.attributes.items())
            for value in (
                self.number(name, 0) if _FLOAT in fields else fields.get(_INTEGER),
                fields[_INTEGERS],
            )
            if value not in (None, [])
        }


@dataclass(frozen=True)
class Value:
    """An input or an output of a program.

    Attributes:
        name: Its name.
        dtype: ONNX's number of its dtype; 0 if it is not stated.
        shape: Its sizes, None for a free one; None if they are not stated.
    """

    name: str
    dtype: int
    shape: tuple[int | None, ...] | None


@dataclass
class Contents:
    """What is read of a program."""

    operations: list[Operation] = field(default_factory=list)
    tensors: dict[str, Tensor] = field(default_factory=dict)
    others: dict[str, str] = field(default_factory=dict)  # of a dtype that weights cannot have
    inputs: list[Value] = field(default_factory=list)
    outputs: list[Value] = field(default_factory=list)


def arrays(path: Path) -> dict[str, Stored]:
    """Open the weights of an ONNX file that zoo did not write.

    Returns:
        Name in the file -> array. Kernels of convolutions are [out, in, h, w], and those of linear
        layers [out, in].

    Raises:
        WeightsError: The file is damaged, or its weights have no layout that is known.
    """
    with reporting_damage(path, _KIND):
        return weights(contents(mapped(path), path.parent))


def contents(data: memoryview, folder: Path | None) -> Contents:
    """Decode a program.

    Args:
        data: Its bytes.
        folder: The folder of files beside it; None if it is in none.

    Raises:
        ValueError: It is damaged.
    """
    reader, found = Reader(data, folder), Contents()
    numbers: set[int] = set()
    graphs: list[protobuf.Value] = []
    for number, value in reader.fields(data):
        numbers.add(number)
        if number == _GRAPH:
            graphs.append(value)
    if len(graphs) != 1 or not isinstance(graphs[0], memoryview):
        raise ValueError(f"it has {len(graphs) or 'no'} graph{'s' * (len(graphs) > 1)}")
    if _OPERATIONS not in numbers:
        raise ValueError("it states no version of its operations")
    for number, value in reader.fields(graphs[0]):
        if number == _TENSORS:
            _add(found, reader, value)
        elif number == _NODES:
            operation = _operation(reader, value)
            found.operations.append(operation)
            constant = operation.attributes.get("value", {}).get(_TENSOR)
            if operation.op == "Constant" and constant is not None and operation.outputs:
                _add(found, reader, constant, operation.outputs[0])
        elif number in (_GIVEN, _RETURNED):
            values = found.inputs if number == _GIVEN else found.outputs
            values.append(_value(reader, value))
    return found


def weights(found: Contents) -> dict[str, Stored]:
    """Return the weights of a program by their names, in canonical layouts.

    Raises:
        ValueError: The program uses an array in a way that leaves its layout open.
        UnreadableError: A parameter has a dtype that weights cannot have.
    """
    aliases = _aliases(found)
    named: dict[str, Stored] = {}
    turned: dict[str, bool] = {}
    for operation in found.operations:
        for place, name in enumerate(operation.inputs):
            tensor, transposed = aliases.get(name, (None, False))
            if name in found.others and place in PARAMETERS.get(operation.op, ()):
                raise UnreadableError(found.others[name])
            if tensor is None or operation.op in ("Identity", "Transpose"):
                continue
            is_parameter = place in PARAMETERS.get(operation.op, ())
            # Other arrays of numbers matter, too, unless they are a bound or a factor.
            if not is_parameter and (not tensor.shape or tensor.stored.dtype == "int64"):
                continue
            kernel = place == 1 and len(tensor.shape) == 2
            if operation.op == "Gemm":
                if operation.number("alpha", 1) != 1 or operation.number("beta", 1) != 1:
                    raise ValueError(f"{shown(name)} is scaled where it is used")
                transposed ^= kernel and not operation.integer("transB")
            elif operation.op == "MatMul":
                transposed ^= kernel
            if turned.setdefault(tensor.name, transposed) != transposed:
                raise ValueError(f"{shown(name)} is used in two layouts")
            named[tensor.name] = _transposed(tensor.stored) if transposed else tensor.stored
    return named


def _add(found: Contents, reader: Reader, message: protobuf.Value, name: str = "") -> None:
    try:
        tensor = reader.tensor(message, typed=True)
    except OtherDtypeError as error:  # integers, booleans, texts: no weights
        found.others[name or error.name] = str(error)
        return
    name = name or tensor.name
    if name in found.tensors:
        raise ValueError(f"two arrays are called {shown(name)}")
    # What a node holds is known by the name of its value.
    found.tensors[name] = Tensor(name, tensor.dtype, tensor.shape, tensor.values, tensor.numbers)


def _operation(reader: Reader, message: protobuf.Value) -> Operation:
    inputs: list[str] = []
    outputs: list[str] = []
    name = op = ""
    attributes: dict[str, Mapping[int, Any]] = {}
    for number, value in reader.fields(message):
        if number == _INPUTS:
            inputs.append(reader.text(value))
        elif number == _OUTPUTS:
            outputs.append(reader.text(value))
        elif number == _NAME:
            name = reader.text(value)
        elif number == _OP:
            op = reader.text(value)
        elif number == _ATTRIBUTES:
            fields = dict(_fields(reader, value))
            attributes[reader.text(fields.get(_ATTRIBUTE, memoryview(b"")))] = fields
    return Operation(name, op, tuple(inputs), tuple(outputs), attributes)


def _value(reader: Reader, message: protobuf.Value) -> Value:
    """Decode an input or an output: its name, and of a tensor its dtype and its shape."""
    stated = dict(reader.fields(message))
    name = reader.text(stated.get(1, memoryview(b"")))
    of_tensor = dict(reader.fields(stated.get(2, memoryview(b"")))).get(1, memoryview(b""))
    described = dict(reader.fields(of_tensor))
    stated_dtype = described.get(1)
    dtype = stated_dtype if isinstance(stated_dtype, int) else 0
    if 2 not in described:
        return Value(name, dtype, None)
    sizes = [dict(reader.fields(size)).get(1) for _, size in reader.fields(described[2])]
    if len(sizes) > _MAX_AXES:
        raise ValueError(f"{shown(name)} has {len(sizes)} axes")
    # A size of 0 or -1 is how some exporters write a free one.
    shape = (size if isinstance(size, int) and 0 < size < 2**31 else None for size in sizes)
    return Value(name, dtype, tuple(shape))


def _fields(reader: Reader, message: protobuf.Value) -> Iterator[tuple[int, Any]]:
    """Yield the fields of an attribute; integers as a list, packed or not."""
    listed: list[int] = []
    for number, value in reader.fields(message):
        if number == _INTEGERS:
            listed += reader.integers(value)
        else:
            yield number, value
    yield _INTEGERS, listed


def _aliases(found: Contents) -> dict[str, tuple[Tensor, bool]]:
    """Return the arrays by every name that the program gives them, and whether it turns them.

    Exporters write arrays of equal values once, and give them further names.
    """
    known = {name: (tensor, False) for name, tensor in found.tensors.items()}
    for operation in found.operations:
        if operation.op not in ("Identity", "Transpose") or len(operation.outputs) != 1:
            continue
        tensor, turned = known.get(next(iter(operation.inputs), ""), (None, False))
        if tensor is None:
            continue
        if operation.op == "Transpose":
            stated = operation.attributes.get("perm", {}).get(_INTEGERS, [])
            if len(tensor.shape) != 2 or stated not in ([], [1, 0]):
                continue
            turned = not turned
        name = operation.outputs[0]
        # The further name is that of the layer; a turned kernel has only its own.
        own = tensor.name if operation.op == "Transpose" else name
        named = Tensor(own, tensor.dtype, tensor.shape, tensor.values, tensor.numbers)
        known.setdefault(name, (named, turned))
    return known


def _transposed(stored: Stored) -> Stored:
    rows, columns = stored.shape
    return Stored((columns, rows), stored.dtype, lambda: stored.read().T.copy())
