"""Builds a graph as a PaddlePaddle layer whose attributes are the spec's own names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import paddle
from paddle import nn

from zoo.backend.base import Initial
from zoo.backend.calls import Call
from zoo.backend.extraction import Plan, extract
from zoo.errors import BackendError
from zoo.graphs.blocks import Block, Step
from zoo.graphs.graph import Graph
from zoo.language import sizes
from zoo.paddle import _private, parameters
from zoo.paddle.operations import OPERATIONS


class Factory(NamedTuple):
    """What every layer is made with.

    Attributes:
        dtype: The name of the dtype.
        attr: Settings of every parameter; None for Paddle's own, which initialize it.
    """

    dtype: str
    attr: paddle.ParamAttr | None = None

    def made(self, call: Call) -> nn.Layer:
        """Make a layer; False stands for the settings of a parameter that it lacks."""
        settings = {
            name: self.attr
            for name in ("weight_attr", "bias_attr")
            if call.arguments.get(name, self.attr) is not False
        }
        return call.made(**settings)


def build(graph: Graph, draw: Initial | None, dtype: str, seed: int = 0) -> nn.Layer:
    """Build a graph.

    Args:
        graph: The network.
        draw: Returns each parameter's initial value, in the canonical layout and ``dtype``, as an
            array that the model may keep; None for Paddle's own initializers.
        dtype: ``float32``, ``float64``, ``float16`` or ``bfloat16``.
        seed: Random seed for Paddle's own initializers; the global generators are not affected.

    Returns:
        The layer, on the current device and in training mode, as is usual in Paddle.

    Raises:
        BackendError: Paddle is in static mode, or under ``LazyGuard``, where layers get no values.
    """
    _private.require_dynamic()
    if draw is None:
        with _seeded(seed):
            model = Network(graph, Factory(dtype))
        if not all(map(_private.has_value, model.parameters())):
            raise BackendError("layers get no values under paddle.LazyGuard; build outside of it")
    else:
        model = build_without_values(graph, dtype)
        for node in graph.nodes:
            for parameter in node.parameters:
                parameters.fill(model, node, parameter.name, draw(parameter))
    return model.to(paddle.get_device(), dtype)


def build_without_values(graph: Graph, dtype: str) -> nn.Layer:
    """Build a graph whose parameters have shapes and no memory.

    Not under ``paddle.LazyGuard``, which also leaves layers without values that another thread
    builds meanwhile.
    """
    return Network(graph, Factory(dtype, paddle.ParamAttr(initializer=_NoInitializer())))


class _NoInitializer(nn.initializer.Initializer):
    """Leaves a parameter without memory, for values that are there already."""

    def forward(self, var: paddle.Tensor, block: Any = None) -> None:
        return None


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Seed Paddle's global generators, and restore their states afterwards."""
    states = {device: paddle.get_rng_state(device) for device in ("cpu", paddle.get_device())}
    paddle.seed(seed)
    try:
        yield
    finally:
        for device, state in states.items():
            paddle.set_rng_state(state, device)


class Stack(nn.Layer):
    """A block of the spec: its layers as attributes, computed in the spec's order."""

    def __init__(self, block: Block, factory: Factory) -> None:
        super().__init__()
        self._block_kind, self._is_chain = block.kind, block.is_chain
        self._program, self._output = block.program, block.output
        for step in block.steps:
            self.add_sublayer(step.name, _child(step, factory))

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        return self._compute(x)[self._output]

    def _compute(self, x: paddle.Tensor) -> dict[str, paddle.Tensor]:
        """Compute all steps; return the values that no step releases."""
        children = _private.children(self)
        if self._is_chain:
            for name, _, _ in self._program:  # not all children: users hang others on a model
                x = children[name](x)
            return {self._output: x}
        values = {"input": x}
        for name, inputs, releases in self._program:
            values[name] = children[name](*[values[source] for source in inputs])
            for source in releases:
                del values[source]
        return values

    def __repr__(self) -> str:
        return self._block_kind + super().__repr__().removeprefix(type(self).__name__)


class Network(Stack):
    """A whole network.

    Takes [N, C, H, W] of the size it was built for, and of every size at which no layer would have
    to change (see ``zoo.language.sizes``). Returns logits [N, num_classes], or a dict of them if it
    has auxiliary heads.
    """

    def __init__(self, graph: Graph, factory: Factory) -> None:
        super().__init__(graph.root, factory)
        self.zoo_graph = graph
        self._input_shape = graph.input_shape
        self._dtype = factory.dtype
        self._output_steps = tuple((output.name, output.step) for output in graph.outputs)
        self._is_chain = self._is_chain and len(self._output_steps) == 1

    def forward(self, x: paddle.Tensor) -> paddle.Tensor | dict[str, paddle.Tensor]:
        self.check_size(x)
        # Not super().forward, which may call this method again once to_static has replaced it.
        values = self._compute(x)
        if len(self._output_steps) == 1:
            return values[self._output]
        return {name: values[step] for name, step in self._output_steps}

    @paddle.jit.not_to_static
    def check_size(self, x: paddle.Tensor) -> None:
        """Reject an input of a size at which layers would have to change.

        Raises:
            InputError: Gives the reason.
        """
        if tuple(x.shape[1:]) != self._input_shape:
            sizes.check(self.zoo_graph, tuple(x.shape))


class Extractor(nn.Layer):
    """Computes nodes of a network, whose weights it shares.

    Takes what the network takes, and returns a dict of the nodes' values, in the framework's own
    layout. They can be differentiated.
    """

    def __init__(self, network: Network, nodes: Mapping[str, str]) -> None:
        super().__init__()
        self.network, self._nodes = network, dict(nodes)
        self.training = network.training

    def forward(self, x: paddle.Tensor) -> dict[str, paddle.Tensor]:
        self.network.check_size(x)
        return extract(self.network, x, self._nodes, _plan)


def _plan(layer: nn.Layer) -> Plan | None:
    return (layer._program, layer._output) if isinstance(layer, Stack) else None


def _child(step: Step, factory: Factory) -> nn.Layer:
    child = step.child
    if isinstance(child, Block):
        return Stack(child, factory)
    layer = OPERATIONS[child.op](child, factory)
    if isinstance(layer, Call):
        layer = factory.made(layer) if child.parameters else layer.made()
    return layer
