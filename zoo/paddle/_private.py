"""Private parts of PaddlePaddle that zoo relies on; a test checks each of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import paddle
from paddle import nn
from paddle.jit.api import ProgramTranslator

from zoo.errors import BackendError


def children(layer: nn.Layer) -> dict[str, Any]:
    """Return a layer's sublayers by name, without the checks of ``named_children``."""
    return layer._sub_layers


def parameters(layer: nn.Layer) -> Iterator[tuple[str, paddle.Tensor]]:
    """Yield the parameters of a layer itself, with Paddle's names.

    Those of a batch norm include its running statistics, ``_mean`` and ``_variance``.
    """
    for name, value in layer._parameters.items():
        if value is not None:
            yield name, value


def hooks(layer: nn.Layer) -> Iterator[str]:
    """Yield the names of the classes of the hooks that run before a layer."""
    for hook in layer._forward_pre_hooks.values():
        yield type(hook).__name__


def require_dynamic() -> None:
    """Check that Paddle runs operations at once.

    Raises:
        BackendError: It is in static mode.
    """
    if not paddle.in_dynamic_mode():
        raise BackendError("Paddle is in static mode; call paddle.disable_static() first")


def has_value(tensor: paddle.Tensor) -> bool:
    """Tell whether a tensor has memory."""
    return bool(tensor._is_initialized())


@contextmanager
def dynamic() -> Iterator[None]:
    """Run a model that ``to_static`` compiled without compilation, layer by layer."""
    with _to_static(False):
        yield


def fill(layer: nn.Layer, name: str, value: paddle.Tensor) -> None:
    """Give a parameter the memory of a tensor."""
    value._share_underline_tensor_to(layer._parameters[name])


@contextmanager
def compiled() -> Iterator[None]:
    """Let ``to_static`` compile, even if the user has switched that off."""
    with _to_static(True):
        yield


@contextmanager
def _to_static(enable: bool) -> Iterator[None]:
    enabled = ProgramTranslator.get_instance().enable_to_static
    paddle.jit.enable_to_static(enable)
    try:
        yield
    finally:
        paddle.jit.enable_to_static(enabled)


def start_optimizer(optimizer: paddle.optimizer.Optimizer, trained: list[paddle.Tensor]) -> None:
    """Make what an optimizer keeps of its parameters, which it makes at the first step itself."""
    block = paddle.static.default_main_program().global_block()
    optimizer._create_accumulators(block, trained)


def kept(optimizer: paddle.optimizer.Optimizer, name: str) -> dict[str, paddle.Tensor]:
    """Return what an optimizer keeps under a name: name of a parameter -> tensor."""
    return optimizer._accumulators[name]


class BatchNorm(NamedTuple):
    """What a batch norm has besides its weight and bias; the momentum is that of the old value."""

    mean: paddle.Tensor
    variance: paddle.Tensor
    momentum: float
    epsilon: float


def batch_norm(layer: nn.Layer) -> BatchNorm:
    """Return the running statistics and the settings of a batch norm."""
    return BatchNorm(layer._mean, layer._variance, layer._momentum, layer._epsilon)


def updated(optimizer: paddle.optimizer.Optimizer) -> list[paddle.Tensor]:
    """Return the parameters that an optimizer updates."""
    groups = optimizer._parameter_list or []
    parameters = [p for g in groups for p in (g["params"] if isinstance(g, dict) else [g])]
    return [parameter for parameter in parameters if not parameter.stop_gradient]


def betas(optimizer: paddle.optimizer.Adam) -> tuple[float, float]:
    """Return how much of its moments Adam keeps."""
    return float(optimizer._beta1), float(optimizer._beta2)


def keeps_maxima(optimizer: paddle.optimizer.Adam) -> bool:
    """Tell whether Adam keeps the largest second moments, as AMSGrad does."""
    return bool(optimizer._amsgrad)


def name_outputs(path: Path, names: Sequence[str]) -> None:
    """Give the outputs of a saved program names, for which Paddle has no function."""
    program = json.loads(path.read_text())
    blocks = program["program"]["regions"][0]["blocks"]
    operations = (op for block in blocks for op in block["ops"] if op["#"] == "1.fetch")
    for operation, name in zip(operations, names, strict=True):
        (attribute,) = (each for each in operation["A"] if each["N"] == "name")
        attribute["AT"]["D"] = name
    path.write_text(json.dumps(program, separators=(",", ":")))
