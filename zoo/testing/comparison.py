"""Compares what a hand-written model computes with a spec, and reports where it diverges."""

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
from zoo.testing.calls import Seen
from zoo.testing.handwritten import HandWritten
from zoo.verification import tolerances
from zoo.verification.comparison import error
from zoo.verification.conditioned import rounding


@dataclass
class Comparison:
    """Compares values of a hand-written model with those of the spec's network."""

    mine: HandWritten
    graph: Graph
    x: Array
    weights: Mapping[str, Array]
    tolerance: float | None

    def __post_init__(self) -> None:
        self.reference: dict[str, Array] = {"input": self.x.astype(np.float64)}
        self.reference.update(ops.steps(self.graph, self.x, self.weights))
        self.agreed: list[Node] = []
        kinds = {value.dtype for value in self.weights.values()}
        double = kinds == {np.dtype(np.float64)}
        if self.tolerance is None:
            cost = 0.0 if double else rounding(self.graph, self.x, self.weights, self.reference)
            usual = tolerances.FORWARD["float64" if double else "float32"]
            # With NaN among the weights the rounding error is NaN.
            self.tolerance = (
                max(usual, tolerances.ROUNDING_FACTOR * cost) if np.isfinite(cost) else usual
            )

    def check(self, result: Any, seen: Mapping[str, Seen], values: Mapping[str, Array]) -> None:
        """Compare every node in the order of computation, and then what the models return.

        Args:
            result: What the hand-written model returned.
            seen: The values it may have at nodes.
            values: The spec's network's values, where they are not NumPy's.

        Raises:
            AssertionError: Reports the first node whose error exceeds the tolerance.
        """
        assert self.tolerance is not None
        alike: AssertionError | None = None
        for node in self.graph.nodes:
            if node.name not in seen:
                continue
            each = seen[node.name]
            aim = values.get(node.name, self.reference[node.name])
            far = {i: error(value, aim) for i, value in enumerate(each.values)}
            best = min(far, key=lambda i: (each.values[i].shape != aim.shape, far[i]))
            if far[best] <= self.tolerance:
                self.agreed.append(node)
                continue
            own = best if each.call is None else each.call
            message = self._divergence(node, each.values[own], far[own], each)
            if each.sure:
                raise alike or AssertionError(message)
            # With only the name in common, it may be another node: it locates a difference, if any.
            if each.call is not None and each.values[own].shape == aim.shape:
                alike = alike or AssertionError(message)
        self._check_outputs(result, alike)

    def _check_outputs(self, result: Any, alike: AssertionError | None) -> None:
        assert self.tolerance is not None
        names = [output.name for output in self.graph.outputs]
        values = by_output(result, names, self.mine.title, self.graph.name)
        for name, node in self.graph.output_nodes.items():
            value = self.mine.canonical(np.asarray(values[name]), node)
            far = error(value, self.reference[node.name])
            if not far <= self.tolerance:
                raise alike or AssertionError(self._returned(name, node, value, far))

    def _returned(self, name: str, node: Node, value: Array, far: float) -> str:
        if node not in self.agreed:
            return self._divergence(node, value, far, what=f"output {name}, ")
        text = (
            f"{self.mine.title} is not {self.graph.name}: every node compared agrees, up to "
            f"{_described(node)}; only what it returns as {name} differs: "
            f"{self._apart(node, value, far)}"
        )
        logits = self.reference[node.name]
        shares = np.exp(logits - logits.max(1, keepdims=True))
        assert self.tolerance is not None
        if error(value, shares / shares.sum(1, keepdims=True)) <= max(self.tolerance, 1e-5):
            text += f".\nIt is the softmax of {node.name}, and the spec returns {node.name} itself"
        return text

    def _apart(self, node: Node, value: Array, far: float) -> str:
        """How a value differs."""
        if value.shape != self.reference[node.name].shape:
            return f"{self.mine.title} has {text_of(value.shape[1:])} there"
        sides = ((self.mine.title, value), ("the spec's network", self.reference[node.name]))
        for whose, each in sides:
            if not np.isfinite(each).all():
                return f"{whose} has {'NaN' if np.isnan(each).any() else 'infinity'} there"
        return f"error {far:.1e} above {self.tolerance:.1e}"

    def _divergence(
        self, node: Node, value: Array, far: float, seen: Seen | None = None, what: str = ""
    ) -> str:
        between = self._between(node)
        text = f"{self.mine.title} is not {self.graph.name}: they diverge at "
        text += f"{what}{_described(node)}: " + self._apart(node, value, far)
        culprit = self._left_out(node, between, value)
        if culprit:
            text += (
                f".\nWithout {_described(culprit)} the spec computes exactly that: it is left out"
            )
        elif between:
            listed = ", ".join(_described(each) for each in between)
            text += f".\nBefore it the spec has nodes that no module was compared with: {listed}"
        elif node.attributes:
            settings = ", ".join(f"{k}={v}" for k, v in node.attributes.items())
            text += f".\nEverything before it agrees. The spec has {node.op} with {settings}"
        else:
            text += ".\nEverything before it agrees"
        if seen and seen.inside:
            text += f".\nThe layer has a built-in activation, {seen.inside}"
        if seen and not seen.sure:
            text += f".\nThe module named {node.name} was assumed to be this node"
        return text

    def _between(self, node: Node) -> list[Node]:
        """The nodes that lead to one, back to those that were compared."""
        compared = {each.name for each in self.agreed}
        wanted, found = set(node.inputs), []
        for each in reversed(self.graph.nodes):
            if each.name in wanted and each.name not in compared:
                found.append(each)
                wanted |= set(each.inputs)
        return found[::-1]

    def _left_out(self, node: Node, between: Sequence[Node], value: Array) -> Node | None:
        """The node without which the spec computes what the hand-written model does."""
        assert self.tolerance is not None
        for each in (*between, node):
            if len(each.inputs) == 1 and each.input_shapes[0] == each.shape:
                path = [n for n in (*between, node) if n is not each]
                values = {**self.reference, each.name: self.reference[each.inputs[0]]}
                for step in path:
                    if self.graph.nodes.index(step) > self.graph.nodes.index(each):
                        values[step.name] = self._value(step, values)
                if error(value, values[node.name]) <= self.tolerance:
                    return each
        return None

    def _value(self, node: Node, values: Mapping[str, Array]) -> Array:
        local = {
            p.name.removeprefix(f"{node.name}."): self.weights[p.name].astype(np.float64)
            for p in node.parameters
        }
        return ops.OPS[node.op].meaning(node, [values[name] for name in node.inputs], local)


def by_output(result: Any, names: Sequence[str], title: str, network: str) -> dict[str, Any]:
    """Return a model's outputs by the spec's names; a sequence is in their order."""
    if isinstance(result, Mapping):
        found = dict(result)
    elif isinstance(result, list | tuple):
        found = dict(zip(names, result, strict=False)) if len(result) == len(names) else {}
        if not found:
            raise AssertionError(
                f"{title} is not {network}: it returns {len(result)} outputs, the spec has "
                f"{len(names)}: {', '.join(names)}"
            )
    else:
        found = {names[0]: result}
    if set(found) != set(names):
        raise AssertionError(
            f"{title} is not {network}: it returns {', '.join(map(str, found))}, the spec has "
            f"{', '.join(names)}"
        )
    return found


def _described(node: Node) -> str:
    return f"{node.name} ({node.op}, {text_of(node.shape)})"
