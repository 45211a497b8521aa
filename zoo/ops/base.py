"""The base class of operations: fields, a shape rule, a definition in NumPy, and test cases."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from zoo.graphs.nodes import Node, Parameter
from zoo.graphs.shapes import Map, NodeShape, Vector, text_of
from zoo.ops import field_hints
from zoo.ops.cases import Case, Draw
from zoo.ops.fields import Layer
from zoo.ops.grammar import Field

Array = npt.NDArray[np.floating[Any]]


class ShapeError(ValueError):
    """The inputs do not fit an operation; the expansion adds the node, the file and the line."""


@dataclass(frozen=True)
class Inferred:
    """The result of shape inference: everything that a node needs besides its name."""

    shape: NodeShape
    attributes: Mapping[str, Any] = field(default_factory=dict)
    parameters: tuple[Parameter, ...] = ()
    macs: int = 0
    layout: Map | None = None


class Op(Layer):
    """An operation of the spec language.

    A subclass is registered with :func:`zoo.ops.registry.operation`. It declares its fields,
    infers shapes, and defines what it computes. When ``infer`` is called, every expression has been
    evaluated. The first paragraph of its docstring appears in the documentation.
    """

    tags = frozenset({"op"})

    #: Its name in specs. Registration sets this and the next two attributes.
    op: ClassVar[str]
    #: One of ``zoo.ops.registry.FAMILIES``, which determines its color in drawings.
    family: ClassVar[str]
    #: What frameworks call it, case-insensitive: ``("Conv2D", "Conv2d")``.
    words: ClassVar[tuple[str, ...]] = ()

    #: Whether each value of the output depends only on the same value of the input, so that a
    #: flattened map can pass through in any order of its elements.
    elementwise: ClassVar[bool] = False
    #: Whether its output has the same height and width for inputs of every size.
    fixes_size: ClassVar[bool] = False
    #: How many inputs it takes: (minimum, maximum).
    arity: ClassVar[tuple[int, int]] = (1, 1)
    #: Backend -> ``module:function`` that makes the framework's layer of a node, for an operation
    #: of another package; zoo's own are in each backend's ``operations.py``.
    implementations: ClassVar[Mapping[str, str]] = {}
    #: Backend -> canonical name of a parameter -> its name in that layer, or (name, order of axes)
    #: as in :class:`zoo.backend.parameters.Slot`; for an operation of another package, where they
    #: differ from the canonical ones.
    parameters: ClassVar[Mapping[str, Mapping[str, str | tuple[str, str]]]] = {}

    @abstractmethod
    def infer(self, inputs: Sequence[NodeShape], layout: Map | None) -> Inferred:
        """Return the shape of the output and everything else that a builder needs.

        Args:
            inputs: Shapes of the inputs, without the batch.
            layout: The shape of the map that a vector was flattened from, if any; see
                :class:`zoo.graphs.nodes.Node`.

        Raises:
            ShapeError: The inputs do not fit.
        """

    @staticmethod
    @abstractmethod
    def meaning(node: Node, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        """Compute the operation in NumPy, in evaluation mode: its definition, clear, not fast.

        Args:
            node: The node.
            inputs: One array for each input, batch first, NCHW or [N, features].
            weights: Local parameter name -> array.

        Returns:
            The output, in the dtype of the inputs.
        """

    @classmethod
    def cases(cls, draw: Draw) -> Case:
        """Draw a small network that tests the operation in every framework.

        An operation whose fields are required, or change what it computes, overrides this.

        Args:
            draw: The source of random choices.
        """
        return Case(draw.integer(1, 3), [{"op": cls.op}])

    @classmethod
    def unknown(cls, key: str) -> str:
        if key == "block":
            return "a layer is an operation (op) or the use of a block (block), not both"
        hint = field_hints.field(cls.op, key, cls.fields)
        return f"unknown field. {hint}" if hint else super().unknown(key)

    @classmethod
    def known(cls) -> list[str]:
        """Return the keys that it may have, its own before those of all layers."""
        return sorted(cls.fields, key=lambda key: key in Layer.fields)

    def given(self) -> dict[str, Any]:
        """Return the values of its own fields that were given, unchanged."""
        fields = self.own_fields()
        return {f.key: self.__dict__[name] for name, f in fields.items() if name in self.__dict__}

    @classmethod
    def own_fields(cls) -> dict[str, Field[Any]]:
        """Return the fields that are not common to all layers, by attribute name."""
        return {f.name: f for key, f in cls.fields.items() if key not in Layer.fields}

    @classmethod
    def _definition(cls, definitions: dict[str, Any]) -> dict[str, Any]:
        definition = super()._definition(definitions)
        definition["properties"] = {"op": {"const": cls.op}, **definition["properties"]}
        definition["required"] = ["op", *definition["required"]]
        return definition


def map_of(shape: NodeShape) -> Map:
    """Return a shape that must be that of a map.

    Raises:
        ShapeError: It is not the shape of a map.
    """
    if not isinstance(shape, Map):
        raise ShapeError(
            "expected a feature map (channels, height, width), got a vector of "
            f"{text_of(shape)} values; put the layer before flatten"
        )
    return shape


def vector_of(shape: NodeShape) -> Vector:
    """Return a shape that must be that of a vector; see :func:`map_of`."""
    if not isinstance(shape, Vector):
        raise ShapeError(
            f"expected a vector, got a feature map {text_of(shape)}; put a flatten before the layer"
        )
    return shape


def channels_of(shape: NodeShape) -> int:
    """Return the number of channels of a map, or of features of a vector."""
    return shape.channels if isinstance(shape, Map) else shape.features


def scale_and_shift(channels: int, scale: bool, shift: bool) -> tuple[Parameter, ...]:
    """Return the parameters of a normalization: an optional scale and shift for each channel."""
    weight = (Parameter("weight", (channels,), 1.0),) if scale else ()
    return weight + ((Parameter("bias", (channels,), 0.0),) if shift else ())


def with_channels(shape: NodeShape, channels: int) -> NodeShape:
    """Return a shape with another number of channels or features."""
    return shape._replace(channels=channels) if isinstance(shape, Map) else Vector(channels)


def per_channel(values: Array, x: Array) -> Array:
    """Reshape one value for each channel to broadcast over a batch of maps or vectors.

    Example:
        >>> per_channel(np.ones(3), np.ones((2, 3, 4, 4))).shape
        (3, 1, 1)
    """
    return values.reshape(-1, *(1,) * (x.ndim - 2))


def pair(value: int | Sequence[int]) -> tuple[int, int]:
    """Return (height, width) of a field that may be one number."""
    return (value, value) if isinstance(value, int) else (value[0], value[1])
