"""Which network a model is now: its graph and its weights, also after a layer was exchanged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zoo.backend.base import Array, Backend
from zoo.backend.unwrapping import find_built
from zoo.errors import SpecError, WeightsError
from zoo.graphs.graph import Graph
from zoo.graphs.shapes import Shape
from zoo.language.graphs import with_options
from zoo.ops.composite import opened
from zoo.weights.checking import check, floating, widest


def graph_of(model: Any) -> Graph:
    """Return the graph of a model.

    Args:
        model: A model that zoo built, or a wrapper around one. A linear classifier in it may have
            been exchanged for one of another size.

    Returns:
        The graph that it was built from, with the number of classes that it has now.

    Raises:
        BackendError: zoo did not build the model, or saving and loading it lost the graph.

    Example:
        >>> import torch, zoo
        >>> model = zoo.build("resnet18", "torch")
        >>> model.fc = torch.nn.Linear(512, 7)
        >>> zoo.graph_of(model).options["num_classes"]
        7
    """
    backend, model, graph = find_built(model)
    return _with_its_classes(graph, backend.shapes(model))


def network_and_weights(model: Any) -> tuple[Graph, dict[str, Array]]:
    """Copy a model's weights, and check that it still is the network that its graph describes.

    Args:
        model: A model that zoo built, or a wrapper around one.

    Returns:
        Its graph, as :func:`graph_of` returns it; and canonical name -> array in the canonical
        layout.

    Raises:
        BackendError: zoo did not build the model.
        WeightsError: A layer was exchanged for one of another kind or shape.
    """
    backend, model, graph = find_built(model)
    arrays = dict(floating(backend.get_weights(model)))
    _check_layers(backend, model, graph, widest(array.dtype.name for array in arrays.values()))
    network = _with_its_classes(graph, {name: array.shape for name, array in arrays.items()})
    check(
        {p.name: p.shape for p in network.parameters},
        {name: (array.shape, array.dtype.name) for name, array in arrays.items()},
        subject=f"the weights that this {network.name} now has",
        hint="A layer was exchanged. zoo.build makes models with other options, such as "
        "num_classes; a spec of your own can describe any other layer.",
    )
    return network, arrays


def _with_its_classes(graph: Graph, shapes: Mapping[str, Shape]) -> Graph:
    """Return the graph with the number of classes that fits the shapes, if there is one."""
    different = [p for p in graph.parameters if shapes.get(p.name, p.shape) != p.shape]
    if not different:
        return graph
    try:
        changed = with_options(graph, num_classes=shapes[different[0].name][0])
    except SpecError:  # or an option that is out of range
        return graph
    fits = all(shapes.get(p.name, p.shape) == p.shape for p in changed.parameters)
    return changed if fits else graph


def _check_layers(backend: Backend, model: Any, graph: Graph, dtype: str) -> None:
    """Reject a model with a layer of another kind: zoo does not know what that computes."""
    kernels = backend.operations
    built = graph if kernels is None else opened(graph, kernels)
    skeleton = backend.skeleton(built, dtype)
    if skeleton is None:
        return
    expected, actual = backend.named_modules(skeleton), backend.named_modules(model)
    for node in built.nodes:
        wanted, found = type(expected[node.name]), type(actual.get(node.name))
        if found not in (wanted, *backend.EQUIVALENTS.get(node.op, ())):
            kind = f"a {found.__name__}" if node.name in actual else "no module"
            raise WeightsError(
                f"{node.name!r} of this {graph.name} is {kind}, not the {wanted.__name__} that zoo "
                "built, so zoo does not know what it computes. zoo.get_weights returns the arrays "
                "as they are; a spec of your own can describe another layer"
            )
