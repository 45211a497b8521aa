"""What a Keras user does with a model works on zoo's."""

import copy
import os
import pickle
import subprocess
import sys
import textwrap

import everything
import numpy as np
import pytest
from loading import load
from small import GOOGLENET, VGG, VGG_BN

import zoo


@pytest.fixture(scope="module")
def keras():
    load("keras")
    import keras

    return keras


@pytest.fixture(scope="module")
def model(keras):
    return zoo.build(GOOGLENET, "keras", aux=True)


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).standard_normal((2, 3, 96, 96)).astype(np.float32)


def test_the_structure_is_the_specs(model, keras):
    assert isinstance(model, keras.Model)
    conv = model.get_layer("inception3a.branch5x5.reduce.conv")
    assert isinstance(conv, keras.layers.Conv2D)
    assert conv.kernel.shape == (1, 1, 192, 16)
    assert model.name == "small_googlenet"
    assert model.get_layer("norm1") is not None
    lines: list[str] = []
    model.summary(print_fn=lines.append, line_length=160)
    assert "inception3a.branch5x5.reduce.conv" in "\n".join(map(str, lines))


def test_save_and_load_without_custom_objects(model, x, keras, tmp_path):
    expected = zoo.predict(model, x)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    found = zoo.predict(loaded, x)
    for name in expected:
        assert np.array_equal(found[name], expected[name]), name
    ours, theirs = zoo.get_weights(model), zoo.get_weights(loaded)
    assert set(ours) == set(theirs)
    assert all(np.array_equal(value, theirs[name]) for name, value in ours.items())
    zoo.set_weights(loaded, ours)
    with pytest.raises(zoo.BackendError, match="does not know its graph"):
        zoo.features(loaded, x, "norm1")


def test_weights_files_and_copies(model, x, keras, tmp_path):
    expected = zoo.predict(model, x)["logits"]
    model.save_weights(tmp_path / "m.weights.h5")
    other = zoo.build(GOOGLENET, "keras", aux=True, seed=5)
    other.load_weights(tmp_path / "m.weights.h5")
    assert np.array_equal(zoo.predict(other, x)["logits"], expected)
    clone = keras.models.clone_model(model)
    zoo.set_weights(clone, zoo.get_weights(model))
    assert np.array_equal(zoo.predict(clone, x)["logits"], expected)


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))]
)
def test_a_copy_knows_its_graph(copied, keras):
    model = zoo.build("lenet5", "keras", num_classes=3)
    twin = copied(model)
    assert zoo.graph_of(twin) == zoo.graph_of(model)
    weights = zoo.get_weights(model)
    zoo.set_weights(model, {name: 0 * value for name, value in weights.items()})
    assert all(np.array_equal(zoo.get_weights(twin)[name], a) for name, a in weights.items())
    own = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    assert np.array_equal(copied(own).layers[0].kernel, own.layers[0].kernel)


def test_a_flattened_map_survives_saving(keras, tmp_path):
    model = zoo.build(VGG, "keras", num_classes=3, input_size=64)
    model.save(tmp_path / "vgg.keras")
    loaded = keras.models.load_model(tmp_path / "vgg.keras")
    weights = zoo.get_weights(model)
    assert np.array_equal(zoo.get_weights(loaded)["fc1.weight"], weights["fc1.weight"])
    assert np.array_equal(
        zoo.get_weights(copy.deepcopy(model))["fc1.weight"], weights["fc1.weight"]
    )


