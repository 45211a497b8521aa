"""Runs a PaddlePaddle layer on NumPy arrays, in evaluation mode and without gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import paddle
from paddle import nn

from zoo.backend.outputs import mapped
from zoo.graphs.nodes import Node

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]


def predict(model: nn.Layer, x: Array) -> Array | dict[str, Array]:
    """Run the model on x [N, C, H, W]; returns what it returns, as NumPy arrays."""
    return _run(model, model, x)


def forms(model: nn.Layer) -> dict[str, Callable[[Array], Array | dict[str, Array]]]:
    """Return the ways to run a model, by name: functions of x like :func:`predict`."""
    # Of a function: to_static of the model itself would change the model.
    static = paddle.jit.to_static(lambda x: model(x))
    return {"eager": lambda x: predict(model, x), "to_static": lambda x: _run(model, static, x)}


def features(model: nn.Layer, x: Array, nodes: Sequence[Node]) -> dict[str, Array]:
    """Run the model on x and return the values of nodes, NCHW or [N, features]."""
    found: dict[str, Array] = {}

    def keep(name: str) -> Any:
        def hook(layer: nn.Layer, inputs: Any, output: paddle.Tensor) -> None:
            found[name] = array(output)

        return hook

    hooks = [model.get_sublayer(n.name).register_forward_post_hook(keep(n.name)) for n in nodes]
    try:
        with evaluating(model):
            model(to_input(model, x))
    finally:
        for hook in hooks:
            hook.remove()
    return {node.name: found[node.name] for node in nodes}


def _run(model: nn.Layer, function: Callable[..., Any], x: Array) -> Array | dict[str, Array]:
    with evaluating(model):
        result = function(to_input(model, x))
    found: Array | dict[str, Array] = mapped(result, array)
    return found


@contextmanager
def evaluating(model: nn.Layer) -> Iterator[None]:
    """Put every layer in evaluation mode, and each back in the mode it was in."""
    training = [layer for layer in model.sublayers(include_self=True) if layer.training]
    model.eval()
    try:
        with paddle.no_grad():
            yield
    finally:
        for layer in training:
            layer.training = True


def to_input(model: nn.Layer, x: Array) -> paddle.Tensor:
    """Copy x to the model's device and dtype."""
    like = next(iter(model.parameters()), None)
    if like is None:  # a network without weights knows what it was built for
        return paddle.to_tensor(x).astype(getattr(model, "_dtype", "float32"))
    return paddle.to_tensor(x, place=like.place).astype(like.dtype)


def array(value: paddle.Tensor) -> Array:
    """Copy a tensor; bfloat16, which NumPy lacks, as float32."""
    if value.dtype == paddle.bfloat16:
        value = value.astype("float32")
    return value.numpy()
