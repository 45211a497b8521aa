"""The training loss, its gradients, and ten steps of training: in all frameworks the same."""

from __future__ import annotations

import functools
import textwrap

import numpy as np
import pytest
from loading import load
from small import GOOGLENET, VGG, VGG_BN

import zoo
from zoo import ops
from zoo.backend import registry
from zoo.backend.training import Rule
from zoo.errors import BackendError, InputError
from zoo.training import rules
from zoo.weights import initial

pytestmark = pytest.mark.frameworks

EVERYTHING = """
conv: {op: conv, out_channels: 8, kernel_size: 3, stride: 2, padding: [0, 1, 1, 0]}
bn: {op: batch_norm, momentum: 0.3}
relu: {op: relu}
lrn: {op: lrn, size: 5, alpha: 0.1, k: 2}
average: {op: avg_pool, kernel_size: 3, stride: 2, padding: 1, count_include_pad: false}
depthwise: {op: conv, out_channels: 16, kernel_size: 3, groups: 8, dilation: 2, padding: 2}
factor: {op: scale, factor: 0.3}
pool: {op: max_pool, kernel_size: 3, stride: 2, ceil_mode: true}
sum: {op: add, from: [pool, pool]}
adaptive: {op: adaptive_avg_pool, output_size: 3}
flatten: {op: flatten}
dropout: {op: dropout, rate: 0.5}
fc: {op: linear, out_features: $num_classes}
aux1: {from: relu, when: $aux, layers: {mean: {op: global_avg_pool}, flatten: {op: flatten}, fc: {op: linear, out_features: $num_classes}}}
"""
HEADER = """
options: {num_classes: 10, input_size: [27, 31]}
outputs: {logits: {from: fc}, aux1: {from: aux1, loss_weight: 0.7}}
"""


@pytest.fixture(scope="module")
def make(tmp_path_factory):
    """Makes a network's graph, with its heads and without dropout."""
    path = tmp_path_factory.mktemp("specs") / "everything.yaml"

    def make(name, layers=EVERYTHING):
        if name == "everything":
            text = textwrap.indent(layers.strip(), "  ")
            path.write_text(f"format: 1\nname: everything\n{HEADER}layers:\n{text}\n")
            return zoo.graph(path, aux=True).without_dropout()
        return zoo.graph(name, input_size=80, num_classes=10, aux=True).without_dropout()

    return make


def cross_entropy(logits, labels):
    """The meaning, in NumPy."""
    below = logits - logits.max(1, keepdims=True)
    each = np.log(np.exp(below).sum(1)) - below[np.arange(len(labels)), labels]
    return each.mean()


def native(backend, array):
    if backend == "torch":
        import torch

        return torch.from_numpy(array)
    if backend == "paddle":
        import paddle

        return paddle.to_tensor(array)
    return array


@pytest.mark.parametrize("spread", [1.0, 300.0])
def test_the_loss_is_cross_entropy_with_heads_by_their_weight(spread, framework, backend):
    """Logits far apart too, which Paddle's own softmax clips."""
    model = zoo.build(GOOGLENET, backend, aux=True, num_classes=7, dtype="float64")
    rng = np.random.default_rng(0)
    outputs = {name: spread * rng.standard_normal((5, 7)) for name in ("logits", "aux1", "aux2")}
    labels = np.array([0, 6, 3, 3, 1])
    found = zoo.loss(model, {n: native(backend, v) for n, v in outputs.items()}, labels)
    main, first, second = (cross_entropy(value, labels) for value in outputs.values())
    assert float(found) == pytest.approx(main + 0.3 * first + 0.3 * second, rel=1e-14)
    plain = zoo.build(VGG, backend, num_classes=7, dtype="float64")
    found = zoo.loss(plain, native(backend, outputs["logits"]), native(backend, labels))
    assert float(found) == pytest.approx(main, rel=1e-14)


