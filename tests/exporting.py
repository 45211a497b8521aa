"""A model to export, and each program run by its own runtime, without zoo."""

from __future__ import annotations

import os
import warnings

import numpy as np
import pytest
from loading import load

import zoo
from zoo.backend import registry
from zoo.exporting.targets import TARGETS

HEADER = """
options: {num_classes: 5, in_channels: 3, input_size: 14}
preprocessing: {channels: bgr, range: 255, mean: [123, 117, 104], std: [1, 2, 3]}
outputs: {logits: {from: fc}, aux1: {from: aux1}, aux2: {from: aux2}}
"""
LAYERS = """
conv: {op: conv, from: input, out_channels: 6, kernel_size: 3, stride: 2, padding: same}
bn: {op: batch_norm, scale: false}
gelu: {op: gelu}
aux1: {when: $aux, layers: {pool: {op: global_avg_pool}, flatten: {op: flatten}, fc: {op: linear, out_features: $num_classes}}}
shuffle: {op: channel_shuffle, from: gelu, groups: 2}
adaptive: {op: adaptive_avg_pool, output_size: 5}
pool: {op: avg_pool, kernel_size: 2, stride: 2, padding: 1, count_include_pad: false}
aux2: {when: $aux, layers: {flatten: {op: flatten}, fc: {op: linear, out_features: $num_classes}}}
flatten: {op: flatten, from: pool}
drop: {op: dropout, rate: 0.5}
fc: {op: linear, out_features: $num_classes}
"""
NAMES = {target.name: f"model{target.suffix}" for target in TARGETS}
LAST = ("savedmodel", "litert", "jax")  # they take [N, H, W, C]
TO = list(NAMES)


def run_onnx(path, x):
    from zoo.onnx import engines

    session = engines.onnxruntime().InferenceSession(path)
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {"input": x}), strict=True))


def run_openvino(path, x):
    from zoo.onnx import engines

    model = (
        engines.openvino().Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    )
    return {output.any_name: value for output, value in model({"input": x}).items()}


def run_torch(path, x):
    import torch

    result = torch.export.load(path).module()(torch.from_numpy(x))
    result = result if isinstance(result, dict) else {"": result}
    return {name: value.detach().numpy() for name, value in result.items()}


def run_savedmodel(path, x):
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))
    signature = loaded.signatures["serving_default"](input=tf.constant(x))
    result = {name: value.numpy() for name, value in loaded.serve(x).items()}
    assert set(signature) == set(result)
    names = ("probabilities", "logits", "aux1", "aux2")  # its outputs are a map without an order
    return {name: result.pop(name) for name in names if name in result} | result


def run_litert(path, x):
    import tensorflow as tf

    with warnings.catch_warnings():  # that LiteRT will have a package of its own
        warnings.simplefilter("ignore")
        interpreter = tf.lite.Interpreter(str(path))
    by_name = interpreter.get_signature_runner()(input=x)
    details = interpreter.get_output_details()
    order = {
        d["index"]: name
        for name, d in interpreter.get_signature_runner().get_output_details().items()
    }
    return {order[detail["index"]]: by_name[order[detail["index"]]] for detail in details}


def run_paddle(path, x):
    from paddle import inference

    config = inference.Config(str(path / "inference.json"), str(path / "inference.pdiparams"))
    config.disable_onednn()
    predictor = inference.create_predictor(config)
    results = predictor.run([_tensor(x)])
    return {
        name: value.numpy()
        for name, value in zip(predictor.get_output_names(), results, strict=True)
    }


def _tensor(x):
    import paddle

    return paddle.to_tensor(x)


def run_jax(path, x):
    from jax import export as jax_export

    result = jax_export.deserialize(bytearray(path.read_bytes())).call(x)
    result = result if isinstance(result, dict) else {"": result}
    return {name: np.asarray(value) for name, value in result.items()}


def run(to, path, x):
    x = np.ascontiguousarray(x.transpose(0, 2, 3, 1) if to in LAST else x)
    return globals()[f"run_{to}"](path, x)


@pytest.fixture
def model(spec_file):
    load("torch")
    return zoo.build(spec_file(LAYERS, header=HEADER), "torch", aux=True, seed=3)


@pytest.fixture
def x():
    return np.random.default_rng(0).standard_normal((3, 3, 14, 14)).astype(np.float32)


@pytest.fixture
def targeted():
    def needs(to):
        (target,) = (target for target in TARGETS if target.name == to)
        load(target.backend)
        if to == "jax":
            import jax

            jax.config.update("jax_enable_x64", True)  # as every test of Flax does
        for module in (*target.needs, *target.needs_to_check):
            if not os.environ.get("CI") and not registry.is_importable(module):
                pytest.skip(f"{module} is not installed")  # not imported: only zoo does it silently

    return needs
