"""PaddlePaddle's own files of weights."""

from __future__ import annotations

import paddle
from paddle import nn


def export(model: nn.Layer, path: str) -> None:
    """Save the state_dict, which ``paddle.load(path)`` gives back."""
    paddle.save(model.state_dict(), path)
