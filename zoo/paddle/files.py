"""Writes PaddlePaddle's weight files."""

from __future__ import annotations

import paddle
from paddle import nn


def export(model: nn.Layer, path: str) -> None:
    """Save the state_dict; ``paddle.load(path)`` restores it."""
    paddle.save(model.state_dict(), path)
