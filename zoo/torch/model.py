"""Builds a graph as a PyTorch module whose attributes are the spec's own names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import fx, nn
from torch.overrides import TorchFunctionMode

from zoo.backend.base import Initial
from zoo.backend.calls import Call
from zoo.backend.extraction import Plan, extract
from zoo.graphs.blocks import Block, Step
from zoo.graphs.graph import Graph
from zoo.language import sizes
from zoo.torch import _private
from zoo.torch.operations import OPERATIONS
from zoo.torch.parameters import fill, require_values

#: Arguments of every layer with parameters: ``device`` and ``dtype``.
Factory = dict[str, Any]


def build(graph: Graph, draw: Initial | None, dtype: str, seed: int = 0) -> nn.Module:
    """Build a graph.

    Args:
        graph: The network.
        draw: Returns each parameter's initial value, in the canonical layout and ``dtype``, as an
            array that the model may keep; None for PyTorch's own initializers.
        dtype: ``float32``, ``float64``, ``float16`` or ``bfloat16``.
        seed: Random seed for PyTorch's own initializers; the global generator is not affected.

    Returns:
        The module, on PyTorch's default device and in training mode, as is usual in PyTorch.

    Raises:
        BackendError: PyTorch is in a mode in which tensors have no values.
    """
    require_values()
    device = torch.empty(0).device  # get_default_device did not know contexts before 2.7
    # On the CPU, because layers also have buffers and constants. What is made in inference mode
    # could never be trained or filled outside.
    with torch.device("cpu"), torch.inference_mode(False):
        model = _build(graph, draw, dtype, seed)
    return model if device.type == "cpu" else model.to(device)


def _build(graph: Graph, draw: Initial | None, dtype: str, seed: int) -> nn.Module:
    if draw is None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return Network(graph, {"dtype": getattr(torch, dtype), "device": "cpu"})
    model = build_without_values(graph, dtype)
    for node in graph.nodes:
        for parameter in node.parameters:
            fill(model, node, parameter.name, draw(parameter))
    return model


def build_without_values(graph: Graph, dtype: str) -> nn.Module:
    """Build a graph on the meta device, where tensors have shapes and no memory."""
    with _SkipInitializers():
        return Network(graph, {"dtype": getattr(torch, dtype), "device": "meta"})


class _SkipInitializers(TorchFunctionMode):
    """Skips initializers, which do nothing on the meta device but take half of the build time."""

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(function, "__module__", "") == "torch.nn.init":
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        return function(*args, **kwargs)


class Stack(nn.Module):
    """A block of the spec: its layers as attributes, computed in the spec's order."""

    def __init__(self, block: Block, factory: Factory) -> None:
        super().__init__()
        self._block_kind, self._is_chain = block.kind, block.is_chain
        self._program, self._output = block.program, block.output
        for step in block.steps:
            self.add_module(step.name, _child(step, factory))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self._is_chain:
            children = _private.children(self)
            for name, _, _ in self._program:  # not all children: users hang others on a model
                x = children[name](x)
            return x
        return self._compute(x)[self._output]

    def _compute(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Compute all steps; return the values that no step releases."""
        values, children = {"input": x}, _private.children(self)
        for name, inputs, releases in self._program:
            values[name] = children[name](*[values[source] for source in inputs])
            for source in releases:
                del values[source]
        return values

    def _get_name(self) -> str:
        return self._block_kind  # the name in print(model)


class Network(Stack):
    """A whole network.

    Takes [N, C, H, W] of the size it was built for, and of every size at which no layer would have
    to change (see ``zoo.language.sizes``). Returns logits [N, num_classes], or a dict of them if it
    has auxiliary heads.
    """

    def __init__(self, graph: Graph, factory: Factory) -> None:
        super().__init__(graph.root, factory)
        self.zoo_graph = graph
        self._input_shape, self._dtype = graph.input_shape, factory["dtype"]
        self._takes_any = sizes.takes_any(graph)
        self._output_steps = tuple((output.name, output.step) for output in graph.outputs)
        self._is_chain = self._is_chain and len(self._output_steps) == 1

    # A block returns one tensor; a network with auxiliary heads returns a dict.
    def forward(self, x: torch.Tensor) -> torch.Tensor | dict[str, torch.Tensor]:  # type: ignore[override]  # of Block
        self.check_size(x)
        if self._is_chain:
            return super().forward(x)
        values = self._compute(x)
        if len(self._output_steps) == 1:
            return values[self._output]
        return {name: values[step] for name, step in self._output_steps}

    def check_size(self, x: torch.Tensor) -> None:
        """Reject an input of a size at which layers would have to change.

        Raises:
            InputError: Gives the reason.
        """
        # A comparison would tie what is compiled or traced to one size.
        unchecked = (torch.compiler.is_compiling() and self._takes_any) or isinstance(x, fx.Proxy)
        if not unchecked and tuple(x.shape[1:]) != self._input_shape:
            _check_size(self.zoo_graph, tuple(x.shape))


class Extractor(nn.Module):
    """Computes nodes of a network, whose weights it shares.

    Takes what the network takes, and returns a dict of the nodes' values, in the framework's own
    layout. They can be differentiated.
    """

    def __init__(self, network: Network, nodes: Mapping[str, str]) -> None:
        super().__init__()
        self.network, self._nodes = network, dict(nodes)
        self.train(network.training)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        self.network.check_size(x)
        return extract(self.network, x, self._nodes, _plan)


def _plan(module: nn.Module) -> Plan | None:
    return (module._program, module._output) if isinstance(module, Stack) else None


def _check_size(graph: Graph, shape: tuple[Any, ...]) -> None:
    if torch.compiler.is_compiling():
        # Not a decorator: that would import PyTorch's compiler, which takes as long as PyTorch.
        torch.compiler.disable(sizes.check)(graph, shape)  # type: ignore[no-untyped-call]  # in PyTorch
    else:
        sizes.check(graph, shape)


def _child(step: Step, factory: Factory) -> nn.Module:
    child = step.child
    if isinstance(child, Block):
        return Stack(child, factory)
    found = OPERATIONS[child.op](child, factory)
    if isinstance(found, Call):
        found = found.made(**factory) if child.parameters else found.made()
    layer: nn.Module = found
    return layer
