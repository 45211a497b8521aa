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
from zoo.backend.parameters import Tensor
from zoo.paddle.modules import constant
from zoo.paddle.run import named_modules, own_weights, to_input, to_numpy


def cross_entropy(
    logits: paddle.Tensor, labels: Any, weight: float = 1.0, smoothing: float = 0.0
) -> paddle.Tensor:
    """Return the mean cross-entropy; see :meth:`zoo.backend.base.Backend.cross_entropy`."""
    # Not Paddle's own, whose softmax clips logits to at most 64 below the largest.
    if isinstance(logits, np.ndarray):  # of zoo.predict
        logits = paddle.to_tensor(logits)
    if not isinstance(labels, paddle.Tensor):
        labels = paddle.to_tensor(labels, place=logits.place)
    numbers = labels.astype("int64").reshape([-1, 1])
    shifted = logits - logits.max(-1, keepdim=True).detach()
    valid = (numbers >= 0) & (numbers < logits.shape[-1])  # Paddle does not check the index
    selected = paddle.take_along_axis(shifted, paddle.where(valid, numbers, 0 * numbers), -1)
    if smoothing:
        kept, rest = constant(1 - smoothing, logits), constant(smoothing, logits)
        selected = kept * selected + rest * shifted.mean(-1, keepdim=True)
    losses = shifted.exp().sum(-1, keepdim=True).log() - selected
    mean = losses.mean() * constant(weight, logits)
    return paddle.where(valid.all(), mean, constant(float("nan"), logits))


def gradients(
    model: nn.Layer,
    x: Array,
    loss: Callable[[Any], paddle.Tensor],
    tensors: Mapping[str, Tensor],
) -> tuple[float, dict[str, Array], Array]:
    """Differentiate a loss in training mode; running statistics are updated.

    Args:
        model: Its mode is restored.
        x: [N, C, H, W].
        loss: A function of what the model returns.
        tensors: Its parameters and running statistics by canonical name.

    Returns:
        The loss; canonical name -> gradient, in the canonical layout; and the input's gradient,
        [N, C, H, W].
    """
    trainable = {n: tensor for n, tensor in tensors.items() if not tensor.handle.stop_gradient}
    with _training(model):
        handles = [tensor.handle for tensor in trainable.values()]
        value, input_gradient, grads = _differentiate(model, x, loss, handles)
    by_name = {
        name: tensor.to_canonical(gradient)
        for (name, tensor), gradient in zip(trainable.items(), grads, strict=True)
    }
    return value, by_name, input_gradient


def differentiate(
    model: nn.Layer, x: Array, loss: Callable[[Any], Any], dropouts: Iterable[str]
) -> tuple[float, dict[str, Array], Array, dict[str, Array]]:
    """Differentiate a loss; see :meth:`zoo.backend.base.Backend.differentiate`."""
    # Paddle keeps the running statistics of batch norms among the parameters.
    statistics = [(v, v.clone()) for v in model.state_dict().values() if v.stop_gradient]
    layers = named_modules(model)
    with _training(model):
        for name in dropouts:
            layers[name].training = False
        try:
            trainable = {n: p for n, p in model.named_parameters() if not p.stop_gradient}
            result = _differentiate(model, x, loss, list(trainable.values()))
            updated = own_weights(model)
        finally:
            for statistic, value in statistics:
                statistic.set_value(value)
    value, input_gradient, grads = result
    return value, dict(zip(trainable, grads, strict=True)), input_gradient, updated


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
    model: nn.Layer, x: Array, loss: Callable[[Any], paddle.Tensor], trainable: list[paddle.Tensor]
) -> tuple[float, Array, list[Array]]:
    tensor = to_input(model, x)
    tensor.stop_gradient = False
    with warnings.catch_warnings():  # batch norm's warning does not apply
        warnings.filterwarnings("ignore", "When training, we now always track")
        value = loss(model(tensor))
    inputs = [tensor, *trainable]
    grads = paddle.grad(value, inputs, allow_unused=True)
    input_gradient, *parameter_grads = (
        np.zeros(variable.shape) if grad is None else to_numpy(grad)
        for grad, variable in zip(grads, inputs, strict=True)
    )
    return float(value), input_gradient, parameter_grads


@contextmanager
def _training(model: nn.Layer) -> Iterator[None]:
    """Put every layer in training mode, and restore their modes afterwards."""
    modes = [(layer, layer.training) for layer in model.sublayers(include_self=True)]
    model.train()
    try:
        yield
    finally:
        for layer, mode in modes:
            layer.training = mode
