"""Turns photographs into the inputs of networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.data.reading import MAX_PIXELS, read
from zoo.errors import InputError

if TYPE_CHECKING:
    from PIL import Image

    from zoo.data.reading import Source

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

#: The order of the axes of an input -> the permutation of the axes of [H, W, C].
LAYOUTS: Mapping[str, tuple[int, ...]] = {"CHW": (2, 0, 1), "HWC": (0, 1, 2)}


@dataclass(frozen=True)
class Transform:
    """Turns one photograph into the input of a network; :func:`zoo.transform` makes it.

    It can be pickled, so that worker processes can use it, and needs no framework.

    Attributes:
        size: Height and width of the input.
        channels: 1 for the luminance, 3 for the colors; with more, the colors repeat.
        recipe: A spec's ``preprocessing``.
        layout: ``CHW`` or ``HWC``.

    Example:
        >>> transform = Transform((224, 224), 3, USUAL, "HWC")
        >>> transform.shape, transform(default()).dtype
        ((224, 224, 3), dtype('float32'))
    """

    size: tuple[int, int]
    channels: int
    recipe: Mapping[str, Any]
    layout: str = "CHW"

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of a result, which TensorFlow pipelines need to know."""
        axes = (*self.size, self.channels)
        return tuple(axes[axis] for axis in LAYOUTS[self.layout])

    def __call__(self, image: Source) -> Array:
        """Transform a photograph.

        Args:
            image: An image file that Pillow reads, a Pillow image, or an array of uint8
                [H, W, 3], [H, W, 4], [H, W, 1] or [H, W].

        Returns:
            A new array of float32, [channels, height, width] or [height, width, channels].

        Raises:
            InputError: The image cannot be read, is too large, or is too narrow to crop.
        """
        photograph = read(image, self.mode)
        return self.finished(resized_and_cropped(photograph, self.size, self.recipe))

    @property
    def mode(self) -> str:
        """The mode of Pillow in which photographs are read."""
        return "L" if self.channels == 1 else "RGB"

    def finished(self, cropped: Image.Image) -> Array:
        """Scale and normalize the values of an image that has the size of the input."""
        pixels = np.asarray(cropped).reshape(*self.size, -1)
        result = np.empty(self.shape, np.float32)
        channels_first = result if self.layout == "CHW" else result.transpose(2, 0, 1)
        for channel, (color, values) in zip(channels_first, self._values, strict=True):
            channel[...] = values.take(pixels[:, :, color], mode="clip")
        return result

    @cached_property
    def _values(self) -> list[tuple[int, Array]]:
        """The color of each channel of the input, and what becomes of each of its 256 values."""
        recipe = self.recipe
        mean, std = np.array(recipe["mean"], np.float32), np.array(recipe["std"], np.float32)
        if self.channels == 1:
            mean, std = mean.mean(keepdims=True), std.mean(keepdims=True)
        scaled = np.arange(256, dtype=np.float32)[:, None] * np.float32(recipe["range"] / 255)
        normalized = (scaled - mean) / std
        order = [2, 1, 0] if recipe["channels"] == "bgr" and self.channels > 1 else [0, 1, 2]
        colors = (order[channel % len(mean)] for channel in range(self.channels))
        return [(color, np.ascontiguousarray(normalized[:, color])) for color in colors]


def default() -> Path:
    """Return the path of the bundled photograph: Chelsea the cat, by Stefan van der Walt, CC0."""
    return Path(__file__).parent / "chelsea.jpg"


def load(
    image: Source, size: tuple[int, int], channels: int = 3, recipe: Mapping[str, Any] = USUAL
) -> Array:
    """Turn a photograph into a batch of one, float32 [1, channels, height, width].

    The arguments and errors are those of :class:`Transform`.

    Example:
        >>> load(default(), (224, 224)).shape
        (1, 3, 224, 224)
    """
    return Transform(size, channels, recipe)(image)[None]


def check(image: Source) -> None:
    """Check that an image can be read.

    Raises:
        InputError: It cannot.
    """
    read(image, "RGB")


def resized_and_cropped(
    photograph: Image.Image, size: tuple[int, int], recipe: Mapping[str, Any]
) -> Image.Image:
    """Resize a photograph and crop its center.

    The sizes are computed as in ``Resize`` and ``CenterCrop`` of torchvision and paddle.vision: the
    longer side is rounded down, and the corner of the crop is rounded to the nearest pixel.
    """
    crop = recipe["crop"]
    shown, whole = crop if isinstance(crop, list | tuple) else (crop, 1)
    height, width = size
    resized_height, resized_width = (round(side * whole / shown) for side in size)
    if recipe["keep_aspect"]:
        original_width, original_height = photograph.size
        if resized_width * original_height > resized_height * original_width:
            resized_height = int(resized_width * original_height / original_width)
        else:
            resized_width = int(resized_height * original_width / original_height)
    if resized_height * resized_width > MAX_PIXELS:
        raise InputError(
            f"an image of {photograph.width}x{photograph.height} pixels is too narrow to crop"
        )
    resized = scaled(photograph, (resized_width, resized_height), recipe)
    top, left = round((resized_height - height) / 2), round((resized_width - width) / 2)
    return resized.crop((left, top, left + width, top + height))


def scaled(
    photograph: Image.Image,
    size: tuple[int, int],
    recipe: Mapping[str, Any],
    box: tuple[int, int, int, int] | None = None,
) -> Image.Image:
    """Resize a photograph, or a part of it.

    Args:
        photograph: The photograph.
        size: Width and height of the result.
        recipe: A spec's ``preprocessing``. ``antialias`` is not a field of specs: where it is
            False, a pixel depends on its nearest neighbors alone, as in OpenCV and TensorFlow.
        box: Left, top, right and bottom of the part.

    Example:
        >>> from PIL import Image
        >>> photograph = Image.fromarray(np.array([[0, 0, 0, 80, 0, 0]], np.uint8))
        >>> for antialias in (True, False):
        ...     recipe = {"interpolation": "bilinear", "antialias": antialias}
        ...     np.asarray(scaled(photograph, (2, 1), recipe))[0].tolist()
        [10, 20]
        [0, 0]
    """
    from PIL import Image

    method = Image.Resampling[recipe["interpolation"].upper()]
    if recipe.get("antialias", True):
        return photograph.resize(size, method, box)
    left, top, right, bottom = box or (0, 0, *photograph.size)
    part = photograph.crop((left, top, right, bottom))  # whose edges are not mixed with the rest
    steps = (part.width / size[0], part.height / size[1])
    matrix = (steps[0], 0, 0, 0, steps[1], 0)
    bands = [  # of floats, because Pillow would cut off their fractions
        np.asarray(band.convert("F").transform(size, Image.Transform.AFFINE, matrix, method))
        for band in part.split()
    ]
    whole = [Image.fromarray(np.rint(band.clip(0, 255)).astype(np.uint8)) for band in bands]
    return Image.merge(part.mode, whole)
