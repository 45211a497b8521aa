"""Reads the weights in the ONNX files that zoo wrote.

Such a file is a message of Protocol Buffers. Only the few of its fields that hold weights are
decoded, where they lie in the file, so that neither a framework nor the package ``onnx`` is needed.

The metadata holds the network as ``.safetensors`` does; the digests of the spec and of the weights;
and ``digest``, of all else that makes the network: options, nodes, shapes and constants. Digests
guard against accidents, and against tools that changed the network and not what the file says of
it; they are no signatures.
"""

from __future__ import annotations

import math
import mmap
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ml_dtypes  # noqa: F401  (registers bfloat16 with NumPy)
import numpy as np
import xxhash

from zoo.errors import WeightsError
from zoo.graphs.shapes import Shape
from zoo.weights import formats, metadata, pickles
from zoo.weights.checking import shown
from zoo.weights.checkpoint import Array, Checkpoint, Stored, reporting_damage

#: ONNX' number of a dtype -> dtype
DTYPES = {1: "float32", 7: "int64", 10: "float16", 11: "float64", 16: "bfloat16"}
#: The texts that state digests.
SPEC_DIGEST, WEIGHTS_DIGEST, DIGEST = "spec_digest", "weights_digest", "digest"

_KIND = "an ONNX model"
_MAX_FIELDS = 400_000  # of all messages that are decoded
_MAX_TEXTS = 10_000_000  # bytes of the metadata
#: In ONNX' messages: the numbers of the fields that are read.
_GRAPH, _OPERATIONS, _TEXTS, _FUNCTIONS = 7, 8, 14, 25
_NODES, _TENSORS, _INPUTS, _OUTPUTS, _VALUES, _SPARSE = 1, 5, 11, 12, 13, 15
_DIMENSIONS, _DTYPE, _NAME, _BYTES, _EXTERNAL, _LOCATION = 1, 2, 8, 9, 13, 14
_WIDTHS = {1: 8, 5: 4}  # kind of a field of Protocol Buffers -> bytes

Bytes = bytes | memoryview


def read(path: Path) -> Checkpoint:
    """Open an ONNX file that zoo wrote. Its arrays are read on demand.

    Use the checkpoint within ``with checkpoint.verified()``: it reports a damaged file as such.

    Raises:
        WeightsError: The file is damaged, or was not written by zoo.
    """
    with reporting_damage(path, _KIND):
        contents = _contents(path)
    texts = contents.texts
    if len({*metadata.KEYS, WEIGHTS_DIGEST} & texts.keys()) < 3:  # one may be damaged
        raise WeightsError(f"{path}: {formats.FOREIGN_ONNX}")

    def verify() -> None:
        if (
            contents.digest() != texts.get(DIGEST)
            or spec_digest(texts) != texts.get(SPEC_DIGEST)
            or contents.weights_digest() != texts.get(WEIGHTS_DIGEST)
        ):
            raise WeightsError(
                f"{path}: its nodes, weights and metadata do not fit together as zoo wrote them: "
                "the file is damaged, or another program changed it"
            )

    arrays = {tensor.name: tensor.stored for tensor in contents.weights}
    return metadata.checkpoint(path, texts, arrays, verify)


def arrays(path: Path) -> dict[str, Stored]:
    """Open the weights in an ONNX file that zoo wrote, for which it need not be the network stated.

    Raises:
        WeightsError: The file is damaged, or was not written by zoo.
    """
    checkpoint = read(path)
    checkpoint.verify()
    return dict(checkpoint.arrays)


def is_constant(name: str) -> bool:
    """Tell whether an initializer is a constant of an operation, such as ``norm1/alpha``."""
    return "/" in name  # which names of layers cannot have


