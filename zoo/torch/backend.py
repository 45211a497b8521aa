"""The PyTorch backend."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import nn

from zoo.backend.base import Array, Backend, Initial, Outputs
from zoo.backend.devices import ALONE, Group, Processes, Work
from zoo.backend.optimizers import Kept
from zoo.backend.parameters import Tensor
from zoo.backend.training import Plan, Rule
from zoo.backend.workloads import Workload
from zoo.graphs.graph import Graph
from zoo.torch import DESCRIPTION, files, model, optimizers, parameters, run, train, workloads
from zoo.torch import devices as torch_devices
from zoo.torch.operations import OPERATIONS
from zoo.torch.trainer import TorchTrainer


class TorchBackend(Backend):
    """Models are ``torch.nn.Module``."""

    description = DESCRIPTION
    operations = OPERATIONS
    CONVENTION = DESCRIPTION.convention
    MODEL = nn.Module
    CASTING = "call model.to(torch.{})"
    COMPUTES = "forward"
    EQUIVALENTS: ClassVar = {"batch_norm": (nn.BatchNorm2d, nn.SyncBatchNorm)}
    SETTINGS = frozenset(
        "alpha approximate beta ceil_mode count_include_pad counted dilation dim "
        "divisor_override edges eps factor groups is_map k kernel_size output_size padding "
        "padding_mode size start stop stride".split()
    )

    def construct(self, graph: Graph, draw: Initial | None, dtype: str, seed: int) -> nn.Module:
        return model.build(graph, draw, dtype, seed)

    def build_beside(
        self, model: nn.Module, graph: Graph, draw: Initial, dtype: str, seed: int = 0
    ) -> nn.Module:
        with torch.device("cpu"):  # whatever the default device is
            built: nn.Module = self.build(graph, draw, dtype, seed)
        values = next(model.parameters(), None)
        return built if values is None else built.to(values.device)

    def expected_layers(self, graph: Graph) -> dict[str, nn.Module]:
        modules = run.named_modules(model.build_without_values(graph, "float32"))
        return {node.name: modules[node.name] for node in graph.nodes}

    def has_value(self, handle: torch.Tensor) -> bool:
        return not handle.is_meta

    def tensors(self, model: nn.Module) -> dict[str, Tensor]:
        return parameters.tensors(model)

    def to_numpy(self, handle: torch.Tensor) -> Array:
        return parameters.to_numpy(handle)

    def assign(self, handle: torch.Tensor, array: Array) -> None:
        parameters.assign(handle, array)

    def count_parameters(self, model: nn.Module) -> int:
        return sum(p.numel() for p in model.parameters() if p.requires_grad)

    def observe(
        self, model: nn.Module, x: Array, names: Iterable[str]
    ) -> tuple[Any, dict[str, list[Array]]]:
        return run.observe(model, x, names)

    def extractor(self, network: model.Network, nodes: Mapping[str, str]) -> model.Extractor:
        return model.Extractor(network, nodes)

    def forms(self, model: nn.Module) -> dict[str, Callable[[Array], Outputs]]:
        return run.forms(model)

    def cross_entropy(
        self, logits: torch.Tensor, labels: Any, weight: float = 1.0, smoothing: float = 0.0
    ) -> torch.Tensor:
        return train.cross_entropy(logits, labels, weight, smoothing)

    def trainer(self, model: nn.Module, plan: Plan, group: Group = ALONE) -> TorchTrainer:
        return TorchTrainer(self, model, plan, group)

    def group(self, devices: int | None = None) -> Group:
        return torch_devices.group(devices)

    def processes(self, devices: int | None) -> int:
        return torch_devices.processes(devices)

    def spawn(self, work: Work, arguments: tuple[Any, ...], count: int, folder: Path) -> Processes:
        return torch_devices.spawn(work, arguments, count, folder)

    def workload(self, model: nn.Module, work: str, mode: str, threads: int) -> Workload:
        return workloads.make(self, model, work, mode)

    def synchronize(self, model: nn.Module) -> None:
        workloads.synchronize(next(model.parameters()).device)

    def determine(self) -> None:
        torch.use_deterministic_algorithms(True)

    def peak_memory(self) -> int | None:
        return torch.cuda.max_memory_allocated() if torch.cuda.is_available() else None

    def place(self, model: nn.Module, device: str) -> nn.Module:
        return model.to(device)

    def frozen(self, model: nn.Module) -> frozenset[str]:
        own = self._parameters(model)
        return frozenset(name for name, handle in own.items() if not handle.requires_grad)

    def optimizer(self, model: nn.Module, rule: Rule) -> torch.optim.Optimizer:
        return TorchTrainer(self, model, Plan(rule, frozen=self.frozen(model))).optimizer

    def native_optimizer(
        self, model: nn.Module, name: str, lr: float, settings: Mapping[str, Any]
    ) -> torch.optim.Optimizer:
        own = self._parameters(model)
        trained = {n: handle for n, handle in own.items() if handle.requires_grad}
        return optimizers.native(trained, name, lr, settings)

    def kept(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> Kept:
        return optimizers.kept(optimizer, self._parameters(model))

    def _parameters(self, model: nn.Module) -> dict[str, nn.Parameter]:
        handles = {name: tensor.handle for name, tensor in self.tensors(model).items()}
        return {name: each for name, each in handles.items() if isinstance(each, nn.Parameter)}

    def differentiate(
        self, model: nn.Module, x: Array, loss: Callable[[Any], Any], dropouts: Iterable[str]
    ) -> tuple[float, dict[str, Array], Array, dict[str, Array]]:
        return train.differentiate(model, x, loss, dropouts)

    def gradients(
        self, model: nn.Module, x: Array, labels: Array
    ) -> tuple[float, dict[str, Array], Array]:
        return train.gradients(
            model, x, lambda outputs: self.total_loss(model, outputs, labels), self.tensors(model)
        )

    def optimizing(
        self, model: nn.Module, rule: str, settings: Mapping[str, float]
    ) -> Callable[[Array, Array], None]:
        optimizer = train.optimizer(model, rule, settings)

        def step(x: Array, labels: Array) -> None:
            optimizer.zero_grad()
            outputs = model.train()(run.to_input(model, x))
            self.total_loss(model, outputs, labels).backward()
            optimizer.step()

        return step

    def export(self, model: nn.Module, path: str) -> None:
        files.export(model, path)

    def memory(self, handle: torch.Tensor) -> object:
        return parameters.memory(handle)

    def own_weights(self, model: nn.Module) -> dict[str, Array]:
        return run.own_weights(model)

    def dtypes(self, model: nn.Module) -> dict[str, str]:
        return run.dtypes(model)

    def named_modules(self, model: nn.Module) -> dict[str, nn.Module]:
        return run.named_modules(model)
