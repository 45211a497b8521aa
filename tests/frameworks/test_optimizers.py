"""The frameworks' own optimizers, and what optimizers keep under names of the spec."""

import contextlib
import functools
import importlib
import itertools

import numpy as np
import pytest
from conftest import FRAMEWORKS
from filling import load_framework
from loading import load

import zoo
from zoo.errors import BackendError, InputError, WeightsError, ZooWarning

pytestmark = pytest.mark.frameworks

LAYERS = """
  conv: {op: conv, out_channels: 3, kernel_size: 3, bias: false}
  bn: {op: batch_norm}
  pool: {op: global_avg_pool}
  flatten: {op: flatten}
  fc: {op: linear, out_features: $num_classes}
"""
RULES = {
    "sgd": {"momentum": 0.9},
    "adam": {},
    "adamw": {"weight_decay": 0.1},
    "rmsprop": {"momentum": 0.5},
}
LR = 0.01
TRAINED = ("conv.weight", "bn.weight", "bn.bias", "fc.weight", "fc.bias")
NAMES = {
    "sgd": {f"momentum/{name}" for name in TRAINED},
    "rmsprop": {f"{slot}/{name}" for slot in ("mean_square", "momentum") for name in TRAINED},
    "adam": {f"{slot}/{name}" for slot in ("moment1", "moment2") for name in TRAINED} | {"steps"},
}
NAMES["adamw"] = NAMES["adam"]


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    path = tmp_path_factory.mktemp("specs") / "small.yaml"
    options = "{num_classes: 4, input_size: 6, in_channels: 2}"
    path.write_text(f"format: 1\nname: small\noptions: {options}\nlayers: {LAYERS}")
    return zoo.graph(path)


@pytest.fixture(scope="module")
def built(graph):
    return functools.cache(lambda backend: _built(graph, backend))


def _built(graph, backend, dtype="float32"):
    load(backend)
    return zoo.build(graph, backend, dtype=dtype)


def loss_of(model, x, labels):
    return zoo.loss(model, model(x), labels)


def steps(model, backend, optimizer, count=2, dtype="float32"):
    """Update a model as people do who write the loop themselves."""
    rng = np.random.default_rng(0)
    for _ in range(count):
        x = rng.standard_normal((8, 2, 6, 6)).astype(dtype)
        labels = rng.integers(0, 4, 8)
        if backend in ("keras", "flax"):
            x = x.transpose(0, 2, 3, 1)
        {"torch": _torch, "paddle": _paddle, "keras": _keras, "flax": _flax}[backend](
            model, optimizer, x, labels
        )


def _torch(model, optimizer, x, labels):
    import torch

    optimizer.zero_grad()
    loss_of(model.train(), torch.from_numpy(x), torch.from_numpy(labels)).backward()
    optimizer.step()


def _paddle(model, optimizer, x, labels):
    import paddle

    model.train()
    loss_of(model, paddle.to_tensor(x), paddle.to_tensor(labels)).backward()
    optimizer.step()
    optimizer.clear_grad()


def _keras(model, optimizer, x, labels):
    import tensorflow as tf

    with tf.GradientTape() as tape:
        loss = zoo.loss(model, model(x, training=True), labels)
    variables = model.trainable_variables
    optimizer.apply(tape.gradient(loss, variables), variables)


def _flax(model, optimizer, x, labels):
    from flax import nnx

    model.train()
    optimizer.update(model, nnx.grad(loss_of)(model, x, labels))


def pairs():
    """Every rule between each two neighbors of a ring; one rule a pair daily."""
    for number, (source, target) in enumerate(itertools.pairwise([*FRAMEWORKS, FRAMEWORKS[0]])):
        for place, name in enumerate(RULES):
            marks = () if place == number else pytest.mark.slow
            yield pytest.param(source, target, name, marks=marks)


