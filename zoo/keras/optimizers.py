"""The written rules of ``zoo.training.rules`` as an optimizer of Keras.

None of Keras' own optimizers computes them. Adam adds epsilon before the correction of the bias,
which it computes in the dtype of the weights, and RMSprop adds it inside the root. SGD multiplies
the momentum by the learning rate of the time. Weight decay is always decoupled. In all of them, the
learning rate is a float32 variable.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import keras
from keras import ops
from keras.optimizers.schedules import LearningRateSchedule

from zoo.backend.optimizers import Kept, in_own_words, refuse
from zoo.backend.training import Rule
from zoo.keras import _private

_OF_ADAM = {"beta1": "beta_1", "beta2": "beta_2", "eps": "epsilon", "weight_decay": "weight_decay"}
_CLASSES = {
    "sgd": keras.optimizers.SGD,
    "adam": keras.optimizers.Adam,
    "adamw": keras.optimizers.AdamW,
    "rmsprop": keras.optimizers.RMSprop,
}
#: Name -> setting of a rule -> Keras' argument.
_WORDS = {
    "sgd": {each: each for each in ("momentum", "nesterov", "weight_decay")},
    "adam": _OF_ADAM,
    "adamw": _OF_ADAM,
    "rmsprop": {
        "alpha": "rho",
        "eps": "epsilon",
        "momentum": "momentum",
        "weight_decay": "weight_decay",
    },
}


def native(name: str, lr: float, settings: Mapping[str, Any]) -> keras.Optimizer:
    """Make Keras' own optimizer, with its own defaults for what is not set."""
    kind = _CLASSES[name]
    return kind(lr, **in_own_words(settings, _WORDS[name], "Keras", kind.__name__))


def kept(
    optimizer: keras.Optimizer, model: keras.Model, parameters: Mapping[str, keras.Variable]
) -> Kept:
    """Return what an optimizer keeps, which it has afterward even if it has made no step.

    Args:
        optimizer: Any optimizer.
        model: The model, for whose variables the optimizer is built if it is not yet.
        parameters: Canonical name -> variable, of the whole model.

    Raises:
        BackendError: It keeps what other frameworks do not, or variables of something else.
    """
    names = {id(variable): name for name, variable in parameters.items()}
    rule = optimizer.rule if isinstance(optimizer, Written) else _rule(optimizer)
    if not optimizer.built:
        optimizer.build(model.trainable_variables)
    updated = _private.updated(optimizer)
    if not {id(variable) for variable in updated} <= names.keys():
        raise refuse(optimizer, "it updates variables that are not the model's")
    slots = optimizer.slots if isinstance(optimizer, Written) else _private.kept(optimizer)
    handles = {
        f"{slot}/{names[id(variable)]}": value
        for slot in rule.slots
        for variable, value in zip(updated, slots[slot], strict=True)
    }
    if rule.name not in ("adam", "adamw"):
        return Kept(handles)
    return Kept(handles, int(optimizer.iterations), optimizer.iterations.assign)


def _rule(optimizer: keras.Optimizer) -> Rule:
    """Return a rule with the slots of one of Keras' own optimizers."""
    name = next((name for name, cls in _CLASSES.items() if type(optimizer) is cls), None)
    if name is None:
        raise refuse(optimizer, f"it is none of {', '.join(c.__name__ for c in _CLASSES.values())}")
    for option in ("amsgrad", "centered", "use_ema", "gradient_accumulation_steps"):
        if getattr(optimizer, option, None):
            raise refuse(optimizer, f"no other framework keeps what it does with {option}")
    momentum = getattr(optimizer, "momentum", 0)
    if name == "sgd" and momentum:
        raise refuse(optimizer, "its momentum contains the learning rate, unlike those of others")
    return Rule(name, 0.0, momentum=momentum)


class _Held(LearningRateSchedule):
    """A learning rate that an optimizer holds, in a dtype that Keras would not give it."""

    variable: keras.Variable

    def __call__(self, step: Any) -> keras.Variable:
        return self.variable

    def get_config(self) -> dict[str, Any]:
        return {}


