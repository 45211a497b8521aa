"""Work of Flax that ``zoo bench`` times."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from zoo.backend.base import Array
from zoo.backend.training import Plan, Rule
from zoo.backend.workloads import Differentiated, Training, Workload
from zoo.flax import _private, parameters
from zoo.flax.observe import to_input
from zoo.graphs.layouts import channels_first


def make(backend: Any, model: nnx.Module, work: str, mode: str) -> Workload:
    """Return work of a model; see :meth:`zoo.backend.base.Backend.workload`."""
    if work == "forward":
        return _Forward(backend, model, mode)
    if work == "gradients":
        return _Gradients(backend, model, mode)
    trainer = backend.trainer(model, Plan(Rule("sgd", 0.1, momentum=0.9)))
    return Training(backend, trainer, _facts(model, mode) | {"training": True})


class _Forward(Workload):
    def __init__(self, backend: Any, model: nnx.Module, mode: str) -> None:
        model.eval()
        self.model, self.mode = model, mode
        self.nodes = backend.known_graph(model).output_nodes
        self.call: Callable[[jax.Array], Any] = model
        if mode == "nnx.jit":
            jitted = nnx.jit(lambda model, x: model(x))
            self.call = lambda x: jitted(model, x)
        elif mode == "jax.jit":
            graphdef, state = nnx.split(model)
            options = _private.compiler_options() if _on_cpu() else None
            pure = jax.jit(lambda state, x: nnx.merge(graphdef, state)(x), compiler_options=options)
            self.call = lambda x: pure(state, x)

    def place(self, x: Array, labels: Array) -> jax.Array:
        return jax.block_until_ready(to_input(self.model, x))

    def run(self, given: jax.Array) -> Any:
        return self.call(given)

    def wait(self, result: Any) -> None:
        jax.block_until_ready(result)

    def read(self, result: Any) -> dict[str, Array]:
        outputs = result if isinstance(result, dict) else {next(iter(self.nodes)): result}
        return {
            name: channels_first(_to_numpy(outputs[name]), node.layout)
            for name, node in self.nodes.items()
        }

    def facts(self) -> dict[str, Any]:
        return _facts(self.model, self.mode)


class _Gradients(Differentiated):
    def __init__(self, backend: Any, model: nnx.Module, mode: str) -> None:
        model.train()
        self.model, self.mode = model, mode
        graphdef, weights, rest = nnx.split(model, nnx.Param, ...)
        own = backend.tensors(model)
        self.tensors = {n: t for n, t in own.items() if isinstance(t.handle, nnx.Param)}
        self.paths = parameters.paths(model, self.tensors).values()

        def compute(weights: Any, rest: Any, x: jax.Array, labels: jax.Array) -> Any:
            copy = nnx.merge(graphdef, weights, rest, copy=True)
            return backend.total_loss(copy, copy(x), labels), nnx.state(copy, nnx.BatchStat)

        differentiate: Callable[..., Any] = jax.value_and_grad(compute, has_aux=True)
        if mode != "eager":
            differentiate = nnx.jit(differentiate) if mode == "nnx.jit" else jax.jit(differentiate)
        self.call = lambda given: differentiate(weights, rest, *given)

    def place(self, x: Array, labels: Array) -> tuple[jax.Array, jax.Array]:
        placed = to_input(self.model, x), jnp.asarray(labels)
        return jax.block_until_ready(placed)

    def run(self, given: tuple[jax.Array, jax.Array]) -> Any:
        return self.call(given)

    def wait(self, result: Any) -> None:
        jax.block_until_ready(result)

    def read(self, result: Any) -> dict[str, Array]:
        (loss, _), gradients = result
        found = dict(nnx.to_flat_state(gradients))
        return super().read((loss, [found[path][...] for path in self.paths]))

    def to_numpy(self, value: jax.Array) -> Array:
        return _to_numpy(value)

    def facts(self) -> dict[str, Any]:
        return _facts(self.model, self.mode) | {"training": True}


def _facts(model: nnx.Module, mode: str) -> dict[str, Any]:
    weights = jax.tree.leaves(nnx.state(model, nnx.Param))
    return {
        "dtype": weights[0].dtype.name,
        "training": False,
        "compiled": mode != "eager",
        "given": "NHWC",
        "computed": "NHWC",
        "device": "cpu" if _on_cpu() else "cuda",
        "tf32": False if _on_cpu() else None,
        "threads": None,
    }


def _on_cpu() -> bool:
    return jax.default_backend() == "cpu"


def _to_numpy(value: jax.Array) -> Array:
    return np.asarray(value.astype(jnp.float32) if value.dtype == jnp.bfloat16 else value)