@pytest.mark.parametrize(("source", "target", "name"), list(pairs()))
def test_an_optimizer_goes_on_in_another_framework(source, target, name, graph):
    first, second = (_built(graph, backend) for backend in (source, target))
    optimizer = zoo.optimizer(first, name, LR, **RULES[name])
    steps(first, source, optimizer)
    state = zoo.get_optimizer_state(first, optimizer)
    assert state.keys() == NAMES[name]
    assert all(np.abs(array).max() > 0 for array in state.values())

    zoo.set_weights(second, zoo.get_weights(first))
    other = zoo.optimizer(second, name, LR, **RULES[name])
    zoo.set_optimizer_state(second, other, state)
    again = zoo.get_optimizer_state(second, other)
    assert all(np.array_equal(again[key], value) for key, value in state.items())
    steps(first, source, optimizer, 3)
    steps(second, target, other, 3)
    ours, theirs = zoo.get_weights(first), zoo.get_weights(second)
    for key, value in ours.items():
        assert np.abs(value - theirs[key]).max() < 1e-5, key


OWN = {
    "torch": ("torch.optim", "SGD Adam AdamW RMSprop"),
    "paddle": ("paddle.optimizer", "Momentum Adam AdamW RMSProp"),
    "keras": ("keras.src.optimizers", "SGD Adam AdamW RMSprop"),
    "flax": ("flax.nnx", "Optimizer Optimizer Optimizer Optimizer"),
}


@pytest.mark.parametrize("backend", FRAMEWORKS)
def test_native_optimizers_are_the_frameworks_own(backend, built):
    package, classes = OWN[backend]
    for (name, settings), expected in zip(RULES.items(), classes.split(), strict=True):
        kind = type(zoo.optimizer(built(backend), name, LR, rule="native", **settings))
        assert (kind.__module__.startswith(package), kind.__name__) == (True, expected)


def test_native_optimizers_have_their_own_defaults(built):
    torch = zoo.optimizer(built("torch"), "adam", LR, beta2=0.5, rule="native")
    assert (torch.defaults["betas"], torch.defaults["eps"]) == ((0.9, 0.5), 1e-8)
    keras = zoo.optimizer(built("keras"), "adam", LR, beta2=0.5, rule="native")
    assert (keras.beta_1, keras.beta_2, keras.epsilon) == (0.9, 0.5, 1e-7)  # in Keras' documents


@pytest.mark.parametrize(
    ("backend", "dtype"), [*((each, "float32") for each in FRAMEWORKS), ("paddle", "float64")]
)
def test_the_state_of_a_frameworks_own_adam(backend, dtype, graph):
    """Adam is stopped and goes on in the framework's own file form, and by names of the spec."""
    first, second = _built(graph, backend, dtype), _built(graph, backend, dtype)
    adam, other = (zoo.optimizer(m, "adam", LR, rule="native") for m in (first, second))
    steps(first, backend, adam, dtype=dtype)
    state = zoo.get_optimizer_state(first, adam)
    assert (state.keys(), state["steps"]) == (NAMES["adam"], 2)
    zoo.set_weights(second, zoo.get_weights(first))
    zoo.set_optimizer_state(second, other, state)
    steps(first, backend, adam, dtype=dtype)
    steps(second, backend, other, dtype=dtype)
    ours, theirs = zoo.get_weights(first), zoo.get_weights(second)
    assert all(np.array_equal(value, theirs[key]) for key, value in ours.items())


def test_a_file_of_pytorch(built, tmp_path):
    torch, model = load_framework("torch"), built("torch")
    optimizer, other = (zoo.optimizer(model, "adam", LR, rule="native") for _ in range(2))
    steps(model, "torch", optimizer)
    torch.save(optimizer.state_dict(), tmp_path / "optimizer.pt")
    other.load_state_dict(torch.load(tmp_path / "optimizer.pt"))
    same(zoo.get_optimizer_state(model, other), zoo.get_optimizer_state(model, optimizer))


