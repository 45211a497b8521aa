"""Inputs of other sizes than a model was built for, in every framework."""

from __future__ import annotations

import numpy as np
import pytest
from everything import LAYERS
from loading import load
from small import RESNET

import zoo
from zoo.errors import InputError
from zoo.verification.comparison import error
from zoo.verification.conditioned_weights import conditioned

HEADER = "options: {num_classes: 4, input_size: 24}\n"
CEIL = """
conv: {op: conv, out_channels: 4, kernel_size: 3, padding: 1}
max: {op: max_pool, kernel_size: 3, stride: 2, ceil_mode: true}
avg: {op: avg_pool, kernel_size: 3, stride: 2, padding: 1, ceil_mode: true}
pool: {op: global_avg_pool}
flatten: {op: flatten}
fc: {op: linear, out_features: $num_classes}
"""


@pytest.fixture
def spec(spec_file):
    return spec_file(LAYERS, header=HEADER)


def images(*size):
    return np.random.default_rng(5).random((2, 3, *size))


@pytest.mark.parametrize("size", [(24, 24), (30, 42), (18, 26)])
def test_another_size_gives_what_the_numpy_meaning_of_that_size_gives(
    spec, size, framework, backend
):
    graph = zoo.graph(spec, input_size=size)
    x = images(*size)
    weights, values = conditioned(graph, x)
    model = zoo.build(spec, backend, dtype="float64")
    zoo.set_weights(model, weights)
    if backend == "onnx" and size != (24, 24):
        with pytest.raises(
            InputError, match=r"in ONNX its size is fixed: build it with input_size"
        ):
            zoo.predict(model, x)
        return
    assert error(zoo.predict(model, x), values["fc"]) < 1e-12
    for name, value in zoo.features(model, x, ["avg", "adaptive", "shuffle"]).items():
        assert error(value, values[name]) < 1e-12, name


@pytest.mark.parametrize(("name", "size"), [(RESNET, (45, 27)), ("vgg9_bn", None)])
def test_odd_sizes_give_what_a_model_built_for_them_gives(name, size, framework, backend):
    if size is None:  # its map is flattened
        model = zoo.build(name, backend, input_size=32)
        with pytest.raises(InputError, match=r"fc1 would read|was built for inputs"):
            zoo.predict(model, images(64, 64))
        return
    model, other = (zoo.build(name, backend, dtype="float64", **o) for o in
                    ({}, {"input_size": size}))  # fmt: skip
    x = images(*size)
    if backend == "onnx":
        with pytest.raises(InputError, match=r"in ONNX its size is fixed"):
            zoo.predict(model, x)
        return
    assert error(zoo.predict(model, x), zoo.predict(other, x)) < 1e-14


def test_sizes_that_would_be_padded_in_another_way_are_refused(spec, spec_file, framework, backend):
    model = zoo.build(spec, backend)
    with pytest.raises(InputError, match="padding: same would pad conv"):
        zoo.predict(model, images(25, 24))
    rounded = zoo.build(spec_file(CEIL, header=HEADER), backend, dtype="float64")
    with pytest.raises(
        InputError, match=r"ceil_mode would pad max|its size is fixed|its pools have ceil_mode"
    ):
        zoo.predict(rounded, images(25, 24))
    other = zoo.build(spec_file(CEIL, header=HEADER), backend, dtype="float64", input_size=(28, 32))
    x = images(28, 32)
    if backend in ("keras", "onnx"):  # Keras' pools do not round up
        with pytest.raises(InputError, match=r"build it with input_size=\(28, 32\)"):
            zoo.predict(rounded, x)
    else:
        assert error(zoo.predict(rounded, x), zoo.predict(other, x)) < 1e-14


def test_keras_models_state_that_they_take_any_size(spec, spec_file):
    load("keras")
    assert zoo.build(spec, "keras").input_shape == (None, None, None, 3)
    assert zoo.build("vgg9", "keras", input_size=32).input_shape == (None, 32, 32, 3)
    fixed = zoo.build(spec_file(CEIL, header=HEADER), "keras")
    assert fixed.input_shape == (None, 24, 24, 3)


@pytest.mark.frameworks
def test_a_size_that_a_compiler_does_not_know(backend, framework, spec):
    """What each framework makes for all sizes is of networks that take any."""
    model = zoo.build(RESNET, backend)
    x = images(45, 27).astype("float32")
    expected = zoo.predict(model, x)
    if backend == "torch":
        import torch

        model.eval()
        sides = {2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
        exported = torch.export.export(model, (torch.zeros(2, 3, 32, 32),), dynamic_shapes=(sides,))
        found = exported.module()(torch.tensor(x)).detach().numpy()
    elif backend == "paddle":
        import paddle
        from paddle.static import InputSpec

        model.eval()
        specs = [InputSpec([None, 3, None, None], "float32")]
        found = paddle.jit.to_static(model, specs, full_graph=True)(paddle.to_tensor(x)).numpy()
    elif backend == "keras":
        import tensorflow as tf

        signature = [tf.TensorSpec([None, None, None, 3])]
        found = tf.function(model, input_signature=signature)(x.transpose(0, 2, 3, 1)).numpy()
    else:
        import jax
        from flax import nnx
        from jax import export

        model.eval()
        graphdef, state = nnx.split(model)
        shape = (*export.symbolic_shape("n, h, w", constraints=["h >= 16", "w >= 16"]), 3)
        function = jax.jit(lambda x: nnx.merge(graphdef, state)(x))
        exported = export.export(function)(jax.ShapeDtypeStruct(shape, np.float32))
        found = np.asarray(exported.call(x.transpose(0, 2, 3, 1)))
        other = zoo.build(spec, "flax")
        with pytest.raises(InputError, match="a size that is not known yet"):
            export.export(jax.jit(lambda x: other(x)))(jax.ShapeDtypeStruct(shape, np.float32))
    assert error(found, expected) < 1e-5
