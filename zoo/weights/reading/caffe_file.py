"""Reads the weights in Caffe's files, ``.caffemodel``, without Caffe.

Such a file is a ``NetParameter`` of Protocol Buffers with the layers of a network and their blobs.
Caffe has had three messages for a layer, and two ways to state the shape of a blob; all are read.

Source: https://github.com/BVLC/caffe/blob/master/src/caffe/proto/caffe.proto
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from zoo.errors import WeightsError
from zoo.graphs.shapes import Shape
from zoo.weights.checking import shown
from zoo.weights.checkpoint import Array, Stored, reporting_damage
from zoo.weights.reading import pickles, protobuf
from zoo.weights.reading.protobuf import Reader, message

_KIND = "a Caffe file of weights"
_MAX_FIELDS = 100_000  # ten times those of a ResNet of 152 layers
_MAX_TEXT = 2_000_000  # bytes of the names and types of layers

# Numbers of fields, by message.
_LAYERS = {2: "V1LayerParameter", 100: "LayerParameter"}  # of NetParameter
_INTEGERS, _TEXTS, _OTHERS = (4, 5, 7), (1, 3), (4, 6, 8)  # the other fields of NetParameter
_V0 = 1  # in V1LayerParameter: the whole layer, in files of 2013
_NAME, _TYPE, _BLOBS = 0, 1, 2
_FIELDS = {
    "LayerParameter": {1: _NAME, 2: _TYPE, 7: _BLOBS},
    "V1LayerParameter": {4: _NAME, 5: _TYPE, 6: _BLOBS},
    "V0LayerParameter": {1: _NAME, 2: _TYPE, 50: _BLOBS},
}
_SIDES = (1, 2, 3, 4)  # of BlobProto: num, channels, height, width
_DATA, _SHAPE, _DOUBLES = 5, 7, 8
_DIMENSIONS = 1  # of BlobShape

#: What the messages call two types of layer.
_LINEAR = ("InnerProduct", "innerproduct", "14")
_BATCH_NORM = ("BatchNorm",)


def read(path: Path) -> dict[str, Stored]:
    """Open a file of Caffe.

    Args:
        path: The file.

    Returns:
        ``<layer>.<number of the blob>`` -> array. The weight of a linear layer has two axes,
        whichever version of Caffe wrote it. The sums of a batch norm are divided by their number
        of summands, as Caffe does when it uses them, so that it has the blobs 0 and 1 only.

    Raises:
        WeightsError: The file is damaged or too large.
    """
    arrays: dict[str, Stored] = {}
    with reporting_damage(path, _KIND):
        for layer in _layers(path):
            for number, blob in enumerate(_means(layer)):
                name = f"{layer.name}.{number}"
                if name in arrays:
                    raise WeightsError(f"{path}: two layers have the name {shown(layer.name)}")
                arrays[name] = blob.stored
    return arrays


def begins(start: bytes) -> bool:
    """Tell whether the first bytes of a file are those of a network with layers.

    Args:
        start: A few hundred bytes.
    """
    place = 0
    try:
        while True:
            key, place = protobuf.integer(start, place)
            value, place = protobuf.integer(start, place)
            number, kind = key >> 3, key & 7
            if kind == 2 and number in _LAYERS:
                return _begins_layer(number, start[place:])
            if kind == 2 and number in (*_TEXTS, *_OTHERS):
                if value and number in _TEXTS and not _is_text(start[place : place + value]):
                    return False
                place += value
            elif kind or number not in _INTEGERS:
                return False
    except ValueError:
        return False


def _begins_layer(number: int, start: bytes) -> bool:
    """Tell whether a layer begins with its name, or the name of its input or output."""
    key, place = protobuf.integer(start, 0)
    size, place = protobuf.integer(start, place)
    if number == 2 and key == _V0 << 3 | 2:
        return _begins_layer(100, start[place:])
    texts = (1, 2, 3, 4) if number == 100 else (2, 3, 4)
    return key & 7 == 2 and key >> 3 in texts and _is_text(start[place : place + size])


def _is_text(value: bytes) -> bool:
    return re.fullmatch(rb"[\x20-\x7e\x80-\xff]+", value) is not None


@dataclass(frozen=True)
class _Blob:
    """An array; its values are in several parts of the file if their field is repeated."""

    shape: Shape
    dtype: str
    parts: list[memoryview]
    factor: Array | None = None

    def read(self) -> Array:
        values = np.concatenate([np.frombuffer(part, f"<{self.dtype}") for part in self.parts])
        if self.factor is not None:
            values = values * self.factor
        return values.reshape(self.shape)

    @property
    def stored(self) -> Stored:
        return Stored(self.shape, np.dtype(self.dtype).name, self.read)


@dataclass
class _Layer:
    name: str = ""
    type: str = ""
    blobs: list[_Blob] = field(default_factory=list)


def _layers(path: Path) -> Iterator[_Layer]:
    reader, data = Reader(_MAX_FIELDS, _MAX_TEXT), protobuf.mapped(path)
    for number, value in reader.fields(data):
        if number in _LAYERS:
            yield _layer(reader, message(value), _LAYERS[number])


def _layer(reader: Reader, data: memoryview, kind: str) -> _Layer:
    layer = _Layer()
    for number, value in reader.fields(data):
        if kind == "V1LayerParameter" and number == _V0:
            return _layer(reader, message(value), "V0LayerParameter")
        match _FIELDS[kind].get(number):
            case 0:
                layer.name = reader.text(value)
            case 1:
                layer.type = str(value) if isinstance(value, int) else reader.text(value)
            case 2:
                layer.blobs.append(_blob(reader, message(value), layer.name))
    if layer.type in _LINEAR:
        layer.blobs = [_without_ones(blob) for blob in layer.blobs]
    return layer


def _blob(reader: Reader, data: memoryview, layer: str) -> _Blob:
    sides: dict[int, int] = {}
    shape: list[int] = []
    values: dict[int, list[memoryview]] = {_DATA: [], _DOUBLES: []}
    for number, value in reader.fields(data):
        if number in _SIDES:
            if not isinstance(value, int):
                raise ValueError(f"the shape of a blob of {shown(layer)} is not valid")
            sides[number] = value
        elif number == _SHAPE:
            for inner, dimension in reader.fields(message(value)):
                if inner == _DIMENSIONS:
                    shape += reader.integers(dimension)
        elif number in values:
            values[number].append(message(value))
    if sides:  # as in Caffe, whatever the other field says
        shape = [sides.get(number, 0) for number in _SIDES]
    pickles.check_shape(tuple(shape))
    dtype, parts = ("f8", values[_DOUBLES]) if any(values[_DOUBLES]) else ("f4", values[_DATA])
    width = np.dtype(dtype).itemsize
    if any(len(part) % width for part in parts) or (
        sum(map(len, parts)) != math.prod(shape) * width or not parts
    ):
        raise ValueError(f"the number of values of {shown(layer)} does not match its shape")
    return _Blob(tuple(shape), dtype, parts)


def _without_ones(blob: _Blob) -> _Blob:
    """Return the weight of a linear layer with two axes; old files have [1, 1, out, in]."""
    if len(blob.shape) == 4 and blob.shape[:2] == (1, 1):
        return replace(blob, shape=blob.shape[2:])
    return blob


def _means(layer: _Layer) -> Sequence[_Blob]:
    """Return the blobs of a layer; of a batch norm the mean and the variance."""
    if layer.type not in _BATCH_NORM or len(layer.blobs) != 3:
        return layer.blobs
    *sums, count = layer.blobs
    if math.prod(count.shape) != 1:
        raise ValueError(f"the number of summands of {shown(layer.name)} is not one number")
    divisor = count.read().reshape(())
    one = np.ones((), divisor.dtype)
    factor: Array = np.asarray(one / divisor if divisor else 0 * one, divisor.dtype)
    return [replace(blob, factor=factor) for blob in sums]
