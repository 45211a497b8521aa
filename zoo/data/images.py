"""Turns photographs into the inputs of networks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo import arguments
from zoo.errors import InputError

if TYPE_CHECKING:
    from PIL import Image

    Source = str | Path | Image.Image | np.ndarray[tuple[int, ...], np.dtype[Any]]

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]

#: The preprocessing of networks whose spec does not state one: that of torchvision and timm for
#: ImageNet, and of paddle.vision's transforms. (PaddleClas uses the same numbers, but resizes with
#: OpenCV, which does not antialias.) The fields are those of a spec's ``preprocessing``.
USUAL: Mapping[str, Any] = {
    "crop": 0.875,
    "keep_aspect": True,
    "interpolation": "bilinear",
    "channels": "rgb",
    "range": 1,
    "mean": [0.485, 0.456, 0.406],
    "std": [0.229, 0.224, 0.225],
}

MAX_PIXELS = 100_000_000


def default() -> Path:
    """Return the path of the bundled photograph: Chelsea the cat, by Stefan van der Walt, CC0."""
    return Path(__file__).parent / "chelsea.jpg"


def load(
    image: Source, size: tuple[int, int], channels: int = 3, recipe: Mapping[str, Any] = USUAL
) -> Array:
    """Turn a photograph into the input of a network.

    The photograph is resized, cropped at the centre, and normalised. The crop keeps the fraction
    that the recipe states: with 0.875, an input of 224 is cropped from a shorter side of 256.

    Args:
        image: An image file that Pillow reads, a Pillow image, or an array of uint8 [H, W, 3],
            [H, W, 4] or [H, W].
        size: Height and width of the result.
        channels: 1 for the luminance, 3 for the colours; with more, the colours repeat.
        recipe: A spec's ``preprocessing``.

    Returns:
        float32 [1, channels, height, width].

    Raises:
        InputError: The image cannot be read, is too large, or is too narrow to crop.

    Example:
        >>> load(default(), (224, 224)).shape
        (1, 3, 224, 224)
    """
    from PIL import Image

    photograph = _open(image, "L" if channels == 1 else "RGB")
    method = Image.Resampling[recipe["interpolation"].upper()]
    cropped = _resize_and_crop(photograph, size, recipe["crop"], recipe["keep_aspect"], method)
    pixels = np.asarray(cropped, np.float32).reshape(*size, -1) * np.float32(recipe["range"] / 255)
    mean, std = np.array(recipe["mean"], np.float32), np.array(recipe["std"], np.float32)
    if channels == 1:
        mean, std = mean.mean(keepdims=True), std.mean(keepdims=True)
    values = (pixels - mean) / std
    order = [2, 1, 0] if recipe["channels"] == "bgr" and channels > 1 else range(values.shape[2])
    colours = [order[i % len(order)] for i in range(channels)]
    return np.ascontiguousarray(values[:, :, colours].transpose(2, 0, 1)[None])


def check(image: Source) -> None:
    """Check that an image can be read.

    Raises:
        InputError: It cannot.
    """
    _open(image, "RGB")


def _resize_and_crop(
    photograph: Image.Image, size: tuple[int, int], fraction: float, keep_aspect: bool, method: Any
) -> Image.Image:
    """Resize a photograph and crop its centre."""
    height, width = size
    resized_height, resized_width = int(height / fraction), int(width / fraction)
    if keep_aspect:
        original_width, original_height = photograph.size
        if resized_width * original_height > resized_height * original_width:
            resized_height = int(resized_width * original_height / original_width)
        else:
            resized_width = int(resized_height * original_width / original_height)
    if resized_height * resized_width > MAX_PIXELS:
        raise InputError(
            f"an image of {photograph.width}x{photograph.height} pixels is too narrow to crop"
        )
    resized = photograph.resize((resized_width, resized_height), method)
    top, left = round((resized_height - height) / 2), round((resized_width - width) / 2)
    return resized.crop((left, top, left + width, top + height))


def _to_eight_bits(image: Image.Image) -> Image.Image:
    """Scale a 16-bit grey image to 8 bits; Pillow would clip its values at 255."""
    from PIL import Image

    if not image.mode.startswith(("I", "F")):
        return image
    values = np.asarray(image)
    if image.mode == "F" or values.min() < 0 or values.max() > 65535:
        raise InputError(
            f"expected an image with 8 or 16 bits per value, got Pillow's mode {image.mode!r}"
        )
    return Image.fromarray((values / 257).round().astype(np.uint8))


def _open(image: Source, mode: str) -> Image.Image:
    from PIL import Image, ImageOps

    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.shape[2:] not in ((), (3,), (4,)) or not image.size:
            raise InputError(
                f"expected an image as uint8 [H, W, 3], got {image.dtype} {list(image.shape)}"
            )
        image = Image.fromarray(image)
    if isinstance(image, Image.Image):
        return _to_eight_bits(image).convert(mode)
    image = arguments.path("an image", image, "a file, a Pillow image or an array")
    try:
        with Image.open(image) as file:
            if file.width * file.height > MAX_PIXELS:
                raise InputError(f"{image}: the image has more than {MAX_PIXELS:,} pixels")
            return _to_eight_bits(ImageOps.exif_transpose(file)).convert(mode)
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{image}: no such file") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"{image}: cannot be read as an image ({str(error)[:200]})") from None
