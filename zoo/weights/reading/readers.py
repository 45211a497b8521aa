"""Opens files of weights, of frameworks and of publishers, without running any code from them."""

from __future__ import annotations

import json
import mmap
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from zoo.errors import WeightsError
from zoo.weights.checking import shown
from zoo.weights.checkpoint import Stored, reporting_damage
from zoo.weights.reading import (
    caffe_file,
    flax_file,
    formats,
    hdf5,
    onnx_file,
    orbax_folder,
    paddle_program,
    pickles,
    pytorch,
    state_dicts,
    tensorflow_checkpoint,
    zoo_file,
    zoo_onnx_file,
)

MAX_TENSORS = hdf5.MAX_TENSORS

#: Ends of names that PyTorch's batch norms have, and PaddlePaddle's have not.
_PYTORCHS = (".running_mean", ".num_batches_tracked")

_MAX_NAME = 1_000  # characters
_MAX_INDEX = 10_000_000  # bytes
_MAX_FILES = 1_000  # that an index may list


@dataclass(frozen=True)
class Opened:
    """A file of weights.

    Attributes:
        arrays: Name in the file -> array. In HDF5 a name is ``<layer>.<variable>``.
        format: The format whose names they have: ``safetensors``, ``pth``, ``pdparams``, ``h5``,
            ``msgpack``, ``onnx``, ``caffemodel`` or ``ckpt``.
        keys: The keys that lead to the arrays in what a training tool saved, for messages.
        configuration: That of a model of Keras, as JSON; empty if the file has none.
    """

    arrays: dict[str, Stored]
    format: str
    keys: tuple[str, ...] = ()
    configuration: bytes = b""


def read(path: Path, entry: str | None = None) -> Opened:
    """Open a file of arrays, in the format that its contents state, or else its suffix.

    Args:
        path: A file that PyTorch, PaddlePaddle, Keras, Flax, safetensors or Caffe wrote; an ONNX
            model; a checkpoint of TensorFlow, or its index; an index of several files,
            ``*.index.json``; or a folder that Orbax wrote.
        entry: As for :func:`zoo.weights.reading.state_dicts.arrays`.

    Raises:
        WeightsError: The file is missing, damaged, too large, or has another format.
    """
    found = formats.format_of(path)
    opened = _indexed(path) if found == "index" else _read(path, found, entry)
    if opened.format in _FLAT:
        opened = _as_nested(opened)
    if entry is None or found in _OF_DICTS:
        return opened
    arrays = state_dicts.selected(path, opened.arrays, entry)
    return replace(opened, arrays=arrays, keys=(repr(entry),))


def _read(path: Path, found: str, entry: str | None = None) -> Opened:
    if found in _OF_DICTS:
        names, read = _OF_DICTS[found]
        arrays, keys = read(path, entry)
        if names == "pdparams" and any(name.endswith(_PYTORCHS) for name in arrays):
            names = "pth"  # a pickle of arrays of NumPy has no framework's mark
        opened = Opened(arrays, names, tuple(keys))
    else:
        names, alone = _ALONE[found]
        opened = Opened(alone(path), names)
        if names == "h5":
            opened = replace(opened, configuration=hdf5.configuration(path, found))
    if not opened.arrays:
        raise WeightsError(f"{path}: the file contains no arrays")
    if all(0 in array.shape for array in opened.arrays.values()):
        of_part = (
            ", as in one part of a checkpoint that several processes saved; merge the parts first, "
            "for example with DeepSpeed's zero_to_fp32.py"
        )
        other = "; save the weights of a model that has them"
        what = of_part if opened.format in ("pth", "safetensors") else other
        raise WeightsError(f"{path}: its arrays are empty{what}")
    if name := next((name for name in opened.arrays if len(name) > _MAX_NAME), ""):
        raise WeightsError(f"{path}: {shown(name)}: the name of an array is too long")
    if len(opened.arrays) > MAX_TENSORS:
        raise WeightsError(f"{path}: the file contains more than {MAX_TENSORS:,} arrays")
    return opened


