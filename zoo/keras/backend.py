"""The Keras backend."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import keras

from zoo.backend.base import Array, Backend, Initial, Outputs
from zoo.backend.devices import ALONE, Group
from zoo.backend.optimizers import Kept
from zoo.backend.parameters import Tensor
from zoo.backend.training import Plan, Rule, Trainer
from zoo.backend.workloads import Workload
from zoo.errors import BackendError
from zoo.graphs.graph import Graph
from zoo.graphs.nodes import Node
from zoo.keras import DESCRIPTION, files, model, optimizers, parameters, run, train
from zoo.keras.operations import OPERATIONS
from zoo.keras.optimizers import Written


class KerasBackend(Backend):
    """Models are functional ``keras.Model``."""

    description = DESCRIPTION
    channels_last = True
    operations = OPERATIONS
    CONVENTION = DESCRIPTION.convention
    MODEL = keras.Layer
    casts_labels = True  # Model.fit
    COMPUTES = "call"
    SETTINGS = frozenset(
        "activation axis bias_axes center data_format depth_multiplier dilation_rate epsilon "
        "equation groups keepdims kernel_size max_value negative_slope padding pool_mode "
        "pool_size rms_scaling scale strides threshold use_bias".split()
    )

    def construct(self, graph: Graph, draw: Initial | None, dtype: str, seed: int) -> keras.Model:
        return model.build(graph, draw, dtype, seed)

    def unknown(self, model: keras.Layer) -> BackendError:
        return parameters.unnamed(model) or super().unknown(model)

    def held(self, model: keras.Layer) -> keras.Model | None:
        return run.held(model)

    def expected_layers(self, graph: Graph) -> dict[str, keras.Layer]:
        return {layer.name: layer for layer in model.layers(graph)}

    def tensors(self, model: keras.Model) -> dict[str, Tensor]:
        return parameters.tensors(model)

    def to_numpy(self, handle: keras.Variable) -> Array:
        return parameters.to_numpy(handle)

    def assign(self, handle: keras.Variable, array: Array) -> None:
        parameters.assign(handle, array)

    def count_parameters(self, model: keras.Model) -> int:
        return sum(math.prod(variable.shape) for variable in model.trainable_variables)

    def observe(
        self, model: keras.Model, x: Array, names: Iterable[str]
    ) -> tuple[Any, dict[str, list[Array]]]:
        return run.observe(model, x, names)

    def predict(self, model: keras.Model, x: Array) -> Outputs:
        return run.predict(model, x)

    def features(self, model: keras.Model, x: Array, nodes: Sequence[Node]) -> dict[str, Array]:
        return run.features(model, x, nodes)

    def extractor(self, network: keras.Model, nodes: Mapping[str, str]) -> keras.Model:
        return run.extractor(network, nodes)

    def forms(self, model: keras.Model) -> dict[str, Callable[[Array], Outputs]]:
        return run.forms(model)

    def cross_entropy(
        self, logits: Any, labels: Any, weight: float = 1.0, smoothing: float = 0.0
    ) -> Any:
        return train.cross_entropy(logits, labels, weight, smoothing)

    def trainer(self, model: keras.Model, plan: Plan, group: Group = ALONE) -> Trainer:
        self._require_tensorflow()
        from zoo.keras.trainer import KerasTrainer  # other engines need no TensorFlow

        return KerasTrainer(self, model, plan, group)

    def group(self, devices: int | None = None) -> Group:
        self._require_tensorflow()
        from zoo.keras import devices as keras_devices

        return keras_devices.group(devices)

    def _require_tensorflow(self) -> None:
        if self.engine() != "tensorflow":
            raise BackendError(
                f"zoo trains in Keras on TensorFlow, and Keras runs on {self.engine()} here: set "
                "the environment variable KERAS_BACKEND=tensorflow before the first import of "
                "keras, or train with Keras' own fit and zoo.optimizer"
            )

    def workload(self, model: keras.Model, work: str, mode: str, threads: int) -> Workload:
        self.require_engine("tensorflow")
        from zoo.keras import workloads  # other engines need no TensorFlow

        return workloads.make(self, model, work, mode)

    def synchronize(self, model: keras.Model) -> None:
        from zoo.keras import workloads

        workloads.synchronize()

    def determine(self) -> None:
        self.require_engine("tensorflow")
        tf = importlib.import_module("tensorflow")
        tf.config.experimental.enable_op_determinism()

    def peak_memory(self) -> int | None:
        from zoo.keras import workloads

        return workloads.peak_memory()

    def place(self, model: keras.Model, device: str) -> keras.Model:
        return model  # TensorFlow makes models on a GPU where it finds one

    def frozen(self, model: keras.Model) -> frozenset[str]:
        trained = {id(variable) for variable in model.trainable_variables}
        own = self.tensors(model)
        names = (p.name for p in self.known_graph(model).parameters if p.trainable)
        return frozenset(name for name in names if id(own[name].handle) not in trained)

    def optimizer(self, model: keras.Model, rule: Rule) -> Written:
        return Written(rule, dtype=model.inputs[0].dtype)

    def native_optimizer(
        self, model: keras.Model, name: str, lr: float, settings: Mapping[str, Any]
    ) -> keras.Optimizer:
        return optimizers.native(name, lr, settings)

    def kept(self, model: keras.Model, optimizer: keras.Optimizer) -> Kept:
        own = self.tensors(model)
        names = (p.name for p in self.known_graph(model).parameters if p.trainable)
        return optimizers.kept(optimizer, model, {name: own[name].handle for name in names})

    def differentiate(
        self, model: keras.Model, x: Array, loss: Callable[[Any], Any], dropouts: Iterable[str]
    ) -> tuple[float, dict[str, Array], Array, dict[str, Array]]:
        return train.differentiate(model, x, loss, dropouts)

    def gradients(
        self, model: keras.Model, x: Array, labels: Array
    ) -> tuple[float, dict[str, Array], Array]:
        return train.gradients(
            model, x, lambda outputs: self.total_loss(model, outputs, labels), self.tensors(model)
        )

    def optimizing(
        self, model: keras.Model, rule: str, settings: Mapping[str, float]
    ) -> Callable[[Array, Array], None]:
        step = train.optimizing(model, rule, settings)
        return lambda x, labels: step(x, lambda outputs: self.total_loss(model, outputs, labels))

    def export(self, model: keras.Model, path: str) -> None:
        files.export(model, path)

    def own_weights(self, model: keras.Model) -> dict[str, Array]:
        return run.own_weights(model)

    def named_modules(self, model: keras.Model) -> dict[str, keras.Layer]:
        return run.named_modules(model)

    def engine(self) -> str:
        return str(keras.backend.backend())

    def require_engine(self, name: str) -> None:
        if self.engine() != name:
            raise BackendError(
                f"Keras runs on {self.engine()} here: set the environment variable "
                f"KERAS_BACKEND={name} before the first import of keras, or build with "
                "backend='keras'"
            )
