"""What a PyTorch user does with a module works on zoo's."""

import contextlib
import copy
import pickle
import textwrap

import everything
import numpy as np
import pytest
from checkpoints import assert_same
from loading import load
from small import GOOGLENET, VGG, VGG_BN

import zoo

load("torch")
import torch


@pytest.fixture(scope="module")
def model():
    return zoo.build(GOOGLENET, "torch", aux=True)


@pytest.fixture(scope="module")
def x():
    return torch.linspace(-1, 1, 2 * 3 * 96 * 96).reshape(2, 3, 96, 96)


def logits(model, x):
    model.eval()
    with torch.no_grad():
        return model(x)["logits"]


def test_the_structure_is_the_specs(model):
    assert isinstance(model, torch.nn.Module)
    conv = model.inception3a.branch5x5.reduce.conv
    assert isinstance(conv, torch.nn.Conv2d)
    assert (conv.in_channels, conv.out_channels) == (192, 16)
    text = str(model)
    assert "(inception3a): inception(" in text
    assert "(branch5x5)" in text


def test_a_block_can_be_called_alone(model):
    assert model.inception3a(torch.zeros(1, 192, 12, 12)).shape == (1, 256, 12, 12)


def test_deepcopy_is_a_model_of_its_own(model, x):
    twin = copy.deepcopy(model)
    assert torch.equal(logits(twin, x), logits(model, x))
    with torch.no_grad():
        twin.fc.bias += 1
    assert not torch.equal(logits(twin, x), logits(model, x))
    assert zoo.graph_of(twin).name == "small_googlenet"


def test_state_dict_round_trip(model, x, tmp_path):
    torch.save(model.state_dict(), tmp_path / "weights.pth")
    other = zoo.build(GOOGLENET, "torch", aux=True, seed=5)
    other.load_state_dict(torch.load(tmp_path / "weights.pth", weights_only=True))
    assert torch.equal(logits(other, x), logits(model, x))
    names = {name for name in model.state_dict() if "num_batches" not in name}
    assert names == set(zoo.get_weights(model))


def test_compile_in_one_graph(model, x):
    compiled = torch.compile(model.eval(), fullgraph=True, backend="aot_eager")
    with torch.no_grad():
        found = compiled(x)["logits"]
    assert torch.allclose(found, logits(model, x), rtol=1e-4, atol=1e-5)
    assert set(zoo.get_weights(compiled)) == set(zoo.get_weights(model))
    assert zoo.predict(compiled, x.numpy())["aux2"].shape == (2, 10)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # inductor's own
@pytest.mark.filterwarnings("ignore:Skipping serialization:UserWarning")  # the same, in 2.6
def test_compile_by_inductor(x):
    model = zoo.build(VGG_BN, "torch", num_classes=3).eval()
    with torch.no_grad():
        found = torch.compile(model, fullgraph=True)(x[:, :, :32, :32])
        assert torch.allclose(found, model(x[:, :, :32, :32]), rtol=1e-4, atol=1e-5)


def test_export(model, x):
    program = torch.export.export(model.eval(), (x,))
    with torch.no_grad():
        found = program.module()(x)["logits"]
    assert torch.allclose(found, logits(model, x), rtol=1e-5, atol=1e-6)


