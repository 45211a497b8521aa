"""What is Keras' own in training: its optimizers, its layers, and its mixed precision."""

from dataclasses import replace

import numpy as np
import pytest
from loading import load

import zoo
from zoo.backend.training import LossScale, Part, Plan, Rule
from zoo.errors import BackendError
from zoo.training.masks import Masks
from zoo.training.rules import Written

pytestmark = pytest.mark.frameworks

SPEC = """
conv: {op: conv, out_channels: 4, kernel_size: 3, bias: false}
bn: {op: batch_norm}
swish: {op: hard_swish}
flatten: {op: flatten}
dropout: {op: dropout, rate: 0.5}
fc: {op: linear, out_features: $num_classes}
"""
RULES = [
    Rule("sgd", 0.1, weight_decay=0.1),
    Rule("sgd", 0.1, momentum=0.9, nesterov=True, weight_decay=0.1, decay="kernels"),
    Rule("adam", 0.1, weight_decay=0.1),
    Rule("adam", 0.1, beta1=0.0),
    Rule("adamw", 0.1, weight_decay=0.1, decay="kernels"),
    Rule("rmsprop", 0.1, momentum=0.5),
]
SGD = Rule("sgd", 0.1, momentum=0.9)


@pytest.fixture(scope="module")
def zoo_keras():
    return load("keras")


@pytest.fixture
def make(spec_file, zoo_keras):
    def make(layers=SPEC, **options):
        header = "options: {num_classes: 3, in_channels: 2, input_size: 6}\n"
        return zoo.build(spec_file(layers.strip(), header=header), "keras", **options)

    return make


def part(model, examples=8, dtype="float32"):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((examples, 6, 6, 2)).astype(np.float32)
    masks = Masks(zoo.graph_of(model), 0, "HWC", dtype).batch(0, examples)
    return Part(x, rng.integers(0, 3, examples), masks)


