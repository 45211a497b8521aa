"""Several devices in PaddlePaddle: a process for each, connected by ``paddle.distributed``."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
import paddle
from paddle import distributed as dist
from paddle import nn
from paddle.autograd import PyLayer

from zoo.backend import devices
from zoo.backend.devices import ALONE, Array, Group, Processes, Work, check_size, refuse
from zoo.paddle import _private
from zoo.paddle.modules import constant

#: What is in the errors of the libraries that connect processes.
_LOST = ("gloo", "Gloo", "NCCL", "Connection", "connection", "TCPStore")
_LAUNCHER = "python -m paddle.distributed.launch --nproc_per_node {}"


class PaddleGroup(Group):
    """The processes of ``paddle.distributed``."""

    def sum(self, values: Array) -> Array:
        tensor = paddle.to_tensor(np.array(values, np.float64))
        with connected():
            dist.all_reduce(tensor)
        return cast(Array, tensor.numpy())


def group(number: int | None) -> Group:
    """Return the processes of a run; see :meth:`zoo.backend.base.Backend.group`."""
    if not (_launched() or dist.is_initialized()):
        return ALONE if number in (None, 1) else refuse("PaddlePaddle", number, _LAUNCHER)
    if not dist.is_initialized():
        dist.init_parallel_env()
    size = dist.get_world_size()
    check_size("paddle.distributed", number, size)
    return PaddleGroup(dist.get_rank(), size, size)


def processes(number: int | None) -> int:
    """Return how many must be started; see :meth:`zoo.backend.base.Backend.processes`."""
    return 1 if _launched() or dist.is_initialized() else number or 1


def spawn(work: Work, arguments: tuple[Any, ...], count: int, folder: Path) -> Processes:
    """Start processes; see :meth:`zoo.backend.base.Backend.spawn`."""
    gpus = paddle.device.cuda.device_count() if paddle.is_compiled_with_cuda() else 0
    options = {} if gpus >= count else {"backend": "gloo"}
    with _environment(count):
        started = dist.spawn(work, arguments, nprocs=count, join=False, **options)
    return cast(Processes, started)


def connected() -> AbstractContextManager[None]:
    """Report that another process is lost; see :func:`zoo.backend.devices.connected`."""
    return devices.connected(_LOST)


def synchronized(layer: nn.BatchNorm2D, x: paddle.Tensor) -> paddle.Tensor:
    """Compute a batch norm in training mode by the statistics of all processes.

    Paddle's own SyncBatchNorm does so on GPUs only.

    Args:
        layer: Its running statistics are changed.
        x: [N, C, H, W] or [N, C]: the process's examples, whose number may differ.
    """
    # In less than float32, sums would lose what is small.
    wide = x if x.dtype == paddle.float64 else x.astype("float32")
    axes, shape = [0, *range(2, x.ndim)], [1, -1, *(1 for _ in x.shape[2:])]
    own = constant(x.size // x.shape[1], wide).reshape([1])
    totals = _Sum.apply(paddle.concat([wide.sum(axes), own]))
    count = totals[-1].detach()
    mean = totals[:-1] / count
    centered = wide - mean.reshape(shape)
    variance = _Sum.apply(centered.square().sum(axes)) / count
    with paddle.no_grad():
        parts = _private.batch_norm(layer)
        kept = constant(parts.momentum, wide)
        for running, value in ((parts.mean, mean), (parts.variance, variance)):
            paddle.assign(kept * running + (1 - kept) * value, running)
    scale = (variance + constant(parts.epsilon, wide)).rsqrt()
    if layer.weight is not None:
        scale = scale * layer.weight.astype(wide.dtype)
    out = centered * scale.reshape(shape)
    if layer.bias is not None:
        out = out + layer.bias.astype(wide.dtype).reshape(shape)
    return out.astype(x.dtype)


class _Sum(PyLayer):
    """Adds tensors over the processes, and their gradients, too."""

    @staticmethod
    def forward(ctx: Any, value: paddle.Tensor) -> paddle.Tensor:
        total = value.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: paddle.Tensor) -> paddle.Tensor:
        return _Sum.forward(ctx, gradient)


def _launched() -> bool:
    """Tell whether ``paddle.distributed`` has started this process, with others."""
    return int(os.environ.get("PADDLE_TRAINERS_NUM") or 1) > 1


@contextmanager
def _environment(count: int) -> Iterator[None]:
    """Share the cores among the processes that are started, and leave out what Paddle logs of them.

    They inherit the environment as it is meanwhile.
    """
    wanted = {
        "OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // count)),
        "GLOG_minloglevel": "2",
        "PYTHONWARNINGS": "ignore:No ccache found",
    }
    new = {name: value for name, value in wanted.items() if name not in os.environ}
    disabled = logging.root.manager.disable
    os.environ.update(new)
    logging.disable(logging.INFO)
    try:
        with warnings.catch_warnings():  # Paddle's own, of how it starts them
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
        for name in new:
            del os.environ[name]
