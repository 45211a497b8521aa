"""Checkpoints of PyTorch as training tools leave them: wrapped, prefixed, and with other classifiers."""

from __future__ import annotations

import argparse
import collections
import decimal
import functools
import pathlib
import pickle
import warnings

import numpy as np
import pytest
from checkpoints import LINEAR, NETWORK, assert_same, prefixed
from loading import load

import zoo
from zoo.errors import WeightsError
from zoo.weights import sources
from zoo.weights.slots import slots_of


@functools.cache
def model(network=LINEAR, classes=1000):
    load("torch")
    found = zoo.build(network, "torch", num_classes=classes)
    rng = np.random.default_rng(3)
    weights = zoo.get_weights(found)
    zoo.set_weights(found, {n: rng.random(a.shape).astype(a.dtype) for n, a in weights.items()})
    return found


def torchvisions(network=LINEAR, classes=1000):
    """Tensors under torchvision's names."""
    import torch

    weights = zoo.get_weights(model(network, classes))
    slots = slots_of(sources.source("torchvision"), zoo.graph(network, num_classes=classes))
    return {slots[name].names[0]: torch.from_numpy(array) for name, array in weights.items()}


@pytest.fixture
def save(tmp_path):
    load("torch")
    import torch

    def write(value, name="w.pth", **options):
        torch.save(value, tmp_path / name, **options)
        return tmp_path / name

    return write


def beside(state):
    """What training scripts save beside the weights."""
    import torch

    layer = torch.nn.Linear(2, 2)
    optimizer = torch.optim.Adam(layer.parameters())
    layer(torch.zeros(1, 2)).sum().backward()
    optimizer.step()
    return {
        "epoch": 3, "arch": "shufflenet", "best_acc1": torch.tensor(71.5), "state_dict": state,
        "optimizer": optimizer.state_dict(), "args": argparse.Namespace(lr=0.1, classes={1, 2}),
        "path": pathlib.PurePosixPath("runs/1"), "history": collections.defaultdict(list, a=[1.5]),
        "decimal": decimal.Decimal(1), "numpy": np.float64(2), "rng": torch.get_rng_state(),
        "function": torch.relu, "keys": {(1, 2): 3, 4.5: 6, None: 7, 140_000_000_000_000: 8},
        "frozen": frozenset((1, 2)), "scaler": None, "module": torch.nn.ReLU(),
    }  # fmt: skip


#: What a tool saves -> what it says in the origin, for each key.
WRAPPED = {
    "as it is": (lambda s: s, None),
    "DataParallel": (lambda s: prefixed("module.", s), "without 'module'"),
    "compile": (lambda s: prefixed("_orig_mod.", s), "without '_orig_mod'"),
    "Lightning": (
        lambda s: {"state_dict": prefixed("model.", s), "pytorch-lightning_version": "2.5",
                   "hyper_parameters": argparse.Namespace(a=1), "loops": {"fit": {"a": {}}}},
        "under 'state_dict'; without 'model.'",
    ),
    "a script": (lambda s: beside(prefixed("module.", s)), "under 'state_dict'; without 'module'"),
    "a stack": (
        lambda s: {"net": prefixed("module._orig_mod.backbone.encoder.", s)},
        "under 'net'; without '_orig_mod' and 'module' and 'backbone.encoder.'",
    ),
    "compiled within": (
        lambda s: {name.replace("stage2.", "stage2._orig_mod."): v for name, v in s.items()},
        "without '_orig_mod'",
    ),
    "a name of one's own": (lambda s: prefixed("my_net.", s), "without 'my_net.'"),
    "model and average": (
        lambda s: {"model": s, "model_ema": {n: v * 0 for n, v in s.items()}, "epoch": 1},
        "under 'model', not 'model_ema'",
    ),
    "an average under another key": (
        lambda s: {"net": s, "net_ema": {n: v * 0 for n, v in s.items()}, "optimizer": {"state": {0: {}}}},
        "under 'net', not 'net_ema'",
    ),
    "a teacher": (
        lambda s: {"teacher": {n: v * 0 for n, v in s.items()}, "state_dict": s, "model_ema": s},
        "under 'state_dict', not 'model_ema' or 'teacher'",
    ),
    "the average alone": (
        lambda s: {"state_dict_ema": {"n_averaged": s["fc.bias"][0].long(), **prefixed("module.", s)}},
        "under 'state_dict_ema'; without 'module'",
    ),
    "keys in keys": (lambda s: {"state": {"model_state_dict": s}}, "under 'state' and 'model_state_dict'"),
    "counters": (
        lambda s: {**s, "conv1.1.num_batches_tracked": s["fc.bias"][0].long(),
                   "conv1.0.total_ops": s["fc.bias"][:1].double(), "total_params": s["fc.bias"][:1]},
        None,
    ),
    "numbers beside": (lambda s: {**s, "epoch": 3, "name": "a", "nothing": None}, None),
    "an epoch": (
        lambda s: {**prefixed("model.", s), "model.epoch": s["fc.bias"][0].long()},
        "without 'model.'; without the number model.epoch",
    ),
    "a module's parameters": (lambda s: {n: __import__("torch").nn.Parameter(v) for n, v in s.items()}, None),
}  # fmt: skip


