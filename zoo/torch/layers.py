"""One function an operation: a node as a PyTorch layer, with its parameters not yet filled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from zoo.network import Node

#: What every layer with parameters is made with: ``device`` and ``dtype``.
Factory = dict[str, Any]


def conv(node: Node, factory: Factory) -> nn.Module:
    at = node.attributes
    top, bottom, left, right = at["padding"]
    symmetric = top == bottom and left == right
    layer = (nn.Conv2d if symmetric else PaddedConv2d)(
        at["in_channels"],
        at["out_channels"],
        at["kernel_size"],
        at["stride"],
        (top, left) if symmetric else 0,
        at["dilation"],
        at["groups"],
        at["bias"],
        **factory,
    )
    if isinstance(layer, PaddedConv2d):
        layer.edges = (left, right, top, bottom)
    return layer


def linear(node: Node, factory: Factory) -> nn.Module:
    at = node.attributes
    return nn.Linear(at["in_features"], at["out_features"], at["bias"], **factory)


def batch_norm(node: Node, factory: Factory) -> nn.Module:
    at = node.attributes
    layer = BatchNorm(at["num_features"], at["eps"], at["momentum"], **factory)
    if not at["scale"]:
        layer.register_parameter("weight", None)
    if not at["shift"]:
        layer.register_parameter("bias", None)
    return layer


def lrn(node: Node, factory: Factory) -> nn.Module:
    at = node.attributes
    return LocalResponseNorm(at["size"], at["alpha"], at["beta"], at["k"])


def relu(node: Node, factory: Factory) -> nn.Module:
    return nn.ReLU()


def dropout(node: Node, factory: Factory) -> nn.Module:
    return nn.Dropout(node.attributes["rate"])


def max_pool(node: Node, factory: Factory) -> nn.Module:
    at = node.attributes
    if at["symmetric"]:
        height, width, ceil_mode = at["symmetric"]
        return nn.MaxPool2d(at["kernel_size"], at["stride"], (height, width), ceil_mode=ceil_mode)
    return PaddedMaxPool2d(at["kernel_size"], at["stride"], at["padding"])


def avg_pool(node: Node, factory: Factory) -> nn.Module:
    at = node.attributes
    top, bottom, left, right = at["padding"]
    if at["counts"] is None and (top, left) == (bottom, right):
        return nn.AvgPool2d(at["kernel_size"], at["stride"], (top, left))
    return PaddedAvgPool2d(at["kernel_size"], at["stride"], at["padding"], at["counts"], factory)


def global_avg_pool(node: Node, factory: Factory) -> nn.Module:
    return nn.AdaptiveAvgPool2d(1)


def adaptive_avg_pool(node: Node, factory: Factory) -> nn.Module:
    return nn.AdaptiveAvgPool2d(node.attributes["output_size"])


def scale(node: Node, factory: Factory) -> nn.Module:
    return Scale(node.attributes["factor"])


def flatten(node: Node, factory: Factory) -> nn.Module:
    return nn.Flatten()


def concat(node: Node, factory: Factory) -> nn.Module:
    return Concat()


def add(node: Node, factory: Factory) -> nn.Module:
    return Add()


#: op name -> function
LAYERS: dict[str, Callable[[Node, Factory], nn.Module]] = {
    function.__name__: function
    for function in (
        conv,
        linear,
        batch_norm,
        lrn,
        relu,
        dropout,
        max_pool,
        avg_pool,
        global_avg_pool,
        adaptive_avg_pool,
        scale,
        flatten,
        concat,
        add,
    )
}


class PaddedConv2d(nn.Conv2d):
    """A convolution whose padding differs between its sides."""

    edges: tuple[int, int, int, int]  # left, right, top, bottom: the order of F.pad

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return super().forward(F.pad(input, self.edges))

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, edges={self.edges}"  # type: ignore[no-untyped-call]


class PaddedMaxPool2d(nn.MaxPool2d):
    """A max pool whose padding differs between its sides, or exceeds half the kernel."""

    def __init__(self, kernel_size: Any, stride: Any, padding: tuple[int, int, int, int]) -> None:
        super().__init__(kernel_size, stride)
        top, bottom, left, right = padding
        self.edges = (left, right, top, bottom)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return F.max_pool2d(
            F.pad(input, self.edges, value=-torch.inf), self.kernel_size, self.stride
        )

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, edges={self.edges}"


class PaddedAvgPool2d(nn.AvgPool2d):
    """An average pool with any padding, dividing each window by a count of its own."""

    scale: torch.Tensor | None

    def __init__(
        self,
        kernel_size: Any,
        stride: Any,
        padding: tuple[int, int, int, int],
        counts: tuple[tuple[int, ...], tuple[int, ...]] | None,
        factory: Factory,
    ) -> None:
        super().__init__(kernel_size, stride)
        top, bottom, left, right = padding
        self.edges = (left, right, top, bottom)
        scale = None
        if counts is not None:
            # Not on the factory's device, which may be meta: these are values, not weights to fill.
            rows, columns = (torch.tensor(c, dtype=factory["dtype"]) for c in counts)
            scale = kernel_size[0] * kernel_size[1] / torch.outer(rows, columns)
        self.register_buffer("scale", scale, persistent=False)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        mean = super().forward(F.pad(input, self.edges))
        return mean if self.scale is None else mean * self.scale

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, edges={self.edges}"


class BatchNorm(nn.BatchNorm2d):
    """Batch norm of maps or vectors whose running variance takes the biased batch variance."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        if not (self.training and self.track_running_stats):
            return super().forward(input)
        assert self.running_mean is not None and self.running_var is not None
        assert self.momentum is not None and self.num_batches_tracked is not None
        # Copies: autograd keeps what the kernel was given, so that may not be changed afterwards.
        mean, variance = self.running_mean.clone(), self.running_var.clone()
        out = F.batch_norm(
            input, mean, variance, self.weight, self.bias, True, self.momentum, self.eps
        )
        with torch.no_grad():
            # PyTorch added momentum * the unbiased variance, which is n / (n - 1) of the biased.
            added = variance - (1 - self.momentum) * self.running_var
            count = input.numel() // input.shape[1]
            self.running_mean.copy_(mean)
            self.running_var.copy_(variance - added / count)
            self.num_batches_tracked.add_(1)
        return out

    def _check_input_dim(self, input: torch.Tensor) -> None:
        if input.dim() not in (2, 4):
            raise ValueError(f"expected a batch of maps or vectors, got {input.dim()} dimensions")


class LocalResponseNorm(nn.LocalResponseNorm):
    """PyTorch's own, for every dtype: its three-dimensional average pool has no bfloat16."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        half, channels = self.size // 2, input.shape[1]
        squares = F.pad(input * input, (0, 0, 0, 0, half, half))
        total = squares[:, :channels]
        for i in range(1, self.size):
            total = total + squares[:, i : i + channels]
        return input * (self.k + self.alpha / self.size * total).pow(-self.beta)


class Scale(nn.Module):
    """Multiplies by a constant."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return input * self.factor

    def extra_repr(self) -> str:
        return f"{self.factor}"


class Concat(nn.Module):
    """Joins maps by channel."""

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        return torch.cat(inputs, 1)


class Add(nn.Module):
    """Adds its inputs."""

    def forward(self, first: torch.Tensor, *others: torch.Tensor) -> torch.Tensor:
        for other in others:
            first = first + other
        return first
