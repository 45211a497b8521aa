"""Optimizers of the frameworks that compute the same in each, and what they keep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from zoo import arguments
from zoo.api.networks import check_trainable
from zoo.backend.base import Array, Backend
from zoo.backend.optimizers import Kept
from zoo.backend.parameters import Tensor
from zoo.backend.training import RULES, Rule
from zoo.backend.unwrapping import find_built
from zoo.errors import InputError, UnknownNameError, WeightsError, suggestion
from zoo.weights.checking import DTYPES

#: Which of the weights decay.
DECAYS = ("all", "kernels")


#: Whose computation an optimizer does.
WHOSE = ("written", "native")

_MAX_STEPS = 2**31 - 1  # Optax counts in 32 bits


def optimizer(
    model: Any,
    name: str,
    lr: float,
    *,
    momentum: float | None = None,
    nesterov: bool | None = None,
    beta1: float | None = None,
    beta2: float | None = None,
    alpha: float | None = None,
    eps: float | None = None,
    weight_decay: float | None = None,
    decay: str = "all",
    rule: str = "written",
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
        momentum: Momentum of ``sgd`` and ``rmsprop``; 0 by default.
        nesterov: Whether ``sgd`` uses Nesterov momentum; by default it does not.
        beta1: Decay of the mean of the gradients in ``adam`` and ``adamw``; 0.9 by default.
        beta2: Decay of the mean of the squared gradients in ``adam`` and ``adamw``; 0.999 by
            default.
        alpha: Decay of the mean of the squared gradients in ``rmsprop``; 0.99 by default.
        eps: Number added to the square root of that mean; 1e-8 by default.
        weight_decay: Its product with the weight is added to the gradient; in ``adamw``, the weight
            is multiplied by 1 - lr weight_decay instead. 0 by default.
        decay: ``all``, or ``kernels`` to exclude biases and the parameters of normalizations.
        rule: ``written`` for the rule that is described here. ``native`` for the framework's own
            optimizer of that name as it is, to study how they differ: settings then have the
            meaning that they have there, and its own defaults.

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
    backend, inner, network = find_built(model)
    given = {
        "momentum": momentum,
        "nesterov": nesterov,
        "beta1": beta1,
        "beta2": beta2,
        "alpha": alpha,
        "eps": eps,
        "weight_decay": weight_decay,
    }
    settings = {setting: value for setting, value in given.items() if value is not None}
    if not isinstance(rule, str) or rule not in WHOSE:
        raise arguments.wrong("rule", " or ".join(map(repr, WHOSE)), rule)
    chosen = rule_of(name, lr, decay=decay, **settings)
    if rule == "written":
        check_trainable(backend, inner, network)
        return backend.optimizer(inner, chosen)
    if decay != "all":
        raise InputError(
            "decay='kernels' is zoo's; the optimizers of the frameworks have other ways to say it"
        )
    return backend.native_optimizer(inner, name, chosen.lr, settings)


def get_optimizer_state(model: Any, optimizer: Any) -> dict[str, Array]:
    """Copy what an optimizer keeps from one step to the next, under names of the spec.

    Args:
        model: The model that it trains, which zoo built.
        optimizer: One of :func:`optimizer`, or the framework's own SGD, Adam, AdamW or RMSprop over
            parameters of the model. To read a file of the framework's, such as a ``.pdopt`` or the
            ``state_dict`` of PyTorch, load it into such an optimizer first.

    Returns:
        Slot and parameter, such as ``momentum/conv1.weight`` -> array in the canonical layout. If
        the next step depends on their number, as in Adam, also ``steps``.

    Raises:
        BackendError: The model was not built by zoo, or the optimizer keeps what others do not.

    Example:
        >>> import zoo
        >>> model = zoo.build("lenet5", "torch")
        >>> optimizer = zoo.optimizer(model, "adam", 1e-3)
        >>> state = zoo.get_optimizer_state(model, optimizer)
        >>> state["moment1/c1.conv.weight"].shape, state["steps"]
        ((6, 1, 5, 5), array(0))
    """
    backend, inner, network = find_built(model)
    check_trainable(backend, inner, network)
    kept, tensors = _state(backend, inner, optimizer)
    arrays = {n: t.to_canonical(backend.to_numpy(t.handle)) for n, t in tensors.items()}
    return arrays if kept.steps is None else {**arrays, "steps": np.asarray(kept.steps)}


def set_optimizer_state(model: Any, optimizer: Any, state: Mapping[str, Any]) -> None:
    """Let an optimizer go on from what another one kept, in the same or in another framework.

    Args:
        model: The model that it trains, which zoo built.
        optimizer: As for :func:`get_optimizer_state`.
        state: What that returned.

    Raises:
        BackendError: The model was not built by zoo, or the optimizer keeps what others do not.
        WeightsError: A value is missing, left over, of another shape or no floating-point number,
            or ``steps`` is no number of steps. Nothing is changed then.

    Example:
        >>> import zoo
        >>> model = zoo.build("lenet5", "torch")
        >>> adam = zoo.optimizer(model, "adam", 1e-3)
        >>> zoo.set_optimizer_state(model, adam, zoo.get_optimizer_state(model, adam))
    """
    backend, inner, network = find_built(model)
    check_trainable(backend, inner, network)
    if not isinstance(state, Mapping):
        raise arguments.wrong("state", "a mapping of names to arrays", state)
    kept, tensors = _state(backend, inner, optimizer)
    expected = {name: tensor.canonical_shape for name, tensor in tensors.items()}
    if kept.steps is not None:
        expected["steps"] = ()
    arrays = {
        name: arguments.array(str(name), value, "an array of numbers")
        for name, value in state.items()
    }
    problems = [
        *(f"{name} is missing" for name in expected if name not in arrays),
        *(f"{name} is left over" for name in arrays if name not in expected),
        *(
            f"{name} has the shape {list(arrays[name].shape)}, not {list(shape)}"
            for name, shape in expected.items()
            if name in arrays and arrays[name].shape != shape
        ),
        *(
            f"{name} has values of {arrays[name].dtype}, not floating-point values"
            for name in tensors
            if name in arrays and arrays[name].dtype.name not in DTYPES
        ),
    ]
    steps = arrays.get("steps")
    if kept.steps is not None and steps is not None and steps.shape == () and not _is_count(steps):
        got = arguments.shown(steps.tolist())
        problems.append(f"steps must be an integer from 0 to {_MAX_STEPS:,}, got {got}")
    if problems:
        more = f"; and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise WeightsError(f"not the state of this optimizer: {'; '.join(problems[:3])}{more}")
    values = {name: tensor.to_native(arrays[name]) for name, tensor in tensors.items()}
    for name, tensor in tensors.items():
        backend.assign(tensor.handle, values[name])
    if kept.steps is not None:
        kept.set_steps(int(arrays["steps"]))


def _is_count(steps: Array) -> bool:
    return steps.dtype.kind in "iu" and 0 <= int(steps) <= _MAX_STEPS


def _state(backend: Backend, model: Any, optimizer: Any) -> tuple[Kept, dict[str, Tensor]]:
    kept, own = backend.kept(model, optimizer), backend.tensors(model)
    tensors = {
        name: replace(own[name.partition("/")[2]], handle=handle)
        for name, handle in kept.handles.items()
    }
    return kept, tensors


def rule_of(name: str, lr: float, **settings: Any) -> Rule:
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
