"""PaddlePaddle's optimizers in a loop of its users, and what its trainer leaves and refuses."""

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
format: 1
name: small
options: {num_classes: 4, in_channels: 2, input_size: 6}
layers:
  conv: {op: conv, out_channels: 5, kernel_size: 3}
  norm: {op: batch_norm}
  relu: {op: relu}
  depth: {op: stochastic_depth, rate: 0.3}
  pool: {op: global_avg_pool}
  flatten: {op: flatten}
  dropout: {op: dropout, rate: 0.5}
  fc: {op: linear, out_features: $num_classes}
"""
RULES = {
    "sgd": (Rule("sgd", 0.1, weight_decay=0.1), "SGD"),
    "sgd-kernels": (Rule("sgd", 0.1, weight_decay=0.1, decay="kernels"), "RuleOptimizer"),
    "momentum": (Rule("sgd", 0.1, momentum=0.9, weight_decay=0.1), "Momentum"),
    "nesterov": (
        Rule("sgd", 0.1, momentum=0.9, nesterov=True, weight_decay=0.1, decay="kernels"),
        "Momentum",
    ),
    "adam": (Rule("adam", 0.01, eps=1e-3, weight_decay=0.1), "Adam"),
    "adam-kernels": (Rule("adam", 0.01, weight_decay=0.1, decay="kernels"), "RuleOptimizer"),
    "adamw": (Rule("adamw", 0.01, beta1=0.8, weight_decay=0.1, decay="kernels"), "AdamW"),
    "rmsprop": (Rule("rmsprop", 0.01, eps=1e-3, momentum=0.5), "RuleOptimizer"),
}
STEPS = 20


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("specs") / "small.yaml"
    path.write_text(SPEC)
    return path


@pytest.fixture(scope="module")
def module():
    return load("paddle")


def batch(step, size=8):
    rng = np.random.default_rng(step)
    return rng.standard_normal((size, 2, 6, 6)).astype(np.float32), rng.integers(0, 4, size)


def take(trainer, steps):
    dtype = str(next(iter(trainer.model.parameters())).dtype).rpartition(".")[2]
    masks = Masks(trainer.backend.known_graph(trainer.model), 0, dtype=dtype)
    return [
        float(trainer.step([Part(*batch(step), masks.batch(step, 8))], 0.02 / (1 + step)))
        for step in steps
    ]


def same(one, two):
    return one.keys() == two.keys() and all(np.array_equal(one[key], two[key]) for key in one)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", RULES)
def test_a_users_loop_computes_the_written_rule(name, dtype, path, module, tmp_path):
    """With a scheduler; halfway it goes back to what a file holds."""
    import paddle

    rule, own = RULES[name]
    model = zoo.build(path, "paddle", dtype=dtype)
    parameters = {p.name: p for p in module.known_graph(model).parameters if p.trainable}
    tensors, start = module.tensors(model), module.get_weights(model)
    weights = {key: start[key].astype(np.float64) for key in parameters}
    written = Written(rule, {key: rule.decay_of(p) for key, p in parameters.items()})
    optimizer = module.optimizer(model, rule)
    exact = dtype == "float32" or (rule.name == "sgd" and not rule.momentum)
    assert type(optimizer).__name__ == (own if exact else "RuleOptimizer")
    kept = [key for key in optimizer.state_dict() if "_pow_acc" not in key and key != "steps"]
    assert len(kept) == len(rule.slots) * len(parameters)
    scheduler = paddle.optimizer.lr.ExponentialDecay(rule.lr, 0.9)
    optimizer.set_lr_scheduler(scheduler)

    def step(number):
        x, labels = batch(number)
        zoo.loss(model, model(paddle.to_tensor(x).astype(dtype)), labels).backward()
        gradients = {
            key: tensors[key].to_canonical(tensors[key].handle.grad.numpy()).astype(np.float64)
            for key in parameters
        }
        optimizer.step()
        optimizer.clear_grad()
        scheduler.step()
        return gradients

    for number in range(STEPS):
        if number == STEPS // 2:
            file, before = str(tmp_path / "a.pdopt"), module.get_weights(model)
            paddle.save(optimizer.state_dict(), file)
            step(99)
            module.set_weights(model, before)
            optimizer.set_state_dict(paddle.load(file))
        written.step(weights, step(number), number + 1, rule.lr * 0.9**number)
    found = module.get_weights(model)
    moved = max(np.abs(weights[key] - start[key]).max() for key in parameters)
    for key in parameters:
        difference = np.abs(found[key] - weights[key]).max()
        assert difference <= (1e-5 if dtype == "float32" else 1e-12) * moved, key
    # A decay that was put into the parameters would also act on every later optimizer.
    assert all(p.regularizer is None for p in model.parameters())


def test_a_state_of_another_optimizer_is_refused(path, module):
    model = zoo.build(path, "paddle")
    state = module.optimizer(model, Rule("rmsprop", 0.1)).state_dict()
    other = module.optimizer(model, Rule("rmsprop", 0.1, momentum=0.9))
    with pytest.raises(BackendError, match="has no '.*_momentum_0'"):
        other.load_state_dict(state)


def test_paddles_high_level_loop_takes_the_optimizer(path, module):
    import paddle

    model = zoo.build(path, "paddle")
    before = module.get_weights(model)
    high = paddle.Model(model)
    optimizer = module.optimizer(model, Rule("rmsprop", 0.01))
    high.prepare(optimizer, lambda outputs, labels: zoo.loss(model, outputs, labels))
    high.train_batch([batch(0)[0]], [batch(0)[1]])
    assert optimizer.steps == 1
    assert not np.array_equal(module.get_weights(model)["fc.weight"], before["fc.weight"])


@pytest.mark.parametrize("name", RULES)
def test_float32_goes_on_bit_for_bit(name, path, module):
    """The powers of beta too, which Paddle multiplies step by step."""
    plan = Plan(RULES[name][0], clip_norm=0.3, ema=0.9)
    model, other = (zoo.build(path, "paddle") for _ in range(2))
    first, second = (module.trainer(each, plan) for each in (model, other))
    take(first, range(7))
    weights, state = module.get_weights(model), first.get_state()
    losses = take(first, range(7, 10))
    take(second, [50])
    module.set_weights(other, weights)
    second.set_state(state, 7)
    assert take(second, range(7, 10)) == losses
    assert same(module.get_weights(model), module.get_weights(other))
    assert same(first.get_state(), second.get_state())


def test_float32_trains_as_pytorch_does(path, module):
    """Paddle's own batch norm, trained and frozen, its own optimizer, and clipping."""
    plan = Plan(
        Rule("adamw", 0.01, eps=1e-3, weight_decay=0.1),
        label_smoothing=0.1,
        clip_norm=0.3,
        ema=0.8,
    )
    for frozen in ((), ("norm.weight", "norm.bias")):
        found = []
        for backend in (module, load("torch")):
            model = zoo.build(path, backend.description.name)
            trainer = backend.trainer(model, replace(plan, frozen=frozenset(frozen)))
            losses = []
            for step in range(5):
                masks = Masks(backend.known_graph(model), 0).batch(step, 8)
                losses.append(float(trainer.step([Part(*batch(step), masks)], 0.02)))
            found.append((losses, backend.get_weights(model), trainer.get_state()))
        (losses, weights, state), (expected, *others) = found
        assert losses == pytest.approx(expected, rel=1e-5)
        for arrays, other in zip((weights, state), others, strict=True):
            for key in arrays:  # the bias before the trained norm has no gradient but rounding
                if key.endswith("conv.bias") and not frozen:
                    continue
                size = np.abs(other[key]).max()
                assert np.abs(arrays[key] - other[key]).max() <= 1e-4 * size, key


