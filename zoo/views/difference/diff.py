"""``zoo.diff``: how two networks differ."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Unpack

from zoo import arguments
from zoo.files import write_text
from zoo.graphs.graph import Graph
from zoo.views.arguments import GraphOptions, graph_to_show
from zoo.views.difference import table
from zoo.views.difference.data import DifferenceData
from zoo.views.display import ShownAsTable
from zoo.views.tables import Table


@dataclass(frozen=True, repr=False)
class Difference(ShownAsTable, DifferenceData):
    """How two networks differ; see :func:`diff`. It is false if they do not.

    It is displayed as a table. See ``DifferenceData`` for its fields.
    """

    def tables(self) -> Sequence[Table]:
        """Return the table, which has only one form."""
        return (table.table(self),)

    def to_csv(self) -> str:
        """Return every change as CSV, with old and new values in separate columns.

        Example:
            >>> import zoo
            >>> print(zoo.diff("vgg9", "vgg9").to_csv().strip())
            name,kind,op,words,old_shape,new_shape,old_parameters,new_parameters,old_macs,new_macs
        """
        return table.to_csv(self)


def diff(
    old: str | os.PathLike[str] | Graph | Any,
    new: str | os.PathLike[str] | Graph | Any,
    path: str | os.PathLike[str] | None = None,
    *,
    every: bool = False,
    depth: int | None = 1,
    **options: Unpack[GraphOptions],
) -> Difference:
    """Compare two networks node by node.

    Nodes correspond if they have the same path name. No framework is imported.

    Args:
        old: The name of a model, the path of a YAML file, a graph, or a model that zoo built.
        new: The model to compare it with.
        path: An HTML file to write, with the drawings of both networks side by side, in which what
            differs is marked.
        every: Whether the printed table has a row for every change. By default similar changes
            are grouped if there are many.
        depth: How many levels of blocks the drawings show; None shows all.
        **options: Options of :func:`zoo.graph` for both models, if both are names or files: aux,
            num_classes, in_channels, input_size.

    Returns:
        The changes, in the order of the networks; false if there are none.

    Raises:
        UnknownNameError: There is no such model.
        SpecError: A spec is wrong or does not fit this input.
        InputError: An option has an invalid value, or was given for a graph or a model; or the
            file cannot be written.
        BackendError: A model was not built by zoo, or Jinja is not installed.

    Example:
        >>> import zoo
        >>> difference = zoo.diff("googlenet", "googlenet_no_reduce")
        >>> [(change.name, change.kind) for change in difference.changes]
        [('conv2.reduce.conv', 'removed'), ('conv2.reduce.relu', 'removed')]
    """
    every = arguments.flag("every", every)
    depth = arguments.positive("depth", depth)
    file = None if path is None else arguments.path("path", path)
    first, second = (graph_to_show("diff", model, options) for model in (old, new))
    if first.name == second.name:  # two files with the same network name
        first, second = _named_by_path(first, old), _named_by_path(second, new)
    found = Difference.between(first, second, every)
    if file is not None:
        from zoo.views.difference.page import page  # with Jinja, which a table does not need

        write_text(file, page(found, first, second, depth))
    return found


def _named_by_path(graph: Graph, model: Any) -> Graph:
    is_path = isinstance(model, str | os.PathLike)
    return replace(graph, name=os.fspath(model)) if is_path else graph
