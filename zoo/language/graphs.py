"""Makes graphs from the names of models, and from documents."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from zoo import arguments
from zoo.errors import InputError, SpecError
from zoo.graphs.graph import Graph
from zoo.language import catalog, options
from zoo.language.document import Mapping
from zoo.language.expansion import INHERITED, expand
from zoo.language.shipped import shipped
from zoo.language.trace import Trace
from zoo.language.validation import validate
from zoo.ops.expressions import MAX_WORK, Budget

#: Units of the budget where no block is copied from an equal one.
WORK_WITHOUT_COPIES = 4 * MAX_WORK


def graph(
    name: str | os.PathLike[str] | Graph,
    *,
    aux: bool = False,
    num_classes: int | None = None,
    in_channels: int | None = None,
    input_size: int | tuple[int, int] | None = None,
    classes: Sequence[str] | None = None,
) -> Graph:
    """Make the graph of a model.

    Args:
        name: A model zoo ships (see :func:`zoo.list_models`), or the path of a YAML file. A graph
            already has its options, and is returned as it is.
        aux: Whether to keep the auxiliary heads.
        num_classes: Outputs of the classifiers; the spec's own number if not given. 0 stands for
            the network without its classifier.
        in_channels: Channels of the input; the spec's own if not given.
        input_size: Height and width of the input, one number for a square; the spec's if not given.
        classes: The names of the classes, if they are not the spec's.

    Returns:
        The graph. No framework is imported.

    Raises:
        UnknownNameError: No such model.
        SpecError: The spec is wrong, or does not fit this input; the message names the node.
        InputError: An option has an invalid value.

    Example:
        >>> import zoo
        >>> zoo.graph("vgg16").num_parameters
        138357544
    """
    chosen = options.checked(aux, num_classes, in_channels, input_size, classes)
    if isinstance(name, Graph):
        default = options.Chosen()
        refuse_options(o for o in chosen._fields if getattr(chosen, o) != getattr(default, o))
        return name
    name = checked_name(name)
    try:
        return _graph(name, chosen)
    except SpecError as error:
        least = _least_size(name, chosen)
        if least is None:
            raise
        raise SpecError(f"{error}; it takes inputs of {least}x{least} and more") from None


def refuse_options(names: Iterable[str]) -> None:
    """Reject options in addition to a graph or a model.

    Raises:
        InputError: There are some.
    """
    if listed := ", ".join(names):
        raise InputError(
            f"{listed}: a graph or a model already has its options; give a name or a file to "
            "choose them"
        )


def takes(graph: Graph, **changes: Any) -> bool:
    """Tell whether the spec of a graph can be made with some options changed."""
    try:
        with_options(graph, **changes)
    except SpecError:
        return False
    return True


def graph_of_document(model: str, document: Mapping, chosen: options.Chosen) -> Graph:
    """Make the graph of a spec that is not a file, such as one stored with weights.

    Args:
        model: The name of the model.
        document: The spec of one model; see :func:`zoo.language.catalog.load`.
        chosen: The result of :func:`zoo.language.options.checked`.

    Raises:
        SpecError, InputError: As :func:`graph` does.
    """
    stated = Mapping({key: value for key, value in document.items() if key != INHERITED})
    return expand(model, validate(stated), document, chosen)


def with_options(graph: Graph, **changes: Any) -> Graph:
    """Return the graph of the same spec with some options changed, and of the same origin.

    Args:
        graph: The network.
        changes: Fields of :class:`zoo.language.options.Chosen`; None is the spec's own value.

    Raises:
        SpecError, InputError: As :func:`graph` does.

    Example:
        >>> import zoo
        >>> with_options(zoo.graph("vgg16"), num_classes=10).num_parameters
        134301514
    """
    document: Any = graph.document  # annotated as a general mapping
    chosen = options.Chosen(**{**graph.options, **changes})
    return replace(graph_of_document(graph.name, document, chosen), origin=graph.origin)


def traced(graph: Graph, **changes: Any) -> tuple[Graph, Trace]:
    """Make the graph of the same spec again, with some options changed, and trace its parts.

    Args:
        graph: The network.
        changes: As for :func:`with_options`.

    Raises:
        SpecError, InputError: As :func:`graph` does.

    Example:
        >>> import zoo
        >>> _, trace = traced(zoo.graph("resnet18"))
        >>> trace.uses["layer2.block1.conv1"][1]["stride"]
        2
    """
    trace, stated = Trace(), Mapping({k: v for k, v in graph.document.items() if k != INHERITED})
    chosen, budget = options.Chosen(**{**graph.options, **changes}), Budget(WORK_WITHOUT_COPIES)
    document: Any = graph.document  # annotated as a general mapping
    again = expand(graph.name, validate(stated), document, chosen, budget, trace=trace)
    return again, trace


@functools.lru_cache(maxsize=64)
def left_out(graph: Graph) -> frozenset[str]:
    """Return the names of the parameters of the classifiers that a graph omits.

    They are those of auxiliary heads, and of the classifier if the graph has none.
    """
    headless = graph.options["num_classes"] == 0
    if not graph.omitted and not headless:
        return frozenset()
    changes: dict[str, Any] = {"num_classes": None} if headless else {}
    if graph.omitted:  # the heads may need the spec's own input size
        changes |= {"aux": True, "input_size": None}
    whole = with_options(graph, **changes)
    return frozenset(p.name for p in whole.parameters) - {p.name for p in graph.parameters}


def checked_name(name: Any) -> str:
    """Return the name of a model, or the path of a YAML file, as a string.

    Raises:
        InputError: It is neither.
    """
    if isinstance(name, dict) and "zoo_graph" in name:
        raise InputError("a model must be a graph, not its dict; use zoo.Graph.from_dict(data)")
    return arguments.path("a model", name, "a name or the path of a YAML file")


def _graph(name: str, chosen: options.Chosen) -> Graph:
    # Shipped specs and graphs are immutable, so each graph is made only once: the cache has room
    # for all of them, which take some 70 MB.
    return (_cached if name in shipped() else _expanded)(name, chosen)


def _expanded(name: str, chosen: options.Chosen) -> Graph:
    return expand(*catalog.load(name), chosen)


_cached = functools.lru_cache(maxsize=512)(_expanded)


def _fits(name: str, chosen: options.Chosen) -> bool:
    try:
        _graph(name, chosen)
    except SpecError:
        return False
    return True


def _least_size(name: str, chosen: options.Chosen) -> int | None:
    """Return the smallest square input that fits, if nothing but the size is wrong."""
    if chosen.input_size is None or not _fits(name, chosen._replace(input_size=None)):
        return None
    default_size = _graph(name, chosen._replace(input_size=None)).options["input_size"]

    def fits(side: int) -> bool:
        return _fits(name, chosen._replace(input_size=(side, side)))

    low, high = min(chosen.input_size), max(default_size)
    if fits(low) or not fits(high):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if fits(middle) else (middle, high)
    return int(high)
