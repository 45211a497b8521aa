"""Files of Keras' models around those of keras.applications, and around zoo's."""

from __future__ import annotations

import contextlib
import warnings

import numpy as np
import pytest
from checkpoints import assert_same
from loading import load

import zoo
from zoo.errors import BackendError, WeightsError


@pytest.fixture(scope="module")
def keras_models():
    """MobileNet of keras.applications: its features alone, and in models of a user's own."""
    load("keras")
    import keras

    base = keras.applications.MobileNet(
        weights=None, include_top=False, input_shape=(32, 32, 3), alpha=0.25
    )
    rng = np.random.default_rng(0)
    for variable in base.variables:
        variable.assign(rng.uniform(0.5, 1.5, tuple(variable.shape)).astype(np.float32))
    pooled = keras.layers.GlobalAveragePooling2D()(base.output)
    flat = keras.Model(base.input, keras.layers.Dense(19, name="my_dense")(pooled))
    x = keras.Input((32, 32, 3))
    inner = keras.layers.GlobalAveragePooling2D()(base(x))
    nested = keras.Model(x, keras.layers.Dense(19, activation="softmax")(inner))
    layers = keras.layers
    sequential = keras.Sequential([
        keras.Input((32, 32, 3)), layers.RandomFlip(), layers.Rescaling(1 / 127.5, -1),
        layers.Normalization(), base, layers.GlobalAveragePooling2D(), layers.Dropout(0.2), layers.Dense(19),
    ])  # fmt: skip
    sequential.compile("adam", "mse")
    return {"base": base, "flat": flat, "nested": nested, "sequential": sequential}


