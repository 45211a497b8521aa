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
        draw: Returns each parameter's initial value, in the canonical layout and ``dtype``, as an
            array that the model may keep; None for Paddle's own initialisers.
        dtype: ``float32``, ``float64``, ``float16`` or ``bfloat16``.
        seed: Random seed for Paddle's own initialisers; the global generators are not affected.

    Returns:
        The layer, on the current device and in training mode, as is usual in Paddle.
    """
    model = build_without_values(graph, dtype)
    if draw is None:
        _initialize(model, seed)
    else:
        for node in graph.nodes:
            for parameter in node.parameters:
                parameters.fill(model, node.op, parameter.name, draw(parameter))
    return model.to(paddle.get_device(), dtype)


def build_without_values(graph: Graph, dtype: str) -> nn.Layer:
    """Build a graph whose parameters have shapes and no memory."""
    with paddle.LazyGuard():
        return Network(graph, dtype)


def _initialize(model: nn.Layer, seed: int) -> None:
    """Initialise parameters with Paddle's own initialisers."""
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
        self._block_kind, self._is_chain = block.kind, block.is_chain
        self._program, self._output = block.program, block.output
        for step in block.steps:
            self.add_sublayer(step.name, _child(step, dtype))

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        return self._compute(x)[self._output]

    def _compute(self, x: paddle.Tensor) -> dict[str, paddle.Tensor]:
        """Compute all steps; return the values that no step releases."""
        if self._is_chain:
            for child in _private.children(self).values():
                x = child(x)
            return {self._output: x}
        values, children = {"input": x}, _private.children(self)
        for name, inputs, releases in self._program:
            values[name] = children[name](*[values[source] for source in inputs])
            for source in releases:
                del values[source]
        return values

    def __repr__(self) -> str:
        return self._block_kind + super().__repr__().removeprefix(type(self).__name__)


class Network(Stack):
    """A whole network.

    Takes [N, C, H, W] of the size it was built for. Returns logits [N, num_classes], or a dict of
    them if it has auxiliary heads.
    """

    def __init__(self, graph: Graph, dtype: str) -> None:
        super().__init__(graph.root, dtype)
        self.zoo_graph = graph
        self._input_shape = graph.input_shape
        self._dtype = dtype
        self._output_steps = tuple((output.name, output.step) for output in graph.outputs)
        self._is_chain = self._is_chain and len(self._output_steps) == 1

    def forward(self, x: paddle.Tensor) -> paddle.Tensor | dict[str, paddle.Tensor]:
        if tuple(x.shape[1:]) != self._input_shape:
            raise ValueError(self.zoo_graph.refusal(tuple(x.shape)))
        # Not super().forward, which may call this method again once to_static has replaced it.
        values = self._compute(x)
        if len(self._output_steps) == 1:
            return values[self._output]
        return {name: values[step] for name, step in self._output_steps}


def _child(step: Step, dtype: str) -> nn.Layer:
    child = step.child
    if isinstance(child, Block):
        return Stack(child, dtype)
    return OPERATIONS[child.op](child, dtype)
