"""Reads the arrays of Keras' files: HDF5, alone or within the zip of a ``.keras``.

The configuration of a model, which may contain code, is only text here.
"""

from __future__ import annotations

import io
import itertools
import math
import mmap
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes  # noqa: F401  (registers bfloat16 with NumPy)
import numpy as np

from zoo.errors import WeightsError
from zoo.weights.checking import shown
from zoo.weights.checkpoint import Array, Stored, check_total, reporting_damage
from zoo.weights.reading import archives, keras_names

MAX_TENSORS = 20_000

_MAX_DEPTH = 32  # of groups; a file of Keras has about 10
_MAX_NAME = 1_000  # characters of a name, with its groups
_MIN_CHUNK = 1 << 20  # bytes; arrays that can grow have chunks of up to this size

_DEFLATE, _SHUFFLE, _CHECKSUM = 1, 2, 3  # HDF5's numbers of filters
_FILTERS = {_DEFLATE: "gzip", _SHUFFLE: "shuffle", _CHECKSUM: "fletcher32"}
_CHECKSUM_BYTES = 4

_KIND = "an HDF5 file of weights"


def read_zip(path: Path) -> dict[str, Stored]:
    """Open a ``.keras`` file; see :func:`read`."""
    with path.open("rb") as file, reporting_damage(path, "a .keras file"):
        data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        weights = archives.entries(path, data)["model.weights.h5"]
    return read(path, io.BufferedReader(_Part(weights)))


def configuration(path: Path, found: str) -> bytes:
    """Return the configuration of a Keras model as JSON, empty if the file has none.

    Args:
        path: The file.
        found: Its format, ``keras`` or ``h5``.
    """
    import h5py

    with path.open("rb") as file, reporting_damage(path, _KIND):
        if found == "keras":
            data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
            return bytes(archives.entries(path, data).get("config.json", b""))
        return _text(h5py.File(path, "r"), "model_config", "").encode()


class _Part(io.RawIOBase):
    """A part of a file that is mapped into memory, as a file."""

    def __init__(self, data: memoryview) -> None:
        self.data, self.position = data, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self.position, io.SEEK_END: len(self.data)}[whence]
        self.position = start + offset
        return self.position

    def readinto(self, buffer: Any, /) -> int:
        part = self.data[self.position : self.position + len(buffer)]
        memoryview(buffer)[: len(part)] = part
        self.position += len(part)
        return len(part)


def read(path: Path, contents: Any = None) -> dict[str, Stored]:
    """Open an HDF5 file of weights.

    Args:
        path: The file.
        contents: The file within it to read, if it is an archive.

    Returns:
        Name, as :func:`keras_names.names` says -> array.

    Raises:
        WeightsError: The file is damaged, or holds something else.
    """
    import h5py

    with reporting_damage(path, _KIND):
        root = h5py.File(contents or path, "r")
        if isinstance(root.get("model_weights", getlink=True), h5py.HardLink):
            root = root["model_weights"]  # beside the optimizer's state
        arrays: dict[str, Stored] = {}
        datasets = _datasets(path, root)
        saved = [
            keras_names.Saved(
                # A layer that is an attribute of a model is beside the group, or in it.
                name.removeprefix("layers/") if "/vars/" in name else name,
                _text(dataset.parent, "name", ""),
                dataset.ndim,
            )
            for name, dataset in datasets
        ]
        for name, (_, dataset) in zip(keras_names.names(saved), datasets, strict=True):
            if name in arrays:
                raise WeightsError(f"{path}: two arrays have the name {shown(name)}")
            dtype = _dtype(dataset)
            arrays[name] = Stored(tuple(dataset.shape), dtype.name, _reading(path, dataset, dtype))
        check_total(path, sum(dataset.nbytes for _, dataset in datasets))
        return arrays


