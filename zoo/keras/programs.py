"""Writes Keras models as programs, by Keras' own ``export``; TensorFlow must be its engine."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import keras

from zoo.backend.base import Array
from zoo.backend.programs import Program, Run
from zoo.errors import BackendError
from zoo.keras import _private


class SavedModel(Program):
    """A folder with TensorFlow's SavedModel."""

    ordered = False  # the file has a map of them

    def write(self, model: keras.Model, path: Path) -> None:
        _export(model, path, "tf_saved_model")

    def read(self, path: Path) -> Run:
        import tensorflow as tf

        program = tf.saved_model.load(str(path))

        def run(x: Array) -> dict[str, Array]:
            return {name: value.numpy() for name, value in program.serve(x).items()}

        return run


class LiteRT(Program):
    """A file of LiteRT, which was called TensorFlow Lite."""

    def write(self, model: keras.Model, path: Path) -> None:
        import tensorflow as tf

        # Without the operations that only the whole of TensorFlow has.
        operations = {"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS]}
        try:
            _export(model, path, "litert", target_spec=operations)
        except Exception as error:  # of whatever class, the converter's text names what it lacks
            found = re.search(r"'tf\.(\w+)' op is neither", str(error))
            if not found:
                raise
            raise BackendError(f"LiteRT has no operation {found[1]}") from error
        _private.order_outputs(path, [output.name for output in model.zoo_graph.outputs])

    def read(self, path: Path) -> Run:
        interpreter = _interpreter(path)
        (given,) = interpreter.get_input_details()
        signature = interpreter.get_signature_runner()
        names = {details["index"]: n for n, details in signature.get_output_details().items()}

        def run(x: Array) -> dict[str, Array]:
            interpreter.resize_tensor_input(given["index"], x.shape)
            interpreter.allocate_tensors()
            interpreter.set_tensor(given["index"], x)
            interpreter.invoke()
            indices = (details["index"] for details in interpreter.get_output_details())
            return {names[index]: interpreter.get_tensor(index) for index in indices}

        return run


def _export(model: keras.Model, path: Path, form: str, **settings: Any) -> None:
    if keras.backend.backend() != "tensorflow":
        raise BackendError(
            f"Keras runs on {keras.backend.backend()} here, but writes this only with TensorFlow: "
            "set the environment variable KERAS_BACKEND=tensorflow before the first import of keras"
        )
    (given,), graph = model.inputs, model.zoo_graph
    # A single output gets its name from a dict.
    outputs = (
        model.output if isinstance(model.output, dict) else {graph.outputs[0].name: model.output}
    )
    with _private.deep(len(model.operations)):
        named = keras.Model(given, outputs)
        channels, *size = graph.input_shape
        spec = keras.InputSpec(given.dtype, shape=(None, *size, channels), name="input")
        named.export(path, form, verbose=False, input_signature=[spec], **settings)


def _interpreter(path: Path) -> Any:
    import tensorflow as tf

    with warnings.catch_warnings():  # that LiteRT will have a package of its own
        warnings.simplefilter("ignore")
        return tf.lite.Interpreter(str(path))
