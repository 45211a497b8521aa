"""Finds the arrays by name in a training tool's file, among the other things that it saved."""

from __future__ import annotations

import collections
import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from zoo.errors import WeightsError
from zoo.weights import names as naming
from zoo.weights.checking import shown
from zoo.weights.checkpoint import Stored
from zoo.weights.reading import pickles

#: Keys under which training tools store weights; the first one in a file is used.
KEYS = (
    *("state_dict", "model_state_dict", "model_state", "model", "net", "network", "module"),
    *("weights", "params", "state", "net_state_dict", "model_weights", "generator"),
    *("state_dict_ema", "model_ema", "ema_state_dict", "ema"),
)

_OPTIMIZER = {"state", "param_groups"}  # what PyTorch's have
STATISTICS = "batch_stats"  # what Flax keeps in addition to "params"
_MAX_DEPTH = 8  # keys that lead to the weights
_MAX_ITEMS = 100_000  # that are looked at
_MAX_SETS = 4  # that a message names
_MAX_PREFIX = 300  # characters of the names of dicts in dicts

#: What pickle itself writes for a tensor; torch.save has the values apart.
_PICKLED = ("torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_parameter")
#: Name in a pickle -> what it is, and what to do.
_OTHER_TENSORS = {
    "torch._utils._rebuild_sparse_tensor": "a sparse tensor; save tensor.to_dense()",
    "torch._utils._rebuild_sparse_csr_tensor": "a sparse tensor; save tensor.to_dense()",
    "torch._utils._rebuild_qtensor": (
        "a quantized tensor; save the weights of the model as it was before"
    ),
    "torch._utils._rebuild_nested_tensor": "a nested tensor, which no layer has as a weight",
    "torch._utils._rebuild_meta_tensor_no_storage": (
        "a tensor on the device 'meta', which has no values; save the model that has them"
    ),
    "torch._utils._rebuild_wrapper_subclass": (
        "a part of a distributed tensor; save tensor.full_tensor()"
    ),
}

#: Framework -> what has a model's arrays by name.
_STATES = {
    "torch": "state_dict()",
    "paddle": "state_dict()",
    "keras": "weights",
    "flax": "state as dicts of arrays",
}

#: Framework -> what saves that.
_SAVING = {
    "torch": "torch.save(model.state_dict(), 'w.pth')",
    "paddle": "paddle.save(model.state_dict(), 'w.pdparams')",
    "keras": "model.save_weights('w.weights.h5')",
    "flax": "flax.serialization.msgpack_serialize(nnx.to_pure_dict("
    "nnx.state(model, (nnx.Param, nnx.BatchStat)))), in a file w.msgpack",
}

#: Package of a class, of zoo's or of a framework -> the framework.
_OWNERS = {
    **{name: name for name in _SAVING},
    "tensorflow": "keras",
    "jax": "flax",
    "jaxlib": "flax",
}

#: Returns an array if a value from a pickle describes one, and None if it does not.
Stores = Callable[[Any], Stored | None]