def _as_nested(opened: Opened) -> Opened:
    """Return arrays under the names that they have in dicts in dicts, where Flax's were flattened.

    ``flax.traverse_util.flatten_dict`` joins keys with any separator, usually a slash or a dot, and
    also those of the parameters and of the statistics, which are read together.
    """
    arrays = {name.replace("/", "."): array for name, array in opened.arrays.items()}
    if len(arrays) < len(opened.arrays):
        return opened
    keys, starts = opened.keys, {name.partition(".")[0] for name in arrays}
    if starts == {"params", state_dicts.STATISTICS}:
        inner = {name.partition(".")[2]: array for name, array in arrays.items()}
        if len(inner) == len(arrays):
            arrays, keys = inner, (*keys, f"'params' and {state_dicts.STATISTICS!r}")
    return replace(opened, arrays=arrays, keys=keys)


def _pytorch(path: Path, entry: str | None) -> tuple[dict[str, Stored], list[str]]:
    with reporting_damage(path, "a PyTorch file of weights"):
        return pytorch.read(path, entry)


def _paddle(path: Path, entry: str | None) -> tuple[dict[str, Stored], list[str]]:
    with path.open("rb") as file, reporting_damage(path, "a PaddlePaddle file of weights"):
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        value = pickles.load(memoryview(mapped))
        found = state_dicts.arrays(path, value, pickles.stored, entry)
        if "UnpackBigParamInfor@@" in value:
            raise WeightsError(f"{path}: saved in parts (protocol 2); save it with protocol=4")
    return found


def _onnx(path: Path) -> dict[str, Stored]:
    zoos = zoo_onnx_file.is_zoo_file(path)
    return zoo_onnx_file.arrays(path) if zoos else onnx_file.arrays(path)


_Arrays = dict[str, Stored]

#: Format -> the format whose names its arrays have, and what opens it. These hold dicts in dicts.
_OF_DICTS: dict[str, tuple[str, Callable[[Path, str | None], tuple[_Arrays, list[str]]]]] = {
    "pth": ("pth", _pytorch),
    "pdparams": ("pdparams", _paddle),
    "msgpack": ("msgpack", flax_file.read),
    "orbax": ("msgpack", orbax_folder.read),
}

#: The same for those that hold arrays by name.
_ALONE: dict[str, tuple[str, Callable[[Path], _Arrays]]] = {
    "safetensors": ("safetensors", zoo_file.arrays),
    "pdiparams": ("pdparams", paddle_program.read),
    "h5": ("h5", hdf5.read),
    "keras": ("h5", hdf5.read_zip),
    "onnx": ("onnx", _onnx),
    "caffemodel": ("caffemodel", caffe_file.read),
    "ckpt": ("ckpt", tensorflow_checkpoint.read),
}


#: Formats whose names may be those of Flax, flattened.
_FLAT = ("msgpack", "safetensors")


def _indexed(path: Path) -> Opened:
    """Open all files that an index lists; they are in the same folder."""
    try:
        with path.open("rb") as file:
            index = json.loads(file.read(_MAX_INDEX))
        listed: Any = index["weight_map"]
        files = sorted({str(name) for name in listed.values()})
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise WeightsError(
            f"{path}: not an index of files of weights, or damaged; {formats.EXPECTED}"
        ) from None
    if len(files) > _MAX_FILES or not all(re.fullmatch(r"[\w.-]+", name) for name in files):
        raise WeightsError(f"{path}: not an index of files in the same folder")
    arrays: dict[str, Stored] = {}
    kinds = set()
    for name in files:
        if not (path.parent / name).is_file():
            raise WeightsError(f"{path}: it lists {shown(name)}, which is not in the same folder")
        found = formats.format_of(path.parent / name, part=True)
        if found == "index":
            raise WeightsError(f"{path}: it lists another index")
        part = _read(path.parent / name, found)
        if twice := arrays.keys() & part.arrays.keys():
            raise WeightsError(f"{path}: {shown(min(twice))} is in two of its files")
        arrays |= part.arrays
        kinds.add(part.format)
    missing = [str(name) for name in listed if name not in arrays]
    if missing or len(kinds) != 1:
        what = f"{shown(missing[0])} is in none of its files" if missing else "it mixes formats"
        raise WeightsError(f"{path}: {what}")
    return Opened(arrays, kinds.pop())
