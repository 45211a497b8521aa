"""Photographs as arrays: the input that networks are compared on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from zoo.errors import InputError

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]

#: The ImageNet training set's mean and deviation, RGB in [0, 1], as torchvision states them.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)

MAX_PIXELS = 100_000_000


def default() -> Path:
    """Return the photograph that zoo ships: Chelsea the cat, by Stefan van der Walt, CC0."""
    return Path(__file__).parent / "data" / "chelsea.jpg"


def load(path: str | Path, size: tuple[int, int], channels: int = 3) -> Array:
    """Read a photograph as a network's input.

    The shorter side is resized so that the centre crop takes 224 of its 256 parts, as is usual
    for ImageNet; values are scaled to [0, 1] and normalised by ``MEAN`` and ``STD``.

    Args:
        path: An image file that Pillow reads.
        size: (height, width) of the result.
        channels: 1 gives the luminance; beyond 3 the colours repeat.

    Returns:
        float32 [1, channels, height, width].

    Raises:
        InputError: The file cannot be read as an image, or is too large.

    Example:
        >>> load(default(), (224, 224)).shape
        (1, 3, 224, 224)
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as file:
            if file.width * file.height > MAX_PIXELS:
                raise InputError(f"{path}: the image has more than {MAX_PIXELS:,} pixels")
            upright = ImageOps.exif_transpose(file).convert("L" if channels == 1 else "RGB")
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"{path}: not an image that can be read ({error})") from None
    height, width = size
    # What the centre crop will show, in pixels of the photograph: nothing else is resized.
    scale = min(upright.height / height, upright.width / width) * 224 / 256
    left, top = (upright.width - width * scale) / 2, (upright.height - height * scale) / 2
    box = (left, top, left + width * scale, top + height * scale)
    shown = upright.resize((width, height), Image.Resampling.BILINEAR, box=box)
    pixels = np.asarray(shown, np.float32) / 255
    pixels = pixels.reshape(height, width, -1)
    colours = np.arange(channels) % pixels.shape[2]
    mean, std = np.array(MEAN, np.float32), np.array(STD, np.float32)
    if channels == 1:
        mean, std = mean.mean(keepdims=True), std.mean(keepdims=True)
    normal = (pixels - mean) / std
    return np.ascontiguousarray(normal[:, :, colours].transpose(2, 0, 1)[None])
