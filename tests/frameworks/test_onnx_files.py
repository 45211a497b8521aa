"""ONNX files: to and from every framework, beside one another, replaced and damaged."""

from __future__ import annotations

import os
import random
import subprocess
import sys

import numpy as np
import pytest
from damage import mutants
from limits import HANG
from loading import load

import zoo
from zoo.api import conversion
from zoo.api.checkpoints import own_names
from zoo.errors import InputError, UnknownNameError, WeightsError, ZooError
from zoo.language.options import Chosen
from zoo.weights import adaptation, initial, loading
from zoo.weights.reading import zoo_onnx_file

load("onnx")
import onnx
from onnx import TensorProto

from zoo.onnx import files
from zoo.onnx import model as building

LAYERS = """
conv: {op: conv, out_channels: 4, kernel_size: 3}
bn: {op: batch_norm}
lrn: {op: lrn, size: 3, alpha: 0.1}
flatten: {op: flatten}
fc: {op: linear, out_features: $num_classes}
"""
HEADER = "options: {num_classes: 20, input_size: 6}\n"


@pytest.fixture
def spec(spec_file):
    return spec_file(LAYERS, header=HEADER)


@pytest.fixture
def folder(tmp_path):
    """A folder without the spec."""
    path = tmp_path / "files"
    path.mkdir()
    return path


@pytest.fixture
def beside(monkeypatch):
    """Weights are written beside a file of any size."""
    monkeypatch.setattr(files, "MAX_MESSAGE", 0)
    monkeypatch.setattr(files, "_SMALL", 1)


def assert_same(model, weights):
    found = zoo.get_weights(model)
    assert list(found) == list(weights)
    for name, value in weights.items():
        assert found[name].tobytes() == value.tobytes(), name


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
def test_to_and_from_every_framework_bit_for_bit(dtype, spec, framework, backend, tmp_path):
    path = tmp_path / "w.onnx"
    graph = zoo.graph(spec, num_classes=7)
    model = zoo.build(graph, backend, dtype=dtype, seed=3)
    weights = zoo.get_weights(model)
    zoo.save(model, path)
    for other in dict.fromkeys(("onnx", backend)):
        again = zoo.load(path, other)
        assert_same(again, weights)
        assert zoo.graph_of(again) == graph
        assert_same(zoo.convert(model, other), weights)
        assert_same(zoo.build(spec, other, num_classes=7, dtype=dtype, weights=path), weights)
    zoo.save(zoo.convert(model, "onnx"), tmp_path / "other.onnx")
    assert path.read_bytes() == (tmp_path / "other.onnx").read_bytes()
    onnx.save(onnx.load(path), tmp_path / "again.onnx")
    assert_same(zoo.load(tmp_path / "again.onnx", backend), weights)


def test_files_are_converted(spec, tmp_path):
    model = zoo.build(spec, "onnx", seed=2)
    zoo.save(model, tmp_path / "w.safetensors")
    conversion.convert_file(str(tmp_path / "w.safetensors"), tmp_path / "w.onnx")
    conversion.convert_file(str(tmp_path / "w.onnx"), tmp_path / "again.safetensors")
    for name in ("w.onnx", "again.safetensors"):
        assert_same(zoo.load(tmp_path / name, "onnx"), zoo.get_weights(model))
    with pytest.raises(InputError, match=r"\.safetensors, .*\.onnx"):
        conversion.convert_file(str(tmp_path / "w.onnx"), tmp_path / "w.xyz")


def test_a_file_takes_other_options_and_a_new_head(spec, tmp_path):
    model = zoo.build(spec, "onnx", seed=2)
    zoo.save(model, tmp_path / "w.onnx")
    grown = zoo.load(tmp_path / "w.onnx", "onnx", num_classes=3, head="new")
    assert zoo.graph_of(grown).options["num_classes"] == 3
    assert np.array_equal(
        zoo.get_weights(grown)["conv.weight"], zoo.get_weights(model)["conv.weight"]
    )
    with pytest.raises(WeightsError, match=r"wrong shape: fc.weight"):
        zoo.load(tmp_path / "w.onnx", "onnx", num_classes=3)
    with pytest.raises(ZooError, match=r"w\.onnx"):
        zoo.build("lenet5", "onnx", weights=tmp_path / "w.onnx")


