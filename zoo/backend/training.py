"""What a backend is told to train a model, and what it must do.

Every framework trains by the same written rule (``zoo.training.rules`` states it in NumPy). A
backend carries it out with its framework's own optimizer where that computes the rule, and with a
subclass of it otherwise. All that a run consists of has a canonical name and layout, so that it can
go on in another framework: weights, running statistics, the slots of the optimizer such as
``momentum/conv1.weight``, and their moving averages such as ``ema/conv1.weight``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple

import numpy as np

from zoo.backend.devices import ALONE, Group
from zoo.backend.parameters import Tensor
from zoo.graphs.nodes import Parameter

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]

#: Rule -> the settings that it has, besides ``lr`` and ``weight_decay``.
RULES = {
    "sgd": ("momentum", "nesterov"),
    "adam": ("beta1", "beta2", "eps"),
    "adamw": ("beta1", "beta2", "eps"),
    "rmsprop": ("alpha", "eps", "momentum"),
}
#: What the names of moving averages begin with, in place of a slot.
EMA = "ema"


@dataclass(frozen=True)
class Rule:
    """How weights are updated from their gradients.

    Attributes:
        name: One of ``RULES``.
        lr: Learning rate.
        momentum: Of ``sgd`` and ``rmsprop``.
        nesterov: Whether the momentum of ``sgd`` is Nesterov's.
        beta1: How much of the mean of gradients is kept, in ``adam`` and ``adamw``.
        beta2: How much of the mean of their squares is kept.
        alpha: The same, in ``rmsprop``.
        eps: Added to the square root of that mean.
        weight_decay: Times the weight, it is added to the gradient; in ``adamw`` the weight is
            multiplied by 1 - lr weight_decay instead.
        decay: ``all``, or ``kernels`` if only the weights of convolutions and linear layers decay,
            but not biases and the parameters of normalizations.
    """

    name: str
    lr: float
    momentum: float = 0.0
    nesterov: bool = False
    beta1: float = 0.9
    beta2: float = 0.999
    alpha: float = 0.99
    eps: float = 1e-8
    weight_decay: float = 0.0
    decay: str = "all"

    @property
    def slots(self) -> tuple[str, ...]:
        """The values that are kept of each parameter from one step to the next.

        Example:
            >>> Rule("sgd", 0.1, momentum=0.9).slots, Rule("adam", 0.001).slots
            (('momentum',), ('moment1', 'moment2'))
        """
        match self.name:
            case "sgd":
                return ("momentum",) if self.momentum else ()
            case "rmsprop":
                return ("mean_square", "momentum") if self.momentum else ("mean_square",)
            case _:
                return ("moment1", "moment2")

    def decay_of(self, parameter: Parameter) -> float:
        """Return the weight decay of a parameter."""
        excluded = self.decay == "kernels" and len(parameter.shape) < 2
        return 0.0 if excluded else self.weight_decay


@dataclass(frozen=True)
class Plan:
    """How a model is trained.

    Attributes:
        rule: How its weights are updated.
        label_smoothing: See ``zoo.loss``.
        clip_norm: The largest norm of all gradients together; larger ones are scaled down to it.
        frozen: Canonical names of parameters that are kept as they are. A batch norm whose weight
            is among them uses its running statistics, and does not update them.
        ema: How much of the moving averages of weights and running statistics is kept in a step;
            None to have none.
        precision: ``full``, or ``bfloat16`` or ``float16``, in which most operations are computed
            by the framework's own means while weights stay as they are. In ``float16`` the loss is
            scaled; see :class:`LossScale`.
        compile: Whether the step is compiled, where the framework also works without.
        sync_batch_norm: Whether batch norms normalize by the statistics of the whole batch on
            several devices. Otherwise each device uses those of its own examples, and the running
            statistics are the mean over all devices.
        native: Whether the framework's own optimizer of the rule's name takes the place of the
            written rule, to study how they differ. It has the rule's settings but its decay.
        decoupled: How weights decay apart from the optimizer, which then has no decay: they are
            multiplied by 1 - lr weight_decay (True), or their product with the weight decay is
            added to the gradients (False). None if the optimizer does what the rule says.
    """

    rule: Rule
    label_smoothing: float = 0.0
    clip_norm: float | None = None
    frozen: frozenset[str] = frozenset()
    ema: float | None = None
    precision: str = "full"
    compile: bool = False
    sync_batch_norm: bool = True
    native: bool = False
    decoupled: bool | None = None

    @property
    def optimized(self) -> Rule:
        """The rule without what is done apart from the optimizer.

        Example:
            >>> Plan(Rule("sgd", 0.1, weight_decay=0.01), decoupled=True).optimized.weight_decay
            0.0
        """
        apart = self.native or self.decoupled is not None
        return replace(self.rule, weight_decay=0.0) if apart else self.rule

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of the framework's own optimizer, those that are off left out.

        Example:
            >>> Plan(Rule("sgd", 0.1, momentum=0.9), native=True).settings
            {'momentum': 0.9}
        """
        rule = self.rule
        given = {name: getattr(rule, name) for name in RULES[rule.name]}
        off = {name for name in ("momentum", "nesterov") if not given.get(name, True)}
        decay = {"weight_decay": 0.0} if rule.name == "adamw" else {}
        return {name: value for name, value in given.items() if name not in off} | decay

    def apart(self, parameter: Any) -> float:
        """Return the weight decay of a parameter apart from the optimizer."""
        return 0.0 if self.decoupled is None else self.rule.decay_of(parameter)


