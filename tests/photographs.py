"""The input that models are compared on."""

import numpy as np

from zoo.data import images


def photographs(batch: int, shape: tuple[int, int, int]) -> np.ndarray:
    """The shipped photograph, as it is, mirrored and upside down."""
    one = images.load(images.default(), shape[1:], shape[0])
    return np.concatenate([one, one[..., ::-1], one[..., ::-1, :]])[:batch]
