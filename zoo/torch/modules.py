"""Modules that PyTorch lacks, or whose PyTorch version behaves differently."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F


class PaddedConv2d(nn.Conv2d):
    """A convolution whose padding differs between its sides."""

    edges: tuple[int, int, int, int]  # left, right, top, bottom: the order of F.pad

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return super().forward(F.pad(input, self.edges))

    def extra_repr(self) -> str:
        settings: str = super().extra_repr()  # type: ignore[no-untyped-call]  # untyped in PyTorch
        return f"{settings}, edges={self.edges}"


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
    """An average pool with any padding, which divides each window by its own count."""

    scale: torch.Tensor | None

    def __init__(
        self,
        kernel_size: Any,
        stride: Any,
        padding: tuple[int, int, int, int],
        counts: tuple[tuple[int, ...], tuple[int, ...]] | None,
        factory: dict[str, Any],
    ) -> None:
        super().__init__(kernel_size, stride)
        top, bottom, left, right = padding
        self.edges = (left, right, top, bottom)
        scale = None
        if counts is not None:
            # Not on the factory's device, which may be meta: these are constants, not weights.
            rows, columns = (torch.tensor(c, dtype=factory["dtype"]) for c in counts)
            scale = kernel_size[0] * kernel_size[1] / torch.outer(rows, columns)
        self.register_buffer("scale", scale, persistent=False)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        mean = super().forward(F.pad(input, self.edges))
        return mean if self.scale is None else mean * self.scale

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, edges={self.edges}"


class BatchNorm(nn.BatchNorm2d):
    """Batch norm of maps or vectors that adds the biased batch variance to its running variance."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        if not (self.training and self.track_running_stats):
            return super().forward(input)
        assert self.running_mean is not None and self.running_var is not None
        assert self.momentum is not None and self.num_batches_tracked is not None
        # PyTorch adds momentum * the unbiased variance, which is n / (n - 1) of the biased one, so
        # the old value is scaled before and the sum after. This goes through .data: autograd saves
        # the buffer for the backward pass and would reject an in-place change.
        count = input.numel() // input.shape[1]
        correction = (count - 1) / count if count > 1 else 1.0  # PyTorch refuses a single value
        variance = self.running_var.data
        variance.div_(correction)
        try:
            return F.batch_norm(
                input,
                self.running_mean,
                self.running_var,
                self.weight,
                self.bias,
                True,
                self.momentum,
                self.eps,
            )
        finally:
            variance.mul_(correction)
            self.num_batches_tracked.add_(1)

    def _check_input_dim(self, input: torch.Tensor) -> None:
        if input.dim() not in (2, 4):
            raise ValueError(f"expected a batch of maps or vectors, got {input.dim()} dimensions")


class LocalResponseNorm(nn.LocalResponseNorm):
    """PyTorch's own for every dtype: its three-dimensional average pool lacks bfloat16."""

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
    """Concatenates along the channel axis."""

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        return torch.cat(inputs, 1)


class Add(nn.Module):
    """Adds its inputs."""

    def forward(self, first: torch.Tensor, *rest: torch.Tensor) -> torch.Tensor:
        total = first
        for value in rest:
            total = total + value
        return total


class Multiply(nn.Module):
    """Multiplies its inputs."""

    def forward(self, first: torch.Tensor, *rest: torch.Tensor) -> torch.Tensor:
        product = first
        for value in rest:
            product = product * value
        return product


class LayerNorm(nn.LayerNorm):
    """Layer norm of a vector's features, or of the channels at each position of a map."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        if input.dim() == 2:
            return super().forward(input)
        return super().forward(input.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Affine(nn.Module):
    """A weight and a bias for each channel."""

    bias: nn.Parameter | None

    def __init__(
        self, num_features: int, shift: bool, scale_init: float, factory: dict[str, Any]
    ) -> None:
        super().__init__()
        self.num_features = num_features
        self.weight = nn.Parameter(torch.full((num_features,), scale_init, **factory))
        bias = nn.Parameter(torch.zeros(num_features, **factory)) if shift else None
        self.register_parameter("bias", bias)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        shape = (-1, *(1,) * (input.dim() - 2))
        out = input * self.weight.view(shape)
        return out if self.bias is None else out + self.bias.view(shape)

    def extra_repr(self) -> str:
        return f"{self.num_features}, bias={self.bias is not None}"


class StochasticDepth(nn.Module):
    """Drops whole examples in training, and scales the rest."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        if not self.training or not self.rate:
            return input
        mask = input.new_empty((len(input), *(1,) * (input.dim() - 1)))
        return input * mask.bernoulli_(1 - self.rate).div_(1 - self.rate)

    def extra_repr(self) -> str:
        return f"{self.rate}"


class Slice(nn.Module):
    """Selects a range of channels."""

    def __init__(self, start: int, stop: int) -> None:
        super().__init__()
        self.start, self.stop = start, stop

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return input[:, self.start : self.stop]

    def extra_repr(self) -> str:
        return f"{self.start}, {self.stop}"


class Select(nn.Module):
    """Selects channels by index."""

    index: torch.Tensor

    def __init__(self, channels: tuple[int, ...]) -> None:
        super().__init__()
        self.register_buffer("index", torch.tensor(channels), persistent=False)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return input.index_select(1, self.index)

    def extra_repr(self) -> str:
        return f"{self.index.tolist()}"


class ChannelShuffle(nn.ChannelShuffle):
    """PyTorch's own, from plain operations that can be differentiated and compiled."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        batch, channels, height, width = input.shape
        split = input.view(batch, self.groups, channels // self.groups, height, width)
        return split.transpose(1, 2).reshape(batch, channels, height, width)


class PadChannels(nn.Module):
    """Adds channels of zeros before and after."""

    def __init__(self, padding: tuple[int, int]) -> None:
        super().__init__()
        self.padding = padding

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return F.pad(input, (0, 0, 0, 0, *self.padding))

    def extra_repr(self) -> str:
        return f"{self.padding}"
