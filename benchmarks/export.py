"""Measures exports: the time against each framework's own exporter, and the latency of ONNX files.

    python benchmarks/export.py [MODEL ...] [--repeats N]

Times are medians of repetitions that alternate between both sides; latencies are repeated ten times
as often as exports. ``torch.onnx`` needs the package onnxscript; without it, the comparisons with
it are left out.
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

import zoo

MODELS = ("googlenet", "resnet50", "mobilenet_v3_large", "convnext_tiny")
BATCHES = (1, 16)


def seconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def ratio(ours: Callable[[], object], theirs: Callable[[], object], repeats: int) -> str:
    """The medians of both, and of the pairwise ratios."""
    ours(), theirs()
    pairs = [(seconds(ours), seconds(theirs)) for _ in range(repeats)]
    first, second = (statistics.median(times) for times in zip(*pairs, strict=True))
    median = statistics.median(a / b for a, b in pairs)
    return f"{first * 1e3:.0f} ms | {second * 1e3:.0f} ms | {median:.2f}"


def exporters(name: str, folder: Path) -> dict[str, tuple[Callable[[], object], ...]]:
    """Target -> zoo's export without comparison, and the framework's own of the same model."""
    models = {b: zoo.build(name, b) for b in ("torch", "paddle", "keras", "flax")}
    # Only now: zoo loads Paddle so that it can share a process with TensorFlow.
    import jax
    import keras
    import paddle
    import torch
    from flax import nnx

    shape = tuple(zoo.graph(name).input_shape)
    last = (*shape[1:], shape[0])
    example = torch.zeros(2, *shape)
    models["torch"].eval(), models["paddle"].eval(), models["flax"].eval()

    def export(backend: str, to: str, file: str) -> Callable[[], object]:
        return lambda: zoo.export(models[backend], folder / file, to=to, check=False)

    def of_torch() -> None:
        batch = torch.export.Dim("batch")
        program = torch.export.export(models["torch"], (example,), dynamic_shapes=({0: batch},))
        torch.export.save(program, folder / "their.pt2")

    def of_paddle() -> None:
        spec = paddle.static.InputSpec([None, *shape], "float32")
        paddle.jit.save(models["paddle"], str(folder / "their" / "paddle"), [spec])

    def of_jax() -> None:
        structure, state = nnx.split(models["flax"])
        function = jax.jit(lambda x: nnx.merge(structure, state)(x))
        (batch,) = jax.export.symbolic_shape("batch")
        x = jax.ShapeDtypeStruct((batch, *last), np.float32)
        (folder / "their.jaxexport").write_bytes(jax.export.export(function)(x).serialize())

    def of_keras(form: str, file: str) -> Callable[[], object]:
        spec = keras.InputSpec("float32", shape=(None, *last))
        path = str(folder / file)
        return lambda: models["keras"].export(path, form, verbose=False, input_signature=[spec])

    found = {
        "torch": (export("torch", "torch", "zoo.pt2"), of_torch),
        "paddle": (export("paddle", "paddle", "zoo_paddle"), of_paddle),
        "jax": (export("flax", "jax", "zoo.jaxexport"), of_jax),
        "savedmodel": (
            export("keras", "savedmodel", "zoo_saved"),
            of_keras("tf_saved_model", "their_saved"),
        ),
        "litert": (export("keras", "litert", "zoo.tflite"), of_keras("litert", "their.tflite")),
    }
    if importlib.util.find_spec("onnxscript"):
        theirs = torch_onnx(models["torch"], shape, folder / "torch.onnx")
        found["onnx"] = (export("torch", "onnx", "zoo.onnx"), theirs)
    return found


def torch_onnx(model: object, shape: tuple[int, ...], path: Path) -> Callable[[], object]:
    import torch

    def write() -> None:
        torch.onnx.export(
            model,
            (torch.zeros(2, *shape),),
            path,
            input_names=["input"],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            external_data=False,
            verbose=False,
        )

    return write


def runners(path: Path) -> dict[str, Callable[[np.ndarray], object]]:
    """Engine -> a function that runs an ONNX file."""
    import onnxruntime
    import openvino

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    compiled = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return {
        "ONNX Runtime": lambda x: session.run(None, {"input": x}),
        "OpenVINO": lambda x: compiled({"input": x}),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=MODELS)
    parser.add_argument("--repeats", type=int, default=3)
    chosen = parser.parse_args()
    warnings.simplefilter("ignore")  # the exporters' own; the table is what is read
    for name in chosen.models:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            print(f"\n| {name} | zoo | theirs | ratio |\n|---|--:|--:|--:|")
            for target, (ours, theirs) in exporters(name, folder).items():
                print(f"| export to {target} | {ratio(ours, theirs, chosen.repeats)} |", flush=True)
            if not (folder / "torch.onnx").exists():
                print("torch.onnx was left out: it needs the package onnxscript")
                continue
            ours, theirs = runners(folder / "zoo.onnx"), runners(folder / "torch.onnx")
            for engine in ours:
                for batch in BATCHES:
                    x = np.zeros((batch, *zoo.graph(name).input_shape), np.float32)
                    sides = (partial(side[engine], x) for side in (ours, theirs))
                    times = ratio(*sides, 10 * chosen.repeats)
                    print(f"| {engine}, batch {batch} | {times} |", flush=True)


if __name__ == "__main__":
    main()
