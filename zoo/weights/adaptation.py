"""Fits a network to weights, and fills its parameters from them."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Set
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np

from zoo import arguments
from zoo.errors import InputError, SpecError, WeightsError, listed
from zoo.graphs.graph import Graph
from zoo.graphs.nodes import Parameter
from zoo.graphs.shapes import Shape
from zoo.language import graphs, sizes
from zoo.language.options import Chosen
from zoo.weights import checking, classifier, initial
from zoo.weights.checkpoint import Array, Checkpoint, Stored

#: What the layers begin with that ``zoo.export`` puts before a network.
PREPROCESSING = "preprocessing"

#: Common sides of images, to find out which one weights were for.
_SIZES = (28, 32, 48, 64, 96, 112, 128, 160, 192, 224, 227, 256, 299, 320, 384, 448, 480, 512)


def filling(
    network: Graph,
    checkpoint: Checkpoint,
    *,
    dtype: str,
    head: str | None = None,
    stem: str | None = None,
    seed: int = 0,
    init: str = "he_uniform",
    mmap: bool = False,
    as_they_are: bool = False,
) -> tuple[Graph, Callable[[Parameter], Array]]:
    """Prepare to fill a network's parameters from a checkpoint.

    Args:
        network: The network to build.
        checkpoint: The weights.
        dtype: The dtype of the arrays.
        head: ``new`` to re-initialize the classifier.
        stem: ``adapt`` to sum or repeat the kernel of the first convolution over its input
            channels.
        seed: Random seed for a new head.
        init: Initializer for a new head, as for :func:`zoo.build`; ``native`` means zoo's own.
        mmap: Whether arrays may be pages of the file.
        as_they_are: Whether the caller can only take the weights as they are, for the hint of an
            error.

    Returns:
        The graph, with the preprocessing and origin that belong to the weights; and a function
        that returns the value of each parameter.

    Raises:
        InputError: ``head`` or ``stem`` has an unknown value.
        WeightsError: The weights do not fit, or belong to a network that computes something else.
    """
    head, stem = arguments.choice("head", head, "new"), arguments.choice("stem", stem, "adapt")
    saved = _same_network(network, checkpoint)
    stored = checkpoint.arrays
    expected = {p.name: p.shape for p in network.parameters}
    if head or stem or any(n not in stored or stored[n].shape != s for n, s in expected.items()):
        of_head = _depending(network, checkpoint, "num_classes")
        of_stem = _depending(network, checkpoint, "in_channels")
    else:
        of_head, of_stem = set(), set()
    if head:  # all of it, where the file has another one, or none
        shapes = {p.name: p.shape for p in classifier.parameters(network)}
        replaced = not shapes.keys() <= stored.keys()
        of_head |= {
            n for n, s in shapes.items() if replaced and (n not in stored or stored[n].shape != s)
        }
    for name in of_stem & stored.keys() & expected.keys() if stem else ():
        expected[name] = _before_adapting(expected[name], stored[name].shape)
    if head:
        expected = {name: shape for name, shape in expected.items() if name not in of_head}
    hint = ""
    if any(n not in stored or stored[n].shape != s for n, s in expected.items()):
        hint = _advice(network, checkpoint, expected, of_head, of_stem, as_they_are)
    checking.check(
        expected,
        {n: (s.shape, s.dtype) for n, s in stored.items() if not (head and n in of_head)},
        graphs.left_out(network),
        f"the weights of {checkpoint.title}",
        hint,
        network.name,
    )
    init = "he_uniform" if init == "native" else init
    draw = initial.drawing(network, seed, init, dtype, of_head) if head else None

    def value(parameter: Parameter) -> Array:
        if draw and parameter.name in of_head:
            return draw(parameter)
        source = stored[parameter.name]
        array = source.mapped() if mmap and source.mapped else source.read()
        if array.shape != parameter.shape:
            array = adapted(array, parameter.shape[1])
        return checking.cast(parameter.name, array, dtype)

    return _with_origin(network, checkpoint, saved), value


def fitted(
    network: Graph,
    checkpoint: Checkpoint,
    requested: Chosen,
    head: str | None = None,
    stem: str | None = None,
) -> Graph:
    """Return a network with the classes, input channels and input size of its weights.

    A file that zoo wrote states them. In another, shapes tell the first two.

    Args:
        network: The network to build.
        checkpoint: The weights.
        requested: The options that the caller chose, which are kept.
        head: As for :func:`filling`; a new classifier has the number of the network.
        stem: As for :func:`filling`; the number of channels is then the network's.
    """
    head, stem = arguments.choice("head", head, "new"), arguments.choice("stem", stem, "adapt")
    if head and requested.num_classes is None and network.options["num_classes"] == 0:
        network = graphs.with_options(network, num_classes=None)  # the spec's own number
    own = checkpoint.chosen
    stated = {
        "in_channels": None if stem else own.in_channels,
        "input_size": checkpoint.input_size or own.input_size,
    }
    different = {o: value for o, value in stated.items() if value not in (None, network.options[o])}
    taken = {o: value for o, value in different.items() if getattr(requested, o) is None}
    if taken:
        with suppress(SpecError, InputError):  # of weights of another network
            network = graphs.with_options(network, **taken)
    found = _shown_by_shapes(network, checkpoint, requested, head, stem)
    for changes in (found, *({option: value} for option, value in found.items())):
        try:
            changed = graphs.with_options(network, **changes)
        except (SpecError, InputError):
            continue
        if found and _explains(network, changed, checkpoint, head):
            return changed
    return network


def _shown_by_shapes(
    network: Graph, checkpoint: Checkpoint, requested: Chosen, head: str | None, stem: str | None
) -> dict[str, int]:
    """Return the numbers of classes and of channels of weights, where the network has others."""
    expected = {p.name: p.shape for p in network.parameters}
    stored = {name: array.shape for name, array in checkpoint.arrays.items()}
    last, first = classifier.nodes(network)[:1], network.parameters[:1]
    found: dict[str, int] = {}
    for option, adapting, parameters, axis in (
        ("num_classes", head, last[0].parameters if last else (), 0),
        ("in_channels", stem, first, 1),
    ):
        name = parameters[0].name if parameters else ""
        shape = stored.get(name, ())
        if adapting or getattr(requested, option) is not None or shape == expected.get(name):
            continue
        if shape and len(shape) == len(expected[name]):
            found[option] = shape[axis] * network.options[option] // expected[name][axis]
    return found


def _explains(network: Graph, changed: Graph, checkpoint: Checkpoint, head: str | None) -> bool:
    """Tell whether weights have all shapes that changed options of a network change."""
    before = {p.name: p.shape for p in network.parameters}
    wrong = {
        p.name
        for p in changed.parameters
        if p.shape != before.get(p.name)
        and p.name in checkpoint.arrays
        and p.shape != checkpoint.arrays[p.name].shape
    }
    return not (wrong - _depending(changed, checkpoint, "num_classes") if head else wrong)


def adapted(kernel: Array, channels: int) -> Array:
    """Adapt a kernel [out, in, h, w] to another number of input channels.

    For one channel the kernel is summed over its channels; for more it is repeated, and scaled so
    that its sum stays the same.

    Source: timm, ``adapt_input_conv``.

    Example:
        >>> adapted(np.array([[[[1.0]], [[2.0]], [[3.0]]]]), 1).ravel()
        array([6.])
        >>> adapted(np.array([[[[1.0]], [[2.0]], [[3.0]]]]), 4).ravel()
        array([0.75, 1.5 , 2.25, 0.75])
    """
    before = kernel.shape[1]
    if channels == 1:
        return np.asarray(kernel.sum(axis=1, keepdims=True, dtype=kernel.dtype))
    repeated = kernel[:, np.arange(channels) % before]
    return np.asarray(repeated * kernel.dtype.type(before / channels))


def _same_network(network: Graph, checkpoint: Checkpoint) -> Graph:
    """Return the checkpoint's network with the same options, if it computes the same."""
    if network.document == checkpoint.document:
        return network
    try:
        saved = checkpoint.graph(**network.options)
    except (SpecError, InputError) as error:  # for example, it needs a larger input
        raise WeightsError(
            f"{checkpoint.title} holds weights of {checkpoint.model}, not of {network.name}, "
            f"whose options it cannot be built with: {error}"
        ) from None
    expected, actual = dict(_computed(network)), dict(_computed(saved))
    added = [name for name in actual if name not in expected]
    different = [n for n in {**expected, **actual} if expected.get(n) != actual.get(n)]
    if different == added and all(saved.node(name).op == "softmax" for name in added):
        return saved  # a program of the network that returns probabilities
    before = [name for name in added if name.startswith(f"{PREPROCESSING}.")]
    if before and expected.keys() < actual.keys():
        raise WeightsError(
            f"{checkpoint.title} is {saved.name} as zoo exported it with preprocessing: it takes "
            f"pixels, and {', '.join(before)} comes first. In Python, zoo.load builds it so; for "
            f"{network.name} alone, pass the weights that it was exported from"
        )
    if different:
        names = ", ".join(different[:4]) + (", ..." if len(different) > 4 else "")
        count = f"{len(different)} node{'s' * (len(different) > 1)}"
        raise WeightsError(
            f"{checkpoint.title} holds weights of {saved.name}, which computes something else than "
            f"{network.name} at {count}: {names}. In Python, zoo.load builds what it states, and "
            "zoo.set_weights(model, zoo.get_weights(loaded)) uses its arrays anyway"
        )
    return saved


