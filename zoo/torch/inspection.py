"""Looks into modules that zoo did not build."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from torch import nn

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


def observe(model: nn.Module, x: Array, names: Iterable[str]) -> tuple[Any, dict[str, Array]]:
    """Run a model in evaluation mode, and note what its modules give.

    Args:
        model: It is left as it was.
        x: [N, C, H, W].
        names: Paths of modules; those there are none of are passed over.

    Returns:
        What the model returns, its tensors as NumPy's; and path -> value, for modules that ran.
    """
    found: dict[str, Array] = {}
    modules = dict(model.named_modules())

    def keep(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            if isinstance(output, torch.Tensor):
                found[name] = to_numpy(output.detach())

        return hook

    hooks = [modules[n].register_forward_hook(keep(n)) for n in names if n in modules]
    try:
        with evaluating(model):
            result = model(to_input(model, x))
    finally:
        for hook in hooks:
            hook.remove()
    return _arrays(result), found


def differentiate(
    model: nn.Module, x: Array, loss: Callable[[Any], Any]
) -> tuple[float, dict[str, Array], Array]:
    """Differentiate a loss in evaluation mode.

    Args:
        model: It is left as it was.
        x: [N, C, H, W].
        loss: Of what the model returns.

    Returns:
        The loss; own name -> gradient, as the parameter lies; and the input's, NCHW.
    """
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        parameters = {n: p for n, p in model.named_parameters() if p.requires_grad}
        tensor = to_input(model, x).requires_grad_()
        value = loss(model(tensor))
        found = torch.autograd.grad(value, [tensor, *parameters.values()], materialize_grads=True)
    finally:
        for module in training:
            module.training = True
    on_input, *others = (to_numpy(each.detach()) for each in found)
    return value.item(), dict(zip(parameters, others, strict=True)), on_input


def _arrays(result: Any) -> Any:
    if isinstance(result, dict):
        return {name: _arrays(value) for name, value in result.items()}
    if isinstance(result, list | tuple):
        return [_arrays(value) for value in result]
    return to_numpy(result) if isinstance(result, torch.Tensor) else result