def _check(path: Path, root: Any) -> None:
    """Check the numbers and the names of what a group contains, without opening any of it."""
    import h5py

    visited, arrays = 0, 0

    def visit(name: bytes, info: Any) -> None:
        nonlocal visited, arrays
        visited += 1
        arrays += info.type == h5py.h5o.TYPE_DATASET
        if visited > 5 * MAX_TENSORS or arrays > MAX_TENSORS:
            raise WeightsError(f"{path}: the file contains more than {MAX_TENSORS:,} arrays")
        if name.count(b"/") > _MAX_DEPTH or len(name) > _MAX_NAME:  # visiting is recursive
            text = shown(name.decode(errors="replace"))
            raise WeightsError(f"{path}: {text}: nested too deep, or its name is too long")

    h5py.h5o.visit(root.id, visit, info=True)


def _datasets(path: Path, root: Any) -> list[tuple[str, Any]]:
    import h5py

    datasets: list[tuple[str, Any]] = []
    _check(path, root)

    def visit(name: str, item: Any) -> None:
        steps = itertools.pairwise(["", *name.split("/")])
        of_optimizer = "/vars/" in name and any(  # of this model, or of one within it
            group == "optimizer" and before != "layers" for before, group in steps
        )
        if isinstance(item, h5py.Dataset) and not of_optimizer:
            if item.is_virtual or item.external or item.shape is None:
                raise WeightsError(
                    f"{path}: {shown(name)}: expected an array of numbers in this file"
                )
            datasets.append((name, item))

    root.visititems(visit)  # does not follow links to other files
    return datasets


def _text(group: Any, attribute: str, default: str) -> str:
    """Return an attribute that is one text; an array of them could have any size."""
    if attribute not in group.attrs or group.attrs.get_id(attribute).shape != ():
        return default
    return str(group.attrs[attribute])


def _dtype(dataset: Any) -> np.dtype[Any]:
    """Return the type of an array's values; HDF5 has no bfloat16, which Keras writes as 2 bytes."""
    is_bfloat16 = dataset.dtype == "V2" and _text(dataset, "dtype", "bfloat16") == "bfloat16"
    return np.dtype("bfloat16") if is_bfloat16 else dataset.dtype


def _reading(path: Path, dataset: Any, dtype: np.dtype[Any]) -> Callable[[], Array]:
    def read() -> Array:
        with reporting_damage(path, _KIND):
            if dataset.chunks is not None:
                _check_chunks(path, dataset)
            array = np.empty(dataset.shape, dataset.dtype.newbyteorder("="))
            if array.size:
                dataset.read_direct(array)
            return array.view(dtype.newbyteorder("="))

    return read


def _check_chunks(path: Path, dataset: Any) -> None:
    """Check that the chunks of an array have the sizes stated, which HDF5 does not do.

    HDF5 reads a whole chunk, even for an array that is smaller, and decompresses whatever it finds,
    however long that is.
    """
    name = shown(dataset.name)
    size = math.prod(dataset.chunks) * dataset.dtype.itemsize
    if size > max(2 * dataset.nbytes, _MIN_CHUNK):
        raise WeightsError(f"{path}: {name}: its chunks are larger than the array itself")
    properties = dataset.id.get_create_plist()
    filters = [properties.get_filter(i)[0] for i in range(properties.get_nfilters())]
    if sorted(filters) != sorted(set(filters) & _FILTERS.keys()):
        known = ", ".join(_FILTERS.values())
        raise WeightsError(
            f"{path}: {name}: compressed in another way than with {known}; save it without"
        )
    chunks: list[Any] = []
    dataset.id.chunk_iter(chunks.append)
    if any(chunk.size > max(2 * size, _MIN_CHUNK) for chunk in chunks):
        raise WeightsError(f"{path}: {name}: damaged: a chunk is longer than stated")
    if _DEFLATE not in filters:
        return
    place = filters.index(_DEFLATE)
    if _SHUFFLE in filters[place + 1 :]:
        raise WeightsError(f"{path}: {name}: shuffled after it was compressed; save it without")
    for chunk in chunks:
        if not chunk.filter_mask >> place & 1:  # otherwise this chunk is not compressed
            _, data = dataset.id.read_direct_chunk(chunk.chunk_offset)
            most = size + _CHECKSUM_BYTES
            if len(zlib.decompressobj().decompress(data, most + 1)) > most:
                raise WeightsError(f"{path}: {name}: damaged: a chunk is longer than stated")
