"""Tells whether a network has a loss."""

from __future__ import annotations

from zoo.errors import InputError
from zoo.graphs.graph import Graph
from zoo.graphs.shapes import text_of


def check(graph: Graph, advice: str = "") -> None:
    """Check that a network can be trained: that its outputs are logits of the same classes.

    Args:
        graph: The network.
        advice: What to do with a network that has no loss.

    Raises:
        InputError: It has no classifier, ends in a softmax, or has heads that do not fit together.
    """
    first = graph.outputs[0].name
    logits = graph.output_nodes[first].shape
    for output, node in graph.output_nodes.items():
        if graph.options["num_classes"] == 0:
            reason = "it has no classifier, which zoo.reset_head adds"
        elif node.op == "softmax":
            reason = f"its output {output!r} is a softmax, and a loss takes logits"
        elif len(node.shape) > 1:
            reason = f"its output {output!r} is a map of {text_of(node.shape)}"
        elif node.shape != logits:
            reason = (
                f"its output {output!r} has {node.shape[0]} features, and its output {first!r} has "
                f"{logits[0]}; write out_features: $num_classes in both"
            )
        else:
            continue
        raise InputError(f"{graph.name} cannot be trained: {reason}" + f"; {advice}" * bool(advice))
