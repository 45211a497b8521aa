"""Work of inference engines on ONNX models, which ``zoo bench`` times."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx

from zoo.backend.base import Array
from zoo.backend.workloads import Workload
from zoo.onnx import engines


def make(backend: Any, model: onnx.ModelProto, mode: str, threads: int) -> Workload:
    """Return the forward pass of a model; see :meth:`zoo.backend.base.Backend.workload`."""
    names = tuple(backend.known_graph(model).output_nodes)
    return (_OpenVino if mode == "OpenVINO" else _Runtime)(model, names, threads)


class _Engine(Workload):
    def __init__(self, model: onnx.ModelProto, names: tuple[str, ...], threads: int) -> None:
        self.names, self.threads = names, threads
        types = {tensor.data_type for tensor in model.graph.initializer}
        self.dtype = "float32" if onnx.TensorProto.FLOAT in types else "unknown"

    def place(self, x: Array, labels: Array) -> Any:
        return np.ascontiguousarray(x)

    def wait(self, result: Any) -> None:
        """Return: the engines return when they are done."""

    def read(self, result: Any) -> dict[str, Array]:
        return {name: np.array(value) for name, value in zip(self.names, result, strict=True)}

    def facts(self) -> dict[str, Any]:
        return {
            "dtype": self.dtype,
            "training": False,
            "compiled": True,
            "given": "NCHW",
            "computed": "NCHW",
            "device": "cpu",
            "tf32": False,
            "threads": self.threads,
        }


class _Runtime(_Engine):
    def __init__(self, model: onnx.ModelProto, names: tuple[str, ...], threads: int) -> None:
        super().__init__(model, names, threads)
        onnxruntime = engines.onnxruntime()
        self.to_value = onnxruntime.OrtValue.ortvalue_from_numpy
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors; it warns of initializers that it leaves out
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def place(self, x: Array, labels: Array) -> Any:
        return {"input": self.to_value(super().place(x, labels))}

    def run(self, given: Any) -> Any:
        return self.session.run_with_ort_values(list(self.names), given)

    def read(self, result: Any) -> dict[str, Array]:
        return super().read([value.numpy() for value in result])


class _OpenVino(_Engine):
    def __init__(self, model: onnx.ModelProto, names: tuple[str, ...], threads: int) -> None:
        super().__init__(model, names, threads)
        openvino = engines.openvino()
        core = openvino.Core()
        settings = {
            # On some processors it would compute in bfloat16.
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": threads,
            "PERFORMANCE_HINT": "LATENCY",
        }
        compiled: Any = core.compile_model(
            core.read_model(model.SerializeToString()), "CPU", settings
        )
        self.request = compiled.create_infer_request()
        self.threads = int(compiled.get_property("INFERENCE_NUM_THREADS"))
        self.to_tensor = openvino.Tensor

    def place(self, x: Array, labels: Array) -> Any:
        return {"input": self.to_tensor(super().place(x, labels), shared_memory=True)}

    def run(self, given: Any) -> Any:
        return self.request.infer(given, share_outputs=True)

    def read(self, result: Any) -> dict[str, Array]:
        by_name = {output.any_name: value for output, value in result.items()}
        return super().read([by_name[name] for name in self.names])
