"""Moves weights between a PyTorch module and canonical NumPy arrays.

PyTorch's own layouts are the canonical ones, so names are state_dict keys and arrays are as they
are; only ``num_batches_tracked`` has no counterpart.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]


def shapes(model: nn.Module) -> dict[str, tuple[int, ...]]:
    """Return canonical name -> shape of every parameter and running statistic."""
    return {name: tuple(value.shape) for name, value in _state(model).items()}


def count_parameters(model: nn.Module) -> int:
    """Count the trainable values as PyTorch does."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def get_weights(model: nn.Module) -> dict[str, Array]:
    """Copy every parameter and running statistic to NumPy."""
    return {name: _array(value) for name, value in _state(model).items()}


def set_weights(model: nn.Module, weights: Mapping[str, Array]) -> None:
    """Copy canonical arrays in; names and shapes are checked before. Keeps device and dtype."""
    with torch.no_grad():
        for name, value in _state(model).items():
            value.copy_(_tensor(weights[name]))


def _state(model: nn.Module) -> dict[str, torch.Tensor]:
    state = model.state_dict(keep_vars=True)
    # torch.compile puts _orig_mod before the names of what it wraps.
    return {
        name.replace("_orig_mod.", ""): value.detach()
        for name, value in state.items()
        if not name.endswith("num_batches_tracked")
    }


def _array(value: torch.Tensor) -> Array:
    value = value.cpu().clone()
    if value.dtype == torch.bfloat16:
        import ml_dtypes

        return value.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    return value.numpy()


def _tensor(array: Array) -> torch.Tensor:
    if array.dtype.name == "bfloat16":  # which torch.from_numpy does not know: take its bits
        return torch.from_numpy(array.view(np.int16).copy()).view(torch.bfloat16)
    return torch.from_numpy(np.array(array))
