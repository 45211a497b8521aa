"""The backend: the five required methods and nothing else."""

from zoo import ops
from zoo.backend.base import Backend
from zoo.backend.parameters import Tensor

from . import DESCRIPTION


class Network:
    """A network with its weights, called on arrays [N, C, H, W]."""

    def __init__(self, graph, weights, dtype):
        self.zoo_graph, self.weights, self.dtype = graph, weights, dtype

    def __call__(self, x):
        return ops.run(self.zoo_graph, x, self.weights, self.dtype)


class NumpyBackend(Backend):
    """A backend whose models are instances of :class:`Network`."""

    description = DESCRIPTION

    def construct(self, graph, draw, dtype, seed):
        if draw is None:
            self.lacks("has no initializers of its own")
        if dtype not in ("float64", "float32", "float16"):
            self.lacks(f"does not compute in {dtype}")
        return Network(graph, {p.name: draw(p) for p in graph.parameters}, dtype)

    def tensors(self, model):
        return {name: Tensor.canonical(array) for name, array in model.weights.items()}

    def to_numpy(self, handle):
        return handle

    def assign(self, handle, array):
        handle[...] = array

    def observe(self, model, x, names):
        values = dict(ops.steps(model.zoo_graph, x, model.weights, model.dtype))
        outputs = {n: values[node.name] for n, node in model.zoo_graph.output_nodes.items()}
        result = outputs if len(outputs) > 1 else next(iter(outputs.values()))
        return result, {name: [values[name]] for name in names if name in values}