def test_a_file_of_paddle(graph, tmp_path):
    """Paddle's names depend on what else a process has built, so each has its own counters."""
    paddle, path = load_framework("paddle"), str(tmp_path / "optimizer.pdopt")
    with paddle.utils.unique_name.guard():
        model = _built(graph, "paddle")
        optimizer = zoo.optimizer(model, "adam", LR, rule="native")
        steps(model, "paddle", optimizer)
        paddle.save(optimizer.state_dict(), path)
    expected = zoo.get_optimizer_state(model, optimizer)
    with paddle.utils.unique_name.guard():
        model = _built(graph, "paddle")
        optimizer = zoo.optimizer(model, "adam", LR, rule="native")
        optimizer.set_state_dict(paddle.load(path))
        same(zoo.get_optimizer_state(model, optimizer), expected)
        another = zoo.optimizer(model, "adam", LR, rule="native")
        another.set_state_dict(paddle.load(path))
        with pytest.raises(BackendError, match=r"should in state dict.*unique_name\.guard"):
            zoo.get_optimizer_state(model, another)


def test_a_state_of_optax(graph):
    """Without an optimizer of Flax, the error says how to make one of it."""
    load_framework("flax")
    import jax
    import optax
    from flax import nnx

    model, tx = _built(graph, "flax"), optax.adam(LR)
    optimizer = nnx.Optimizer(model, tx, wrt=nnx.Param)
    steps(model, "flax", optimizer)
    plain = jax.tree.unflatten(
        jax.tree.structure(tx.init(nnx.state(model, nnx.Param))),
        jax.tree.leaves(optimizer.opt_state),
    )
    with pytest.raises(BackendError, match="no nnx.Optimizer; put the state of an Optax"):
        zoo.get_optimizer_state(model, plain)
    other = nnx.Optimizer(model, tx, wrt=nnx.Param)
    other.opt_state = jax.tree.unflatten(
        jax.tree.structure(other.opt_state), jax.tree.leaves(plain)
    )
    same(zoo.get_optimizer_state(model, other), zoo.get_optimizer_state(model, optimizer))


@pytest.mark.parametrize("value", [None, "adam", {}, (1, 2)])
def test_what_is_no_optimizer_is_refused(value, built, backend):
    model = built(backend)
    with pytest.raises(BackendError, match="zoo cannot move the state of this builtins"):
        zoo.get_optimizer_state(model, value)


def same(found, expected):
    assert found.keys() == expected.keys() == NAMES["adam"]
    assert all(np.array_equal(value, expected[key]) for key, value in found.items())


def test_only_what_has_a_canonical_form_is_read(built):
    torch, paddle, keras = map(load_framework, ("torch", "paddle", "keras"))
    weights = {backend: built(backend) for backend in FRAMEWORKS}
    parameters = weights["torch"].parameters()
    refused = [
        ("torch", torch.optim.Adam(parameters, amsgrad=True), "amsgrad"),
        ("torch", torch.optim.Adagrad(weights["torch"].parameters()), "none of SGD"),
        ("torch", torch.optim.SGD(built("torch").bn.parameters(), 0.1, 0.9, 0.1), "dampening"),
        ("torch", torch.optim.SGD(torch.nn.Linear(2, 2).parameters()), "not the model's"),
        ("paddle", paddle.optimizer.RMSProp(LR, parameters=built("paddle").parameters()), "rate"),
        ("paddle", paddle.optimizer.Lamb(LR, parameters=built("paddle").parameters()), "none of"),
        ("keras", keras.optimizers.SGD(LR, momentum=0.9), "learning rate"),
        ("keras", keras.optimizers.Adam(use_ema=True), "use_ema"),
    ]
    for backend, optimizer, reason in refused:
        with pytest.raises(BackendError, match=f"cannot move the state .*{reason}.*zoo.optimizer"):
            zoo.get_optimizer_state(built(backend), optimizer)


