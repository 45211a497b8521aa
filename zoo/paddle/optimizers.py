"""Paddle's own optimizers where they compute the written rules, and one of zoo's where not.

Paddle's kernels hold a momentum, epsilon and the decay of AdamW in float32, so in float64 only its
SGD computes the rule. In float32 Momentum, Adam and AdamW do, too: for Adam's, beta2 is rounded to
float32 before it is subtracted from 1, which scales ``moment2`` and its correction alike.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import paddle
from paddle.optimizer import SGD, Adam, AdamW, Momentum, Optimizer, RMSProp

from zoo.backend.optimizers import Kept, in_own_words, refuse
from zoo.backend.training import Rule
from zoo.errors import BackendError, ZooWarning
from zoo.paddle import _private

#: Slot -> its name in Paddle's own optimizers.
_SLOTS = {"momentum": "velocity", "moment1": "moment1", "moment2": "moment2"}
#: Setting of a rule -> Paddle's name for its product over the steps so far and the next.
_POWERS = {"beta1": "beta1_pow_acc", "beta2": "beta2_pow_acc"}
_OF_ADAM = {"beta1": "beta1", "beta2": "beta2", "eps": "epsilon", "weight_decay": "weight_decay"}
#: Optimizer -> setting of a rule -> Paddle's argument.
_WORDS = {
    SGD: {"weight_decay": "weight_decay"},
    Momentum: {
        "momentum": "momentum",
        "nesterov": "use_nesterov",
        "weight_decay": "weight_decay",
    },
    Adam: _OF_ADAM,
    AdamW: _OF_ADAM,
    RMSProp: {
        "alpha": "rho",
        "eps": "epsilon",
        "momentum": "momentum",
        "weight_decay": "weight_decay",
    },
}
_CHUNK = 1 << 20  # of the powers of a beta


def make(
    trained: Mapping[str, paddle.Tensor], rule: Rule, decays: Mapping[str, float]
) -> Optimizer:
    """Make an optimizer, whose slots are there before its first step.

    Args:
        trained: Canonical name -> parameter.
        rule: What it computes.
        decays: Canonical name -> weight decay.
    """
    optimizer = _own(trained, rule, decays)
    if optimizer is None:
        by_parameter = {parameter.name: decays[name] for name, parameter in trained.items()}
        return RuleOptimizer(list(trained.values()), rule, by_parameter)
    _private.start_optimizer(optimizer, list(trained.values()))
    return optimizer


def native(
    trained: Mapping[str, paddle.Tensor], name: str, lr: float, settings: Mapping[str, Any]
) -> Optimizer:
    """Make Paddle's own optimizer, with its own defaults for what is not set."""
    classes = {"adam": Adam, "adamw": AdamW, "rmsprop": RMSProp}
    kind = classes.get(name) or (Momentum if "momentum" in settings else SGD)
    options = in_own_words(settings, _WORDS[kind], "PaddlePaddle", kind.__name__)
    return kind(lr, parameters=list(trained.values()), **options)


def kept(optimizer: Optimizer, parameters: Mapping[str, paddle.Tensor]) -> Kept:
    """Return what an optimizer keeps, which it has afterward even if it has made no step.

    Args:
        optimizer: Any optimizer.
        parameters: Canonical name -> parameter, of the whole model.

    Raises:
        BackendError: It keeps what other frameworks do not, or parameters of something else.
    """
    is_rule = isinstance(optimizer, RuleOptimizer)
    rule = optimizer.rule if is_rule else _rule(optimizer)
    names = {parameter.name: name for name, parameter in parameters.items()}
    updated = _private.updated(optimizer)
    if not {p.name for p in updated} <= names.keys():
        raise refuse(optimizer, "it updates parameters that are not the model's")
    if not is_rule:
        try:
            _private.start_optimizer(optimizer, updated)
        except AssertionError as error:  # of a state dict with other names
            raise refuse(
                optimizer,
                f"Paddle says {str(error)[:100]!r}, since names depend on what else was built",
                "build the model, make the optimizer and load its file within one block of 'with "
                "paddle.utils.unique_name.guard():'",
            ) from error
    handles = {
        f"{each}/{names[p.name]}": slot(optimizer, each, p) for each in rule.slots for p in updated
    }
    if rule.name not in ("adam", "adamw"):
        return Kept(handles)
    return Kept(handles, _steps(optimizer, rule), lambda n: set_steps(optimizer, rule, n))


