"""Published checkpoints: saved with the publisher's own code, loaded by zoo into every framework.

Weights and running statistics are random; the file is the publisher's form; the outputs must be
the publisher's own. Where a publisher's package is none of the tests', its stand-in saves.
"""

from __future__ import annotations

import contextlib
import functools
import warnings

import numpy as np
import pytest
from loading import load
from photographs import photographs

import zoo
from zoo.checkpoints import conversion, sources
from zoo.verification.comparison import error

SIDE = 64  # pixels of what need not be large: VGGs then have a last map of 2x2
CLASSES = 10


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("published")


def torch_module(model, x):
    """Random values for a PyTorch model; returns its outputs."""
    torch = load_framework("torch")
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
                fan_in = module.weight[0].numel()
                module.weight.normal_(0, (2 / fan_in) ** 0.5, generator=generator)
                if module.bias is not None:
                    module.bias.normal_(0, 0.1, generator=generator)
            if isinstance(module, torch.nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5, generator=generator)
                module.bias.normal_(0, 0.1, generator=generator)
                module.momentum = 1.0
        model.train()
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.eval()
        model(torch.from_numpy(x).to(next(model.parameters()).dtype))
        for name, statistic in model.named_buffers():  # those of the photograph, changed a little
            if name.endswith("running_var"):
                shape = statistic.shape
                statistic.mul_(torch.rand(shape, generator=generator, dtype=statistic.dtype) + 0.5)
        model.eval()
        outputs = model(torch.from_numpy(x).to(next(model.parameters()).dtype))
    return arrays(outputs, lambda value: value.numpy())


def paddle_layer(model, x, dtype="float32"):
    """Random values for a PaddlePaddle model; returns its outputs."""
    paddle = load_framework("paddle")
    rng = np.random.default_rng(0)
    model.to(dtype=dtype)
    norms = [
        m for m in model.sublayers() if isinstance(m, paddle.nn.BatchNorm2D | paddle.nn.BatchNorm)
    ]
    for layer in model.sublayers():
        weight = getattr(layer, "weight", None)
        if isinstance(layer, paddle.nn.Conv2D | paddle.nn.Linear):
            shape = weight.shape
            fan_in = np.prod(shape[1:]) if len(shape) == 4 else shape[0]
            values = rng.standard_normal(shape, np.float32) * (2 / fan_in) ** 0.5
            weight.set_value(values.astype(dtype))
            if layer.bias is not None:
                layer.bias.set_value((0.1 * rng.standard_normal(layer.bias.shape)).astype(dtype))
    for layer in norms:
        layer.weight.set_value(rng.uniform(0.5, 1.5, layer.weight.shape).astype(dtype))
        layer.bias.set_value((0.1 * rng.standard_normal(layer.bias.shape)).astype(dtype))
        layer._momentum = 0.0  # the batch's own statistics
    tensor = paddle.to_tensor(x.astype(dtype))
    with paddle.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of training a batch norm
        if norms:
            model.eval()
            for layer in norms:
                layer.train()
            model(tensor)
            for layer in norms:
                factor = rng.uniform(0.5, 1.5, layer._variance.shape).astype(dtype)
                layer._variance.set_value(layer._variance * paddle.to_tensor(factor))
        model.eval()
        outputs = model(tensor)
    return arrays(outputs, lambda value: value.numpy())


def arrays(outputs, numpy):
    if isinstance(outputs, dict):
        return {name: numpy(value) for name, value in outputs.items()}
    if isinstance(outputs, tuple | list):  # Paddle's GoogLeNet always gives three
        return dict(zip(("logits", "aux1", "aux2"), map(numpy, outputs), strict=True))
    return {"logits": numpy(outputs)}


def load_framework(name):
    load(name)
    return __import__(name)


def googlenet_torchvision(path, dtype):
    torch = load_framework("torch")
    from standins.in_torch import GoogLeNet

    x = photographs(3, (3, 224, 224))
    with torch.random.fork_rng():
        model = GoogLeNet().to(getattr(torch, dtype))
        outputs = torch_module(model, x)
        torch.save(model.state_dict(), path)
    return x, outputs, {"aux": True}


