"""Models whose weights have no values, or not those of weights, and modes that hide them."""

from __future__ import annotations

import copy
import importlib

import numpy as np
import pytest
from few_layers import spec as spec
from loading import load

import zoo
from zoo.errors import BackendError, WeightsError, ZooError


def _without_values(spec, backend):
    if backend == "torch":
        torch = importlib.import_module("torch")
        with torch.device("meta"):
            yield zoo.build(spec, "torch")
        model = zoo.build(spec, "torch")
        model.fc = model.fc.to("meta")
        yield model
    elif backend == "paddle":
        paddle = importlib.import_module("paddle")
        model = zoo.build(spec, "paddle")
        with paddle.LazyGuard():
            model.fc = paddle.nn.Linear(64, 5)
        yield model
    else:
        nnx = importlib.import_module("flax.nnx")
        model = zoo.build(spec, "flax")
        yield nnx.eval_shape(lambda: model)
        model.fc.kernel[...].delete()  # as an argument that was donated
        yield model


@pytest.mark.parametrize("backend", ["torch", "paddle", "flax"], indirect=True)
def test_a_model_without_values_is_refused(spec, framework, backend, tmp_path):
    weights = zoo.get_weights(zoo.build(spec, backend))
    x = np.zeros((1, 2, 6, 6), np.float32)
    for empty in _without_values(spec, backend):
        for verb in (
            lambda model=empty: zoo.get_weights(model),
            lambda model=empty: zoo.set_weights(model, weights),  # PyTorch's would do nothing
            lambda model=empty: zoo.predict(model, x),
            lambda model=empty: zoo.save(model, tmp_path / "w.safetensors"),
        ):
            with pytest.raises(BackendError, match="has no value"):
                verb()
        assert zoo.graph_of(empty).name == "small"


@pytest.mark.parametrize("dtype", ["float8_e4m3fn", "int8"])
def test_a_model_of_another_dtype_is_refused(dtype, spec, tmp_path):
    load("torch")
    torch = importlib.import_module("torch")
    model = zoo.build(spec, "torch")
    weights = zoo.get_weights(model)
    model.fc.bias = torch.nn.Parameter(model.fc.bias.to(getattr(torch, dtype)), False)
    for verb in (
        lambda: zoo.get_weights(model),
        lambda: zoo.set_weights(model, weights),  # which would round them
        lambda: zoo.predict(model, np.zeros((1, 2, 6, 6), np.float32)),
        lambda: zoo.save(model, tmp_path / "w.safetensors"),
    ):
        with pytest.raises(WeightsError, match=f"fc.bias has values of {dtype}: its layer was"):
            verb()


def test_a_model_of_pytorchs_inference_mode_can_be_filled_and_trained(spec):
    load("torch")
    torch = importlib.import_module("torch")
    weights = zoo.get_weights(zoo.build(spec, "torch", seed=1))
    with torch.inference_mode():
        model = zoo.build(spec, "torch")
        copied = copy.deepcopy(model)
    for each in (model, copied):
        zoo.set_weights(each, weights)
        assert all(np.array_equal(v, weights[n]) for n, v in zoo.get_weights(each).items())
    model(torch.zeros(1, 2, 6, 6)).sum().backward()
    assert model.fc.bias.grad.numel() == 5


def test_what_a_model_of_pytorch_makes_in_its_first_call_can_be_trained(spec):
    load("torch")
    torch = importlib.import_module("torch")

    class Lazy(torch.nn.Module):
        scale = None

        def forward(self, x):
            if self.scale is None:
                self.scale, self.fc = torch.full_like(x, 2), torch.nn.Linear(6, 5)
            return self.fc(x * self.scale)

    replaced = zoo.build(spec, "torch")
    replaced.fc = torch.nn.LazyLinear(5)
    for model in (replaced, Lazy()):
        zoo.predict(model, np.ones((1, 2, 6, 6), np.float32))
        model(torch.ones(1, 2, 6, 6)).sum().backward()
        assert model.fc.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("backend", ["torch", "paddle"], indirect=True)
