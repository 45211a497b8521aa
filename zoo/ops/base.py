"""What an operation is: fields, a shape rule and a meaning."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from zoo.graphs.nodes import Node, Parameter
from zoo.graphs.shapes import Shape, text_of
from zoo.ops.fields import Layer

Array = npt.NDArray[np.floating[Any]]


class ShapeError(ValueError):
    """Inputs do not fit an operation; the expansion adds which node, file and line."""


@dataclass(frozen=True)
class Inferred:
    """What an operation makes of its inputs: all that a node needs beside its name."""

    shape: Shape
    attributes: Mapping[str, Any] = field(default_factory=dict)
    parameters: tuple[Parameter, ...] = ()
    macs: int = 0
    layout: Shape | None = None


class Op(Layer):
    """An operation of the spec language.

    A subclass declares ``op: Literal["its_name"]``, its fields, how it infers shapes, and what it
    means. The fields are resolved by the time ``infer`` is called: no expressions are left.
    """

    op: str

    #: Whether each value of the output depends on the same value of the input alone, so that a
    #: flattened map passes through in whatever order it is held.
    elementwise: ClassVar[bool] = False
    #: How many inputs it takes: (least, most).
    arity: ClassVar[tuple[int, int]] = (1, 1)

    @abstractmethod
    def infer(self, inputs: Sequence[Shape], layout: Shape | None) -> Inferred:
        """Give the output's shape and everything else a builder must know.

        Args:
            inputs: Shapes of the inputs, without the batch.
            layout: For a flattened map, its ``(C, H, W)``; see :class:`zoo.graphs.nodes.Node`.

        Raises:
            ShapeError: The inputs do not fit.
        """

    @staticmethod
    @abstractmethod
    def meaning(node: Node, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        """Compute the operation in NumPy, in evaluation mode: its definition, without speed.

        Args:
            node: The node.
            inputs: One array an input, batch first, NCHW or [N, features].
            weights: Local parameter name -> array.

        Returns:
            The output, in the dtype of the inputs.
        """


def map_of(shape: Shape) -> tuple[int, int, int]:
    """Return a shape that must be a map's."""
    if len(shape) != 3:
        raise ShapeError(f"expected a map (channels, height, width), got {text_of(shape)}")
    return shape[0], shape[1], shape[2]


def pair(value: int | Sequence[int]) -> tuple[int, int]:
    """Return (height, width) of a field that may be one number."""
    return (value, value) if isinstance(value, int) else (value[0], value[1])
