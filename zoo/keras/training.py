"""Losses and gradients of Keras models, on whichever engine Keras runs."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from zoo.graphs.graph import graph_of
from zoo.keras.running import to_input
from zoo.keras.weights import canonical, entries

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]
Loss = Callable[[Any], Any]


def cross_entropy(logits: Any, labels: Any, weight: float = 1.0) -> Any:
    """Return the mean cross-entropy of logits [N, classes] and class numbers [N], weighted."""
    # Not Keras' own loss, which adds an epsilon on some engines.
    labels = keras.ops.cast(keras.ops.convert_to_tensor(labels), "int32")
    chosen = keras.ops.one_hot(labels, logits.shape[-1], dtype=logits.dtype)
    mean = keras.ops.mean(keras.ops.sum(chosen * keras.ops.log_softmax(logits), axis=-1))
    loss = mean * keras.ops.convert_to_tensor(-weight, dtype=logits.dtype)
    known = keras.ops.all((labels >= 0) & (labels < logits.shape[-1]))  # of others none is chosen
    return keras.ops.where(known, loss, keras.ops.convert_to_tensor(np.nan, dtype=logits.dtype))


def gradients(model: keras.Model, x: Array, labels: Array) -> tuple[float, dict[str, Array], Array]:
    """Differentiate the training loss, in training mode.

    Args:
        model: Its running statistics move on, as in training.
        x: [N, C, H, W].
        labels: Class numbers [N].

    Returns:
        The loss; canonical name -> gradient, in the canonical layout; and the input's, NCHW.
    """
    known = {n: e for n, e in entries(model).items() if e.variable.trainable}
    variables = [entry.variable for entry in known.values()]
    differentiate = ENGINES[keras.backend.backend()]
    inputs = to_input(model, x)
    value, on_input, found = differentiate(model, inputs, variables, _loss(model, labels))
    named = {
        name: canonical(entry, np.asarray(gradient))
        for (name, entry), gradient in zip(known.items(), found, strict=True)
    }
    return float(value), named, np.asarray(on_input).transpose(0, 3, 1, 2).copy()


def optimizing(model: keras.Model, rule: str, settings: dict[str, float]) -> Callable[..., None]:
    """Return a step of Keras' own optimizer: a function of x [N, C, H, W] and labels [N].

    Args:
        model: What it trains.
        rule: ``SGD`` or ``Adam``.
        settings: ``lr``, and ``momentum`` and ``weight_decay``, or ``beta1``, ``beta2``, ``eps``.
    """
    at = dict(settings)
    lr = at.pop("lr")
    if rule == "SGD":
        optimizer = keras.optimizers.SGD(lr, **at)
    else:
        betas = {"beta_1": at["beta1"], "beta_2": at["beta2"]}
        optimizer = keras.optimizers.Adam(lr, **betas, epsilon=at["eps"])
    variables = model.trainable_variables
    differentiate = ENGINES[keras.backend.backend()]

    def step(x: Array, labels: Array) -> None:
        _, _, found = differentiate(model, to_input(model, x), variables, _loss(model, labels))
        optimizer.apply(found, variables)

    return step


def _loss(model: keras.Model, labels: Array) -> Loss:
    return lambda outputs: graph_of(model).total_loss(
        outputs, lambda logits, weight: cross_entropy(logits, labels, weight)
    )


def _tensorflow(model: keras.Model, x: Array, variables: Sequence[Any], loss: Loss) -> Any:
    tf = importlib.import_module("tensorflow")
    tensor = tf.convert_to_tensor(x)
    with tf.GradientTape() as tape:
        tape.watch(tensor)
        value = loss(model(tensor, training=True))
    on_input, *found = tape.gradient(value, [tensor, *(v.value for v in variables)])
    return value, on_input, found


def _torch(model: keras.Model, x: Array, variables: Sequence[Any], loss: Loss) -> Any:
    torch = importlib.import_module("torch")
    tensor = torch.tensor(x, requires_grad=True)
    value = loss(model(tensor, training=True))
    found = torch.autograd.grad(
        value, [tensor, *(v.value for v in variables)], materialize_grads=True
    )
    on_input, *others = (each.cpu() for each in found)
    return value.detach(), on_input, others


def _jax(model: keras.Model, x: Array, variables: Sequence[Any], loss: Loss) -> Any:
    jax = importlib.import_module("jax")
    kept = [v for v in model.trainable_variables if not any(v is each for each in variables)]
    fixed = model.non_trainable_variables

    def compute(x: Any, values: Any) -> Any:
        held = dict(
            zip(map(id, [*variables, *kept]), [*values, *(v.value for v in kept)], strict=True)
        )
        outputs, moved = model.stateless_call(
            [held[id(v)] for v in model.trainable_variables],
            [v.value for v in fixed],
            x,
            training=True,
        )
        return loss(outputs), moved

    graded = jax.value_and_grad(compute, (0, 1), has_aux=True)
    (value, moved), (on_input, found) = graded(x, [v.value for v in variables])
    for variable, new in zip(fixed, moved, strict=True):
        variable.assign(new)
    return value, on_input, found


#: engine -> differentiates a loss of what a model returns, for its input and for variables
ENGINES: dict[str, Callable[..., Any]] = {"tensorflow": _tensorflow, "torch": _torch, "jax": _jax}
