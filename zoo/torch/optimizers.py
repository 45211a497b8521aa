"""PyTorch's own optimizers: all compute the written rules of ``zoo.training.rules``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from zoo.backend.training import Rule

#: Slot -> its name in the state of PyTorch's optimizers.
SLOTS = {
    "momentum": "momentum_buffer",
    "moment1": "exp_avg",
    "moment2": "exp_avg_sq",
    "mean_square": "square_avg",
}


def make(
    trained: Mapping[str, torch.nn.Parameter], rule: Rule, decays: Mapping[str, float]
) -> torch.optim.Optimizer:
    """Make an optimizer.

    Args:
        trained: Canonical name -> parameter.
        rule: What it computes.
        decays: Canonical name -> weight decay.
    """
    # Not more groups than needed: each is a call of the optimizer.
    groups: dict[float, list[Any]] = {}
    for name, parameter in trained.items():
        groups.setdefault(decays[name], []).append(parameter)
    options = [{"params": group, "weight_decay": decay} for decay, group in groups.items()]
    betas = rule.beta1, rule.beta2
    match rule.name:
        case "sgd":
            return torch.optim.SGD(options, rule.lr, rule.momentum, nesterov=rule.nesterov)
        case "adam":
            return torch.optim.Adam(options, rule.lr, betas, rule.eps)
        case "adamw":
            return torch.optim.AdamW(options, rule.lr, betas, rule.eps)
        case _:
            return torch.optim.RMSprop(
                options, rule.lr, rule.alpha, rule.eps, momentum=rule.momentum
            )


def start(optimizer: torch.optim.Optimizer, rule: Rule, steps: int) -> None:
    """Make the slots that are missing, as they are before the first step, and set the count."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            state = optimizer.state[parameter]
            for slot in rule.slots:
                state.setdefault(SLOTS[slot], torch.zeros_like(parameter))
            if rule.name != "sgd":
                # As the optimizer itself makes it; float64 counts as far as anyone trains.
                state["step"] = torch.tensor(float(steps), dtype=torch.get_default_dtype())
