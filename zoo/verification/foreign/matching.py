"""Matches the nodes of a network with the values of an ONNX program that are equal to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from zoo.verification.comparison import Array, error

_SAMPLES = 64  # numbers of a value that are compared first


@dataclass(frozen=True)
class Match:
    """A value of the program that equals that of a node."""

    value: str
    error: float


@dataclass
class Values:
    """The values of a program, found by what they are.

    Attributes:
        arrays: Name -> value, in the program's layout.
        channels_last: Whether maps may be [N, H, W, C].
    """

    arrays: Mapping[str, Array]
    channels_last: bool = False
    _by_shape: dict[tuple[int, ...], list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, value in self.arrays.items():
            for form in self._forms(value):
                self._by_shape.setdefault(_key(form.shape), []).append(name)

    def equal_to(self, reference: Array, tolerance: float) -> list[Match]:
        """Return the values within a tolerance of a node's, the closest first."""
        places = np.linspace(0, reference.size - 1, min(reference.size, _SAMPLES)).astype(int)
        sample = reference.ravel()[places]
        allowed = tolerance * float(np.abs(reference).max(initial=0))
        found = []
        for name in dict.fromkeys(self._by_shape.get(_key(reference.shape), ())):
            for value in self._forms(self.arrays[name]):
                if _key(value.shape) != _key(reference.shape):
                    continue
                # Where an error of any number is too large, that of the value is.
                if not (np.abs(value.ravel()[places] - sample) <= allowed).all():
                    continue
                deviation = error(value.reshape(reference.shape), reference)
                if deviation <= tolerance:
                    found.append(Match(name, deviation))
                    break
        return sorted(found, key=lambda match: match.error)

    def error(self, name: str, reference: Array) -> float:
        """Return the error of a value, in the form in which it is smallest."""
        forms = self._forms(self.arrays[name])
        return min(
            (
                error(value.reshape(reference.shape), reference)
                for value in forms
                if _key(value.shape) == _key(reference.shape)
            ),
            default=float("inf"),
        )

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a value without its batch, channels first."""
        value = self.arrays[name]
        if self.channels_last and value.ndim == 4:
            value = value.transpose(0, 3, 1, 2)
        return value.shape[1:]

    def _forms(self, value: Array) -> Iterator[Array]:
        yield value
        if self.channels_last and value.ndim == 4:
            yield value.transpose(0, 3, 1, 2)


def _key(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return a shape without axes of one, which programs add and remove freely."""
    return (*shape[:1], *(size for size in shape[1:] if size != 1))
