"""Reads the variables in TensorFlow's checkpoints, without TensorFlow.

Version 2 has an index, ``.index``, of arrays that are in one file or several, ``.data-?-of-?``.
Version 1 is one file, ``.ckpt``. Both are tables of messages, and both have checksums of all that
is in them, which are verified.

Source: https://github.com/tensorflow/tensorflow, tensorflow/core/protobuf/tensor_bundle.proto and
tensorflow/core/util/saved_tensor_slice.proto
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import ml_dtypes  # noqa: F401  (registers bfloat16 with NumPy)
import numpy as np

from zoo.errors import WeightsError
from zoo.graphs.shapes import Shape
from zoo.weights.checking import shown
from zoo.weights.checkpoint import Array, Stored, reporting_damage
from zoo.weights.reading import crc32c, pickles, protobuf, sstable
from zoo.weights.reading.protobuf import Reader, Value, message

#: The end of the name of the index of a checkpoint.
INDEX = ".index"

#: What to do with a checkpoint whose arrays do not have the names of variables.
OF_OBJECTS = (
    "a TensorFlow checkpoint of objects, in which layers have no names; load it into the Keras "
    "model that saved it, and call model.save_weights('w.weights.h5')"
)

_KIND = "a TensorFlow checkpoint"
_OBJECTS = b"_CHECKPOINTABLE_OBJECT_GRAPH"
_MAX_FIELDS = 200_000  # of all messages; a variable has about ten
_MAX_SHARDS = 1_000
_MAX_INTEGERS = 10_000  # of an array in a file of version 1

#: TensorFlow's number of a dtype -> dtype
_DTYPES = {
    1: "float32", 2: "float64", 3: "int32", 4: "uint8", 5: "int16", 6: "int8", 9: "int64",
    10: "bool", 14: "bfloat16", 17: "uint16", 19: "float16",
}  # fmt: skip
_STRING = 7

# Numbers of fields, by message.
_SHARDS, _ENDIANNESS = 1, 2  # of BundleHeaderProto
_DTYPE, _SHAPE, _SHARD, _OFFSET, _SIZE, _CHECKSUM, _SLICES = 1, 2, 3, 4, 5, 6, 7  # BundleEntryProto
_META, _DATA = 1, 2  # of SavedTensorSlices
_TENSORS = 1  # of SavedTensorSliceMeta
_NAME, _META_SHAPE, _META_DTYPE, _META_SLICE = 1, 2, 3, 4  # of SavedSliceMeta
_VALUES = 3  # of SavedSlice
_DIMENSION, _UNKNOWN = 2, 3  # of TensorShapeProto
_CONTENT = 4  # of TensorProto: the bytes of any dtype
_FLOATS, _DOUBLES = 5, 6
_INTEGER_FIELDS = {3: 7, 4: 7, 5: 7, 6: 7, 17: 7, 9: 10, 10: 11, 19: 13}  # dtype -> field


def read(path: Path) -> dict[str, Stored]:
    """Open a checkpoint of version 1 or 2.

    Args:
        path: The file, or the index.

    Returns:
        Name -> array, with ``.`` in place of ``/`` in names. Texts are left out.

    Raises:
        WeightsError: The checkpoint is damaged or incomplete, or holds something else.
    """
    with reporting_damage(path, _KIND):
        data = protobuf.mapped(path)
        reader = Reader(_MAX_FIELDS)
        entries = list(sstable.entries(data))
        if not entries or entries[0].key:
            raise ValueError("it does not begin as a checkpoint does")
        first, *rest = entries
        if any(entry.key == _OBJECTS for entry in rest):
            raise WeightsError(f"{path}: {OF_OBJECTS}")
        _verify([first])
        fields = _fields(reader, first.value)
        if _META in fields and not isinstance(fields[_META], int):
            return _named(_of_slices(path, reader, message(fields[_META]), rest))
        _verify(rest)
        return _named(_of_bundle(path, reader, fields, rest))


def _verify(entries: Iterable[sstable.Entry]) -> None:
    for entry in entries:
        entry.verify()


def _named(arrays: Iterable[tuple[str, Stored]]) -> dict[str, Stored]:
    found: dict[str, Stored] = {}
    for name, array in arrays:
        if found.setdefault(name.replace("/", "."), array) is not array:
            raise ValueError(f"two variables have the name {shown(name)}")
    return found


def _fields(reader: Reader, data: memoryview) -> dict[int, Value]:
    """Decode a message, none of whose fields is repeated."""
    return dict(reader.fields(data))


class _Entry(NamedTuple):
    """Where a variable is, as an index says."""

    name: str
    dtype: str
    shape: Shape
    shard: int
    offset: int
    size: int
    checksum: memoryview


def _of_bundle(
    path: Path, reader: Reader, header: Mapping[int, Value], rest: Iterable[sstable.Entry]
) -> Iterable[tuple[str, Stored]]:
    """Yield the variables of a checkpoint of version 2."""
    count = header.get(_SHARDS, 0)
    if not isinstance(count, int) or not 0 < count <= _MAX_SHARDS:
        raise ValueError("the number of its files is not valid")
    if header.get(_ENDIANNESS):
        raise ValueError("it was saved on a big-endian machine")
    shards: dict[int, memoryview] = {}
    left = 0
    for each in rest:
        entry = _entry(reader, each)
        if entry is None:
            continue
        if entry.shard not in shards:
            shards[entry.shard] = _shard(path, entry.shard, count)
            left += len(shards[entry.shard])
        left -= entry.size
        data = shards[entry.shard]
        if left < 0 or entry.offset + entry.size > len(data):
            raise ValueError(f"{shown(entry.name)} lies outside its file")
        values = data[entry.offset : entry.offset + entry.size]
        yield entry.name, Stored(entry.shape, entry.dtype, _reading(path, entry, values))


def _entry(reader: Reader, each: sstable.Entry) -> _Entry | None:
    """Decode an entry of an index; None for texts, and for parts of a variable."""
    if each.key.startswith(b"\0"):
        return None
    name = each.key.decode()
    fields = _fields(reader, each.value)
    if _SLICES in fields:
        raise ValueError(f"{shown(name)} is saved in parts, which zoo does not join")
    if fields.get(_DTYPE) == _STRING:
        return None
    dtype = _dtype(name, fields.get(_DTYPE, 0))
    shape = _shape(reader, name, fields.get(_SHAPE))
    shard, offset, size = (fields.get(key, 0) for key in (_SHARD, _OFFSET, _SIZE))
    checksum = message(fields.get(_CHECKSUM, memoryview(bytes(4))))
    if not (isinstance(shard, int) and isinstance(offset, int) and isinstance(size, int)):
        raise ValueError(f"the location of {shown(name)} is not valid")
    if size != math.prod(shape) * np.dtype(dtype).itemsize or len(checksum) != 4:
        raise ValueError(f"the number of bytes of {shown(name)} does not match its shape")
    return _Entry(name, dtype, shape, shard, offset, size, checksum)


def _dtype(name: str, number: Value) -> str:
    dtype = _DTYPES.get(number) if isinstance(number, int) else None
    if dtype is None:
        raise ValueError(f"{shown(name)} has a dtype that weights cannot have")
    return dtype


def _shape(reader: Reader, name: str, value: Value | None) -> Shape:
    sizes: list[int] = []
    for number, inner in reader.fields(message(value)) if value is not None else ():
        if number == _UNKNOWN:
            raise ValueError(f"{shown(name)} has no shape")
        if number == _DIMENSION:
            size = _fields(reader, message(inner)).get(1, 0)
            sizes.append(size if isinstance(size, int) else -1)
    pickles.check_shape(tuple(sizes))
    return tuple(sizes)


def _shard(path: Path, number: int, count: int) -> memoryview:
    prefix = path.name.removesuffix(INDEX)
    file = path.with_name(f"{prefix}.data-{number:05}-of-{count:05}")
    if number >= count or not file.is_file():
        raise WeightsError(f"{path}: its arrays are in {shown(file.name)}, which is not next to it")
    return protobuf.mapped(file) if file.stat().st_size else memoryview(b"")


def _reading(path: Path, entry: _Entry, values: memoryview) -> Callable[[], Array]:
    def read() -> Array:
        if crc32c.checksum(values) != crc32c.unmasked(entry.checksum):
            raise WeightsError(f"{path}: damaged: the checksum of {shown(entry.name)} is wrong")
        array: Array = np.frombuffer(values, entry.dtype).reshape(entry.shape)
        return array.copy()

    return read


def _of_slices(
    path: Path, reader: Reader, meta: memoryview, rest: Iterable[sstable.Entry]
) -> Iterable[tuple[str, Stored]]:
    """Yield the variables of a checkpoint of version 1."""
    described: dict[str, tuple[int, Shape]] = {}
    for number, value in reader.fields(meta):
        if number == _TENSORS:
            name, dtype, shape = _described(reader, message(value))
            if name in described:
                raise ValueError(f"{shown(name)} is described twice")
            described[name] = dtype, shape
    for entry in rest:
        slice_ = _fields(reader, message(_fields(reader, entry.value).get(_DATA, 0)))
        name = reader.text(slice_.get(_NAME, memoryview(b"")))
        if name not in described:
            raise ValueError(f"{shown(name)} is saved but not described, or saved twice")
        dtype, shape = described.pop(name)
        if dtype != _STRING:
            values = message(slice_.get(_VALUES, memoryview(b"")))
            yield name, _of_slice(path, reader, name, dtype, shape, values, entry)
    if described:
        raise ValueError(f"{shown(min(described))} is described but not saved")


def _described(reader: Reader, data: memoryview) -> tuple[str, int, Shape]:
    """Decode the name, the number of the dtype, and the shape of a variable."""
    fields: dict[int, Value] = {}
    slices: list[memoryview] = []
    for number, value in reader.fields(data):
        if number == _META_SLICE:
            slices.append(message(value))
        else:
            fields[number] = value
    name = reader.text(fields.get(_NAME, memoryview(b"")))
    shape = _shape(reader, name, fields.get(_META_SHAPE))
    dtype = fields.get(_META_DTYPE, 0)
    if dtype != _STRING:
        _dtype(name, dtype)
    if len(slices) != 1 or not _is_whole(reader, slices[0], shape):
        raise ValueError(f"{shown(name)} is saved in parts, which zoo does not join")
    assert isinstance(dtype, int)
    return name, dtype, shape


def _is_whole(reader: Reader, data: memoryview, shape: Shape) -> bool:
    """Tell whether a slice is all of a variable: each extent begins at 0, and has its length."""
    extents = [
        _fields(reader, message(value)) for number, value in reader.fields(data) if number == 1
    ]
    return len(extents) == len(shape) and all(
        not extent.get(1) and extent.get(2, size) == size
        for extent, size in zip(extents, shape, strict=True)
    )


def _of_slice(
    path: Path,
    reader: Reader,
    name: str,
    number: int,
    shape: Shape,
    data: memoryview,
    entry: sstable.Entry,
) -> Stored:
    """Return a variable, of whose values the message has a list, or the bytes."""
    dtype = np.dtype(_DTYPES[number])
    found: dict[int, list[Value]] = {}
    for field, value in reader.fields(data):
        found.setdefault(field, []).append(value)
    field = {1: _FLOATS, 2: _DOUBLES}.get(number, _CONTENT)
    listed = found.get(_INTEGER_FIELDS.get(number, 0), [])
    if listed and _CONTENT not in found:
        if math.prod(shape) > _MAX_INTEGERS:
            raise ValueError(f"{shown(name)} has more than {_MAX_INTEGERS:,} integers")
        integers = [i for value in listed for i in reader.integers(value, _MAX_INTEGERS)]
        values = _of_integers(integers, dtype)
        parts = [memoryview(values.tobytes())]
    else:
        parts = [message(value) for value in found.get(field, found.get(_CONTENT, []))]
    if sum(map(len, parts)) != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"the number of values of {shown(name)} does not match its shape")
    if any(len(part) % dtype.itemsize for part in parts):
        raise ValueError(f"the values of {shown(name)} are not valid")

    def read() -> Array:
        with reporting_damage(path, _KIND):
            entry.verify()
        return np.frombuffer(b"".join(parts), dtype).reshape(shape).copy()

    return Stored(shape, dtype.name, read)


def _of_integers(values: list[int], dtype: np.dtype) -> Array:
    """Return integers, of which negative ones are stored modulo 2**64; of float16 the bits."""
    bits = np.asarray([value & 0xFFFFFFFFFFFFFFFF for value in values], np.uint64)
    if dtype == np.float16:
        return bits.astype(np.uint16).view(np.float16)
    return bits.view(np.int64).astype(dtype)
