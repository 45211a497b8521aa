"""Writes PyTorch's weight files, and reads them without executing pickled code.

PyTorch's own reader refuses code, too, but believes every size in a file, and its work is not
bounded. So files are read here as :mod:`zoo.weights.pickles` does, for which no PyTorch is needed.
"""

from __future__ import annotations

import io
import mmap
import struct
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from torch import nn

from zoo.errors import WeightsError
from zoo.weights import pickles
from zoo.weights.checkpoint import Array, Stored
from zoo.weights.pickles import Call

_MAX_DIRECTORY = 4_000_000  # bytes of the table of entries, enough for some 40,000 tensors
_MAGIC = 0x1950A86A20F9469CFC6C  # what the format before PyTorch 1.6 begins with

#: PyTorch's name of a storage -> dtype
_DTYPES = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
}


def export(model: nn.Module, path: str) -> None:
    """Save the state_dict; ``torch.load(path, weights_only=True)`` restores it."""
    torch.save(model.state_dict(), path)


def read(path: Path) -> Iterator[tuple[str, Stored]]:
    """Read a file that ``torch.save`` wrote: a state_dict, or a dict that contains one.

    Args:
        path: The file, in the current zip format or in the format before PyTorch 1.6.

    Yields:
        The name of an array in the file, and the array.

    Raises:
        WeightsError: The file contains anything else.
        Exception: Whatever Python raises for a damaged file.
    """
    with path.open("rb") as file:
        data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    storages: dict[str, _Storage] = {}

    def persistent(description: Any) -> _Storage:
        storage = _storage(description)
        if storages.setdefault(storage.key, storage) != storage:
            raise UnpicklingError("two of its arrays describe the same bytes differently")
        return storage

    try:
        if bytes(data[:4]) == b"PK\x03\x04":
            value, parts = _read_zip(path, data, persistent)
        else:
            value, parts = _read_old(data, persistent, storages)
    except UnpicklingError as error:
        raise WeightsError(
            f"{path}: the file is damaged or contains more than tensors ({error}), and zoo does "
            "not run code from a file; save the model's state_dict()"
        ) from None
    # A training checkpoint contains other things beside the state_dict.
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(value, Mapping) and isinstance(value.get(key), Mapping):
            value = value[key]
    if not isinstance(value, Mapping):
        raise WeightsError(f"{path}: expected tensors by name, got {type(value).__name__}")
    for name, tensor in value.items():
        if not isinstance(tensor, _Tensor):
            raise WeightsError(f"{path}: {name}: expected a tensor, got {type(tensor).__name__}")
        yield str(name), tensor.stored(parts)


@dataclass(frozen=True, slots=True)
class _Storage:
    """Bytes beside the pickle, which tensors are views of."""

    dtype: np.dtype[Any]
    key: str
    count: int


@dataclass(frozen=True, slots=True)
class _Tensor:
    """A tensor as a pickle describes it: unchecked."""

    storage: Any
    offset: Any
    size: Any
    stride: Any

    def stored(self, parts: Mapping[str, memoryview]) -> Stored:
        match self:
            case _Tensor(_Storage() as storage, int(offset), tuple(size), tuple(stride)):
                pickles.check_shape(size)
            case _:
                raise ValueError("the description of a tensor is not valid")
        dtype, part = storage.dtype, parts[storage.key]
        if len(part) != storage.count * dtype.itemsize:
            raise ValueError("the number of bytes of a tensor does not match its size")
        pickles.check_shape((offset, *stride))
        # NumPy checks that the values are within the part.
        steps = [step * dtype.itemsize for step in stride]
        array: Array = np.ndarray(size, dtype, part, offset * dtype.itemsize, steps)
        return Stored(size, dtype.name, lambda: np.array(array, order="C"))


def _storage(description: Any) -> _Storage:
    match description:
        case ("storage", np.dtype() as dtype, str(key), str(), int(count), *rest) if (
            rest in ([], [None])  # a view of a storage, in files of 2017
        ):
            return _Storage(dtype, key, count)
    raise UnpicklingError("what it stores beside its tensors is not valid")


