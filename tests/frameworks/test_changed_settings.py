"""Layers that a user has given other settings, which no array shows."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
from few_layers import model as model
from few_layers import spec as spec
from loading import load

import zoo
from zoo.errors import WeightsError


def _epsilon(model, backend):
    """Change an epsilon in place, which no array shows."""
    if backend == "keras":
        model.get_layer("bn").epsilon = 0.1
    else:
        setattr(model.bn, {"torch": "eps", "paddle": "_epsilon", "flax": "epsilon"}[backend], 0.1)


@pytest.mark.frameworks
def test_other_settings_are_refused_by_name(model, backend, tmp_path):
    _epsilon(model, backend)
    for verb in (
        lambda: zoo.graph_of(model),
        lambda: zoo.convert(model, backend),
        lambda: zoo.reset_head(model, 7),
        lambda: zoo.save(model, tmp_path / "w.safetensors"),
    ):
        with pytest.raises(WeightsError, match=r"eps\w* of 'bn' in this small is 0.1, not 1e-05"):
            verb()
    assert not list(tmp_path.iterdir())


#: Layer, setting that no array shows, and another value of it.
SETTINGS = {
    "paddle": [("bn", "_use_global_stats", False), ("conv", "_padding_algorithm", "SAME")],
    "keras": [
        *(("bn", name, False) for name in ("center", "scale")),
        ("fc", "use_bias", False),
        ("conv", "data_format", "channels_first"),
    ],
    "flax": [("bn", "use_bias", False), ("bn", "use_scale", False), ("conv", "use_bias", False)],
}


@pytest.mark.parametrize("backend", list(SETTINGS), indirect=True)
def test_settings_that_leave_out_a_part_are_refused_by_name(spec, framework, backend):
    for layer, name, value in SETTINGS[backend]:
        model = zoo.build(spec, backend)
        setattr(
            model.get_layer(layer) if backend == "keras" else getattr(model, layer), name, value
        )
        with pytest.raises(
            WeightsError, match=f"{name.lstrip('_')} of '{layer}' in this small is {value}, not "
        ):
            zoo.convert(model, backend)


@pytest.mark.parametrize("backend", ["paddle"], indirect=True)
def test_settings_of_paddle_that_matter_in_training_alone_are_taken(spec, framework, backend):
    nn = importlib.import_module("paddle").nn
    model = zoo.build(spec, backend)
    model.conv = nn.Conv2D(2, 4, 3, padding="VALID")
    model.bn = nn.BatchNorm2D(4, use_global_stats=True)
    assert np.array_equal(zoo.get_weights(zoo.convert(model, backend))["bn.weight"], np.ones(4))


def _twice(function):
    return lambda *arguments, **options: 2 * function(*arguments, **options)


def test_functions_of_flaxs_layers_are_settings(spec):
    load("flax")
    jax, nnx = importlib.import_module("jax"), importlib.import_module("flax.nnx")
    mask = nnx.data(np.zeros((3, 3, 2, 4), np.float32))
    for layer, name, value, text in (
        ("conv", "conv_general_dilated", _twice(jax.lax.conv_general_dilated), "<lambda>"),
        ("fc", "dot_general", _twice(jax.lax.dot_general), "<lambda>"),
        ("bn", "promote_dtype", lambda values, dtype: values, "<lambda>"),
        ("fc", "preferred_element_type", jax.numpy.bfloat16, "bfloat16"),
        ("conv", "mask", mask, "an array"),
    ):
        model = zoo.build(spec, "flax")
        setattr(getattr(model, layer), name, value)
        with pytest.raises(WeightsError, match=f"{name} of '{layer}' in this small is {text}, not"):
            zoo.convert(model, "flax")


def test_settings_of_the_same_meaning_are_taken(spec, framework):
    """A user's own layers state the same in other forms, and what matters in training alone."""
    nn = importlib.import_module("torch").nn
    model = zoo.build(spec, "torch")
    model.conv = nn.Conv2d(2, 4, 3, padding="valid")
    model.bn = nn.BatchNorm2d(4, momentum=None)
    model.relu = nn.ReLU(inplace=True)
    model.bn.eps = np.float64(model.bn.eps)
    assert np.array_equal(zoo.get_weights(zoo.convert(model, "torch"))["bn.weight"], np.ones(4))


@pytest.mark.parametrize("backend", ["torch", "paddle", "flax"], indirect=True)
def test_a_model_that_cannot_run_any_more_is_refused_by_name(model, backend):
    if backend == "torch":
        model.conv.stride = (3, 3)
    elif backend == "paddle":
        model.conv._stride = [3, 3]
    else:
        model.conv.strides = (3, 3)
    for verb in (zoo.predict, lambda model, x: zoo.features(model, x, "fc")):
        with pytest.raises(WeightsError, match="stride.* of 'conv' in this small is .*3, 3"):
            verb(model, np.zeros((1, 2, 6, 6), np.float32))
