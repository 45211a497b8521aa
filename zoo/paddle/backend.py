"""The PaddlePaddle backend."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import zoo.paddle._loading  # isort: skip  # noqa: F401  before anything else imports paddle
import paddle
from paddle import nn

from zoo.backend.base import Array, Backend, Initial, Outputs
from zoo.backend.devices import ALONE, Group, Processes, Work
from zoo.backend.optimizers import Kept
from zoo.backend.parameters import Tensor
from zoo.backend.training import Plan, Rule
from zoo.backend.workloads import Workload
from zoo.graphs.graph import Graph
from zoo.paddle import (
    DESCRIPTION,
    _private,
    files,
    model,
    optimizers,
    parameters,
    run,
    train,
    workloads,
)
from zoo.paddle import devices as paddle_devices
from zoo.paddle.operations import OPERATIONS
from zoo.paddle.trainer import PaddleTrainer


class PaddleBackend(Backend):
    """Models are ``paddle.nn.Layer``."""

    description = DESCRIPTION
    operations = OPERATIONS
    CONVENTION = DESCRIPTION.convention
    MODEL = nn.Layer
    CASTING = "call model.to(dtype='{}')"
    COMPUTES = "forward"
    COMPILED_FROM = "dygraph_function"
    EQUIVALENTS: ClassVar = {"batch_norm": (nn.BatchNorm2D, nn.SyncBatchNorm)}
    SETTINGS = frozenset(
        "_approximate _axis _data_format _dilation _epsilon _groups _kernel_size "
        "_output_size _padding_algorithm _padding_mode _stride _updated_padding "
        "_use_global_stats alpha beta ceil_mode channels counted data_format divisor "
        "exclusive factor groups k ksize mode padding size start stop stride".split()
    )
    ALIKE: ClassVar = {
        "_padding_algorithm": ("EXPLICIT", "VALID"),
        "_use_global_stats": (None, True),
    }

    def construct(self, graph: Graph, draw: Initial | None, dtype: str, seed: int) -> nn.Layer:
        return model.build(graph, draw, dtype, seed)

    def expected_layers(self, graph: Graph) -> dict[str, nn.Layer]:
        layers = run.named_modules(model.build_without_values(graph, "float32"))
        return {node.name: layers[node.name] for node in graph.nodes}

    def has_value(self, handle: paddle.Tensor) -> bool:
        return _private.has_value(handle)

    def tensors(self, model: nn.Layer) -> dict[str, Tensor]:
        return parameters.tensors(model)

    def to_numpy(self, handle: paddle.Tensor) -> Array:
        return parameters.to_numpy(handle)

    def assign(self, handle: paddle.Tensor, array: Array) -> None:
        parameters.assign(handle, array)

    def count_parameters(self, model: nn.Layer) -> int:
        return sum(int(p.size) for p in model.parameters() if not p.stop_gradient)

    def observe(
        self, model: nn.Layer, x: Array, names: Iterable[str]
    ) -> tuple[Any, dict[str, list[Array]]]:
        return run.observe(model, x, names)

    def extractor(self, network: model.Network, nodes: Mapping[str, str]) -> model.Extractor:
        return model.Extractor(network, nodes)

    def forms(self, model: nn.Layer) -> dict[str, Callable[[Array], Outputs]]:
        return run.forms(model)

    def cross_entropy(
        self, logits: paddle.Tensor, labels: Any, weight: float = 1.0, smoothing: float = 0.0
    ) -> paddle.Tensor:
        return train.cross_entropy(logits, labels, weight, smoothing)

    def trainer(self, model: nn.Layer, plan: Plan, group: Group = ALONE) -> PaddleTrainer:
        return PaddleTrainer(self, model, plan, group)

    def group(self, devices: int | None = None) -> Group:
        return paddle_devices.group(devices)

    def processes(self, devices: int | None) -> int:
        return paddle_devices.processes(devices)

    def spawn(self, work: Work, arguments: tuple[Any, ...], count: int, folder: Path) -> Processes:
        return paddle_devices.spawn(work, arguments, count, folder)

    def workload(self, model: nn.Layer, work: str, mode: str, threads: int) -> Workload:
        return workloads.make(self, model, work, mode)

    def synchronize(self, model: nn.Layer) -> None:
        workloads.synchronize(model)

    def peak_memory(self) -> int | None:
        gpu = paddle.device.is_compiled_with_cuda()
        return paddle.device.cuda.max_memory_allocated() if gpu else None

    def place(self, model: nn.Layer, device: str) -> nn.Layer:
        return model.to("gpu") if device == "cuda" else model

    def frozen(self, model: nn.Layer) -> frozenset[str]:
        own = self.tensors(model)
        trainable = (p.name for p in self.known_graph(model).parameters if p.trainable)
        return frozenset(name for name in trainable if own[name].handle.stop_gradient)

    def optimizer(self, model: nn.Layer, rule: Rule) -> paddle.optimizer.Optimizer:
        return PaddleTrainer(self, model, Plan(rule, frozen=self.frozen(model))).optimizer

    def native_optimizer(
        self, model: nn.Layer, name: str, lr: float, settings: Mapping[str, Any]
    ) -> paddle.optimizer.Optimizer:
        own = self._parameters(model)
        trained = {n: handle for n, handle in own.items() if not handle.stop_gradient}
        return optimizers.native(trained, name, lr, settings)

    def kept(self, model: nn.Layer, optimizer: paddle.optimizer.Optimizer) -> Kept:
        return optimizers.kept(optimizer, self._parameters(model))

    def _parameters(self, model: nn.Layer) -> dict[str, paddle.Tensor]:
        own = self.filled_tensors(model)
        return {
            p.name: own[p.name].handle for p in self.known_graph(model).parameters if p.trainable
        }

    def differentiate(
        self, model: nn.Layer, x: Array, loss: Callable[[Any], Any], dropouts: Iterable[str]
    ) -> tuple[float, dict[str, Array], Array, dict[str, Array]]:
        return train.differentiate(model, x, loss, dropouts)

    def gradients(
        self, model: nn.Layer, x: Array, labels: Array
    ) -> tuple[float, dict[str, Array], Array]:
        return train.gradients(
            model, x, lambda outputs: self.total_loss(model, outputs, labels), self.tensors(model)
        )

    def optimizing(
        self, model: nn.Layer, rule: str, settings: Mapping[str, float]
    ) -> Callable[[Array, Array], None]:
        optimizer = train.optimizer(model, rule, settings)

        def step(x: Array, labels: Array) -> None:
            model.train()
            outputs = model(run.to_input(model, x))
            self.total_loss(model, outputs, labels).backward()
            optimizer.step()
            optimizer.clear_grad()

        return step

    def export(self, model: nn.Layer, path: str) -> None:
        files.export(model, path)

    def own_weights(self, model: nn.Layer) -> dict[str, Array]:
        return run.own_weights(model)

    def dtypes(self, model: nn.Layer) -> dict[str, str]:
        return run.dtypes(model)

    def named_modules(self, model: nn.Layer) -> dict[str, nn.Layer]:
        return run.named_modules(model)
