"""Losses and gradients of PaddlePaddle layers."""

from __future__ import annotations

from typing import Any

import numpy as np
import paddle
from paddle import nn

from zoo.network import graph_of
from zoo.paddle.layers import constant
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
    each = below.exp().sum(-1, keepdim=True).log() - paddle.take_along_axis(below, numbers, -1)
    return each.mean() * constant(weight, logits)


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
