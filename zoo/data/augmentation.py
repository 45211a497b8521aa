"""Random changes of training images, each determined by given random numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.data.images import Transform, resized_and_cropped, scaled
from zoo.data.reading import read

if TYPE_CHECKING:
    from zoo.data.reading import Source

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]

#: How many random numbers an augmentation takes of an image.
DRAWS = 32
_TRIES = 10  # as in torchvision, before the part of an image is its center


@dataclass(frozen=True)
class Augmentation:
    """What may be done to an image in training, before its values are scaled and normalized.

    Attributes:
        pad: By how many pixels the resized image is padded with black, before a random part of the
            size of the input is taken.
        area: The least and the largest share of a photograph that a random part of it covers, which
            is then resized to the input; None to resize and crop as in evaluation.
        ratio: The least and the largest ratio of width to height of such a part.
        flip: Whether half of the images are mirrored.
    """

    pad: int = 0
    area: tuple[float, float] | None = None
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    flip: bool = False

    def apply(self, image: Source, transform: Transform, draws: Sequence[float]) -> Array:
        """Transform an image as ``transform`` does, with random changes.

        Args:
            image: As :class:`~zoo.data.images.Transform` takes it.
            transform: What is done in evaluation.
            draws: ``DRAWS`` numbers of at least 0 and less than 1, which decide everything.

        Returns:
            The input of a network, as ``transform`` returns it.

        Raises:
            InputError: The image cannot be read.

        Example:
            >>> from zoo.data.images import USUAL, default
            >>> transform = Transform((32, 32), 3, USUAL)
            >>> AUGMENTATIONS["pad-crop"].apply(default(), transform, [0.5] * DRAWS).shape
            (3, 32, 32)
        """
        from PIL import ImageOps

        photograph = read(image, transform.mode)
        height, width = transform.size
        if self.area:
            box = self._part(photograph.size, draws)
            result = scaled(photograph, (width, height), transform.recipe, box)
        else:
            result = resized_and_cropped(photograph, transform.size, transform.recipe)
        if self.pad:
            left, top = (int(draw * (2 * self.pad + 1)) for draw in draws[-3:-1])
            padded = ImageOps.expand(result, self.pad)
            result = padded.crop((left, top, left + width, top + height))
        if self.flip and draws[-1] < 0.5:
            result = ImageOps.mirror(result)
        return transform.finished(result)

    def _part(self, size: tuple[int, int], draws: Sequence[float]) -> tuple[int, int, int, int]:
        """Return a random part of an image: left, top, right, bottom.

        Source: Szegedy et al., Going Deeper with Convolutions, section 6; the tries and the part
        that is taken after them are those of torchvision's ``RandomResizedCrop``.
        """
        assert self.area is not None
        (width, height), (least, most) = size, self.area
        narrow, wide = map(math.log, self.ratio)
        for i in range(_TRIES):
            area = width * height * (least + (most - least) * draws[2 * i])
            ratio = math.exp(narrow + (wide - narrow) * draws[2 * i + 1])
            w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
            if 0 < w <= width and 0 < h <= height:
                left = int(draws[2 * _TRIES] * (width - w + 1))
                top = int(draws[2 * _TRIES + 1] * (height - h + 1))
                return left, top, left + w, top + h
        if width / height < self.ratio[0]:
            w, h = width, round(width / self.ratio[0])
        elif width / height > self.ratio[1]:
            w, h = round(height * self.ratio[1]), height
        else:
            w, h = width, height
        left, top = (width - w) // 2, (height - h) // 2
        return left, top, left + w, top + h


#: Name -> augmentation: none; mirrored images; what is usual for CIFAR-10; and for ImageNet.
AUGMENTATIONS: Mapping[str, Augmentation] = {
    "none": Augmentation(),
    "flip": Augmentation(flip=True),
    "pad-crop": Augmentation(pad=4, flip=True),
    "random-resized-crop": Augmentation(area=(0.08, 1.0), flip=True),
}
