"""Opens publishers' files of weights, without running any code from them."""

from __future__ import annotations

import math
import mmap
import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from zoo.errors import WeightsError
from zoo.weights import pickles, zoo_file
from zoo.weights.checking import shown
from zoo.weights.checkpoint import Array, Stored, reporting_damage

MAX_BYTES = 20_000_000_000
MAX_TENSORS = 20_000

_MAX_DEPTH = 32  # of groups in HDF5; a file of Keras has some 10
_MAX_NAME = 1_000  # characters of a name in HDF5, with its groups
_MIN_CHUNK = 1 << 20  # bytes; arrays that can grow have chunks of up to this size

_DEFLATE, _SHUFFLE, _CHECKSUM = 1, 2, 3  # HDF5's numbers of filters
_FILTERS = {_DEFLATE: "gzip", _SHUFFLE: "shuffle", _CHECKSUM: "fletcher32"}
_CHECKSUM_BYTES = 4

#: Reads the named arrays of a file.
Reader: TypeAlias = Callable[[Path], Iterator[tuple[str, Stored]]]

#: Returns the reader for a suffix of a framework's own files, or None.
Native: TypeAlias = Callable[[str], Reader | None]


def no_native(suffix: str) -> Reader | None:
    """Return no reader, so that only files that need no framework can be read."""
    return None


def read(path: Path, native: Native = no_native) -> dict[str, Stored]:
    """Open a file of arrays, in the format that its suffix indicates.

    Args:
        path: A ``.safetensors``, ``.pth``, ``.pt``, ``.bin``, ``.pdparams``, ``.h5`` or ``.hdf5``.
        native: Returns the reader of a format that only its own framework can read, such as
            ``.pth``.

    Returns:
        Name in the file -> array. In HDF5 a name is ``<layer>.<variable>``.

    Raises:
        WeightsError: The file is missing, damaged, too large, or has another format.
        BackendError: The framework that reads the file is not installed.
    """
    check(path)
    suffix = path.suffix.lower()
    arrays = READERS[suffix](path) if suffix in READERS else _framework_file(path, suffix, native)
    if not arrays:
        raise WeightsError(f"{path}: the file contains no arrays")
    if len(arrays) > MAX_TENSORS:
        raise WeightsError(f"{path}: the file contains more than {MAX_TENSORS:,} arrays")
    return arrays


def check(path: Path) -> None:
    """Check that a file exists, and that its suffix and size are those of a file of weights.

    Raises:
        WeightsError: They are not.
    """
    suffix = path.suffix.lower()
    if suffix not in READERS and suffix not in NATIVE:
        known = ", ".join([*READERS, *NATIVE])
        raise WeightsError(f"{path}: expected a file of weights, with one of the suffixes {known}")
    try:
        size = path.stat().st_size if path.is_file() else None
    except OSError as error:
        raise WeightsError(f"{path}: {error.strerror or error}") from None
    if size is None:
        problem = "a folder, expected a file" if path.is_dir() else "no such file"
        raise WeightsError(f"{path}: {problem}")
    if not size or size > MAX_BYTES:
        raise WeightsError(f"{path}: expected a file of 1 to {MAX_BYTES:,} bytes, got {size:,}")


def _framework_file(path: Path, suffix: str, native: Native) -> dict[str, Stored]:
    default_suffix, description = NATIVE[suffix]
    reader = native(default_suffix)
    if reader is None:
        raise WeightsError(f"{path}: no backend reads {suffix} files")
    with reporting_damage(path, description):
        return dict(reader(path))


def _paddle(path: Path) -> dict[str, Stored]:
    with path.open("rb") as file, reporting_damage(path, "a PaddlePaddle file of weights"):
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        value = pickles.load(memoryview(mapped))
        if not isinstance(value, dict):
            raise WeightsError(f"{path}: expected arrays by name, got {type(value).__name__}")
        if not all(isinstance(name, str) for name in value):
            raise WeightsError(f"{path}: expected arrays by name, got a key that is not a name")
        value.pop("StructuredToParameterName@@", None)  # a table of names, not an array
        if "UnpackBigParamInfor@@" in value:
            raise WeightsError(f"{path}: saved in parts (protocol 2); save it with protocol=4")
        return {name: _stored_array(path, name, array) for name, array in value.items()}


