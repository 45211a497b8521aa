"""Trains a Keras model on TensorFlow, a batch at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial
from typing import Any, cast

import keras
import numpy as np
import tensorflow as tf

from zoo.backend.devices import ALONE, Group
from zoo.backend.outputs import mapped
from zoo.backend.training import Array, Part, Plan, Trainer
from zoo.errors import BackendError
from zoo.keras import _private, optimizers, parameters, run
from zoo.keras.devices import KerasGroup
from zoo.keras.optimizers import Written
from zoo.keras.parameters import layer_name


class KerasTrainer(Trainer):
    """Runs a step as one TensorFlow function, compiled by XLA if the plan says so.

    What its layers drop, which batch norms are frozen, and the precision are changed only while
    TensorFlow traces that function. So the model is as it was for everyone else.
    """

    model: keras.Model

    def __init__(self, backend: Any, model: keras.Model, plan: Plan, group: Group = ALONE) -> None:
        self._group = group if isinstance(group, KerasGroup) else None
        self._original = model
        if self._group is not None:
            model = _on_devices(self._group, backend, model, plan)
        super().__init__(backend, model, plan, group)
        self._dtype = model.inputs[0].dtype
        self._mixed = () if plan.precision == "full" else _in_mixed_precision(model)
        with nullcontext() if self._group is None else self._group.strategy.scope():
            self._make_variables()
        self._norms = [
            model.get_layer(layer_name(node.name))
            for node in backend.known_graph(model).nodes
            if node.op == "batch_norm" and node.name not in self.frozen_norms
        ]
        self._grouped = [] if tf.config.list_logical_devices("GPU") else _grouped(model)
        self._here = threading.local()  # a strategy traces the devices in threads
        self._whole = self._compiled(self._differentiate_and_update)
        self._part = self._compiled(self._gradients)
        self._rest = self._compiled(self._update)
        self._predict = self._compiled(self._predict_on_all)

    def _make_variables(self) -> None:
        model, plan = self.model, self.plan
        own = self.backend.tensors(model)
        self._trained = {name: own[name] for name in self.trained}
        self._places = {name: place for place, name in enumerate(self._trained)}
        rule = plan.optimized
        self.optimizer = (
            optimizers.native(rule.name, rule.lr, plan.settings)
            if plan.native
            else Written(rule, dtype=self._dtype)
        )
        self.optimizer.build([tensor.handle for tensor in self._trained.values()])
        self._values = own if plan.ema is not None else {}
        self.averages = {
            name: keras.Variable(
                parameters.to_numpy(t.handle), dtype=t.handle.dtype, trainable=False
            )
            for name, t in self._values.items()
        }

    def step(self, parts: Sequence[Part], lr: float, examples: int | None = None) -> tf.Tensor:
        scale = None if self.loss_scale is None else self._number(self.loss_scale.value)
        whole = examples or sum(len(part.labels) for part in parts)
        if len(parts) == 1:
            share = None if self._group is None else self._shares(parts[0], whole)
            loss, updated = self._whole(*self._given(parts[0]), scale, self._number(lr), share)
        else:
            loss, gradients = self._number(0.0), None
            for part in parts:
                share = self._shares(part, whole)
                more, found = self._part(*self._given(part), scale, share)
                loss += more
                gradients = list(map(tf.add, gradients, found)) if gradients else found
            updated = self._rest(loss, gradients, scale, self._number(lr))
        self.steps += bool(updated)
        if self.loss_scale is not None and tf.math.is_finite(loss):
            self.loss_scale.update(bool(updated))
        return loss

    def predict(self, x: Array) -> Any:
        if self._group is None:
            return super().predict(x)
        group, inputs = self._group, run.to_input(self.model, x)
        # A device without images would compute with none.
        full = np.concatenate([inputs, inputs[:1].repeat(max(0, group.local - len(x)), 0)])
        results = self._predict(group.divided(self._tensor, full))
        results = mapped(group.joined(results), lambda value: value[: len(x)])
        return run.to_outputs(self.model, results)

    def close(self) -> None:
        if self._group is not None:
            self.backend.set_weights(self._original, self.backend.get_weights(self.model))

    def slot(self, slot: str, name: str) -> keras.Variable:
        return cast(Written, self.optimizer).slots[slot][self._places[name]]

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

    def _shares(self, part: Part, examples: int) -> Any:
        """Return the share of a batch that a part is, or that each device has of it."""
        if self._group is None:
            return self._number(len(part.labels) / examples)
        return self._group.divided(lambda labels: self._number(len(labels) / examples), part.labels)

    def _given(self, part: Part) -> Any:
        if self._group is not None:
            x, masks = self._group.divided(self._tensor, (part.x, dict(part.masks)))
            return x, self._group.divided(tf.convert_to_tensor, part.labels), masks
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
        share: tf.Tensor | None,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        loss, gradients = self._gradients(x, labels, masks, scale, share)
        return loss, self._update(loss, gradients, scale, lr)

    def _differentiate(
        self,
        x: tf.Tensor,
        labels: tf.Tensor,
        masks: Mapping[str, tf.Tensor],
        scale: tf.Tensor | None,
        share: tf.Tensor | None,
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Return the loss of a device's part of a batch, and its gradients times the scale."""
        variables = [tensor.handle.value for tensor in self._trained.values()]
        # Nothing is computed for layers before the first that is trained.
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            self._here.masks = masks
            outputs = self.model(x, training=True)
            outputs = mapped(outputs, lambda output: tf.cast(output, self._dtype))
            smoothing = self.plan.label_smoothing
            loss = self.backend.total_loss(self.model, outputs, labels, smoothing)
            loss = loss if share is None else loss * share
            scaled = loss if scale is None else loss * scale
        return loss, tape.gradient(
            scaled, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )

    def _gradients(
        self, x: Any, labels: Any, masks: Any, scale: tf.Tensor | None, share: Any = None
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Return the loss of a part of a batch, on all devices, and its gradients."""
        given = x, labels, masks, scale, share
        with self._in_training():
            if self._group is None:
                return self._differentiate(*given)
            strategy = self._group.strategy
            found = strategy.run(self._differentiate, given)
        if not self.plan.sync_batch_norm:
            own = [v for layer in self._norms for v in layer.non_trainable_variables]
            weighted = strategy.run(lambda share: [v.value * share for v in own], (share,))
            whole = self._group.total(share)
            for variable, value in zip(own, self._group.total(weighted), strict=True):
                variable.assign(value / whole)
        total: tuple[tf.Tensor, list[tf.Tensor]] = self._group.total(found)
        return total

    def _predict_on_all(self, x: Any) -> Any:
        assert self._group is not None
        return self._group.strategy.run(lambda x: self.model(x, training=False), (x,))

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
        _if(updated, lambda: self.optimizer.apply(self._decayed(self._clipped(gradients), lr)))
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

    def _decayed(self, gradients: list[tf.Tensor], lr: tf.Tensor) -> list[tf.Tensor]:
        """Let weights decay apart from the optimizer, and return what it is to apply."""
        found = []
        for tensor, gradient in zip(self._trained.values(), gradients, strict=True):
            decay = self.plan.apart(tensor.handle)
            if decay and self.plan.decoupled:
                tensor.handle.assign(tensor.handle.value * (1 - lr * decay))
            elif decay:
                gradient = gradient + tensor.handle.value * decay
            found.append(gradient)
        return found

    def _average(self) -> None:
        kept = self.plan.ema or 0.0
        for name, average in self.averages.items():
            value = self._values[name].handle.value
            average.assign(average.value + (value - average.value) * (1 - kept))

    def _dropping(self, name: str) -> Callable[..., tf.Tensor]:
        """Return what a dropout does instead: it multiplies by a mask that is given."""

        def call(inputs: tf.Tensor, training: Any = None) -> tf.Tensor:
            mask = self._here.masks.get(name)
            return inputs if mask is None else inputs * tf.cast(mask, inputs.dtype)

        return call

    @contextmanager
    def _in_training(self) -> Iterator[None]:
        """Change the layers for a call, and change them back."""
        with ExitStack() as stack:
            for name in self.dropouts:
                layer = self.model.get_layer(layer_name(name))
                object.__setattr__(layer, "call", self._dropping(name))
                stack.callback(object.__delattr__, layer, "call")
            for layer in self._grouped:
                object.__setattr__(layer, "convolution_op", partial(_by_groups, layer))
                stack.callback(object.__delattr__, layer, "convolution_op")
            for name in self.frozen_norms:
                layer = self.model.get_layer(layer_name(name))
                # Undone in the reverse order: the layer's own sets those of its variables.
                for each in (*layer.variables, layer):
                    stack.callback(setattr, each, "trainable", each.trainable)
                layer.trainable = False
            for layer in self._norms if self._group and self.plan.sync_batch_norm else ():
                stack.callback(setattr, layer, "synchronized", layer.synchronized)
                layer.synchronized = True
            for layer in self._mixed:
                stack.callback(setattr, layer, "dtype_policy", layer.dtype_policy)
                layer.dtype_policy = keras.DTypePolicy(f"mixed_{self.plan.precision}")
            yield


def _on_devices(group: KerasGroup, backend: Any, model: keras.Model, plan: Plan) -> keras.Model:
    """Build a copy of a model whose variables are on all devices of a group."""
    if plan.compile:
        raise BackendError(
            "zoo's keras backend does not compile a step of several devices by XLA; train without "
            "compiling"
        )
    weights = backend.get_weights(model)
    dtype = keras.backend.standardize_dtype(model.inputs[0].dtype)
    with group.strategy.scope():
        return backend.construct(
            backend.known_graph(model), lambda parameter: weights[parameter.name], dtype, 0
        )


def _if(condition: tf.Tensor, act: Callable[[], None]) -> None:
    """Change variables on a condition that TensorFlow computes."""

    def then() -> tf.Tensor:
        act()
        return condition

    tf.cond(condition, then, lambda: condition)


def _grouped(model: keras.Model) -> list[keras.Layer]:
    """Return the grouped convolutions of a model.

    On a CPU TensorFlow has none, so that Keras compiles them by XLA, which computes their gradients
    with plain loops.
    """
    return [e for e in model.layers if isinstance(e, keras.layers.Conv2D) and e.groups > 1]


def _by_groups(layer: keras.Layer, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Compute a grouped convolution as one for each group."""
    parts = zip(
        tf.split(inputs, layer.groups, axis=-1),
        tf.split(kernel, layer.groups, axis=-1),
        strict=True,
    )
    outputs = [
        keras.ops.conv(
            part,
            weights,
            strides=list(layer.strides),
            padding=layer.padding,
            dilation_rate=layer.dilation_rate,
            data_format=layer.data_format,
        )
        for part, weights in parts
    ]
    return tf.concat(outputs, axis=-1)


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
