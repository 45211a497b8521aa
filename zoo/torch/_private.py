"""Private parts of PyTorch that zoo relies on; a test checks each of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.nn.utils.parametrize import is_parametrized

#: The attributes in which ``torch.compile`` and checkpointing keep the module that they wrap.
_WRAPPED = re.compile(r"(?:^|(?<=\.))(?:_orig_mod|_checkpoint_wrapped_module)(?:\.|$)")


def children(module: nn.Module) -> dict[str, Any]:
    """Return a module's children by name, without the checks of ``named_children``."""
    return module._modules


def fill(module: nn.Module, name: str, value: torch.Tensor) -> None:
    """Replace a parameter or buffer with a tensor, without the checks of ``setattr``."""
    if name in module._parameters:
        module._parameters[name] = nn.Parameter(value)
    else:
        module._buffers[name] = value
        module.num_batches_tracked = torch.zeros((), dtype=torch.long)


def origins(module: nn.Module) -> Iterator[str]:
    """Yield the Python modules that define a module's class and the hooks that run before it."""
    yield type(module).__module__
    if is_parametrized(module):
        yield is_parametrized.__module__
    for hook in module._forward_pre_hooks.values():
        yield type(hook).__module__


def canonical_name(name: str) -> str:
    """Return the name of a parameter or module without those of wrappers around modules."""
    return _WRAPPED.sub("", name).rstrip(".")
