"""The nodes of a graph, and their parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from zoo.graphs.frozen import freeze
from zoo.graphs.shapes import Map, NodeShape, Shape, named


@dataclass(frozen=True, slots=True)
class Parameter:
    """One array of a node: a trainable weight, or a running statistic.

    Attributes:
        name: Canonical name, ``<node>.<local name>``.
        shape: Shape in the canonical layout.
        constant: Its initial value; None for weights, which are drawn at random.
        fan_in: The number of inputs that one output sums over; initializers scale by it.
        fan_out: The number of outputs that one input contributes to.
        trainable: False for running statistics.
    """

    name: str
    shape: Shape
    constant: float | None = None
    fan_in: int = 0
    fan_out: int = 0
    trainable: bool = True

    def of(self, node: str) -> Parameter:
        """Return this parameter, which has a local name, as a parameter of a node."""
        return self._renamed(f"{node}.{self.name}")

    def moved(self, block: str, old: int) -> Parameter:
        """Return the same parameter in another block; see :meth:`Node.moved`."""
        return self._renamed(block + self.name[old:])

    def _renamed(self, name: str) -> Parameter:
        return Parameter(name, self.shape, self.constant, self.fan_in, self.fan_out, self.trainable)

    @property
    def size(self) -> int:
        """Number of values."""
        size = 1
        for n in self.shape:
            size *= n
        return size


@dataclass(frozen=True, slots=True)
class Node:
    """One operation.

    Attributes:
        name: Path name, unique in the graph.
        op: Name of the operation, such as ``conv``.
        inputs: Names of the nodes it reads; ``input`` is the network's own input.
        input_shapes: Their shapes.
        shape: Shape of its output.
        attributes: The settings of the operation; see ``zoo.ops``.
        parameters: Its parameters, in order.
        macs: Multiply-accumulates for one example; 0 for operations that have none.
        layout: ``(C, H, W)`` if the output is a flattened map of that shape, with its elements
            still in order. Frameworks that compute in HWC have it in HWC order.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    input_shapes: tuple[NodeShape, ...]
    shape: NodeShape
    attributes: Mapping[str, Any] = field(default_factory=dict)
    parameters: tuple[Parameter, ...] = ()
    macs: int = 0
    layout: Map | None = None

    def __post_init__(self) -> None:
        set_field = object.__setattr__
        set_field(self, "attributes", freeze(self.attributes))
        set_field(self, "shape", named(self.shape))
        set_field(self, "input_shapes", tuple([named(shape) for shape in self.input_shapes]))

    def moved(self, block: str, old: int, source: str) -> Node:
        """Return the same node in another block.

        Args:
            block: Path name of the block.
            old: Number of characters of the path name of the block that the node is in now.
            source: Name of the node that the new block reads.
        """
        within = self.name[: old + 1]
        path = block + self.name[old:]
        return Node(
            path,
            self.op,
            tuple([block + s[old:] if s.startswith(within) else source for s in self.inputs]),
            self.input_shapes,
            self.shape,
            self.attributes,
            tuple([p.moved(block, old) for p in self.parameters]),
            self.macs,
            self.layout,
        )

    def __hash__(self) -> int:
        return hash(self.name)

    def __deepcopy__(self, memo: object) -> Node:
        return self  # immutable

    @property
    def num_parameters(self) -> int:
        """Number of trainable values."""
        return sum(p.size for p in self.parameters if p.trainable)
