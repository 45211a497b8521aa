"""Optax's optimizers as ``nnx.Optimizer``, which compute the written rules of zoo.training.rules.

All pieces are Optax's own, except Adam's: in float32 Optax computes 1 - beta**n with an error of
1e-5 of it in the first steps.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import reduce
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from zoo.backend.optimizers import Kept, in_own_words, refuse
from zoo.backend.training import Rule
from zoo.flax import _private
from zoo.flax.parameters import Path, dtype_of

#: Slot -> its name in the states of Optax's transformations.
SLOTS = {"momentum": "trace", "moment1": "mu", "moment2": "nu", "mean_square": "nu"}

#: How to give the state of an Optax transformation to what zoo reads.
_INTO_NNX = (
    "put the state of an Optax transformation tx into one: optimizer = nnx.Optimizer(model, tx, "
    "wrt=nnx.Param); optimizer.opt_state = jax.tree.unflatten(jax.tree.structure("
    "optimizer.opt_state), jax.tree.leaves(state))"
)

#: Transformation -> the slots that it keeps; that of ``_scale_by_adam`` below is zoo's own.
_KEPT = {
    "scale_by_adam": ("moment1", "moment2"),
    f"{__name__}._scale_by_adam": ("moment1", "moment2"),
    "scale_by_rms": ("mean_square",),
    "trace": ("momentum",),
}
#: Transformations that multiply by the learning rate.
_SCALES = ("scale", "scale_by_schedule")
#: Others, which keep nothing that the next step depends on.
_BESIDES = (
    *("identity", "add_decayed_weights", "centralize"),
    *("clip", "clip_by_global_norm", "clip_by_block_rms", "adaptive_grad_clip"),
)
#: Options that make a transformation one of another optimizer: NAdam, RMSprop with a correction.
_OF_OTHERS = {"scale_by_adam": "nesterov", "scale_by_rms": "bias_correction"}

_OF_ADAM = {"beta1": "b1", "beta2": "b2", "eps": "eps"}
#: Name -> setting of a rule -> Optax's argument.
_WORDS = {
    "sgd": {"momentum": "momentum", "nesterov": "nesterov"},
    "adam": _OF_ADAM,
    "adamw": {**_OF_ADAM, "weight_decay": "weight_decay"},
    "rmsprop": {"alpha": "decay", "eps": "eps", "momentum": "momentum"},
}


def make(
    model: nnx.Module, rule: Rule, wrt: Any = nnx.Param, own: Mapping[str, Any] | None = None
) -> nnx.Optimizer[Any]:
    """Make an optimizer.

    Its learning rate is ``optimizer.opt_state.hyperparams["learning_rate"]``, a Variable in the
    dtype of the weights. It may change at each step without a compilation.

    Args:
        model: The model.
        rule: What it computes.
        wrt: The filter of Flax for the Variables that are trained.
        own: Settings of Optax's own optimizer, to have that in place of what computes the rule.

    Raises:
        BackendError: JAX would silently compute in another precision than that of the weights.
    """
    dtype_of(model)
    options = in_own_words(own or {}, _WORDS[rule.name], "Optax", rule.name)

    def transform(learning_rate: Any) -> optax.GradientTransformation:
        if own is not None:
            named: optax.GradientTransformation = getattr(optax, rule.name)
            return named(learning_rate, **options)
        return optax.chain(*_pieces(rule), optax.scale_by_learning_rate(learning_rate))

    # Other settings stay numbers of Python: 1 - beta would be inexact if beta had 32 bits.
    transformation = optax.inject_hyperparams(transform)(learning_rate=float(rule.lr))
    return nnx.Optimizer(model, transformation, wrt=wrt)


def native(
    model: nnx.Module, name: str, lr: float, settings: Mapping[str, Any]
) -> nnx.Optimizer[Any]:
    """Make Optax's own optimizer, with its own defaults for what is not set.

    Raises:
        BackendError: As for :func:`make`.
    """
    dtype_of(model)
    options = in_own_words(settings, _WORDS[name], "Optax", name)
    return nnx.Optimizer(model, getattr(optax, name)(lr, **options), wrt=nnx.Param)


def kept(optimizer: nnx.Optimizer[Any], paths: Mapping[str, Path]) -> Kept:
    """Return what an optimizer keeps.

    Args:
        optimizer: Any optimizer.
        paths: Canonical name -> path in the model, of all its parameters.

    Raises:
        BackendError: It keeps what other frameworks do not, or parameters of something else.
    """
    if not isinstance(optimizer, nnx.Optimizer):
        raise refuse(optimizer, "it is no nnx.Optimizer", _INTO_NNX)
    states = _keeping(optimizer)
    names = {path: name for name, path in paths.items()}
    handles = {}
    for each, state in states.items():
        for path, variable in nnx.to_flat_state(getattr(state, SLOTS[each])):
            if isinstance(_private.raw(variable), optax.MaskedNode):
                continue
            if path not in names:
                raise refuse(optimizer, "it updates parameters that are not the model's")
            handles[f"{each}/{names[path]}"] = variable
    if "moment1" not in states:
        return Kept(handles)
    numbers = list(counts(optimizer))

    def set_steps(steps: int) -> None:
        for count in numbers:
            count.set_value(jnp.asarray(steps, count[...].dtype))

    return Kept(handles, int(states["moment1"].count[...]), set_steps)


def _keeping(optimizer: nnx.Optimizer[Any]) -> dict[str, Any]:
    """Return the slots of an optimizer, and of each the state that has it.

    Raises:
        BackendError: It is none of those whose state is that of a rule.
    """
    slots: dict[str, Any] = {}
    scaled = ""
    for piece in _private.pieces(optimizer.tx.update, optimizer.opt_state):
        own, option = _KEPT.get(piece.name, ()), _OF_OTHERS.get(piece.name, "")
        if piece.settings.get(option):
            raise refuse(optimizer, f"its {piece.name} has {option}, unlike those of others")
        if not own and piece.name not in (*_SCALES, *_BESIDES):
            raise refuse(
                optimizer,
                f"it has {piece.name}, and none of Optax's sgd, adam, adamw and rmsprop does",
            )
        if own and scaled:
            raise refuse(
                optimizer,
                f"its {own[-1]} is of gradients after {scaled}, so that it contains the learning "
                "rate, unlike those of others",
            )
        if slots and own and (*slots, *own) != ("mean_square", "momentum"):
            raise refuse(optimizer, f"it keeps {', '.join((*slots, *own))}, which no other does")
        slots |= dict.fromkeys(own, piece.state)
        scaled = piece.name if piece.name in _SCALES else scaled
    return slots


def _states(state: Any) -> Iterator[Any]:
    """Yield the states of Optax's transformations that have fields, outer ones first."""
    if hasattr(state, "_fields"):
        yield state
        # Of inject_hyperparams: those of its schedules, and that of its transformation.
        state = (getattr(state, "hyperparams_states", ()), getattr(state, "inner_state", ()))
    if isinstance(state, Mapping):
        state = tuple(state.values())
    if isinstance(state, tuple) and not hasattr(state, "_fields"):
        for each in state:
            yield from _states(each)