@pytest.mark.parametrize("backend", ["onnx", "torch"], indirect=True)
def test_large_networks_have_their_weights_beside(spec, framework, backend, folder, beside):
    path = folder / "w.onnx"
    model = zoo.build(spec, backend, seed=1)
    zoo.save(model, path)
    (data,) = set(folder.iterdir()) - {path}
    assert data.name.startswith("w.") and data.suffix == ".data"
    onnx.checker.check_model(path, full_check=True)
    assert_same(zoo.load(path, backend), zoo.get_weights(model))
    other = zoo.build(spec, backend, seed=2)
    zoo.save(other, path)
    (new,) = set(folder.iterdir()) - {path}
    assert new != data, "what the old file needs was never overwritten"
    assert_same(zoo.load(path, backend), zoo.get_weights(other))
    zoo.save(other, path)
    assert set(folder.iterdir()) == {path, new}
    (folder / "moved").mkdir()
    path.rename(folder / "moved" / "w.onnx")
    with pytest.raises(
        WeightsError, match=r"which has the values of conv.weight, is missing; put it"
    ):
        zoo.load(folder / "moved" / "w.onnx", backend)
    new.rename(folder / "moved" / new.name)
    assert_same(zoo.load(folder / "moved" / "w.onnx", backend), zoo.get_weights(other))


def test_a_file_becomes_small_again(spec, folder, beside, monkeypatch):
    model = zoo.build(spec, "onnx")
    (folder / "v.00000000000000000000000000000000.data").write_text("somebody's")
    zoo.save(model, folder / "w.onnx")
    assert len(list(folder.iterdir())) == 3
    monkeypatch.setattr(files, "MAX_MESSAGE", 2**31)
    zoo.save(model, folder / "w.onnx")
    assert {path.name[:2] for path in folder.iterdir()} == {"v.", "w."}
    assert len(list(folder.iterdir())) == 2


@pytest.mark.parametrize("beside_it", [False, True])
def test_a_write_that_fails_leaves_the_old_file(beside_it, spec, folder, monkeypatch):
    path = folder / "w.onnx"
    if beside_it:
        monkeypatch.setattr(files, "MAX_MESSAGE", 0)
        monkeypatch.setattr(files, "_SMALL", 1)
    model = zoo.build(spec, "onnx", seed=1)
    zoo.save(model, path)
    old = {each.name: each.read_bytes() for each in folder.iterdir()}

    def fails(*_):
        raise OSError(28, "No space left on device")

    for place in ("write_bytes", "replace"):
        with monkeypatch.context() as patched:
            patched.setattr(f"pathlib.Path.{place}", fails)
            with pytest.raises(InputError, match=r"w\.onnx: cannot be written: No space left"):
                zoo.save(zoo.build(spec, "onnx", seed=2), path)
        assert {each.name: each.read_bytes() for each in folder.iterdir()} == old
    with pytest.raises(InputError, match="cannot be written"):
        zoo.save(model, folder / "missing" / "w.onnx")
    (folder / "d.onnx").mkdir()
    with pytest.raises(InputError, match="cannot be written"):
        zoo.save(model, folder / "d.onnx")
    with pytest.raises(InputError, match=r"name that ends in \.safetensors or \.onnx"):
        zoo.save(model, folder)
    with pytest.raises(InputError):
        zoo.save(model, "w\0.onnx")


KILLED = """
import os, signal, sys
import numpy as np, zoo
from zoo import files as writing
from zoo.onnx import files
files.MAX_MESSAGE, files._SMALL = 0, 1
path = sys.argv[1] + "/w.onnx"
models = {value: zoo.build(sys.argv[2], "onnx") for value in (1, 2)}
for value, model in models.items():
    weights = {n: np.full_like(w, value) for n, w in zoo.get_weights(model).items()}
    zoo.set_weights(model, weights)

def value_of():
    (value,) = np.unique(zoo.get_weights(zoo.load(path, "onnx"))["fc.bias"])
    return int(value)

TRACED = {files.__file__, writing.__file__}

def write(line):
    count = 0

    def trace(frame, event, _):
        nonlocal count
        if frame.f_code.co_filename not in TRACED:
            return None
        if event == "line":
            count += 1
            if count == line:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    sys.settrace(trace)
    zoo.save(models[2], path)
    sys.settrace(None)
    os._exit(0)

seen, line, killed = set(), 0, True
while killed:
    zoo.save(models[1], path)
    line += int(sys.argv[3])
    child = os.fork()
    if not child:
        write(line)
    killed = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0
    seen.add(value_of())
print(line, sorted(seen))
"""


