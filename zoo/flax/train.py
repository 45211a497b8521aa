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
from zoo.backend.parameters import Tensor
from zoo.flax import observe, parameters

#: The training loss: a function of a model, its outputs, and labels.
TotalLoss = Callable[[nnx.Module, Any, Any], jax.Array]

#: model -> its structure in training, and the compiled function that differentiates it
_compiled: WeakKeyDictionary[nnx.Module, tuple[Any, Any]] = WeakKeyDictionary()


def cross_entropy(
    logits: jax.Array, labels: Any, weight: float = 1.0, smoothing: float = 0.0
) -> jax.Array:
    """Return the mean cross-entropy; see :meth:`zoo.backend.base.Backend.cross_entropy`."""
    log_probabilities, numbers = jax.nn.log_softmax(logits), jnp.asarray(labels)[:, None]
    mean = jnp.take_along_axis(log_probabilities, numbers, axis=-1).mean()
    if smoothing:
        mean = (1 - smoothing) * mean + smoothing * log_probabilities.mean()
    # JAX would count negative numbers from the end.
    return jnp.where((numbers >= 0).all(), -weight * mean, jnp.nan)


def gradients(
    model: nnx.Module, x: Array, labels: Array, loss: TotalLoss, tensors: Mapping[str, Tensor]
) -> tuple[float, dict[str, Array], Array]:
    """Differentiate a loss in training mode; running statistics are updated.

    Args:
        model: A model that zoo built; its mode is restored.
        x: [N, C, H, W].
        labels: Class numbers [N].
        loss: The training loss.
        tensors: The model's parameters and running statistics by canonical name.

    Returns:
        The loss; canonical name -> gradient, in the canonical layout; and the input's gradient,
        [N, C, H, W].
    """
    training = nnx.merge(*nnx.split(model))  # shares the values, but not the mode
    training.train()
    graphdef, weights, rest = nnx.split(training, nnx.Param, ...)
    if model not in _compiled or _compiled[model][0] != graphdef:
        _compiled[model] = graphdef, jax.jit(_differentiating(graphdef, loss))
    inputs = np.asarray(x, parameters.dtype_of(model, jnp.float32)), np.asarray(labels)
    (value, updated), (grads, input_gradient) = _compiled[model][1](weights, rest, *inputs)
    nnx.update(model, updated)
    found = dict(nnx.to_flat_state(grads))
    by_name = {
        name: tensors[name].to_canonical(parameters.to_numpy(found[path]))
        for name, path in parameters.paths(model, tensors).items()
        if path in found
    }
    return float(value), by_name, np.array(input_gradient)


def differentiate(
    model: nnx.Module, x: Array, loss: Callable[[Any], Any], dropouts: Iterable[str]
) -> tuple[float, dict[str, Array], Array, dict[str, Array]]:
    """Differentiate a loss; see :meth:`zoo.backend.base.Backend.differentiate`."""
    training = observe.clone(model)
    training.train()
    modules = observe.named_modules(training)
    for name in dropouts:
        modules[name].deterministic = True
    graphdef, weights, rest = nnx.split(training, nnx.Param, ...)

    def compute(weights: Any, x: jax.Array) -> Any:
        copy = nnx.merge(graphdef, weights, rest, copy=True)
        return loss(copy(x)), nnx.state(copy, nnx.BatchStat)

    differentiate = jax.value_and_grad(compute, (0, 1), has_aux=True)
    inputs = observe.to_input(model, x)
    try:
        result = jax.jit(differentiate)(weights, inputs)
    except jax.errors.JAXTypeError:  # the model depends on values in Python, as in an if
        result = differentiate(weights, inputs)
    (value, updated), (grads, input_gradient) = result
    input_gradient = np.asarray(input_gradient).transpose(0, 3, 1, 2)
    values = {**observe.values_of(weights), **observe.values_of(updated)}
    return float(value), observe.values_of(grads), input_gradient, values


def optimizing(
    model: nnx.Module, rule: str, settings: Mapping[str, float], loss: TotalLoss
) -> Callable[[Array, Array], None]:
    """Return a step of Optax's optimizer; see :meth:`zoo.backend.base.Backend.optimizing`."""
    import optax  # slow to import

    if rule == "SGD":
        decay = optax.add_decayed_weights(settings["weight_decay"])
        transformation = optax.chain(decay, optax.sgd(settings["lr"], settings["momentum"]))
    else:
        betas = settings["beta1"], settings["beta2"]
        transformation = optax.adam(settings["lr"], *betas, settings["eps"])
    optimizer = nnx.Optimizer(model, transformation, wrt=nnx.Param)
    model.train()

    @nnx.jit
    def step(model: nnx.Module, optimizer: Any, x: jax.Array, labels: jax.Array) -> None:
        def compute(model: nnx.Module) -> jax.Array:
            return loss(model, model(x.transpose(0, 2, 3, 1)), labels)

        optimizer.update(model, nnx.grad(compute)(model))

    dtype = parameters.dtype_of(model, jnp.float32)
    return lambda x, labels: step(model, optimizer, np.asarray(x, dtype), np.asarray(labels))


def _differentiating(graphdef: Any, loss: TotalLoss) -> Callable[..., Any]:
    """Return a function that computes the loss, the updated statistics and the gradients."""

    def compute(weights: Any, x: jax.Array, rest: Any, labels: jax.Array) -> Any:
        model = nnx.merge(graphdef, weights, rest, copy=True)
        outputs = model(x.transpose(0, 2, 3, 1))
        return loss(model, outputs, labels), nnx.state(model, nnx.BatchStat)

    def differentiate(weights: Any, rest: Any, x: jax.Array, labels: jax.Array) -> Any:
        return jax.value_and_grad(compute, (0, 1), has_aux=True)(weights, x, rest, labels)

    return differentiate
