"""Losses, gradients and optimizers of Keras, on whichever engine it runs."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from zoo.backend.base import Array
from zoo.keras import parameters
from zoo.keras.run import (
    any_input,
    named_modules,
    named_variables,
    own_weights,
    to_input,
    value_of,
)

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


def gradients(model: keras.Model, x: Array, loss: Loss) -> tuple[float, dict[str, Array], Array]:
    """Differentiate a loss in training mode; running statistics are updated.

    Args:
        model: A model that zoo built.
        x: [N, C, H, W].
        loss: A function of what the model returns.

    Returns:
        The loss; canonical name -> gradient, in the canonical layout; and the input's gradient,
        [N, C, H, W].
    """
    trained = {n: t for n, t in parameters.tensors(model).items() if t.handle.trainable}
    variables = [tensor.handle for tensor in trained.values()]
    differentiate = ENGINES[keras.backend.backend()]
    value, on_input, found = differentiate(model, to_input(model, x), variables, loss)
    named = {
        name: tensor.to_canonical(np.asarray(gradient))
        for (name, tensor), gradient in zip(trained.items(), found, strict=True)
    }
    return float(value), named, np.asarray(on_input).transpose(0, 3, 1, 2).copy()


def differentiate(
    model: keras.Model, x: Array, loss: Callable[[Any], Any], dropouts: Iterable[str]
) -> tuple[float, dict[str, Array], Array, dict[str, Array]]:
    """Differentiate a loss; see :meth:`zoo.backend.base.Backend.differentiate`."""
    known = {name: variable for name, variable in named_variables(model) if variable.trainable}
    variables = list(known.values())
    differentiate = ENGINES[keras.backend.backend()]
    inputs = any_input(model, x)
    layers, kept = named_modules(model), [(v, value_of(v.value)) for v in model.variables]
    rated = [layers[name] for name in dropouts if hasattr(layers[name], "rate")]
    rates = [layer.rate for layer in rated]
    try:
        for layer in rated:
            layer.rate = 0.0
        value, on_input, found = differentiate(model, inputs, variables, loss)
        after = own_weights(model)
    finally:
        for layer, rate in zip(rated, rates, strict=True):
            layer.rate = rate
        for variable, before in kept:
            variable.assign(before)
    on_input = np.zeros_like(inputs) if on_input is None else np.asarray(on_input)
    named = {
        name: value_of(0 * variable.value if gradient is None else gradient)
        for (name, variable), gradient in zip(known.items(), found, strict=True)
    }
    return float(value), named, on_input.transpose(0, 3, 1, 2).copy(), after


def optimizing(
    model: keras.Model, rule: str, settings: Mapping[str, float]
) -> Callable[[Array, Loss], None]:
    """Return a step of Keras' own optimizer: a function of x [N, C, H, W] and a loss."""
    lr = settings["lr"]
    if rule == "SGD":
        momentum, decay = settings["momentum"], settings["weight_decay"]
        optimizer = keras.optimizers.SGD(lr, momentum, weight_decay=decay)
    else:
        betas = {"beta_1": settings["beta1"], "beta_2": settings["beta2"]}
        optimizer = keras.optimizers.Adam(lr, **betas, epsilon=settings["eps"])
    variables = model.trainable_variables
    differentiate = ENGINES[keras.backend.backend()]

    def step(x: Array, loss: Loss) -> None:
        _, _, found = differentiate(model, to_input(model, x), variables, loss)
        optimizer.apply(found, variables)

    return step


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
