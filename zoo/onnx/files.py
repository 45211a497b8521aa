"""Writes ONNX files."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from zoo.files import replacing
from zoo.onnx.model import state_weights, texts_of
from zoo.weights.reading import zoo_onnx_file

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]

#: A message of Protocol Buffers has fewer bytes than this; a larger network has its weights beside.
MAX_MESSAGE = 2**31 - 2**20
#: Where the weights of tensors begin, so that engines can map them into memory.
_ALIGNMENT = 4096
_SMALL = 1024  # bytes of tensors that stay in the message, among them axes and shapes


def write(model: onnx.ModelProto, path: str | os.PathLike[str], beside: str | None = None) -> None:
    """Write a model. An older file stays intact until the new one is complete.

    Weights that do not fit into the file are written to another one beside it, whose name is made
    from theirs: what the older file has there stays intact, too, and is removed at the end.

    Args:
        model: The model.
        path: The file.
        beside: The name of the other file, if one is needed; made from the weights by default.

    Raises:
        OSError: The file cannot be written.
    """
    with replacing(path) as part:
        target = Path(path).resolve()
        name = re.compile(re.escape(target.stem) + r"\.[0-9a-f]{32}\.data")
        old = {each for each in _locations(target) if name.fullmatch(each)}
        new = set()
        model = _as_written(model)
        if _size(model) > MAX_MESSAGE:
            digest = texts_of(model)[zoo_onnx_file.WEIGHTS_DIGEST]
            beside = beside or f"{target.stem}.{digest}.data"
            model, arrays = split(model, beside)
            new = {beside}
            with replacing(target.with_name(beside)) as file:
                _write_beside(file, model, arrays)
        try:
            part.write_bytes(model.SerializeToString())
        except BaseException:  # also an interrupt: without its model, nobody needs the new data
            _remove(target.parent, new - old)
            raise
    _remove(target.parent, old - new)


def _remove(folder: Path, names: Iterable[str]) -> None:
    for name in names:
        with suppress(OSError):  # no file needs it
            (folder / name).unlink()


def split(model: onnx.ModelProto, file: str) -> tuple[onnx.ModelProto, dict[str, Array]]:
    """Return a copy of a model without its large tensors, which it has in a file; and the tensors.

    Args:
        model: The model.
        file: The name of the file, for the copy.
    """
    bare, arrays = onnx.ModelProto(), {}
    bare.CopyFrom(model)
    for tensor in bare.graph.initializer:
        if len(tensor.raw_data) >= _SMALL:
            arrays[tensor.name] = numpy_helper.to_array(tensor)
            tensor.ClearField("raw_data")
            tensor.data_location = TensorProto.EXTERNAL
            tensor.external_data.add(key="location", value=file)
    return bare, arrays


def _as_written(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy of a model with the digest of its weights, which may have been changed."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for tensor in copy.graph.initializer:
        if not tensor.raw_data and 0 not in tensor.dims:  # ONNX has other fields for values, too
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor), tensor.name))
    state_weights(copy)
    return copy


def _size(model: onnx.ModelProto) -> int:
    """About as many bytes as its message has; nothing but weights is large."""
    return sum(len(tensor.raw_data) for tensor in model.graph.initializer)


def _write_beside(path: Path, model: onnx.ModelProto, arrays: Mapping[str, Array]) -> None:
    """Write tensors, and where they are into the model."""
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    with path.open("wb") as file:
        for name, array in arrays.items():
            start = -(-file.tell() // _ALIGNMENT) * _ALIGNMENT
            file.seek(start)
            file.write(array.tobytes())
            place = {"offset": start, "length": array.nbytes}
            for key, value in place.items():
                tensors[name].external_data.add(key=key, value=str(value))


def _locations(path: Path) -> set[str]:
    """Return the files in which the tensors of an older file are; none of what is no ONNX file."""
    if not path.is_file():
        return set()
    with suppress(Exception):  # it may be anything
        model = onnx.load(os.fspath(path), load_external_data=False)
        return {
            entry.value
            for tensor in model.graph.initializer
            for entry in tensor.external_data
            if entry.key == "location"
        }
    return set()
