"""Identifies the network of a file by the names of its arrays."""

from __future__ import annotations

import collections
import itertools
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from zoo.graphs.graph import Graph
from zoo.weights import classifier, counts
from zoo.weights import names as naming
from zoo.weights.checking import OF_STATISTICS
from zoo.weights.checkpoint import Stored
from zoo.weights.slots import Slot, in_canonical_layout, published_slots, with_heads
from zoo.weights.sources import Source, sources

#: The name of a network, or its graph.
Network = TypeVar("Network", str, str | Graph)

MAX_NAME = 300  # characters; a hostile file may have names of megabytes
_MAX_PREFIX = 6  # names of wrappers before those of a network
_MAX_PARTS = 4  # of a file that are tried
_MAX_EXTRA = 16  # arrays of another classifier
_MAX_EXCEPTIONS = 8  # from the names of a network that a file nearly has


@dataclass(frozen=True)
class View:
    """The arrays of a file under the names that they have within a wrapper.

    Attributes:
        arrays: Name without what the wrapper adds to it -> array.
        removed: What that is, for messages; empty if there is no wrapper.
    """

    arrays: Mapping[str, Stored]
    removed: str = ""


@dataclass(frozen=True)
class Replaced:
    """How a file differs from a network whose classifier it lacks.

    Attributes:
        missing: Canonical names of the classifier's parameters that are not in the file.
        extra: Names in the file that are not among the network's.
    """

    missing: tuple[str, ...]
    extra: tuple[str, ...]


@dataclass(frozen=True)
class Near:
    """How a file differs from a network that it has nearly all names of.

    Attributes:
        table: The source whose names these are.
        network: The network.
        missing: The source's names of parameters that are not in the file.
        extra: Names in the file that are not among the network's.
    """

    table: Source
    network: str
    missing: Sequence[str]
    extra: Sequence[str]


def views(stored: Mapping[str, Stored]) -> Iterator[View]:
    """Yield the arrays of a file with their own names, and with a common prefix removed.

    Args:
        stored: Name in the file -> array.
    """
    yield View(stored)
    bare = _without_wrappers(stored)
    if bare:
        yield bare
    yield from _stripped(bare or View(stored), all_names=True)


def views_of_most(stored: Mapping[str, Stored]) -> Iterator[View]:
    """Yield :func:`views`, and the arrays with the prefix of most of their names removed."""
    yield from views(stored)
    yield from _stripped(_without_wrappers(stored) or View(stored), all_names=False)


def _without_wrappers(stored: Mapping[str, Stored]) -> View | None:
    """Return the arrays with the names of wrappers removed from theirs."""
    arrays: dict[str, Stored] = {}
    removed: set[str] = set()
    for name, array in stored.items():
        if len(name) <= MAX_NAME:
            removed |= naming.WRAPPERS.intersection(name.split("."))
            name = naming.without_wrappers(name)
        arrays[name] = array
    if not removed or len(arrays) < len(stored):
        return None
    return View(arrays, " and ".join(f"{word!r}" for word in sorted(removed)))


def _stripped(view: View, all_names: bool) -> Iterator[View]:
    prefix = ""
    for _ in range(_MAX_PREFIX):
        firsts = collections.Counter(
            name.removeprefix(prefix).partition(".")[0]
            for name in view.arrays
            if name.startswith(prefix) and "." in name.removeprefix(prefix)
        )
        word, count = max(firsts.items(), key=lambda item: item[1], default=("", 0))
        if not word or count <= (len(view.arrays) - 1 if all_names else len(view.arrays) / 2):
            return
        prefix += f"{word}."
        arrays = {name.removeprefix(prefix): array for name, array in view.arrays.items()}
        if len(arrays) == len(view.arrays):
            yield View(arrays, " and ".join(filter(None, (view.removed, f"{prefix!r}"))))


def parts(stored: Mapping[str, Stored]) -> Iterator[tuple[str, Mapping[str, Stored]]]:
    """Yield each prefix of several arrays' names, and these arrays with it removed.

    Args:
        stored: Name in the file -> array; names of wrappers do not count.
    """
    if any(len(name) > MAX_NAME for name in stored):
        return
    bare = _without_wrappers(stored)
    stored = bare.arrays if bare else stored
    words = [name.split(".")[:-1] for name in stored]
    pairs = itertools.takewhile(
        lambda pair: pair[0] == pair[1], zip(min(words), max(words), strict=False)
    )
    start = "".join(f"{word}." for word, _ in pairs)
    firsts = collections.Counter(name.removeprefix(start).partition(".")[0] for name in stored)
    for word, _ in firsts.most_common(_MAX_PARTS):
        part = f"{start}{word}."
        arrays = {n.removeprefix(part): a for n, a in stored.items() if n.startswith(part)}
        if 0 < len(arrays) < len(stored):
            yield part[:-1], arrays


