"""Writes ONNX models as programs, for ONNX Runtime and for OpenVINO."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx

from zoo.backend.base import Array, Backend, Initial
from zoo.backend.programs import Program, Run
from zoo.graphs.graph import Graph
from zoo.onnx import engines, files
from zoo.onnx import model as building
from zoo.onnx.operations import OPERATIONS
from zoo.ops.composite import opened


class Onnx(Program):
    """An ONNX file; the weights of a network of more than 2 GB are in a file beside it."""

    _opset: int | None = None

    def set_opset(self, opset: int | None, source: Any) -> None:
        if opset is None and isinstance(source, onnx.ModelProto):
            opset = building.opset_of(source)
        self._opset = None if opset is None else building.checked_opset(opset, "float32")

    def build(self, backend: Backend, graph: Graph, draw: Initial, dtype: str) -> onnx.ModelProto:
        return building.build(opened(graph, OPERATIONS), draw, dtype, self._opset)

    def write(self, model: onnx.ModelProto, path: Path) -> None:
        files.write(model, path, f"{path.name}.data")

    def read(self, path: Path) -> Run:
        session = engines.onnxruntime().InferenceSession(path, providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        return lambda x: dict(zip(names, session.run(names, {"input": x}), strict=True))


class OpenVino(Program):
    """OpenVINO's representation: a file of the network, and one of the weights beside it."""

    def write(self, model: onnx.ModelProto, path: Path) -> None:
        openvino = engines.openvino()
        source = path.with_suffix(".onnx")
        Onnx().write(model, source)
        try:
            converted = openvino.Core().read_model(source)
            openvino.save_model(converted, path, compress_to_fp16=False)
        finally:
            for written in path.parent.glob(f"{source.name}*"):
                written.unlink()

    def read(self, path: Path) -> Run:
        openvino = engines.openvino()
        # On some processors it would compute in bfloat16.
        settings = {"INFERENCE_PRECISION_HINT": "f32"}
        compiled: Any = openvino.Core().compile_model(path, "CPU", settings)

        def run(x: Array) -> dict[str, Array]:
            result = compiled({"input": x})
            return {output.any_name: result[output] for output in compiled.outputs}

        return run
