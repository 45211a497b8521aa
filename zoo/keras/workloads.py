"""Work of Keras on TensorFlow that ``zoo bench`` times."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from zoo.backend.base import Array
from zoo.backend.training import Plan, Rule
from zoo.backend.workloads import Differentiated, Training, Workload
from zoo.graphs.layouts import channels_first
from zoo.keras.run import to_input


def make(backend: Any, model: keras.Model, work: str, mode: str) -> Workload:
    """Return work of a model; see :meth:`zoo.backend.base.Backend.workload`."""
    if work == "forward":
        return _Forward(backend, model, mode)
    if work == "gradients":
        return _Gradients(backend, model, mode)
    trainer = backend.trainer(model, Plan(Rule("sgd", 0.1, momentum=0.9), compile=mode == "XLA"))
    return Training(backend, trainer, _facts(model, mode, training=True))


def synchronize() -> None:
    """Wait for all devices."""
    tf.test.experimental.sync_devices()


def peak_memory() -> int | None:
    """Return the most bytes on the first GPU so far."""
    if not tf.config.list_logical_devices("GPU"):
        return None
    return int(tf.config.experimental.get_memory_info("GPU:0")["peak"])


class _Forward(Workload):
    def __init__(self, backend: Any, model: keras.Model, mode: str) -> None:
        self.model, self.mode = model, mode
        self.nodes = backend.known_graph(model).output_nodes
        self.call = _compiled(lambda x: model(x, training=False), mode)

    def place(self, x: Array, labels: Array) -> tf.Tensor:
        return tf.convert_to_tensor(to_input(self.model, x))

    def run(self, given: tf.Tensor) -> Any:
        return self.call(given)

    def wait(self, result: Any) -> None:
        synchronize()

    def read(self, result: Any) -> dict[str, Array]:
        outputs = result if isinstance(result, dict) else {next(iter(self.nodes)): result}
        return {
            name: channels_first(_to_numpy(outputs[name]), node.layout)
            for name, node in self.nodes.items()
        }

    def facts(self) -> dict[str, Any]:
        return _facts(self.model, self.mode, training=False)


class _Gradients(Differentiated):
    def __init__(self, backend: Any, model: keras.Model, mode: str) -> None:
        self.model, self.mode = model, mode
        self.tensors = {n: t for n, t in backend.tensors(model).items() if t.handle.trainable}
        variables = [tensor.handle.value for tensor in self.tensors.values()]

        def differentiate(x: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor]]:
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(variables)
                loss = backend.total_loss(model, model(x, training=True), labels)
            zero = tf.UnconnectedGradients.ZERO
            return loss, tape.gradient(loss, variables, unconnected_gradients=zero)

        self.call = _compiled(differentiate, mode)

    def place(self, x: Array, labels: Array) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.convert_to_tensor(to_input(self.model, x)), tf.convert_to_tensor(labels)

    def run(self, given: tuple[tf.Tensor, tf.Tensor]) -> tuple[tf.Tensor, list[tf.Tensor]]:
        return self.call(*given)

    def wait(self, result: Any) -> None:
        synchronize()

    def to_numpy(self, value: tf.Tensor) -> Array:
        return _to_numpy(value)

    def facts(self) -> dict[str, Any]:
        return _facts(self.model, self.mode, training=True)


def _compiled(function: Callable[..., Any], mode: str) -> Callable[..., Any]:
    if mode == "eager":
        return function
    return tf.function(function, autograph=False, jit_compile=True if mode == "XLA" else None)


def _facts(model: keras.Model, mode: str, training: bool) -> dict[str, Any]:
    gpu = bool(tf.config.list_logical_devices("GPU"))
    return {
        "dtype": keras.backend.standardize_dtype(model.variables[0].dtype),
        "training": training,
        "compiled": mode != "eager",
        "given": "NHWC",
        "computed": "NHWC",
        "device": "cuda" if gpu else "cpu",
        "tf32": tf.config.experimental.tensor_float_32_execution_enabled() if gpu else False,
        # 0 for TensorFlow's own choice
        "threads": tf.config.threading.get_intra_op_parallelism_threads() or None,
    }


def _to_numpy(value: tf.Tensor) -> Array:
    array = np.asarray(value)
    return array.astype(np.float32) if array.dtype.name == "bfloat16" else array
