"""Identifies the network of a file by the names of its arrays."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from zoo.weights import counts
from zoo.weights.checkpoint import Stored
from zoo.weights.slots import Slot, in_canonical_layout, published_slots
from zoo.weights.sources import Source, sources

_MAX_NAME = 300  # characters; a hostile file may have names of megabytes


def sources_of_format(path: Path) -> list[Source]:
    """Return the sources that publish files with this suffix."""
    suffix = path.suffix.lower().lstrip(".")
    return [table for table in sources().values() if suffix in table.formats]


def identify(path: Path, stored: Mapping[str, Stored]) -> list[tuple[Source, str]]:
    """Find the networks that have exactly the names of a file; auxiliary heads may be missing.

    Args:
        path: The file, whose suffix says which sources to consider.
        stored: Name in the file -> array.

    Returns:
        The sources and their networks. Networks that differ only in width have the same names: the
        one with the most shapes in common with the file comes first.
    """
    candidates = []
    for table in sources_of_format(path):
        kept = table.kept(stored)
        for network in table.networks:
            if _has_names_of(table, network, kept):
                candidates.append((table, network))
    if len(candidates) > 1:
        candidates.sort(
            key=lambda candidate: -_count_matching_shapes(candidate[0], candidate[1], stored)
        )
    return candidates


def closest(network: str, stored: Mapping[str, Stored]) -> Source | None:
    """Return the source with the most names of a network in common with a file, if any.

    Args:
        network: The network; no source has to publish it.
        stored: Name in the file -> array.
    """

    def common(table: Source) -> int:
        names = table.table_names(network, table.kept(stored))
        slots = published_slots(table.name, network).values()
        return sum(name in names for slot in slots for name in slot.names)

    tables = [table for table in sources().values() if network in table.networks]
    best = max(tables, key=common, default=None)
    return best if best and common(best) else None


def has_names_of(table: Source, network: str, keys: Iterable[str]) -> bool:
    """Tell whether a file's names are exactly those of a source's network.

    Args:
        table: The source.
        network: The network.
        keys: The names in the file.

    Returns:
        True if every name belongs to a parameter of the network, no parameter has two, and every
        parameter outside the auxiliary heads has one.
    """
    return _has_names_of(table, network, table.kept(keys))


def _has_names_of(table: Source, network: str, kept: Collection[str]) -> bool:
    if not counts.allow(table.name, network, len(kept)):
        return False
    names = table.table_names(network, kept).keys()
    if not _plausible(table, network, names):
        return False  # before building the graph
    slots = published_slots(table.name, network).values()
    known = {name for slot in slots for name in slot.names}
    if not names <= known:
        return False
    matches = (sum(name in names for name in slot.names) for slot in slots)
    return all(
        count == 1 or (slot.optional and not count)
        for slot, count in zip(slots, matches, strict=True)
    )


def _plausible(table: Source, network: str, names: Iterable[str]) -> bool:
    """Tell whether the rules of a table could produce each name, for any graph.

    A rule without a star matches its own name and all names below it. For a rule with a star, only
    the part before the star is compared.
    """
    exact: set[str] = set()
    prefixes: set[str] = set()
    for source_names in table.names(network).values():
        for source_name in source_names:
            start, star, _ = source_name.partition("*")
            (prefixes if star else exact).add(start)
    starts = tuple(prefixes)
    return all(
        name.startswith(starts) or any(parent in exact for parent in _with_parents(name))
        for name in names
    )


def _with_parents(name: str) -> Iterable[str]:
    """Yield ``a.b.c``, ``a.b`` and ``a``; nothing for a name that is too long to be one."""
    while name and len(name) <= _MAX_NAME:
        yield name
        name = name.rpartition(".")[0]


def _count_matching_shapes(table: Source, network: str, stored: Mapping[str, Stored]) -> int:
    keys = table.table_names(network, table.kept(stored))

    def matches(slot: Slot, name: str) -> bool:
        return in_canonical_layout(stored[keys[name]], slot).shape == slot.shape

    slots = published_slots(table.name, network).values()
    return sum(matches(slot, name) for slot in slots for name in slot.names if name in keys)