_IGNORED = Call(lambda *_: None)  # of training checkpoints, beside the state_dict
_KNOWN: pickles.Known = {
    **{
        (module, name): np.dtype(dtype)
        for module in ("torch", "torch.cuda")
        for name, dtype in _DTYPES.items()
    },
    **{
        ("torch._utils", name): Call(lambda *arguments: _Tensor(*arguments[:4]))
        for name in ("_rebuild_tensor", "_rebuild_tensor_v2")
    },
    **{
        ("torch._utils", name): Call(lambda tensor, *_: tensor)
        for name in ("_rebuild_parameter", "_rebuild_parameter_with_state")
    },
    **{
        (module, name): _IGNORED
        for module in ("builtins", "__builtin__")
        for name in ("set", "bytearray", "complex")
    },
    **{("torch", dtype): _IGNORED for dtype in _DTYPES.values()},
    ("torch", "Size"): _IGNORED,
    ("torch", "device"): _IGNORED,
    ("collections", "Counter"): _IGNORED,
    ("_codecs", "encode"): _IGNORED,
    **pickles.DICT,
}


def _read_zip(path: Path, data: memoryview, persistent: Any) -> tuple[Any, dict[str, memoryview]]:
    """Read the current format: a pickle and the storages, each a part of an archive."""
    entries = _entries(path, data)
    (root,) = {name.partition("/")[0] for name in entries}
    if bytes(entries.get(f"{root}/byteorder", b"little")) != b"little":
        raise WeightsError(f"{path}: saved on a big-endian machine; save it on another")
    value = pickles.Reader(entries[f"{root}/data.pkl"], _KNOWN, persistent).load()
    folder = f"{root}/data/"
    parts = {name.removeprefix(folder): part for name, part in entries.items()}
    return value, parts


def _read_old(
    data: memoryview, persistent: Any, storages: Mapping[str, _Storage]
) -> tuple[Any, dict[str, memoryview]]:
    """Read the format before PyTorch 1.6: five pickles, and then the storages."""
    reader = pickles.Reader(data, _KNOWN, persistent)
    magic, _, system, value, keys = (reader.load() for _ in range(5))
    if magic != _MAGIC or not isinstance(system, dict) or not system.get("little_endian", True):
        raise UnpicklingError("it does not begin as files of little-endian machines do")
    parts: dict[str, memoryview] = {}
    for key in keys:
        storage = storages[key]
        (count,) = struct.unpack("<q", reader.read(8))
        if count != storage.count:
            raise UnpicklingError("the number of values of a tensor does not match its size")
        start = reader.position
        reader.read(count * storage.dtype.itemsize)
        parts[key] = data[start : reader.position]
    return value, parts


class _Limited(io.FileIO):
    """A file that does not believe the size of its own table of entries."""

    def read(self, size: int | None = -1, /) -> Any:
        if size is not None and size > _MAX_DIRECTORY:
            raise zipfile.BadZipFile(f"its table of entries has more than {_MAX_DIRECTORY:,} bytes")
        return super().read(size)


def _entries(path: Path, data: memoryview) -> dict[str, memoryview]:
    """Return the entries of an archive; verify their checksums, which PyTorch does not do."""
    with _Limited(path) as file, zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
        if any(
            entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size
            for entry in entries
        ):
            raise WeightsError(f"{path}: its entries are compressed, unlike PyTorch's")
        names = {entry.filename for entry in entries}
        if len(names) < len(entries) or sum(entry.file_size for entry in entries) > len(data):
            raise WeightsError(f"{path}: damaged: its entries overlap")
        if damaged := archive.testzip():
            raise WeightsError(f"{path}: damaged: checksum mismatch in {damaged}")
    found = {}
    for entry in entries:
        lengths = struct.unpack_from("<HH", data, entry.header_offset + 26)  # of name and extra
        start = entry.header_offset + 30 + sum(lengths)
        found[entry.filename] = data[start : start + entry.file_size]
    return found