def vgg_in_torch(kind, name, path, dtype):
    torch = load_framework("torch")
    from standins import in_torch

    x = photographs(2, (3, SIDE, SIDE))
    with torch.random.fork_rng():
        model = getattr(in_torch, kind)(name, CLASSES, SIDE // 32).to(getattr(torch, dtype))
        outputs = torch_module(model, x)
    if path.suffix == ".safetensors":
        from safetensors.torch import save_file

        save_file(model.state_dict(), path)
    else:
        torch.save({"state_dict": model.state_dict()} if "wrapped" in path.name else
                   model.state_dict(), path)  # fmt: skip
    return x, outputs, {"input_size": SIDE, "num_classes": CLASSES}


def googlenet_paddle(path, dtype):
    paddle = load_framework("paddle")
    x = photographs(2, (3, 224, 224))
    model = paddle.vision.models.googlenet()
    outputs = paddle_layer(model, x, dtype)
    paddle.save(model.state_dict(), str(path))
    return x, outputs, {"aux": True}


def vgg_in_paddle(path, dtype):
    paddle = load_framework("paddle")
    x = photographs(1, (3, 224, 224))
    model = paddle.vision.models.vgg11(batch_norm=True)
    outputs = paddle_layer(model, x, dtype)
    paddle.save(model.state_dict(), str(path))
    return x, outputs, {}


def residual_in_paddle(name, path, dtype):
    """Of a ResNet or a DenseNet, whose last map is then 3x3."""
    paddle = load_framework("paddle")
    x = photographs(2, (3, 96, 96))
    model = getattr(paddle.vision.models, name)(num_classes=CLASSES)
    outputs = paddle_layer(model, x, dtype)
    paddle.save(model.state_dict(), str(path))
    return x, outputs, {"input_size": 96, "num_classes": CLASSES}


def vgg_in_paddleclas(path, dtype):
    paddle = load_framework("paddle")
    from standins.in_paddle import Vgg

    x = photographs(2, (3, SIDE, SIDE))
    model = Vgg([1, 1, 2, 2, 2], CLASSES, SIDE // 32)
    outputs = paddle_layer(model, x, dtype)
    paddle.save(model.state_dict(), str(path))
    return x, outputs, {"input_size": SIDE, "num_classes": CLASSES}


def vgg_in_keras(name, path, dtype):
    keras = load_framework("keras")
    x = photographs(2, (3, SIDE, SIDE))
    make = getattr(keras.applications, name.upper())
    model = make(weights=None, input_shape=(SIDE, SIDE, 3), classes=CLASSES)
    rng = np.random.default_rng(0)
    for variable in model.variables:
        shape = variable.shape
        scale = (2 / np.prod(shape[:-1])) ** 0.5 if len(shape) > 1 else 0.1
        variable.assign(rng.standard_normal(shape, np.float32) * scale)
    outputs = model.predict_on_batch(x.transpose(0, 2, 3, 1))
    if path.name.startswith("legacy"):  # as the published files are
        import h5py

        with h5py.File(path, "w") as file:
            for layer in model.layers:
                group = file.create_group(layer.name)
                for variable, letter in zip(layer.variables, "Wb", strict=False):
                    key = f"{layer.name}_{letter}_1:0"
                    group.create_dataset(key, data=np.asarray(variable))
    elif path.name.endswith(".weights.h5"):
        model.save_weights(path)
    else:
        with contextlib.redirect_stderr(None):
            model.save(path)
    return x, {"logits": outputs}, {"input_size": SIDE, "num_classes": CLASSES}


#: source, network, file, what saves it, dtypes
PUBLISHED = {
    "torchvision googlenet": (
        "torchvision", "googlenet_torchvision", "g.pth", googlenet_torchvision),
    "torchvision vgg": (
        "torchvision", "vgg11_bn", "wrapped.pth",
        functools.partial(vgg_in_torch, "TorchvisionVgg", "vgg11_bn")),
    "timm vgg": (
        "timm", "vgg11_bn", "model.safetensors",
        functools.partial(vgg_in_torch, "TimmVgg", "vgg11_bn")),
    "timm vgg, plain": (
        "timm", "vgg11", "pytorch_model.bin", functools.partial(vgg_in_torch, "TimmVgg", "vgg11")),
    "paddle googlenet": ("paddle", "googlenet_paddle", "g.pdparams", googlenet_paddle),
    "paddle vgg": ("paddle", "vgg11_bn", "v.pdparams", vgg_in_paddle),
    "paddle resnet": (
        "paddle", "resnet50", "r.pdparams", functools.partial(residual_in_paddle, "resnet50")),
    "paddle densenet": (
        "paddle", "densenet121", "d.pdparams",
        functools.partial(residual_in_paddle, "densenet121")),
    "paddleclas vgg": ("paddleclas", "vgg11_paddleclas", "c.pdparams", vgg_in_paddleclas),
    "keras vgg16": ("keras", "vgg16_keras", "legacy16.h5", functools.partial(vgg_in_keras, "vgg16")),
    "keras vgg19": (
        "keras", "vgg19_keras", "v19.weights.h5", functools.partial(vgg_in_keras, "vgg19")),
    "keras vgg16 whole": (
        "keras", "vgg16_keras", "whole.h5", functools.partial(vgg_in_keras, "vgg16")),
}  # fmt: skip


@pytest.fixture(scope="module")
def published(folder):
    """Saves a publisher's file once; gives it, its input and the publisher's outputs."""

    @functools.cache
    def make(key, dtype="float32"):
        _, _, file, save = PUBLISHED[key]
        path = folder / f"{dtype}" / file
        path.parent.mkdir(exist_ok=True)
        return path, *save(path, dtype)

    return make


def softmax(logits):
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


@pytest.mark.parametrize("key", PUBLISHED)
def test_zoo_gives_what_the_publisher_gives(key, published, framework, backend):
    source, network, *_ = PUBLISHED[key]
    path, x, expected, options = published(key)
    model = zoo.build(network, backend, weights=path, **options)
    found = zoo.predict(model, x)
    if not isinstance(found, dict):
        found = {"logits": found}
    assert found.keys() == expected.keys()
    for name, value in found.items():
        if sources.source(source).outputs == "softmax":
            value = softmax(value)
        assert error(value, expected[name]) < 1e-5, name


@pytest.mark.parametrize(
    ("key", "other"),
    [("paddle googlenet", "flax"), ("torchvision googlenet", "keras"), ("keras vgg16", "torch")],
)
def test_a_publishers_file_becomes_zoos(key, other, published, tmp_path):
    load(other)
    source, network, *_ = PUBLISHED[key]
    path, x, expected, options = published(key)
    target = tmp_path / "w.safetensors"
    if "input_size" in options:  # not what was published, so that it has to be said
        model = zoo.build(network, other, weights=path, **options)
        zoo.save(model, target)
    else:
        graph, dtype = conversion.convert(str(path), target)
        assert (graph.name, dtype, graph.options["aux"]) == (network, "float32", True)
    model = zoo.load(target, other)
    assert zoo.graph_of(model).origin["source"] == sources.source(source).title
    found = zoo.predict(model, x)
    logits = found["logits"] if isinstance(found, dict) else softmax(found)
    assert error(logits, expected["logits"]) < 1e-5
    assert np.argmax(logits) == np.argmax(expected["logits"])


def test_every_source_is_tested():
    assert {source for source, *_ in PUBLISHED.values()} == set(sources.sources())


def of_paddle(network):
    """paddle.vision's own model of a network, without memory: names and shapes only."""
    paddle = load_framework("paddle")
    name, norm, _ = network.partition("_bn")
    options = {"batch_norm": bool(norm)} if name.startswith("vgg") else {}
    with paddle.LazyGuard():
        return getattr(paddle.vision.models, name)(**options)


PADDLES = sources.source("paddle").networks


@pytest.mark.parametrize("network", [n for n in PADDLES if n != "googlenet_paddle"])
def test_paddles_own_names_and_shapes(network):
    table, graph = sources.source("paddle"), zoo.graph(network)
    places = sources.places(table, graph)
    shapes = {name: tuple(value.shape) for name, value in of_paddle(network).state_dict().items()}
    assert {place.names[0] for place in places.values()} == shapes.keys()
    for parameter in graph.parameters:
        place = places[parameter.name]
        reverse = -1 if place.layout == "IO" else 1
        assert shapes[place.names[0]] == parameter.shape[::reverse]
