"""Optimizer rules written in NumPy: what all frameworks compute when zoo trains in them.

Optimizers of the same name differ between frameworks: Keras' Adam, for example, adds epsilon at
another place and stores the learning rate in float32. So the rules are stated here, in the dtype of
the weights. Applied to each framework's own gradients, they also show that gradients and running
statistics agree, whatever the framework's optimizer does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from zoo.backend.training import Rule

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]
Weights = dict[str, Array]

STEPS = 10

#: Name of a rule in a verification -> the rule.
RULES = {
    "SGD": Rule("sgd", 1e-2, momentum=0.9, weight_decay=1e-4),
    "Adam": Rule("adam", 1e-3),
}
#: Name -> learning rates to try, starting with the default.
RATES = {
    "SGD": (1e-2, 1e-3, 1e-4, 1e-5, 1e-6),
    "Adam": (1e-3, 1e-4, 1e-5, 1e-6, 1e-7),
}
#: Name -> the rule's other settings.
SETTINGS = {
    "SGD": {"momentum": 0.9, "weight_decay": 1e-4},
    "Adam": {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8},
}


class Written:
    """A rule, with what it keeps of each weight from one step to the next.

    Attributes:
        rule: The rule.
        slots: Slot -> name -> array; see :attr:`zoo.backend.training.Rule.slots`.

    Sources: Sutskever et al., On the Importance of Initialization and Momentum, ICML 2013 (sgd);
    Kingma and Ba, Adam, https://arxiv.org/abs/1412.6980, algorithm 1 (adam);
    Loshchilov and Hutter, Decoupled Weight Decay Regularization, https://arxiv.org/abs/1711.05101
    (adamw); Tieleman and Hinton, Lecture 6.5, Coursera 2012 (rmsprop)

    Example:
        >>> weights = {"w": np.array([1.0])}
        >>> Written(Rule("sgd", 0.1, momentum=0.9)).step(weights, {"w": np.array([2.0])}, 1)
        >>> weights["w"]
        array([0.8])
    """

    def __init__(self, rule: Rule, decays: Mapping[str, float] | None = None) -> None:
        """Make the rule with empty slots.

        Args:
            rule: The rule.
            decays: Name -> weight decay, if it is not the rule's own for every weight.
        """
        self.rule, self._decays = rule, decays
        self.slots: dict[str, Weights] = {slot: {} for slot in rule.slots}

    def step(
        self,
        weights: Weights,
        gradients: Mapping[str, Array],
        number: int,
        lr: float | None = None,
    ) -> None:
        """Update weights in place.

        Args:
            weights: Arrays by name.
            gradients: Arrays of the same shapes for those that are updated.
            number: The number of the step, from 1.
            lr: Its learning rate, if that is not the rule's.
        """
        for name, gradient in gradients.items():
            w = weights[name]
            rate = w.dtype.type(self.rule.lr if lr is None else lr)
            decay = self.rule.weight_decay if self._decays is None else self._decays[name]
            if self.rule.name == "adamw":
                w *= w.dtype.type(1) - rate * w.dtype.type(decay)
            else:
                gradient = gradient + w.dtype.type(decay) * w
            w -= rate * self._direction(name, gradient, number)

    def _direction(self, name: str, g: Array, number: int) -> Array:
        rule, kind = self.rule, g.dtype.type
        match rule.name:
            case "sgd":
                if not rule.momentum:
                    return g
                velocity = self._keep("momentum", name, rule.momentum, g)
                return g + kind(rule.momentum) * velocity if rule.nesterov else velocity
            case "rmsprop":
                square = self._keep("mean_square", name, rule.alpha, kind(1 - rule.alpha) * g * g)
                scaled: Array = g / (np.sqrt(square) + kind(rule.eps))
                if not rule.momentum:
                    return scaled
                return self._keep("momentum", name, rule.momentum, scaled)
            case _:
                first = self._keep("moment1", name, rule.beta1, kind(1 - rule.beta1) * g)
                second = self._keep("moment2", name, rule.beta2, kind(1 - rule.beta2) * g * g)
                mean = first / kind(1 - rule.beta1**number)
                square = second / kind(1 - rule.beta2**number)
                result: Array = mean / (np.sqrt(square) + kind(rule.eps))
                return result

    def _keep(self, slot: str, name: str, kept: float, new: Array) -> Array:
        """Keep a share of a slot, add something to it, and return its value."""
        values = self.slots[slot]
        values[name] = new.dtype.type(kept) * values.get(name, np.zeros_like(new)) + new
        return values[name]


def named(name: str, lr: float) -> Written:
    """Return a rule of ``RULES`` with another learning rate."""
    return Written(replace(RULES[name], lr=lr))


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
