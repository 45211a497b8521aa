"""What a file of weights says of its network, as texts by name."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from zoo.graphs.graph import Graph
from zoo.language import document, graphs, options
from zoo.language.document import Mapping as Document
from zoo.language.options import Chosen

KEYS = ("model", "options", "spec", "origin")


class Stated(NamedTuple):
    """A network as a file states it.

    Attributes:
        model: Its name.
        spec: Its spec.
        chosen: The options that it was made with.
        origin: See :class:`zoo.graphs.graph.Graph`.
    """

    model: str
    spec: Document
    chosen: Chosen
    origin: Mapping[str, str]


def of(graph: Graph) -> dict[str, str]:
    """Return what a file says of a graph."""
    return {
        "model": graph.name,
        "options": json.dumps(graph.options),
        "spec": json.dumps(graph.document, ensure_ascii=False),
        "origin": json.dumps(dict(graph.origin), ensure_ascii=False),
    }


def read(texts: Mapping[str, str], title: str) -> Stated:
    """Read what :func:`of` returned.

    Raises:
        KeyError, TypeError, ValueError, AttributeError, RecursionError: It is something else.
    """
    origin = {str(key): str(value) for key, value in json.loads(texts["origin"]).items()}
    return Stated(
        texts["model"],
        document.parse(texts["spec"], f"{title}: spec"),
        options.checked(**json.loads(texts["options"])),
        origin,
    )


def graph(texts: Mapping[str, str]) -> Graph | None:
    """Return the graph that a file states; None if it states none."""
    if not all(key in texts for key in KEYS):
        return None
    return _graph(tuple(texts[key] for key in KEYS))


@functools.lru_cache(maxsize=8)
def _graph(values: tuple[str, ...]) -> Graph:
    stated = read(dict(zip(KEYS, values, strict=True)), "the model")
    made = graphs.graph_of_document(stated.model, stated.spec, stated.chosen)
    return replace(made, origin=stated.origin)
