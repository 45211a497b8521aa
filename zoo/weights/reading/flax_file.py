"""Reads Flax's MessagePack files, as ``flax.serialization.msgpack_serialize`` writes them."""

from __future__ import annotations

import math
import mmap
from pathlib import Path
from typing import Any

import ml_dtypes  # noqa: F401  (registers bfloat16 with NumPy)
import numpy as np

from zoo.errors import WeightsError
from zoo.weights.checkpoint import Stored, reporting_damage
from zoo.weights.reading import pickles, state_dicts

_ARRAY = 1  # Flax's number of the kind of value
_DTYPES = ("float64", "float32", "float16", "bfloat16", "int64", "int32", "uint32", "uint8", "bool")
_CHUNKED = "__msgpack_chunked_array__"  # a key of what stands for a large array
_MAX_ITEMS = 20_000  # of a dict
_MAX_NAME = 1_000


def read(path: Path, entry: str | None = None) -> tuple[dict[str, Stored], list[str]]:
    """Open a file of nested dicts of arrays; the names in them are joined by dots.

    Args:
        path: The file.
        entry: As for :func:`zoo.weights.reading.state_dicts.arrays`.

    Returns:
        Name -> array, and the keys that lead to them.

    Raises:
        WeightsError: The file is damaged, or holds something else.
    """
    try:
        import msgpack
    except ImportError:
        raise WeightsError(
            f"{path}: to read it, zoo needs msgpack: python -m pip install msgpack"
        ) from None

    def unpacked(data: Any, **options: Any) -> Any:
        return msgpack.unpackb(
            data, max_str_len=_MAX_NAME, max_bin_len=len(data), max_ext_len=len(data), **options
        )

    def array(code: int, data: bytes) -> Any:
        if code != _ARRAY:
            return None  # a number, such as an optimizer's step
        shape, dtype, values = unpacked(data, max_array_len=16, max_map_len=0)
        if dtype not in _DTYPES:
            raise ValueError("an array has a dtype that weights cannot have")
        pickles.check_shape(tuple(shape))
        kind = np.dtype(dtype)
        if not isinstance(values, bytes) or len(values) != math.prod(shape) * kind.itemsize:
            raise ValueError("the number of bytes of an array does not match its shape")
        value = np.frombuffer(values, kind).reshape(shape)
        return Stored(value.shape, kind.name, value.copy)

    with path.open("rb") as file, reporting_damage(path, "a Flax file of weights"):
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        value = unpacked(
            data, ext_hook=array, object_hook=_joined, max_array_len=16, max_map_len=_MAX_ITEMS
        )
        return state_dicts.arrays(
            path, value, lambda each: each if isinstance(each, Stored) else None, entry
        )


def _joined(items: dict[Any, Any]) -> Any:
    """Return an array of more than a gigabyte, which Flax writes in parts; other dicts as they are.

    Raises:
        ValueError: The parts are not those of an array.
    """
    if _CHUNKED not in items:
        return items
    shape, parts = (
        tuple(items[key][str(i)] for i in range(len(items[key]))) for key in ("shape", "chunks")
    )
    pickles.check_shape(shape)
    if not all(isinstance(part, Stored) for part in parts):
        raise ValueError("a part of an array is not an array")
    dtypes = {part.dtype for part in parts}
    if len(dtypes) != 1 or sum(math.prod(part.shape) for part in parts) != math.prod(shape):
        raise ValueError("the parts of an array do not match its shape")
    return Stored(
        shape,
        dtypes.pop(),
        lambda: np.concatenate([part.read().ravel() for part in parts]).reshape(shape),
    )
