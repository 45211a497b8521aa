"""The Flax backend."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

import jax
from flax import nnx

from zoo.backend.base import Array, Backend, Initial, Outputs
from zoo.backend.devices import ALONE, Group
from zoo.backend.optimizers import Kept
from zoo.backend.parameters import Tensor
from zoo.backend.training import Plan, Rule
from zoo.backend.workloads import Workload
from zoo.flax import (
    DESCRIPTION,
    files,
    model,
    modules,
    observe,
    optimizers,
    parameters,
    run,
    train,
    workloads,
)
from zoo.flax import devices as flax_devices
from zoo.flax.operations import OPERATIONS
from zoo.flax.trainer import FlaxTrainer
from zoo.graphs.graph import Graph
from zoo.graphs.nodes import Node


class FlaxBackend(Backend):
    """Models are ``flax.nnx.Module``."""

    description = DESCRIPTION
    channels_last = True
    operations = OPERATIONS
    CONVENTION = DESCRIPTION.convention
    MODEL = nnx.Module
    EQUIVALENTS: ClassVar = {"batch_norm": (nnx.BatchNorm, modules.HalfBatchNorm)}
    SETTINGS = frozenset(
        "alpha axis beta channels conv_general_dilated counted dot_general epsilon factor "
        "feature_axes feature_group_count groups input_dilation k kernel_dilation "
        "kernel_size mask name output_size padding preferred_element_type promote_dtype "
        "reduction_axes size start stop stride strides use_bias use_scale".split()
    )

    def construct(self, graph: Graph, draw: Initial | None, dtype: str, seed: int) -> nnx.Module:
        return model.build(graph, draw, dtype, seed)

    def computes(self, model: Any) -> bool:
        return callable(model) or not isinstance(model, nnx.Pytree)

    def expected_layers(self, graph: Graph) -> dict[str, Any]:
        layers = observe.named_modules(model.build_without_values(graph, "float32"))
        return {node.name: layers[node.name] for node in graph.nodes}

    def has_value(self, handle: nnx.Variable[Any]) -> bool:
        return parameters.has_value(handle)

    def tensors(self, model: nnx.Module) -> dict[str, Tensor]:
        return parameters.tensors(model)

    def to_numpy(self, handle: nnx.Variable[Any]) -> Array:
        return parameters.to_numpy(handle)

    def set_weights(self, model: nnx.Module, weights: Mapping[str, Array]) -> None:
        own = self.tensors(model).values()
        parameters.require_precision(tensor.handle.dtype for tensor in own)
        super().set_weights(model, weights)

    def assign(self, handle: nnx.Variable[Any], array: Array) -> None:
        parameters.assign(handle, array)

    def count_parameters(self, model: nnx.Module) -> int:
        return sum(value.size for value in jax.tree.leaves(nnx.state(model, nnx.Param)))

    def observe(
        self, model: nnx.Module, x: Array, names: Iterable[str]
    ) -> tuple[Any, dict[str, list[Array]]]:
        return observe.observe(model, x, names)

    def predict(self, model: nnx.Module, x: Array) -> Outputs:
        return run.predict(model, x)

    def features(self, model: nnx.Module, x: Array, nodes: Sequence[Node]) -> dict[str, Array]:
        return run.features(model, x, nodes)

    def extractor(self, network: model.Network, nodes: Mapping[str, str]) -> model.Extractor:
        return model.Extractor(network, nodes)

    def forms(self, model: nnx.Module) -> dict[str, Callable[[Array], Outputs]]:
        return run.forms(model)

    def cross_entropy(
        self, logits: jax.Array, labels: Any, weight: float = 1.0, smoothing: float = 0.0
    ) -> jax.Array:
        return train.cross_entropy(logits, labels, weight, smoothing)

    def trainer(self, model: nnx.Module, plan: Plan, group: Group = ALONE) -> FlaxTrainer:
        return FlaxTrainer(self, model, plan, group)

    def group(self, devices: int | None = None) -> Group:
        return flax_devices.group(devices)

    def workload(self, model: nnx.Module, work: str, mode: str, threads: int) -> Workload:
        return workloads.make(self, model, work, mode)

    def synchronize(self, model: nnx.Module) -> None:
        jax.block_until_ready(nnx.state(model))

    def peak_memory(self) -> int | None:
        statistics = jax.local_devices()[0].memory_stats()  # None on a CPU
        return statistics and statistics.get("peak_bytes_in_use")

    def place(self, model: nnx.Module, device: str) -> nnx.Module:
        return model  # JAX makes models on a GPU where it finds one

    def optimizer(self, model: nnx.Module, rule: Rule) -> nnx.Optimizer[Any]:
        self.tensors(model)  # so that a layer that was replaced is reported
        return optimizers.make(model, rule)

    def native_optimizer(
        self, model: nnx.Module, name: str, lr: float, settings: Mapping[str, Any]
    ) -> nnx.Optimizer[Any]:
        self.tensors(model)
        return optimizers.native(model, name, lr, settings)

    def kept(self, model: nnx.Module, optimizer: nnx.Optimizer[Any]) -> Kept:
        trainable = {p.name for p in self.known_graph(model).parameters if p.trainable}
        paths = parameters.paths(model, self.tensors(model))
        return optimizers.kept(optimizer, {n: p for n, p in paths.items() if n in trainable})

    def differentiate(
        self, model: nnx.Module, x: Array, loss: Callable[[Any], Any], dropouts: Iterable[str]
    ) -> tuple[float, dict[str, Array], Array, dict[str, Array]]:
        return train.differentiate(model, x, loss, dropouts)

    def gradients(
        self, model: nnx.Module, x: Array, labels: Array
    ) -> tuple[float, dict[str, Array], Array]:
        return train.gradients(model, x, labels, self.total_loss, self.tensors(model))

    def optimizing(
        self, model: nnx.Module, rule: str, settings: Mapping[str, float]
    ) -> Callable[[Array, Array], None]:
        return train.optimizing(model, rule, settings, self.total_loss)

    def export(self, model: nnx.Module, path: str) -> None:
        files.export(model, path)

    def own_weights(self, model: nnx.Module) -> dict[str, Array]:
        return observe.own_weights(model)

    def named_modules(self, model: nnx.Module) -> dict[str, Any]:
        return observe.named_modules(model)
