"""What zoo takes of PyTorch that PyTorch does not promise; tests watch each."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

#: What ``torch.compile`` calls the module that it wraps.
WRAPPED = "_orig_mod"


def children(module: nn.Module) -> dict[str, Any]:
    """Return a module's children by name, without the checks of ``named_children``."""
    return module._modules


def fill(module: nn.Module, name: str, value: torch.Tensor) -> None:
    """Put a tensor in the place of a parameter or buffer, without the checks of ``setattr``."""
    if name in module._parameters:
        module._parameters[name] = nn.Parameter(value)
    else:
        module._buffers[name] = value
        module.num_batches_tracked = torch.zeros((), dtype=torch.long)


def unwrapped(model: nn.Module) -> nn.Module:
    """Return the module that ``torch.compile`` has wrapped, or the model itself."""
    inner = getattr(model, WRAPPED, model)
    assert isinstance(inner, nn.Module)
    return inner


def canonical_name(name: str) -> str:
    """Return a parameter's name without what ``torch.compile`` puts before it."""
    return name.replace(f"{WRAPPED}.", "")
