"""Runs PyTorch modules on NumPy arrays, in evaluation mode and without gradients."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import nn

from zoo.backend.base import Array, Outputs
from zoo.backend.outputs import mapped
from zoo.torch import _private
from zoo.weights.checking import DTYPES


def observe(model: nn.Module, x: Array, names: Iterable[str]) -> tuple[Any, dict[str, list[Array]]]:
    """Run a model and record its modules' outputs; see :meth:`zoo.backend.base.Backend.observe`."""
    calls: dict[nn.Module, list[Array]] = {}

    def record(module: nn.Module, inputs: Any, output: Any) -> None:
        if isinstance(output, torch.Tensor):
            calls.setdefault(module, []).append(to_numpy(output.detach()))

    requested = list(names)
    modules = named_modules(model) if requested else {}
    observed = {name: modules[name] for name in requested if name in modules}
    unique = dict.fromkeys(observed.values())
    # Hooks are not called inside what is compiled. Without the compiler, whose import takes as long
    # as that of PyTorch, nothing is.
    compiling = unique and "torch._dynamo" in sys.modules
    eager = torch.compiler.set_stance("force_eager") if compiling else nullcontext()
    hooks = [module.register_forward_hook(record) for module in unique]
    try:
        with evaluating(model), eager:
            result = model(to_input(model, x))
    finally:
        for hook in hooks:
            hook.remove()
    values = {name: calls[module] for name, module in observed.items() if module in calls}
    return mapped(result, to_numpy), values


def forms(model: nn.Module) -> dict[str, Callable[[Array], Outputs]]:
    """Return the ways to run a model, eager and compiled, by name."""
    compiled = torch.compile(model)

    def run(function: Callable[..., Any], x: Array) -> Outputs:
        with evaluating(model):
            result: Outputs = mapped(function(to_input(model, x)), to_numpy)
        return result

    return {"eager": lambda x: run(model, x), "torch.compile": lambda x: run(compiled, x)}


def named_modules(model: nn.Module) -> dict[str, nn.Module]:
    """Return every module of a model by its path; a shared module has several paths.

    Wrappers around a module, for example to compile it, have its path, and are omitted.
    """
    modules = model.named_modules(remove_duplicate=False)
    named = ((_private.canonical_name(name), module) for name, module in modules)
    return {name: module for name, module in named if name}


def own_weights(model: nn.Module) -> dict[str, Array]:
    """Copy every parameter and running statistic under the model's own name and layout."""
    return {name: to_numpy(value.detach()) for name, value in model.state_dict().items()}


def dtypes(model: nn.Module) -> dict[str, str]:
    """Return the dtype of every floating-point weight by its own name."""
    own = {n: str(value.dtype).rpartition(".")[2] for n, value in model.state_dict().items()}
    return {name: dtype for name, dtype in own.items() if dtype in DTYPES}


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put every module in evaluation mode, and restore their modes afterwards."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        # Not in inference mode: what a model makes in its first call could never be trained.
        with torch.no_grad():
            yield
    finally:
        for module in training:
            module.training = True


def to_input(model: nn.Module, x: Array) -> torch.Tensor:
    """Copy x to the model's device and dtype, channels last: twice as fast on a CPU."""
    copied = torch.tensor(x, device="cpu")  # whatever the default device is
    parameter = next(model.parameters(), None)
    if parameter is None:  # a network without weights stores the dtype that it was built for
        tensor = copied.to(getattr(model, "_dtype", torch.float32))
    else:
        tensor = copied.to(parameter.device, parameter.dtype)
    return tensor.contiguous(memory_format=torch.channels_last)


def to_numpy(value: torch.Tensor) -> Array:
    """Copy a tensor; bfloat16, which NumPy lacks, as float32."""
    if value.dtype == torch.bfloat16:
        value = value.float()
    return value.contiguous().cpu().numpy().copy()
