"""Work of PaddlePaddle that ``zoo bench`` times."""

from __future__ import annotations

import warnings
from typing import Any

import paddle
from paddle import nn

from zoo.backend.base import Array
from zoo.backend.training import Plan, Rule
from zoo.backend.workloads import Differentiated, Training, Workload
from zoo.paddle.run import to_input, to_numpy


def make(backend: Any, model: nn.Layer, work: str, mode: str) -> Workload:
    """Return work of a model; see :meth:`zoo.backend.base.Backend.workload`."""
    compiled = mode == "to_static"
    if work == "forward":
        return _Forward(backend, model, compiled)
    if work == "gradients":
        return _Gradients(backend, model, compiled)
    trainer = backend.trainer(model, Plan(Rule("sgd", 0.1, momentum=0.9)))
    return Training(backend, trainer, _facts(model, compiled) | {"training": True})


def synchronize(model: nn.Layer) -> None:
    """Wait for a GPU; on a CPU nothing is begun that is not done."""
    if next(iter(model.parameters())).place.is_gpu_place():
        paddle.device.synchronize()


class _Forward(Workload):
    def __init__(self, backend: Any, model: nn.Layer, compiled: bool) -> None:
        self.model, self.compiled = model, compiled
        model.eval()
        self.names = tuple(backend.known_graph(model).output_nodes)
        # A function, because to_static would change the model itself.
        self.call = paddle.jit.to_static(lambda x: model(x)) if compiled else model

    def place(self, x: Array, labels: Array) -> paddle.Tensor:
        return to_input(self.model, x)

    @paddle.no_grad()
    def run(self, given: paddle.Tensor) -> Any:
        return self.call(given)

    def wait(self, result: Any) -> None:
        synchronize(self.model)

    def read(self, result: Any) -> dict[str, Array]:
        outputs = result if isinstance(result, dict) else {self.names[0]: result}
        return {name: to_numpy(value) for name, value in outputs.items()}

    def facts(self) -> dict[str, Any]:
        return _facts(self.model, self.compiled)


class _Gradients(Differentiated):
    def __init__(self, backend: Any, model: nn.Layer, compiled: bool) -> None:
        self.model, self.compiled = model, compiled
        model.train()
        own = backend.tensors(model)
        self.tensors = {n: t for n, t in own.items() if not t.handle.stop_gradient}
        self.parameters = [tensor.handle for tensor in self.tensors.values()]

        def loss(x: paddle.Tensor, labels: paddle.Tensor) -> paddle.Tensor:
            return backend.total_loss(model, model(x), labels)

        self.loss = paddle.jit.to_static(loss) if compiled else loss

    def place(self, x: Array, labels: Array) -> tuple[paddle.Tensor, paddle.Tensor]:
        placed = to_input(self.model, x)
        return placed, paddle.to_tensor(labels, place=placed.place)

    def run(self, given: tuple[paddle.Tensor, paddle.Tensor]) -> tuple[paddle.Tensor, Any]:
        with warnings.catch_warnings():  # batch norm's warning does not apply
            warnings.filterwarnings("ignore", "When training, we now always track")
            loss = self.loss(*given)
            return loss.detach(), paddle.grad(loss, self.parameters)

    def wait(self, result: Any) -> None:
        synchronize(self.model)

    def to_numpy(self, value: paddle.Tensor) -> Array:
        return to_numpy(value)

    def facts(self) -> dict[str, Any]:
        return _facts(self.model, self.compiled)


def _facts(model: nn.Layer, compiled: bool) -> dict[str, Any]:
    weight = next(iter(model.parameters()))
    return {
        "dtype": str(weight.dtype).removeprefix("paddle."),
        "training": any(layer.training for layer in model.sublayers(include_self=True)),
        "compiled": compiled,
        "given": "NCHW",
        "computed": "NCHW",
        "device": "cuda" if weight.place.is_gpu_place() else "cpu",
        "tf32": None if weight.place.is_gpu_place() else False,
        "threads": None,
    }
