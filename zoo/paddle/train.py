"""Losses, gradients and optimizers of PaddlePaddle."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import paddle
from paddle import nn

from zoo.backend.base import Array
from zoo.paddle import parameters
from zoo.paddle.modules import constant
from zoo.paddle.run import array, named_modules, own_weights, to_input


def cross_entropy(logits: paddle.Tensor, labels: Any, weight: float = 1.0) -> paddle.Tensor:
    """Return the mean cross-entropy of logits [N, classes] and class numbers [N], weighted."""
    # Not Paddle's own, whose softmax takes no logit to be more than 64 below the largest.
    if not isinstance(labels, paddle.Tensor):
        labels = paddle.to_tensor(labels, place=logits.place)
    numbers = labels.astype("int64").reshape([-1, 1])
    below = logits - logits.max(-1, keepdim=True).detach()
    known = (numbers >= 0) & (numbers < logits.shape[-1])  # of others Paddle takes any value
    chosen = paddle.take_along_axis(below, paddle.where(known, numbers, 0 * numbers), -1)
    each = below.exp().sum(-1, keepdim=True).log() - chosen
    mean = each.mean() * constant(weight, logits)
    return paddle.where(known.all(), mean, constant(float("nan"), logits))


def gradients(
    model: nn.Layer, x: Array, loss: Callable[[Any], paddle.Tensor]
) -> tuple[float, dict[str, Array], Array]:
    """Differentiate a loss in training mode; running statistics are updated.

    Args:
        model: Its mode is restored.
        x: [N, C, H, W].
        loss: A function of what the model returns.

    Returns:
        The loss; canonical name -> gradient, in the canonical layout; and the input's gradient,
        [N, C, H, W].
    """
    trained = {
        name: tensor
        for name, tensor in parameters.tensors(model).items()
        if not tensor.handle.stop_gradient
    }
    with _training(model):
        handles = [tensor.handle for tensor in trained.values()]
        value, on_input, found = _differentiate(model, x, loss, handles)
    named = {
        name: tensor.to_canonical(gradient)
        for (name, tensor), gradient in zip(trained.items(), found, strict=True)
    }
    return value, named, on_input


def differentiate(
    model: nn.Layer, x: Array, loss: Callable[[Any], Any], dropouts: Iterable[str]
) -> tuple[float, dict[str, Array], Array, dict[str, Array]]:
    """Differentiate a loss; see :meth:`zoo.backend.base.Backend.differentiate`."""
    # Of batch norms: Paddle holds what they keep among the parameters.
    kept = [(v, v.clone()) for v in model.state_dict().values() if v.stop_gradient]
    known = named_modules(model)
    with _training(model):
        for name in dropouts:
            known[name].training = False
        try:
            trained = {n: p for n, p in model.named_parameters() if not p.stop_gradient}
            value, on_input, found = _differentiate(model, x, loss, list(trained.values()))
            after = own_weights(model)
        finally:
            for statistic, before in kept:
                statistic.set_value(before)
    return value, dict(zip(trained, found, strict=True)), on_input, after


def optimizer(model: nn.Layer, rule: str, settings: Mapping[str, float]) -> Any:
    """Make Paddle's own optimizer; see :meth:`zoo.backend.base.Backend.optimizing`."""
    lr, trained = settings["lr"], model.parameters()
    if rule == "SGD":
        decay = paddle.regularizer.L2Decay(settings["weight_decay"])
        return paddle.optimizer.Momentum(
            lr, settings["momentum"], parameters=trained, weight_decay=decay
        )
    betas = settings["beta1"], settings["beta2"]
    return paddle.optimizer.Adam(lr, *betas, settings["eps"], parameters=trained)


def _differentiate(
    model: nn.Layer, x: Array, loss: Callable[[Any], paddle.Tensor], trained: list[paddle.Tensor]
) -> tuple[float, Array, list[Array]]:
    tensor = to_input(model, x)
    tensor.stop_gradient = False
    with warnings.catch_warnings():  # Paddle's own batch norm warns of nothing wrong
        warnings.filterwarnings("ignore", "When training, we now always track")
        value = loss(model(tensor))
    found = paddle.grad(value, [tensor, *trained], allow_unused=True)
    on_input, *others = (
        np.zeros(like.shape) if each is None else array(each)
        for each, like in zip(found, [tensor, *trained], strict=True)
    )
    return float(value), on_input, others


@contextmanager
def _training(model: nn.Layer) -> Iterator[None]:
    """Put every layer in training mode, and each back in the mode it was in."""
    modes = [(layer, layer.training) for layer in model.sublayers(include_self=True)]
    model.train()
    try:
        yield
    finally:
        for layer, mode in modes:
            layer.training = mode