def digest_of(texts: Mapping[str, str], parts: Iterable[Bytes]) -> str:
    """Return the digest of what makes a network besides its weights.

    Args:
        texts: The metadata.
        parts: The messages of the model, one after another, and what :func:`described` returns of
            each initializer.
    """
    return _digest([*(texts.get(key, "").encode() for key in metadata.KEYS), *parts])


def spec_digest(texts: Mapping[str, str]) -> str:
    """Return the digest of the spec in the metadata."""
    return _digest([texts.get("spec", "").encode()])


def weights_digest(values: Iterable[Bytes]) -> str:
    """Return the digest of the bytes of all weights, in the order of the file."""
    return _digest(values)


def described(name: str, dtype: int, shape: Sequence[int], values: Bytes) -> bytes:
    """Return what a network's digest needs of an initializer; the values, too, of constants."""
    head = f"{name} {dtype} {list(shape)} ".encode()
    return head + bytes(values) if is_constant(name) else head


def _digest(parts: Iterable[Bytes]) -> str:
    total = xxhash.xxh3_128()
    for part in parts:
        total.update(len(part).to_bytes(8, "little"))  # or what two parts share could move
        total.update(part)
    return total.hexdigest()


@dataclass(frozen=True)
class _Tensor:
    """An initializer: its bytes are in the file or in one beside it."""

    name: str
    dtype: int
    shape: Shape
    values: memoryview

    @property
    def stored(self) -> Stored:
        dtype = DTYPES[self.dtype]
        array: Array = np.frombuffer(self.values, dtype).reshape(self.shape)
        return Stored(self.shape, dtype, array.copy)


@dataclass
class _Contents:
    """The parts of a file that are read."""

    texts: dict[str, str] = field(default_factory=dict)
    messages: dict[int, list[memoryview]] = field(default_factory=dict)
    tensors: list[_Tensor] = field(default_factory=list)

    @property
    def weights(self) -> list[_Tensor]:
        return [tensor for tensor in self.tensors if not is_constant(tensor.name)]

    def digest(self) -> str:
        messages = (each for number in ORDER for each in self.messages.get(number, ()))
        tensors = (described(t.name, t.dtype, t.shape, t.values) for t in self.tensors)
        return digest_of(self.texts, [*messages, *tensors])

    def weights_digest(self) -> str:
        return weights_digest(tensor.values for tensor in self.weights)


#: The order in which a digest takes the messages of a model; those of the graph have their number.
ORDER = (-_OPERATIONS, -_FUNCTIONS, _INPUTS, _OUTPUTS, _VALUES, _NODES, _SPARSE)


def _contents(path: Path) -> _Contents:
    contents, reader = _Contents(), _Reader(path)
    graphs: list[memoryview] = []
    for number, value in reader.fields(reader.data):
        if number == _GRAPH:
            graphs.append(value)
        elif number in (_OPERATIONS, _FUNCTIONS):
            contents.messages.setdefault(-number, []).append(value)
        elif number == _TEXTS:
            key, text = reader.pair(value)
            contents.texts[key] = text
    if len(graphs) != 1:
        raise ValueError(f"it has {len(graphs)} graphs")
    for number, value in reader.fields(graphs[0]):
        if number == _TENSORS:
            contents.tensors.append(reader.tensor(value))
        elif number in ORDER:
            contents.messages.setdefault(number, []).append(value)
    if len({tensor.name for tensor in contents.tensors}) < len(contents.tensors):
        raise ValueError("two initializers have the same name")
    return contents