def _computed(network: Graph) -> Iterator[tuple[str, Any]]:
    """Yield what each node computes in evaluation mode, where dropout does nothing."""
    dropped: dict[str, str] = {}
    for node in network.nodes:
        inputs = tuple(dropped.get(name, name) for name in node.inputs)
        if "rate" in node.attributes:  # a dropout, of values or of examples
            dropped[node.name] = inputs[0]
            continue
        attributes = {k: v for k, v in node.attributes.items() if k != "momentum"}
        yield node.name, (node.op, inputs, attributes)


def _depending(network: Graph, checkpoint: Checkpoint, option: str) -> set[str]:
    """Return the parameters whose shape depends on an option: those of the classifier or stem."""
    changed = checkpoint.graph(**{**network.options, option: network.options[option] + 1})
    shapes = {p.name: p.shape for p in changed.parameters}
    return {p.name for p in network.parameters if shapes.get(p.name) != p.shape}


def _before_adapting(expected: tuple[int, ...], stored: tuple[int, ...]) -> tuple[int, ...]:
    if len(expected) == len(stored) == 4 and expected[0] == stored[0]:
        return (expected[0], stored[1], *expected[2:])
    return expected


def _advice(
    network: Graph,
    checkpoint: Checkpoint,
    expected: Mapping[str, Any],
    of_head: set[str],
    of_stem: set[str],
    as_they_are: bool,
) -> str:
    """Say what to do about weights that do not fit; empty if that is not known."""
    stored = checkpoint.arrays
    lacking, network = without_heads(network, stored)
    expected = {p.name: p.shape for p in network.parameters if p.name in expected}
    size, sized = "", network
    for names in (expected.keys() - of_head, expected.keys() - of_head - of_stem):
        if not size:
            size, sized = _of_another_size(network, checkpoint, names)
    shapes = {p.name: p.shape for p in sized.parameters if p.name in expected}
    whole = of_head | {p.name for p in classifier.parameters(network)}
    other = _hint(sized, shapes, stored, of_head, of_stem, whole, as_they_are)
    if hints := [hint for hint in (lacking, size, other) if hint]:
        return "\n".join(hints)
    is_program = checkpoint.title.lower().endswith(".onnx")
    return _lost(network, expected.keys() - stored.keys(), stored, as_they_are) * is_program