def sources_of_format(format_: str, own: Iterable[Source] = ()) -> list[Source]:
    """Return the sources that publish files of a format, and after them those of zoo's own names.

    Args:
        format_: The format; see ``zoo.weights.reading.readers.Opened``.
        own: Tables of zoo's own names.
    """
    return [table for table in (*sources().values(), *own) if format_ in table.formats]


def identify(
    tables: Iterable[Source], stored: Mapping[str, Stored], replaced: bool = False
) -> list[tuple[Source, str]]:
    """Find the networks that have exactly the names of a file; auxiliary heads may be missing.

    Args:
        tables: The sources to consider.
        stored: Name in the file -> array.
        replaced: Whether to find networks whose classifier is missing or replaced instead.

    Returns:
        The sources and their networks. Networks that differ only in width have the same names: the
        one with the most shapes in common with the file comes first.
    """
    candidates = []
    kept_by: dict[tuple[str, ...], list[str]] = {}  # most sources leave out the same
    for table in tables:
        patterns = tuple(table.left_out)
        kept = kept_by[patterns] = kept_by.get(patterns) or table.kept(stored)
        for network in table.networks:
            if (
                replacement(table, network, stored, kept)
                if replaced
                else _has_names_of(table, network, kept)
            ):
                candidates.append((table, network))
    if len(candidates) > 1:
        candidates.sort(key=lambda pair: -count_matching_shapes(pair[0], pair[1], stored))
    return candidates


def best(
    matches: Sequence[tuple[Source, Network]], stored: Mapping[str, Stored]
) -> list[tuple[Source, Network]]:
    """Return those of the networks found that have the most shapes in common with a file."""
    if len(matches) == 1:
        return list(matches)
    counted = [count_matching_shapes(table, network, stored) for table, network in matches]
    return [match for match, count in zip(matches, counted, strict=True) if count == max(counted)]


def closest(
    pairs: Iterable[tuple[Source, str | Graph]], seen: Sequence[View]
) -> tuple[tuple[Source, str | Graph], View] | None:
    """Return the source, and the view of a file, with the most names of a network in common.

    Args:
        pairs: The sources, and the network as for :func:`has_names_of`.
        seen: The views of the file.

    Returns:
        None if no source has a name in common with the file.
    """

    def common(candidate: tuple[tuple[Source, str | Graph], View]) -> int:
        (table, network), view = candidate
        name = network if isinstance(network, str) else network.name
        names = table.table_names(name, table.kept(view.arrays))
        slots = published_slots(table, network).values()
        return sum(name in names for slot in slots for name in slot.names)

    best = max(((pair, view) for pair in pairs for view in seen), key=common, default=None)
    return best if best and common(best) else None


def nearest(tables: Iterable[Source], seen: Sequence[View]) -> Near | None:
    """Find the network whose names a file has but for a few.

    Args:
        tables: The sources to consider.
        seen: The views of the file.

    Returns:
        The network with the fewest exceptions; None if every one has too many.
    """
    found: list[Near] = []
    for table in tables:
        for view in seen:
            kept = table.kept(view.arrays)
            for network in table.networks:
                if near := _near(table, network, kept):
                    found.append(near)
    return min(found, key=lambda near: len(near.missing) + len(near.extra), default=None)


