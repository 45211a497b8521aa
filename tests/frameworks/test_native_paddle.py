"""What a PaddlePaddle user does with a layer works on zoo's."""

import copy
import pickle
import threading

import numpy as np
import pytest
from loading import load
from small import GOOGLENET, VGG, VGG_BN

import zoo


@pytest.fixture(scope="module")
def paddle():
    load("paddle")
    import paddle

    return paddle


@pytest.fixture(scope="module")
def model(paddle):
    return zoo.build(GOOGLENET, "paddle", aux=True)


@pytest.fixture(scope="module")
def x(paddle):
    return paddle.linspace(-1, 1, 2 * 3 * 96 * 96).reshape([2, 3, 96, 96])


def logits(paddle, model, x):
    model.eval()
    with paddle.no_grad():
        return model(x)["logits"].numpy()


def test_the_structure_is_the_specs(model, paddle):
    assert isinstance(model, paddle.nn.Layer)
    conv = model.inception3a.branch5x5.reduce.conv
    assert isinstance(conv, paddle.nn.Conv2D)
    assert tuple(conv.weight.shape) == (16, 192, 1, 1)
    assert "(inception3a): inception(" in str(model)
    assert model.inception3a(paddle.zeros([1, 192, 12, 12])).shape == [1, 256, 12, 12]


def test_summary(paddle, capsys):
    model = zoo.build(GOOGLENET, "paddle")
    found = paddle.summary(model, (1, 3, 96, 96))
    assert found["total_params"] == zoo.graph(GOOGLENET).num_parameters
    assert "Conv2D" in capsys.readouterr().out


def test_deepcopy_and_state_dict(model, x, paddle, tmp_path):
    twin = copy.deepcopy(model)
    assert np.array_equal(logits(paddle, twin, x), logits(paddle, model, x))
    assert zoo.graph_of(twin).name == "small_googlenet"
    other = zoo.build(GOOGLENET, "paddle", aux=True, seed=5)
    paddle.save(model.state_dict(), str(tmp_path / "weights.pdparams"))
    missing, unexpected = other.set_state_dict(paddle.load(str(tmp_path / "weights.pdparams")))
    assert not missing
    assert not unexpected
    assert np.array_equal(logits(paddle, other, x), logits(paddle, model, x))


def test_to_static_and_jit_save(x, paddle, tmp_path):
    model = zoo.build(GOOGLENET, "paddle", aux=True)
    expected = logits(paddle, model, x)
    static = paddle.jit.to_static(model)
    assert np.allclose(logits(paddle, static, x), expected, rtol=1e-4, atol=1e-5)
    plain = zoo.build(GOOGLENET, "paddle")
    plain.eval()
    spec = [paddle.static.InputSpec([None, 3, 96, 96], "float32")]
    paddle.jit.save(plain, str(tmp_path / "model"), input_spec=spec)
    loaded = paddle.jit.load(str(tmp_path / "model"))
    loaded.eval()
    assert np.allclose(loaded(x).numpy(), expected, rtol=1e-4, atol=1e-5)


def test_training_reaches_every_parameter(x, paddle):
    model = zoo.build(GOOGLENET, "paddle", aux=True)
    assert model.training
    labels = paddle.to_tensor([1, 2])
    sum(paddle.nn.functional.cross_entropy(v, labels) for v in model(x).values()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
    before = model.conv1.conv.weight.numpy().copy()
    paddle.optimizer.SGD(1e-3, parameters=model.parameters()).step()
    assert not np.array_equal(before, model.conv1.conv.weight.numpy())


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-13), ("float32", 1e-5)])
def test_batch_norm_keeps_the_biased_variance(dtype, tolerance, paddle):
    model = zoo.build(VGG_BN, "paddle", num_classes=3, dtype=dtype)
    x = np.random.default_rng(0).standard_normal((4, 3, 32, 32)).astype(dtype)
    model(paddle.to_tensor(x))
    value = model.stage1.conv1.conv(paddle.to_tensor(x)).numpy().astype(np.float64)
    bn = zoo.get_weights(model)
    expected = 0.9 + 0.1 * value.var((0, 2, 3))
    assert np.allclose(bn["stage1.conv1.bn.running_var"], expected, rtol=tolerance, atol=0)
    mean = 0.1 * value.mean((0, 2, 3))
    assert np.abs(bn["stage1.conv1.bn.running_mean"] - mean).max() <= tolerance


def test_building_leaves_paddle_alone(paddle):
    paddle.seed(1)
    first = paddle.rand([3]).numpy()
    paddle.seed(1)
    zoo.build(VGG, "paddle")
    zoo.build(VGG, "paddle", init="native")
    assert np.array_equal(paddle.rand([3]).numpy(), first)
    assert paddle.get_default_dtype() == "float32"


def test_names_are_free_in_every_layer(paddle):
    from zoo.graphs.names import problem_with

    for name in dir(paddle.nn.Layer()):
        assert problem_with(name), f"{name} is an attribute of paddle.nn.Layer"


def test_another_thread_builds_layers_meanwhile(paddle):
    """Nothing that building switches on is global, so that they have values as always."""
    stop, problems = threading.Event(), []

    def build_layers():
        while not stop.is_set():
            if not paddle.nn.Linear(4, 4).weight._is_initialized():
                problems.append("without values")

    thread = threading.Thread(target=build_layers)
    thread.start()
    try:
        for init in ("he_uniform", "native"):
            model = zoo.build("vgg9_bn", "paddle", num_classes=3, input_size=32, init=init)
            assert all(parameter._is_initialized() for parameter in model.parameters())
    finally:
        stop.set()
        thread.join()
    assert not problems


def test_pickling(paddle):
    model = zoo.build("lenet5", "paddle")
    x = np.zeros((1, *zoo.graph_of(model).input_shape), np.float32)
    again = pickle.loads(pickle.dumps(model))
    assert np.array_equal(zoo.predict(again, x), zoo.predict(model, x))
    assert zoo.graph_of(again) == zoo.graph_of(model)
