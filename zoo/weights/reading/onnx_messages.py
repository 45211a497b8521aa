"""Decodes the messages of ONNX files where they lie, without the package ``onnx``.

An ONNX file is a message of Protocol Buffers. Only what a caller asks for is decoded, and what is
decoded is counted, so that no file costs more than its size allows. Tensors may have their values
in a file beside it: in the same folder, never elsewhere.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ml_dtypes  # noqa: F401  (registers bfloat16 with NumPy)
import numpy as np

from zoo.graphs.shapes import Shape
from zoo.weights.checking import shown
from zoo.weights.checkpoint import Array, Stored, UnreadableError
from zoo.weights.reading import pickles, protobuf
from zoo.weights.reading.protobuf import Value, mapped

#: ONNX's number of a dtype -> dtype
DTYPES = {1: "float32", 7: "int64", 10: "float16", 11: "float64", 16: "bfloat16"}

#: In a tensor: the numbers of the fields that are read.
_DIMENSIONS, _DTYPE, _NAME, _BYTES, _EXTERNAL, _LOCATION = 1, 2, 8, 9, 13, 14

#: dtype -> the field of a tensor that has its values where not bytes, and the dtype in that field;
#: None if they are integers of variable length.
_TYPED = {
    "float32": (4, "<f4"),
    "float64": (10, "<f8"),
    "float16": (5, None),
    "bfloat16": (5, None),
    "int64": (7, None),
}

Bytes = bytes | memoryview


@dataclass(frozen=True)
class Tensor:
    """A tensor whose values are read on demand.

    Attributes:
        name: Its name.
        dtype: ONNX's number of its dtype.
        shape: Its shape.
        values: Its bytes, in the file or in one beside it; or a field of numbers.
        numbers: Returns these numbers as an array, not yet in its shape; None if they are bytes.
    """

    name: str
    dtype: int
    shape: Shape
    values: memoryview
    numbers: Callable[[], Array] | None = None

    @property
    def stored(self) -> Stored:
        """The tensor as an array of a file."""
        return Stored(self.shape, DTYPES[self.dtype], self.read)

    def read(self) -> Array:
        """Return its values in newly allocated memory."""
        if self.numbers is not None:
            array: Array = self.numbers().reshape(self.shape)
            return array
        return np.frombuffer(self.values, DTYPES[self.dtype]).reshape(self.shape).copy()


class OtherDtypeError(ValueError):
    """A tensor has a dtype that weights cannot have.

    Args:
        name: Its name.
        number: ONNX's number of the dtype.
    """

    def __init__(self, name: str, number: object) -> None:
        super().__init__(
            f"{shown(name)} has values of ONNX's data type {shown(number)}, not floating-point "
            "numbers"
        )
        self.name = name


class Reader(protobuf.Reader):
    """Decodes messages where they lie, and counts what it has decoded.

    Args:
        data: The bytes of the file.
        folder: The folder that files beside it may be in; None if there is none.
    """

    def __init__(self, data: memoryview, folder: Path | None) -> None:
        super().__init__()
        self.data, self.folder = data, folder
        self.beside: dict[str, memoryview] = {}
        self.bytes_left = len(data)  # that tensors may have

    def pair(self, value: Value) -> tuple[str, str]:
        """Decode a name and its text."""
        found = {number: self.text(text) for number, text in self.fields(value)}
        return found.get(1, ""), found.get(2, "")

    def tensor(self, data: Value, typed: bool = False) -> Tensor:
        """Decode a tensor, whose values must be as many as its shape says.

        Args:
            data: Its message.
            typed: Whether its values may be in a field of numbers.

        Raises:
            OtherDtypeError: It has a dtype that weights cannot have.
        """
        shape: list[int] = []
        found: dict[int, Any] = {}
        texts: dict[str, str] = {}
        for number, value in self.fields(data):
            if number == _DIMENSIONS:
                shape += self.integers(value)
                pickles.check_shape(tuple(shape))  # at once: it may have any number of fields
            elif number == _EXTERNAL:
                key, text = self.pair(value)
                texts[key] = text
            else:
                found[number] = value
        name = self.text(found.get(_NAME, memoryview(b"")))
        dtype = DTYPES.get(found.get(_DTYPE, 0))
        if dtype is None:
            raise OtherDtypeError(name, found.get(_DTYPE, 0))
        kind = np.dtype(dtype)
        size = math.prod(shape) * kind.itemsize
        if typed and not found.get(_LOCATION) and _BYTES not in found:
            return self._of_numbers(name, found, tuple(shape), size)
        if found.get(_LOCATION):
            values = self._external(name, texts, size)
        else:
            values = found.get(_BYTES, memoryview(b""))
        self.bytes_left -= size
        if len(values) != size or self.bytes_left < 0:
            raise ValueError(_WRONG_SIZE.format(name=shown(name)))
        return Tensor(name, found[_DTYPE], tuple(shape), values)

    def _of_numbers(self, name: str, found: Mapping[int, Any], shape: Shape, size: int) -> Tensor:
        """Return a tensor whose values are numbers of a field, packed as exporters write them."""
        kind = np.dtype(DTYPES[found[_DTYPE]])
        field, packed = _TYPED[kind.name]
        data = found.get(field, memoryview(b""))
        if isinstance(data, int):  # one number, which needs no packing
            data = memoryview(bytes(_written(data)))
        self.bytes_left -= len(data)
        count = size // kind.itemsize
        fits = len(data) == size if packed else len(_ends(data)) == count
        if not fits or self.bytes_left < 0:
            raise ValueError(_WRONG_SIZE.format(name=shown(name)))

        def numbers() -> Array:
            if packed:
                return np.frombuffer(data, packed).astype(kind)
            values = unpacked(data)
            if kind.name == "int64":
                return values.view(np.int64)
            return values.astype(np.uint16).view(kind)

        return Tensor(name, found[_DTYPE], shape, data, numbers)

    def _external(self, name: str, texts: Mapping[str, str], size: int) -> memoryview:
        """Return the bytes of a tensor that are in a file beside this one."""
        file = texts.get("location", "")
        if self.folder is None:
            raise UnreadableError(
                f"the values of {shown(name)} are in another file, and have not been loaded"
            )
        if file not in self.beside:
            self.beside[file] = _beside(self.folder, file, name)
            self.bytes_left += len(self.beside[file])
        start = _number(texts, "offset", 0, name)
        length = _number(texts, "length", size, name)
        if start < 0 or length != size or start + size > len(self.beside[file]):
            raise ValueError(_WRONG_SIZE.format(name=shown(name)))
        return self.beside[file][start : start + size]


def _beside(folder: Path, file: str, name: str) -> memoryview:
    """Return the contents of a file in a folder that has the values of a tensor.

    Raises:
        UnreadableError: There is no such file, or it is not in that folder itself.
    """
    values = f"the values of {shown(name)}"
    named = re.fullmatch(r"[^/\\\0:]+", file) and file not in (".", "..")
    place = folder / file if named else folder
    if not named or place.resolve().parent != folder.resolve():
        raise UnreadableError(
            f"{values} are in {shown(file)!r}, and zoo reads only files in the folder of the "
            "model; save it with such a file: onnx.save(model, path, save_as_external_data=True, "
            "location='weights.data')"
        )
    if not place.is_file():
        raise UnreadableError(f"{shown(file)}, which has {values}, is missing; put it beside it")
    try:
        return mapped(place) if place.stat().st_size else memoryview(b"")
    except OSError as error:
        raise UnreadableError(f"{shown(file)}, which has {values}: {error.strerror}") from None


def _number(texts: Mapping[str, str], key: str, default: int, name: str) -> int:
    """Return a number that says where in a file the values of a tensor are."""
    text = texts.get(key, str(default))
    if not re.fullmatch(r"[0-9]{1,18}", text, re.ASCII):
        raise ValueError(f"the {key} of the values of {shown(name)} is {shown(text)!r}")
    return int(text)


_WRONG_SIZE = "the number of bytes of {name} does not match its shape"


def unpacked(data: memoryview) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    """Decode any number of integers of variable length, each of at most ten bytes.

    Example:
        >>> unpacked(memoryview(bytes([1, 0x80, 1])))
        array([  1, 128], dtype=uint64)
    """
    raw, ends = np.frombuffer(data, np.uint8), _ends(data)
    lengths = np.diff(ends, prepend=-1)
    starts = ends - lengths + 1
    values = np.zeros(len(ends), np.uint64)
    for byte in range(int(lengths.max(initial=0))):
        has = lengths > byte
        part = (raw[starts[has] + byte] & 0x7F).astype(np.uint64)
        values[has] |= part << np.uint64(7 * byte)
    return values


def _ends(data: memoryview) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Return where integers of variable length end.

    Raises:
        ValueError: One does not end, or is too long.
    """
    raw = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(raw < 0x80)
    if len(raw) and (not len(ends) or ends[-1] != len(raw) - 1):
        raise ValueError("it ends within an integer")
    if np.diff(ends, prepend=-1).max(initial=0) > 10:
        raise ValueError("an integer is too long")
    return ends


def _written(value: int) -> Iterator[int]:
    while value >= 0x80:
        yield value & 0x7F | 0x80
        value >>= 7
    yield value
