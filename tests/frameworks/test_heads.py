"""Other classifiers, none, names of classes, and models of inner nodes."""

from __future__ import annotations

import json

import numpy as np
import pytest
from loading import load
from small import GOOGLENET, RESNET

import zoo
from zoo.data import images
from zoo.errors import InputError, UnknownNameError, WeightsError
from zoo.verification.comparison import error

SIDE = 40


@pytest.fixture(scope="module")
def x(backend):
    side = 32 if backend == "onnx" else SIDE  # its models have one size
    return np.random.default_rng(3).random((2, 3, side, side)).astype(np.float32)


@pytest.fixture(scope="module")
def model(framework, backend):
    return zoo.build(RESNET, backend, seed=4)


def test_without_a_classifier_a_model_returns_what_that_would_read(model, backend, x):
    headless = zoo.reset_head(model, 0)
    built = zoo.build(RESNET, backend, num_classes=0)
    features, weights = zoo.predict(headless, x), zoo.get_weights(model)
    assert features.shape == zoo.predict(built, x).shape == (2, 64)
    logits = features @ weights["fc.weight"].T + weights["fc.bias"]
    assert error(logits, zoo.predict(model, x)) < 1e-5
    assert set(weights) - set(zoo.get_weights(headless)) == {"fc.weight", "fc.bias"}
    with pytest.raises(
        InputError, match=r"cannot be trained: it has no classifier, which zoo\.reset_head adds"
    ):
        zoo.loss(headless, features, np.array([0, 1]))


def test_a_new_classifier_and_the_same_other_weights(model, backend, x):
    before = zoo.get_weights(model)
    changed = zoo.reset_head(model, 3, seed=1)
    after = zoo.get_weights(changed)
    assert zoo.predict(changed, x).shape == (2, 3)
    assert zoo.graph_of(changed).options["num_classes"] == 3
    for name, value in after.items():
        assert name.startswith("fc.") or np.array_equal(value, before[name]), name
    assert all(np.array_equal(before[n], value) for n, value in zoo.get_weights(model).items())
    same = zoo.get_weights(zoo.reset_head(model, 10, seed=1))
    assert not np.array_equal(same["fc.weight"], before["fc.weight"])  # it is new, too


def test_auxiliary_classifiers_are_new_as_well(framework, backend):
    model = zoo.build(GOOGLENET, backend, aux=True)
    before = zoo.get_weights(model)
    after = zoo.get_weights(zoo.reset_head(model, 3))
    changed = {name for name in after if not np.array_equal(after[name], before[name])}
    assert {n.rpartition(".")[0] for n in changed} == {"fc", "aux1.fc2", "aux2.fc2"}


def test_names_of_classes_stay_with_the_weights(model, backend, tmp_path):
    classes = ["cat", "dog", "Größe"]
    named = zoo.reset_head(model, classes=classes)
    path = tmp_path / "named.safetensors"
    zoo.save(named, path)
    for read in (
        zoo.load(path, backend),
        zoo.build(RESNET, backend, num_classes=3, weights=path),
        zoo.build(RESNET, backend, classes=classes),
    ):
        assert zoo.graph_of(read).classes == tuple(classes)
    other = zoo.load(path, backend, num_classes=2, head="new")
    assert zoo.graph_of(other).classes == ()


def test_weights_with_and_without_a_classifier(model, backend, tmp_path, x):
    path = tmp_path / "model.safetensors"
    zoo.save(model, path)
    headless = zoo.build(RESNET, backend, num_classes=0, weights=path)
    assert error(zoo.predict(headless, x), zoo.predict(zoo.reset_head(model, 0), x)) < 1e-6
    zoo.save(headless, path)
    assert zoo.graph_of(zoo.load(path, backend)).options["num_classes"] == 0
    grown = zoo.load(path, backend, num_classes=6, head="new")
    assert zoo.predict(grown, x).shape == (2, 6)
    with pytest.raises(WeightsError, match=r"missing: fc.weight  6x64"):
        zoo.load(path, backend, num_classes=6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"classes": "cat"},
            "classes must be a list of the names of the classes in the order of .*, got 'cat'",
        ),
        ({"classes": []}, "classes must be a list"),
        ({"classes": ["cat", 1]}, "classes must be a list"),
        ({"num_classes": 3, "classes": ["cat"]}, "num_classes is 3, but classes has 1 name"),
        ({"num_classes": -1}, "num_classes must be an integer from 0"),
        ({"num_classes": 0, "aux": True}, "num_classes cannot be 0 with aux=True"),
    ],
)
def test_options_that_contradict_each_other(options, message):
    with pytest.raises(InputError, match=message):
        zoo.graph("googlenet", **options)


def test_reset_head_needs_a_number_of_classes(model):
    with pytest.raises(InputError, match="reset_head needs num_classes, or classes"):
        zoo.reset_head(model)


