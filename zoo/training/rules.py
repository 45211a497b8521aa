"""Optimizer rules written in NumPy, applied to each framework's own gradients.

Optimizers of the same name differ between frameworks: Keras' Adam, for example, adds epsilon at
another place and stores the learning rate in float32. These rules run in NumPy, in the dtype of the
weights, so that a comparison covers only gradients and running statistics, step by step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]
Weights = dict[str, Array]
Rule = Callable[[Weights, Mapping[str, Array], int], None]

STEPS = 10


def sgd(lr: float = 0.01, momentum: float = 0.9, weight_decay: float = 1e-4) -> Rule:
    """Make the SGD rule v = momentum v + (g + weight_decay w), w = w - lr v.

    Returns:
        A function that updates weights in place, given gradients and the step number from 1.

    Example:
        >>> weights = {"w": np.array([1.0])}
        >>> sgd(lr=0.1, weight_decay=0)(weights, {"w": np.array([2.0])}, 1)
        >>> weights["w"]
        array([0.8])
    """
    velocity: Weights = {}

    def step(weights: Weights, gradients: Mapping[str, Array], number: int) -> None:
        for name, gradient in gradients.items():
            w = weights[name]
            total = gradient + w.dtype.type(weight_decay) * w
            previous = velocity.get(name)
            velocity[name] = (
                total if previous is None else w.dtype.type(momentum) * previous + total
            )
            w -= w.dtype.type(lr) * velocity[name]

    return step


def adam(lr: float = 1e-3, beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8) -> Rule:
    """Make Adam's rule, as algorithm 1 of the paper states it.

    Returns:
        A function that updates weights in place, given gradients and the step number from 1.

    Source: Kingma and Ba, Adam, https://arxiv.org/abs/1412.6980

    Example:
        >>> weights = {"w": np.array([1.0])}
        >>> adam(lr=0.1)(weights, {"w": np.array([5.0])}, 1)
        >>> weights["w"].round(6)
        array([0.9])
    """
    first: Weights = {}
    second: Weights = {}

    def step(weights: Weights, gradients: Mapping[str, Array], number: int) -> None:
        for name, g in gradients.items():
            w = weights[name]
            kind = w.dtype.type
            first[name] = kind(beta1) * first.get(name, kind(0)) + kind(1 - beta1) * g
            second[name] = kind(beta2) * second.get(name, kind(0)) + kind(1 - beta2) * g * g
            mean = first[name] / kind(1 - beta1**number)
            square = second[name] / kind(1 - beta2**number)
            w -= kind(lr) * mean / (np.sqrt(square) + kind(eps))

    return step


#: Name -> a function that makes the rule for a learning rate.
RULES: dict[str, Callable[[float], Rule]] = {"SGD": sgd, "Adam": adam}
#: Name -> learning rates to try, starting with the default.
RATES = {
    "SGD": (1e-2, 1e-3, 1e-4, 1e-5, 1e-6),
    "Adam": (1e-3, 1e-4, 1e-5, 1e-6, 1e-7),
}
#: Name -> the defaults of the rule's other settings.
SETTINGS = {
    "SGD": {"momentum": 0.9, "weight_decay": 1e-4},
    "Adam": {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8},
}


def batches(shape: tuple[int, int, int], size: int, classes: int) -> list[tuple[Array, Array]]:
    """Make batches of handwritten digits, enlarged to a network's input size.

    Args:
        shape: (channels, height, width) of the input.
        size: Examples in a batch, at most 16.
        classes: Number of classes; labels are taken modulo this number.

    Returns:
        ``STEPS`` pairs of images, float32 [N, C, H, W] with mean about 0 and standard deviation
        about 1, and labels, int64 [N].

    Source: Alpaydin and Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning
    Repository, CC BY 4.0; the first 160 of its test set.
    """
    from PIL import Image

    with np.load(Path(__file__).parents[1] / "data" / "digits.npz", allow_pickle=False) as file:
        digits, labels = file["images"], file["labels"].astype(np.int64) % classes
    channels, height, width = shape
    noise = np.random.default_rng(0)
    batches = []
    for start in range(0, STEPS * size, size):
        images = [
            Image.fromarray(digit * np.uint8(15)).resize((width, height), Image.Resampling.BILINEAR)
            for digit in digits[start : start + size]
        ]
        gray = (np.stack([np.asarray(image, np.float32) for image in images]) / 240 - 0.3) / 0.38
        # Channels differ, so that a wrong channel order is detected. Noise avoids ties in max
        # pooling, for which frameworks pass the gradient to different elements.
        x = np.stack([np.roll(gray, c, axis=2) * (1 - 0.1 * c) for c in range(channels)], axis=1)
        x += np.float32(0.05) * noise.standard_normal(x.shape, np.float32)
        batches.append((np.ascontiguousarray(x), labels[start : start + size]))
    return batches
