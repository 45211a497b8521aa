"""Builds a graph as a PaddlePaddle layer whose attributes are the spec's own names."""

from __future__ import annotations

import paddle
from paddle import nn

from zoo.backend.base import Initial
from zoo.graphs.blocks import Block, Step
from zoo.graphs.graph import Graph
from zoo.paddle import _private, parameters
from zoo.paddle.operations import OPERATIONS


def build(graph: Graph, draw: Initial | None, dtype: str, seed: int = 0) -> nn.Layer:
    """Build a graph.

    Args:
        graph: The network.
        draw: Gives each parameter's initial value, in the canonical layout and ``dtype``, as an
            array that nobody else holds; None for Paddle's own initialisers.
        dtype: ``float32``, ``float64``, ``float16`` or ``bfloat16``.
        seed: For Paddle's own initialisers; the caller's generators are left as they were.

    Returns:
        The layer, in training mode and on the current device, as Paddle's habit is.
    """
    with paddle.LazyGuard():  # shapes only: no value is drawn that draw would overwrite
        model = Network(graph, dtype)
    if draw is None:
        _initialize(model, seed)
    else:
        for node in graph.nodes:
            for parameter in node.parameters:
                parameters.fill(model, node.op, parameter.name, draw(parameter))
    return model.to(paddle.get_device(), dtype)


def _initialize(model: nn.Layer, seed: int) -> None:
    """Draw by Paddle's own initialisers."""
    states = {device: paddle.get_rng_state(device) for device in ("cpu", paddle.get_device())}
    paddle.seed(seed)
    try:
        for parameter in model.parameters():
            parameter.initialize()
    finally:
        for device, state in states.items():
            paddle.set_rng_state(state, device)


class Stack(nn.Layer):
    """A block of the spec: its layers as attributes, computed in the spec's order."""

    def __init__(self, block: Block, dtype: str) -> None:
        super().__init__()
        self._kind, self._chain = block.kind, block.is_chain
        self._program, self._result = block.program, block.output
        for step in block.steps:
            self.add_sublayer(step.name, _child(step, dtype))

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        return self._compute(x)[self._result]

    def _compute(self, x: paddle.Tensor) -> dict[str, paddle.Tensor]:
        """Compute every step; the values that later steps still need are what remains."""
        if self._chain:
            for child in _private.children(self).values():
                x = child(x)
            return {self._result: x}
        values, children = {"input": x}, _private.children(self)
        for name, inputs, releases in self._program:
            values[name] = children[name](*[values[source] for source in inputs])
            for source in releases:
                del values[source]
        return values

    def __repr__(self) -> str:
        return self._kind + super().__repr__().removeprefix(type(self).__name__)


class Network(Stack):
    """A whole network.

    Takes [N, C, H, W] of the size it was built for; returns logits [N, num_classes], or with
    auxiliary heads a dict of them by name.
    """

    def __init__(self, graph: Graph, dtype: str) -> None:
        super().__init__(graph.root, dtype)
        self.zoo_graph = graph
        self._expected = graph.input_shape
        self._dtype = dtype
        self._returns = tuple((output.name, output.step) for output in graph.outputs)
        self._chain = self._chain and len(self._returns) == 1

    def forward(self, x: paddle.Tensor) -> paddle.Tensor | dict[str, paddle.Tensor]:
        if tuple(x.shape[1:]) != self._expected:
            raise ValueError(self.zoo_graph.refusal(tuple(x.shape)))
        # Not super().forward: once to_static has replaced forward, that can find itself.
        values = self._compute(x)
        if len(self._returns) == 1:
            return values[self._result]
        return {name: values[step] for name, step in self._returns}


def _child(step: Step, dtype: str) -> nn.Layer:
    child = step.child
    if isinstance(child, Block):
        return Stack(child, dtype)
    return OPERATIONS[child.op](child, dtype)
