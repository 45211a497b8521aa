"""Writes the nodes and the constants of an ONNX graph."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from onnx import NodeProto, TensorProto, helper

from zoo.graphs.nodes import Node

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]


class Writer:
    """Collects what the layers of a network add to an ONNX graph.

    The ONNX node that gives the value of a node of the network has the network's name for it. What
    else an operation needs has that name and a suffix, as in ``norm1/squares``.

    Attributes:
        dtype: The dtype of the weights.
        opset: The version of ONNX's operations.
        nodes: The ONNX nodes, in an order in which they can be computed.
        constants: Name -> array, for values that are no weights of the network.
    """

    def __init__(self, dtype: np.dtype[Any], opset: int) -> None:
        self.dtype, self.opset = dtype, opset
        self.nodes: list[NodeProto] = []
        self.constants: dict[str, Array] = {}

    @property
    def exact(self) -> bool:
        """Whether values must be exact beyond float32, which is what ONNX's attributes are."""
        return self.dtype == np.float64

    def add(
        self, op_type: str, name: str, inputs: Iterable[str], value: str = "", **attributes: Any
    ) -> str:
        """Add an ONNX node with one output; return the name of its value, by default its own."""
        value = value or name
        node = helper.make_node(op_type, list(inputs), [value], name, **attributes)
        self.nodes.append(node)
        return value

    def constant(self, name: str, value: Any, dtype: Any = None) -> str:
        """Add a constant, of the dtype of the weights if none is given, and return its name."""
        self.constants[name] = np.asarray(value, self.dtype if dtype is None else dtype)
        return name

    def integers(self, name: str, values: Iterable[int]) -> str:
        """Add a vector of integers, such as axes or a shape, and return its name."""
        return self.constant(name, list(values), np.int64)


class Layer:
    """A node of the network that is being written: its settings, its values and its parts.

    Attributes:
        node: The node.
        inputs: The names of the values that it reads.
        value: The name of the value that it gives.
        writer: Where its ONNX nodes go.
    """

    def __init__(self, node: Node, inputs: list[str], value: str, writer: Writer) -> None:
        self.node, self.inputs, self.value, self.writer = node, inputs, value, writer
        self.attributes: Mapping[str, Any] = node.attributes
        self._weights = {p.name.rpartition(".")[2]: p.name for p in node.parameters}

    @property
    def x(self) -> str:
        """The name of the only value that it reads."""
        (name,) = self.inputs
        return name

    @property
    def exact(self) -> bool:
        """Whether float32 attributes do not suffice."""
        return self.writer.exact

    @property
    def half(self) -> bool:
        """Whether values have 16 bits."""
        return self.writer.dtype.itemsize == 2

    def weight(self, name: str) -> str | None:
        """The initializer of a parameter, by its local name; None if the layer has none such."""
        return self._weights.get(name)

    def result(self, op_type: str, *inputs: str | None, **attributes: Any) -> None:
        """Add the ONNX node that gives the value of the node."""
        self.writer.add(op_type, self.node.name, filter(None, inputs), self.value, **attributes)

    def part(self, suffix: str, op_type: str, *inputs: str | None, **attributes: Any) -> str:
        """Add an ONNX node that the operation needs beside, and return its value."""
        name = f"{self.node.name}/{suffix}"
        return self.writer.add(op_type, name, filter(None, inputs), **attributes)

    def constant(self, suffix: str, value: Any) -> str:
        """Add a constant of the dtype of the weights, and return its name."""
        return self.writer.constant(f"{self.node.name}/{suffix}", value)

    def integers(self, suffix: str, *values: int) -> str:
        """Add a vector of integers, and return its name."""
        return self.writer.integers(f"{self.node.name}/{suffix}", values)

    def per_channel(self, name: str) -> str | None:
        """A parameter [C], with axes of one pixel behind it where the layer reads a map."""
        weight = self.weight(name)
        if weight is None or len(self.node.shape) == 1:
            return weight
        return self.part(f"{name}_of_map", "Unsqueeze", weight, self.axes(1, 2))

    def axes(self, *axes: int) -> str:
        """Add a vector of axes, and return its name."""
        return self.integers("axes" + "".join(f"_{axis}" for axis in axes), *axes)


#: The dtypes that a model may have -> ONNX's own number.
DTYPES = {
    "float32": TensorProto.FLOAT,
    "float64": TensorProto.DOUBLE,
    "float16": TensorProto.FLOAT16,
    "bfloat16": TensorProto.BFLOAT16,
}
