"""Work of PyTorch that ``zoo bench`` times."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from zoo.backend.base import Array
from zoo.backend.training import Plan, Rule
from zoo.backend.workloads import Differentiated, Training, Workload
from zoo.torch.run import to_input, to_numpy


def make(backend: Any, model: nn.Module, work: str, mode: str) -> Workload:
    """Return work of a model; see :meth:`zoo.backend.base.Backend.workload`."""
    compiled = mode == "torch.compile"
    if work == "forward":
        return _Forward(backend, model, compiled)
    if work == "gradients":
        return _Gradients(backend, model, compiled)
    trainer = backend.trainer(model, Plan(Rule("sgd", 0.1, momentum=0.9), compile=compiled))
    facts = _facts(model, compiled) | {"training": True, "given": "NCHW", "computed": "NCHW"}
    return Training(backend, trainer, facts)


def synchronize(device: torch.device) -> None:
    """Wait for a GPU; on a CPU nothing is begun that is not done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


class _Forward(Workload):
    def __init__(self, backend: Any, model: nn.Module, compiled: bool) -> None:
        self.model, self.compiled = model.eval(), compiled
        self.names = tuple(backend.known_graph(model).output_nodes)
        self.device = next(model.parameters()).device
        # Without breaks: a part that runs eagerly would be called compiled.
        self.call = torch.compile(model, fullgraph=True) if compiled else model

    def place(self, x: Array, labels: Array) -> torch.Tensor:
        return to_input(self.model, x)

    @torch.inference_mode()
    def run(self, given: torch.Tensor) -> Any:
        return self.call(given)

    def wait(self, result: Any) -> None:
        synchronize(self.device)

    def read(self, result: Any) -> dict[str, Array]:
        outputs = result if isinstance(result, dict) else {self.names[0]: result}
        return {name: to_numpy(value) for name, value in outputs.items()}

    def facts(self) -> dict[str, Any]:
        return _facts(self.model, self.compiled)


class _Gradients(Differentiated):
    def __init__(self, backend: Any, model: nn.Module, compiled: bool) -> None:
        self.model, self.compiled = model.train(), compiled
        self.tensors = {n: t for n, t in backend.tensors(model).items() if t.handle.requires_grad}
        self.parameters = [tensor.handle for tensor in self.tensors.values()]
        self.device = self.parameters[0].device

        def loss(x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            value: torch.Tensor = backend.total_loss(model, model(x), labels)
            return value

        self.loss = torch.compile(loss, fullgraph=True) if compiled else loss

    def place(self, x: Array, labels: Array) -> tuple[torch.Tensor, torch.Tensor]:
        return to_input(self.model, x), torch.from_numpy(labels).to(self.device)

    def run(self, given: tuple[torch.Tensor, torch.Tensor]) -> tuple[torch.Tensor, Any]:
        loss = self.loss(*given)
        return loss.detach(), torch.autograd.grad(loss, self.parameters, materialize_grads=True)

    def wait(self, result: Any) -> None:
        synchronize(self.device)

    def to_numpy(self, value: torch.Tensor) -> Array:
        return to_numpy(value)

    def facts(self) -> dict[str, Any]:
        return _facts(self.model, self.compiled)


def _facts(model: nn.Module, compiled: bool) -> dict[str, Any]:
    weight = next(model.parameters())
    return {
        "dtype": str(weight.dtype).removeprefix("torch."),
        "training": any(module.training for module in model.modules()),
        "compiled": compiled,
        "given": "NHWC",
        "computed": "NHWC",
        "device": weight.device.type,
        "tf32": torch.backends.cuda.matmul.allow_tf32 if weight.is_cuda else False,
        "threads": torch.get_num_threads(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
    }
