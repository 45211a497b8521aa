"""Which network a model is now: its graph and its weights, also after a layer was replaced."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from zoo.backend.base import Array, Backend
from zoo.backend.unwrapping import find_built
from zoo.errors import SpecError, WeightsError, with_article
from zoo.graphs.graph import Graph
from zoo.graphs.shapes import Shape
from zoo.language.graphs import with_options
from zoo.ops.composite import opened
from zoo.weights import classifier
from zoo.weights.checking import check, floating


def graph_of(model: Any) -> Graph:
    """Return the graph of a model.

    Args:
        model: A model that zoo built, or a wrapper around one. A linear classifier in it may have
            been replaced with one of another size.

    Returns:
        The graph that it was built from, with the number of classes that it has now.

    Raises:
        BackendError: zoo did not build the model, or saving and loading it lost the graph.
        WeightsError: A layer was replaced with one of another type, or has other settings.

    Example:
        >>> import torch, zoo
        >>> model = zoo.build("resnet18", "torch")
        >>> model.fc = torch.nn.Linear(512, 7)
        >>> zoo.graph_of(model).options["num_classes"]
        7
    """
    backend, model, graph = find_built(model)
    shapes = backend.shapes(model)
    _check_layers(backend, model, graph)
    network = _with_its_classes(graph, shapes)
    _check_shapes(network, shapes)
    return network


def network_and_weights(model: Any) -> tuple[Graph, dict[str, Array]]:
    """Copy a model's weights, and check that it still is the network that its graph describes.

    Args:
        model: A model that zoo built, or a wrapper around one.

    Returns:
        Its graph, as :func:`graph_of` returns it; and canonical name -> array in the canonical
        layout.

    Raises:
        BackendError: zoo did not build the model.
        WeightsError: A layer was replaced with one of another type or shape, or has other
            settings.
    """
    backend, model, graph = find_built(model)
    arrays = dict(floating(backend.get_weights(model)))
    shapes = {name: array.shape for name, array in arrays.items()}
    _check_layers(backend, model, graph)
    network = _with_its_classes(graph, shapes)
    _check_shapes(network, shapes)
    return network, arrays


def _check_shapes(network: Graph, shapes: Mapping[str, Shape]) -> None:
    """Reject a model that has other parameters than its network."""
    hint = (
        "A layer was replaced, or has other parameters. Put one like that of zoo in its place, for "
        "example with a bias of zeros. zoo.build makes models with other options, such as "
        "num_classes; a spec of your own can describe any other layer."
    )
    expected = {p.name: p.shape for p in network.parameters}
    wrong = {name for name, shape in expected.items() if shapes.get(name) != shape}
    if network.options["aux"] and wrong <= {p.name for p in classifier.parameters(network)}:
        hint = (
            "The classifier was replaced, and those of the auxiliary heads were not: "
            "zoo.reset_head(model, num_classes) returns a model with new ones."
        )
    check(
        expected,
        {name: (shape, "float32") for name, shape in shapes.items()},  # any dtype of weights does
        subject=f"the weights that this {network.name} now has",
        hint=hint,
    )


def check_trainable(backend: Backend, model: Any, network: Graph) -> None:
    """Check that a model has what an optimizer of its network trains.

    Raises:
        WeightsError: It has not: a layer was replaced.
    """
    own = backend.tensors(model)
    for parameter in network.parameters:
        if parameter.trainable and parameter.name not in own:
            raise WeightsError(
                f"this {network.name} has no {parameter.name}: a layer was replaced with one that "
                "has other parameters; the framework's own optimizers train it as it is"
            )


def _with_its_classes(graph: Graph, shapes: Mapping[str, Shape]) -> Graph:
    """Return the graph with the number of classes that fits the shapes, if there is one."""
    different = [p for p in graph.parameters if shapes.get(p.name, p.shape) != p.shape]
    if not different or not shapes[different[0].name]:
        return graph
    try:
        changed = with_options(graph, num_classes=shapes[different[0].name][0])
    except SpecError:  # or an option that is out of range
        return graph
    fits = all(shapes.get(p.name, p.shape) == p.shape for p in changed.parameters)
    return changed if fits else graph


def _check_layers(backend: Backend, model: Any, graph: Graph) -> None:
    """Reject a model with a layer of another type: zoo does not know what that computes."""
    kernels = backend.operations
    built = graph if kernels is None else opened(graph, kernels)
    expected = backend.expected_layers(built)
    actual = backend.named_modules(model) if expected else {}
    ops = {node.name: node.op for node in built.nodes}
    for path in dict.fromkeys(outer for node in expected for outer in (*_outwards(node), "")):
        if _is_replaced(actual.get(path) if path else model, backend):
            raise WeightsError(
                f"{backend.COMPUTES} of {repr(path) if path else 'the model'} in this {graph.name} "
                "was replaced, so zoo does not know what it computes; "
                f"del module.{backend.COMPUTES} takes that back, and a spec of your own can "
                "describe another network"
            )
    for path, wanted in expected.items():
        layer, kind = actual.get(path), type(wanted)
        if type(layer) not in (kind, *backend.EQUIVALENTS.get(ops.get(path, ""), ())):
            place, wanted_kind, found = path, f"the {kind.__name__}", "no module"
            outer = next((each for each in _outwards(path) if each in actual), "")
            if outer and not isinstance(model, type(actual[outer])):  # of which zoo's blocks are
                place, found = outer, with_article(type(actual[outer]).__name__)
                wanted_kind = f"the {kind.__name__}" if outer == path else "the block"
                if outer == path and type(actual[outer]).__name__ == kind.__name__:
                    found = f"{type(actual[outer]).__module__}.{kind.__name__}"
                    wanted_kind = f"the {kind.__module__}.{kind.__name__}"
            advice = ""
            head = path.partition(".")[0]
            if not outer and head in {output.step for output in graph.outputs[1:]}:
                raise WeightsError(
                    f"the auxiliary head {head!r} of this {graph.name} is gone; "
                    f"zoo.build({graph.name!r}, ..., aux=False) makes a model without heads, which "
                    "zoo.set_weights fills, also from weights with heads"
                )
            if hasattr(model, "state_dict") and path in {n.name for n in classifier.nodes(graph)}:
                advice = (
                    " If a linear layer in it is the classifier, save the model's state_dict(): "
                    "zoo.load reads that from the file. If there is none, build the model with "
                    "num_classes=0, or call zoo.reset_head(model, 0) before the layer is replaced."
                )
            raise WeightsError(
                f"{place!r} of this {graph.name} is {found}, not {wanted_kind} that zoo "
                "built, so zoo does not know what it computes. zoo.get_weights returns the arrays "
                f"as they are; a spec of your own can describe another layer.{advice}"
            )
        for name, value in _settings(backend, wanted).items():
            changed, alike = getattr(layer, name, value), backend.ALIKE.get(name, ())
            if changed is not value and not _equal(changed, value, alike):
                stated = "as the spec says; a spec of your own can say so, too"
                if callable(value) or _is_array(changed):
                    stated = "as in zoo's layer; a spec of your own can describe another layer"
                raise WeightsError(
                    f"{name.lstrip('_')} of {path!r} in this {graph.name} is {_text(changed)}, not "
                    f"{_text(value)} {stated}"
                )


def _is_replaced(module: Any, backend: Backend) -> bool:
    """Tell whether what a module computes is its own, and not its class's method in a decorator.

    Decorators are how tools cast, compile or move what a model computes with.
    """
    own = getattr(module, "__dict__", {}).get(backend.COMPUTES)
    if own is None:
        return False
    function = inspect.unwrap(getattr(own, backend.COMPILED_FROM, own))
    function = getattr(function, "__func__", function)  # of a bound method
    return function is not inspect.unwrap(getattr(type(module), backend.COMPUTES))


def _settings(backend: Backend, layer: Any) -> dict[str, Any]:
    """Return the settings that affect what a layer computes, besides its weights."""
    return {name: value for name, value in vars(layer).items() if name in backend.SETTINGS}


def _outwards(path: str) -> Iterator[str]:
    """Yield a path, and those of the blocks around it, from the innermost."""
    while path:
        yield path
        path = path.rpartition(".")[0]


def _equal(one: Any, other: Any, alike: Collection[Any]) -> bool:
    """Tell whether two settings mean the same; no layer of zoo has an array as one."""
    if _is_array(one):
        return False
    return bool(_plain(one) == _plain(other)) or (one in alike and other in alike)


def _is_array(value: Any) -> bool:
    return bool(getattr(value, "shape", ()))  # a number of NumPy has no axes


def _text(value: Any) -> str:
    """Return a setting for a message: a name without an address, and of an array no values."""
    if _is_array(value):
        return "an array"
    kind: Any = type(value)
    fallback = kind.__name__ if kind.__repr__ is object.__repr__ else value
    return str(getattr(value, "__name__", fallback))


def _plain(value: Any) -> Any:
    """Return a setting in a normal form: one number instead of several equal ones.

    Example:
        >>> _plain([1, 1, 1, 1]), _plain(((0, 1), (0, 1))), _plain("valid")
        (1, (0, 1, 0, 1), 0)
    """
    if isinstance(value, str) and value.lower() == "valid":
        return 0
    if not isinstance(value, list | tuple):
        return value
    flat = [x for each in value for x in (each if isinstance(each, list | tuple) else (each,))]
    return flat[0] if len(set(flat)) == 1 else tuple(flat)
