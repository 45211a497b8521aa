"""Computes nodes of a model whose blocks are modules, up to the last one that is wanted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

#: The steps of a block, each with its name, its inputs and what it releases; and its output.
Plan = tuple[tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...], str]


def extract(
    network: Any, x: Any, nodes: Mapping[str, str], plan: Callable[[Any], Plan | None]
) -> dict[str, Any]:
    """Run a network until the values of all nodes are known.

    Args:
        network: The module of the whole network; blocks and layers are attributes.
        x: The input, in the framework's own layout.
        nodes: Name in the result -> path name of a node of the model's graph.
        plan: Returns the steps of a module that is a block; None for a layer.

    Returns:
        Name -> value, as the layer returned it.
    """
    wanted = frozenset(nodes.values())
    found: dict[str, Any] = {}

    def run(block: Any, steps: Plan, x: Any, prefix: str) -> Any:
        program, output = steps
        values = {"input": x}
        for name, sources, releases in program:
            child, path = getattr(block, name), f"{prefix}{name}"
            inputs, inner = [values[source] for source in sources], plan(child)
            if inner and any(node.startswith(f"{path}.") for node in wanted):
                values[name] = run(child, inner, inputs[0], f"{path}.")
            else:
                values[name] = child(*inputs)
            if path in wanted:
                found[path] = values[name]
            if len(found) == len(wanted):
                return values[name]  # nothing reads it any more
            for source in releases:
                del values[source]
        return values[output]

    steps = plan(network)
    assert steps is not None, "a network is a block"
    run(network, steps, x, "")
    return {name: found[path] for name, path in nodes.items()}
