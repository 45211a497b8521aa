"""Keras's own files of weights."""

from __future__ import annotations

import keras


def export(model: keras.Model, path: str) -> None:
    """Save the model whole, which ``keras.saving.load_model(path)`` gives back without zoo."""
    model.save(path)