def without_heads(network: Graph, given: Collection[str]) -> tuple[str, Graph]:
    """Say which auxiliary heads weights do not have, and return the network without heads then.

    Args:
        network: The network.
        given: The canonical names of the weights.

    Returns:
        What to do, and the network; an empty string and the same network if no head is lacking.

    Example:
        >>> import zoo
        >>> names = [parameter.name for parameter in zoo.graph("googlenet").parameters]
        >>> without_heads(zoo.graph("googlenet", aux=True), names)[0]
        'The weights lack auxiliary heads: aux1, aux2; build it with aux=False.'
    """
    if not network.options["aux"]:
        return "", network
    plain = graphs.with_options(network, aux=False)
    own = {p.name for p in plain.parameters}
    heads = dict.fromkeys(p.name.partition(".")[0] for p in network.parameters if p.name not in own)
    lacking = [head for head in heads if not any(name.startswith(f"{head}.") for name in given)]
    if not lacking:
        return "", network
    return f"The weights lack auxiliary heads: {listed(lacking)}; build it with aux=False.", plain


def _hint(
    network: Graph,
    expected: Mapping[str, Any],
    stored: Mapping[str, Stored],
    of_head: set[str],
    of_stem: set[str],
    classifier_: set[str],
    as_they_are: bool,
) -> str:
    """Say what to do about parameters that are missing or have another shape; empty if unknown."""
    wrong = {n for n, shape in expected.items() if n in stored and stored[n].shape != shape}
    missing = {n for n in expected if n not in stored}
    shapes = {name: array.shape for name, array in stored.items()}
    if missing and missing | wrong <= classifier_:
        advice = ["num_classes=0 leaves it out"] * _fits(network, shapes, num_classes=0)
        advice += ["head='new' gives the network a new one"] * (not as_they_are)
        return f"These belong to the classifier{': ' * bool(advice)}{', '.join(advice)}."
    own, others = wrong & of_head, wrong - of_head
    if not wrong or missing or not others <= of_stem or (others and as_they_are):
        return ""
    kept: dict[str, int] = {}
    if own:
        kept["num_classes"] = (shapes[min(own, key=len)] or (0,))[0]
    if others:
        first = network.parameters[0]
        count = math.prod(shapes[first.name]) * network.options["in_channels"]
        kept["in_channels"] = count // math.prod(first.shape)
    fits, hints = _fits(network, shapes, **kept), []
    if own:
        advice = [f"num_classes={kept['num_classes']} keeps it"] * fits
        advice += ["head='new' replaces it"] * (not as_they_are)
        hints.append(f"These belong to the classifier{': ' * bool(advice)}{', '.join(advice)}.")
    if others:
        kernels = all(_before_adapting(expected[n], shapes[n]) == shapes[n] for n in others)
        advice = [f"in_channels={kept['in_channels']} keeps them"] * fits
        advice += ["stem='adapt' sums or repeats them over its channels"] * kernels
        if not advice:
            return ""
        hints.append(f"{'The others' if own else 'These'} read the input: {', '.join(advice)}.")
    return "\n".join(hints)


