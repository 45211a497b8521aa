"""What a file of zoo's own says about its network, as strings by name."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from zoo.errors import WeightsError, ZooError
from zoo.graphs.graph import Graph
from zoo.language import document, graphs, options
from zoo.language.document import Mapping as Document
from zoo.language.options import Chosen
from zoo.weights.checkpoint import Checkpoint, Stored

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


def checkpoint(
    path: Path, texts: Mapping[str, str], arrays: Mapping[str, Stored], verify: Callable[[], None]
) -> Checkpoint:
    """Return the weights of a file that states its network.

    Args:
        path: The file.
        texts: What :func:`of` returned when it was written.
        arrays: Its arrays by canonical name.
        verify: Reports a file that is damaged; it can take long.

    Raises:
        WeightsError: The file is damaged, or states something else.
    """
    try:
        stated = read(texts, str(path))
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        verify()
        reason = f" ({error})" if isinstance(error, ZooError) else ""
        raise WeightsError(f"{path}: not a file that zoo saved, or damaged{reason}") from None
    return Checkpoint(
        path.name,
        stated.model,
        stated.spec,
        stated.chosen,
        dict(arrays),
        stated.origin,
        verify,
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
