"""What zoo takes of the frameworks that they do not promise is still there: a test for each."""

from __future__ import annotations

import ast
import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
from loading import load

import zoo

ROOT = Path(zoo.__file__).parent


#: What documents name, in spite of how it begins.
PUBLIC = ("_dtype", "_fields")


@pytest.mark.parametrize("folder", ["torch", "paddle", "keras", "flax"])
def test_private_names_stand_in_one_file(folder):
    """Attributes of other objects that begin with an underscore."""
    for path in (ROOT / folder).glob("*.py"):
        if path.name in ("_private.py", "_loading.py"):
            continue
        tree = ast.parse(path.read_text())
        own = {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute) and of_self(n)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr.startswith("_"):
                dunder = node.attr.startswith("__") or of_self(node)
                module = getattr(node.value, "id", "") == "_private"
                assert dunder or module or node.attr in own or node.attr in PUBLIC, (
                    f"{path.name}:{node.lineno}: {node.attr}"
                )


def of_self(node: ast.Attribute) -> bool:
    return getattr(node.value, "id", "") == "self"


def test_torch():
    load("torch")
    import torch
    from torch import nn

    private = importlib.import_module("zoo.torch._private")
    module = nn.Sequential(nn.BatchNorm2d(3))
    assert private.children(module) == dict(module.named_children())
    weight, mean = torch.ones(3) * 2, torch.ones(3) * 3
    private.fill(module[0], "weight", weight)
    private.fill(module[0], "running_mean", mean)
    assert dict(module[0].named_parameters())["weight"].data_ptr() == weight.data_ptr()
    assert dict(module[0].named_buffers())["running_mean"] is mean
    compiled = torch.compile(module, backend="eager")
    assert {private.canonical_name(n) for n in compiled.state_dict()} == set(module.state_dict())


def test_paddle():
    load("paddle")
    import paddle
    from paddle import nn

    private = importlib.import_module("zoo.paddle._private")
    layer = nn.Sequential(nn.BatchNorm2D(3))
    assert private.children(layer) == dict(layer.named_children())
    names = [name for name, _ in private.parameters(layer[0])]
    assert sorted(names) == ["_mean", "_variance", "bias", "weight"]
    norm = nn.BatchNorm2D(3, momentum=0.7, epsilon=0.1)
    parts = private.batch_norm(norm)
    assert (parts.momentum, parts.epsilon) == (0.7, 0.1)
    assert (parts.mean.numpy() == 0).all() and (parts.variance.numpy() == 1).all()
    lazy = nn.Linear(2, 3)
    assert private.has_value(lazy.weight)
    with paddle.LazyGuard():
        assert not private.has_value(nn.Linear(2, 3).weight)
    with private.dynamic():
        assert not private.ProgramTranslator.get_instance().enable_to_static
    assert private.ProgramTranslator.get_instance().enable_to_static
    private.fill(lazy, "weight", paddle.to_tensor(np.arange(6, dtype="float32").reshape(2, 3)))
    assert lazy.weight.numpy().tolist() == [[0, 1, 2], [3, 4, 5]]


def test_paddle_optimizers_start_before_their_first_step():
    load("paddle")
    import paddle

    private = importlib.import_module("zoo.paddle._private")
    weight = paddle.nn.Linear(2, 3).weight
    optimizer = paddle.optimizer.Adam(0.1, parameters=[weight])
    private.start_optimizer(optimizer, [weight])
    moment = private.kept(optimizer, "moment1")[weight.name]
    assert not moment.numpy().any()
    assert private.kept(optimizer, "beta1_pow_acc")[weight.name].numpy() == np.float32(0.9)
    (weight * 2).sum().backward()
    optimizer.step()
    assert private.kept(optimizer, "moment1")[weight.name] is moment
    assert moment.numpy().all()
    power = np.float32(0.9) * np.float32(0.9)
    assert private.kept(optimizer, "beta1_pow_acc")[weight.name].numpy() == power
    assert private.betas(optimizer) == (0.9, 0.999)
    assert [
        private.keeps_maxima(paddle.optimizer.Adam(amsgrad=on, parameters=[weight]))
        for on in (False, True)
    ] == [False, True]
    frozen = paddle.nn.Linear(2, 3).bias
    frozen.stop_gradient = True
    for parameters in ([weight, frozen], [{"params": [weight]}, {"params": [frozen]}]):
        optimizer = paddle.optimizer.Adam(parameters=parameters)
        assert [p.name for p in private.updated(optimizer)] == [weight.name]