#: What Optax has in place of the four optimizers -> why its state is not theirs. Most of them keep
#: a state of the same class.
NOT_OPTAX = {
    **{f"optax.{name}(LR)": f"scale_by_{name}" for name in ("adamax", "yogi", "radam", "novograd")},
    "optax.adabelief(LR)": "scale_by_belief",
    "optax.nadam(LR)": "nesterov",
    "optax.lamb(LR)": "trust_ratio",
    "optax.lars(LR)": "trust_ratio",
    "optax.lion(LR)": "scale_by_lion",
    "optax.rmsprop(LR, centered=True)": "scale_by_stddev",
    "optax.rmsprop(LR, bias_correction=True)": "bias_correction",
    "optax.rmsprop(LR, momentum=0.5)": "contains the learning rate",
    "optax.inject_hyperparams(optax.rmsprop)(LR, momentum=0.5)": "contains the learning rate",
    "optax.inject_hyperparams(optax.adamax)(LR)": "scale_by_adamax",
    "optax.chain(optax.scale(-LR), optax.trace(0.9))": "contains the learning rate",
    "optax.chain(optax.trace(0.9), optax.scale_by_rms())": "keeps momentum, mean_square",
    "optax.MultiSteps(optax.adam(LR), 2)": "MultiSteps",
    "optax.chain(optax.stateless(lambda g, p: g), optax.adam(LR))": "stateless",
    "optax.chain(own, optax.adam(LR))": "test_optimizers.test_a_transformation",
}


@pytest.mark.parametrize("code", NOT_OPTAX)
def test_a_transformation_of_another_optimizer_is_refused(code, built):
    nnx, optax = load_framework("flax").nnx, importlib.import_module("optax")
    own = optax.GradientTransformation(lambda p: (), lambda g, state, p=None: (g, state))
    transformation = eval(code, {"optax": optax, "LR": LR, "own": own})
    optimizer = nnx.Optimizer(built("flax"), transformation, wrt=nnx.Param)
    reason = f"cannot move the state .*{NOT_OPTAX[code]}.*zoo.optimizer"
    with pytest.raises(BackendError, match=reason):
        zoo.get_optimizer_state(built("flax"), optimizer)


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("optax.adam(optax.cosine_decay_schedule(LR, 9))", NAMES["adam"]),
        ("optax.inject_hyperparams(optax.adam)(optax.constant_schedule(LR))", NAMES["adam"]),
        ("optax.chain(optax.clip(1.0), optax.adamw(LR, mask=kernels))", NAMES["adam"]),
        ("optax.named_chain(('a', optax.centralize()), ('b', optax.adam(LR)))", NAMES["adam"]),
        ("optax.sgd(LR, 0.9, nesterov=True)", NAMES["sgd"]),
        (
            "optax.masked(optax.sgd(LR, 0.9), kernels)",
            {"momentum/conv.weight", "momentum/fc.weight"},
        ),
    ],
)
def test_what_stands_around_an_optimizer_of_optax(code, names, built):
    """The numbers that a file of it would have, two steps later."""
    nnx = load_framework("flax").nnx
    jax, optax = map(importlib.import_module, ("jax", "optax"))

    def kernels(parameters):
        return jax.tree.map(lambda p: p.ndim > 1, parameters)

    transformation = eval(code, {"optax": optax, "LR": LR, "kernels": kernels})
    first, second = (nnx.Optimizer(built("flax"), transformation, wrt=nnx.Param) for _ in range(2))
    state = zoo.get_optimizer_state(built("flax"), first)
    assert state.keys() == names
    changed = {name: value + 2 for name, value in state.items()}
    zoo.set_optimizer_state(built("flax"), second, changed)
    again = zoo.get_optimizer_state(built("flax"), second)
    assert all(np.array_equal(again[name], value) for name, value in changed.items())
    counts = [leaf for leaf in jax.tree.leaves(second.opt_state) if leaf.dtype == "int32"]
    assert all(int(count) == 2 for count in counts)


