"""Runs a PyTorch module on NumPy arrays, in evaluation mode and without gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from zoo.backend.outputs import mapped
from zoo.graphs.nodes import Node

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]


def predict(model: nn.Module, x: Array) -> Array | dict[str, Array]:
    """Run the model on x [N, C, H, W]; returns what it returns, as NumPy arrays."""
    return _run(model, model, x)


def forms(model: nn.Module) -> dict[str, Callable[[Array], Array | dict[str, Array]]]:
    """Return the ways to run a model, by name: functions of x like :func:`predict`."""
    compiled = torch.compile(model)
    return {
        "eager": lambda x: predict(model, x),
        "torch.compile": lambda x: _run(model, compiled, x),
    }


def features(model: nn.Module, x: Array, nodes: Sequence[Node]) -> dict[str, Array]:
    """Run the model on x and return the values of nodes, NCHW or [N, features]."""
    model = getattr(model, "_orig_mod", model)  # hooks are not called inside a compiled module
    found: dict[str, Array] = {}

    def keep(name: str) -> Any:
        return lambda module, inputs, output: found.__setitem__(name, to_numpy(output))

    hooks = [model.get_submodule(n.name).register_forward_hook(keep(n.name)) for n in nodes]
    try:
        with evaluating(model):
            model(to_input(model, x))
    finally:
        for hook in hooks:
            hook.remove()
    return {node.name: found[node.name] for node in nodes}


def _run(model: nn.Module, function: Callable[..., Any], x: Array) -> Array | dict[str, Array]:
    with evaluating(model):
        result = function(to_input(model, x))
    found: Array | dict[str, Array] = mapped(result, to_numpy)
    return found


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put every module in evaluation mode, and each back in the mode it was in."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        for module in training:
            module.training = True


def to_input(model: nn.Module, x: Array) -> torch.Tensor:
    """Copy x to the model's device and dtype, channels last: twice as fast on a CPU."""
    like = next(model.parameters(), None)
    if like is None:  # a network without weights knows what it was built for
        tensor = torch.tensor(x).to(getattr(model, "_dtype", torch.float32))
    else:
        tensor = torch.tensor(x).to(like.device, like.dtype)
    return tensor.contiguous(memory_format=torch.channels_last)


def to_numpy(value: torch.Tensor) -> Array:
    """Copy a tensor; bfloat16, which NumPy lacks, as float32."""
    if value.dtype == torch.bfloat16:
        value = value.float()
    return value.contiguous().cpu().numpy().copy()
