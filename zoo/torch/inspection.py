"""Looks into modules that zoo did not build."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from torch import nn

from zoo.backend.outputs import mapped
from zoo.torch.running import evaluating, to_input, to_numpy

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]

#: How PyTorch's own layers hold what they have, in the words of a source of weights.
CONVENTION: dict[str, Any] = {
    "layouts": {"conv": "OIHW", "linear": "OI", "flatten": "CHW"},
    "left_out": ["*.num_batches_tracked"],
}


def own_weights(model: nn.Module) -> dict[str, Array]:
    """Copy every parameter and running statistic, under the model's own names and as it lies."""
    return {name: to_numpy(value.detach()) for name, value in model.state_dict().items()}


def named_modules(model: nn.Module) -> dict[str, nn.Module]:
    """Path -> module, of every one within a model; one of two names is there under both."""
    return {n: m for n, m in model.named_modules(remove_duplicate=False) if n}


def observe(model: nn.Module, x: Array, names: Iterable[str]) -> tuple[Any, dict[str, list[Array]]]:
    """Run a model in evaluation mode, and note what its modules give.

    Args:
        model: It is left as it was.
        x: [N, C, H, W].
        names: Paths of modules; those there are none of are passed over.

    Returns:
        What the model returns, its tensors as NumPy's; and path -> the values of all calls, for
        modules that ran. Paths of one module share one list.
    """
    known, calls = named_modules(model), dict[nn.Module, list[Array]]()
    wanted = [name for name in names if name in known]

    def keep(module: nn.Module, inputs: Any, output: Any) -> None:
        if isinstance(output, torch.Tensor):
            calls.setdefault(module, []).append(to_numpy(output.detach()))

    hooks = [m.register_forward_hook(keep) for m in {known[name]: None for name in wanted}]
    try:
        with evaluating(model):
            result = model(to_input(model, x))
    finally:
        for hook in hooks:
            hook.remove()
    found = {name: calls[known[name]] for name in wanted if known[name] in calls}
    return mapped(result, to_numpy), found


def differentiate(
    model: nn.Module, x: Array, loss: Callable[[Any], Any], dropouts: Iterable[str]
) -> tuple[float, dict[str, Array], Array, dict[str, Array]]:
    """Differentiate a loss in training mode, with dropouts that drop nothing.

    Args:
        model: It is left as it was.
        x: [N, C, H, W].
        loss: Of what the model returns.
        dropouts: Paths of modules that are to drop nothing.

    Returns:
        The loss; own name -> gradient, as the parameter lies; the input's, NCHW; and own name ->
        what parameters and running statistics then are.
    """
    modes = {module: module.training for module in model.modules()}
    kept = {name: buffer.clone() for name, buffer in model.named_buffers()}
    known = named_modules(model)
    model.train()
    for name in dropouts:
        known[name].training = False
    try:
        parameters = {n: p for n, p in model.named_parameters() if p.requires_grad}
        tensor = to_input(model, x).requires_grad_()
        value = loss(model(tensor))
        found = torch.autograd.grad(value, [tensor, *parameters.values()], materialize_grads=True)
        after = own_weights(model)
    finally:
        for module, mode in modes.items():
            module.training = mode
        for name, buffer in model.named_buffers():
            buffer.data.copy_(kept[name])
    on_input, *others = (to_numpy(each.detach()) for each in found)
    return value.item(), dict(zip(parameters, others, strict=True)), on_input, after
