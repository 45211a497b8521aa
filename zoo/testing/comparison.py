"""Holds what a hand-written model computes against a spec, and names where it parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from zoo import ops
from zoo.api import Array
from zoo.network import Graph, Node
from zoo.testing.handwritten import HandWritten
from zoo.verification.comparison import error
from zoo.verification.conditioned import rounding
from zoo.verification.results import TOLERANCES
from zoo.verification.training import GRADIENTS


@dataclass
class Comparison:
    """Holds values of a hand-written model against those of the spec's network."""

    mine: HandWritten
    graph: Graph
    x: Array
    weights: Mapping[str, Array]
    tolerance: float | None

    def __post_init__(self) -> None:
        self.reference: dict[str, Array] = {"input": self.x.astype(np.float64)}
        self.reference.update(ops.steps(self.graph, self.x, self.weights))
        double = all(value.dtype == np.float64 for value in self.weights.values())
        if self.tolerance is None:
            cost = 0.0 if double else rounding(self.graph, self.x, self.weights, self.reference)
            self.tolerance = max(TOLERANCES["float64" if double else "float32"], 4 * cost)

    def check_nodes(self, observed: Mapping[str, Array], values: Mapping[str, Array]) -> None:
        """Compare in the order nodes are computed; raise at the first that is too far off."""
        assert self.tolerance is not None
        for node in self.graph.nodes:
            if node.name in observed:
                far = error(observed[node.name], values.get(node.name, self.reference[node.name]))
                if not far <= self.tolerance:
                    raise AssertionError(self._parted(node, observed, far))

    def check_outputs(self, result: Any, observed: Mapping[str, Array]) -> None:
        """Compare what the models return."""
        assert self.tolerance is not None
        names = [output.name for output in self.graph.outputs]
        values = by_output(result, names, self.mine.title, self.graph.name)
        for name, node in self.graph.output_nodes.items():
            value = self.mine.canonical(np.asarray(values[name]), node)
            far = error(value, self.reference[node.name])
            if not far <= self.tolerance:
                raise AssertionError(
                    self._parted(node, {node.name: value}, far, f"output {name}, ")
                )

    def _parted(self, node: Node, observed: Mapping[str, Array], far: float, what: str = "") -> str:
        value = observed[node.name]
        between = self._between(node, observed)
        text = f"{self.mine.title} is not {self.graph.name}: they part at {what}{_told(node)}: "
        if value.shape != self.reference[node.name].shape:
            shape = "x".join(map(str, value.shape[1:]))
            text += f"{self.mine.title} has {shape} there"
        else:
            text += f"error {far:.1e} above {self.tolerance:.1e}"
        culprit = self._left_out(node, between, value)
        if culprit:
            text += f".\nWithout {_told(culprit)} the spec gives just that: it is left out"
        elif between:
            listed = ", ".join(_told(each) for each in between)
            text += f".\nBefore it the spec has, which no module was seen for: {listed}"
        elif node.attributes:
            settings = ", ".join(f"{k}={v}" for k, v in node.attributes.items())
            text += f".\nAll before it agrees. The spec has {node.op} with {settings}"
        else:
            text += ".\nAll before it agrees"
        return text

    def _between(self, node: Node, observed: Mapping[str, Array]) -> list[Node]:
        """The nodes that lead to one, as far back as to those that were compared."""
        wanted, found = set(node.inputs), []
        for each in reversed(self.graph.nodes):
            if each.name in wanted and each.name not in observed:
                found.append(each)
                wanted |= set(each.inputs)
        return found[::-1]

    def _left_out(self, node: Node, between: Sequence[Node], value: Array) -> Node | None:
        """The node without which the spec gives what the hand-written model does."""
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


def check_gradients(
    mine: HandWritten, graph: Graph, x: Array, weights: Mapping[str, Array], labels: Array
) -> None:
    """Hold gradients against those of the spec's network, built in the same framework."""
    backend, dtype = mine.backend, next(iter(weights.values())).dtype.name
    theirs = backend.build(graph, None, dtype, 0)
    backend.set_weights(theirs, weights)
    other = HandWritten(theirs, graph, {})
    names = [output.name for output in graph.outputs]

    def loss(outputs: Any) -> Any:
        return graph.total_loss(
            outputs if len(names) == 1 else by_output(outputs, names, mine.title, graph.name),
            lambda logits, weight: backend.cross_entropy(logits, labels, weight),
        )

    _, own, of_input = backend.differentiate(mine.model, x, loss)
    _, aim, aim_of_input = backend.differentiate(theirs, x, loss)
    own, aim = mine.gradients(own), other.gradients(aim)
    largest = max((float(np.abs(value).max()) for value in aim.values()), default=1.0)
    allowed = GRADIENTS if dtype == "float64" else 1e-4
    for name, value in {**aim, "the input": aim_of_input}.items():
        found = of_input if name == "the input" else own[name]
        far = float(np.abs(found - value).max()) / (
            largest if name != "the input" else float(np.abs(value).max()) or 1.0
        )
        if not far <= allowed:
            raise AssertionError(
                f"{mine.title} is not {graph.name}: the gradient of {name} is off by {far:.1e} of "
                f"the largest, allowed {allowed:.0e}"
            )


def by_output(result: Any, names: Sequence[str], title: str, network: str) -> dict[str, Any]:
    """What a model returned, by the spec's names of outputs; a sequence is in their order."""
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


def _told(node: Node) -> str:
    return f"{node.name} ({node.op}, {'x'.join(map(str, node.shape))})"