class Part(NamedTuple):
    """Some examples of a batch: those of this process.

    Attributes:
        x: Images in the framework's own layout, float32 [N, C, H, W] or [N, H, W, C].
        labels: Class numbers, int64 [N].
        masks: Name of a dropout node -> what its input is multiplied by, 0 or 1 / (1 - rate),
            in float64 and in the framework's own layout.
    """

    x: Array
    labels: Array
    masks: Mapping[str, Array]


@dataclass
class LossScale:
    """What a loss is multiplied by, so that gradients in float16 do not vanish.

    If a gradient overflows, the update is skipped, and the scale is halved. After ``PATIENCE``
    updates without that, it is doubled.

    Attributes:
        value: The scale.
        good: How many updates there were since it changed.

    Source: Micikevicius et al., Mixed Precision Training, https://arxiv.org/abs/1710.03740

    Example:
        >>> scale = LossScale()
        >>> scale.update(finite=False)
        >>> scale
        LossScale(value=32768.0, good=0)
    """

    value: float = 2.0**16
    good: int = 0

    #: How many good updates it takes to double the scale.
    PATIENCE: ClassVar[int] = 2000

    def update(self, finite: bool) -> None:
        """Count an update, of which all gradients were finite or not."""
        if not finite:
            self.value, self.good = max(self.value / 2, 1.0), 0
        elif self.good + 1 == self.PATIENCE:
            self.value, self.good = self.value * 2, 0
        else:
            self.good += 1


class Trainer(ABC):
    """Updates the weights of a model, a batch at a time, by its framework's own fast way.

    It computes in the model's own dtype. A backend makes one with
    :meth:`zoo.backend.base.Backend.trainer`.

    Attributes:
        backend: The backend.
        model: The model, which is in training mode while it is trained. It may be a copy of the
            one that was passed; see :meth:`close`.
        plan: How it is trained.
        group: The devices that it is trained on.
        steps: How many updates have been made, on which the corrections of Adam depend. Those that
            ``loss_scale`` made it skip do not count.
        loss_scale: What the loss is scaled by in float16; None in other precisions.
        trained: The parameters that are updated, by canonical name, in the order of the graph.
        frozen_norms: Names of the batch norms that use their running statistics.
        dropouts: Names of the nodes that drop values.
        averages: Canonical name -> the framework's object for a moving average, which begins with
            the value of the weight; empty if the plan has none.
    """

    averages: Mapping[str, Any]

    def __init__(self, backend: Any, model: Any, plan: Plan, group: Group = ALONE) -> None:
        graph = backend.known_graph(model)
        self.backend, self.model, self.plan, self.steps = backend, model, plan, 0
        self.group = group
        self.loss_scale = LossScale() if plan.precision == "float16" else None
        self.trained = {
            p.name: p for p in graph.parameters if p.trainable and p.name not in plan.frozen
        }
        self.frozen_norms = tuple(
            node.name
            for node in graph.nodes
            if node.op == "batch_norm"
            and any(p.trainable and p.name in plan.frozen for p in node.parameters)
        )
        self.dropouts = tuple(n.name for n in graph.nodes if n.attributes.get("rate"))

    @abstractmethod
    def step(self, parts: Sequence[Part], lr: float, examples: int | None = None) -> Any:
        """Update the weights of the model once; not if the loss is not finite.

        Loss and gradients are the means over the examples of all processes.

        Args:
            parts: The batch, in parts whose gradients are added up, each weighted by its share of
                the examples.
            lr: The learning rate of this step.
            examples: How many there are in all processes; those of the parts, if not given.

        Returns:
            The loss before the update, not scaled: a scalar that ``float`` reads, while the
            framework may still be computing it. It is the same in all processes.
        """

    def predict(self, x: Array) -> Any:
        """Run the model on this process's x, as the backend's ``predict``, on all its devices."""
        return self.backend.predict(self.model, x)

    def close(self) -> None:  # noqa: B027  (most train the model itself)
        """Give the model that was passed what has been trained, if that is a copy of it."""

    @abstractmethod
    def slot(self, slot: str, name: str) -> Any:
        """Return the framework's object for what the optimizer keeps of a parameter.

        It is there before the first step, with the value 0.

        Args:
            slot: One of the rule's slots.
            name: The parameter's canonical name.
        """

    def state(self) -> Mapping[str, Tensor]:
        """Return slots and moving averages by name, such as ``momentum/conv1.weight``.

        What a native optimizer keeps has no canonical form, and is left out.
        """
        tensors = self.backend.tensors(self.model)
        slots = {
            f"{slot}/{name}": replace(tensors[name], handle=self.slot(slot, name))
            for slot in self.plan.rule.slots
            if not self.plan.native
            for name in self.trained
        }
        averages = {
            f"{EMA}/{name}": replace(tensors[name], handle=average)
            for name, average in self.averages.items()
        }
        return slots | averages

    def get_state(self, copy: bool = True) -> dict[str, Array]:
        """Return slots and moving averages, in the canonical layout.

        Args:
            copy: Whether the arrays must be copies, even if a tensor could share its memory.
        """
        return {
            name: tensor.to_canonical(self.backend.to_numpy(tensor.handle), copy)
            for name, tensor in self.state().items()
        }

    def set_state(self, arrays: Mapping[str, Array], steps: int) -> None:
        """Go on from what :meth:`get_state` returned after a number of steps.

        The model's weights are set apart from that, before.

        Args:
            arrays: Canonical arrays by name, whose names and shapes have been checked.
            steps: How many updates had been made.
        """
        self.steps = steps
        for name, tensor in self.state().items():
            self.backend.assign(tensor.handle, tensor.to_native(np.asarray(arrays[name])))
