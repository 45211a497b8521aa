"""Looks into layers that zoo did not build."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import paddle
from paddle import nn

from zoo.backend.outputs import mapped
from zoo.paddle.running import array, evaluating, to_input

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]

#: How Paddle's own layers hold what they have, in the words of a source of weights.
CONVENTION: dict[str, Any] = {
    "layouts": {"conv": "OIHW", "linear": "IO", "flatten": "CHW"},
    "parameters": {"batch_norm": {"running_mean": ["_mean"], "running_var": ["_variance"]}},
}


def own_weights(model: nn.Layer) -> dict[str, Array]:
    """Copy every parameter and running statistic, under the model's own names and as it lies."""
    return {name: array(value) for name, value in model.state_dict().items()}


def named_modules(model: nn.Layer) -> dict[str, nn.Layer]:
    """Path -> layer, of every one within a model; one of two names is there under both."""
    return dict(model.named_sublayers(remove_duplicate=False))


def observe(model: nn.Layer, x: Array, names: Iterable[str]) -> tuple[Any, dict[str, list[Array]]]:
    """Run a model in evaluation mode, and note what its layers give.

    Args:
        model: It is left as it was.
        x: [N, C, H, W].
        names: Paths of layers; those there are none of are passed over.

    Returns:
        What the model returns, its tensors as NumPy's; and path -> the values of all calls, for
        layers that ran. Paths of one layer share one list.
    """
    known, calls = named_modules(model), dict[int, list[Array]]()
    wanted = {name: id(known[name]) for name in names if name in known}

    def keep(layer: nn.Layer, inputs: Any, output: Any) -> None:
        if isinstance(output, paddle.Tensor):
            # A copy: what is computed in place afterwards is not the layer's.
            calls.setdefault(id(layer), []).append(array(output).copy())

    once = {wanted[name]: known[name] for name in wanted}
    hooks = [layer.register_forward_post_hook(keep) for layer in once.values()]
    try:
        with evaluating(model):
            result = model(to_input(model, x))
    finally:
        for hook in hooks:
            hook.remove()
    return mapped(result, array), {n: calls[key] for n, key in wanted.items() if key in calls}


def differentiate(
    model: nn.Layer, x: Array, loss: Callable[[Any], Any], dropouts: Iterable[str]
) -> tuple[float, dict[str, Array], Array, dict[str, Array]]:
    """Differentiate a loss in training mode, with dropouts that drop nothing.

    Args:
        model: It is left as it was.
        x: [N, C, H, W].
        loss: Of what the model returns.
        dropouts: Paths of modules that are to drop nothing.

    Returns:
        The loss; own name -> gradient, as the parameter lies; the input's, NCHW; and own name ->
        what parameters and running statistics then are.
    """
    modes = [(layer, layer.training) for layer in model.sublayers(include_self=True)]
    # Of batch norms: Paddle holds what they keep among the parameters.
    kept = [(v, v.clone()) for v in model.state_dict().values() if v.stop_gradient]
    known = named_modules(model)
    model.train()
    for name in dropouts:
        known[name].training = False
    try:
        parameters = {n: p for n, p in model.named_parameters() if not p.stop_gradient}
        tensor = to_input(model, x)
        tensor.stop_gradient = False
        with warnings.catch_warnings():  # Paddle's own batch norm warns of nothing wrong
            warnings.filterwarnings("ignore", "When training, we now always track")
            value = loss(model(tensor))
        found = paddle.grad(value, [tensor, *parameters.values()], allow_unused=True)
        after = own_weights(model)
    finally:
        for layer, mode in modes:
            layer.training = mode
        for value_of, before in kept:
            value_of.set_value(before)
    likes = [tensor, *parameters.values()]
    on_input, *others = (
        np.zeros(like.shape) if each is None else array(each)
        for each, like in zip(found, likes, strict=True)
    )
    return float(value), dict(zip(parameters, others, strict=True)), on_input, after