def arrays(
    path: Path, value: Any, stored: Stores, entry: str | None = None
) -> tuple[dict[str, Stored], list[str]]:
    """Return the arrays in what was saved.

    Args:
        path: The file, for messages.
        value: What :mod:`zoo.weights.reading.pickles` read.
        stored: Returns the array that a value describes.
        entry: The key of the weights to take, or what their names begin with, where the file holds
            several sets of weights; None for the main one.

    Returns:
        Name -> array, and the keys that lead to them, for messages. The names in dicts within dicts
        are joined by dots.

    Raises:
        WeightsError: There are none, there is no such entry, or something else is among them.
    """
    trees, keys, wanted = located(value, stored, entry)
    whole, value = value, trees[0]
    if any(isinstance(each, Mapping) and each.keys() >= _OPTIMIZER for each in (whole, value)):
        raise WeightsError(
            f"{path}: the state of an optimizer; pass the file of the model's weights, which is "
            "often next to it"
        )
    alone = stored(value) is not None  # which may be a tuple
    items = value if isinstance(value, list | tuple) and not alone else ()
    for each in (value, *items[:1]):
        if isinstance(each, pickles.Other):
            raise WeightsError(_object(path, "it", each))
    if any(stored(each) is not None for each in items):
        raise WeightsError(
            f"{path}: a list of arrays without names, as Keras' model.get_weights() returns; save "
            "them with their names: in Keras with model.save_weights('w.weights.h5'), in PyTorch "
            f"with {_SAVING['torch']}"
        )
    if not isinstance(value, Mapping):
        if not alone and (numbered := _numbered(whole, stored)):
            raise WeightsError(f"{path}: {numbered}")
        kind = "a tensor alone" if alone else type(value).__name__
        raise WeightsError(
            f"{path}: expected arrays by name, got {kind}; save the model's state_dict()"
        )
    found: dict[str, Stored] = {}
    rest: list[tuple[str, Any]] = []
    for name, item in itertools.chain.from_iterable(_items(path, tree) for tree in trees):
        try:
            array = stored(item)
        except ValueError as error:
            raise ValueError(f"{shown(name)}: {error}") from None
        if array is not None:
            if name in found:
                raise WeightsError(f"{path}: two arrays have the name {shown(name)}")
            found[name] = array
        else:
            rest.append((name, item))
    for name, item in rest:  # numbers and strings among the arrays do no harm
        if isinstance(item, pickles.Other):
            if what := _tensor(item.name):
                raise WeightsError(f"{path}: {shown(name)}: {what}")
            if not found:
                raise WeightsError(_object(path, f"{shown(name)}: it", item))
    if not found and (numbered := _numbered(whole, stored)):
        raise WeightsError(f"{path}: {numbered}")
    for name, item in rest if not found else ():
        if isinstance(item, list | tuple) and any(stored(each) is not None for each in item):
            raise WeightsError(
                f"{path}: {shown(name)}: a list of arrays without names; copy them to the model's "
                "parameters with the tool that saved them (in diffusers: "
                "ema.copy_to(model.parameters())), and save the model's state_dict()"
            )
    if rest and not found:
        name, item = rest[0]
        kind = type(item).__name__
        raise WeightsError(f"{path}: {shown(name)}: expected an array, got {kind}")
    if wanted is not None:
        sets = [key for key, item in whole.items() if _holds(item, stored)]
        return selected(path, found, wanted, sets), [*keys, repr(wanted)]
    return found, keys


def located(
    value: Any, stored: Stores, entry: str | None = None
) -> tuple[list[Any], list[str], str | None]:
    """Follow the keys that lead to the weights in what was saved.

    Args:
        value: What was saved.
        stored: As for :func:`arrays`.
        entry: As for :func:`arrays`.

    Returns:
        What is there: one object, or Flax's parameters and statistics; the keys, for messages; and
        what is left of the entry, which no key is.
    """
    keys: list[str] = []
    trees, wanted = [value], entry

    def hold(key: str) -> bool:
        return all(_holds(tree.get(key), stored) for tree in trees)

    while all(isinstance(tree, Mapping) for tree in trees) and len(keys) < _MAX_DEPTH:
        if wanted is not None:
            first, _, inner = (wanted, "", "") if wanted in trees[0] else wanted.partition(".")
            if hold(first):
                alone = not hold(STATISTICS) or any(STATISTICS in tree[first] for tree in trees)
                taken = dict.fromkeys((first,) if alone else (first, STATISTICS))
                keys.append(" and ".join(map(repr, taken)))
                trees, wanted = [tree[key] for tree in trees for key in taken], inner or None
                continue
        there = [key for key in KEYS if hold(key)]
        if not there:
            break
        key, *others = there
        others += _alike(trees[0], key, {*there, STATISTICS})
        beside = f", not {' or '.join(repr(shown(each)) for each in others)}" if others else ""
        keys.append(f"{key!r}{beside}")
        if key == "params" and hold(STATISTICS):
            keys[-1] = f"'params' and {STATISTICS!r}"
            trees = [tree[each] for tree in trees for each in (key, STATISTICS)]
        else:
            trees = [tree[key] for tree in trees]
    return trees, keys, wanted


def selected(
    path: Path, arrays: Mapping[str, Stored], entry: str, others: Iterable[str] = ()
) -> dict[str, Stored]:
    """Return the arrays whose names begin with the name of an entry, without it.

    Args:
        path: The file, for messages.
        arrays: Name -> array.
        entry: The entry; names of wrappers in it, and before it, may be left out.
        others: The other entries that the file has, for messages.

    Raises:
        WeightsError: There are none.
    """
    bare = {naming.without_wrappers(name): array for name, array in arrays.items()}
    for each, named in ((entry, arrays), (naming.without_wrappers(entry), bare)):
        start = f"{each}."
        found = {n.removeprefix(start): a for n, a in named.items() if n.startswith(start)}
        if found and len(named) == len(arrays):
            return found
    firsts = list(dict.fromkeys([*others, *(name.partition(".")[0] for name in arrays)]))
    known = ", ".join(map(shown, firsts[:_MAX_SETS])) + ", ..." * (len(firsts) > _MAX_SETS)
    raise WeightsError(
        f"{path}: it has no entry {entry!r:.200}; the names in it begin with {known}"
    )


