"""Reads PyTorch's weight files, without PyTorch and without executing pickled code.

PyTorch's own reader rejects code, too, but trusts every size in a file, and its work is not
bounded. So files are read with :mod:`zoo.weights.reading.pickles`.
"""

from __future__ import annotations

import math
import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np

from zoo.errors import WeightsError
from zoo.weights.checkpoint import Array, Stored, check_total
from zoo.weights.reading import archives, pickles, state_dicts
from zoo.weights.reading.pickles import Call

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


def read(path: Path, entry: str | None = None) -> tuple[dict[str, Stored], list[str]]:
    """Read a file that ``torch.save`` wrote: a state_dict, or what a training tool put around one.

    Args:
        path: The file, in the current zip format or in the format before PyTorch 1.6.
        entry: As for :func:`zoo.weights.reading.state_dicts.arrays`.

    Returns:
        Name in the file -> array, and the keys that lead to them.

    Raises:
        WeightsError: The file does not hold tensors by name.
        Exception: Whatever Python raises for a damaged file.
    """
    with path.open("rb") as file:
        data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    storages: dict[str, _Storage] = {}

    def persistent(description: Any) -> _Storage | pickles.Other:
        storage = _storage(description)
        if isinstance(storage, _Storage) and storages.setdefault(storage.key, storage) != storage:
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

    total = 0

    def stored(each: Any) -> Stored | None:
        nonlocal total
        if not isinstance(each, _Tensor):
            return pickles.stored(each)
        found = each.stored(parts)
        total += math.prod(found.shape) * np.dtype(found.dtype).itemsize
        return found

    arrays = state_dicts.arrays(path, value, stored, entry)
    check_total(path, total)
    return arrays


@dataclass(frozen=True, slots=True)
class _Storage:
    """Bytes outside of the pickle, which tensors are views of."""

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
        dtype, part = storage.dtype, parts.get(storage.key)
        if part is None:
            raise UnpicklingError("the values of a tensor are missing")
        if len(part) != storage.count * dtype.itemsize:
            raise ValueError("the number of bytes of a tensor does not match its size")
        pickles.check_shape((offset, *stride))
        # NumPy checks that the values are within the part.
        steps = [step * dtype.itemsize for step in stride]
        array: Array = np.ndarray(size, dtype, part, offset * dtype.itemsize, steps)
        return Stored(size, dtype.name, lambda: np.array(array, order="C"))


def _storage(description: Any) -> _Storage | pickles.Other:
    match description:
        case ("storage", pickles.Other() as other, *_):  # of a dtype that weights do not have
            return other
        case ("storage", np.dtype() as dtype, str(key), str(), int(count), *rest) if (
            rest in ([], [None])  # a view of a storage, in files of 2017
        ):
            return _Storage(dtype, key, count)
    raise UnpicklingError("what it stores besides its tensors is not valid")


def _rebuilt(*arguments: Any) -> _Tensor | pickles.Other:
    """Return a tensor, or the storage of a dtype that weights do not have."""
    match arguments:
        case (pickles.Other() as storage, *_):
            return storage
        case (storage, offset, size, stride, *_):
            return _Tensor(storage, offset, size, stride)
    return pickles.Other("torch.Tensor")


_KNOWN: pickles.Known = {
    **{
        (module, name): np.dtype(dtype)
        for module in ("torch", "torch.cuda")
        for name, dtype in _DTYPES.items()
    },
    **{
        ("torch._utils", name): Call(_rebuilt) for name in ("_rebuild_tensor", "_rebuild_tensor_v2")
    },
    **{
        ("torch._utils", name): Call(lambda tensor, *_: tensor)
        for name in ("_rebuild_parameter", "_rebuild_parameter_with_state")
    },
    ("torch._tensor", "_rebuild_from_type_v2"): Call(
        lambda _function, _type, arguments, *_: _rebuilt(*arguments)  # of a subclass
    ),
    **pickles.KNOWN,
}


def _read_zip(path: Path, data: memoryview, persistent: Any) -> tuple[Any, dict[str, memoryview]]:
    """Read the current format: a pickle and the storages, each a part of an archive."""
    entries = archives.entries(path, data)
    (root,) = {name.partition("/")[0] for name in entries}
    if bytes(entries.get(f"{root}/byteorder", b"little")) != b"little":
        raise WeightsError(f"{path}: saved on a big-endian machine; save it on another")
    if f"{root}/data.pkl" not in entries:
        raise UnpicklingError("it has no data.pkl")
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
        raise UnpicklingError("its header is not that of a little-endian machine")
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