def test_the_model_is_left_as_it_was(path, module):
    import paddle

    model = zoo.build(path, "paddle")
    model.norm.eval()
    modes = [layer.training for layer in model.sublayers(include_self=True)]
    trainer = module.trainer(model, Plan(RULES["momentum"][0]))
    take(trainer, range(2))
    assert [layer.training for layer in model.sublayers(include_self=True)] == modes
    assert trainer.get_state()["momentum/fc.weight"].any()
    assert all(p.grad is None for p in model.parameters())
    x = paddle.to_tensor(batch(0)[0])
    assert not np.array_equal(model(x).numpy(), model(x).numpy())  # it drops as ever
    copy = zoo.build(path, "paddle")
    zoo.set_weights(copy, zoo.get_weights(model))
    assert np.array_equal(zoo.predict(copy, batch(0)[0]), zoo.predict(model, batch(0)[0]))


def test_a_compiled_model_drops_what_is_given(path, module):
    import paddle

    losses = []
    for compiled in (False, True):
        model = zoo.build(path, "paddle")
        if compiled:
            paddle.jit.to_static(model, full_graph=True)
            model(paddle.to_tensor(batch(0)[0]))
            zoo.set_weights(model, zoo.get_weights(zoo.build(path, "paddle")))
        losses.append(take(module.trainer(model, Plan(RULES["sgd"][0])), range(3)))
    assert losses[0] == losses[1]


