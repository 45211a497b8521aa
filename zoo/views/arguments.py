"""The arguments of views: a name, a file, a graph or a model; and its options."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, TypedDict

from zoo.errors import suggestion
from zoo.graphs.graph import Graph
from zoo.language.graphs import checked_name, refuse_options
from zoo.language.graphs import graph as build_graph

if TYPE_CHECKING:
    from collections.abc import Mapping


class GraphOptions(TypedDict, total=False):
    """The options that :func:`zoo.graph` takes, for a name or a file."""

    aux: bool
    num_classes: int | None
    in_channels: int | None
    input_size: int | tuple[int, int] | None


def graph_to_show(function: str, model: Any, options: Mapping[str, Any]) -> Graph:
    """Return the graph to show.

    Args:
        function: The function that was called, for messages.
        model: The name of a model, the path of a YAML file, a graph, or a model that zoo built.
        options: Options for a name or a file; see :class:`GraphOptions`.

    Raises:
        UnknownNameError, SpecError: See :func:`zoo.graph`.
        InputError: Options were given for a graph or a model, which already has its own.
        BackendError: The model was not built by zoo.
        TypeError: There is no such option, as for any function in Python.

    Example:
        >>> graph_to_show("summary", "vgg16", {"num_classes": 10}).num_parameters
        134301514
    """
    for option in options:
        if option not in GraphOptions.__annotations__:
            hint = suggestion(option, GraphOptions.__annotations__)
            raise TypeError(f"{function}() got an unexpected keyword argument {option!r}{hint}")
    if isinstance(model, str | os.PathLike | dict):  # a dict is refused, with a hint
        return build_graph(checked_name(model), **options)
    refuse_options(options)
    if isinstance(model, Graph):
        return model
    from zoo.api.networks import graph_of  # NumPy and more, which a name does not need

    return graph_of(model)
