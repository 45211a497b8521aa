"""Losses, gradients and optimizers of PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from zoo.backend.base import Array
from zoo.backend.parameters import Tensor
from zoo.torch.run import named_modules, own_weights, to_input, to_numpy


def cross_entropy(
    logits: torch.Tensor, labels: Any, weight: float = 1.0, smoothing: float = 0.0
) -> torch.Tensor:
    """Return the mean cross-entropy; see :meth:`zoo.backend.base.Backend.cross_entropy`."""
    if not isinstance(logits, torch.Tensor):  # NumPy's, of zoo.predict
        logits = torch.as_tensor(logits, device="cpu")
    numbers = torch.as_tensor(labels, dtype=torch.long, device=logits.device)
    return weight * F.cross_entropy(logits, numbers, label_smoothing=smoothing)


def gradients(
    model: nn.Module,
    x: Array,
    loss: Callable[[Any], torch.Tensor],
    tensors: Mapping[str, Tensor],
) -> tuple[float, dict[str, Array], Array]:
    """Differentiate a loss in training mode; running statistics are updated.

    Args:
        model: Its mode is restored.
        x: [N, C, H, W].
        loss: A function of what the model returns.
        tensors: Its parameters and running statistics by canonical name.

    Returns:
        The loss; canonical name -> gradient; and the input's gradient, [N, C, H, W].
    """
    trained = {name: tensor.handle for name, tensor in tensors.items()}
    with training(model):
        value, grads, input_gradient = _differentiate(model, x, loss, trained)
    by_name = {name: tensors[name].to_canonical(gradient) for name, gradient in grads.items()}
    return value, by_name, input_gradient


def differentiate(
    model: nn.Module, x: Array, loss: Callable[[Any], Any], dropouts: Iterable[str]
) -> tuple[float, dict[str, Array], Array, dict[str, Array]]:
    """Differentiate a loss; see :meth:`zoo.backend.base.Backend.differentiate`."""
    saved = {name: buffer.clone() for name, buffer in model.named_buffers()}
    modules = named_modules(model)
    with training(model):
        for name in dropouts:
            modules[name].training = False
        try:
            own = dict(model.named_parameters())
            value, grads, input_gradient = _differentiate(model, x, loss, own)
            updated = own_weights(model)
        finally:
            for name, buffer in model.named_buffers():
                buffer.data.copy_(saved[name])
    return value, grads, input_gradient, updated


def optimizer(model: nn.Module, rule: str, settings: Mapping[str, float]) -> torch.optim.Optimizer:
    """Make PyTorch's own optimizer; see :meth:`zoo.backend.base.Backend.optimizing`."""
    weights, lr = model.parameters(), settings["lr"]
    if rule == "SGD":
        momentum, decay = settings["momentum"], settings["weight_decay"]
        return torch.optim.SGD(weights, lr, momentum, weight_decay=decay)
    betas = settings["beta1"], settings["beta2"]
    return torch.optim.Adam(weights, lr, betas, settings["eps"])


def _differentiate(
    model: nn.Module,
    x: Array,
    loss: Callable[[Any], torch.Tensor],
    own: Mapping[str, torch.Tensor],
) -> tuple[float, dict[str, Array], Array]:
    parameters = {name: value for name, value in own.items() if value.requires_grad}
    tensor = to_input(model, x).requires_grad_()
    value = loss(model(tensor))
    grads = torch.autograd.grad(value, [tensor, *parameters.values()], materialize_grads=True)
    input_gradient, *parameter_grads = (to_numpy(grad.detach()) for grad in grads)
    return value.item(), dict(zip(parameters, parameter_grads, strict=True)), input_gradient


@contextmanager
def training(model: nn.Module) -> Iterator[None]:
    """Put every module in training mode, and restore their modes afterwards."""
    modes = {module: module.training for module in model.modules()}
    model.train()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
