"""Writes Keras model files."""

from __future__ import annotations

import keras


def export(model: keras.Model, path: str) -> None:
    """Save the whole model; ``keras.saving.load_model(path)`` restores it without zoo."""
    model.save(path)
