"""Arrays in a file, of which name, shape and dtype are known before they are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from zoo.errors import WeightsError, ZooError
from zoo.graphs.graph import Graph
from zoo.graphs.shapes import Shape
from zoo.language import graphs
from zoo.language.document import Mapping as Document
from zoo.language.options import Chosen

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]


@dataclass(frozen=True, slots=True)
class Stored:
    """One array of a file.

    Attributes:
        shape: Its shape.
        dtype: Its dtype's name.
        read: Gives it, in memory that nobody else holds.
        mapped: Gives it in pages of the file itself, which are copied when they are written to;
            None where a file cannot be mapped.
    """

    shape: Shape
    dtype: str
    read: Callable[[], Array]
    mapped: Callable[[], Array] | None = None


@dataclass(frozen=True)
class Checkpoint:
    """A network's weights in a file, under canonical names and in canonical layouts.

    Attributes:
        title: What to call it in a message.
        model: The network's name.
        document: Its spec.
        chosen: The options that the weights are for.
        arrays: Canonical name -> array.
        origin: ``source``, ``file`` and ``licence``, as far as they are known.
        verify: Raises WeightsError if the file is not as it was written, where that can be told;
            to be called when the arrays have been read.
    """

    title: str
    model: str
    document: Document
    chosen: Chosen
    arrays: Mapping[str, Stored]
    origin: Mapping[str, str] = field(default_factory=dict)
    verify: Callable[[], None] = lambda: None

    def graph(self, **changes: Any) -> Graph:
        """Make the network's graph, with these options changed."""
        given = {key: value for key, value in changes.items() if value is not None}
        return graphs.graph_of_document(self.model, self.document, self.chosen._replace(**given))


@contextmanager
def told(path: Path, what: str) -> Iterator[None]:
    """Turn whatever a library says of a damaged file into one line.

    Raises:
        WeightsError: In place of any error but zoo's own.
    """
    try:
        yield
    except ZooError:
        raise
    except MemoryError:
        raise WeightsError(
            f"{path}: not {what}, or damaged (it asks for too much memory)"
        ) from None
    except Exception as error:  # there is no end to what a damaged file makes a library raise
        words = "" if isinstance(error, KeyError) else str(error).strip().partition("\n")[0][:200]
        reason = words or type(error).__name__
        raise WeightsError(f"{path}: not {what}, or damaged ({reason})") from None