def test_a_scaled_loss_gives_the_same_and_an_overflow_skips_the_step(path, module):
    """What float16 does on a GPU, in float32: a power of two rounds nothing."""
    plan, weights = Plan(RULES["momentum"][0]), []
    for scale in (None, LossScale()):
        model = zoo.build(path, "paddle")
        trainer = module.trainer(model, plan)
        trainer.loss_scale = scale
        take(trainer, range(3))
        weights.append(module.get_weights(model))
    assert same(*weights)
    trainer.loss_scale = LossScale(2.0**127 * 1.9)
    take(trainer, [3])
    trained = [name for name in weights[0] if "running" not in name]
    after = module.get_weights(model)
    assert all(np.array_equal(after[name], weights[0][name]) for name in trained)
    assert trainer.steps == 3
    assert trainer.loss_scale == LossScale(2.0**126 * 1.9, 0)


def test_a_loss_that_is_not_finite_updates_nothing(path, module):
    model = zoo.build(path, "paddle")
    model.fc.bias.set_value(np.full(4, np.nan, np.float32))  # Paddle's ReLU makes 0 of NaN
    trainer = module.trainer(model, Plan(RULES["adam"][0], ema=0.9))
    before, state = module.get_weights(model), trainer.get_state()
    assert np.isnan(take(trainer, [0])).all()
    after = module.get_weights(model)
    for name in before:
        assert np.array_equal(after[name], before[name], equal_nan=True) or "running" in name
    found = trainer.get_state()
    assert all(np.array_equal(found[name], state[name], equal_nan=True) for name in state)
    assert trainer.steps == 0


def test_what_cannot_be_trained_is_refused(path, module):
    import paddle

    rule = Rule("sgd", 0.1)
    model = zoo.build(path, "paddle")
    names = frozenset(p.name for p in module.known_graph(model).parameters if p.trainable)
    on_gpu = not paddle.get_device().startswith("cpu")
    refused = [
        (model, Plan(rule, frozen=names), "nothing to train"),
        (model, Plan(rule, compile=True), "does not compile training"),
        (zoo.build(path, "paddle", dtype="bfloat16"), Plan(rule), "not in bfloat16"),
    ]
    if not on_gpu:
        refused.append((model, Plan(rule, precision="bfloat16"), "bfloat16 on GPUs only"))
        refused.append((model, Plan(rule, precision="float16"), "float16 on GPUs only"))
    for each, plan, message in refused:
        with pytest.raises(BackendError, match=message):
            module.trainer(each, plan)
    assert not module.frozen(model), "a refusal freezes nothing"
    for parameter in model.parameters():
        parameter.stop_gradient = True
    assert module.frozen(model) == names
    with pytest.raises(BackendError, match="nothing to train"):
        module.optimizer(model, rule)