@pytest.mark.frameworks
def test_an_extractor_computes_and_differentiates_nodes(model, backend, x):
    nodes = ["layer1", "layer2.block1.conv1", "flatten"]
    expected = zoo.features(model, x, nodes)
    extractor = zoo.extractor(model, nodes)
    results, gradient = RUN[backend](extractor, x, nodes[0])
    assert set(results) == set(nodes)  # nnx.jit sorts them
    for name in nodes:
        assert error(results[name], expected[name]) < 1e-5, name
    assert gradient.shape == (*x.shape[:1], 3, SIDE, SIDE) and np.abs(gradient).max() > 0


def _in_torch(extractor, x, node):
    import torch

    tensor = torch.tensor(x, requires_grad=True)
    results = extractor.eval()(tensor)
    results[node].square().sum().backward()
    assert sum(p.grad is not None for p in extractor.parameters()) > 0
    return {n: v.detach().numpy() for n, v in results.items()}, tensor.grad.numpy()


def _in_paddle(extractor, x, node):
    import paddle

    extractor.eval()
    tensor = paddle.to_tensor(x, stop_gradient=False)
    results = extractor(tensor)
    results[node].square().sum().backward()
    return {n: v.numpy() for n, v in results.items()}, tensor.grad.numpy()


def _in_keras(extractor, x, node):
    import tensorflow as tf

    tensor = tf.constant(x.transpose(0, 2, 3, 1))
    with tf.GradientTape() as tape:
        tape.watch(tensor)
        extractor(tensor.numpy())  # of which Keras warns where it expects a list of arrays
        results = extractor(tensor)
        total = tf.reduce_sum(results[node] ** 2)
    gradient = tape.gradient(total, tensor).numpy().transpose(0, 3, 1, 2)
    return {n: _nchw(v.numpy()) for n, v in results.items()}, gradient


def _in_flax(extractor, x, node):
    import jax
    import jax.numpy as jnp
    from flax import nnx

    extractor.eval()
    tensor = jnp.asarray(x.transpose(0, 2, 3, 1))
    results = nnx.jit(lambda model, x: model(x))(extractor, tensor)
    gradient = jax.grad(lambda x: (extractor(x)[node] ** 2).sum())(tensor)
    return {n: _nchw(np.asarray(v)) for n, v in results.items()}, _nchw(np.asarray(gradient))


RUN = {"torch": _in_torch, "paddle": _in_paddle, "keras": _in_keras, "flax": _in_flax}


def _nchw(value):
    return value.transpose(0, 3, 1, 2) if value.ndim == 4 else value


@pytest.mark.frameworks
def test_what_follows_the_last_node_is_not_computed(model, backend, x):
    if backend == "keras":  # a functional model has only the layers that it needs
        extractor = zoo.extractor(model, "conv1")
        assert len(extractor.layers) < 5
        return
    extractor = zoo.extractor(model, "avgpool")
    names = zoo.graph_of(model).nodes
    assert names[-1].name == "fc"
    delattr(extractor.network, "fc")
    try:
        results, _ = RUN[backend](extractor, x, "avgpool")
        assert results["avgpool"].shape == (2, 64, 1, 1)
    finally:
        model.fc = zoo.build(RESNET, backend).fc


def test_unknown_nodes_and_none(model):
    with pytest.raises(UnknownNameError, match="has no node or block 'nothing'"):
        zoo.extractor(model, ["nothing"])
    with pytest.raises(InputError, match="nodes must be the name of a node or several"):
        zoo.extractor(model, [])
    with pytest.raises(InputError, match="at this size|was built for inputs"):
        zoo.predict(model, np.zeros((1, 3, 9_000, 1), np.float32))


def test_a_network_that_ends_in_a_softmax_has_probabilities_and_no_loss(spec_file, command):
    load("torch")
    layers = """
    pool: {op: global_avg_pool}
    flatten: {op: flatten}
    fc: {op: linear, out_features: $num_classes}
    probabilities: {op: softmax}
    """
    path = spec_file(layers, header="options: {num_classes: 4, input_size: 16}\n")
    model = zoo.build(path, "torch")
    found = zoo.predict(model, zoo.preprocess(images.default(), model))[0]
    status, told, _ = command("predict", images.default(), "--model", path, "--format", "json")
    top = json.loads(told)["top"]
    assert status == 0 and {"class", "probability"} == set(top[0])
    assert [row["probability"] for row in top] == pytest.approx(
        sorted(found, reverse=True)[: len(top)]
    )
    with pytest.raises(
        InputError, match="its output 'logits' is a softmax, and a loss takes logits"
    ):
        zoo.loss(model, zoo.predict(model, np.zeros((1, 3, 16, 16), np.float32)), [0])


def test_the_command_line_shows_no_classes_of_a_network_without_any(command):
    load("torch")
    arguments = ["predict", images.default(), "--model", RESNET, "--backend", "torch"]
    status, _, told = command(*arguments, "--num-classes", "0")
    assert status == 2
    assert told.endswith(
        "error: this small_resnet has no classifier, so there are no classes to show\n"
    )
