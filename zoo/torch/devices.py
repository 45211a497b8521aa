"""Several devices in PyTorch: a process for each, connected by ``torch.distributed``."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import distributed as dist
from torch import multiprocessing, nn
from torch.nn.parallel import DistributedDataParallel

from zoo.backend import devices
from zoo.backend.devices import ALONE, Array, Group, Processes, Work, check_size, launched, refuse

#: What is in the errors of the libraries that connect processes.
_LOST = ("gloo", "NCCL", "Connection closed", "Connection reset", "Broken pipe")


@dataclass(frozen=True)
class TorchGroup(Group):
    """The processes of ``torch.distributed``.

    Attributes:
        own: Whether zoo has connected them, and not the caller.
    """

    own: bool = True

    def sum(self, values: Array) -> Array:
        tensor = torch.from_numpy(np.array(values, np.float64))
        if dist.get_backend() == "nccl":  # the user's own group, which has no sums on the CPU
            tensor = tensor.cuda()
        with connected():
            dist.all_reduce(tensor)
        return cast(Array, tensor.cpu().numpy())

    def close(self) -> None:
        if self.own:
            dist.destroy_process_group()


def group(number: int | None) -> Group:
    """Return the processes of a run; see :meth:`zoo.backend.base.Backend.group`."""
    there = dist.is_available() and dist.is_initialized()
    if not there:
        if not (dist.is_available() and launched()):  # some builds of PyTorch cannot
            return ALONE if number in (None, 1) else refuse("PyTorch", number, _LAUNCHER)
        _take_device(os.environ)
        dist.init_process_group(_backends())
    size = dist.get_world_size()
    check_size("torch.distributed", number, size)
    return TorchGroup(dist.get_rank(), size, size, own=not there)


def processes(number: int | None) -> int:
    """Return how many must be started; see :meth:`zoo.backend.base.Backend.processes`."""
    return 1 if launched() or dist.is_initialized() else number or 1


def spawn(work: Work, arguments: tuple[Any, ...], count: int, folder: Path) -> Processes:
    """Start processes; see :meth:`zoo.backend.base.Backend.spawn`."""
    given = count, str(folder / "store"), work, arguments
    return _Started(multiprocessing.spawn(_work, given, count, join=False))  # type: ignore[attr-defined, no-untyped-call]  # in PyTorch


def connected() -> AbstractContextManager[None]:
    """Report that another process is lost; see :func:`zoo.backend.devices.connected`."""
    return devices.connected(_LOST)


class _Started:
    """Processes that end by themselves if one of them fails, as they lose the connection."""

    def __init__(self, context: Any) -> None:
        self._context, self.processes = context, context.processes

    def join(self, timeout: float | None = None) -> bool:
        return cast(bool, self._context.join(timeout, grace_period=_GRACE))


def parallel(model: nn.Module) -> DistributedDataParallel:
    """Wrap a model so that its backward pass averages gradients over the processes."""
    # A trainer synchronizes running statistics itself. The option has a new name since 2.13.
    options = inspect.signature(DistributedDataParallel).parameters
    name = "forward_sync_buffers" if "forward_sync_buffers" in options else "broadcast_buffers"
    settings: dict[str, Any] = {name: False}
    return DistributedDataParallel(model, **settings)


def synchronized(layer: nn.BatchNorm2d, x: torch.Tensor) -> torch.Tensor:
    """Compute a batch norm in training mode by the statistics of all processes.

    PyTorch's own SyncBatchNorm does so on GPUs only, and adds the unbiased variance to the running
    one.

    Args:
        layer: Its running statistics are changed.
        x: [N, C, H, W] or [N, C]: the process's examples, whose number may differ.
    """
    assert layer.running_mean is not None and layer.running_var is not None
    assert layer.num_batches_tracked is not None
    # In less than float32, sums would lose what is small.
    wide = x if x.dtype == torch.float64 else x.float()
    axes = [0, *range(2, x.dim())]
    count = torch.full_like(wide[0, :1].flatten()[:1], x.numel() // x.shape[1])
    totals = _total(torch.cat([wide.sum(axes), count]))
    count = totals[-1].detach()
    mean = totals[:-1] / count
    centered = wide - _by_channel(mean, wide)
    variance = _total(centered.square().sum(axes)) / count
    with torch.no_grad():
        layer.num_batches_tracked.add_(1)
        new = 1 / float(layer.num_batches_tracked) if layer.momentum is None else layer.momentum
        for running, value in ((layer.running_mean, mean), (layer.running_var, variance)):
            running.mul_(1 - new).add_(value.to(running.dtype), alpha=new)
    out = centered * _by_channel(torch.rsqrt(variance + layer.eps), wide)
    if layer.weight is not None:
        out = out * _by_channel(layer.weight.to(wide.dtype), wide)
    if layer.bias is not None:
        out = out + _by_channel(layer.bias.to(wide.dtype), wide)
    return out.to(x.dtype)


class _Sum(torch.autograd.Function):
    """Adds tensors over the processes, and their gradients, too."""

    @staticmethod
    def forward(ctx: Any, value: torch.Tensor) -> torch.Tensor:
        total = value.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        return _Sum.forward(ctx, gradient)


def _total(value: torch.Tensor) -> torch.Tensor:
    total: torch.Tensor = _Sum.apply(value)  # type: ignore[no-untyped-call]  # in PyTorch
    return total


#: Seconds in which processes may end by themselves.
_GRACE = 10.0
_LAUNCHER = "torchrun --nproc-per-node {}"


def _by_channel(vector: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    return vector.reshape(1, -1, *(1 for _ in x.shape[2:]))


def _work(rank: int, count: int, store: str, work: Work, arguments: tuple[Any, ...]) -> None:
    """Connect a process that was started, and let it work."""
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // count))
    _take_device({"LOCAL_RANK": str(rank)})
    dist.init_process_group(_backends(), f"file://{store}", rank=rank, world_size=count)
    work(*arguments)
    dist.destroy_process_group()


def _take_device(environment: Mapping[str, str]) -> None:
    """Build models on the process's own GPU, if it has one."""
    rank = int(environment.get("LOCAL_RANK", 0))
    if torch.cuda.is_available() and rank < torch.cuda.device_count():
        torch.cuda.set_device(rank)
        torch.set_default_device(torch.device("cuda", rank))


def _backends() -> str:
    return "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
