"""The base class of backends: what a backend must implement, and what it inherits."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import numpy as np

from zoo.backend.description import Description
from zoo.backend.devices import ALONE, Group, Processes, Work
from zoo.backend.operations import Operations
from zoo.backend.optimizers import Kept
from zoo.backend.parameters import Tensor
from zoo.backend.training import Plan, Rule, Trainer
from zoo.backend.workloads import Predicting, Workload
from zoo.errors import BackendError, WeightsError
from zoo.files import replacing
from zoo.graphs.graph import Graph, own_graph
from zoo.graphs.layouts import channels_first
from zoo.graphs.nodes import Node, Parameter
from zoo.graphs.shapes import Shape
from zoo.ops import OPS
from zoo.ops.composite import opened
from zoo.weights.checking import DTYPES, cast, check_dtype

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]
Outputs = Array | dict[str, Array]
#: Returns a parameter's initial value in the canonical layout, as an array that the model may keep.
Initial = Callable[[Parameter], Array]


class Backend(ABC):
    """What zoo needs of a framework.

    A backend must implement :meth:`construct`; :meth:`tensors`, :meth:`to_numpy` and :meth:`assign`
    for weights; and :meth:`observe` to run a model. These are sufficient for ``zoo.build``,
    ``predict``, ``features``, ``get_weights`` and ``set_weights``. :meth:`differentiate` and
    :meth:`cross_entropy` add gradients and losses. The other methods can be overridden if the
    framework has a faster way or a feature of its own. A feature that a backend lacks raises an
    error that names it.
    """

    #: The backend's entry in the table of backends.
    description: ClassVar[Description]
    #: Whether the framework's maps are [N, H, W, C] and are flattened in HWC order.
    channels_last: ClassVar[bool] = False
    #: Operation -> function that builds the layer of a node; None if the backend needs no table.
    operations: ClassVar[Operations | None] = None
    #: Parameter names and layouts of the framework's layers; see ``parameters.convention``.
    CONVENTION: ClassVar[Mapping[str, Any]] = {}
    #: Base class of the framework's models, which tells them from its tensors and dtypes.
    MODEL: ClassVar[type] = object
    #: What to do with a model that zoo did not build.
    REBUILDING: ClassVar[str] = (
        "build it with zoo, and copy the weights over: zoo.set_weights(new, zoo.get_weights(old))"
    )
    #: What casts all weights of a model, with a place for the dtype.
    CASTING: ClassVar[str] = "build it in {}"
    #: Whether the framework itself casts class numbers to floating point before it calls a loss.
    casts_labels: ClassVar[bool] = False

    #: The method in which a layer computes, if an instance can have one of its own.
    COMPUTES: ClassVar[str] = ""
    #: The attribute of a compiled method that holds the method.
    COMPILED_FROM: ClassVar[str] = "__wrapped__"
    #: Operation -> other layers of the framework that compute the same in evaluation mode.
    EQUIVALENTS: ClassVar[Mapping[str, tuple[type, ...]]] = {}
    #: Attributes of layers that change what they compute in evaluation mode, besides their weights.
    SETTINGS: ClassVar[frozenset[str]] = frozenset()
    #: Setting -> values of it that mean the same in evaluation mode.
    ALIKE: ClassVar[Mapping[str, tuple[Any, ...]]] = {}

    # Required methods

    @abstractmethod
    def construct(self, graph: Graph, draw: Initial | None, dtype: str, seed: int) -> Any:
        """Build the framework's own model of a graph; see :meth:`build`.

        Args:
            graph: The network. Composites for which ``operations`` has no kernel are blocks in it.
                The model keeps it as ``zoo_graph``.
            draw: Returns each parameter's initial value, in ``dtype``; None for the framework's own
                initializers.
            dtype: ``float32``, ``float64``, ``float16`` or ``bfloat16``.
            seed: Random seed for the framework's own initializers and for dropout.
        """

    @abstractmethod
    def tensors(self, model: Any) -> Mapping[str, Tensor]:
        """Return every parameter and running statistic of a model by its canonical name."""

    @abstractmethod
    def to_numpy(self, handle: Any) -> Array:
        """Return a tensor's value as a NumPy array, bfloat16 with the dtype of ``ml_dtypes``."""

    @abstractmethod
    def assign(self, handle: Any, array: Array) -> None:
        """Set the value of a tensor, which keeps its shape, dtype and device."""

    @abstractmethod
    def observe(
        self, model: Any, x: Array, names: Iterable[str]
    ) -> tuple[Any, dict[str, list[Array]]]:
        """Run any model of the framework in evaluation mode, and record its modules' outputs.

        Args:
            model: It is not changed.
            x: [N, C, H, W], cast to the model's dtype.
            names: Paths of modules; unknown ones are ignored.

        Returns:
            The model's result, as NumPy arrays; and path -> the outputs of all calls, in the
            framework's layout, for modules that ran. Paths of the same module share one list.
        """

    # Inherited methods

    def graph_of(self, model: Any) -> Graph | None:
        """Return the graph that a model was built from; None if zoo did not build it."""
        return own_graph(model)

    def known_graph(self, model: Any) -> Graph:
        """Return the graph that a model was built from.

        Raises:
            BackendError: zoo did not build it, or saving and loading it lost the graph.
        """
        graph = self.graph_of(model)
        if graph is None:
            raise self.unknown(model)
        return graph

    def unknown(self, model: Any) -> BackendError:
        """Return the error for a model of the framework that zoo did not build."""
        return BackendError(
            f"this {type(model).__name__} does not know its graph: it was not built by zoo, or was "
            f"loaded by the framework's own loader; {self.REBUILDING}"
        )

    def build(self, graph: Graph, draw: Initial | None, dtype: str, seed: int = 0) -> Any:
        """Build the framework's own model of a graph, expanding composites without a kernel.

        Raises:
            BackendError: The backend does not have this network, or does not support the request.
        """
        if reason := self.description.lack_of(graph.name):
            raise BackendError(reason)
        kernels = OPS if self.operations is None else self.operations
        return self.construct(opened(graph, kernels), draw, dtype, seed)

    def build_beside(
        self, model: Any, graph: Graph, draw: Initial, dtype: str, seed: int = 0
    ) -> Any:
        """Build a model as :meth:`build` does, where another model is, such as on its device."""
        return self.build(graph, draw, dtype, seed)

    def held(self, model: Any) -> Any | None:
        """Return the model that a wrapper of the framework holds; None if it is no wrapper.

        The wrappers that the backend's description names never come here.
        """
        return None

    def computes(self, model: Any) -> bool:
        """Tell whether an object of the framework can be called, unlike its lists of models."""
        name = self.COMPUTES
        if not name or name in getattr(model, "__dict__", {}):
            return True
        return getattr(type(model), name, None) is not getattr(self.MODEL, name)

    def expected_layers(self, graph: Graph) -> Mapping[str, Any]:
        """Build the layers of a graph without values, by path, to compare a model's with.

        Empty if they cannot be compared.
        """
        return {}

    def has_value(self, handle: Any) -> bool:
        """Tell whether a tensor has a value, not only a shape."""
        return True

    def shapes(self, model: Any) -> dict[str, Shape]:
        """Return the canonical shape of every parameter and running statistic by name."""
        return {name: tensor.canonical_shape for name, tensor in self.tensors(model).items()}

    def filled_tensors(self, model: Any) -> Mapping[str, Tensor]:
        """Return what :meth:`tensors` does, after checking that every tensor has a value.

        Raises:
            BackendError: One has none.
            WeightsError: One has a value of a dtype that weights cannot have.
        """
        tensors = self.tensors(model)
        for name, tensor in tensors.items():
            if not self.has_value(tensor.handle):
                raise BackendError(
                    f"{name} has no value: its layer was made without memory, or has lost it; "
                    "build the model again, where layers have values"
                )
            if dtype := self.dtype(tensor.handle):
                check_dtype(name, dtype)
        return tensors

    def get_weights(self, model: Any, copy: bool = True) -> dict[str, Array]:
        """Return every parameter and running statistic, in the canonical layout.

        Args:
            model: A model.
            copy: Whether the arrays must be copies, even if a tensor could share its memory.
        """
        return {
            name: tensor.to_canonical(self.to_numpy(tensor.handle), copy)
            for name, tensor in self.filled_tensors(model).items()
        }

    def set_weights(self, model: Any, weights: Mapping[str, Array]) -> None:
        """Fill a model from canonical arrays whose names and shapes have been checked.

        Raises:
            WeightsError: Two arrays are for one tensor, which layers share, and differ.
        """
        tensors = self.filled_tensors(model)
        names: dict[Any, str] = {}
        for name, tensor in tensors.items():
            first = names.setdefault(self.memory(tensor.handle), name)
            if first != name and not _equal(weights[first], weights[name]):
                raise WeightsError(
                    f"{first} and {name} are one tensor in this model, and the arrays for them "
                    "differ; give the two layers tensors of their own first"
                )
            if (dtype := self.dtype(tensor.handle)) == "float16":
                cast(name, np.asarray(weights[name]), dtype)
        for name, tensor in tensors.items():
            self.assign(tensor.handle, tensor.to_native(np.asarray(weights[name])))

    def dtype(self, handle: Any) -> str:
        """Return the name of the dtype of a handle; empty if it has none."""
        return str(getattr(handle, "dtype", "")).rpartition(".")[2]  # of torch.float32

    def memory(self, handle: Any) -> Any:
        """Return what two handles have in common if they have their values in the same memory."""
        return id(handle)

    def count_parameters(self, model: Any) -> int:
        """Count the trainable values, in the framework's own way if it has one."""
        trainable = {p.name for p in self.known_graph(model).parameters if p.trainable}
        return sum(
            int(np.prod(tensor.shape))
            for name, tensor in self.tensors(model).items()
            if name in trainable
        )

    def predict(self, model: Any, x: Array) -> Outputs:
        """Run a model on x [N, C, H, W] in evaluation mode; its own mode is restored.

        Returns:
            Logits [N, classes], or a dict of them; bfloat16 as float32.
        """
        result: Outputs
        result, _ = self.observe(model, x, ())
        if not self.channels_last:
            return result
        nodes = self.known_graph(model).output_nodes
        if isinstance(result, Mapping):
            return {name: self._canonical(result[name], node) for name, node in nodes.items()}
        return self._canonical(result, next(iter(nodes.values())))

    def features(self, model: Any, x: Array, nodes: Sequence[Node]) -> dict[str, Array]:
        """Return the values of nodes of the model's graph, in the form of :meth:`predict`."""
        _, values = self.observe(model, x, [node.name for node in nodes])
        return {node.name: self._canonical(values[node.name][-1], node) for node in nodes}

    def _canonical(self, value: Array, node: Node) -> Array:
        return channels_first(value, node.layout) if self.channels_last else value

    def forms(self, model: Any) -> dict[str, Callable[[Array], Outputs]]:
        """Return the ways to run a model, eager and compiled, each a function like ``predict``."""
        return {"eager": lambda x: self.predict(model, x)}

    # Optional methods

    def extractor(self, network: Any, nodes: Mapping[str, str]) -> Any:
        """Return a model of the framework that computes nodes of a network; see ``zoo.extractor``.

        Args:
            network: A model that zoo built; the two share their weights.
            nodes: Name in the result -> path name of a node.
        """
        self.lacks("has no extractors")

    def cross_entropy(
        self, logits: Any, labels: Any, weight: float = 1.0, smoothing: float = 0.0
    ) -> Any:
        """Return the mean cross-entropy of logits [N, classes] and labels [N], weighted.

        With smoothing s, the target of an example is 1 - s for its class, and s / classes more for
        every class.
        """
        self.lacks("has no losses")

    def differentiate(
        self, model: Any, x: Array, loss: Callable[[Any], Any], dropouts: Iterable[str]
    ) -> tuple[float, dict[str, Array], Array, dict[str, Array]]:
        """Differentiate a loss of any model of the framework, in training mode.

        Args:
            model: It is not changed.
            x: [N, C, H, W].
            loss: A function of the model's result.
            dropouts: Paths of dropout modules to disable.

        Returns:
            The loss; name in the model -> gradient, in the framework's layout; the input's gradient
            [N, C, H, W]; and name in the model -> parameter or running statistic after the pass.
        """
        self.lacks("computes no gradients")

    def gradients(
        self, model: Any, x: Array, labels: Array
    ) -> tuple[float, dict[str, Array], Array]:
        """Differentiate the training loss of a model that zoo built.

        Args:
            model: Its running statistics are updated, as in training; its mode is restored.
            x: [N, C, H, W].
            labels: Class numbers [N].

        Returns:
            The loss; canonical name -> gradient, in the canonical layout; and the input's
            gradient, [N, C, H, W].
        """
        self.lacks("computes no gradients")

    def total_loss(self, model: Any, outputs: Any, labels: Any, smoothing: float = 0.0) -> Any:
        """Return the loss that a network is trained with, including weighted auxiliary heads."""
        return self.known_graph(model).total_loss(
            outputs, lambda logits, weight: self.cross_entropy(logits, labels, weight, smoothing)
        )

    def trainer(self, model: Any, plan: Plan, group: Group = ALONE) -> Trainer:
        """Return what trains a model that zoo built; see :mod:`zoo.backend.training`."""
        self.lacks("trains no models")

    def group(self, devices: int | None = None) -> Group:
        """Return the devices that models are trained on; see :mod:`zoo.backend.devices`.

        Args:
            devices: Their number; by default, those that the framework's launcher has started, or
                one.

        Raises:
            BackendError: There are not as many, or they need a process each.
        """
        if devices not in (None, 1):
            self.lacks("trains on one device")
        return ALONE

    def processes(self, devices: int | None) -> int:
        """Return how many processes must be started to train on a number of devices.

        It is 1 where this process can drive them all, or is itself one of those.
        """
        return 1

    def spawn(self, work: Work, arguments: tuple[Any, ...], count: int, folder: Path) -> Processes:
        """Start processes by the framework's own launcher, connected with each other.

        Args:
            work: A function of a module, which is called in each.
            arguments: Its arguments, which can be pickled.
            count: How many processes.
            folder: A folder for what they need to find each other.
        """
        self.lacks("starts no processes")

    def workload(self, model: Any, work: str, mode: str, threads: int) -> Workload:
        """Return work of a model that zoo built, for ``zoo bench`` to time.

        Args:
            model: The model, which is used for nothing else.
            work: ``forward``, ``gradients`` of the training loss, or ``train``, a step of training.
            mode: One of the description's.
            threads: How many threads it may use, where the framework did not learn that before.
        """
        if (work, mode) != ("forward", "eager"):
            self.lacks(f"has no {work} in mode {mode!r} to time")
        return Predicting(self, model)

    def synchronize(self, model: Any) -> None:  # noqa: B027  (most have nothing to wait for)
        """Wait until everything that was begun with a model is done."""

    def determine(self) -> None:  # noqa: B027  (some need no more than environment variables)
        """Ask for deterministic kernels in this process, for good.

        It has the environment variables of the description's ``determinism``.
        """

    def peak_memory(self) -> int | None:
        """Return the most bytes on a GPU so far, as the framework counts them; None if unknown."""
        return None

    def place(self, model: Any, device: str) -> Any:
        """Return a model on a device, ``cpu`` or ``cuda``, for ``zoo bench``."""
        if device != "cpu":
            self.lacks(f"does not move models to {device}")
        return model

    def frozen(self, model: Any) -> frozenset[str]:
        """Return the names of parameters that are not trained, by the framework's own switch."""
        return frozenset()

    def optimizer(self, model: Any, rule: Rule) -> Any:
        """Return an optimizer object of the framework that computes a rule of zoo's."""
        self.lacks("has no optimizers")

    def native_optimizer(
        self, model: Any, name: str, lr: float, settings: Mapping[str, Any]
    ) -> Any:
        """Return the framework's own optimizer of a name, as it is.

        Args:
            model: The model; what the framework does not train is left out.
            name: One of ``zoo.backend.training.RULES``.
            lr: Learning rate.
            settings: Setting of a rule -> value. The others have the framework's own defaults.

        Raises:
            InputError: The optimizer lacks a setting.
        """
        self.lacks("has no optimizers")

    def kept(self, model: Any, optimizer: Any) -> Kept:
        """Return what an optimizer of a model keeps from one step to the next.

        Raises:
            BackendError: That has no canonical form.
        """
        self.lacks("has no optimizers")

    def optimizing(
        self, model: Any, rule: str, settings: Mapping[str, float]
    ) -> Callable[[Array, Array], None]:
        """Return a step of the framework's own optimizer: a function of x [N, C, H, W] and labels.

        Args:
            model: The model to train.
            rule: ``SGD`` or ``Adam``.
            settings: ``lr``, and ``momentum`` and ``weight_decay``, or ``beta1``, ``beta2``,
                ``eps``.
        """
        self.lacks("has no optimizers")

    def export(self, model: Any, path: str) -> None:
        """Save a model's weights in the framework's own format."""
        self.lacks("has no file format of its own")

    def save(self, model: Any, path: str | os.PathLike[str]) -> None:
        """Write the file of :meth:`export`; an older one stays intact until it is complete.

        Raises:
            OSError, RuntimeError: The file cannot be written.
        """
        with replacing(path) as part:
            self.export(model, str(part))

    def own_weights(self, model: Any) -> dict[str, Array]:
        """Copy the parameters and statistics of any model, with its own names and layouts."""
        self.lacks("can only inspect models that zoo built")

    def dtypes(self, model: Any) -> dict[str, str]:
        """Return the dtype of every weight of any model by its own name, of floating-point ones."""
        own = self.own_weights(model).items()
        return {name: array.dtype.name for name, array in own if array.dtype.name in DTYPES}

    def named_modules(self, model: Any) -> dict[str, Any]:
        """Return every module of any model by its path."""
        self.lacks("can only inspect models that zoo built")

    def engine(self) -> str | None:
        """Return the name of the framework's compute engine, if it supports several."""
        return None

    def require_engine(self, name: str) -> None:
        """Check that the framework runs on an engine.

        Raises:
            BackendError: It runs on another engine.
        """
        if self.engine() != name:
            self.lacks(f"does not run on {name}")

    def lacks(self, limit: str) -> NoReturn:
        """Report that the backend cannot do something.

        Raises:
            BackendError: Always.
        """
        raise BackendError(f"zoo's {self.description.name} backend {limit}; use another backend")


def _equal(a: Any, b: Any) -> bool:
    return np.array_equal(a, b, equal_nan=np.asarray(a).dtype.kind == "f")
