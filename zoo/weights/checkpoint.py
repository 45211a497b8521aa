"""The arrays in a file. Names, shapes and dtypes are known before values are read."""

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

#: How many times its own size the arrays of a compressed file may take in memory, beyond what is
#: never too much. Pruned weights compress well; others hardly at all.
_MOST_REPEATED, _SMALL = 16, 64_000_000


@dataclass(frozen=True, slots=True)
class Stored:
    """One array of a file.

    Attributes:
        shape: Its shape.
        dtype: The name of its dtype.
        read: Returns the array in newly allocated memory.
        mapped: Returns the array as pages of the file, which are copied when they are written to.
            None if the file cannot be mapped.
    """

    shape: Shape
    dtype: str
    read: Callable[[], Array]
    mapped: Callable[[], Array] | None = None


@dataclass(frozen=True)
class Checkpoint:
    """A network's weights in a file, under canonical names and in canonical layouts.

    Attributes:
        title: What to call the file in a message.
        model: The network's name.
        document: The network's spec.
        chosen: The options that the network is built with unless others are given.
        arrays: Canonical name -> array.
        origin: ``source``, ``file`` and ``license`` of a file that is known to be published;
            ``names`` and ``file`` of another.
        verify: Raises WeightsError if the file is damaged, as far as that can be detected. It is
            cheap only after all arrays have been read.
        input_size: The input size that the publisher states, where it differs from the network's.
    """

    title: str
    model: str
    document: Document
    chosen: Chosen
    arrays: Mapping[str, Stored]
    origin: Mapping[str, str] = field(default_factory=dict)
    verify: Callable[[], None] = lambda: None
    input_size: tuple[int, int] | None = None

    def graph(self, **changes: Any) -> Graph:
        """Return the network's graph, with some options changed; None changes nothing."""
        given = {key: value for key, value in changes.items() if value is not None}
        return graphs.graph_of_document(self.model, self.document, self.chosen._replace(**given))

    @contextmanager
    def verified(self) -> Iterator[None]:
        """Verify the file after the code that uses it, whether or not that code raises.

        A damaged byte can change a name, a shape or an option, so the code may fail with an error
        that misleads. If the file is damaged, that is reported instead.

        Raises:
            WeightsError: The file is damaged.
        """
        try:
            yield
        except ZooError:
            self.verify()
            raise
        self.verify()


class UnreadableError(ValueError):
    """What is in a file cannot be read, although it is not damaged: its text says what to do."""


def check_total(path: Path, count: int) -> None:
    """Reject a file whose arrays are far larger than the file, which real weights never are.

    Views that repeat values, chunks that were never written, and compressed zeros can describe
    arrays of any size in a few bytes, and what is built for them would fill the memory.

    Args:
        path: The file.
        count: The bytes of its arrays in memory.

    Raises:
        WeightsError: They are too many.
    """
    size = path.stat().st_size
    if count > _MOST_REPEATED * size + _SMALL:
        raise WeightsError(
            f"{path}: its arrays would take {count / 1e6:,.0f} MB of memory, and the file has only "
            f"{size / 1e6:,.1f} MB: it is damaged, or repeats values. Save each weight as an array "
            "of its own"
        )


@contextmanager
def reporting_damage(path: Path | str, kind: str) -> Iterator[None]:
    """Report any error that a library raises for a damaged file in one line.

    Args:
        path: The file.
        kind: What it should be, such as ``an HDF5 file of weights``.

    Raises:
        WeightsError: Replaces any error that is not a ZooError.
    """
    try:
        yield
    except ZooError:
        raise
    except UnreadableError as error:
        raise WeightsError(f"{path}: {error}") from None
    except MemoryError:
        reason = "it requires too much memory"
        raise WeightsError(f"{path}: not {kind}, or damaged ({reason})") from None
    except Exception as error:  # a damaged file can make a library raise anything
        text = "" if isinstance(error, KeyError) else str(error).strip().partition("\n")[0][:200]
        reason = text or type(error).__name__
        raise WeightsError(f"{path}: not {kind}, or damaged ({reason})") from None