def test_keras():
    load("keras")
    import keras

    private = importlib.import_module("zoo.keras._private")
    x = keras.Input((4,))
    inner = keras.Model(x, keras.layers.Dense(3)(x))
    y = keras.Input((4,))
    out = inner(y)
    assert private.output_of(inner) is out
    assert private.input_of(inner) is y
    assert private.has_named_layers(inner)
    assert not private.has_named_layers(keras.layers.Dense(3))
    limit = sys.getrecursionlimit()
    with private.deep(100_000):
        assert sys.getrecursionlimit() > 100_000
    assert sys.getrecursionlimit() == limit
    norm = keras.layers.BatchNormalization()
    norm.build((None, 4))
    assert [v.name for v in private.own_variables(norm)][:4] == [
        "gamma",
        "beta",
        "moving_mean",
        "moving_variance",
    ]
    optimizers = importlib.import_module("zoo.keras.optimizers")
    rule = importlib.import_module("zoo.backend.training").Rule("sgd", 0.1, momentum=0.9)
    written = optimizers.Written(rule)
    written.build([norm.beta, norm.gamma])
    # Of the base class; without it, a slot cannot be found.
    assert [written._get_variable_index(v) for v in (norm.gamma, norm.beta)] == [1, 0]
    for kind, slots in (("Adam", ("moment1", "moment2")), ("RMSprop", ("momentum", "mean_square"))):
        options = {"momentum": 0.5} if kind == "RMSprop" else {}
        own = getattr(keras.optimizers, kind)(**options)
        own.build([norm.beta, norm.gamma])
        assert private.updated(own) == [norm.beta, norm.gamma]
        for slot, word in zip(slots, ("momentum", "velocity"), strict=True):
            assert [v.name.rpartition("_")[2] for v in private.kept(own)[slot]] == [word] * 2


def test_flax():
    load("flax")
    import jax.numpy as jnp
    from flax import nnx

    private = importlib.import_module("zoo.flax._private")
    layer = nnx.Linear(2, 3, rngs=nnx.Rngs(0))
    assert any(value is layer.kernel for value in private.content(layer))
    before = len(private.content(layer))
    nnx.jit(lambda m, x: m(x))(layer, jnp.ones((1, 2)))
    assert len(private.content(layer)) == before
    private.set_raw(layer.bias, jnp.ones(3))
    assert (private.raw(layer.bias) == 1).all()
    options = private.compiler_options()
    assert options is None or len(options) == 1


def test_optax():
    """The names of functions, and of the variables that hold what a transformation consists of."""
    load("flax")
    import optax
    from flax import nnx

    private = importlib.import_module("zoo.flax._private")

    def names(transformation):
        optimizer = nnx.Optimizer(nnx.Linear(2, 3, rngs=nnx.Rngs(0)), transformation, wrt=nnx.Param)
        return [each.name for each in private.pieces(optimizer.tx.update, optimizer.opt_state)]

    momentum = ["trace", "scale"]
    assert names(optax.sgd(0.1, 0.9)) == momentum
    assert names(optax.chain(optax.clip(1.0), optax.sgd(0.1, 0.9))) == ["clip", *momentum]
    assert names(optax.named_chain(("a", optax.sgd(0.1, 0.9)))) == momentum
    assert names(optax.masked(optax.sgd(0.1, 0.9), True)) == momentum
    assert names(optax.inject_hyperparams(optax.sgd)(0.1, 0.9)) == momentum
    assert names(optax.scale_by_learning_rate(lambda step: 0.1)) == ["scale_by_schedule"]
    settings = {"scale_by_adam": "nesterov", "scale_by_rms": "bias_correction"}
    for name, setting in settings.items():
        made = getattr(optax, name)(**{setting: True})
        optimizer = nnx.Optimizer(nnx.Linear(2, 3, rngs=nnx.Rngs(0)), made, wrt=nnx.Param)
        (piece,) = private.pieces(optimizer.tx.update, optimizer.opt_state)
        assert (piece.name, piece.settings[setting]) == (name, True)


def test_paddle_names_outputs(tmp_path):
    """The form of the file in which Paddle saves a program."""
    load("paddle")
    import paddle

    private = importlib.import_module("zoo.paddle._private")
    layer, spec = paddle.nn.Linear(2, 3), paddle.static.InputSpec([None, 2], "float32", "x")
    paddle.jit.enable_to_static(False)
    try:
        with private.compiled():
            paddle.jit.save(layer, str(tmp_path / "a"), [spec])
    finally:
        paddle.jit.enable_to_static(True)
    private.name_outputs(tmp_path / "a.json", ["logits"])
    inference = importlib.import_module("paddle.inference")
    config = inference.Config(str(tmp_path / "a.json"), str(tmp_path / "a.pdiparams"))
    config.disable_glog_info()
    assert inference.create_predictor(config).get_output_names() == ["logits"]
