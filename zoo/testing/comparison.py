"""Compares what a hand-written model computes with a spec, and reports where they diverge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from zoo import ops
from zoo.api.models import Array
from zoo.graphs.graph import Graph
from zoo.graphs.nodes import Node
from zoo.graphs.shapes import text_of
from zoo.testing.calls import Match
from zoo.testing.handwritten import HandWritten
from zoo.verification import tolerances
from zoo.verification.comparison import error
from zoo.verification.conditioned_weights import rounding
from zoo.views.difference.changes import settings


@dataclass
class Comparison:
    """Compares the values of a hand-written model with those of the spec's network."""

    hand_written: HandWritten
    graph: Graph
    x: Array
    weights: Mapping[str, Array]
    tolerance: float | None

    def __post_init__(self) -> None:
        self.reference: dict[str, Array] = {"input": self.x.astype(np.float64)}
        self.reference.update(ops.steps(self.graph, self.x, self.weights))
        self.matched: list[Node] = []
        self.matches: Mapping[str, Match] = {}
        if self.tolerance is None:
            self.tolerance = self._default_tolerance()

    def _default_tolerance(self) -> float:
        if {value.dtype for value in self.weights.values()} == {np.dtype(np.float64)}:
            return tolerances.FORWARD["float64"]
        rounding_error = rounding(self.graph, self.x, self.weights, self.reference)
        if not np.isfinite(rounding_error):  # for example, with NaN among the weights
            return tolerances.FORWARD["float32"]
        return max(tolerances.FORWARD["float32"], tolerances.ROUNDING_FACTOR * rounding_error)

    def check(
        self, result: Any, matches: Mapping[str, Match], expected: Mapping[str, Array]
    ) -> None:
        """Compare every node in the order of computation, and then the outputs.

        Args:
            result: What the hand-written model returned.
            matches: Node name -> the values that the hand-written model may compute there.
            expected: Node name -> value, where it is not to be compared with NumPy's.

        Raises:
            AssertionError: The error of a node exceeds the tolerance; reports the first such node.
        """
        assert self.tolerance is not None
        self.matches = matches
        suspected: AssertionError | None = None
        for node in self.graph.nodes:
            if node.name not in matches:
                continue
            match = matches[node.name]
            target = expected.get(node.name, self.reference[node.name])
            errors = [error(value, target) for value in match.values]
            best = min(
                range(len(errors)),
                key=lambda i: (match.values[i].shape != target.shape, errors[i]),
            )
            if errors[best] <= self.tolerance:
                self.matched.append(node)
                continue
            call = best if match.call is None else match.call
            message = self._divergence(node, match.values[call], errors[call], match)
            if match.certain:
                raise suspected or AssertionError(message)
            # The module only has the node's name, so it may be something else. Report it only if a
            # certain mismatch follows.
            if match.call is not None and match.values[call].shape == target.shape:
                suspected = suspected or AssertionError(message)
        self._check_outputs(result, suspected)

    def _check_outputs(self, result: Any, suspected: AssertionError | None) -> None:
        assert self.tolerance is not None
        names = [output.name for output in self.graph.outputs]
        values = by_output(result, names, self.hand_written.title, self.graph.name)
        for name, node in self.graph.output_nodes.items():
            value = self.hand_written.canonical(np.asarray(values[name]), node)
            deviation = error(value, self.reference[node.name])
            if not deviation <= self.tolerance:
                raise suspected or AssertionError(
                    self._output_mismatch(name, node, value, deviation)
                )

    def _output_mismatch(self, name: str, node: Node, value: Array, deviation: float) -> str:
        if node not in self.matched:
            return self._divergence(node, value, deviation, prefix=f"output {name}, ")
        text = (
            f"{self.hand_written.title} is not {self.graph.name}: all compared nodes match, up to "
            f"{_describe(node)}; only the returned output {name} differs: "
            f"{self._mismatch(node, value, deviation)}"
        )
        logits = self.reference[node.name]
        exponentials = np.exp(logits - logits.max(1, keepdims=True))
        softmax = exponentials / exponentials.sum(1, keepdims=True)
        assert self.tolerance is not None
        allowed = max(self.tolerance, 1e-5)
        uniform = np.ptp(softmax, axis=1).max() <= allowed  # as other functions' values may be
        if error(value, softmax) <= allowed and not uniform:
            text += f".\nIt is the softmax of {node.name}; the spec returns {node.name} itself"
        return text

    def _mismatch(self, node: Node, value: Array, deviation: float) -> str:
        """How a value differs from the reference."""
        if value.shape != self.reference[node.name].shape:
            return f"{self.hand_written.title} has {text_of(value.shape[1:])} there"
        models = (
            (self.hand_written.title, value),
            ("the spec's network", self.reference[node.name]),
        )
        for title, array in models:
            if not np.isfinite(array).all():
                return f"{title} has {'NaN' if np.isnan(array).any() else 'infinity'} there"
        return f"error {deviation:.1e} above {self.tolerance:.1e}"

    def _divergence(
        self,
        node: Node,
        value: Array,
        deviation: float,
        match: Match | None = None,
        prefix: str = "",
    ) -> str:
        uncompared = self._uncompared_before(node)
        text = f"{self.hand_written.title} is not {self.graph.name}: they diverge at "
        text += f"{prefix}{_describe(node)}: " + self._mismatch(node, value, deviation)
        missing = self._missing_node(node, uncompared, value)
        if missing:
            text += (
                f".\nWithout {_describe(missing)} the spec computes the same value: the model "
                "may omit this node"
            )
        elif uncompared:
            listed = ", ".join(_describe(node) for node in uncompared)
            text += f".\nNodes before it that were not matched with any module: {listed}"
        elif stated := settings(node):
            listed = ", ".join(f"{key}={value}" for key, value in stated.items())
            text += f".\nAll nodes before it match. The spec has {node.op} with {listed}"
        else:
            text += ".\nAll nodes before it match"
        if match and match.activation and not _is_called(node, match.activation):
            text += f".\nThe layer has a built-in activation, {match.activation}"
        if match and not match.certain:
            text += f".\nThe module named {node.name} was assumed to be this node"
        return text

    def _uncompared_before(self, node: Node) -> list[Node]:
        """The nodes that lead to ``node``, back to those that were compared."""
        compared = {node.name for node in self.matched}
        inputs, uncompared = set(node.inputs), []
        for candidate in reversed(self.graph.nodes):
            if candidate.name in inputs and candidate.name not in compared:
                uncompared.append(candidate)
                inputs |= set(candidate.inputs)
        return uncompared[::-1]

    def _missing_node(self, node: Node, uncompared: Sequence[Node], value: Array) -> Node | None:
        """A node without which the spec computes what the hand-written model does.

        A module that holds a node's parameters and runs is no sign that the node is missing, even
        if it changes little, as a batch norm does with fresh statistics and another epsilon.
        """
        assert self.tolerance is not None
        nodes = (*uncompared, node)
        for candidate in nodes:
            if candidate.parameters and candidate.name in self.matches:
                continue
            if len(candidate.inputs) != 1 or candidate.input_shapes[0] != candidate.shape:
                continue
            values = {**self.reference, candidate.name: self.reference[candidate.inputs[0]]}
            position = self.graph.nodes.index(candidate)
            for later in nodes:
                if self.graph.nodes.index(later) > position:
                    values[later.name] = self._evaluate(later, values)
            if error(value, values[node.name]) <= self.tolerance:
                return candidate
        return None

    def _evaluate(self, node: Node, values: Mapping[str, Array]) -> Array:
        parameters = {
            p.name.removeprefix(f"{node.name}."): self.weights[p.name].astype(np.float64)
            for p in node.parameters
        }
        inputs = [values[name] for name in node.inputs]
        return ops.OPS[node.op].meaning(node, inputs, parameters)


def by_output(result: Any, names: Sequence[str], title: str, network: str) -> dict[str, Any]:
    """Return a model's outputs by the spec's names; a sequence must be in the spec's order."""
    if isinstance(result, Mapping):
        outputs = dict(result)
    elif isinstance(result, list | tuple):
        if len(result) != len(names):
            raise AssertionError(
                f"{title} is not {network}: it returns {len(result)} outputs, the spec has "
                f"{len(names)}: {', '.join(names)}"
            )
        outputs = dict(zip(names, result, strict=True))
    else:
        outputs = {names[0]: result}
    if set(outputs) != set(names):
        raise AssertionError(
            f"{title} is not {network}: it returns {', '.join(map(str, outputs))}, the spec has "
            f"{', '.join(names)}"
        )
    return outputs


def _is_called(node: Node, activation: str) -> bool:
    """Tell whether an activation of a framework is the operation of a node, by its name."""
    names = (node.op, *ops.OPS[node.op].words)
    return activation.lower() in map(str.lower, names)


def _describe(node: Node) -> str:
    return f"{node.name} ({node.op}, {text_of(node.shape)})"
