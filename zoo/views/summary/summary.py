"""``zoo.summary``: a network as a table."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Unpack

from zoo import arguments
from zoo.graphs.graph import Graph
from zoo.views.arguments import GraphOptions, graph_to_show
from zoo.views.display import ShownAsTable
from zoo.views.summary import table
from zoo.views.summary.data import SummaryData
from zoo.views.tables import Table


@dataclass(frozen=True, repr=False)
class Summary(ShownAsTable, SummaryData):
    """A network as a table; see :func:`summary`.

    It is displayed as a table. See ``SummaryData`` for its fields.
    """

    def tables(self) -> Sequence[Table]:
        """Return the table with full path names, and a narrower one."""
        return table.tables(self)

    def to_csv(self) -> str:
        """Return every row as CSV, the paper's figures in columns ``published_*``.

        The last row is the whole network. Its name is empty, as in ``total``.

        Example:
            >>> import zoo
            >>> zoo.summary("vgg16").to_csv().splitlines()[1].split(",")[:5]
            ['stage1', 'stage', '112x112x64', '2', '38720']
        """
        return table.to_csv(self)


def summary(
    model: str | os.PathLike[str] | Graph | Any,
    depth: int | None = 1,
    **options: Unpack[GraphOptions],
) -> Summary:
    """Summarize a network: output shapes, depth, parameters and MACs, and the paper's figures.

    The summary lists figures of the paper that contradict the computed ones, with the reason if it
    is known. No framework is imported.

    Args:
        model: The name of a model, the path of a YAML file, a graph, or a model that zoo built.
        depth: How many levels of blocks to open; None opens all.
        **options: Options of :func:`zoo.graph`, for a name or a file: aux, num_classes,
            in_channels, input_size.

    Returns:
        The rows as data, displayed as a table when printed or in a notebook. ``to_dict``,
        ``to_csv``, ``to_markdown`` and ``to_html`` convert them.

    Raises:
        UnknownNameError: There is no such model.
        SpecError: The spec is wrong or does not fit this input.
        InputError: An option has an invalid value, or was given for a graph or a model.
        BackendError: The model was not built by zoo.

    Example:
        >>> import zoo
        >>> zoo.summary("vgg16", num_classes=10).num_parameters
        134301514
        >>> [row.name for row in zoo.summary("googlenet").rows if row.disagreeing]
        ['conv1', 'inception4c', 'inception4d', 'inception5a', 'inception5b']
        >>> print(zoo.summary("vgg16").to_markdown()[:46])
        | layer | kind | output | depth | parameters |
    """
    depth = arguments.positive("depth", depth)
    return Summary.of(graph_to_show("summary", model, options), depth)
