"""Reads the folders that Orbax writes for Flax's states, with TensorStore, which Flax installs.

Only the tree of names and the arrays are read. Orbax itself would also look up the types that a
checkpoint names, and trust the sizes that it states.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from zoo.errors import WeightsError
from zoo.weights.checking import shown
from zoo.weights.checkpoint import Array, Stored, reporting_damage
from zoo.weights.reading import state_dicts

TREE = "_METADATA"  # the file of a checkpoint with the names of its arrays
STEP = "_CHECKPOINT_METADATA"  # what a checkpoint of several items has, too

_KIND = "a checkpoint of Orbax"
_PARAMETERS = "params"
_ITEMS = ("default", "state", "model", _PARAMETERS, "pytree")  # what trees are called in a step
_ARRAYS = ("jax.Array", "np.ndarray")
_MAX_TREE = 20_000_000  # bytes
_MAX_ENTRIES = 10_000  # of a folder that are looked at
_MAX_ARRAYS = 20_000
_MAX_DEPTH = 32  # of names in names
_MAX_RATIO, _SMALL = 64, 1 << 28  # bytes of arrays for each byte of the folder, and for any folder


def is_checkpoint(path: Path) -> bool:
    """Tell whether a folder is Orbax's checkpoint, or a manager's folder of them."""
    return (path / TREE).is_file() or (path / STEP).is_file() or bool(_steps(path))


def read(path: Path, entry: str | None = None) -> tuple[dict[str, Stored], list[str]]:
    """Open a checkpoint; of several steps, the last.

    Args:
        path: A folder that a ``Checkpointer`` or a ``CheckpointManager`` wrote.
        entry: An item of the step, or as for :func:`zoo.weights.reading.state_dicts.arrays`.

    Returns:
        Name -> array, and the steps and keys that lead to them.

    Raises:
        WeightsError: The folder is damaged or incomplete, or holds something else.
    """
    try:
        import tensorstore
    except ImportError:
        raise WeightsError(
            f"{path}: to read {_KIND}, zoo needs tensorstore: "
            "python -m pip install orbax-checkpoint"
        ) from None
    with reporting_damage(path, _KIND):
        folder, places = _step_of(path)
        items, named = _items_of(folder, entry)
        places += named
        within = None if entry in items else entry
        value = {item: _tree(path, folder / item, tensorstore) for item in items}
        arrays, inner = state_dicts.arrays(
            path,
            value if len(items) > 1 else value[items[0]],
            lambda each: each if isinstance(each, Stored) else None,
            within,
        )
    return arrays, [*places, *inner]


def _tree(path: Path, folder: Path, tensorstore: Any) -> dict[str, Any]:
    """Return the arrays of one tree, in dicts in dicts, which TensorStore opens."""
    with (folder / TREE).open("rb") as file:
        tree = json.loads(file.read(_MAX_TREE))
    entries = [(_keys(path, each), each) for each in tree["tree_metadata"].values()]
    entries = [each for each in entries if each[1]["value_metadata"]["value_type"] in _ARRAYS]
    if len(entries) > _MAX_ARRAYS:
        raise WeightsError(f"{path}: the checkpoint contains more than {_MAX_ARRAYS:,} arrays")
    context = tensorstore.Context()
    opening = [
        tensorstore.open(_spec(folder, tree, ".".join(keys)), context=context)
        for keys, _ in entries
    ]
    value: dict[str, Any] = {}
    total = 0
    for (keys, _), future in zip(entries, opening, strict=True):
        opened = future.result()
        total += math.prod(opened.shape) * opened.dtype.numpy_dtype.itemsize
        _put(path, value, keys, _stored(path, ".".join(keys), opened))
    if total > _SMALL + _MAX_RATIO * _size(folder):
        raise WeightsError(f"{path}: damaged: its arrays are larger than the folder can hold")
    return value


def _step_of(path: Path) -> tuple[Path, list[str]]:
    """Return the folder of the last step of a checkpoint, and which that is, for messages."""
    if (path / TREE).is_file() or (path / STEP).is_file():
        return path, []
    steps = _steps(path)
    if not steps:
        raise WeightsError(f"{path}: {_KIND} without any step")
    return steps[max(steps)], [f"step {max(steps)}"]


def _items_of(folder: Path, entry: str | None) -> tuple[list[str], list[str]]:
    """Return the folders of the weights' trees within a step, and their names, for messages.

    An entry may be one of them. There are two if the parameters and the statistics are items of
    their own.
    """
    if (folder / TREE).is_file():
        return ["."], []
    items = sorted(item.parent.name for item in folder.glob(f"*/{TREE}"))
    usual = [item for item in (entry, *_ITEMS) if item in items]
    known = usual or (items if len(items) == 1 else [])
    if not known:
        has = f"it has {', '.join(map(shown, items))}; pass one of them as entry" if items else (
            "it has no arrays; restore it, and save zoo's model with zoo.save"
        )  # fmt: skip
        raise WeightsError(f"{folder}: {_KIND}: {has}")
    if known[0] == _PARAMETERS and state_dicts.STATISTICS in items:
        return [_PARAMETERS, state_dicts.STATISTICS], []  # which the keys of the weights name
    return known[:1], [repr(known[0])] if known[0] != "default" else []


def _steps(path: Path) -> dict[int, Path]:
    """Return the steps of a manager's folder that are complete: number -> folder."""
    found: dict[int, Path] = {}
    for count, each in enumerate(path.iterdir()):
        if count > _MAX_ENTRIES:
            break
        name = re.fullmatch(r"(?:\w+_)?(\d{1,18})", each.name)  # while it is written: .orbax-...
        if name and any((each / file).is_file() for file in (TREE, STEP)):
            found[int(name[1])] = each
    return found


