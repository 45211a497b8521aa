"""Losses and gradients of PaddlePaddle layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import paddle
from paddle import nn

from zoo.graphs.graph import graph_of
from zoo.paddle.modules import constant
from zoo.paddle.running import to_input
from zoo.paddle.weights import state, to_numpy

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]


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


def gradients(model: nn.Layer, x: Array, labels: Array) -> tuple[float, dict[str, Array], Array]:
    """Differentiate the training loss, in training mode.

    Args:
        model: Its running statistics move on, as in training; its mode is restored.
        x: [N, C, H, W].
        labels: Class numbers [N].

    Returns:
        The loss; canonical name -> gradient, in the canonical layout; and the input's, NCHW.
    """
    evaluating = [layer for layer in model.sublayers(include_self=True) if not layer.training]
    model.train()
    try:
        parameters = [entry for entry in state(model) if not entry[1].stop_gradient]
        tensor = to_input(model, x)
        tensor.stop_gradient = False
        value = graph_of(model).total_loss(
            model(tensor), lambda logits, weight: cross_entropy(logits, labels, weight)
        )
        found = paddle.grad(value, [tensor, *(entry[1] for entry in parameters)])
    finally:
        for layer in evaluating:
            layer.training = False
    named = {
        name: to_numpy(gradient, linear)
        for (name, _, linear), gradient in zip(parameters, found[1:], strict=True)
    }
    return float(value), named, found[0].numpy()


def optimizing(model: nn.Layer, rule: str, settings: dict[str, float]) -> Callable[..., None]:
    """Return a step of Paddle's own optimizer: a function of x [N, C, H, W] and labels [N].

    Args:
        model: What it trains; it is left in training mode.
        rule: ``SGD`` or ``Adam``.
        settings: ``lr``, and ``momentum`` and ``weight_decay``, or ``beta1``, ``beta2``, ``eps``.
    """
    at = dict(settings)
    lr, known = at.pop("lr"), {"parameters": model.parameters()}
    if rule == "SGD":
        decay = paddle.regularizer.L2Decay(at.pop("weight_decay"))
        optimizer = paddle.optimizer.Momentum(lr, **at, weight_decay=decay, **known)
    else:
        optimizer = paddle.optimizer.Adam(lr, at["beta1"], at["beta2"], at["eps"], **known)

    def step(x: Array, labels: Array) -> None:
        model.train()
        outputs = model(to_input(model, x))
        graph_of(model).total_loss(
            outputs, lambda logits, weight: cross_entropy(logits, labels, weight)
        ).backward()
        optimizer.step()
        optimizer.clear_grad()

    return step