def _near(table: Source, network: str, kept: Sequence[str]) -> Near | None:
    most = min(_MAX_EXCEPTIONS, len(kept) // 4)
    if not any(counts.allow(table.name, network, len(kept) + n) for n in range(-most, most + 1)):
        return None
    names = table.table_names(network, kept)
    if not _plausible(table, network, names, most):
        return None
    slots = published_slots(table, network).values()
    known = {name for slot in slots for name in slot.names}
    extra = [key for name, key in names.items() if name not in known]
    missing = [
        slot.names[0]
        for slot in slots
        if not slot.optional and not any(name in names for name in slot.names)
    ]
    if len(extra) + len(missing) > most:
        return None
    return Near(table, network, missing, extra)


def without_statistics(
    tables: Iterable[Source], seen: Sequence[View]
) -> tuple[Source, str, View] | None:
    """Find the network whose parameters a file has, but none of its running statistics.

    Args:
        tables: The sources to consider.
        seen: The views of the file.

    Returns:
        The source whose names these are, the network, and the view; None if there is no such
        network. Of several, the one with the most shapes in common with the file.
    """
    found = [
        (table, network, view)
        for table in tables
        for view in seen
        for kept in [table.kept(view.arrays)]
        for network in table.networks
        if _lacks_statistics(table, network, kept)
    ]
    return max(
        found,
        key=lambda each: count_matching_shapes(each[0], each[1], each[2].arrays),
        default=None,
    )


def _lacks_statistics(table: Source, network: str, kept: Sequence[str]) -> bool:
    if not counts.allow_parameters(table.name, network, len(kept)):
        return False
    names = table.table_names(network, kept)
    if not _plausible(table, network, names):
        return False
    slots = published_slots(table, network)
    if not names.keys() <= {name for slot in slots.values() for name in slot.names}:
        return False
    missing = [
        parameter
        for parameter, slot in slots.items()
        if not slot.optional and not any(name in names for name in slot.names)
    ]
    statistics = [parameter for parameter in slots if parameter.endswith(OF_STATISTICS)]
    return (
        bool(missing)
        and {*missing} <= {*statistics}
        and not any(name in names for parameter in statistics for name in slots[parameter].names)
    )


def has_names_of(table: Source, network: str | Graph, keys: Iterable[str]) -> bool:
    """Tell whether a file's names are exactly those of a source's network.

    Args:
        table: The source.
        network: The network; its graph, if zoo does not ship it.
        keys: The names in the file.

    Returns:
        True if every name belongs to a parameter of the network, no parameter has two, and every
        parameter outside the auxiliary heads has one.
    """
    return _has_names_of(table, network, table.kept(keys))


def _has_names_of(table: Source, network: str | Graph, kept: Collection[str]) -> bool:
    name = network if isinstance(network, str) else network.name
    if isinstance(network, str) and not counts.allow(table.name, name, len(kept)):
        return False
    names = table.table_names(name, kept).keys()
    if not _plausible(table, name, names):
        return False  # before building the graph
    slots = published_slots(table, network).values()
    known = {name for slot in slots for name in slot.names}
    if not names <= known:
        return False
    matches = (sum(name in names for name in slot.names) for slot in slots)
    return all(
        count == 1 or (slot.optional and not count)
        for slot, count in zip(slots, matches, strict=True)
    )


def replacement(
    table: Source,
    network: str | Graph,
    stored: Mapping[str, Stored],
    kept: Collection[str] | None = None,
) -> Replaced | None:
    """Tell how a file differs from a network, if only the classifier differs.

    Args:
        table: The source whose names the file may have.
        network: As for :func:`has_names_of`.
        stored: Name in the file -> array.
        kept: The names without those that the table leaves out, if they are known.

    Returns:
        None unless every parameter before the classifier has an array, and every other array can
        belong to another classifier: it is in the place of the classifier, or is a vector or the
        kernel of a linear layer in a module that the network does not have.
    """
    kept = table.kept(stored) if kept is None else kept
    name = network if isinstance(network, str) else network.name
    if isinstance(network, str) and not counts.allow(table.name, name, len(kept), _MAX_EXTRA):
        return None
    names = table.table_names(name, kept)
    if not _plausible(table, name, names, _MAX_EXTRA):
        return None
    slots = published_slots(table, network)
    head = {parameter.name for parameter in classifier.parameters(with_heads(network))}
    known = {each for slot in slots.values() for each in slot.names}
    extra = [each for each in names if each not in known]
    missing = [
        parameter
        for parameter, slot in slots.items()
        if not slot.optional and not any(each in names for each in slot.names)
    ]
    if not missing or len(extra) > _MAX_EXTRA or not head.issuperset(missing):
        return None
    nodes = {each.rpartition(".")[0] for each in missing}
    if any(each.rpartition(".")[0] in nodes for each in head.difference(missing)):
        return None  # a part of a layer is missing
    places = tuple(f"{each.rpartition('.')[0]}." for p in head for each in slots[p].names)
    taken = {
        each.partition(".")[0]
        for parameter, slot in slots.items()
        if parameter not in head
        for each in slot.names
    }
    for each in extra:
        elsewhere = len(stored[names[each]].shape) <= 2 and each.partition(".")[0] not in taken
        if not (elsewhere or each.startswith(places)):
            return None
    return Replaced(tuple(missing), tuple(extra))


def _plausible(table: Source, network: str, names: Iterable[str], most: int = 0) -> bool:
    """Tell whether the rules of a table could produce each name, for any graph, but for some.

    A rule without a star matches its own name and all names below it. For a rule with a star, only
    the part before the star is compared.
    """
    exact: set[str] = set()
    prefixes: set[str] = set()
    for source_names in table.names(network).values():
        for source_name in source_names:
            start = naming.before_star(source_name)
            (exact if start == source_name else prefixes).add(start)
    starts = tuple(prefixes)
    for name in names:
        if not name.startswith(starts) and not any(p in exact for p in _with_parents(name)):
            most -= 1
            if most < 0:
                return False
    return True


def _with_parents(name: str) -> Iterable[str]:
    """Yield ``a.b.c``, ``a.b`` and ``a``; nothing for a name that is too long to be one."""
    while name and len(name) <= MAX_NAME:
        yield name
        name = name.rpartition(".")[0]


def count_matching_shapes(table: Source, network: str | Graph, stored: Mapping[str, Stored]) -> int:
    """Count the arrays of a file that have the shape of a network's parameter of their name."""
    name = network if isinstance(network, str) else network.name
    keys = table.table_names(name, table.kept(stored))

    def matches(slot: Slot, name: str) -> bool:
        return in_canonical_layout(stored[keys[name]], slot).shape == slot.shape

    slots = published_slots(table, network).values()
    return sum(matches(slot, name) for slot in slots for name in slot.names if name in keys)