@pytest.mark.parametrize("step", [7, pytest.param(1, marks=pytest.mark.slow)])
def test_a_writer_that_is_killed_leaves_one_of_the_two(step, spec, tmp_path):
    """At each line that writes two files; the weights of either file are its own."""
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path), spec, str(step)],
        capture_output=True,
        text=True,
        timeout=HANG,
    )
    assert done.returncode == 0, done.stderr
    lines, _, seen = done.stdout.strip().partition(" ")
    assert int(lines) > 100 and seen == "[1, 2]"


def test_a_file_that_does_not_state_its_network(spec, tmp_path):
    """As one of another program: it is read by the names of its arrays."""
    model = zoo.build(spec, "onnx")
    weights = zoo.get_weights(model)
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "w.onnx")
    assert_same(zoo.build(spec, "onnx", weights=tmp_path / "w.onnx"), weights)
    for verb in (
        lambda: zoo.load(tmp_path / "w.onnx", "onnx"),
        lambda: zoo.build("resnet18", "onnx", weights=f"torchvision:{tmp_path / 'w.onnx'}"),
        lambda: zoo.load(tmp_path / "w.onnx", "onnx", entry="model"),
    ):
        with pytest.raises(WeightsError, match=r"w\.onnx"):
            verb()


def test_a_file_that_was_quantized(spec, tmp_path):
    """Scales are numbers without axes, in ``float_data``, as ONNX Runtime's quantizer writes them."""
    scale = onnx.helper.make_tensor("fc_scale", TensorProto.FLOAT, [], [0.5])
    codes = onnx.helper.make_tensor("fc_quantized", TensorProto.UINT8, [2, 2], [1, 2, 3, 4])
    for added, what in (([scale], "another program changed it"), ([scale, codes], "to quantize")):
        model = zoo.build(spec, "onnx")
        model.graph.initializer.extend(added)
        onnx.save(model, tmp_path / "w.onnx")
        with pytest.raises(WeightsError, match=what):
            zoo.load(tmp_path / "w.onnx", "onnx")


# Damage


def loaded(path):
    """What a file gives: its network, and its weights."""
    checkpoint = loading.find(path, None, Chosen(), own_names())
    with checkpoint.verified():
        network = checkpoint.graph()
        network, value = adaptation.filling(network, checkpoint, dtype="float32")
        return network, {p.name: value(p) for p in network.parameters}


def same(path, expected):
    """Whether a changed file still gives the same, rather than an error; it must be one of them."""
    try:
        network, weights = loaded(path)
    except ZooError as refusal:
        assert str(path) in str(refusal) or path.name in str(refusal), str(refusal)
        return False
    assert network.to_dict() == expected[0].to_dict()
    for name, value in expected[1].items():
        assert weights[name].tobytes() == value.tobytes(), name
    return True


def written(spec, path):
    zoo.save(zoo.build(spec, "onnx", seed=3), path)
    return loaded(path)


@pytest.mark.parametrize("count", [300, pytest.param(3000, marks=pytest.mark.slow)])
def test_damaged_files_are_refused_or_harmless(count, spec, tmp_path):
    """Harmless is what touches neither the network nor the weights, such as a node's description."""
    path = tmp_path / "w.onnx"
    expected = written(spec, path)
    content = path.read_bytes()
    kept = 0
    for damaged in mutants(content, count, seed=count):
        path.write_bytes(damaged)
        kept += same(path, expected)
    assert kept < count / 10


def test_files_cut_short(spec, tmp_path):
    path = tmp_path / "w.onnx"
    expected = written(spec, path)
    content = path.read_bytes()
    for end in range(0, len(content), 97):
        path.write_bytes(content[:end])
        assert not same(path, expected), end