def _rule(optimizer: Optimizer) -> Rule:
    """Return a rule with the slots of one of Paddle's own optimizers."""
    kind = type(optimizer)
    if kind is Momentum:
        return Rule("sgd", 0.0, momentum=1.0)
    if kind is SGD:
        return Rule("sgd", 0.0)
    if kind is RMSProp:
        raise refuse(optimizer, "its momentum contains the learning rate, unlike those of others")
    if kind not in (Adam, AdamW):
        raise refuse(optimizer, "it is none of SGD, Momentum, Adam, AdamW")
    if _private.keeps_maxima(optimizer):
        raise refuse(optimizer, "no other framework keeps what it does with amsgrad")
    betas = _private.betas(optimizer)
    return Rule("adam", 0.0, beta1=betas[0], beta2=betas[1])


def _steps(optimizer: Optimizer, rule: Rule) -> int:
    """Return how many steps Adam has made, which Paddle keeps as a product of its betas only."""
    if isinstance(optimizer, RuleOptimizer):
        return optimizer.steps
    setting = "beta1" if rule.beta1 > rule.beta2 else "beta2"
    powers = {p.numpy()[0] for p in _private.kept(optimizer, _POWERS[setting]).values()}
    if len(powers) > 1:
        raise refuse(optimizer, "it has updated some parameters more often than others")
    power = powers.pop()
    beta = power.dtype.type(getattr(rule, setting))
    first, products = _powers(beta, lambda _, found: found[-1] <= power)
    steps = first + int(np.argmin(np.abs(products - power)))
    if products[steps - first] == products[-1] == products[-2]:
        warnings.warn(
            ZooWarning(
                f"this {type(optimizer).__name__} has made at least {steps:,} steps; how many, "
                f"PaddlePaddle does not keep, as it counts by a power of {setting} in "
                f"{power.dtype}. The next step does not depend on it any more"
            ),
            stacklevel=2,
        )
    return steps


def _powers(beta: Any, are_enough: Callable[[int, Any], bool]) -> tuple[int, Any]:
    """Return some powers of a beta, each after one step more, and the number of the first step.

    They are multiplied step by step, as the kernels do.

    Args:
        beta: The beta, in the dtype of the powers: that of the weights, but at least float32.
        are_enough: Tells, of the number and the powers, whether later ones are not needed. They end
            where they change no more, too.
    """
    first, power = 0, beta
    while True:
        factors = np.full(_CHUNK, beta)
        factors[0] = power
        products = np.multiply.accumulate(factors)
        if are_enough(first, products) or products[-1] == products[-2]:
            return first, products
        first, power = first + _CHUNK - 1, products[-1]


def slot(optimizer: Optimizer, name: str, parameter: paddle.Tensor) -> paddle.Tensor:
    """Return what an optimizer of :func:`make` keeps of a parameter."""
    if isinstance(optimizer, RuleOptimizer):
        return optimizer.slots[name][parameter.name]
    return _private.kept(optimizer, _SLOTS[name])[parameter.name]


def set_steps(optimizer: Optimizer, rule: Rule, steps: int) -> None:
    """Set how many steps an optimizer of :func:`make` has made."""
    if isinstance(optimizer, RuleOptimizer):
        optimizer.steps = steps
    elif rule.name != "sgd":
        for setting, name in _POWERS.items():
            powers = list(_private.kept(optimizer, name).values())
            beta = powers[0].numpy().dtype.type(getattr(rule, setting))
            first, products = _powers(beta, lambda n, _: steps < n + _CHUNK)
            for power in powers:
                power.set_value(products[[min(steps - first, _CHUNK - 1)]])