@pytest.mark.parametrize("kind", WRAPPED)
@pytest.mark.parametrize("name", ["w.pth", "model_best.pth.tar", "last.ckpt"])
def test_what_tools_put_around_weights(kind, name, save):
    make, note = WRAPPED[kind]
    path = save(make(torchvisions()), name)
    found = zoo.load(path, "torch")
    assert_same(found, model())
    assert zoo.graph_of(found).origin.get("note") == note
    if name == "w.pth":
        assert_same(zoo.build(LINEAR, "torch", weights=path), model())


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("zipped", [True, False])
def test_every_protocol_in_both_containers(protocol, zipped, save):
    options = {"pickle_protocol": protocol, "_use_new_zipfile_serialization": zipped}
    for name in ("w.pth", "w.weights"):
        assert_same(zoo.load(save(torchvisions(), name, **options), "torch"), model())


#: A change of a state -> what is said of it.
NEARLY = {
    "one less": (
        lambda s: without(s, "stage2.0.branch1.0.weight"),
        r"missing: stage2\.0\.branch1\.0\.weight\. ",
    ),
    "one more": (
        lambda s: {**s, "stage2.0.scale": s["fc.bias"][:3]},
        r"unexpected: stage2\.0\.scale\. ",
    ),
    "a number that may be a weight": (
        lambda s: {**s, "temperature": s["fc.bias"][0]},
        r"unexpected: temperature\. ",
    ),
    "both": (
        lambda s: {**without(s, "conv5.1.bias"), **dict.fromkeys("abcdef", s["fc.bias"])},
        r"missing: conv5\.1\.bias; unexpected: a, b, c, d, \.\.\.\. ",
    ),
}


@pytest.mark.parametrize("kind", NEARLY)
def test_the_network_that_a_file_nearly_has_is_named(kind, save):
    change, message = NEARLY[kind]
    path = save({"state_dict": prefixed("model.", change(torchvisions()))})
    message = f"torchvision's names of {LINEAR}, with these exceptions: {message}"
    with pytest.raises(WeightsError, match=message):
        zoo.load(path, "torch")