def _keys(path: Path, each: Mapping[str, Any]) -> list[str]:
    keys = [str(part["key"]) for part in each["key_metadata"]]
    if not 0 < len(keys) <= _MAX_DEPTH or any("/" in key or key == ".." for key in keys):
        raise WeightsError(f"{path}: {shown('.'.join(keys))}: not the name of an array of weights")
    return keys


def _spec(folder: Path, tree: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return what TensorStore needs to open an array."""
    if tree.get("use_ocdbt", (folder / "manifest.ocdbt").is_file()):
        base = {"driver": "file", "path": f"{folder.resolve()}/"}
        store = {"driver": "ocdbt", "base": base, "path": f"{name}/"}
    else:
        store = {"driver": "file", "path": f"{folder.resolve() / name}/"}
    return {
        "driver": "zarr3" if tree.get("use_zarr3") else "zarr",
        "kvstore": store,
        "open": True,
        # Older versions of Orbax left out what is only zeros; otherwise a part that is missing is
        # damage.
        "fill_missing_data_reads": not tree.get("store_array_data_equal_to_fill_value"),
    }


def _stored(path: Path, name: str, opened: Any) -> Stored:
    chunk = opened.chunk_layout.read_chunk.shape or ()  # None for a number
    if any(part > max(whole, 1) for part, whole in zip(chunk, opened.shape, strict=bool(chunk))):
        raise WeightsError(f"{path}: {shown(name)}: its chunks are larger than the array itself")
    return Stored(tuple(opened.shape), opened.dtype.numpy_dtype.name, _reading(path, opened))


def _reading(path: Path, opened: Any) -> Callable[[], Array]:
    def read() -> Array:
        with reporting_damage(path, _KIND):
            array: Array = opened.read().result()
            return array

    return read


def _put(path: Path, value: dict[str, Any], keys: list[str], array: Stored) -> None:
    for key in keys[:-1]:
        value = value.setdefault(key, {})
        if not isinstance(value, dict):
            raise WeightsError(f"{path}: damaged: {shown(key)} is an array and has arrays in it")
    if value.setdefault(keys[-1], array) is not array:
        raise WeightsError(f"{path}: two arrays have the name {shown('.'.join(keys))}")


def _size(folder: Path) -> int:
    return sum(each.stat().st_size for each in folder.rglob("*") if each.is_file())