class RuleOptimizer(Optimizer):
    """An optimizer that computes a rule in the dtype of the weights, float64 included.

    It is used as Paddle's own: ``loss.backward()``, ``step()``, ``clear_grad()``; ``set_lr`` or a
    scheduler; ``state_dict`` and ``set_state_dict``.

    Attributes:
        rule: The rule; see :mod:`zoo.training.rules`.
        steps: How many steps have been made.
        slots: Slot -> name of the parameter in Paddle -> tensor.
    """

    def __init__(
        self, parameters: list[paddle.Tensor], rule: Rule, decays: Mapping[str, float]
    ) -> None:
        """Make the optimizer with empty slots.

        Args:
            parameters: What it updates.
            rule: The rule.
            decays: Name of a parameter in Paddle -> its weight decay.
        """
        super().__init__(float(rule.lr), parameters)
        self.rule, self.steps = rule, 0
        self.slots = {
            slot: {p.name: paddle.zeros_like(p) for p in parameters} for slot in rule.slots
        }
        self._updated, self._decays = parameters, dict(decays)

    @paddle.no_grad()
    def step(self) -> None:
        """Update the parameters that have a gradient."""
        self.steps += 1
        lr = self.get_lr()
        for parameter in self._updated:
            gradient, decay = parameter.grad, self._decays[parameter.name]
            if gradient is None or parameter.stop_gradient:
                continue
            if decay and self.rule.name == "adamw":
                parameter.scale_(1 - lr * decay)
            elif decay:
                gradient = gradient + decay * parameter
            parameter.subtract_(lr * self._direction(parameter.name, gradient))

    def minimize(self, loss: Any, *args: Any, **kwargs: Any) -> tuple[list[Any], list[Any]]:
        """Do what :meth:`step` does; ``paddle.Model`` calls this."""
        self.step()
        return [], []

    def state_dict(self) -> dict[str, Any]:
        """Return slots, the number of steps, and the state of a scheduler."""
        return {**super().state_dict(), **self._named_slots(), "steps": self.steps}

    def set_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from what :meth:`state_dict` returned.

        Raises:
            BackendError: A value is missing.
        """
        slots = self._named_slots()
        for name in (*slots, "steps"):
            if name not in state_dict:
                raise BackendError(
                    f"the state of the optimizer has no {name!r}; it belongs to another optimizer, "
                    "or to a model whose parameters have other names"
                )
        super().set_state_dict({k: v for k, v in state_dict.items() if k == "LR_Scheduler"})
        for name, tensor in slots.items():
            tensor.set_value(state_dict[name])
        self.steps = int(state_dict["steps"])

    load_state_dict = set_state_dict

    def _named_slots(self) -> dict[str, paddle.Tensor]:
        return {
            f"{parameter}_{slot}_0": tensor
            for slot, tensors in self.slots.items()
            for parameter, tensor in tensors.items()
        }

    def _direction(self, name: str, g: paddle.Tensor) -> paddle.Tensor:
        rule = self.rule
        match rule.name:
            case "sgd":
                if not rule.momentum:
                    return g
                velocity = self._keep("momentum", name, rule.momentum, g)
                return g + rule.momentum * velocity if rule.nesterov else velocity
            case "rmsprop":
                new = (1 - rule.alpha) * g.square()
                square = self._keep("mean_square", name, rule.alpha, new)
                scaled = g / (square.sqrt() + rule.eps)
                return (
                    self._keep("momentum", name, rule.momentum, scaled) if rule.momentum else scaled
                )
            case _:
                new = (1 - rule.beta2) * g.square()
                first = self._keep("moment1", name, rule.beta1, (1 - rule.beta1) * g)
                second = self._keep("moment2", name, rule.beta2, new)
                mean = first / (1 - rule.beta1**self.steps)
                square = second / (1 - rule.beta2**self.steps)
                return mean / (square.sqrt() + rule.eps)

    def _keep(self, slot: str, name: str, kept: float, new: paddle.Tensor) -> paddle.Tensor:
        """Keep a share of a slot, add something to it, and return it."""
        value = self.slots[slot][name]
        value.scale_(kept)
        return value.add_(new)


def _own(
    trained: Mapping[str, paddle.Tensor], rule: Rule, decays: Mapping[str, float]
) -> Optimizer | None:
    """Make Paddle's own optimizer, if it has one that computes the rule."""
    lr, weights, different = float(rule.lr), list(trained.values()), set(decays.values())
    single = all(weight.dtype == paddle.float32 for weight in weights)
    # SGD and Adam would take the decay of a group by changing the parameters themselves, which
    # every later optimizer of theirs would obey.
    decay = float(next(iter(different))) if len(different) == 1 else None
    match rule.name:
        case "sgd" if not rule.momentum and decay is not None:
            return SGD(lr, weights, decay or None)
        case "sgd" if rule.momentum and single:
            if decay is not None:
                return Momentum(lr, rule.momentum, weights, rule.nesterov, decay)
            groups: dict[float, list[Any]] = {}
            for name, weight in trained.items():
                groups.setdefault(float(decays[name]), []).append(weight)
            options = [{"params": group, "weight_decay": d} for d, group in groups.items()]
            return Momentum(lr, rule.momentum, options, rule.nesterov)
        case "adam" if single and decay is not None:
            betas = rule.beta1, rule.beta2
            return Adam(lr, *betas, rule.eps, weights, decay or None)
        case "adamw" if single:
            decaying = {weight.name for name, weight in trained.items() if decays[name]}
            return AdamW(
                lr,
                rule.beta1,
                rule.beta2,
                rule.eps,
                weights,
                float(rule.weight_decay),
                apply_decay_param_fun=decaying.__contains__,
            )
        case _:
            return None