def test_training_reaches_every_parameter(x):
    model = zoo.build(GOOGLENET, "torch", aux=True)
    assert model.training
    outputs = model(x)
    labels = torch.tensor([1, 2])
    sum(torch.nn.functional.cross_entropy(v, labels) for v in outputs.values()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    before = model.conv1.conv.weight.detach().clone()
    optimizer.step()
    assert not torch.equal(before, model.conv1.conv.weight)


def test_batch_norm_keeps_the_biased_variance():
    model = zoo.build(VGG_BN, "torch", num_classes=3, dtype="float64")
    x = torch.randn(4, 3, 32, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    model(x)
    value = model.stage1.conv1.conv(x)
    bn = model.stage1.conv1.bn
    variance = value.var((0, 2, 3), unbiased=False)
    assert torch.allclose(bn.running_var, 0.9 + 0.1 * variance, rtol=1e-12)
    assert torch.allclose(bn.running_mean, 0.1 * value.mean((0, 2, 3)), rtol=1e-12, atol=1e-15)
    assert bn.num_batches_tracked == 1


def test_one_value_per_channel_is_refused_in_training_alone():
    """As PyTorch's own layer refuses it; the other frameworks compute it."""
    bn = zoo.build(VGG_BN, "torch", num_classes=3, input_size=32).stage1.conv1.bn
    x = torch.ones(1, bn.num_features, 1, 1)
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        bn(x)
    assert (bn.running_mean == 0).all()
    assert (bn.running_var == 1).all()
    assert bn.eval()(x).shape == x.shape


def test_moving_and_casting(model):
    model = copy.deepcopy(model).to("meta")
    assert next(model.parameters()).is_meta
    half = zoo.build(GOOGLENET, "torch").bfloat16()
    assert half.norm1 is not None
    assert zoo.predict(half, np.zeros((1, 3, 96, 96), np.float32)).dtype == np.float32


def test_building_leaves_torch_alone():
    torch.manual_seed(1)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    zoo.build(VGG, "torch")
    zoo.build(VGG, "torch", init="native")
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_default_dtype() == torch.float32
    assert torch.get_num_threads() == threads
    assert torch.is_grad_enabled()


def test_names_are_free_in_every_module():
    from zoo.graphs.names import problem_with

    for name in dir(torch.nn.Module()):
        assert problem_with(name), f"{name} is an attribute of torch.nn.Module"


@pytest.fixture(scope="module")
def every_operation(tmp_path_factory):
    """A model with all operations."""
    path = tmp_path_factory.mktemp("specs") / "everything.yaml"
    header = "format: 1\nname: everything\noptions: {num_classes: 10, input_size: 25}\nlayers:\n"
    path.write_text(header + textwrap.indent(everything.LAYERS.strip(), "  ") + "\n")
    return zoo.build(path, "torch")


@pytest.mark.parametrize("training", [False, True])
def test_tracing(every_operation, training):
    """By torch.fx, on which feature extraction and quantization in torchvision are built."""
    model = copy.deepcopy(every_operation).train(training)
    twin = copy.deepcopy(model)
    x = torch.rand(3, 3, 25, 25, generator=torch.Generator().manual_seed(0))
    traced = torch.fx.symbolic_trace(model)
    torch.manual_seed(0)
    expected = twin(x)
    torch.manual_seed(0)
    assert torch.equal(traced(x), expected)
    for (name, value), (_, other) in zip(
        model.state_dict().items(), twin.state_dict().items(), strict=True
    ):
        assert torch.equal(value, other), name


@pytest.mark.filterwarnings("ignore")  # PyTorch warns that it will move quantization elsewhere
def test_quantization_of_a_traced_model():
    from torch.ao.quantization import get_default_qconfig_mapping
    from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx

    model = zoo.build("vgg9_bn", "torch", num_classes=3, input_size=32).eval()
    x = torch.rand(2, 3, 32, 32)
    prepared = prepare_fx(model, get_default_qconfig_mapping(), (x,))
    prepared(x)
    assert convert_fx(prepared)(x).shape == (2, 3)


def test_update_bn_averages_over_all_batches():
    model = zoo.build("vgg9_bn", "torch", num_classes=3, input_size=32, dtype="float64")
    generator = torch.Generator().manual_seed(0)
    batches = [torch.randn(4, 3, 32, 32, dtype=torch.float64, generator=generator) for _ in "123"]
    torch.optim.swa_utils.update_bn(batches, model)
    bn = model.stage1.conv1.bn
    with torch.no_grad():
        values = [model.stage1.conv1.conv(x) for x in batches]
    mean = sum(v.mean((0, 2, 3)) for v in values) / 3
    variance = sum(v.var((0, 2, 3), unbiased=False) for v in values) / 3
    assert torch.allclose(bn.running_mean, mean, rtol=1e-12, atol=1e-15)
    assert torch.allclose(bn.running_var, variance, rtol=1e-12)
    assert bn.momentum == 0.1


@pytest.mark.parametrize("init", ["he_uniform", "native"])
def test_the_default_device(init):
    with torch.device("meta"):
        model = zoo.build("lenet5", "torch", init=init)
        other = zoo.build("shufflenet_v2_x0_5", "torch", input_size=32, init=init)
    for each in (model, other):
        tensors = [*each.parameters(), *each.buffers()]
        assert {tensor.device.type for tensor in tensors} == {"meta"}
    assert zoo.build("lenet5", "torch").output.weight.device.type == "cpu"


def test_another_default_device_than_the_models():
    """Where the model is is what counts, as in PyTorch itself."""
    model = zoo.build("lenet5_modern", "torch", input_size=32)
    x = np.random.default_rng(0).random((2, *zoo.graph_of(model).input_shape), np.float32)
    verbs = {
        "predict": lambda: zoo.predict(model, x),
        "features": lambda: zoo.features(model, x, "flatten_s4"),
        "loss": lambda: zoo.loss(model, zoo.predict(model, x), [0, 1]).item(),
        "head": lambda: zoo.get_weights(zoo.reset_head(model, 3)),
    }
    expected = {name: verb() for name, verb in verbs.items()}
    for default, context in (
        (None, torch.device("meta")),
        ("meta", contextlib.nullcontext()),
    ):
        torch.set_default_device(default)
        try:
            with context:
                found = {name: verb() for name, verb in verbs.items()}
        finally:
            torch.set_default_device(None)
        np.testing.assert_equal(found, expected)


def test_pickling(model, x):
    again = pickle.loads(pickle.dumps(model))
    assert torch.equal(logits(again, x), logits(model, x))
    assert zoo.graph_of(again) == zoo.graph_of(model)


@pytest.mark.filterwarnings("ignore")  # it is deprecated, and warns that it fixes the size
def test_jit_trace(model, x):
    traced = torch.jit.trace(model.eval(), x, strict=False)
    assert torch.allclose(traced(x)["logits"], logits(model, x), rtol=1e-5, atol=1e-6)


def test_parameters_of_which_one_number_stands_for_all_are_set():
    model, other = zoo.build("lenet5", "torch"), zoo.build("lenet5", "torch", seed=1)
    name = next(name for name, value in model.state_dict().items() if value.ndim == 1)
    state = {**model.state_dict(), name: torch.zeros(1).expand(model.state_dict()[name].shape)}
    model.load_state_dict(state, assign=True)
    zoo.set_weights(model, zoo.get_weights(other))
    for key, value in other.state_dict().items():
        assert torch.equal(model.state_dict()[key], value)


def test_parameters_with_the_same_memory_are_one_tensor():
    model = zoo.build("resnet20", "torch")
    names = [f"layer1.block1.conv{i}.conv.weight" for i in (1, 2)]
    state = model.state_dict()
    model.load_state_dict({**state, names[1]: state[names[0]]}, assign=True)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(zoo.errors.WeightsError, match="conv2.conv.weight are one tensor in this"):
        zoo.set_weights(model, zoo.get_weights(zoo.build("resnet20", "torch", seed=1)))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_number_that_is_no_weight_is_ignored():
    model, other = zoo.build("lenet5", "torch"), zoo.build("lenet5", "torch", seed=1)
    model.register_buffer("ema_step", torch.tensor(3))
    zoo.set_weights(model, zoo.get_weights(other))
    assert_same(zoo.convert(model, "torch"), other)
    assert model.ema_step == 3
