"""The ONNX backend."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

import onnx
from onnx import helper, numpy_helper

from zoo.backend.base import Array, Backend, Initial
from zoo.backend.parameters import Tensor
from zoo.backend.workloads import Workload
from zoo.graphs.graph import Graph
from zoo.onnx import DESCRIPTION, files, run, workloads
from zoo.onnx import model as building
from zoo.onnx.operations import OPERATIONS
from zoo.weights.reading import zoo_onnx_file


class OnnxBackend(Backend):
    """Models are ``onnx.ModelProto``. They are run by ONNX Runtime, and are not trained."""

    description = DESCRIPTION
    operations = OPERATIONS
    CONVENTION = DESCRIPTION.convention
    MODEL = onnx.ModelProto
    REBUILDING = (
        "build its network with the weights in its file: "
        "zoo.build(NAME, 'onnx', weights='FILE.onnx')"
    )

    def construct(
        self, graph: Graph, draw: Initial | None, dtype: str, seed: int
    ) -> onnx.ModelProto:
        if draw is None:
            self.lacks("has no initializers of its own")
        return building.build(graph, draw, dtype)

    def graph_of(self, model: onnx.ModelProto) -> Graph | None:
        return building.graph_of(model)

    def tensors(self, model: onnx.ModelProto) -> Mapping[str, Tensor]:
        self.known_graph(model)
        building.check_loaded(model)
        return {
            tensor.name: Tensor.canonical(tensor, tuple(tensor.dims))
            for tensor in model.graph.initializer
            if not zoo_onnx_file.is_constant(tensor.name)
        }

    def set_weights(self, model: onnx.ModelProto, weights: Mapping[str, Array]) -> None:
        super().set_weights(model, weights)
        building.state_weights(model)

    def export(self, model: onnx.ModelProto, path: str) -> None:
        files.write(model, path)

    def save(self, model: onnx.ModelProto, path: str | os.PathLike[str]) -> None:
        files.write(model, path)  # one or two files, either of which replaces an older one

    def to_numpy(self, handle: onnx.TensorProto) -> Array:
        return numpy_helper.to_array(handle)

    def dtype(self, handle: onnx.TensorProto) -> str:
        return str(helper.tensor_dtype_to_np_dtype(handle.data_type).name)

    def assign(self, handle: onnx.TensorProto, array: Array) -> None:
        handle.raw_data = array.astype(self.dtype(handle)).tobytes()

    def observe(
        self, model: onnx.ModelProto, x: Array, names: Iterable[str]
    ) -> tuple[Any, dict[str, list[Array]]]:
        requested = list(names)
        return run.observe(model, x, requested, self.graph_of(model) if requested else None)

    def workload(self, model: onnx.ModelProto, work: str, mode: str, threads: int) -> Workload:
        if work != "forward":
            self.lacks(f"has no {work} to time")
        return workloads.make(self, model, mode, threads)

    def own_weights(self, model: onnx.ModelProto) -> dict[str, Array]:
        return {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}

    def named_modules(self, model: onnx.ModelProto) -> dict[str, Any]:
        made_by = {value: node for node in model.graph.node for value in node.output}
        made_by |= {value.name: value for value in model.graph.input}
        values = run.values_of(model, self.graph_of(model))
        return {path: made_by[value] for path, value in values.items()}