def test_labels_mean_the_same_everywhere(framework, backend):
    model = zoo.build(VGG, backend, num_classes=4, dtype="float64")
    logits = np.random.default_rng(0).standard_normal((3, 4))
    outputs, right = native(backend, logits), cross_entropy(logits, np.array([0, 3, 1]))
    for labels in ([0, 3, 1], np.array([[0], [3], [1]]), np.array([0, 3, 1], np.uint8)):
        assert float(zoo.loss(model, outputs, labels)) == pytest.approx(right, rel=1e-14)
    column = native(backend, np.array([[0], [3], [1]]))
    assert float(zoo.loss(model, outputs, column)) == pytest.approx(right, rel=1e-14)
    for labels, message in (
        ([1], r"expected labels of shape \[3\], got \[1\]"),
        (np.eye(4)[:3], r"got \[3, 4\]; take the argmax of one-hot labels"),
        ([0, 1, 99], "expected labels from 0 to 3, got 99"),
        ([-1, 0, 1], "expected labels from 0 to 3, got -1"),
        (np.array([0.5, 1, 2]), "integers, got float64"),
    ):
        with pytest.raises(InputError, match=message):
            zoo.loss(model, outputs, labels)
    assert float(zoo.loss(model, logits, [0, 3, 1])) == pytest.approx(right, rel=1e-14)  # NumPy's
    fractions = framework_tensor(backend, np.array([0, 2.5, 1], np.float32))
    if backend == "keras":  # whose fit casts labels itself
        assert np.isnan(float(zoo.loss(model, outputs, fractions)))
        whole = framework_tensor(backend, np.array([0, 3, 1], np.float32))
        assert float(zoo.loss(model, outputs, whole)) == pytest.approx(right, rel=1e-14)
    else:
        with pytest.raises(InputError, match="expected labels that are integers, got float32"):
            zoo.loss(model, outputs, fractions)
    if backend != "torch":  # which says so itself
        for wrong in ([0, 1, 99], [-1, 0, 1]):
            labels = native(backend, np.array(wrong))
            if backend in ("keras", "flax"):
                labels = framework_tensor(backend, labels)
            assert np.isnan(float(zoo.loss(model, outputs, labels)))


def framework_tensor(backend, array):
    if backend in ("torch", "paddle"):
        return native(backend, array)
    if backend == "keras":
        import keras

        return keras.ops.convert_to_tensor(array)
    import jax.numpy as jnp

    return jnp.asarray(array)


def test_keras_fits_with_the_loss():
    load("keras")
    model = zoo.build("lenet5", "keras")
    model.compile("sgd", loss=lambda labels, outputs: zoo.loss(model, outputs, labels))
    history = model.fit(np.ones((4, 32, 32, 1)), np.array([1, 2, 3, 4]), verbose=0).history
    assert np.isfinite(history["loss"]).all()


def test_heads_that_are_missing_are_named(framework, backend):
    model = zoo.build(GOOGLENET, backend, aux=True, num_classes=4)
    with pytest.raises(
        InputError, match=r"logits, aux1, aux2 in a dict, and aux1, aux2 are missing"
    ):
        zoo.loss(model, native(backend, np.zeros((2, 4), np.float32)), [0, 1])


def test_a_model_of_someone_else_has_no_such_loss():
    load("torch")
    import torch

    with pytest.raises(BackendError, match="does not know its graph"):
        zoo.loss(torch.nn.Linear(2, 2), torch.zeros(1, 2), torch.zeros(1))


def trained(graph, backend, names=()):
    """Loss, gradients and statistics of one step in float64; and of ten, by each rule."""
    module = registry.load(backend)
    model = module.build(graph, initial.drawing(graph, dtype="float64"), "float64", 0)
    batches = rules.batches(graph.input_shape, 4, 10)
    start = module.get_weights(model)
    loss, gradients, of_input = module.gradients(model, *batches[0])
    found = {"": (loss, {"input": of_input}, gradients, module.get_weights(model))}
    for name in names:
        rule, losses = rules.named(name, rules.RATES[name][0]), []
        weights = {key: value.copy() for key, value in start.items()}
        module.set_weights(model, weights)
        for number, (x, labels) in enumerate(batches, 1):
            loss, gradients, _ = module.gradients(model, x, labels)
            moved = module.get_weights(model)
            weights.update({key: moved[key] for key in weights if key not in gradients})
            rule.step(weights, gradients, number)
            module.set_weights(model, weights)
            losses.append(loss)
        found[name] = losses, weights
    return found


def largest(arrays):
    return max(np.abs(value).max() for value in arrays.values())


def apart(found, expected):
    """The largest difference of any array, over the largest value of all."""
    assert found.keys() == expected.keys()
    difference = {name: found[name] - value for name, value in expected.items()}
    return largest(difference) / largest(expected)


@pytest.fixture(scope="module")
def in_torch(make):
    """What PyTorch gives, each once."""
    load("torch")
    return functools.cache(lambda name, names=(): trained(make(name), "torch", names))


@pytest.mark.parametrize(
    ("backend", "name", "rules_"),
    [
        *(
            pytest.param(backend, "googlenet", ("SGD",), marks=pytest.mark.slow)
            for backend in ("paddle", "keras", "flax")
        ),
        *((backend, GOOGLENET, ("SGD",)) for backend in ("paddle", "keras")),  # 40 s in Flax
        *((backend, "everything", tuple(rules.RULES)) for backend in ("paddle", "keras", "flax")),
    ],
    indirect=["backend"],
    ids=lambda value: "small_googlenet" if value == GOOGLENET else None,
)
def test_gradients_and_ten_steps_agree_with_torch(name, rules_, framework, backend, in_torch, make):
    graph = make(name)
    found, expected = trained(graph, backend, rules_), in_torch(name, rules_)
    loss, of_input, gradients, weights = found[""]
    assert loss == pytest.approx(expected[""][0], rel=1e-12)
    assert gradients.keys() == {p.name for p in graph.parameters if p.trainable}
    assert apart(gradients, expected[""][2]) <= 1e-10
    assert apart(of_input, expected[""][1]) <= 1e-10
    for key, value in weights.items():  # the running statistics have moved
        assert np.abs(value - expected[""][3][key]).max() <= 1e-12 * np.abs(value).max(), key
    for rule in rules_:
        losses, weights = found[rule]
        assert losses == pytest.approx(expected[rule][0], rel=1e-8)
        assert apart(weights, expected[rule][1]) <= 1e-8


