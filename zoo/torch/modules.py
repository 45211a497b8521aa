"""Modules that PyTorch lacks, or whose PyTorch version behaves differently."""

from __future__ import annotations

from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional as F


class PaddedConv2d(nn.Conv2d):
    """A convolution whose padding differs between its sides."""

    def __init__(self, *arguments: Any, edges: tuple[int, ...], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.edges = edges  # left, right, top, bottom: the order of F.pad

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return super().forward(F.pad(input, self.edges))

    def extra_repr(self) -> str:
        settings: str = super().extra_repr()  # type: ignore[no-untyped-call]  # untyped in PyTorch
        return f"{settings}, edges={self.edges}"


class PaddedMaxPool2d(nn.MaxPool2d):
    """A max pool whose padding differs between its sides, or exceeds half the kernel."""

    def __init__(self, kernel_size: Any, stride: Any, padding: tuple[int, int, int, int]) -> None:
        super().__init__(kernel_size, stride)
        self.edges = _edges(padding)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return F.max_pool2d(
            F.pad(input, self.edges, value=-torch.inf), self.kernel_size, self.stride
        )

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, edges={self.edges}"


class PaddedAvgPool2d(nn.AvgPool2d):
    """An average pool with any padding: the mean of the values that count.

    Args:
        kernel_size: Height and width.
        stride: Down and right.
        padding: Top, bottom, left, right.
        counted: The part of the padding that counts; None for all of it.
    """

    def __init__(
        self,
        kernel_size: Any,
        stride: Any,
        padding: tuple[int, int, int, int],
        counted: tuple[int, int, int, int] | None,
    ) -> None:
        super().__init__(kernel_size, stride)
        self.edges = _edges(padding)
        self.counted = None if counted is None else _edges(counted)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        mean = super().forward(F.pad(input, self.edges))
        if self.counted is None:
            return mean
        ones = F.pad(torch.ones_like(input[:1, :1]), self.counted, value=1.0)
        edges = zip(self.edges, self.counted, strict=True)
        beyond = [edge - part for edge, part in edges]
        return mean / super().forward(F.pad(ones, beyond))

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, edges={self.edges}, counted={self.counted}"


def _edges(padding: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    """Return the padding in the order that ``F.pad`` takes."""
    top, bottom, left, right = padding
    return left, right, top, bottom


class BatchNorm(nn.BatchNorm2d):
    """Batch norm of maps or vectors that adds the biased batch variance to its running variance."""

    def __init__(
        self,
        num_features: int,
        eps: float,
        momentum: float,
        scale: bool = True,
        shift: bool = True,
        **factory: Any,
    ) -> None:
        super().__init__(num_features, eps, momentum, **factory)
        if not scale:
            self.register_parameter("weight", None)
        if not shift:
            self.register_parameter("bias", None)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        if not (self.training and self.track_running_stats):
            return super().forward(input)
        assert self.running_mean is not None and self.running_var is not None
        assert self.num_batches_tracked is not None
        return normalize_and_track(
            input,
            self.running_mean,
            self.running_var,
            self.num_batches_tracked,
            self.weight,
            self.bias,
            self.momentum,
            self.eps,
        )

    def _check_input_dim(self, input: torch.Tensor) -> None:
        if not isinstance(input, fx.Proxy) and input.dim() not in (2, 4):
            raise ValueError(f"expected a batch of maps or vectors, got {input.dim()} dimensions")


@fx.wrap  # one call in a traced graph, because it depends on the size of the batch
def normalize_and_track(
    input: torch.Tensor,
    mean: torch.Tensor,
    variance: torch.Tensor,
    batches: torch.Tensor,
    weight: torch.Tensor | None,
    bias: torch.Tensor | None,
    momentum: float | None,
    eps: float,
) -> torch.Tensor:
    """Normalize by the batch's statistics, and add them to the running ones.

    Args:
        input: [N, C, H, W] or [N, C].
        mean: The running mean [C], which is changed.
        variance: The running variance [C], which is changed.
        batches: The number of batches so far, which is changed.
        weight: [C].
        bias: [C].
        momentum: The weight of the batch; None for the average over all batches.
        eps: Added to the variance.
    """
    # PyTorch adds momentum * the unbiased variance, which is n / (n - 1) of the biased one, so the
    # old value is scaled before and the sum after. This goes through .data: autograd saves the
    # buffer for the backward pass and would reject an in-place change.
    count = input.numel() // input.shape[1]
    correction = (count - 1) / count if count > 1 else 1.0  # PyTorch refuses a single value
    factor = 1 / (int(batches) + 1) if momentum is None else momentum
    variance.data.div_(correction)
    try:
        return F.batch_norm(input, mean, variance, weight, bias, True, factor, eps)
    finally:
        variance.data.mul_(correction)
        batches.add_(1)


class HardSigmoid(nn.Hardsigmoid):
    """relu6(x + 3) / 6; PyTorch's own rounds 1 / 6 to float32 in the gradient."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        # In bfloat16, input + 3 would be rounded.
        return F.hardtanh(input, -3.0, 3.0) / 6 + 0.5


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
    """Layer norm of a vector's features, or of a map's channels at each position."""

    def __init__(
        self,
        num_features: int,
        eps: float,
        scale: bool,
        shift: bool,
        is_map: bool,
        **factory: Any,
    ) -> None:
        super().__init__(num_features, eps, bias=shift, **factory)
        self.is_map = is_map
        if not scale:
            self.register_parameter("weight", None)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        if not self.is_map:
            return super().forward(input)
        return super().forward(input.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Affine(nn.Module):
    """A weight and a bias for each channel."""

    bias: nn.Parameter | None

    def __init__(
        self,
        num_features: int,
        shift: bool,
        scale_init: float,
        axes: int,
        **factory: Any,
    ) -> None:
        super().__init__()
        self.num_features = num_features
        self.shape = (-1, *(1,) * (axes - 1))
        self.weight = nn.Parameter(torch.full((num_features,), scale_init, **factory))
        bias = nn.Parameter(torch.zeros(num_features, **factory)) if shift else None
        self.register_parameter("bias", bias)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        out = input * self.weight.view(self.shape)
        return out if self.bias is None else out + self.bias.view(self.shape)

    def extra_repr(self) -> str:
        return f"{self.num_features}, bias={self.bias is not None}"


class StochasticDepth(nn.Module):
    """Drops whole examples in training, and scales the rest."""

    def __init__(self, rate: float, axes: int) -> None:
        super().__init__()
        self.rate = rate
        self.ones = (1,) * axes

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        if not self.training or not self.rate:
            return input
        mask = input.new_empty((input.shape[0], *self.ones))
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


class Pad(nn.Module):
    """Adds zeros around a map; a negative number removes pixels."""

    def __init__(self, padding: tuple[int, int, int, int]) -> None:
        super().__init__()
        self.padding = padding

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        top, bottom, left, right = self.padding
        return F.pad(input, (left, right, top, bottom))

    def extra_repr(self) -> str:
        return f"{self.padding}"


class PadChannels(nn.Module):
    """Adds channels of zeros before and after."""

    def __init__(self, padding: tuple[int, int]) -> None:
        super().__init__()
        self.padding = padding

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return F.pad(input, (0, 0, 0, 0, *self.padding))

    def extra_repr(self) -> str:
        return f"{self.padding}"