#: What holds several sets of weights, of which the second is the model's -> the entries tried.
SETS = {
    "averages": (lambda a, b: {"state_dict": a, "state_dict_ema": b}, ["state_dict_ema"]),
    "averages, wrapped": (
        lambda a, b: {"model": a, "ema": {"state_dict": prefixed("module.", b), "updates": 3}},
        ["ema", "ema.state_dict"],
    ),
    "two networks": (lambda a, b: {"G": a, "D": b, "epoch": 1}, ["D"]),
    "within": (lambda a, b: {"state": {"model": a, "best.model": b}}, ["best.model"]),
    "in names": (
        lambda a, b: {"state_dict": {**prefixed("teacher.", a), **prefixed("student.model.", b)}},
        ["student", "student.model"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", SETS)
def test_an_entry_of_several_is_taken(kind, save):
    make, entries = SETS[kind]
    state = torchvisions()
    other = {name: value * 0 for name, value in state.items()}
    path = save(make(other, state))
    for entry in entries:
        found = zoo.load(path, "torch", entry=entry)
        assert_same(found, model())
        shown = entry.rpartition(".")[2] if kind == "averages, wrapped" else entry
        assert repr(shown) in zoo.graph_of(found).origin["note"]
    assert_same(zoo.build(LINEAR, "torch", weights=path, entry=entries[0]), model())
    with pytest.raises(WeightsError, match="it has no entry 'none'; the names in it begin with"):
        zoo.load(path, "torch", entry="none")


def test_an_entry_of_other_formats(save, tmp_path):
    from safetensors.torch import save_file

    state = torchvisions()
    other = {name: value * 0 for name, value in state.items()}
    save_file({**prefixed("a.", state), **prefixed("b.", other)}, tmp_path / "w.safetensors")
    assert_same(zoo.load(tmp_path / "w.safetensors", "torch", entry="a"), model())
    with pytest.raises(WeightsError, match=f"entry='a' reads {LINEAR} alone"):
        zoo.load(tmp_path / "w.safetensors", "torch")
    zoo.save(model(), tmp_path / "zoo.safetensors")
    with pytest.raises(
        WeightsError, match="it has no entry 'a'; the names in it begin with conv1, "
    ):
        zoo.load(tmp_path / "zoo.safetensors", "torch", entry="a")
    for wrong in (3, "", ["a"]):
        with pytest.raises(zoo.errors.InputError, match="entry must be the key of weights"):
            zoo.load(tmp_path / "w.safetensors", "torch", entry=wrong)
    with pytest.raises(zoo.errors.InputError, match="entry require pretrained weights"):
        zoo.build(LINEAR, "torch", entry="a")


def test_an_entry_on_the_command_line(save, tmp_path):
    from click.testing import CliRunner

    from zoo.cli.program import program

    state = torchvisions()
    path = save({"model": {n: v * 0 for n, v in state.items()}, "model_ema": state})
    target = tmp_path / "w.safetensors"
    arguments = ["convert", str(path), str(target), "--entry", "model_ema"]
    result = CliRunner().invoke(program, arguments)
    assert result.exit_code == 0 and "under 'model_ema'" in result.output
    assert_same(zoo.load(target, "torch"), model())


def test_data_parallel_of_a_part(save):
    """PyTorch's example script wraps the features of AlexNet and VGG alone."""
    state = torchvisions(NETWORK)
    path = save({n.replace("features.", "features.module."): v for n, v in state.items()})
    assert_same(zoo.load(path, "torch"), model(NETWORK))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_other_precisions(dtype, save):
    import torch

    path = save({n: v.to(getattr(torch, dtype)) for n, v in torchvisions().items()})
    loaded = zoo.get_weights(zoo.load(path, "torch"))
    built = zoo.get_weights(zoo.build(LINEAR, "torch", weights=path))
    assert {a.dtype.name for a in loaded.values()} == {dtype}
    assert {a.dtype.name for a in built.values()} == {"float32"}


@pytest.mark.parametrize("network", [NETWORK, LINEAR])
def test_the_number_of_classes_is_read_from_the_file(network, save):
    path = save({"state_dict": prefixed("backbone.", torchvisions(network, 10))})
    for found in (zoo.load(path, "torch"), zoo.build(network, "torch", weights=path)):
        assert zoo.graph_of(found).options["num_classes"] == 10
        assert_same(found, model(network, 10))
    with pytest.raises(WeightsError, match="num_classes=10 keeps it, head='new' replaces it"):
        zoo.build(network, "torch", weights=path, num_classes=11)
    new = zoo.load(path, "torch", head="new", num_classes=3)
    assert zoo.graph_of(new).options["num_classes"] == 3
    head = "fc" if network == LINEAR else "conv10"
    assert_same(new, model(network, 10), but=(head,))


def test_the_number_of_channels_is_read_from_the_file(tmp_path):
    load("torch")
    import torch

    gray = zoo.build("resnet20", "torch", in_channels=1)
    torch.save(gray.state_dict(), tmp_path / "w.pth")
    for found in (
        zoo.load(tmp_path / "w.pth", "torch"),
        zoo.build("resnet20", "torch", weights=tmp_path / "w.pth"),
    ):
        assert zoo.graph_of(found).options["in_channels"] == 1
        assert_same(found, gray)


def without(state, start):
    return {name: value for name, value in state.items() if not name.startswith(start)}


def other_head(**shapes):
    import torch

    return {name.replace("_", "."): torch.zeros(shape) for name, shape in shapes.items()}


def test_a_linear_layer_elsewhere_is_the_classifier(save):
    """As in fc = Sequential(Dropout, Linear), or in a module with a backbone and a head."""
    state = torchvisions(classes=10)
    backbone = without(state, "fc.")
    for place, rest in (("fc.1", backbone), ("head", prefixed("encoder.", backbone))):
        moved = {f"{place}.{kind}": state[f"fc.{kind}"] for kind in ("weight", "bias")}
        path = save({**rest, **moved})
        for found in (zoo.load(path, "torch"), zoo.build(LINEAR, "torch", weights=path)):
            assert zoo.graph_of(found).options["num_classes"] == 10
            assert f"with {place!r} as the classifier" in zoo.graph_of(found).origin["note"]
            assert_same(found, model(classes=10))
        new = zoo.build(LINEAR, "torch", weights=path, head="new", num_classes=4)
        assert_same(new, model(classes=10), but=("fc",))


@pytest.mark.parametrize(
    "head",
    [
        {},
        {"fc_0_weight": (64, 1024), "fc_0_bias": (64,), "fc_3_weight": (5, 64), "fc_3_bias": (5,)},
        {"proj_weight": (128, 1024), "norm_weight": (128,), "norm_bias": (128,)},
    ],
    ids=["none", "two layers", "a projection"],
)
def test_another_classifier_or_none_needs_a_new_one(head, save):
    path = save({**prefixed("backbone.", without(torchvisions(), "fc.")), **other_head(**head)})
    for call in (
        lambda **options: zoo.load(path, "torch", **options),
        lambda **options: zoo.build(LINEAR, "torch", weights=path, **options),
    ):
        with pytest.raises(WeightsError, match=r"missing: fc\.weight[\s\S]*head='new' gives"):
            call()
        found = call(head="new", num_classes=6)
        assert_same(found, model(), but=("fc",))
        for name in head:
            assert name.replace("_", ".") in zoo.graph_of(found).origin["note"]


def test_features_without_any_linear_layer(save):
    load("torch")
    names = {"conv1": "features.0", "conv2": "features.3", "conv3": "features.6",
             "conv4": "features.8", "conv5": "features.10"}  # fmt: skip
    options = {"input_size": 96}
    alexnet = zoo.build("alexnet", "torch", num_classes=5, **options)
    import torch

    state = {}
    for name, value in zoo.get_weights(alexnet).items():
        node, _, local = name.rpartition(".")
        if node.partition(".")[0] in names:
            state[f"{names[node.partition('.')[0]]}.{local}"] = torch.from_numpy(value)
    path = save(state)
    new = zoo.build("alexnet", "torch", weights=path, head="new", num_classes=5, seed=4, **options)
    assert_same(new, alexnet, but=("fc",))
    drawn = zoo.build("alexnet", "torch", num_classes=5, seed=4, **options)
    for name, value in zoo.get_weights(drawn).items():
        if name.startswith("fc"):
            assert np.array_equal(zoo.get_weights(new)[name], value), name


@pytest.mark.parametrize(
    ("network", "other"), [("resnet18", "resnet34"), ("vgg11", "vgg13"), ("resnet20", "resnet32")]
)
def test_a_larger_network_is_not_taken_for_a_smaller_one(network, other, save):
    """Even if all names of the smaller one are in the file."""
    import torch

    source = "torchvision" if "v" in network or network == "resnet18" else None
    graph = zoo.graph(other)
    names = {p.name: p.name for p in graph.parameters}
    if source:
        names = {n: s.names[0] for n, s in slots_of(sources.source(source), graph).items()}
    shapes = {names[p.name]: p.shape for p in graph.parameters}
    state = {n: torch.zeros(1, dtype=torch.float16).expand(shape) for n, shape in shapes.items()}
    for change in ({}, {"fc.1.weight": torch.zeros(3, 3)}):
        path = save({**without(state, "fc" if change else "none"), **change})
        with pytest.raises(WeightsError):
            zoo.build(network, "torch", weights=path, head="new")


REFUSED = {
    "a whole model": (lambda t, s: t.nn.Linear(2, 2), r"torch\.nn\.modules\.linear\.Linear.*whole model.*state_dict\(\)"),
    "one in a dict": (lambda t, s: {"model": t.nn.Linear(2, 2), "epoch": 1}, "model: it names torch.nn"),
    "sparse": (lambda t, s: {**s, "fc.weight": s["fc.weight"].to_sparse()}, r"fc\.weight: a sparse tensor; save tensor\.to_dense"),
    "quantized": (lambda t, s: {**s, "fc.bias": t.quantize_per_tensor(s["fc.bias"], 0.1, 0, t.qint8)}, "fc.bias: a quantized tensor"),
    "float8": (lambda t, s: {**s, "fc.bias": s["fc.bias"].to(t.float8_e4m3fn)}, "fc.bias: a tensor of"),
    "complex": (lambda t, s: {**s, "fc.bias": s["fc.bias"].to(t.complex64)}, "fc.bias: a tensor of ComplexFloat"),
    "meta": (lambda t, s: {**s, "fc.bias": s["fc.bias"].to("meta")}, "the device 'meta', which has no values"),
    "integers": (lambda t, s: {**s, "fc.bias": s["fc.bias"].to(t.int8)}, "fc.bias: expected floating-point values, got int8"),
    "a list": (lambda t, s: list(s.values()), r"a list of arrays without names.*in PyTorch with torch\.save\(model\.state_dict"),
    "a tensor": (lambda t, s: s["fc.bias"], "expected arrays by name, got a tensor alone"),
    "two networks": (lambda t, s: {"G": s, "D": s}, r"'G' is shufflenet.*for example: D\..*entry='G' reads"),
    "teacher": (lambda t, s: {**prefixed("student.", s), **prefixed("teacher.", s)}, r"'student' is shufflenet.*for example: teacher\..*entry='student' reads"),
    "metrics": (
        lambda t, s: {"state_dict": {**prefixed("model.net.", s), "model.loss.weight": s["fc.bias"]}},
        r"'model\.net' is shufflenet.*for example: model\.loss\.weight\. entry='model\.net' reads",
    ),
    "empty": (lambda t, s: {"module": {n: v[:0] for n, v in s.items()}}, "its arrays are empty.*zero_to_fp32"),
    "a norm": (
        lambda t, s: {**without(s, "fc.weight"), "fc.weight_g": s["fc.bias"], "fc.weight_v": s["fc.weight"]},
        r"fc\.weight_g: a layer was parametrized.*remove_weight_norm\(layer\)",
    ),
    "an older spectral norm": (
        lambda t, s: {**without(s, "fc.weight"), "fc.weight_orig": s["fc.weight"], "fc.weight_u": s["fc.bias"],
                      "fc.weight_v": s["fc.weight"][0]},
        r"fc\.weight_u: a layer was normalized.*remove_spectral_norm\(layer\)",
    ),
    "a parametrization": (
        lambda t, s: {**without(s, "fc.weight"), "fc.parametrizations.weight.original0": s["fc.weight"]},
        r"a layer was parametrized.*remove_parametrizations",
    ),
    "pruned": (
        lambda t, s: {**without(s, "fc.weight"), "fc.weight_orig": s["fc.weight"], "fc.weight_mask": s["fc.weight"]},
        r"fc\.weight_orig: a layer was pruned.*prune\.remove",
    ),
    "an adapter": (
        lambda t, s: {**s, "fc.lora_A.default.weight": s["fc.weight"][:4]}, r"has an adapter; merge it",
    ),
    "an adapter and the layer": (
        lambda t, s: {**prefixed("base_model.model.", without(s, "fc.")),
                      **{f"base_model.model.fc.base_layer.{n}": s[f"fc.{n}"] for n in ("weight", "bias")},
                      "base_model.model.fc.lora_A.default.weight": s["fc.weight"][:4]},
        r"fc\.\w+.* has an adapter; merge it",
    ),
    "a quantized layer": (
        lambda t, s: t.ao.quantization.quantize_dynamic(model(), {t.nn.Linear}).state_dict(),
        r"fc\.\w+: a layer was quantized",
    ),
    "codes of a quantized layer": (
        lambda t, s: {**without(s, "fc."), "fc.kernel": s["fc.weight"].to(t.int8), "fc.kernel_scale": s["fc.bias"]},
        "fc.kernel: a layer was quantized",
    ),
    "averages without names": (
        lambda t, s: {"decay": 0.9, "shadow_params": list(s.values())}, r"shadow_params: a list of arrays without names.*copy_to",
    ),
    "observers": (
        lambda t, s: {**s, "fc.weight_fake_quant.scale": s["fc.bias"][:1]}, "was prepared for quantization",
    ),
    "an optimizer": (lambda t, s: t.optim.Adam(t.nn.Linear(2, 2).parameters()).state_dict(), "the state of an optimizer; pass"),
    "nothing": (lambda t, s: {}, "contains no arrays"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_refused_by_name(kind, save):
    import torch

    make, message = REFUSED[kind]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of quantization, which PyTorch gives up
        path = save(make(torch, torchvisions()))
    with pytest.raises(WeightsError, match=message):
        zoo.load(path, "torch")


def two_networks(kind):
    """Files of self-supervised learning: two networks under wrappers, each with a projection."""
    state = torchvisions()
    backbone, first = without(state, "fc."), next(iter(state.values()))
    if kind == "queue":
        heads = {f"module.encoder_{x}.fc.{n}.weight": first[0, 0] for x in "qk" for n in (0, 2)}
        zeros = {name: value * 0 for name, value in backbone.items()}
        both = {**prefixed("module.encoder_q.", backbone), **prefixed("module.encoder_k.", zeros)}
        return {"state_dict": {**both, **heads, "module.queue": first}}, "encoder_q"
    return {
        "student": {
            **prefixed("module.backbone.", backbone),
            "module.head.mlp.0.weight": first[0, 0],
        },
        "teacher": {**prefixed("backbone.", backbone), "head.mlp.0.weight": first[0, 0]},
        "loss": {"center": first[0, 0]},
    }, "student"


@pytest.mark.parametrize("kind", ["queue", "teacher"])
def test_one_of_two_networks_with_other_heads(kind, save):
    value, entry = two_networks(kind)
    path = save(value)
    for call in (zoo.load, lambda *a, **o: zoo.build(LINEAR, "torch", weights=path, **o)):
        with pytest.raises(WeightsError, match=f"its entry '{entry}' is .*entry='{entry}'.*reads"):
            call(path, "torch")
        for options in ({"head": "new"}, {"num_classes": 0}):
            assert_same(call(path, "torch", entry=entry, **options), model(), but=("fc",))


def test_the_kernel_of_a_1x1_convolution_is_that_of_a_linear_layer(save):
    state = torchvisions(classes=10)
    path = save({**state, "fc.weight": state["fc.weight"][:, :, None, None]})
    for found in (zoo.load(path, "torch"), zoo.build(LINEAR, "torch", weights=path)):
        assert_same(found, model(classes=10))
    for wrong in (
        state["fc.weight"][:, 1:],
        state["fc.weight"][:, :, None, None].expand(-1, -1, 2, 1),
    ):
        path = save({**state, "fc.weight": wrong})
        with pytest.raises(WeightsError, match="to the classifier: head='new' replaces it"):
            zoo.build(LINEAR, "torch", weights=path)


def test_a_pickle_of_arrays_with_the_names_of_pytorch(tmp_path):
    arrays = {name: value.numpy() for name, value in torchvisions().items()}
    (tmp_path / "w.pkl").write_bytes(pickle.dumps(arrays))
    assert_same(zoo.load(tmp_path / "w.pkl", "torch"), model())


@pytest.mark.parametrize("suffix", [".safetensors", ".onnx", ".pth"])
def test_a_new_head_for_a_network_without_one(suffix, tmp_path):
    load("torch")
    path = tmp_path / f"w{suffix}"
    features = zoo.build("resnet20", "torch", num_classes=0, seed=2)
    if suffix == ".pth":
        import torch

        torch.save(features.state_dict(), path)
    else:
        zoo.save(features, path)
    found = zoo.load(path, "torch", head="new")
    assert zoo.graph_of(found).options["num_classes"] == 10
    assert_same(found, features)
    assert (
        zoo.graph_of(zoo.load(path, "torch", head="new", num_classes=3)).options["num_classes"] == 3
    )


def test_torchscript_is_named(tmp_path):
    load("torch")
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit is deprecated
        program = torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2))
        program.save(tmp_path / "w.pt")
    with pytest.raises(WeightsError, match=r"TorchScript archive.*torch\.jit\.load\(path\)"):
        zoo.load(tmp_path / "w.pt", "torch")