def same(one, other):
    return one.keys() == other.keys() and all(np.array_equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_the_optimizer_computes_the_written_rule(rule, dtype, zoo_keras):
    """In the dtype of the weights, from the first step on, at a rate that changes."""
    import keras

    from zoo.keras import optimizers

    eps, rng = float(np.finfo(dtype).eps), np.random.default_rng(0)
    weights = {"kernel": rng.standard_normal((4, 5)), "bias": rng.standard_normal(5)}
    weights = {name: value.astype(dtype) for name, value in weights.items()}
    variables = [keras.Variable(value, dtype=dtype) for value in weights.values()]
    optimizer = optimizers.Written(rule, dtype=dtype)
    written = Written(
        rule, {"kernel": rule.weight_decay, "bias": 0.0} if rule.decay != "all" else None
    )
    for step in range(1, 6):
        gradients = {n: rng.standard_normal(v.shape).astype(dtype) for n, v in weights.items()}
        optimizer.learning_rate = 0.1 / step
        optimizer.apply([keras.ops.convert_to_tensor(g) for g in gradients.values()], variables)
        written.step(weights, gradients, step, 0.1 / step)
        for variable, expected in zip(variables, weights.values(), strict=True):
            assert np.abs(np.asarray(variable) - expected).max() <= 20 * eps
    kept = {slot: [np.asarray(v) for v in values] for slot, values in optimizer.slots.items()}
    for slot, arrays in written.slots.items():
        for found, expected in zip(kept[slot], arrays.values(), strict=True):
            assert found == pytest.approx(expected, rel=20 * eps, abs=20 * eps)


def test_a_compiled_model_is_saved_with_its_optimizer(make, zoo_keras, tmp_path):
    import keras

    model = make(SPEC.replace("0.5", "0"), dtype="float64")
    model.compile(
        zoo.optimizer(model, "adamw", 0.01, weight_decay=0.1, decay="kernels"),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    x, y, _ = part(model)
    model.fit(x, y, verbose=0)
    model.optimizer.learning_rate = 1 / 300
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    assert type(loaded.optimizer) is type(model.optimizer)
    assert float(loaded.optimizer.learning_rate) == 1 / 300  # which float32 does not hold
    assert loaded.optimizer.rule.decay == "kernels"
    for each in (model, loaded):
        each.fit(x, y, verbose=0, shuffle=False)  # of the batch, whose sums round
    for one, other in zip(model.variables, loaded.variables, strict=True):
        assert np.array_equal(one, other)


def test_keras_schedules_give_the_learning_rate(make, zoo_keras):
    import keras

    model = make()
    model.compile(
        zoo.optimizer(model, "sgd", 1.0),
        loss=lambda labels, outputs: zoo.loss(model, outputs, labels),
    )
    x, y, _ = part(model)
    callback = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
    model.fit(x, y, verbose=0, epochs=2, callbacks=[callback])
    assert float(model.optimizer.learning_rate) == 0.25
    model.optimizer.learning_rate = keras.optimizers.schedules.PiecewiseConstantDecay(
        [3], [0.0, 9.0]
    )
    model.make_train_function(force=True)
    before = zoo.get_weights(model)
    model.fit(x, y, verbose=0)
    assert np.array_equal(zoo.get_weights(model)["fc.weight"], before["fc.weight"])
    copy = type(model.optimizer).from_config(model.optimizer.get_config())
    copy.build(model.trainable_variables)
    copy.iterations.assign(4)
    assert float(copy.learning_rate) == 9.0


def test_smoothing_spreads_a_share_of_the_label(zoo_keras):
    rng = np.random.default_rng(0)
    logits, labels = rng.standard_normal((5, 4)), rng.integers(0, 4, 5)
    target = 0.9 * np.eye(4)[labels] + 0.1 / 4
    log = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    found = zoo_keras.cross_entropy(logits, labels, 0.3, 0.1)
    assert float(found) == pytest.approx(-0.3 * (target * log).sum(1).mean(), rel=1e-14)


@pytest.mark.parametrize("precision", ["full", "bfloat16"])
def test_the_model_is_as_it_was(precision, make, zoo_keras):
    model = make()
    model.get_layer("fc").bias.trainable = False
    config, predicted = model.get_config(), zoo.predict(model, np.ones((1, 2, 6, 6), np.float32))
    frozen = zoo_keras.frozen(model)
    assert frozen == {"fc.bias"}
    trainer = zoo_keras.trainer(
        model,
        Plan(Rule("sgd", 0.0), frozen=frozen | {"bn.weight", "bn.bias"}, precision=precision),
    )
    before = zoo.get_weights(model)
    trainer.step([part(model)], 0.0)
    assert same(zoo.get_weights(model), before)  # and running statistics
    assert model.get_config() == config
    assert not any("call" in vars(layer) for layer in model.layers)
    assert zoo_keras.frozen(model) == frozen
    assert model.get_layer("bn").trainable and model.get_layer("bn").gamma.trainable
    assert np.array_equal(zoo.predict(model, np.ones((1, 2, 6, 6), np.float32)), predicted)
    x = part(model).x
    assert (np.asarray(model(x, training=True)) != np.asarray(model(x, training=True))).any()


def test_mixed_precision_computes_about_the_same(make, zoo_keras):
    losses, weights = {}, {}
    for precision in ("full", "bfloat16", "float16"):
        model = make(seed=0)
        trainer = zoo_keras.trainer(model, Plan(SGD, precision=precision))
        if trainer.loss_scale is not None:
            trainer.loss_scale = LossScale(1024.0)
        losses[precision] = float(trainer.step([part(model)], 0.1))
        weights[precision] = zoo.get_weights(model)
        assert trainer.steps == 1
    for precision, eps in (("bfloat16", 2**-7), ("float16", 2**-10)):
        assert losses[precision] != losses["full"]
        assert losses[precision] == pytest.approx(losses["full"], rel=4 * eps)
        for name, value in weights[precision].items():
            assert value.dtype == np.float32
            assert not np.array_equal(value, weights["full"][name]) or name == "bn.weight"
            assert np.abs(value - weights["full"][name]).max() <= 8 * eps, name


def test_an_overflow_skips_the_update(make, zoo_keras):
    model = make()
    trainer = zoo_keras.trainer(model, Plan(SGD, precision="float16", ema=0.5))
    trainer.loss_scale = LossScale(2.0**40)
    before = zoo.get_weights(model)
    assert np.isfinite(float(trainer.step([part(model)], 0.1)))
    after = zoo.get_weights(model)
    assert trainer.steps == 0 and trainer.loss_scale == LossScale(2.0**39)
    for name in after:
        assert np.array_equal(after[name], before[name]) == ("running" not in name)


def test_no_update_follows_a_loss_that_is_not_finite(make, zoo_keras):
    model = make()
    trainer = zoo_keras.trainer(model, Plan(SGD, ema=0.5))
    given = part(model)
    before, state = zoo.get_weights(model), trainer.get_state()
    trainer_loss = trainer.step([given._replace(x=given.x * np.nan)], 0.1)
    assert np.isnan(float(trainer_loss))
    after = zoo.get_weights(model)
    assert all(np.array_equal(after[n], before[n]) for n in after if "running" not in n)
    assert trainer.steps == 0 and same(trainer.get_state(), state)


def test_xla_computes_the_same(make, zoo_keras):
    losses = []
    for compiled in (False, True):
        model = make(seed=0, dtype="float64")
        plan = Plan(replace(SGD, weight_decay=0.1), clip_norm=0.1, ema=0.5, compile=compiled)
        trainer = zoo_keras.trainer(model, plan)
        losses.append([float(trainer.step([part(model, dtype="float64")], 0.1)) for _ in range(3)])
    assert losses[1] == pytest.approx(losses[0], rel=1e-12)


@pytest.mark.parametrize(
    "layers",
    [
        SPEC,
        "mean: {op: global_avg_pool}\nout: {op: select, channels: [0, 1, 0]}\nfc: {op: flatten}",
    ],
)
def test_a_model_with_nothing_to_train(layers, make, zoo_keras):
    model = make(layers)
    names = [p.name for p in zoo.graph_of(model).parameters]
    trainer = zoo_keras.trainer(model, Plan(SGD, frozen=frozenset(names), clip_norm=1.0, ema=0.9))
    before = zoo.get_weights(model)
    first, second = (float(trainer.step([part(model)], 0.1)) for _ in range(2))
    assert first == second and np.isfinite(first)
    assert same(zoo.get_weights(model), before) and trainer.steps == 2


def test_other_engines_are_refused(make, zoo_keras, monkeypatch):
    model = make()
    monkeypatch.setattr(type(zoo_keras), "engine", lambda self: "jax")
    with pytest.raises(BackendError, match="Keras runs on jax here: set .* KERAS_BACKEND=tensor"):
        zoo_keras.trainer(model, Plan(SGD))