@pytest.mark.parametrize("suffix", [".h5", ".keras", ".weights.h5"])
@pytest.mark.parametrize("kind", ["base", "flat", "nested", "sequential"])
def test_keras_models_around_keras_applications(kind, suffix, keras_models, tmp_path):
    load("torch")
    own, base = keras_models[kind], keras_models["base"]
    path = tmp_path / f"w{suffix}"
    with contextlib.redirect_stderr(None), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # .h5 is called legacy
        (own.save_weights if "weights" in suffix else own.save)(path)
    kernel = np.asarray(base.get_layer("conv_pw_13").kernel).transpose(3, 2, 0, 1)
    new = zoo.load(path, "torch", head="new", num_classes=4)
    assert zoo.graph_of(new).name == "mobilenet_v1_0_25"
    weights = zoo.get_weights(new)
    (name,) = [n for n, a in weights.items() if a.shape == kernel.shape and "13" in n]
    assert np.array_equal(weights[name], kernel)
    told = (
        "without the layers Rescaling and Normalization of the" in zoo.graph_of(new).origin["note"]
    )
    assert told == (kind == "sequential" and suffix != ".weights.h5")
    if kind == "base":
        with pytest.raises(WeightsError, match="head='new' gives the network a new one"):
            zoo.load(path, "torch")
        return
    found = zoo.load(path, "torch")
    dense = own.layers[-1]
    assert f"with {dense.name!r} as the classifier" in zoo.graph_of(found).origin["note"]
    assert zoo.graph_of(found).options["num_classes"] == 19
    assert np.array_equal(
        zoo.get_weights(found)["fc.weight"].reshape(19, -1), dense.kernel.numpy().T
    )


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("suffix", [".keras", ".h5", ".weights.h5"])
def test_every_precision(suffix, dtype, tmp_path):
    """HDF5 itself has no bfloat16."""
    model = zoo.build("lenet5", "keras", dtype=dtype, seed=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # .h5 is called legacy
        (model.save_weights if "weights" in suffix else model.save)(tmp_path / f"w{suffix}")
    found = zoo.build("lenet5", "torch", weights=tmp_path / f"w{suffix}", dtype=dtype)
    for name, array in zoo.get_weights(model).items():
        assert array.dtype == dtype
        assert zoo.get_weights(found)[name].tobytes() == array.tobytes()


@pytest.mark.parametrize(
    ("suffix", "entries"),
    [
        (".h5", ("first", "second")),
        (".keras", ("functional", "functional_1")),
        (".weights.h5", ("functional", "functional_1")),
    ],
)
def test_two_networks_in_one_model(suffix, entries, tmp_path):
    """As in an ensemble. In files of Keras 3, models are called after their class."""
    import keras

    x = keras.Input((32, 32, 3))
    models = [zoo.build("resnet20", "keras", seed=seed) for seed in (1, 2)]
    for model, name in zip(models, ("first", "second"), strict=True):
        model.name = name
    both = keras.Model(x, keras.layers.Average()([model(x) for model in models]))
    path = tmp_path / f"w{suffix}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # .h5 is called legacy
        (both.save_weights if "weights" in suffix else both.save)(path)
    with pytest.raises(WeightsError, match=f"its entry '{entries[0]}' is .*entry='{entries[0]}' r"):
        zoo.load(path, "keras")
    for model, entry in zip(models, entries, strict=True):
        assert_same(zoo.load(path, "keras", entry=entry), model)


@pytest.mark.parametrize("suffix", [".keras", ".weights.h5"])
def test_two_networks_of_different_names_in_one_model(suffix, keras_models, tmp_path):
    import keras

    x = keras.Input((32, 32, 3))
    pool = keras.layers.GlobalAveragePooling2D()
    other = zoo.build("resnet20", "keras", num_classes=0, seed=3)
    joined = keras.layers.Concatenate()([pool(keras_models["base"](x)), other(x)])
    both = keras.Model(x, keras.layers.Dense(3)(joined))
    path = tmp_path / f"w{suffix}"
    (both.save_weights if "weights" in suffix else both.save)(path)
    with pytest.raises(WeightsError, match="it also has other arrays"):
        zoo.load(path, "keras")
    assert_same(zoo.load(path, "keras", entry="functional_1", num_classes=0), other)
    found = zoo.load(path, "onnx", entry="functional", num_classes=0)
    assert zoo.graph_of(found).name == "mobilenet_v1_0_25"


#: What follows the features, and what the error says without an option; empty if there is none.
HEADS = {
    "linear": (lambda layers, x: layers.Dense(7)(x), ""),
    "two layers": (lambda layers, x: layers.Dense(7)(layers.Dense(8)(x)), "it has Dense in dense"),
    "two heads": (lambda layers, x: [layers.Dense(7)(x), layers.Dense(7)(x)], "it has Dense in dense"),
    "normalized": (lambda layers, x: layers.Dense(7)(layers.BatchNormalization()(x)), "it has Dense and"),
}  # fmt: skip


@pytest.mark.parametrize("kind", HEADS)
def test_the_features_of_a_model_with_any_classifier(kind, keras_models, tmp_path):
    import keras

    base = zoo.build("resnet20", "keras", num_classes=0, input_size=32)
    make, text = HEADS[kind]
    x = keras.Input((32, 32, 3))
    keras.Model(x, make(keras.layers, base(x))).save(tmp_path / "w.keras")
    with pytest.raises(WeightsError, match=text) if text else contextlib.nullcontext():
        assert zoo.graph_of(zoo.load(tmp_path / "w.keras", "keras")).options["num_classes"] == 7
    assert_same(zoo.load(tmp_path / "w.keras", "keras", num_classes=0), base)
    zoo.load(tmp_path / "w.keras", "keras", head="new", num_classes=3)


@pytest.mark.parametrize("name", ["mobilenet_v3_small_0_75", "efficientnet_b0"])
@pytest.mark.parametrize("factor", [1, 2])
def test_arithmetic_is_counted_where_the_network_has_some(factor, name, keras_models, tmp_path):
    """A hard swish, whose parts are arithmetic, or a silu precedes the classifier."""
    import keras

    base = zoo.build(name, "keras", num_classes=0, input_size=32)
    x = keras.Input((32, 32, 3))
    y = base(x) if factor == 1 else base(x) * factor
    keras.Model(x, keras.layers.Dense(7)(y)).save(tmp_path / "w.keras")
    refused = pytest.raises(WeightsError, match="it has Multiply in multiply")
    with refused if factor > 1 else contextlib.nullcontext():
        zoo.load(tmp_path / "w.keras", "keras")


@pytest.mark.parametrize("scaled", [True, False])
def test_what_follows_the_features_is_not_left_out(scaled, keras_models, tmp_path):
    import keras

    base = zoo.build("resnet20", "keras", num_classes=0, input_size=32)
    whole = zoo.build("resnet20", "keras", input_size=32)
    x = keras.Input((32, 32, 3))
    if scaled:
        y = keras.layers.Rescaling(0.1)(base(x))
    else:
        both = keras.Model(whole.inputs, [whole.layers[-2].output, *whole.outputs])
        features, logits = both(x)
        y = keras.layers.Concatenate()([keras.layers.Reshape((-1,))(features), logits])
    keras.Model(x, y).save(tmp_path / "w.keras")
    with pytest.raises(
        WeightsError, match="at its end, (it has Rescaling|the layers are connected)"
    ):
        zoo.load(tmp_path / "w.keras", "keras", **({"num_classes": 0} if scaled else {}))


@pytest.fixture(scope="module")
def subclassed():
    """Makes a Keras model that calls the first of its attributes, and then those after it."""
    load("keras")
    import keras

    class Chain(keras.Model):
        def __init__(self, **layers):
            super().__init__()
            self.names = list(layers)
            for name, layer in layers.items():
                setattr(self, name, layer)

        def call(self, x):
            for name in self.names:
                x = getattr(self, name)(x)
            return x

    def make(compiled=False, **layers):
        model = Chain(**layers)
        x = np.random.default_rng(0).random((2, 32, 32, 3), np.float32)
        model(x)
        if compiled:
            model.compile("adam", "sparse_categorical_crossentropy")
            model.fit(x, np.zeros(2), verbose=0)
        return model, x

    return make


@pytest.mark.parametrize("suffix", [".keras", ".weights.h5"])
@pytest.mark.parametrize("names", [("net", "head"), ("backbone", "out"), ("net", "out")])
def test_a_model_of_attributes(names, suffix, subclassed, tmp_path):
    """In the file, attributes that precede "layers" in the alphabet are groups of their own."""
    import keras

    body = zoo.build("resnet20", "keras", num_classes=0, input_size=32)
    parts = dict(zip(names, (body, keras.layers.Dense(7)), strict=True))
    model, x = subclassed(compiled=True, **parts)
    path = tmp_path / f"w{suffix}"
    (model.save_weights if "weights" in suffix else model.save)(path)
    found = zoo.load(path, "keras")
    assert zoo.graph_of(found).options["num_classes"] == 7
    assert np.array_equal(found(x), model(x))


@pytest.mark.parametrize("suffix", [".keras", ".weights.h5"])
@pytest.mark.parametrize("before", [True, False])
def test_a_layer_beside_the_network_is_not_left_out(before, suffix, subclassed, tmp_path):
    import keras

    net = zoo.build("resnet20", "keras", input_size=32)
    other = {"adapter": keras.layers.Conv2D(3, 1)} if before else {"dense": keras.layers.Dense(7)}
    model, _ = subclassed(**({**other, "net": net} if before else {"net": net, **other}))
    path = tmp_path / f"w{suffix}"
    (model.save_weights if "weights" in suffix else model.save)(path)
    with pytest.raises(WeightsError, match=r"unexpected: (conv2d|dense)\w*\.0"):
        zoo.load(path, "keras")


def test_a_network_and_its_average_in_one_model(keras_models, tmp_path):
    import keras

    class Averaged(keras.Model):
        def __init__(self, network, ema_network):
            super().__init__()
            self.network, self.ema_network = network, ema_network

        def call(self, x):
            return self.network(x) + self.ema_network(x)

    nets = [zoo.build("resnet20", "keras", input_size=32, seed=seed) for seed in (3, 4)]
    model = Averaged(nets[1], nets[0])
    model(np.zeros((1, 32, 32, 3), np.float32))
    model.save_weights(tmp_path / "a.weights.h5")
    with pytest.raises(WeightsError, match="entry='ema_network' reads resnet20 alone"):
        zoo.load(tmp_path / "a.weights.h5", "keras")
    for entry, net in zip(("ema_network", "functional"), nets, strict=True):
        assert_same(zoo.load(tmp_path / "a.weights.h5", "keras", entry=entry), net)


def test_a_compiled_model_within_another(keras_models, tmp_path):
    """Its optimizer is in the file, too."""
    import keras

    inner = zoo.build("resnet20", "keras", num_classes=4)
    inner.compile("sgd", "mse")
    outer = keras.Sequential([keras.Input((32, 32, 3)), inner, keras.layers.Softmax()])
    outer.save(tmp_path / "w.keras")
    assert_same(zoo.load(tmp_path / "w.keras", "keras"), inner)


@pytest.mark.parametrize("name", ["squeezenet1_1_paddle", "squeezenet1_1_caffe"])
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_the_configuration_tells_networks_of_the_same_names_apart(name, suffix, tmp_path):
    load("keras")
    model = zoo.build(name, "keras", num_classes=4, input_size=67)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # .h5 is called legacy
        model.save(tmp_path / f"w{suffix}")
    assert zoo.graph_of(zoo.load(tmp_path / f"w{suffix}", "onnx")).name == name


@pytest.mark.parametrize("mode", ["int8", "float8"])
def test_what_keras_quantized_is_refused(mode, keras_models, tmp_path):
    model = zoo.build("resnet20", "keras")
    model.get_layer("fc").quantize(mode)
    model.save(tmp_path / "w.keras")
    model.save_weights(tmp_path / "w.weights.h5")
    model.save(tmp_path / "w.h5")
    for file in ("w.keras", "w.weights.h5", "w.h5"):
        with pytest.raises(WeightsError, match=r"fc(\.\w+)?: a layer was quantized"):
            zoo.load(tmp_path / file, "keras")
        with pytest.raises(WeightsError, match=r"fc(\.\w+)?: a layer was quantized"):
            zoo.build("resnet20", "keras", weights=tmp_path / file)


def test_the_old_format_with_operations_as_custom_objects(keras_models, tmp_path):
    import keras

    model = zoo.build("resnet20", "keras")
    model.save(tmp_path / "w.h5")
    with pytest.raises(ValueError, match="Unknown layer: 'Pad'"):
        keras.models.load_model(tmp_path / "w.h5")
    operations = {type(each).__name__: type(each) for each in model.operations}
    loaded = keras.models.load_model(tmp_path / "w.h5", custom_objects=operations)
    x = np.random.default_rng(0).random((1, 32, 32, 3), np.float32)
    assert np.array_equal(loaded(x), model(x))


def test_an_activation_that_was_replaced_is_named(keras_models):
    import keras

    model = zoo.build("resnet20", "keras")
    model.get_layer("conv1.relu").activation = keras.activations.gelu
    with pytest.raises(WeightsError, match="resnet20 is gelu, not relu as in zoo's layer"):
        zoo.graph_of(model)


def test_a_pipeline_is_refused_alike_by_every_verb(keras_models, tmp_path):
    import keras

    model = zoo.build("resnet20", "keras")
    pipeline = keras.layers.Pipeline([keras.layers.Rescaling(0.5), model])
    for verb in (zoo.graph_of, zoo.get_weights, lambda each: zoo.save(each, tmp_path / "w.onnx")):
        with pytest.raises(BackendError, match="this Pipeline is neither; pass the model that is"):
            verb(pipeline)


def test_an_adapter_that_keras_merges(keras_models, tmp_path):
    model = zoo.build("resnet20", "keras")
    layer = model.get_layer("fc")
    layer.enable_lora(2)
    for variable in (layer.lora_kernel_a, layer.lora_kernel_b):
        variable.assign(np.ones(variable.shape))
    model.save(tmp_path / "w.keras")
    found = zoo.get_weights(zoo.load(tmp_path / "w.keras", "keras"))["fc.weight"]
    assert np.allclose(found, np.asarray(layer.kernel).T, atol=1e-6)


def test_parts_of_keras_are_refused(keras_models, tmp_path):
    path = tmp_path / "w.weights.json"
    keras_models["base"].save_weights(path, max_shard_size=0.0005)
    for each in (path, tmp_path / "w_00001.weights.h5"):
        with pytest.raises(WeightsError, match="Keras saved in several files.*save_weights"):
            zoo.load(each, "keras")