def altered(model, rng):
    """Change one thing of a model, as a program might that edits it."""
    graph = model.graph
    tensors, nodes = graph.initializer, graph.node
    tensor, node = rng.choice(tensors), rng.choice(nodes)
    entry = rng.choice(model.metadata_props)
    huge = rng.choice([-1, 0, 1, 2**31, 2**62, 2**63 - 1])
    match rng.randrange(22):
        case 0:
            tensor.dims[rng.randrange(len(tensor.dims)) if tensor.dims else 0 :] = [huge]
        case 1:
            tensor.dims.append(huge)
        case 2:
            tensor.data_type = rng.randrange(30)
        case 3:
            tensor.raw_data = tensor.raw_data[: rng.randrange(len(tensor.raw_data) + 1)]
        case 4:
            tensor.raw_data += bytes(rng.randrange(1, 9))
        case 5:
            tensor.name = rng.choice(["", "../x", "x" * 1000, rng.choice(tensors).name])
        case 6:
            tensor.data_location = TensorProto.EXTERNAL
            for key, value in (
                ("location", rng.choice(["w.onnx", "../w.onnx", "/etc/passwd", "", ".", "x\0"])),
                ("offset", str(huge)),
                ("length", str(rng.choice([huge, len(tensor.raw_data)]))),
            ):
                tensor.external_data.add(key=key, value=value)
        case 7:
            tensors.add().CopyFrom(tensor)
        case 8:
            del tensors[rng.randrange(len(tensors))]
        case 9:
            tensor.float_data.extend([1.0] * rng.randrange(5))
            tensor.ClearField("raw_data")
        case 10:
            node.op_type = rng.choice(["Relu", "Identity", "", "If"])
        case 11:
            node.input[rng.randrange(len(node.input))] = rng.choice(nodes).output[0]
        case 12:
            del nodes[rng.randrange(len(nodes))]
        case 13:
            nodes.add().CopyFrom(node)
        case 14:
            if node.attribute:
                del node.attribute[rng.randrange(len(node.attribute))]
            else:
                node.attribute.add(name="alpha", f=2, type=1)
        case 15:
            entry.value = rng.choice(["", "{}", "[" * 5000, entry.value[:-1], entry.value + "x"])
        case 16:
            entry.key = rng.choice(["", "model", "spec", "options", "x"])
        case 17:
            model.metadata_props.add(key=entry.key, value=rng.choice(["", "{}", "resnet18"]))
        case 18:
            model.metadata_props.remove(entry)
        case 19:
            model.opset_import[0].version = rng.choice([0, 1, 17, 2**40])
        case 20:
            value = rng.choice([graph.input[0], graph.output[0], *graph.value_info])
            value.type.tensor_type.shape.dim[-1].dim_value = huge
        case 21:
            graph.sparse_initializer.add().values.CopyFrom(tensor)


@pytest.mark.parametrize("beside_it", [False, True])
@pytest.mark.parametrize("count", [500, pytest.param(3000, marks=pytest.mark.slow)])
def test_altered_files_are_refused_or_harmless(count, beside_it, spec, tmp_path, monkeypatch):
    """What is left of a model that somebody edited is what zoo wrote, or refused."""
    path = tmp_path / "w.onnx"
    if beside_it:
        monkeypatch.setattr(files, "MAX_MESSAGE", 0)
        monkeypatch.setattr(files, "_SMALL", 1)
    expected = written(spec, path)
    good = onnx.load(path, load_external_data=False)
    rng = random.Random(count)
    kept = changed = 0
    while changed < count:
        model = onnx.ModelProto()
        model.CopyFrom(good)
        for _ in range(rng.choice([1, 1, 1, 2, 5])):
            altered(model, rng)
        if model == good:
            continue
        changed += 1
        path.write_bytes(model.SerializeToString())
        kept += same(path, expected)
    assert kept < count / 5


def test_what_is_no_file_of_onnx(tmp_path):
    for content in (b"", b"\0" * 1000, b"hello", os.urandom(1000)):
        path = tmp_path / "w.onnx"
        path.write_bytes(content)
        with pytest.raises(WeightsError, match=r"w\.onnx"):
            zoo.load(path, "onnx")
    with pytest.raises((WeightsError, UnknownNameError), match=r"no such file"):
        zoo.load(tmp_path / "missing.onnx", "onnx")


def test_digests_are_those_that_the_package_onnx_sees(spec):
    """The two ways to take a model apart agree."""
    model = zoo.build(spec, "onnx")
    stated = building.texts_of(model)
    assert stated[zoo_onnx_file.DIGEST] == building.digest(model, stated)
    assert stated[zoo_onnx_file.SPEC_DIGEST] == zoo_onnx_file.spec_digest(stated)


def test_nothing_is_drawn_where_weights_are_given(spec, tmp_path, monkeypatch):
    zoo.save(zoo.build(spec, "onnx"), tmp_path / "w.onnx")
    monkeypatch.setattr(initial, "_integers", None)
    zoo.load(tmp_path / "w.onnx", "onnx")
