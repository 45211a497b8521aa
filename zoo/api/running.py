"""The functions that run a model: on arrays, and for its loss."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from zoo import arguments
from zoo.api.models import Array
from zoo.api.networks import network_and_weights
from zoo.backend.base import Backend
from zoo.backend.unwrapping import find, find_built
from zoo.data.labels import class_numbers
from zoo.errors import BackendError, InputError, ZooError, quoted
from zoo.graphs import losses
from zoo.graphs.graph import Graph
from zoo.graphs.nodes import Node
from zoo.language import sizes


def loss(model: Any, outputs: Any, labels: Any, *, label_smoothing: float = 0.0) -> Any:
    """Return the training loss: cross-entropy, plus the weighted losses of auxiliary heads.

    Args:
        model: A model that zoo built.
        outputs: The model's result: logits [N, num_classes], or a dict of them. NumPy arrays, as
            from :func:`predict`, are accepted, too.
        labels: Class numbers [N] or [N, 1], integers of NumPy or of the framework.
        label_smoothing: The fraction of each label that is spread evenly over all classes,
            including its own, as Szegedy et al. did for Inception v3
            (https://arxiv.org/abs/1512.00567).

    Returns:
        A scalar of the framework, which can be differentiated: the mean over the batch, plus that
        of each auxiliary head times the weight that the spec declares (0.3 in GoogLeNet).

    Raises:
        BackendError: The model was not built by zoo.
        InputError: The network has no classifier, or ends in a softmax; an output is missing; or
            the labels are not class numbers, one per example. For tensors of the framework, only
            shape and dtype are checked: a number out of range gives NaN, or an error of PyTorch's
            own. In Keras, whose ``fit`` casts labels to floating point, a fraction gives NaN.

    Example:
        >>> import torch, zoo
        >>> model = zoo.build("googlenet", "torch", aux=True, num_classes=10)
        >>> images, labels = torch.rand(2, 3, 224, 224), torch.tensor([3, 8])
        >>> zoo.loss(model, model(images), labels).backward()
    """
    backend, _, network = find_built(model)
    smoothing = arguments.number("label_smoothing", label_smoothing, below=1)
    losses.check(network)
    outputs = {name: _readable(value) for name, value in network.named(outputs).items()}
    logits = outputs[network.outputs[0].name]
    shape = tuple(getattr(logits, "shape", ()))
    if len(shape) != 2:
        raise InputError(
            f"expected what the model returned, logits [N, num_classes], got "
            f"{type(logits).__name__} {list(shape)}"
        )
    if isinstance(logits, np.ndarray) and logits.dtype.kind != "f":
        raise InputError(f"expected logits of floating-point values, got {logits.dtype}")
    numbers = class_numbers(labels, *shape, cast=backend.casts_labels)
    return network.total_loss(
        outputs, lambda logits, weight: backend.cross_entropy(logits, numbers, weight, smoothing)
    )


def predict(model: Any, x: Array) -> Array | dict[str, Array]:
    """Run a model of any backend on NumPy arrays, in evaluation mode and without gradients.

    The model's mode is restored afterwards. Keras runs a compiled function, Flax a jitted one, and
    ONNX a session of ONNX Runtime; PyTorch and PaddlePaddle run the model as it is.

    Args:
        model: A model of any backend.
        x: [N, C, H, W] in every framework; cast to the model's dtype.

    Returns:
        Logits [N, num_classes], or a dict of them if the model was built with ``aux=True``.
        bfloat16 results are returned as float32.

    Raises:
        InputError: x does not have the shape that the model was built for.
        BackendError: The model has no values, or weights of several dtypes that its framework does
            not compute with.
        WeightsError: A layer was changed, so that the model cannot be run.

    Example:
        >>> import numpy as np, zoo
        >>> model = zoo.build("googlenet", "torch", num_classes=10)
        >>> zoo.predict(model, np.zeros((1, 3, 224, 224), np.float32)).shape
        (1, 10)
    """
    backend, model = find(model)
    with _explained(backend, model):
        return backend.predict(model, _checked(backend.graph_of(model), x))


def features(model: Any, x: Array, nodes: str | Iterable[str]) -> dict[str, Array]:
    """Return the values of nodes of a model, in evaluation mode.

    Args:
        model: A model that zoo built.
        x: [N, C, H, W].
        nodes: Path names of nodes or blocks, such as ``inception3a.branch5x5``; a block means its
            output. ``zoo.graph(...).nodes`` lists the nodes.

    Returns:
        Name as given -> [N, C, H, W] or [N, features], in the canonical layout in every
        framework. bfloat16 results are returned as float32.

    Raises:
        UnknownNameError: The model has no such node.
        InputError: x does not have the shape that the model was built for; ``nodes`` are not names.
        BackendError: The model was not built by zoo; or as for :func:`predict`.

    Example:
        >>> import numpy as np, zoo
        >>> model = zoo.build("googlenet", "torch")
        >>> maps = zoo.features(model, np.zeros((1, 3, 224, 224), np.float32), "inception3a")
        >>> maps["inception3a"].shape
        (1, 256, 28, 28)
    """
    backend, model, network = find_built(model)
    names = arguments.texts("nodes", nodes, "the name of a node or several")
    if not names:
        return {}
    requested: dict[str, Node] = {name: network.node(name) for name in names}
    unique = list({node.name: node for node in requested.values()}.values())
    with _explained(backend, model):
        values = backend.features(model, _checked(network, x), unique)
    return {name: values[node.name] for name, node in requested.items()}


def extractor(model: Any, nodes: str | Iterable[str]) -> Any:
    """Return a model of the framework that computes nodes of a model.

    It shares the model's weights, so it can be trained, alone or as part of another model, and its
    results can be differentiated. What follows the last of the nodes is not computed.

    Args:
        model: A model that zoo built.
        nodes: As for :func:`features`.

    Returns:
        A ``torch.nn.Module``, ``paddle.nn.Layer``, ``keras.Model`` or ``flax.nnx.Module``. It takes
        what the model takes, [N, C, H, W] or [N, H, W, C], and returns a dict: name as given ->
        value, in the framework's own layout and in its current mode.

    Raises:
        UnknownNameError: The model has no such node.
        InputError: ``nodes`` are not names, or there are none.
        BackendError: The model was not built by zoo.

    Example:
        >>> import torch, zoo
        >>> extractor = zoo.extractor(zoo.build("resnet18", "torch"), ["layer3", "layer4"])
        >>> maps = extractor(torch.zeros(1, 3, 320, 256))
        >>> maps["layer3"].shape, maps["layer4"].shape
        (torch.Size([1, 256, 20, 16]), torch.Size([1, 512, 10, 8]))
    """
    backend, model, network = find_built(model)
    names = arguments.texts("nodes", nodes, "the name of a node or several")
    if not names:
        raise arguments.wrong("nodes", "the name of a node or several", nodes)
    return backend.extractor(model, {name: network.node(name).name for name in names})


def _readable(outputs: Any) -> Any:
    """Return outputs as a framework's functions read them; those of the framework as they are."""
    if not isinstance(outputs, np.ndarray):
        return outputs
    return arguments.numeric("outputs", outputs, "what the model returned")


@contextmanager
def _explained(backend: Backend, model: Any) -> Iterator[None]:
    """Explain by an error why a model cannot be run whose layer was changed or cast."""
    try:
        yield
    except ZooError:
        raise
    except Exception as error:  # a framework may raise anything
        if backend.graph_of(model) is not None:
            try:
                network_and_weights(model)
            except ZooError as reason:
                raise reason from error
        if explanation := _mixed(backend, model):
            raise BackendError(explanation) from error
        raise


def _mixed(backend: Backend, model: Any) -> str:
    """Say which weights of a model have another dtype than most; empty if all have the same."""
    try:
        dtypes = backend.dtypes(model)
    except Exception:  # a framework may raise anything
        return ""
    most, *others = [dtype for dtype, _ in Counter(dtypes.values()).most_common()] or [""]
    if not others:
        return ""
    name = next(name for name, dtype in dtypes.items() if dtype == others[0])
    network = backend.graph_of(model)
    title = type(model).__name__ if network is None else network.name
    return (
        f"this {title} cannot be run, as its weights have several dtypes: {name} has {others[0]}, "
        f"and most have {most}; {backend.CASTING.format(most)}"
    )


def _checked(network: Graph | None, x: Array) -> Array:
    """Reject an input of the wrong shape before it reaches a framework."""
    photograph = "; zoo.preprocess(photograph, model) returns them"
    if isinstance(x, str | os.PathLike):
        raise InputError(f"expected numbers [N, C, H, W], got {quoted(x)}{photograph}")
    x = arguments.numeric("x", x, "numbers [N, C, H, W]")
    if x.ndim != 4 or x.dtype.kind not in "fiu":
        advice = photograph * (x.dtype.kind == "u" and x.ndim < 4)
        raise InputError(f"expected numbers [N, C, H, W], got {x.dtype} {list(x.shape)}{advice}")
    if not len(x):
        raise InputError("expected at least one example, got an empty batch")
    if network is not None:
        sizes.check(network, x.shape)
    return x
