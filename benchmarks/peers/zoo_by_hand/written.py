"""What the backends have in common: a network written by hand takes the place of zoo's."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import Any, ClassVar

from zoo.backend.base import Backend, Initial
from zoo.backend.parameters import Tensor
from zoo.errors import BackendError
from zoo.graphs.graph import Graph


class Written(Backend):
    """The part of a backend that comes before the framework's own.

    A network's parameters are those of the graph, in the order in which they are written.
    """

    #: The module with a function for each network.
    networks: ClassVar[ModuleType]

    def construct(self, graph: Graph, draw: Initial | None, dtype: str, seed: int) -> Any:
        # The initial values are the framework's own, which is part of what a network written by
        # hand costs. zoo bench sets the weights afterwards.
        rates = (node.attributes.get("rate", 0.0) for node in graph.nodes)
        settings = {
            "num_classes": graph.options["num_classes"],
            "dropout": max(rates, default=0.0),
        }
        model = self.write(getattr(self.networks, graph.name), settings, graph, dtype)
        model.zoo_graph = graph
        self.tensors(model)  # a network of another shape is reported here
        return model

    @abstractmethod
    def write(
        self, network: Callable[..., Any], settings: Mapping[str, Any], graph: Graph, dtype: str
    ) -> Any:
        """Return a network.

        Args:
            network: The function that makes it.
            settings: Arguments that it has in every framework.
            graph: The network of zoo that it is compared with.
            dtype: The dtype of its parameters.
        """

    @abstractmethod
    def written(self, model: Any) -> Iterable[Any]:
        """Return the parameters of a network, in the order in which they are written."""

    def tensors(self, model: Any) -> dict[str, Tensor]:
        graph, layouts = self.known_graph(model), self.CONVENTION["layouts"]
        expected = [(node, parameter) for node in graph.nodes for parameter in node.parameters]
        handles = list(self.written(model))
        if len(handles) != len(expected):
            raise BackendError(
                f"{graph.name} written by hand has {len(handles)} parameters, and zoo's has "
                f"{len(expected)}; leave out options that change the network"
            )
        tensors = {}
        for handle, (node, parameter) in zip(handles, expected, strict=True):
            shape, kernel = tuple(handle.shape), parameter.name.endswith(".weight")
            axes = layouts[node.op] if kernel else "C"
            layout = node.attributes.get("layout") if kernel and self.channels_last else None
            tensor = tensors[parameter.name] = Tensor(handle, shape, axes, layout)
            if tensor.canonical_shape != parameter.shape:
                raise BackendError(
                    f"in {graph.name} written by hand, {list(tensor.canonical_shape)} is in the "
                    f"place of {parameter.name} {list(parameter.shape)}; leave out options that "
                    "change the network"
                )
        return tensors