def _lost(
    network: Graph, missing: set[str], stored: Mapping[str, Stored], as_they_are: bool
) -> str:
    """Say what became of parameters that exporters of programs do not write; empty if unknown."""
    advice = "the weights of the model that was exported"
    advice += " are needed: weights_from='FILE'" if as_they_are else " are needed"
    norms = {p.name for n in network.nodes if n.op == "batch_norm" for p in n.parameters}
    if norms and norms <= missing < {p.name for p in network.parameters}:
        return f"Exporters merge batch norms into convolutions; {advice}."
    if missing and all(
        name.endswith(".bias") and f"{name.removesuffix('bias')}weight" in stored
        for name in missing
    ):
        return f"Exporters leave out a bias that is all zeros, as in an untrained model; {advice}."
    return ""


def _fits(network: Graph, shapes: Mapping[str, Shape], **changes: Any) -> bool:
    """Tell whether weights have all parameters of a network with other options."""
    changes = {"classes": None, **changes} if "num_classes" in changes else changes
    try:
        changed = graphs.with_options(network, **changes)
    except (SpecError, InputError):
        return False
    return all(shapes.get(p.name) == p.shape for p in changed.parameters)


def _of_another_size(network: Graph, checkpoint: Checkpoint, names: Set[str]) -> tuple[str, Graph]:
    """Return a hint with an input size that weights fit, and the network of that size.

    Args:
        network: The network; its own size is no hint, if the weights fit that.
        checkpoint: The weights.
        names: The parameters that do not depend on other options.
    """
    stored = checkpoint.arrays

    def fits(sized: Graph) -> bool:
        shapes = {p.name: p.shape for p in sized.parameters}
        return all(name in stored and stored[name].shape == shapes.get(name) for name in names)

    if fits(network) or sizes.has_same_parameters(network):
        return "", network
    for size in (None, *((side, side) for side in _SIZES)):
        try:
            other = checkpoint.graph(**{**network.options, "input_size": size})
        except (SpecError, InputError):  # too small for the network
            continue
        if fits(other):
            height, width = other.options["input_size"]
            found = height if height == width else (height, width)
            advice = f"input_size={found}" + ", for example" * (size is not None)
            return f"They are for another input size: build with {advice}.", other
    return "", network


def _with_origin(network: Graph, checkpoint: Checkpoint, saved: Graph) -> Graph:
    """Return the network with the preprocessing and origin of the weights."""
    document = network.document
    if saved.preprocessing != network.preprocessing:
        document = {**document, "preprocessing": saved.preprocessing}
    return replace(
        network,
        preprocessing=saved.preprocessing,
        document=document,
        origin=checkpoint.origin,
    )