def test_fit_with_heads(x, keras):
    model = zoo.build(GOOGLENET, "keras", aux=True)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    weights = {"logits": 1, "aux1": 0.3, "aux2": 0.3}
    model.compile("sgd", loss=dict.fromkeys(weights, loss), loss_weights=weights)
    before = zoo.get_weights(model)
    labels = dict.fromkeys(weights, np.array([1, 2]))
    history = model.fit(x.transpose(0, 2, 3, 1), labels, epochs=1, batch_size=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    for name, value in zoo.get_weights(model).items():
        if name.endswith("weight"):
            assert not np.array_equal(value, before[name]), name


def test_batch_norm_keeps_the_biased_variance(keras):
    model = zoo.build(VGG_BN, "keras", num_classes=3, dtype="float64")
    x = np.random.default_rng(0).standard_normal((4, 32, 32, 3))
    value = keras.ops.convert_to_numpy(model.get_layer("stage1.conv1.conv")(x))
    model(x, training=True)
    found = zoo.get_weights(model)
    expected = 0.9 + 0.1 * value.var((0, 1, 2))
    assert np.allclose(found["stage1.conv1.bn.running_var"], expected, rtol=1e-12)
    assert np.allclose(
        found["stage1.conv1.bn.running_mean"], 0.1 * value.mean((0, 1, 2)), rtol=1e-10, atol=1e-15
    )


def test_building_leaves_keras_alone(keras):
    before = dict(os.environ), keras.config.floatx(), keras.config.image_data_format()
    policy = keras.config.dtype_policy().name
    zoo.build(VGG, "keras", dtype="float64")
    assert (dict(os.environ), keras.config.floatx(), keras.config.image_data_format()) == before
    assert keras.config.dtype_policy().name == policy


def test_the_data_format_setting_does_not_matter(keras):
    usual = keras.config.image_data_format()
    x = np.random.default_rng(0).standard_normal((1, 3, 32, 32)).astype(np.float32)
    expected = zoo.predict(zoo.build(VGG_BN, "keras", num_classes=3), x)
    keras.config.set_image_data_format("channels_first")
    try:
        found = zoo.predict(zoo.build(VGG_BN, "keras", num_classes=3), x)
    finally:
        keras.config.set_image_data_format(usual)
    assert np.array_equal(found, expected)


def test_stride_with_dilation_is_exact_or_refused_by_name(spec_file):
    layer = "c: {{op: conv, out_channels: 4, kernel_size: 3, stride: {}, dilation: {}}}"
    with pytest.raises(
        zoo.BackendError, match=r"c: Keras has no convolution of stride \[2, 2\] and dil"
    ):
        zoo.build(spec_file(layer.format(2, 3)), "keras", input_size=16)
    path = spec_file(layer.format(2, 2))
    graph = zoo.graph(path, input_size=17)
    model = zoo.build(path, "keras", input_size=17, dtype="float64")
    from zoo import ops

    x = np.random.default_rng(0).standard_normal((1, 3, 17, 17))
    reference = ops.run(graph, x, zoo.get_weights(model))["logits"]
    assert np.abs(zoo.predict(model, x) - reference).max() <= 1e-12 * np.abs(reference).max()


def test_a_network_deeper_than_pythons_limit_of_calls(spec_file, keras, tmp_path):
    limit = sys.getrecursionlimit()
    layers = (
        "deep: {op: relu, repeat: 1000}\nflatten: {op: flatten}\nfc: {op: linear, out_features: 2}"
    )
    header = "options: {num_classes: 2, in_channels: 1, input_size: 2}\n"
    model = zoo.build(spec_file(layers, header=header), "keras")
    assert len(model.layers) > limit
    x = np.ones((1, 1, 2, 2), np.float32)
    assert np.array_equal(zoo.features(model, x, "flatten")["flatten"], np.ones((1, 4)))
    zoo.save(model, tmp_path / "w.safetensors")
    assert sys.getrecursionlimit() == limit


@pytest.mark.parametrize("network", ["googlenet", "mobilenet_v3_small", "everything"])
def test_the_output_of_every_layer_is_one_of_the_model(network, keras, tmp_path):
    if network == "everything":
        path = tmp_path / "everything.yaml"
        header = "format: 1\nname: all\noptions: {num_classes: 10, input_size: 25}\nlayers:\n"
        path.write_text(header + textwrap.indent(everything.LAYERS.strip(), "  ") + "\n")
        model = zoo.build(path, "keras")
    else:
        model = zoo.build(network, "keras", input_size=64)
    for layer in model.layers:
        part = keras.Model(model.input, layer.output)
        assert part.output_shape == layer.output.shape, layer.name
    names = [operation.name for operation in model.operations]
    assert len(names) == len(set(names))


def test_a_strategy_runs_each_image_once(tmp_path):
    """In a process of its own, as TensorFlow divides its processor before its first use."""
    load("keras")
    code = """
    import numpy as np, tensorflow as tf, zoo
    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    alone = zoo.build("lenet5_modern", "keras", dtype="float64")
    x = np.random.default_rng(0).standard_normal((3, 1, 28, 28))
    expected, map = zoo.predict(alone, x), zoo.features(alone, x, ["c3.conv"])["c3.conv"]
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    with strategy.scope():
        model = zoo.build("lenet5_modern", "keras", dtype="float64")
        found = zoo.predict(alone, x), zoo.features(model, x, ["c3.conv"])["c3.conv"]
    found += zoo.predict(model, x), zoo.features(model, x, ["c3.conv"])["c3.conv"]
    for value, reference in zip(found, [expected, map] * 2, strict=True):
        assert value.shape == reference.shape
        assert np.abs(value - reference).max() < 1e-12 * np.abs(reference).max()
    """
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], env=environment, cwd=tmp_path,
        capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3_000:]
