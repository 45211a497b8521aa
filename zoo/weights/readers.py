"""Opens the files that others publish; no code in them is run."""

from __future__ import annotations

import importlib
import mmap
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from zoo.backend import registry
from zoo.errors import WeightsError
from zoo.weights import pickles
from zoo.weights.checkpoint import Array, Stored, told

MAX_BYTES = 20_000_000_000
MAX_TENSORS = 20_000


def read(path: Path) -> dict[str, Stored]:
    """Open a file of arrays by what its name ends in.

    Args:
        path: A ``.safetensors``, ``.pth``, ``.pt``, ``.bin``, ``.pdparams``, ``.h5`` or ``.hdf5``.

    Returns:
        The file's own name -> array. In HDF5 a name is ``<layer>.<variable>``.

    Raises:
        WeightsError: It cannot be read, or is no such file.
        BackendError: PyTorch, which reads its own files, is not installed.
    """
    suffix = path.suffix.lower()
    if suffix not in READERS:
        known = ", ".join(READERS)
        raise WeightsError(f"{path}: expected a file of weights, which end in {known}")
    try:
        size = path.stat().st_size if path.is_file() else None
    except OSError as error:
        raise WeightsError(f"{path}: {error.strerror or error}") from None
    if size is None:
        what = "a folder" if path.is_dir() else "no such file"
        raise WeightsError(f"{path}: {what}")
    if not size or size > MAX_BYTES:
        raise WeightsError(f"{path}: expected a file of 1 to {MAX_BYTES:,} bytes, got {size:,}")
    found = READERS[suffix](path)
    if not found:
        raise WeightsError(f"{path}: there is no array in it")
    if len(found) > MAX_TENSORS:
        raise WeightsError(f"{path}: more than {MAX_TENSORS:,} arrays")
    return found


def _safetensors(path: Path) -> dict[str, Stored]:
    from zoo.weights import zoo_file

    return zoo_file.arrays(path)


def _torch(path: Path) -> dict[str, Stored]:
    registry.load("torch")
    files = importlib.import_module("zoo.torch.files")
    with told(path, "a PyTorch file of weights"):
        return dict(files.read(path))


def _paddle(path: Path) -> dict[str, Stored]:
    with path.open("rb") as file, told(path, "a PaddlePaddle file of weights"):
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        value = pickles.load(memoryview(mapped))
        if not isinstance(value, dict):
            raise WeightsError(f"{path}: expected arrays by name, got {type(value).__name__}")
        value.pop("StructuredToParameterName@@", None)  # a table of names, beside the arrays
        if "UnpackBigParamInfor@@" in value:
            raise WeightsError(f"{path}: saved in parts (protocol 2); save it with protocol=4")
        return {str(name): _of_array(path, name, each) for name, each in value.items()}


def _of_array(path: Path, name: Any, value: Any) -> Stored:
    if isinstance(value, tuple) and len(value) == 2:  # a tensor that was saved with its name
        value = value[1]
    if not isinstance(value, pickles.Pickled):
        raise WeightsError(f"{path}: {name}: expected an array, got {type(value).__name__}")
    array = value.array()
    return Stored(array.shape, array.dtype.name, lambda: np.array(array, order="C"))


def _hdf5(path: Path) -> dict[str, Stored]:
    import h5py

    with told(path, "an HDF5 file of weights"):
        file = h5py.File(path, "r")
        root = file
        for inner in ("model_weights", "layers"):  # beside them is what an optimizer keeps
            if isinstance(file.get(inner, getlink=True), h5py.HardLink):
                root = file[inner]
        found: dict[str, Stored] = {}
        for name, stored in _of_group(path, root):
            if name in found:
                raise WeightsError(f"{path}: two arrays in it are {name}")
            found[name] = stored
        return found


#: As Keras 1 called a variable: the layer's own name, what it is, and a number.
_KERAS_1 = re.compile(
    r"(?:.+_)?(W|b|gamma|beta|running_mean|running_std|depthwise_kernel|pointwise_kernel)(?:_\d+)?"
)


def _of_group(path: Path, root: Any) -> Iterator[tuple[str, Stored]]:
    import h5py

    datasets: list[tuple[str, Any]] = []

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            datasets.append((name, item))

    root.visititems(visit)  # does not follow links to other files
    for name, dataset in datasets:
        layer, *_, variable = name.split("/") if "/" in name else ("", name)
        if dataset.parent.name.endswith("/vars"):  # .weights.h5 numbers layers, and names them
            layer = str(dataset.parent.attrs.get("name", layer))
        variable = variable.partition(":")[0]
        old = _KERAS_1.fullmatch(variable)
        if dataset.dtype.kind != "f" or dataset.is_virtual or dataset.external:
            raise WeightsError(f"{path}: {name}: expected an array of numbers of this file")
        key = f"{layer}.{old[1] if old else variable}"
        yield key, Stored(tuple(dataset.shape), dataset.dtype.name, _reading(path, dataset))


def _reading(path: Path, dataset: Any) -> Callable[[], Array]:
    def read() -> Array:
        with told(path, "an HDF5 file of weights"):
            array = np.empty(dataset.shape, dataset.dtype.newbyteorder("="))
            if array.size:
                dataset.read_direct(array)
            return array

    return read


READERS: dict[str, Callable[[Path], dict[str, Stored]]] = {
    ".safetensors": _safetensors,
    ".pth": _torch,
    ".pt": _torch,
    ".bin": _torch,
    ".pdparams": _paddle,
    ".h5": _hdf5,
    ".hdf5": _hdf5,
}
