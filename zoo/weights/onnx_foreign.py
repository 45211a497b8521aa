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

from zoo.weights.checking import shown
from zoo.weights.checkpoint import Stored, reporting_damage
from zoo.weights.onnx_messages import OtherDtypeError, Reader, Tensor, integers, mapped

_KIND = "an ONNX model"
#: In ONNX' messages: the numbers of the fields that are read.
_GRAPH, _OPERATIONS = 7, 8
_NODES, _TENSORS = 1, 5
_INPUTS, _OUTPUTS, _OP, _ATTRIBUTES = 1, 2, 4, 5
_ATTRIBUTE, _FLOAT, _INTEGER, _TENSOR, _INTEGERS = 1, 2, 3, 5, 8

#: Operation -> the positions of the inputs that are its parameters.
PARAMETERS: Mapping[str, tuple[int, ...]] = {
    "Conv": (1, 2),
    "Gemm": (1, 2),
    "MatMul": (1,),
    "BatchNormalization": (1, 2, 3, 4),
    "LayerNormalization": (1, 2),
}
_ONE = (b"", b"\x00\x00\x80?")  # the float 1, which is also what is not written


@dataclass(frozen=True)
class Operation:
    """An operation of a program, as far as the layout of weights depends on it."""

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Mapping[int, Any]]

    def integer(self, name: str) -> int:
        """Return an attribute, 0 if it is not given."""
        value = self.attributes.get(name, {}).get(_INTEGER, 0)
        return value if isinstance(value, int) else 0

    def is_one(self, name: str) -> bool:
        """Tell whether an attribute is 1, as it is if it is not given."""
        return bytes(self.attributes.get(name, {}).get(_FLOAT, b"")) in _ONE


@dataclass
class Contents:
    """What is read of a program."""

    operations: list[Operation] = field(default_factory=list)
    tensors: dict[str, Tensor] = field(default_factory=dict)


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
    graphs: list[memoryview] = []
    for number, value in reader.fields(data):
        numbers.add(number)
        if number == _GRAPH:
            graphs.append(value)
    if len(graphs) != 1 or not isinstance(graphs[0], memoryview) or _OPERATIONS not in numbers:
        raise ValueError(f"it has {len(graphs)} graphs, or states no version of its operations")
    for number, value in reader.fields(graphs[0]):
        if number == _TENSORS:
            _add(found, reader, value)
        elif number == _NODES:
            operation = _operation(reader, value)
            found.operations.append(operation)
            constant = operation.attributes.get("value", {}).get(_TENSOR)
            if operation.op == "Constant" and constant is not None and operation.outputs:
                _add(found, reader, constant, operation.outputs[0])
    return found


def weights(found: Contents) -> dict[str, Stored]:
    """Return the weights of a program by their names, in canonical layouts.

    Raises:
        ValueError: The program uses an array in a way that leaves its layout open.
    """
    aliases = _aliases(found)
    named: dict[str, Stored] = {}
    turned: dict[str, bool] = {}
    for operation in found.operations:
        for place, name in enumerate(operation.inputs):
            tensor, transposed = aliases.get(name, (None, False))
            if tensor is None or operation.op in ("Identity", "Transpose"):
                continue
            is_parameter = place in PARAMETERS.get(operation.op, ())
            # Other arrays of numbers matter, too, unless they are a bound or a factor.
            if not is_parameter and (not tensor.shape or tensor.stored.dtype == "int64"):
                continue
            if place == 0 and operation.op in ("Gemm", "MatMul"):
                raise ValueError(f"{shown(name)} is multiplied from the left; it is no kernel")
            kernel = place == 1 and len(tensor.shape) == 2
            if operation.op == "Gemm":
                if not (operation.is_one("alpha") and operation.is_one("beta")):
                    raise ValueError(f"{shown(name)} is scaled where it is used")
                transposed ^= kernel and not operation.integer("transB")
            elif operation.op == "MatMul":
                transposed ^= kernel
            if turned.setdefault(tensor.name, transposed) != transposed:
                raise ValueError(f"{shown(name)} is used in two layouts")
            named[tensor.name] = _transposed(tensor.stored) if transposed else tensor.stored
    return named


def _add(found: Contents, reader: Reader, message: memoryview, name: str = "") -> None:
    try:
        tensor = reader.tensor(message, typed=True)
    except OtherDtypeError:  # integers, booleans, texts: no weights
        return
    name = name or tensor.name
    if name in found.tensors:
        raise ValueError(f"two arrays are called {shown(name)}")
    # What a node holds is known by the name of its value.
    found.tensors[name] = Tensor(name, tensor.dtype, tensor.shape, tensor.values, tensor.numbers)


def _operation(reader: Reader, message: memoryview) -> Operation:
    inputs: list[str] = []
    outputs: list[str] = []
    op = ""
    attributes: dict[str, Mapping[int, Any]] = {}
    for number, value in reader.fields(message):
        if number == _INPUTS:
            inputs.append(reader.text(value))
        elif number == _OUTPUTS:
            outputs.append(reader.text(value))
        elif number == _OP:
            op = reader.text(value)
        elif number == _ATTRIBUTES:
            fields = dict(_fields(reader, value))
            attributes[reader.text(fields.get(_ATTRIBUTE, memoryview(b"")))] = fields
    return Operation(op, tuple(inputs), tuple(outputs), attributes)


def _fields(reader: Reader, message: memoryview) -> Iterator[tuple[int, Any]]:
    """Yield the fields of an attribute; integers as a list, packed or not."""
    listed: list[int] = []
    for number, value in reader.fields(message):
        if number == _INTEGERS:
            listed += [value] if isinstance(value, int) else integers(value)
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