def test_a_model_of_several_dtypes_is_refused_if_it_cannot_be_run(spec, framework, backend):
    model, x = zoo.build(spec, backend), np.zeros((1, 2, 6, 6), np.float32)
    whole = zoo.predict(model, x)
    model.fc.to(dtype=importlib.import_module(backend).float64)
    for verb in (
        lambda: zoo.predict(model, x),
        lambda: zoo.features(model, x, "fc"),
    ):
        with pytest.raises(
            BackendError, match=r"fc.weight has float64, and most have float32; call "
        ):
            verb()
    model.to(dtype=importlib.import_module(backend).float32)  # as the error says
    assert np.array_equal(zoo.predict(model, x), whole)


def test_pytorch_builds_and_reads_where_tensors_have_values(spec):
    load("torch")
    from torch._subclasses.fake_tensor import FakeTensorMode

    model = zoo.build(spec, "torch")
    with FakeTensorMode():
        for verb in (lambda: zoo.build(spec, "torch"), lambda: zoo.get_weights(model)):
            with pytest.raises(BackendError, match="FakeTensor here, which has no values; build"):
                verb()


def test_flax_is_read_outside_of_what_jax_traces(spec):
    load("flax")
    jax, nnx = importlib.import_module("jax"), importlib.import_module("flax.nnx")
    model, x = zoo.build(spec, "flax"), np.zeros((1, 2, 6, 6), np.float32)
    for verb in (
        lambda model, x: zoo.get_weights(model),
        lambda model, given: zoo.predict(model, x),
        lambda model, x: zoo.features(model, x, "relu"),
    ):
        with pytest.raises(ZooError, match="call this outside of nnx.jit"):
            nnx.jit(verb)(model, jax.numpy.asarray(x))
    assert zoo.predict(model, x).shape == (1, 5)


def test_a_sequential_model_of_keras_that_is_not_built():
    load("keras")
    keras = importlib.import_module("keras")
    x = np.zeros((1, 2, 6, 6), np.float32)
    unbuilt, empty = keras.Sequential([keras.layers.Dense(3)]), keras.Sequential()
    for verb in (zoo.get_weights, lambda model: zoo.set_weights(model, {})):
        with pytest.raises(BackendError, match="no weights yet: build it, or call it once, first"):
            verb(unbuilt)
        with pytest.raises(BackendError, match="this Sequential has no layers"):
            verb(empty)
    with pytest.raises(BackendError, match="this Sequential has no layers"):
        zoo.predict(empty, x)
    assert zoo.predict(unbuilt, x).shape == (1, 3, 6, 6)  # which builds it
    assert len(zoo.get_weights(unbuilt)) == 2


def test_paddle_builds_outside_of_its_other_modes(spec):
    load("paddle")
    paddle = importlib.import_module("paddle")
    with paddle.LazyGuard(), pytest.raises(BackendError, match="LazyGuard; build outside"):
        zoo.build(spec, "paddle", init="native")
    model = zoo.build(spec, "paddle")
    paddle.enable_static()
    try:
        for verb in (lambda: zoo.build(spec, "paddle"), lambda: zoo.get_weights(model)):
            with pytest.raises(BackendError, match="call paddle.disable_static"):
                verb()
    finally:
        paddle.disable_static()


def test_values_that_repeat_do_not_make_a_small_file_a_large_model(tmp_path):
    """A view can have any number of classes; what is built for them would fill the memory."""
    load("torch")
    torch = importlib.import_module("torch")
    state = zoo.build("squeezenet1_1", "torch", num_classes=10).state_dict()
    path = tmp_path / "w.pth"

    def model():
        return zoo.build("squeezenet1_1", "torch", weights=path)

    for classes, refused in ((10, False), (400_000, True)):
        state["conv10.conv.weight"] = torch.zeros(1).expand(classes, 512, 1, 1)
        state["conv10.conv.bias"] = torch.zeros(1).expand(classes)
        torch.save(state, path)
        if not refused:
            assert zoo.graph_of(model()).options["num_classes"] == classes
            continue
        with pytest.raises(WeightsError, match=r"its arrays would take 8\d\d MB of memory"):
            model()
