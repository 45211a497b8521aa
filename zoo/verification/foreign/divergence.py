"""Says where an ONNX program diverges from a network, and what each has there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from zoo.graphs.graph import Graph
from zoo.graphs.nodes import Node
from zoo.graphs.shapes import text_of
from zoo.verification.comparison import Array
from zoo.verification.foreign.matching import Match, Values
from zoo.weights.checking import shown
from zoo.weights.reading.onnx_file import PARAMETERS, Operation

#: zoo's operation -> ONNX's operations that can compute it.
_COUNTERPARTS: Mapping[str, tuple[str, ...]] = {
    "conv": ("Conv",),
    "linear": ("Gemm", "MatMul"),
    "batch_norm": ("BatchNormalization",),
    "layer_norm": ("LayerNormalization",),
    "lrn": ("LRN",),
    "relu": ("Relu",),
    "relu6": ("Clip",),
    "sigmoid": ("Sigmoid",),
    "tanh": ("Tanh",),
    "hard_sigmoid": ("HardSigmoid",),
    "hard_swish": ("HardSwish",),
    "gelu": ("Gelu",),
    "softmax": ("Softmax",),
    "max_pool": ("MaxPool",),
    "avg_pool": ("AveragePool",),
    "global_avg_pool": ("GlobalAveragePool", "ReduceMean", "AveragePool"),
    "adaptive_avg_pool": ("GlobalAveragePool", "AveragePool"),
    "concat": ("Concat",),
    "add": ("Add", "Sum"),
    "multiply": ("Mul",),
    "flatten": ("Flatten", "Reshape"),
    "pad": ("Pad",),
}
_PASSING = ("Identity", "Dropout", "Pad", "Cast")  # operations that may come before another
_EPSILON = 1e-5  # of ONNX's normalizations, unless they state another


@dataclass(frozen=True)
class Comparison:
    """What is known of a network and a program that were run on the same input.

    Attributes:
        graph: The network.
        reference: Node name -> its value in float64; also ``input``.
        operations: The program's.
        values: The program's.
        matches: Node name -> the values that equal it; empty if there is none.
        arrays: Canonical name -> the program's array that it was read from.
        given: The name of the program's input.
        tolerance: The largest error of equal values.
    """

    graph: Graph
    reference: Mapping[str, Array]
    operations: Sequence[Operation]
    values: Values
    matches: Mapping[str, Sequence[Match]]
    arrays: Mapping[str, str]
    given: str
    tolerance: float

    def divergence(self, outputs_differ: bool) -> str:
        """Describe the first node at which the program diverges; empty if there is none.

        A node without an equal value may be merged with a later one. It diverges only if no node
        that depends on it has an equal value, or if one operation has all its parameters.

        Args:
            outputs_differ: Whether an output does.
        """
        lost = self._without_equal_successors() if outputs_differ else set()
        for node in self.graph.nodes:
            anchor = self._anchor(node)
            if anchor is not None and (text := _other_epsilon(node, anchor)):
                return f"{_describe(node)}: {_named(anchor)} {text}"
            if self.matches[node.name]:
                continue
            certain = (
                anchor is not None
                and self._is_whole(node, anchor)
                and all(self._equal(name) for name in node.inputs)
            )
            if certain or node.name in lost:
                return f"{_describe(node)}: {self._difference(node, anchor)}"
        return ""

    def _without_equal_successors(self) -> set[str]:
        """Return the nodes on which no node with an equal value depends."""
        followed: set[str] = set()
        lost: set[str] = set()
        for node in reversed(self.graph.nodes):
            if self.matches[node.name] or node.name in followed:
                followed.update(node.inputs)
            else:
                lost.add(node.name)
        return lost

    def _equal(self, name: str) -> Sequence[str]:
        """Return the program's values that equal that of a node, or the input."""
        if name == "input":
            return [self.given]
        node = self.graph.node(name)
        return [match.value for match in self.matches[node.name]]

    def _anchor(self, node: Node) -> Operation | None:
        """Return the operation that reads a node's parameters."""
        arrays = {self.arrays[p.name] for p in node.parameters if p.name in self.arrays}
        kinds = _COUNTERPARTS.get(node.op, ())
        readers = (each for each in self.operations if each.op in kinds and each.op in PARAMETERS)
        return next((each for each in readers if arrays & self._read_by(each)), None)

    def _read_by(self, operation: Operation) -> set[str]:
        """Return the arrays that an operation reads, also by their further names."""
        names = set(operation.inputs[1:])
        for other in self.operations:
            if other.op in ("Identity", "Transpose") and names.intersection(other.outputs):
                names.update(other.inputs)
        return names

    def _is_whole(self, node: Node, anchor: Operation) -> bool:
        """Tell whether an operation has all parameters of a node, and no other array."""
        arrays = {self.arrays.get(parameter.name, "") for parameter in node.parameters}
        return arrays <= self._read_by(anchor) and len(arrays) == len(anchor.inputs) - 1

    def _difference(self, node: Node, anchor: Operation | None) -> str:
        """Describe what the program has in the place of a node."""
        operation = anchor or self._counterpart(node)
        spec = _settings(node.attributes.items())
        spec = f"the spec has {node.op}{spec}{self._order(node.inputs)}"
        if operation is None:
            return f"no value of the file equals it; {spec}{self._what_follows(node)}"
        name, text = operation.outputs[0], ""
        if name in self.values.arrays:
            found, expected = self.values.shape(name), node.shape
            deviation = self.values.error(name, self.reference[node.name])
            text = f"has an error of {deviation:.1e} above {self.tolerance:.1e}"
            if not np.isfinite(deviation):
                text = "has values that are not finite"
                if tuple(found) != tuple(expected):
                    text = f"has {text_of(found)} there"
        own = _settings(operation.settings.items())
        reads = self._order_in_file(operation) if len(node.inputs) > 1 else ""
        return f"{_named(operation)} {text}.\nThe file has {operation.op}{own}{reads}; {spec}"

    def _counterpart(self, node: Node) -> Operation | None:
        """Return the operation that computes the same kind of thing from equal values."""
        kinds = _COUNTERPARTS.get(node.op, ())
        names = {value for name in node.inputs for value in self._equal(name)}
        for _ in range(2):
            readers = [each for each in self.operations if names.intersection(each.inputs)]
            candidates = [each for each in readers if each.op in kinds and each.outputs]
            if candidates:
                return max(candidates, key=lambda each: len(names.intersection(each.inputs)))
            names = {out for each in readers if each.op in _PASSING for out in each.outputs}
        return None

    def _what_follows(self, node: Node) -> str:
        """Describe what the program computes from the values that a node reads."""
        names = {value for name in node.inputs for value in self._equal(name)}
        readers = [each for each in self.operations if names.intersection(each.inputs)]
        if not readers:
            return ""
        listed = ", ".join(map(_named, readers[:3]))
        return f".\nIn the file, {listed} reads {', '.join(node.inputs)}"

    def _order(self, names: Sequence[str]) -> str:
        return f" of {', '.join(names)}" if len(names) > 1 else ""

    def _order_in_file(self, operation: Operation) -> str:
        """Name the nodes whose values an operation reads, in its order."""
        names = {
            match.value: node.name
            for node in reversed(self.graph.nodes)
            for match in self.matches[node.name]
        }
        return self._order([names.get(name, shown(name)) for name in operation.inputs])


def _other_epsilon(node: Node, anchor: Operation) -> str:
    """Describe an epsilon that differs from the spec's, also where values hardly show it."""
    if "eps" not in node.attributes:
        return ""
    epsilon, expected = anchor.number("epsilon", _EPSILON), float(node.attributes["eps"])
    if np.float32(epsilon) == np.float32(expected):
        return ""
    return f"has an epsilon of {epsilon:.6g}, the spec has {expected:g}"


def _settings(pairs: Iterable[tuple[str, object]]) -> str:
    listed = ", ".join(f"{shown(name)}={shown(value)}" for name, value in list(pairs)[:20])
    return f" with {listed}" if listed else ""


def _named(operation: Operation) -> str:
    return f"{operation.op} {shown(operation.name or ', '.join(operation.outputs))!r}"


def _describe(node: Node) -> str:
    return f"{node.name} ({node.op}, {text_of(node.shape)})"