def test_gradients_are_those_of_the_numpy_meaning(framework, backend, make):
    """Along a direction, by finite differences: an oracle that no framework has a part in."""
    without = "\n".join(line for line in EVERYTHING.splitlines() if not line.startswith("bn:"))
    graph = make("everything", without)  # batch norm's meaning is that of evaluation
    x, labels = rules.batches(graph.input_shape, 4, 10)[0]
    module = registry.load(backend)
    model = module.build(graph, initial.drawing(graph, dtype="float64"), "float64", 0)
    weights = module.get_weights(model)
    loss, gradients, of_input = module.gradients(model, x, labels)
    gradients["input"], weights["input"] = of_input, x
    rng = np.random.default_rng(1)
    direction = {
        n: rng.standard_normal(g.shape) * np.abs(weights[n]).max() for n, g in gradients.items()
    }
    step = 1e-8

    def meaning(factor):
        moved = {n: weights[n] + factor * step * direction[n] for n in weights}
        outputs = ops.run(graph, moved.pop("input"), moved)
        losses = (o.loss_weight * cross_entropy(outputs[o.name], labels) for o in graph.outputs)
        return sum(losses)

    assert meaning(0) == pytest.approx(loss, rel=1e-12)
    slope = (meaning(1) - meaning(-1)) / (2 * step)
    expected = sum((gradients[n] * direction[n]).sum() for n in gradients)
    assert expected == pytest.approx(slope, rel=1e-6)


def test_the_models_mode_is_restored(framework, backend):
    if backend in ("torch", "paddle", "flax"):
        model = zoo.build(VGG_BN, backend, num_classes=10)
        model.eval()
        x, labels = rules.batches((3, 32, 32), 2, 10)[0]
        registry.load(backend).gradients(model, x, labels)
        first = zoo.predict(model, x)
        assert np.array_equal(first, zoo.predict(model, x))
        if backend != "flax":
            assert not model.training


@pytest.mark.parametrize(
    ("rule", "oracle"),
    [
        (Rule("sgd", 0.01), lambda torch, w: torch.optim.SGD(w, 0.01)),
        (
            Rule("sgd", 0.01, momentum=0.9, weight_decay=1e-2),
            lambda torch, w: torch.optim.SGD(w, 0.01, 0.9, weight_decay=1e-2),
        ),
        (
            Rule("sgd", 0.01, momentum=0.9, nesterov=True),
            lambda torch, w: torch.optim.SGD(w, 0.01, 0.9, nesterov=True),
        ),
        (
            Rule("adam", 0.01, weight_decay=1e-2),
            lambda torch, w: torch.optim.Adam(w, 0.01, weight_decay=1e-2),
        ),
        (
            Rule("adamw", 0.01, beta1=0.8, weight_decay=0.1),
            lambda torch, w: torch.optim.AdamW(w, 0.01, (0.8, 0.999), weight_decay=0.1),
        ),
        (
            Rule("rmsprop", 0.01, weight_decay=1e-2),
            lambda torch, w: torch.optim.RMSprop(w, 0.01, weight_decay=1e-2),
        ),
        (
            Rule("rmsprop", 0.01, momentum=0.5, alpha=0.9, eps=1e-3),
            lambda torch, w: torch.optim.RMSprop(w, 0.01, 0.9, 1e-3, momentum=0.5),
        ),
    ],
    ids=lambda value: value.name if isinstance(value, Rule) else "",
)
def test_the_rules_are_pytorchs(rule, oracle):
    """torch.optim is an oracle from outside: the same rule, in float64."""
    load("torch")
    import torch

    rng = np.random.default_rng(0)
    weights = {"w": rng.standard_normal(50)}
    parameter = torch.nn.Parameter(torch.tensor(weights["w"]))
    optimizer = oracle(torch, [parameter])
    written = rules.Written(rule)
    for step in range(1, 11):
        gradient = rng.standard_normal(50)
        parameter.grad = torch.tensor(gradient)
        optimizer.step()
        written.step(weights, {"w": gradient}, step)
    assert np.abs(parameter.detach().numpy() - weights["w"]).max() < 1e-14