def rate(optimizer: nnx.Optimizer[Any]) -> nnx.Variable[Any]:
    """Return the Variable of the learning rate."""
    variable: nnx.Variable[Any] = optimizer.opt_state.hyperparams["learning_rate"]
    return variable


def slot(optimizer: nnx.Optimizer[Any], name: str, path: Path) -> nnx.Variable[Any]:
    """Return the Variable of a slot for the parameter with a path in the model."""
    field = SLOTS[name]
    states = next(getattr(s, field) for s in optimizer.opt_state.inner_state if hasattr(s, field))
    variable: nnx.Variable[Any] = reduce(lambda part, key: part[key], path, states)
    return variable


def counts(optimizer: nnx.Optimizer[Any]) -> Iterator[nnx.Variable[Any]]:
    """Yield all Variables that count the steps."""
    yield optimizer.step
    for state in _states(optimizer.opt_state):
        if isinstance(getattr(state, "count", None), nnx.Variable):  # all tuples have a method
            yield state.count


def _pieces(rule: Rule) -> Iterator[optax.GradientTransformation]:
    """Yield what computes the direction in which weights go, to be scaled by the rate."""
    decay = optax.add_decayed_weights(
        rule.weight_decay, _kernels if rule.decay == "kernels" else None
    )
    if rule.weight_decay and rule.name != "adamw":
        yield decay
    match rule.name:
        case "adam" | "adamw":
            yield _scale_by_adam(rule.beta1, rule.beta2, rule.eps)
        case "rmsprop":
            yield optax.scale_by_rms(rule.alpha, rule.eps, 0.0, eps_in_sqrt=False)
    if rule.momentum and rule.name in ("sgd", "rmsprop"):
        yield optax.trace(rule.momentum, rule.nesterov)
    if rule.weight_decay and rule.name == "adamw":
        yield decay


def _kernels(parameters: Any) -> Any:
    """Tell which parameters are kernels; see :meth:`zoo.backend.training.Rule.decay_of`."""
    return jax.tree.map(lambda parameter: parameter.ndim >= 2, parameters)


def _scale_by_adam(beta1: float, beta2: float, eps: float) -> optax.GradientTransformation:
    """Return Optax's transformation of the same name, with exact corrections."""
    own = optax.scale_by_adam(beta1, beta2, eps)

    def update(gradients: Any, state: Any, parameters: Any = None) -> Any:
        count = optax.safe_increment(state.count)

        def keep(old: jax.Array, new: jax.Array, beta: float) -> jax.Array:
            return beta * old + (1 - beta) * new

        first = jax.tree.map(lambda m, g: keep(m, g, beta1), state.mu, gradients)
        second = jax.tree.map(lambda v, g: keep(v, g * g, beta2), state.nu, gradients)

        def direction(m: jax.Array, v: jax.Array) -> jax.Array:
            mean, square = m / _correction(beta1, count, m), v / _correction(beta2, count, v)
            return mean / (jnp.sqrt(square) + eps)

        directions = jax.tree.map(direction, first, second)
        return directions, optax.ScaleByAdamState(count=count, mu=first, nu=second)

    return optax.GradientTransformation(own.init, update)


def _correction(beta: float, count: jax.Array, like: jax.Array) -> jax.Array:
    """Return 1 - beta**count, in the dtype of a slot."""
    if not beta:
        return jnp.ones((), like.dtype)
    number = count.astype(jnp.promote_types(like.dtype, jnp.float32))
    return -jnp.expm1(number * math.log(beta)).astype(like.dtype)
