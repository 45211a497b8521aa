"""Reads the weights of PaddlePaddle's programs, ``.pdiparams``, as ``paddle.jit.save`` writes them.

The file has no names: it holds the tensors one after another, in the order of the names that they
have in the program. Up to PaddlePaddle 2, and in 3 without its new programs, a file next to it says
how the layers' parameters are called there. Without that file nobody knows what a tensor is.
"""

from __future__ import annotations

import math
import mmap
import struct
from pathlib import Path
from typing import Any

import ml_dtypes  # noqa: F401  (registers bfloat16 with NumPy)
import numpy as np

from zoo.errors import WeightsError
from zoo.weights.checking import shown
from zoo.weights.checkpoint import Array, Stored, reporting_damage
from zoo.weights.reading import pickles

NAMES = ".info"  # what the name of the file with the names ends with, in addition

#: PaddlePaddle's number of a dtype -> dtype
_DTYPES = {
    **{0: "bool", 1: "int16", 2: "int32", 3: "int64", 4: "float16", 5: "float32", 6: "float64"},
    **{20: "uint8", 21: "int8", 22: "bfloat16"},
}
_MAX_DESCRIPTION = 1_000  # bytes
_MAX_NAMES = 20_000_000  # bytes of the file with the names
_MAX_TENSORS = 20_000
_KIND = "a file of weights of a program of PaddlePaddle"


def read(path: Path) -> dict[str, Stored]:
    """Open the weights of a program.

    Args:
        path: The file. The names must be in ``<path>.info``.

    Returns:
        Name in the model that was saved -> array.

    Raises:
        WeightsError: The file is damaged, or the names are not known.
    """
    with path.open("rb") as file, reporting_damage(path, _KIND):
        data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        tensors = _tensors(data)
        names = _names(path)
    if len(names) != len(tensors):
        raise WeightsError(
            f"{path}: it has {len(tensors):,} arrays, and {path.name}{NAMES} has {len(names):,} "
            "names; they are not of one model"
        )
    return dict(zip(names, tensors, strict=True))


def _names(path: Path) -> list[str]:
    """Return the names of the arrays in the order in which the file has these."""
    beside = path.with_name(f"{path.name}{NAMES}")
    if not beside.is_file():
        raise WeightsError(
            f"{path}: a program that paddle.jit.save wrote. It does not have the names of its "
            f"layers, and there is no {beside.name} with them in the same folder. Save the weights "
            "of the model that it was made from: paddle.save(model.state_dict(), 'w.pdparams')"
        )
    with reporting_damage(beside, "the names of a program's weights"):
        described = pickles.load(memoryview(beside.read_bytes()[:_MAX_NAMES]))
        names = [described[name]["structured_name"] for name in sorted(described)]
        if not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
            raise ValueError("it does not give each array a name of its own")
    return names


def _tensors(data: memoryview) -> list[Stored]:
    """Return the tensors of a file: each a version, its levels of detail, a description, values."""
    found: list[Stored] = []
    place = 0
    while place < len(data):
        if len(found) >= _MAX_TENSORS:
            raise ValueError(f"it contains more than {_MAX_TENSORS:,} arrays")
        version, levels, inner, size = struct.unpack_from("<IQIi", data, place)
        if version or levels or inner or not 0 < size <= _MAX_DESCRIPTION:
            raise ValueError("the description of an array is not valid")
        place += struct.calcsize("<IQIi")
        dtype, shape = _description(bytes(data[place : place + size]))
        place += size
        count = math.prod(shape) * dtype.itemsize
        if count > len(data) - place:
            raise ValueError("the number of bytes of an array does not match its shape")
        array: Array = np.frombuffer(data[place : place + count], dtype).reshape(shape)
        found.append(Stored(shape, dtype.name, array.copy))
        place += count
    return found


def _description(data: bytes) -> tuple[np.dtype[Any], tuple[int, ...]]:
    """Return the dtype and the shape in a message of Protocol Buffers: fields 1 and 2."""
    numbers: list[int] = []
    value = shift = 0
    for byte in data:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            numbers.append(value)
            value = shift = 0
    if shift or numbers[0::2] != [1 << 3, *[2 << 3] * (len(numbers) // 2 - 1)]:
        raise ValueError("the description of an array is not valid")
    shape = tuple(numbers[3::2])
    pickles.check_shape(shape)
    if len(numbers) % 2 or numbers[1] not in _DTYPES:
        raise ValueError(f"an array has a dtype that weights cannot have ({shown(numbers[1])})")
    return np.dtype(_DTYPES[numbers[1]]), shape
