"""Losses, gradients and optimizers of Flax."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from zoo.backend.base import Array
from zoo.flax import observe, parameters

#: The training loss, a function of a model, what it returns, and labels.
TotalLoss = Callable[[nnx.Module, Any, Any], jax.Array]

#: model -> its structure in training, and the compiled function that differentiates it
_compiled: WeakKeyDictionary[nnx.Module, tuple[Any, Any]] = WeakKeyDictionary()


def cross_entropy(logits: jax.Array, labels: Any, weight: float = 1.0) -> jax.Array:
    """Return the mean cross-entropy of logits [N, classes] and class numbers [N], weighted."""
    shares, numbers = jax.nn.log_softmax(logits), jnp.asarray(labels)[:, None]
    mean = -weight * jnp.take_along_axis(shares, numbers, axis=-1).mean()
    return jnp.where((numbers >= 0).all(), mean, jnp.nan)  # which JAX counts from the end


def gradients(
    model: nnx.Module, x: Array, labels: Array, loss: TotalLoss
) -> tuple[float, dict[str, Array], Array]:
    """Differentiate a loss in training mode; running statistics are updated.

    Args:
        model: A model that zoo built; its mode is restored.
        x: [N, C, H, W].
        labels: Class numbers [N].
        loss: The training loss.

    Returns:
        The loss; canonical name -> gradient, in the canonical layout; and the input's gradient,
        [N, C, H, W].
    """
    training = nnx.merge(*nnx.split(model))  # the same Variables' values, and a mode of its own
    training.train()
    graphdef, weights, rest = nnx.split(training, nnx.Param, ...)
    if model not in _compiled or _compiled[model][0] != graphdef:
        _compiled[model] = graphdef, jax.jit(_differentiating(graphdef, loss))
    inputs = np.asarray(x, _dtype(model)), np.asarray(labels)
    (value, moved), (found, on_input) = _compiled[model][1](weights, rest, *inputs)
    nnx.update(model, moved)
    graded = parameters.tensors(nnx.merge(graphdef, found, rest))
    named = {
        name: tensor.to_canonical(parameters.to_numpy(tensor.handle))
        for name, tensor in graded.items()
        if isinstance(tensor.handle, nnx.Param)
    }
    return float(value), named, np.array(on_input)


def differentiate(
    model: nnx.Module, x: Array, loss: Callable[[Any], Any], dropouts: Iterable[str]
) -> tuple[float, dict[str, Array], Array, dict[str, Array]]:
    """Differentiate a loss; see :meth:`zoo.backend.base.Backend.differentiate`."""
    training = observe.copied(model)
    training.train()
    known = observe.named_modules(training)
    for name in dropouts:
        known[name].deterministic = True
    graphdef, weights, rest = nnx.split(training, nnx.Param, ...)

    def compute(weights: Any, x: jax.Array) -> Any:
        moving = nnx.merge(graphdef, weights, rest, copy=True)
        return loss(moving(x)), nnx.state(moving, nnx.BatchStat)

    graded = jax.value_and_grad(compute, (0, 1), has_aux=True)
    (value, moved), (found, on_input) = graded(weights, observe.to_input(model, x))
    after = {**observe.named(weights), **observe.named(moved)}
    return float(value), observe.named(found), np.asarray(on_input).transpose(0, 3, 1, 2), after


def optimizing(
    model: nnx.Module, rule: str, settings: Mapping[str, float], loss: TotalLoss
) -> Callable[[Array, Array], None]:
    """Return a step of Optax's optimizer; see :meth:`zoo.backend.base.Backend.optimizing`."""
    import optax  # here alone: it takes a while

    if rule == "SGD":
        decay = optax.add_decayed_weights(settings["weight_decay"])
        chosen = optax.chain(decay, optax.sgd(settings["lr"], settings["momentum"]))
    else:
        betas = settings["beta1"], settings["beta2"]
        chosen = optax.adam(settings["lr"], *betas, settings["eps"])
    optimizer = nnx.Optimizer(model, chosen, wrt=nnx.Param)
    model.train()

    @nnx.jit
    def step(model: nnx.Module, optimizer: Any, x: jax.Array, labels: jax.Array) -> None:
        def compute(model: nnx.Module) -> jax.Array:
            return loss(model, model(x.transpose(0, 2, 3, 1)), labels)

        optimizer.update(model, nnx.grad(compute)(model))

    dtype = _dtype(model)
    return lambda x, labels: step(model, optimizer, np.asarray(x, dtype), np.asarray(labels))


def _dtype(model: nnx.Module) -> Any:
    tensors = parameters.tensors(model).values()
    return next((tensor.handle[...].dtype for tensor in tensors), jnp.float32)


def _differentiating(graphdef: Any, loss: TotalLoss) -> Callable[..., Any]:
    """Return the loss, moved statistics and gradients as a function of a model's values."""

    def compute(weights: Any, x: jax.Array, rest: Any, labels: jax.Array) -> Any:
        model = nnx.merge(graphdef, weights, rest, copy=True)
        outputs = model(x.transpose(0, 2, 3, 1))
        return loss(model, outputs, labels), nnx.state(model, nnx.BatchStat)

    def differentiate(weights: Any, rest: Any, x: jax.Array, labels: jax.Array) -> Any:
        return jax.value_and_grad(compute, (0, 1), has_aux=True)(weights, x, rest, labels)

    return differentiate