def _tensor(name: str) -> str:
    """Explain why zoo does not read a tensor, by its name in a pickle; otherwise empty."""
    if name.startswith("torch.") and name.endswith("Storage"):
        dtype = name.removeprefix("torch.").removesuffix("Storage")
        return f"a tensor of {dtype}, which weights cannot have; save it as float32"
    if name in _PICKLED:
        return (
            "a tensor that was pickled without torch.save; write the file with "
            "torch.save(model.state_dict(), 'w.pth')"
        )
    other = "a tensor of a kind that weights cannot have; save it as float32"
    return _OTHER_TENSORS.get(name, other if name.startswith("torch._utils._rebuild") else "")


def _object(path: Path, name: str, value: pickles.Other) -> str:
    """Return the error for an object of Python, such as a whole model."""
    packages = value.name.removeprefix("zoo.").split(".")
    framework = _OWNERS.get(packages[0], "paddle" if path.suffix == ".pdparams" else "torch")
    return (
        f"{path}: {name} names {shown(value.name)}, which is not an array but an object of Python, "
        "such as a whole model, and zoo does not run code from a file; save the model's "
        f"{_STATES[framework]}: {_SAVING[framework]}"
    )


def _holds(value: Any, stored: Stores) -> bool:
    """Tell whether a value is a dict that has an array somewhere."""
    waiting, count = [value], 0
    while waiting and count < _MAX_ITEMS:
        each = waiting.pop()
        if isinstance(each, Mapping):
            count += len(each)
            waiting += [item for key, item in each.items() if type(key) is str]
        elif each is not value and _is_array(each, stored):
            return True
    return False


def _is_array(value: Any, stored: Stores) -> bool:
    """Tell whether a value describes an array, which may be damaged."""
    try:
        return stored(value) is not None
    except ValueError:
        return True


def _numbered(value: Any, stored: Stores) -> str:
    """Explain what to do with sets of weights under numbers, or in a list; empty if there are none.

    The state of an optimizer has numbers, too.
    """
    waiting, count = collections.deque([("", value)]), 0
    while waiting and count < _MAX_ITEMS:
        place, each = waiting.popleft()
        if isinstance(each, list | tuple):
            each = dict(enumerate(each))
        if not isinstance(each, Mapping) or each.keys() >= _OPTIMIZER:
            continue
        count += len(each)
        sets = [key for key, item in each.items() if type(key) is int and _holds(item, stored)]
        if sets:
            numbers = ", ".join(map(str, sets[:_MAX_SETS])) + ", ..." * (len(sets) > _MAX_SETS)
            return (
                f"it holds sets of weights under numbers, not under names: {numbers}; save one of "
                f"them alone, for example {place}[{sets[0]}] of what was saved"
            )
        if len(place) < _MAX_PREFIX:
            waiting += [(f"{place}[{shown(key)!r}]", item) for key, item in each.items()]
    return ""


def _alike(values: Mapping[Any, Any], key: str, known: Collection[str]) -> list[str]:
    """Return the keys of other dicts that have some of the names of one, such as averages."""
    names = values[key].keys()
    return [
        other
        for other, item in values.items()
        if type(other) is str and other not in known and isinstance(item, Mapping)
        if any(type(name) is str and name in names for name in item)
    ]


def _items(path: Path, value: Mapping[Any, Any]) -> Iterator[tuple[str, Any]]:
    """Yield what is in a dict and in the dicts in it, by names joined with dots."""
    waiting, count = [("", value)], len(value)  # a dict may hold itself, so the work is bounded
    while waiting:
        prefix, mapping = waiting.pop(0)
        for key, item in mapping.items():
            if isinstance(item, Mapping):
                count += len(item)
                if count > _MAX_ITEMS:
                    raise WeightsError(
                        f"{path}: it has more than {_MAX_ITEMS:,} items; save the weights alone"
                    )
                named = item and all(type(inner) is str for inner in item)
                if named and item.keys() == {"value"} and not isinstance(item["value"], Mapping):
                    yield f"{prefix}{key}", item["value"]  # a variable in Flax's state
                elif named and type(key) is str and len(prefix) + len(key) < _MAX_PREFIX:
                    waiting.append((f"{prefix}{key}.", item))
            elif type(key) is str:
                yield prefix + key, item
            else:
                raise WeightsError(f"{path}: expected arrays by name, got a key that is not a name")
