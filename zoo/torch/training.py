"""Losses and gradients of PyTorch modules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from zoo.graphs.graph import graph_of
from zoo.torch.running import to_input, to_numpy

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]


def cross_entropy(logits: torch.Tensor, labels: Any, weight: float = 1.0) -> torch.Tensor:
    """Return the mean cross-entropy of logits [N, classes] and class numbers [N], weighted."""
    numbers = torch.as_tensor(labels, dtype=torch.long, device=logits.device)
    return weight * F.cross_entropy(logits, numbers)


def gradients(model: nn.Module, x: Array, labels: Array) -> tuple[float, dict[str, Array], Array]:
    """Differentiate the training loss, in training mode.

    Args:
        model: Its running statistics move on, as in training; its mode is restored.
        x: [N, C, H, W].
        labels: Class numbers [N].

    Returns:
        The loss; canonical name -> gradient, in the canonical layout; and the input's, NCHW.
    """
    evaluating = [module for module in model.modules() if not module.training]
    model.train()
    try:
        parameters = {n: p for n, p in model.named_parameters() if p.requires_grad}
        tensor = to_input(model, x).requires_grad_()
        value = graph_of(model).total_loss(
            model(tensor), lambda logits, weight: cross_entropy(logits, labels, weight)
        )
        found = torch.autograd.grad(value, [tensor, *parameters.values()])
    finally:
        for module in evaluating:
            module.training = False
    arrays = [to_numpy(each.detach()) for each in found]
    names = [name.replace("_orig_mod.", "") for name in parameters]
    return value.item(), dict(zip(names, arrays[1:], strict=True)), arrays[0]


def optimizing(model: nn.Module, rule: str, settings: dict[str, float]) -> Callable[..., None]:
    """Return a step of PyTorch's own optimizer: a function of x [N, C, H, W] and labels [N].

    Args:
        model: What it trains; it is left in training mode.
        rule: ``SGD`` or ``Adam``.
        settings: ``lr``, and ``momentum`` and ``weight_decay``, or ``beta1``, ``beta2``, ``eps``.
    """
    at, weights = settings, model.parameters()
    optimizer: torch.optim.Optimizer
    if rule == "SGD":
        optimizer = torch.optim.SGD(
            weights, at["lr"], at["momentum"], weight_decay=at["weight_decay"]
        )
    else:
        optimizer = torch.optim.Adam(weights, at["lr"], (at["beta1"], at["beta2"]), at["eps"])

    def step(x: Array, labels: Array) -> None:
        optimizer.zero_grad()
        outputs = model.train()(to_input(model, x))
        graph_of(model).total_loss(
            outputs, lambda logits, weight: cross_entropy(logits, labels, weight)
        ).backward()
        optimizer.step()

    return step
