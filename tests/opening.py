"""Small pictures, and files of them, which are closed after a test."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def opened():
    """Opens image files, and closes them after the test."""
    with ExitStack() as stack:
        yield lambda path: stack.enter_context(Image.open(path))


@pytest.fixture
def small():
    """A picture of colors, of which no rotation and no mirror image is equal to it."""
    values = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    return Image.fromarray(values)


def as_file(image: Image.Image, path, **options):
    image.save(path, **options)
    return path
