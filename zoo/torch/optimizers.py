"""PyTorch's own optimizers: all compute the written rules of ``zoo.training.rules``."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch

from zoo.backend.optimizers import Kept, in_own_words, refuse
from zoo.backend.training import Rule

#: Slot -> its name in the state of PyTorch's optimizers.
SLOTS = {
    "momentum": "momentum_buffer",
    "moment1": "exp_avg",
    "moment2": "exp_avg_sq",
    "mean_square": "square_avg",
}

_CLASSES = {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "rmsprop": torch.optim.RMSprop,
}
_OF_ADAM = ("beta1", "beta2", "eps", "weight_decay")
_WORDS = {
    "sgd": ("momentum", "nesterov", "weight_decay"),
    "adam": _OF_ADAM,
    "adamw": _OF_ADAM,
    "rmsprop": ("alpha", "eps", "momentum", "weight_decay"),
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


def native(
    trained: Mapping[str, torch.nn.Parameter], name: str, lr: float, settings: Mapping[str, Any]
) -> torch.optim.Optimizer:
    """Make PyTorch's own optimizer, with its own defaults for what is not set."""
    kind, words = _CLASSES[name], {word: word for word in _WORDS[name]}
    options = in_own_words(settings, words, "PyTorch", kind.__name__)
    if {"beta1", "beta2"} & options.keys():
        first, second = inspect.signature(kind).parameters["betas"].default
        options["betas"] = options.pop("beta1", first), options.pop("beta2", second)
    optimizer: torch.optim.Optimizer = kind(trained.values(), lr, **options)
    return optimizer


def kept(optimizer: torch.optim.Optimizer, parameters: Mapping[str, torch.nn.Parameter]) -> Kept:
    """Return what an optimizer keeps, which it has afterward even if it has made no step.

    Args:
        optimizer: Any optimizer.
        parameters: Canonical name -> parameter, of the whole model.

    Raises:
        BackendError: It keeps what other frameworks do not, or parameters of something else.
    """
    rule = _rule(optimizer)
    names = {id(parameter): name for name, parameter in parameters.items()}
    updated = [p for group in optimizer.param_groups for p in group["params"]]
    if not {id(p) for p in updated} <= names.keys():
        raise refuse(optimizer, "it updates parameters that are not the model's")
    numbers = {int(optimizer.state[p].get("step", 0)) for p in updated if p in optimizer.state}
    if len(numbers) > 1:
        raise refuse(optimizer, "it has updated some parameters more often than others")
    steps = max(numbers, default=0)
    start(optimizer, rule, steps)
    handles = {
        f"{slot}/{names[id(p)]}": optimizer.state[p][SLOTS[slot]]
        for slot in rule.slots
        for p in updated
    }
    counts = rule.name in ("adam", "adamw")
    return Kept(handles, steps if counts else None, lambda steps: start(optimizer, rule, steps))


def _rule(optimizer: torch.optim.Optimizer) -> Rule:
    """Return a rule with the slots of an optimizer."""
    name = next((name for name, cls in _CLASSES.items() if type(optimizer) is cls), None)
    if name is None:
        raise refuse(optimizer, f"it is none of {', '.join(c.__name__ for c in _CLASSES.values())}")
    for option in ("amsgrad", "centered", "dampening"):
        if any(group.get(option) for group in optimizer.param_groups):
            raise refuse(optimizer, f"no other framework keeps what it does with {option}")
    momenta = {group.get("momentum", 0) for group in optimizer.param_groups}
    if 0 in momenta and len(momenta) > 1:
        raise refuse(optimizer, "only some of its groups have a momentum")
    return Rule(name, 0.0, momentum=max(momenta))


def start(optimizer: torch.optim.Optimizer, rule: Rule, steps: int) -> None:
    """Make the slots that are missing, as they are before the first step, and set the count."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            state = optimizer.state[parameter]
            for slot in rule.slots:
                if state.get(SLOTS[slot]) is None:  # a loaded momentum may be None
                    state[SLOTS[slot]] = torch.zeros_like(parameter)
            if rule.name != "sgd":
                # As the optimizer itself makes it; float64 counts as far as anyone trains.
                dtype = torch.get_default_dtype()
                state["step"] = torch.tensor(float(steps), dtype=dtype, device="cpu")
