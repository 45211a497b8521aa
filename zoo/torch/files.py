"""Writes PyTorch's weight files."""

from __future__ import annotations

import torch
from torch import nn


def export(model: nn.Module, path: str) -> None:
    """Save the state_dict; ``torch.load(path, weights_only=True)`` restores it."""
    torch.save(model.state_dict(), path)