class _Reader:
    """Decodes messages where they lie, and counts what it has decoded."""

    def __init__(self, path: Path) -> None:
        self.path, self.data = path, _mapped(path)
        self.fields_left, self.text_left = _MAX_FIELDS, _MAX_TEXTS
        self.beside: dict[str, memoryview] = {}
        self.bytes_left = len(self.data)  # that tensors may have

    def fields(self, data: memoryview) -> Iterator[tuple[int, Any]]:
        """Yield the number and the value of each field: an integer, or the bytes of what it is."""
        place = 0
        while place < len(data):
            self.fields_left -= 1
            if self.fields_left < 0:
                raise ValueError(f"it has more than {_MAX_FIELDS:,} fields")
            key, place = _integer(data, place)
            value: Any
            match key & 7:
                case 0:
                    value, place = _integer(data, place)
                case 2:
                    size, place = _integer(data, place)
                    value, place = data[place : place + size], place + size
                case kind if kind in _WIDTHS:
                    value, place = data[place : place + _WIDTHS[kind]], place + _WIDTHS[kind]
                case _:
                    raise ValueError("a field is of no kind that there is")
            if place > len(data):
                raise ValueError("it ends within a field")
            yield key >> 3, value

    def pair(self, data: memoryview) -> tuple[str, str]:
        """Decode a name and its text."""
        self.text_left -= len(data)
        if self.text_left < 0:
            raise ValueError(f"it has more than {_MAX_TEXTS:,} bytes of metadata")
        found = {number: bytes(value).decode() for number, value in self.fields(data)}
        return found.get(1, ""), found.get(2, "")

    def tensor(self, data: memoryview) -> _Tensor:
        """Decode an initializer, whose bytes must be as many as its shape says."""
        shape: list[int] = []
        found: dict[int, Any] = {}
        texts: dict[str, str] = {}
        for number, value in self.fields(data):
            if number == _DIMENSIONS:
                shape += [value] if isinstance(value, int) else _integers(value)
            elif number == _EXTERNAL:
                key, text = self.pair(value)
                texts[key] = text
            else:
                found[number] = value
        name = bytes(found.get(_NAME, b"")).decode()
        dtype = DTYPES.get(found.get(_DTYPE, 0))
        if dtype is None:
            raise ValueError(f"{shown(name)} has a dtype that weights cannot have")
        pickles.check_shape(tuple(shape))
        size = math.prod(shape) * np.dtype(dtype).itemsize
        if found.get(_LOCATION):
            values = self.external(name, texts, size)
        else:
            values = found.get(_BYTES, memoryview(b""))
        self.bytes_left -= size
        if len(values) != size or self.bytes_left < 0:
            raise ValueError(f"the number of bytes of {shown(name)} does not match its shape")
        return _Tensor(name, found[_DTYPE], tuple(shape), values)

    def external(self, name: str, texts: Mapping[str, str], size: int) -> memoryview:
        """Return the bytes of a tensor that are in a file beside this one."""
        file = texts.get("location", "")
        if not re.fullmatch(r"[^/\\\0:]+", file) or file in (".", ".."):
            raise ValueError(f"the values of {shown(name)} are in no file beside it")
        if file not in self.beside:
            place = self.path.parent / file
            if place.resolve().parent != self.path.parent.resolve():
                raise ValueError(f"the values of {shown(name)} are in no file beside it")
            if not place.is_file():
                raise ValueError(f"{shown(file)}, where values of {shown(name)} are, is missing")
            self.beside[file] = _mapped(place)
            self.bytes_left += len(self.beside[file])
        start, length = int(texts.get("offset", "0")), int(texts.get("length", str(size)))
        if start < 0 or length != size or start + size > len(self.beside[file]):
            raise ValueError(f"the number of bytes of {shown(name)} does not match its shape")
        return self.beside[file][start : start + size]


def _mapped(path: Path) -> memoryview:
    with path.open("rb") as file:
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def _integers(data: memoryview) -> list[int]:
    """Decode integers that are packed into one field, of which no shape has many."""
    found: list[int] = []
    place = 0
    while place < len(data) and len(found) < 100:
        value, place = _integer(data, place)
        found.append(value)
    return found


def _integer(data: memoryview, place: int) -> tuple[int, int]:
    """Decode an integer of one to ten bytes, and return it with the place behind it."""
    value = shift = 0
    while shift < 70:
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
        shift += 7
    raise ValueError("an integer is too long")
