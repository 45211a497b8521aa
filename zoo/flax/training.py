"""Losses and gradients of Flax modules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from zoo.flax.weights import canonical, variables
from zoo.graphs.graph import Graph, graph_of

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]

#: model -> its structure in training, and the compiled function that differentiates it
_compiled: WeakKeyDictionary[nnx.Module, tuple[Any, Any]] = WeakKeyDictionary()


def cross_entropy(logits: jax.Array, labels: Any, weight: float = 1.0) -> jax.Array:
    """Return the mean cross-entropy of logits [N, classes] and class numbers [N], weighted."""
    shares, numbers = jax.nn.log_softmax(logits), jnp.asarray(labels)[:, None]
    mean = -weight * jnp.take_along_axis(shares, numbers, axis=-1).mean()
    return jnp.where((numbers >= 0).all(), mean, jnp.nan)  # which JAX counts from the end


def gradients(model: nnx.Module, x: Array, labels: Array) -> tuple[float, dict[str, Array], Array]:
    """Differentiate the training loss, in training mode.

    Args:
        model: Its running statistics move on, as in training; its mode is restored.
        x: [N, C, H, W].
        labels: Class numbers [N].

    Returns:
        The loss; canonical name -> gradient, in the canonical layout; and the input's, NCHW.
    """
    training = nnx.merge(*nnx.split(model))  # the same Variables' values, and a mode of its own
    training.train()
    graphdef, weights, rest = nnx.split(training, nnx.Param, ...)
    if model not in _compiled or _compiled[model][0] != graphdef:
        _compiled[model] = graphdef, jax.jit(_differentiating(graphdef, graph_of(model)))
    dtype = next((variable[...].dtype for _, _, variable in variables(model)), jnp.float32)
    inputs = np.asarray(x, dtype), np.asarray(labels)
    (value, moved), (found, on_input) = _compiled[model][1](weights, rest, *inputs)
    nnx.update(model, moved)
    graded = nnx.merge(graphdef, found, rest)
    named = {
        parameter.name: canonical(node, variable[...])
        for parameter, node, variable in variables(graded)
        if isinstance(variable, nnx.Param)
    }
    return float(value), named, np.array(on_input)


def optimizing(model: nnx.Module, rule: str, settings: dict[str, float]) -> Callable[..., None]:
    """Return a step of Optax's optimizer: a function of x [N, C, H, W] and labels [N].

    Args:
        model: What it trains; it is left in training mode.
        rule: ``SGD`` or ``Adam``.
        settings: ``lr``, and ``momentum`` and ``weight_decay``, or ``beta1``, ``beta2``, ``eps``.
    """
    import optax  # here alone: it takes a while

    at = dict(settings)
    if rule == "SGD":
        decay = optax.add_decayed_weights(at["weight_decay"])
        chosen = optax.chain(decay, optax.sgd(at["lr"], at["momentum"]))
    else:
        chosen = optax.adam(at["lr"], at["beta1"], at["beta2"], at["eps"])
    optimizer = nnx.Optimizer(model, chosen, wrt=nnx.Param)
    graph = graph_of(model)
    model.train()

    @nnx.jit
    def step(model: nnx.Module, optimizer: Any, x: jax.Array, labels: jax.Array) -> None:
        def loss(model: nnx.Module) -> jax.Array:
            return graph.total_loss(
                model(x.transpose(0, 2, 3, 1)),
                lambda logits, weight: cross_entropy(logits, labels, weight),
            )

        optimizer.update(model, nnx.grad(loss)(model))

    dtype = next((variable[...].dtype for _, _, variable in variables(model)), jnp.float32)
    return lambda x, labels: step(model, optimizer, np.asarray(x, dtype), np.asarray(labels))


def _differentiating(graphdef: Any, graph: Graph) -> Callable[..., Any]:
    """Return the loss, moved statistics and gradients as a function of a model's values."""

    def compute(weights: Any, x: jax.Array, rest: Any, labels: jax.Array) -> Any:
        model = nnx.merge(graphdef, weights, rest, copy=True)
        outputs = model(x.transpose(0, 2, 3, 1))
        value = graph.total_loss(
            outputs, lambda logits, weight: cross_entropy(logits, labels, weight)
        )
        return value, nnx.state(model, nnx.BatchStat)

    def differentiate(weights: Any, rest: Any, x: jax.Array, labels: jax.Array) -> Any:
        return jax.value_and_grad(compute, (0, 1), has_aux=True)(weights, x, rest, labels)

    return differentiate
