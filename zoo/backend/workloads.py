"""Work of a model that ``zoo bench`` times, in three parts: what it is given, the work, its result.

Only the work is timed, and the wait until it is done. What a framework is given is put where and as
the framework has it before, and results are read afterwards.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from zoo.backend.parameters import Tensor
from zoo.backend.training import Part, Trainer

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]

#: What ``read`` calls the loss, beside the gradients, whose names are those of the parameters.
LOSS = "loss"
#: What can be timed.
WORKS = ("forward", "gradients", "train")


class Workload(ABC):
    """Work that a framework does again and again with one model."""

    @abstractmethod
    def place(self, x: Array, labels: Array) -> Any:
        """Return an input as :meth:`run` takes it; not timed.

        Args:
            x: float32 [N, C, H, W].
            labels: Class numbers, int64 [N].
        """

    @abstractmethod
    def run(self, given: Any) -> Any:
        """Do the work. It may return while the framework is still computing."""

    @abstractmethod
    def wait(self, result: Any) -> None:
        """Wait until all of a result is there."""

    @abstractmethod
    def read(self, result: Any) -> dict[str, Array]:
        """Return a result in the canonical layout; not timed.

        Returns:
            Of ``forward``, the outputs by name. Otherwise ``loss``, and the gradient of each
            parameter by its name.
        """

    def prove(self, given: Any, scale: float) -> dict[str, Array]:
        """Do the work once, and return its whole result, as :meth:`read` does.

        Args:
            given: What :meth:`place` returned.
            scale: The largest gradient that is expected.
        """
        result = self.run(given)
        self.wait(result)
        return self.read(result)

    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """Return how the work is done, as the framework itself reports it.

        Returns:
            ``dtype`` of the weights, whether the model is in ``training`` mode, whether the work is
            ``compiled``, the layouts of maps that are ``given`` and ``computed``, the ``device``,
            whether matrix products are in ``tf32``, and the number of ``threads``; None for what
            the framework does not report.
        """


class Predicting(Workload):
    """The forward pass of any backend, as ``zoo.predict`` runs it."""

    def __init__(self, backend: Any, model: Any) -> None:
        self.backend, self.model = backend, model
        graph = backend.known_graph(model)
        self.names = tuple(graph.output_nodes)

    def place(self, x: Array, labels: Array) -> Array:
        return x

    def run(self, given: Array) -> Any:
        return self.backend.predict(self.model, given)

    def wait(self, result: Any) -> None:
        """Return: the result is in NumPy arrays already."""

    def read(self, result: Any) -> dict[str, Array]:
        return dict(result) if isinstance(result, Mapping) else {self.names[0]: result}

    def facts(self) -> dict[str, Any]:
        layout = "NHWC" if self.backend.channels_last else "NCHW"
        dtypes = {a.dtype.name for a in self.backend.get_weights(self.model).values()}
        return {
            "dtype": next(iter(dtypes), None),
            "training": False,
            "compiled": False,
            "given": layout,
            "computed": layout,
            "device": "cpu",
            "tf32": None,
            "threads": None,
        }


class Differentiated(Workload):
    """What workloads of gradients have in common: how results are read.

    Attributes:
        tensors: Trainable parameters by canonical name, in the order of the results.
    """

    tensors: Mapping[str, Tensor]

    def read(self, result: tuple[Any, Iterable[Any]]) -> dict[str, Array]:
        """Read a pair of the loss and the gradients."""
        loss, gradients = result
        found = {LOSS: self.to_numpy(loss)}
        for (name, tensor), gradient in zip(self.tensors.items(), gradients, strict=True):
            found[name] = tensor.to_canonical(self.to_numpy(gradient))
        return found

    def to_numpy(self, value: Any) -> Array:
        """Return an array of the framework as one of NumPy."""
        return np.asarray(value)


class Training(Workload):
    """A step of a trainer: SGD with momentum, as ``zoo.train`` takes it.

    The batch comes from NumPy, in the framework's own layout, and is copied as part of the step.
    The gradients are read from what a step with a known learning rate changes.
    """

    LR = 1e-6  # of the timed steps; the weights stay nearly the same

    def __init__(self, backend: Any, trainer: Trainer, facts: Mapping[str, Any]) -> None:
        self.backend, self.trainer, self._facts = backend, trainer, facts
        self.weights = backend.get_weights(trainer.model)
        self.state = trainer.get_state()
        self.lr = self.LR

    def place(self, x: Array, labels: Array) -> Sequence[Part]:
        x = x.transpose(0, 2, 3, 1) if self.backend.channels_last else x
        return [Part(np.ascontiguousarray(x), labels, {})]

    def prove(self, given: Sequence[Part], scale: float) -> dict[str, Array]:
        """Take a step from the first weights, large enough to read gradients from what it changes.

        Afterwards the weights are the first ones again.
        """
        self.lr = 2.0 ** -round(math.log2(scale))
        try:
            self._begin()
            found = super().prove(given, scale)
            new = self.backend.get_weights(self.trainer.model)
            for name in self.trainer.trained:
                found[name] = (self.weights[name].astype(np.float64) - new[name]) / self.lr
        finally:
            self.lr = self.LR
            self._begin()
        return found

    def _begin(self) -> None:
        self.backend.set_weights(self.trainer.model, self.weights)
        self.trainer.set_state(self.state, 0)

    def run(self, given: Sequence[Part]) -> Any:
        return self.trainer.step(given, self.lr)

    def wait(self, result: Any) -> None:
        float(result)
        self.backend.synchronize(self.trainer.model)

    def read(self, result: Any) -> dict[str, Array]:
        return {LOSS: np.asarray(float(result))}

    def facts(self) -> dict[str, Any]:
        return dict(self._facts)