@keras.saving.register_keras_serializable("zoo")
class Written(keras.optimizers.Optimizer):
    """An optimizer that computes a written rule, on every engine of Keras.

    It takes the options of all optimizers of Keras but ``weight_decay``, which the rule states. A
    schedule of Keras' computes in float32.

    Attributes:
        rule: The rule.
        dtype: The dtype of the learning rate, which is that of the weights.
        slots: Slot -> variables, in the order of the weights.

    Example:
        >>> import zoo
        >>> model = zoo.build("lenet5", "keras")
        >>> optimizer = zoo.optimizer(model, "sgd", 0.1, momentum=0.9)
        >>> model.compile(optimizer, loss=lambda labels, outputs: zoo.loss(model, outputs, labels))
        >>> round(float(optimizer.learning_rate), 6)
        0.1
    """

    def __init__(
        self,
        rule: Rule | Mapping[str, Any],
        learning_rate: float | LearningRateSchedule | None = None,
        dtype: str = "float32",
        **options: Any,
    ) -> None:
        """Make the optimizer.

        Args:
            rule: The rule, or its fields.
            learning_rate: Learning rate, or a schedule; by default, that of the rule.
            dtype: The dtype of the weights.
            **options: As for ``keras.optimizers.Optimizer``.
        """
        rule = rule if isinstance(rule, Rule) else Rule(**rule)
        rate = rule.lr if learning_rate is None else learning_rate
        options.pop("weight_decay", None)  # of a saved config, where it is None
        held = None if callable(rate) else _Held()
        super().__init__(held or rate, **{"name": rule.name, **options})
        self.rule, self.dtype = rule, dtype
        self.slots: dict[str, list[keras.Variable]] = {}
        self._held = held
        if held is not None:
            start = keras.initializers.Constant(float(rate))
            held.variable = self.add_variable((), start, dtype, name="learning_rate")

    @property
    def learning_rate(self) -> Any:
        """The learning rate of this step."""
        return super().learning_rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        if self._held is not None and not callable(value):
            self._held.variable.assign(value)
            return
        keras.optimizers.Optimizer.learning_rate.fset(self, value)
        self._held = None

    def build(self, variables: list[keras.Variable]) -> None:
        """Make the slots of variables, which are 0."""
        if self.built:
            return
        super().build(variables)
        self.slots = {
            slot: [self.add_variable_from_reference(v, name=slot) for v in variables]
            for slot in self.rule.slots
        }
        self._decays = [self.rule.decay_of(v) for v in variables]

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Update a variable."""
        rule, index = self.rule, self._get_variable_index(variable)
        rate = ops.cast(learning_rate, variable.dtype)
        gradient = ops.cast(gradient, variable.dtype)
        weight, decay = ops.convert_to_tensor(variable), self._decays[index]
        # Python's numbers take the dtype of the tensor; Keras' cast would round them to float32.
        if decay and rule.name == "adamw":
            kept = weight * (1 - rate * decay)
            self.assign(variable, kept - self._move(gradient, rate, index))
            return
        if decay:
            gradient = gradient + weight * decay
        self.assign_sub(variable, self._move(gradient, rate, index))

    def _move(self, g: Any, rate: Any, index: int) -> Any:
        """Return what a weight loses, and update its slots."""
        rule = self.rule
        match rule.name:
            case "sgd":
                if not rule.momentum:
                    return rate * g
                velocity = self._keep("momentum", index, rule.momentum, g)
                return rate * (g + velocity * rule.momentum if rule.nesterov else velocity)
            case "rmsprop":
                square = self._keep("mean_square", index, rule.alpha, g * g * (1 - rule.alpha))
                scaled = g / (ops.sqrt(square) + rule.eps)
                if rule.momentum:
                    scaled = self._keep("momentum", index, rule.momentum, scaled)
                return rate * scaled
            case _:
                first = self._keep("moment1", index, rule.beta1, g * (1 - rule.beta1))
                second = self._keep("moment2", index, rule.beta2, g * g * (1 - rule.beta2))
                step = ops.cast(self.iterations + 1, rate.dtype)
                root = ops.sqrt(second / _correction(rule.beta2, step)) + rule.eps
                return rate / _correction(rule.beta1, step) * (first / root)

    def _keep(self, slot: str, index: int, kept: float, new: Any) -> Any:
        """Keep a share of a slot, add something to it, and return its value."""
        variable = self.slots[slot][index]
        value = ops.convert_to_tensor(variable) * kept + new
        self.assign(variable, value)
        return value

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor, with the present learning rate."""
        config = super().get_config()
        del config["weight_decay"]
        rule = self.rule
        if self._held is not None:
            config["learning_rate"] = float(ops.convert_to_numpy(self._held.variable))
            rule = replace(rule, lr=config["learning_rate"])
        return {**config, "rule": asdict(rule), "dtype": self.dtype}


def _correction(beta: float, step: Any) -> Any:
    """Return 1 - beta ** step, without the loss of digits that the difference has in float32."""
    return -ops.expm1(step * (math.log(beta) if beta else -math.inf))