def _stored_array(path: Path, name: str, value: Any) -> Stored:
    if isinstance(value, tuple) and len(value) == 2:  # a tensor that was saved with its name
        value = value[1]
    if not isinstance(value, pickles.Pickled):
        kind = type(value).__name__
        raise WeightsError(f"{path}: {shown(name)}: expected an array, got {kind}")
    array = value.array()
    return Stored(array.shape, array.dtype.name, lambda: np.array(array, order="C"))


def _hdf5(path: Path) -> dict[str, Stored]:
    import h5py

    with reporting_damage(path, "an HDF5 file of weights"):
        file = h5py.File(path, "r")
        root = file
        for group in ("model_weights", "layers"):  # skips the optimizer's state
            if isinstance(file.get(group, getlink=True), h5py.HardLink):
                root = file[group]
        arrays: dict[str, Stored] = {}
        for name, stored in _stored_arrays(path, root):
            if name in arrays:
                raise WeightsError(f"{path}: two arrays have the name {shown(name)}")
            arrays[name] = stored
        return arrays


#: The name of a variable in Keras 1: the name of the layer, the kind of variable, and a number.
_KERAS_1 = re.compile(
    r"(?:.+_)?(W|b|gamma|beta|running_mean|running_std|depthwise_kernel|pointwise_kernel)(?:_\d+)?"
)


def _stored_arrays(path: Path, root: Any) -> Iterator[tuple[str, Stored]]:
    import h5py

    datasets: list[tuple[str, Any]] = []
    visited = 0

    def visit(name: str, item: Any) -> None:
        nonlocal visited
        visited += 1
        if visited > 5 * MAX_TENSORS or len(datasets) > MAX_TENSORS:
            raise WeightsError(f"{path}: the file contains more than {MAX_TENSORS:,} arrays")
        if name.count("/") > _MAX_DEPTH or len(name) > _MAX_NAME:  # visiting is recursive
            raise WeightsError(f"{path}: {shown(name)}: nested too deep, or its name is too long")
        if isinstance(item, h5py.Dataset):
            datasets.append((name, item))

    root.visititems(visit)  # does not follow links to other files
    for name, dataset in datasets:
        layer, *_, variable = name.split("/") if "/" in name else ("", name)
        if dataset.parent.name.endswith("/vars"):  # .weights.h5 has names as attributes
            layer = _text(dataset.parent, "name", layer)
        variable = variable.partition(":")[0]
        keras_1 = _KERAS_1.fullmatch(variable)
        if dataset.dtype.kind != "f" or dataset.is_virtual or dataset.external:
            raise WeightsError(
                f"{path}: {shown(name)}: expected an array of floating-point values in this file"
            )
        key = f"{layer}.{keras_1[1] if keras_1 else variable}"
        yield key, Stored(tuple(dataset.shape), dataset.dtype.name, _reading(path, dataset))


def _text(group: Any, attribute: str, default: str) -> str:
    """Return an attribute that is one text; an array of them could have any size."""
    if attribute not in group.attrs or group.attrs.get_id(attribute).shape != ():
        return default
    return str(group.attrs[attribute])


def _reading(path: Path, dataset: Any) -> Callable[[], Array]:
    def read() -> Array:
        with reporting_damage(path, "an HDF5 file of weights"):
            if dataset.chunks is not None:
                _check_chunks(path, dataset)
            array = np.empty(dataset.shape, dataset.dtype.newbyteorder("="))
            if array.size:
                dataset.read_direct(array)
            return array

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


#: Suffix -> reader, for formats that need no framework.
READERS: dict[str, Callable[[Path], dict[str, Stored]]] = {
    ".safetensors": zoo_file.arrays,
    ".pdparams": _paddle,
    ".h5": _hdf5,
    ".hdf5": _hdf5,
}

_PYTORCH = (".pth", "a PyTorch file of weights")

#: Suffix -> the framework's default suffix for the same format, and a description of such a file,
#: for formats that need their framework.
NATIVE = {".pth": _PYTORCH, ".pt": _PYTORCH, ".bin": _PYTORCH}
