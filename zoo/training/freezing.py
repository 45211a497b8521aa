"""Finds the parameters that patterns of names freeze."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import translate

from zoo.errors import UnknownNameError, suggestion
from zoo.graphs.graph import Graph


def frozen(graph: Graph, patterns: Iterable[str]) -> frozenset[str]:
    """Return the names of the parameters that patterns match.

    Args:
        graph: The network.
        patterns: Names of parameters, layers or blocks, in which ``*`` stands for any characters
            and ``?`` for one. Of a layer or block, all parameters are meant.

    Raises:
        UnknownNameError: A pattern matches nothing.

    Example:
        >>> import zoo
        >>> sorted(frozen(zoo.graph("lenet5"), ["c1*"]))
        ['c1.conv.bias', 'c1.conv.weight']
    """
    names = [p.name for p in graph.parameters if p.trainable]
    found: set[str] = set()
    for pattern in patterns:
        matches = re.compile(translate(pattern)).match
        some = {name for name in names if any(matches(part) for part in _prefixes(name))}
        if not some:
            parts = {part for name in names for part in _prefixes(name)}
            hint = suggestion(pattern, parts)
            raise UnknownNameError(f"{graph.name} has no layer {pattern!r:.60} with weights{hint}")
        found |= some
    return frozenset(found)


def _prefixes(name: str) -> Iterable[str]:
    """Yield the parameter's name, its layer's, and those of the blocks that it is in."""
    while name:
        yield name
        name = name.rpartition(".")[0]
