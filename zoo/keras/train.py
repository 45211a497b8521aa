"""Losses, gradients and optimizers of Keras, on whichever engine it runs."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from zoo.backend.base import Array
from zoo.backend.parameters import Tensor
from zoo.keras.run import (
    any_input,
    named_modules,
    named_variables,
    own_weights,
    to_input,
    value_of,
)

Loss = Callable[[Any], Any]


def cross_entropy(logits: Any, labels: Any, weight: float = 1.0, smoothing: float = 0.0) -> Any:
    """Return the mean cross-entropy; see :meth:`zoo.backend.base.Backend.cross_entropy`."""
    # Not Keras' own loss, which adds an epsilon on some engines.
    given = keras.ops.convert_to_tensor(labels)
    labels = keras.ops.cast(given, "int32")
    target = keras.ops.one_hot(labels, logits.shape[-1], dtype=logits.dtype)
    if smoothing:
        target = target * (1 - smoothing) + smoothing / logits.shape[-1]
    mean = keras.ops.mean(keras.ops.sum(target * keras.ops.log_softmax(logits), axis=-1))
    loss = mean * keras.ops.convert_to_tensor(-weight, dtype=logits.dtype)
    # one_hot gives only zeros for a label out of range, and the cast cuts off fractions.
    whole = keras.ops.cast(labels, given.dtype) == given
    valid = keras.ops.all((labels >= 0) & (labels < logits.shape[-1]) & whole)
    return keras.ops.where(valid, loss, keras.ops.convert_to_tensor(np.nan, dtype=logits.dtype))


def gradients(
    model: keras.Model, x: Array, loss: Loss, tensors: Mapping[str, Tensor]
) -> tuple[float, dict[str, Array], Array]:
    """Differentiate a loss in training mode; running statistics are updated.

    Args:
        model: A model that zoo built.
        x: [N, C, H, W].
        loss: A function of what the model returns.
        tensors: Its parameters and running statistics by canonical name.

    Returns:
        The loss; canonical name -> gradient, in the canonical layout; and the input's gradient,
        [N, C, H, W].
    """
    trainable = {name: tensor for name, tensor in tensors.items() if tensor.handle.trainable}
    variables = [tensor.handle for tensor in trainable.values()]
    differentiate = ENGINES[keras.backend.backend()]
    value, input_gradient, grads = differentiate(model, to_input(model, x), variables, loss)
    by_name = {
        name: tensor.to_canonical(np.asarray(gradient))
        for (name, tensor), gradient in zip(trainable.items(), grads, strict=True)
    }
    return float(value), by_name, np.asarray(input_gradient).transpose(0, 3, 1, 2).copy()


def differentiate(
    model: keras.Model, x: Array, loss: Callable[[Any], Any], dropouts: Iterable[str]
) -> tuple[float, dict[str, Array], Array, dict[str, Array]]:
    """Differentiate a loss; see :meth:`zoo.backend.base.Backend.differentiate`."""
    trainable = {name: variable for name, variable in named_variables(model) if variable.trainable}
    variables = list(trainable.values())
    differentiate = ENGINES[keras.backend.backend()]
    inputs = any_input(model, x)
    layers, saved = named_modules(model), [(v, value_of(v.value)) for v in model.variables]
    dropout_layers = [layers[name] for name in dropouts if hasattr(layers[name], "rate")]
    rates = [layer.rate for layer in dropout_layers]
    try:
        for layer in dropout_layers:
            layer.rate = 0.0
        value, input_gradient, grads = differentiate(model, inputs, variables, loss)
        updated = own_weights(model)
    finally:
        for layer, rate in zip(dropout_layers, rates, strict=True):
            layer.rate = rate
        for variable, value_before in saved:
            variable.assign(value_before)
    input_gradient = np.zeros_like(inputs) if input_gradient is None else np.asarray(input_gradient)
    by_name = {
        name: value_of(0 * variable.value if gradient is None else gradient)
        for (name, variable), gradient in zip(trainable.items(), grads, strict=True)
    }
    return float(value), by_name, input_gradient.transpose(0, 3, 1, 2).copy(), updated


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
        _, _, grads = differentiate(model, to_input(model, x), variables, loss)
        optimizer.apply(grads, variables)

    return step


def _tensorflow(model: keras.Model, x: Array, variables: Sequence[Any], loss: Loss) -> Any:
    tf = importlib.import_module("tensorflow")
    tensor = tf.convert_to_tensor(x)
    with tf.GradientTape() as tape:
        tape.watch(tensor)
        value = loss(model(tensor, training=True))
    input_gradient, *grads = tape.gradient(value, [tensor, *(v.value for v in variables)])
    return value, input_gradient, grads


def _torch(model: keras.Model, x: Array, variables: Sequence[Any], loss: Loss) -> Any:
    torch = importlib.import_module("torch")
    tensor = torch.tensor(x, requires_grad=True)
    value = loss(model(tensor, training=True))
    grads = torch.autograd.grad(
        value, [tensor, *(v.value for v in variables)], materialize_grads=True
    )
    input_gradient, *parameter_grads = (grad.cpu() for grad in grads)
    return value.detach(), input_gradient, parameter_grads


def _jax(model: keras.Model, x: Array, variables: Sequence[Any], loss: Loss) -> Any:
    jax = importlib.import_module("jax")
    requested = set(map(id, variables))
    others = [v for v in model.trainable_variables if id(v) not in requested]
    fixed = model.non_trainable_variables

    def compute(x: Any, values: Any) -> Any:
        by_id = dict(
            zip(map(id, [*variables, *others]), [*values, *(v.value for v in others)], strict=True)
        )
        outputs, updated = model.stateless_call(
            [by_id[id(v)] for v in model.trainable_variables],
            [v.value for v in fixed],
            x,
            training=True,
        )
        return loss(outputs), updated

    differentiate = jax.value_and_grad(compute, (0, 1), has_aux=True)
    values = [v.value for v in variables]
    (value, updated), (input_gradient, grads) = differentiate(x, values)
    for variable, new in zip(fixed, updated, strict=True):
        variable.assign(new)
    return value, input_gradient, grads


#: engine -> function that differentiates a loss with respect to a model's input and variables
ENGINES: dict[str, Callable[..., Any]] = {"tensorflow": _tensorflow, "torch": _torch, "jax": _jax}