def test_a_state_must_fit(built):
    model = built("torch")
    optimizer = zoo.optimizer(model, "adam", LR)
    state = zoo.get_optimizer_state(model, optimizer)
    faulty = {**state, "moment1/fc.bias": np.ones(3), "momentum/fc.bias": np.ones(4)}
    del faulty["steps"]
    with pytest.raises(WeightsError) as caught:
        zoo.set_optimizer_state(model, optimizer, {**faulty, "moment2/fc.bias": np.ones(4)})
    for part in ("steps is missing", "momentum/fc.bias is left over", "shape [3], not [4]"):
        assert part in str(caught.value)
    assert not zoo.get_optimizer_state(model, optimizer)["moment2/fc.bias"].any()


def test_settings_that_an_optimizer_lacks(built):
    with pytest.raises(InputError, match="Optax's own sgd has no weight_decay"):
        zoo.optimizer(built("flax"), "sgd", LR, weight_decay=0.1, rule="native")
    with pytest.raises(InputError, match="decay='kernels' is zoo's"):
        zoo.optimizer(built("torch"), "sgd", LR, decay="kernels", rule="native")
    with pytest.raises(InputError, match="'written' or 'native'"):
        zoo.optimizer(built("torch"), "sgd", LR, rule="own")


WRONG_STEPS = (np.nan, None, -1, 2**40, 1.5, "7", True)


@pytest.mark.parametrize("backend", FRAMEWORKS)
def test_what_is_no_state_changes_nothing(backend, built):
    model = built(backend)
    for name in ("sgd", "adam"):
        optimizer = zoo.optimizer(model, name, LR, **RULES[name])
        state = zoo.get_optimizer_state(model, optimizer)
        first = next(iter(state))
        ones = {key: np.ones_like(value) for key, value in state.items()}
        wrong = [{**ones, first: ones[first].astype(kind)} for kind in ("c8", "U9", "O", "?", "i4")]
        wrong += [{**ones, "steps": steps} for steps in WRONG_STEPS if "steps" in state]
        for given in wrong:
            with pytest.raises(WeightsError, match="not the state of this optimizer: (steps|mom)"):
                zoo.set_optimizer_state(model, optimizer, given)
        again = zoo.get_optimizer_state(model, optimizer)
        assert all(np.array_equal(again[key], value) for key, value in state.items())


@pytest.mark.parametrize(
    ("betas", "steps", "is_told"),
    [
        ((0.9, 0.999), 90_000, True),
        ((0.9, 0.999), 100_000, False),
        ((0.95, 0.9), 1_500, True),
        ((0.95, 0.9), 2_500, False),
        ((0.9, 0.99999), 2_000_000, True),
        ((0.9, 0.99), 2**31 - 1, False),
    ],
)
def test_paddles_adam_tells_its_steps_or_that_it_cannot(betas, steps, is_told, built):
    load_framework("paddle")
    model = built("paddle")
    adam = zoo.optimizer(model, "adam", LR, beta1=betas[0], beta2=betas[1])
    state = zoo.get_optimizer_state(model, adam)
    zoo.set_optimizer_state(model, adam, {**state, "steps": np.asarray(steps)})
    expected = contextlib.nullcontext() if is_told else pytest.warns(ZooWarning, match="at least")
    with expected:
        found = int(zoo.get_optimizer_state(model, adam)["steps"])
    assert found == steps if is_told else found < steps


def test_a_momentum_that_pytorch_has_not_begun(built):
    torch, model = load_framework("torch"), built("torch")
    optimizer = torch.optim.SGD(model.parameters(), LR, 0.9)
    saved = optimizer.state_dict()
    saved["state"] = {n: {"momentum_buffer": None} for n in saved["param_groups"][0]["params"]}
    optimizer.load_state_dict(saved)
    state = zoo.get_optimizer_state(model, optimizer)
    assert state.keys() == NAMES["sgd"] and not any(value.any() for value in state.values())
    zoo.set_optimizer_state(model, optimizer, {name: value + 1 for name, value in state.items()})
    assert all((s["momentum_buffer"] == 1).all() for s in optimizer.state.values())
