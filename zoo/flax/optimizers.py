"""Optax's optimizers as ``nnx.Optimizer``, which compute the written rules of zoo.training.rules.

All pieces are Optax's own, except Adam's: in float32 Optax computes 1 - beta**n with an error of
1e-5 of it in the first steps.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import reduce
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from zoo.backend.training import Rule

#: Slot -> its name in the states of Optax's transformations.
SLOTS = {"momentum": "trace", "moment1": "mu", "moment2": "nu", "mean_square": "nu"}


def make(model: nnx.Module, rule: Rule, wrt: Any = nnx.Param) -> nnx.Optimizer[Any]:
    """Make an optimizer.

    Its learning rate is ``optimizer.opt_state.hyperparams["learning_rate"]``, a Variable in the
    dtype of the weights. It may change at each step without a compilation.

    Args:
        model: The model.
        rule: What it computes.
        wrt: The filter of Flax for the Variables that are trained.
    """

    def transform(learning_rate: Any) -> optax.GradientTransformation:
        return optax.chain(*_pieces(rule), optax.scale_by_learning_rate(learning_rate))

    # Other settings stay numbers of Python: 1 - beta would be inexact if beta had 32 bits.
    transformation = optax.inject_hyperparams(transform)(learning_rate=float(rule.lr))
    return nnx.Optimizer(model, transformation, wrt=wrt)


def rate(optimizer: nnx.Optimizer[Any]) -> nnx.Variable[Any]:
    """Return the Variable of the learning rate."""
    variable: nnx.Variable[Any] = optimizer.opt_state.hyperparams["learning_rate"]
    return variable


def slot(optimizer: nnx.Optimizer[Any], name: str, path: tuple[str, ...]) -> nnx.Variable[Any]:
    """Return the Variable of a slot for the parameter with a path in the model."""
    field = SLOTS[name]
    states = next(getattr(s, field) for s in optimizer.opt_state.inner_state if hasattr(s, field))
    variable: nnx.Variable[Any] = reduce(lambda part, key: part[key], path, states)
    return variable


def counts(optimizer: nnx.Optimizer[Any]) -> Iterator[nnx.Variable[Any]]:
    """Yield all Variables that count the steps."""
    yield optimizer.step
    for state in (optimizer.opt_state, *optimizer.opt_state.inner_state):
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
