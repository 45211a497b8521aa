"""Trains a Keras model on TensorFlow, a batch at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, cast

import keras
import tensorflow as tf

from zoo.backend.outputs import mapped
from zoo.backend.training import Array, Part, Plan, Trainer
from zoo.keras import _private, parameters
from zoo.keras.optimizers import Written
from zoo.keras.parameters import layer_name


class KerasTrainer(Trainer):
    """Runs a step as one TensorFlow function, compiled by XLA if the plan says so.

    What its layers drop, which batch norms are frozen, and the precision are changed only while
    TensorFlow traces that function. So the model is as it was for everyone else.
    """

    model: keras.Model

    def __init__(self, backend: Any, model: keras.Model, plan: Plan) -> None:
        super().__init__(backend, model, plan)
        own = parameters.tensors(model)
        self._dtype = model.inputs[0].dtype
        self._trained = {name: own[name] for name in self.trained}
        self._places = {name: place for place, name in enumerate(self._trained)}
        self.optimizer = Written(plan.rule, dtype=self._dtype)
        self.optimizer.build([tensor.handle for tensor in self._trained.values()])
        self._values = own if plan.ema is not None else {}
        self.averages = {
            name: keras.Variable(
                parameters.to_numpy(t.handle), dtype=t.handle.dtype, trainable=False
            )
            for name, t in self._values.items()
        }
        self._mixed = () if plan.precision == "full" else _in_mixed_precision(model)
        self._whole = self._compiled(self._differentiate_and_update)
        self._part = self._compiled(self._differentiate)
        self._rest = self._compiled(self._update)

    def step(self, parts: Sequence[Part], lr: float) -> tf.Tensor:
        scale = None if self.loss_scale is None else self._number(self.loss_scale.value)
        if len(parts) == 1:
            loss, updated = self._whole(*self._given(parts[0]), scale, self._number(lr))
        else:
            examples = sum(len(part.labels) for part in parts)
            loss, gradients = self._number(0.0), None
            for part in parts:
                share = self._number(len(part.labels) / examples)
                more, found = self._part(*self._given(part), scale, share)
                loss += more
                gradients = list(map(tf.add, gradients, found)) if gradients else found
            updated = self._rest(loss, gradients, scale, self._number(lr))
        self.steps += bool(updated)
        if self.loss_scale is not None and tf.math.is_finite(loss):
            self.loss_scale.update(bool(updated))
        return loss

    def slot(self, slot: str, name: str) -> keras.Variable:
        return self.optimizer.slots[slot][self._places[name]]

    def set_state(self, arrays: Mapping[str, Array], steps: int) -> None:
        super().set_state(arrays, steps)
        self.optimizer.iterations.assign(steps)

    def _compiled(self, method: Callable[..., Any]) -> Callable[..., Any]:
        # TensorFlow warns of a method that it traces often, even if it is that of many trainers.
        # It does not know a partial function as the same.
        function = tf.function(
            partial(method), autograph=False, jit_compile=self.plan.compile or None
        )
        return cast(Callable[..., Any], function)

    def _number(self, value: float) -> tf.Tensor:
        return tf.constant(value, self._dtype)

    def _given(self, part: Part) -> tuple[tf.Tensor, tf.Tensor, dict[str, tf.Tensor]]:
        masks = {name: self._tensor(mask) for name, mask in part.masks.items()}
        return self._tensor(part.x), tf.convert_to_tensor(part.labels), masks

    def _tensor(self, array: Array) -> tf.Tensor:
        return tf.cast(tf.convert_to_tensor(array), self._dtype)

    def _differentiate_and_update(
        self,
        x: tf.Tensor,
        labels: tf.Tensor,
        masks: Mapping[str, tf.Tensor],
        scale: tf.Tensor | None,
        lr: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        loss, gradients = self._differentiate(x, labels, masks, scale)
        return loss, self._update(loss, gradients, scale, lr)

    def _differentiate(
        self,
        x: tf.Tensor,
        labels: tf.Tensor,
        masks: Mapping[str, tf.Tensor],
        scale: tf.Tensor | None,
        share: tf.Tensor | None = None,
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Return the loss of a part of a batch, and its gradients times the scale."""
        variables = [tensor.handle.value for tensor in self._trained.values()]
        # Nothing is computed for layers before the first that is trained.
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            with self._in_training(masks):
                outputs = self.model(x, training=True)
            outputs = mapped(outputs, lambda output: tf.cast(output, self._dtype))
            smoothing = self.plan.label_smoothing
            loss = self.backend.total_loss(self.model, outputs, labels, smoothing)
            loss = loss if share is None else loss * share
            scaled = loss if scale is None else loss * scale
        return loss, tape.gradient(
            scaled, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )

    def _update(
        self,
        loss: tf.Tensor,
        gradients: list[tf.Tensor],
        scale: tf.Tensor | None,
        lr: tf.Tensor,
    ) -> tf.Tensor:
        """Update weights and averages if the loss is finite, and return whether it did."""
        finite = updated = tf.math.is_finite(loss)
        if scale is not None:
            gradients = [gradient / scale for gradient in gradients]
            each = [tf.reduce_all(tf.math.is_finite(gradient)) for gradient in gradients]
            updated = tf.reduce_all([finite, *each])
        self.optimizer.learning_rate = lr
        _if(updated, lambda: self.optimizer.apply(self._clipped(gradients)))
        if self.plan.ema is not None:
            _if(finite, self._average)
        return updated

    def _clipped(self, gradients: list[tf.Tensor]) -> list[tf.Tensor]:
        if self.plan.clip_norm is None or not gradients:
            return gradients
        factor = tf.minimum(
            self._number(1.0), self.plan.clip_norm / tf.linalg.global_norm(gradients)
        )
        return [gradient * factor for gradient in gradients]

    def _average(self) -> None:
        kept = self.plan.ema or 0.0
        for name, average in self.averages.items():
            value = self._values[name].handle.value
            average.assign(average.value * kept + value * (1 - kept))

    @contextmanager
    def _in_training(self, masks: Mapping[str, tf.Tensor]) -> Iterator[None]:
        """Change the layers for a call, and change them back."""
        with ExitStack() as stack:
            for name in self.dropouts:
                layer = self.model.get_layer(layer_name(name))
                object.__setattr__(layer, "call", _dropping(masks.get(name)))
                stack.callback(object.__delattr__, layer, "call")
            for name in self.frozen_norms:
                layer = self.model.get_layer(layer_name(name))
                # Undone in the reverse order: the layer's own sets those of its variables.
                for each in (*layer.variables, layer):
                    stack.callback(setattr, each, "trainable", each.trainable)
                layer.trainable = False
            for layer in self._mixed:
                stack.callback(setattr, layer, "dtype_policy", layer.dtype_policy)
                layer.dtype_policy = keras.DTypePolicy(f"mixed_{self.plan.precision}")
            yield


def _if(condition: tf.Tensor, act: Callable[[], None]) -> None:
    """Change variables on a condition that TensorFlow computes."""

    def then() -> tf.Tensor:
        act()
        return condition

    tf.cond(condition, then, lambda: condition)


def _dropping(mask: tf.Tensor | None) -> Callable[..., tf.Tensor]:
    """Return what a dropout does instead: it multiplies by a mask that is given."""

    def call(inputs: tf.Tensor, training: Any = None) -> tf.Tensor:
        return inputs if mask is None else inputs * tf.cast(mask, inputs.dtype)

    return call


def _in_mixed_precision(model: keras.Model) -> tuple[keras.Layer, ...]:
    """Return the layers that may compute in less than full precision.

    Operations that are no layers have no policy: they compute in the precision of what they are
    given, and some have constants of the model's dtype. So what gives it to them keeps it.
    """
    operations = [each for each in model.operations if not isinstance(each, keras.Layer)]
    read = {
        id(tensor)
        for operation in operations
        for tensor in keras.tree.flatten(_private.input_of(operation))
    }
    return tuple(
        layer
        for layer in model.layers
        if not isinstance(layer, keras.layers.InputLayer)
        and id(_private.output_of(layer)) not in read
    )
