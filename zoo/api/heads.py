"""Gives a model another classifier."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zoo import arguments
from zoo.api.networks import network_and_weights
from zoo.backend.unwrapping import find
from zoo.errors import InputError
from zoo.graphs.nodes import Parameter
from zoo.language import options
from zoo.language.graphs import with_options
from zoo.weights import initial
from zoo.weights.checking import widest
from zoo.weights.checkpoint import Array


def reset_head(
    model: Any,
    num_classes: int | None = None,
    *,
    classes: Sequence[str] | None = None,
    seed: int = 0,
    init: str = "he_uniform",
) -> Any:
    """Return a model with the same weights and a new classifier, for other classes.

    Args:
        model: A model that zoo built, in any framework, or a wrapper around one. It is not changed.
        num_classes: Number of outputs of the new classifier, and of the auxiliary classifiers if
            there are any; 0 for the network without a classifier.
        classes: The names of the classes, which also give their number.
        seed: Random seed for the new classifier, and for dropout.
        init: Initializer of the new classifier; see :func:`zoo.build`.

    Returns:
        A new model of the same framework, with copies of the other weights. It is in the mode in
        which the framework creates models, and nothing in it is frozen. In PyTorch it is on the
        device of the old one.

    Raises:
        InputError: Neither ``num_classes`` nor ``classes`` is given, or one is invalid.
        BackendError: zoo did not build the model.
        WeightsError: A layer was replaced with one of another type.

    Example:
        >>> import zoo
        >>> model = zoo.build("resnet18", "torch")
        >>> zoo.reset_head(model, 7).fc
        Linear(in_features=512, out_features=7, bias=True)
        >>> zoo.graph_of(zoo.reset_head(model, classes=["cat", "dog"])).classes
        ('cat', 'dog')
    """
    network, weights = network_and_weights(model)
    aux = network.options["aux"]
    chosen = options.checked(aux, num_classes, None, None, classes)
    if chosen.num_classes is None:
        raise InputError("reset_head needs num_classes, or classes, the names of the new classes")
    dtype = initial.check(init, widest(array.dtype.name for array in weights.values()), seed)
    seed = arguments.integer("seed", seed)
    changed = with_options(network, num_classes=chosen.num_classes, classes=chosen.classes)
    # The classifiers are the layers whose size depends on the number of classes.
    larger = with_options(network, num_classes=max(chosen.num_classes, 1) + 1, classes=None)
    sizes = {p.name: p.shape for p in larger.parameters}
    new = frozenset(p.name for p in changed.parameters if p.shape != sizes[p.name])
    draw = initial.drawing(changed, seed, init, dtype, new)

    def fill(parameter: Parameter) -> Array:
        return draw(parameter) if parameter.name in new else weights[parameter.name]

    backend, inner = find(model)
    return backend.build_beside(inner, changed, fill, dtype, seed % 2**31)
