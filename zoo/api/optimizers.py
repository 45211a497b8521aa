"""Optimizers of the frameworks that compute the same in each."""

from __future__ import annotations

from typing import Any

from zoo import arguments
from zoo.backend.training import RULES, Rule
from zoo.backend.unwrapping import find_built
from zoo.errors import InputError, UnknownNameError, suggestion

#: Which of the weights decay.
DECAYS = ("all", "kernels")


def optimizer(
    model: Any,
    name: str,
    lr: float,
    *,
    momentum: float = 0.0,
    nesterov: bool = False,
    beta1: float = 0.9,
    beta2: float = 0.999,
    alpha: float = 0.99,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    decay: str = "all",
) -> Any:
    """Return an optimizer of the framework that follows the same update rule in every framework.

    Optimizers of the same name differ between frameworks: in where epsilon is added, in what weight
    decay means, and in the dtype of the learning rate. These follow the rules of PyTorch's, which
    ``zoo.training.rules`` defines in NumPy. The result is the framework's own class if that follows
    the rule, otherwise a subclass of its optimizer class.

    Args:
        model: A model that zoo built. Parameters that the framework does not train are left out.
        name: ``sgd``, ``adam``, ``adamw`` or ``rmsprop``.
        lr: Learning rate.
        momentum: Momentum of ``sgd`` and ``rmsprop``.
        nesterov: Whether ``sgd`` uses Nesterov momentum.
        beta1: Decay of the mean of the gradients in ``adam`` and ``adamw``.
        beta2: Decay of the mean of the squared gradients in ``adam`` and ``adamw``.
        alpha: Decay of the mean of the squared gradients in ``rmsprop``.
        eps: Number added to the square root of that mean.
        weight_decay: Its product with the weight is added to the gradient; in ``adamw``, the weight
            is multiplied by 1 - lr weight_decay instead.
        decay: ``all``, or ``kernels`` to exclude biases and the parameters of normalizations.

    Returns:
        A ``torch.optim.Optimizer``, ``paddle.optimizer.Optimizer``, ``keras.optimizers.Optimizer``
        for ``compile``, or ``flax.nnx.Optimizer``.

    Raises:
        UnknownNameError: There is no such optimizer.
        InputError: A setting is out of range, or is not one of that optimizer.
        BackendError: The model was not built by zoo.

    Example:
        >>> import zoo
        >>> model = zoo.build("resnet18", "torch", num_classes=10)
        >>> optimizer = zoo.optimizer(model, "sgd", 0.1, momentum=0.9, weight_decay=1e-4)
        >>> type(optimizer)
        <class 'torch.optim.sgd.SGD'>
    """
    backend, inner, _ = find_built(model)
    chosen = rule(
        name,
        lr,
        momentum=momentum,
        nesterov=nesterov,
        beta1=beta1,
        beta2=beta2,
        alpha=alpha,
        eps=eps,
        weight_decay=weight_decay,
        decay=decay,
    )
    return backend.optimizer(inner, chosen)


def rule(name: str, lr: float, **settings: Any) -> Rule:
    """Return a rule whose settings have been checked.

    Args:
        name: One of ``zoo.backend.training.RULES``.
        lr: Learning rate.
        **settings: As for :func:`optimizer`.

    Raises:
        UnknownNameError: There is no such optimizer.
        InputError: A setting is out of range, or is not one of that optimizer.
    """
    if not isinstance(name, str) or name not in RULES:
        hint = suggestion(name, RULES) or f". Known: {', '.join(RULES)}."
        raise UnknownNameError(f"unknown optimizer {arguments.shown(name)}{hint}")
    for key in ("momentum", "beta1", "beta2", "alpha"):
        arguments.number(key, settings.get(key, 0.0), below=1)
    for key in ("eps", "weight_decay"):
        arguments.number(key, settings.get(key, 0.0))
    arguments.flag("nesterov", settings.get("nesterov", False))
    if not isinstance(decay := settings.get("decay", "all"), str) or decay not in DECAYS:
        raise arguments.wrong("decay", " or ".join(map(repr, DECAYS)), decay)
    defaults = Rule(name, 0.0)
    for key, value in settings.items():
        allowed = key in RULES[name] or key in ("weight_decay", "decay")
        if not allowed and value != getattr(defaults, key):
            others = ", ".join(RULES[name])
            raise InputError(f"{name} has no {key}; besides lr and weight_decay, it has {others}")
    made = Rule(name, arguments.number("lr", lr), **settings)
    if made.nesterov and not made.momentum:
        raise InputError("nesterov requires a momentum")
    return made
