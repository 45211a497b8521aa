"""What a caller calls weights, found and held against a network, without any framework."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
from safetensors.numpy import save_file

import zoo
from zoo.api import checkpoints, conversion
from zoo.errors import InputError, UnknownNameError, WeightsError
from zoo.exporting.wrapping import preprocessed, with_probabilities
from zoo.language import options
from zoo.language.graphs import left_out
from zoo.language.options import Chosen
from zoo.weights import adaptation, loading, sources
from zoo.weights.checking import checked_arrays
from zoo.weights.checkpoint import Checkpoint, Stored
from zoo.weights.reading import formats, readers, zoo_file
from zoo.weights.slots import slots_of, with_heads


@pytest.fixture(scope="module")
def paddles():
    """Arrays under paddle.vision's names of GoogLeNet, each of its own number."""
    table = sources.source("paddle")
    graph = with_heads("googlenet_paddle")
    shapes = {p.name: p.shape for p in graph.parameters}
    found = {}
    for i, (name, slot) in enumerate(slots_of(table, graph).items()):
        shape = shapes[name][::-1] if slot.layout == "IO" else shapes[name]
        found[slot.names[0]] = np.full(shape, i, np.float32)
    return found


@pytest.fixture
def saved(tmp_path, paddles):
    def save(**changes):
        arrays = {**paddles, **changes}
        path = tmp_path / "w.pdparams"
        with path.open("wb") as file:
            pickle.dump({n: a for n, a in arrays.items() if a is not None}, file, protocol=4)
        return path

    return save


def filled(path, name="googlenet_paddle", **options):
    graph = zoo.graph(name, **options)
    checkpoint = loading.find(path, name, Chosen())
    network, fill = adaptation.filling(graph, checkpoint, dtype="float32")
    return network, {p.name: fill(p) for p in network.parameters}


def test_every_array_goes_where_its_name_says(saved):
    network, found = filled(saved(), aux=True)
    for i, parameter in enumerate(network.parameters):
        assert (found[parameter.name] == i).all(), parameter.name
        assert found[parameter.name].shape == parameter.shape
    names = "as paddle.vision's and PaddleClas's"
    assert network.origin == {"names": names, "file": "w.pdparams"}


def test_a_name_is_found_by_its_names_alone(saved):
    checkpoint = loading.find(saved(), None, Chosen())
    assert checkpoint.model == "googlenet_paddle"


def test_weights_of_another_input_size(spec_file, tmp_path):
    spec, path = (
        spec_file("flat: {op: flatten}\nfc: {op: linear, out_features: 3}"),
        tmp_path / "w.safetensors",
    )
    graph = zoo.graph(spec, input_size=(4, 5))
    zoo_file.write(path, graph, {p.name: np.zeros(p.shape, np.float32) for p in graph.parameters})
    checkpoint = loading.find(path, None, Chosen())
    with pytest.raises(
        WeightsError, match=r"They are for another input size: build with input_size=\(4, 5\)"
    ):
        adaptation.filling(checkpoint.graph(input_size=(4, 6)), checkpoint, dtype="float32")


def test_another_input_size_is_found_beside_other_classes(spec_file, tmp_path):
    layers = "pool: {op: max_pool, kernel_size: 8, stride: 8}\nflat: {op: flatten}\nfc1: {op: linear, out_features: 6}\nfc: {op: linear, out_features: $num_classes}"
    spec = spec_file(layers, header="options: {num_classes: 9, input_size: 64}\n")
    network = zoo.graph(spec)
    for size, message in ((32, "input_size=32, for example"), (8 * 97, None)):
        parameters = zoo.graph(spec, input_size=size, num_classes=4).parameters
        file = tmp_path / f"{size}.safetensors"
        save_file({p.name: np.zeros(p.shape, np.float32) for p in parameters}, file)
        checkpoint = checkpoints.find(file, network, Chosen())
        with pytest.raises(WeightsError) as caught:
            adaptation.filling(network, checkpoint, dtype="float32")
        assert (f"another input size: build with {message}" in str(caught.value)) == bool(message)


def test_one_error_says_all_that_is_wrong(saved):
    path = saved(**{
        "_fc_out.bias": None,
        "_fc_out.scale": np.zeros(3, np.float32),
        "_conv._conv.weight": np.zeros((64, 3, 5, 5), np.float32),
    })  # fmt: skip
    with pytest.raises(WeightsError) as caught:
        filled(path)
    assert str(caught.value).splitlines() == [
        "the weights of w.pdparams do not fit googlenet_paddle:",
        "  missing: fc.bias  1000",
        "  unexpected: _fc_out.scale (in the file)  3",
        "  wrong shape: conv1.conv.weight  expected 64x3x7x7, got 64x3x5x5",
    ]
    with pytest.raises(
        WeightsError,
        match=r"names of its 69 arrays are paddle.vision's names of googlenet_paddle, with these "
        r"exceptions: missing: _fc_out.bias; unexpected: _fc_out.scale\. ",
    ):
        loading.find(path, None, Chosen())


def test_weights_without_a_classifier_say_what_can_be_done(tmp_path):
    """What can only take them as they are is not told to replace the classifier."""
    features = zoo.graph("lenet5", num_classes=0)
    zoo_file.write(
        tmp_path / "w.safetensors",
        features,
        {p.name: np.zeros(p.shape, np.float32) for p in features.parameters},
    )
    checkpoint = loading.find(tmp_path / "w.safetensors", "lenet5", Chosen())
    for as_they_are, hint in (
        (False, "num_classes=0 leaves it out, head='new' gives the network a new one."),
        (True, "num_classes=0 leaves it out."),
    ):
        with pytest.raises(WeightsError) as caught:
            adaptation.filling(
                zoo.graph("lenet5"), checkpoint, dtype="float32", as_they_are=as_they_are
            )
        assert str(caught.value).endswith(f"\nThese belong to the classifier: {hint}")
    network, _ = adaptation.filling(features, checkpoint, dtype="float32")
    assert network.options["num_classes"] == 0


@pytest.mark.parametrize("pixels", [False, True])
def test_weights_of_a_program(pixels, tmp_path):
    """They are the network's own, but only what is behind it leaves the input as it was."""
    network = zoo.graph("squeezenet1_1", input_size=64, num_classes=3)
    program, arrays = preprocessed(network) if pixels else (network, {})
    program = with_probabilities(program)
    shapes = {p.name: p.shape for p in program.parameters}
    arrays |= {
        name: np.full(shape, i, np.float32) for i, (name, shape) in enumerate(shapes.items())
    }
    path = tmp_path / "program.safetensors"
    zoo_file.write(path, program, arrays)
    checkpoint = loading.find(path, network, Chosen())
    if pixels:
        text = (
            r"^program.safetensors is squeezenet1_1 as zoo exported it with preprocessing: .*"
            r"preprocessing\.normalize comes first"
        )
        with pytest.raises(WeightsError, match=text):
            adaptation.filling(network, checkpoint, dtype="float32")
        return
    filled_, fill = adaptation.filling(network, checkpoint, dtype="float32")
    assert filled_.output_nodes.keys() == {"logits"}
    assert all(np.array_equal(fill(p), arrays[p.name]) for p in network.parameters)


def test_merged_batch_norms_are_named_as_such():
    graph = zoo.graph("resnet20")
    norms = {p.name for n in graph.nodes if n.op == "batch_norm" for p in n.parameters}
    arrays = {
        p.name: Stored(p.shape, "float32", lambda p=p: np.zeros(p.shape, np.float32))
        for p in graph.parameters
        if p.name not in norms
    }
    checkpoint = Checkpoint("w.onnx", graph.name, graph.document, Chosen(), arrays)
    with pytest.raises(WeightsError, match="Exporters merge batch norms into convolutions"):
        adaptation.filling(graph, checkpoint, dtype="float32")


def test_heads_may_lack_where_there_are_none(saved, paddles):
    heads = {n: None for n in paddles if n.startswith(("_conv_o", "_fc_o1", "_fc_o2", "_out"))}
    _, found = filled(saved(**heads))
    assert len(found) == 59
    with pytest.raises(
        WeightsError, match=r"missing: aux1.conv.conv.weight  128x512x1x1"
    ) as caught:
        filled(saved(**heads), aux=True)
    advice = "The weights lack auxiliary heads: aux1, aux2; build it with aux=False."
    assert str(caught.value).splitlines()[-1] == advice
    with pytest.raises(WeightsError) as caught:
        filled(saved(**heads), aux=True, num_classes=7)
    assert advice in str(caught.value) and "num_classes=1000 keeps it" in str(caught.value)
    half = {name: None for name in heads if name.startswith(("_conv_o2", "_fc_o2", "_out2"))}
    with pytest.raises(WeightsError, match="lack auxiliary heads: aux2; build"):
        filled(saved(**half), aux=True)


def test_what_looks_like_a_head_is_none(saved):
    heads = {"aux1.junk": np.zeros(3, np.float32)}
    with pytest.raises(WeightsError, match=r"unexpected: aux1.junk"):
        filled(saved(**heads))
    graph = zoo.graph("googlenet")
    shapes = {p.name: p.shape for p in graph.parameters}
    given = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    with pytest.raises(WeightsError, match=r"unexpected: aux1.junk  3"):
        checked_arrays(shapes, {**given, **heads}, left_out(graph))


def test_values_that_are_no_weights(saved):
    with pytest.raises(WeightsError, match="fc.bias: expected floating-point values, got int64"):
        filled(saved(**{"_fc_out.bias": np.zeros(1000, np.int64)}))


def test_a_square_kernel_is_turned_by_its_table_not_by_its_shape(tmp_path):
    """fc2 is 4096x4096: only the table knows which way it lies."""
    source, graph = sources.source("paddle"), zoo.graph("vgg11")
    slots = slots_of(source, graph)
    assert slots["fc2.weight"].layout == "IO"
    assert slots_of(sources.source("torchvision"), graph)["fc2.weight"].layout == "OI"


def test_another_network_of_the_same_source(saved):
    with pytest.raises(
        WeightsError,
        match="has paddle.vision's names of googlenet_paddle, which is not the network",
    ):
        loading.find(saved(), "googlenet", Chosen())


@pytest.mark.parametrize("weights", ["paddle:{}", "paddleclas:{}"])
def test_a_source_may_be_named(weights, saved):
    checkpoint = loading.find(weights.format(saved()), "googlenet_paddle", Chosen())
    title = {"paddle": "paddle.vision", "paddleclas": "PaddleClas"}[weights.partition(":")[0]]
    assert checkpoint.origin["names"] == f"as {title}'s"


def test_a_folder_of_a_sources_name_is_no_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "timm").mkdir()
    with pytest.raises(WeightsError, match="no hash is known"):
        loading.find("timm", "vgg16", Chosen())
    with pytest.raises(WeightsError, match="File name too long"):
        loading.find("a" * 5000 + ".pth", None, Chosen())


@pytest.mark.parametrize(
    "address", ["https://x.org/w.pth", "file:///w.pth", "hf-hub:timm/x", "hf://a/b", "s3://b/w.h5"]
)
def test_an_address_is_no_path(address):
    with pytest.raises(InputError, match=r"is an address, and zoo reads files of this machine"):
        loading.check(address, "resnet18")


def test_what_is_no_source(saved, tmp_path):
    with pytest.raises(UnknownNameError, match="unknown source of weights 'padle'. Did you mean"):
        loading.find(f"padle:{saved()}", "googlenet_paddle", Chosen())
    with pytest.raises(
        InputError, match="paddle publishes several networks; choose one with zoo.build"
    ):
        loading.find("paddle", None, Chosen())
    with pytest.raises(
        InputError, match="weights must be the path of a file or a source of weights"
    ):
        loading.find("", None, Chosen())
    save_file({"a.weight": np.zeros(3, np.float32)}, tmp_path / "x.safetensors")
    with pytest.raises(
        WeightsError, match="no source that zoo knows publishes vgg9, .* for example: a.w"
    ):
        loading.find(tmp_path / "x.safetensors", "vgg9", Chosen())


def test_from_a_publishers_file_to_zoos_without_a_framework(saved, tmp_path):
    target = tmp_path / "w.safetensors"
    graph, dtype = conversion.convert_file(str(saved()), target)
    assert (graph.name, dtype, graph.options["aux"]) == ("googlenet_paddle", "float32", True)
    checkpoint = zoo_file.read(target)
    assert checkpoint.origin["file"] == "w.pdparams"
    for i, name in enumerate(p.name for p in graph.parameters):
        assert (checkpoint.arrays[name].read() == i).all()
    plain, _ = conversion.convert_file(str(saved()), target, aux=False)
    assert not plain.options["aux"]
    assert len(zoo_file.read(target).arrays) == 59


@pytest.mark.parametrize("other", ["w.pth", "link.pth"])
def test_a_file_is_not_converted_to_itself(other, tmp_path):
    path = tmp_path / "w.pth"
    path.write_bytes(b"what else was in it")
    (tmp_path / "link.pth").symlink_to(path)
    with pytest.raises(InputError, match="this is the file to read, which would be lost"):
        conversion.convert_file(str(path), tmp_path / other)
    assert path.read_bytes() == b"what else was in it"


def test_a_file_of_other_options_is_converted_with_those(tmp_path):
    table, options = sources.source("paddle"), {"num_classes": 3, "input_size": 32}
    graph = zoo.graph("vgg11", **options)
    slots = slots_of(table, graph)
    arrays = {}
    for parameter in graph.parameters:
        slot = slots[parameter.name]
        shape = parameter.shape[::-1] if slot.layout == "IO" else parameter.shape
        arrays[slot.names[0]] = np.zeros(shape, np.float16)
    with (tmp_path / "w.pdparams").open("wb") as file:
        pickle.dump(arrays, file, protocol=4)
    target = tmp_path / "w.safetensors"
    found, dtype = conversion.convert_file(str(tmp_path / "w.pdparams"), target, **options)
    assert (found.options["num_classes"], found.options["input_size"]) == (3, (32, 32))
    assert dtype == "float16"
    assert zoo_file.read(target).graph().num_parameters == graph.num_parameters


def test_adapted_kernels():
    kernel = np.arange(2 * 3 * 4, dtype=np.float32).reshape(2, 3, 2, 2)
    one = adaptation.adapted(kernel, 1)
    assert np.array_equal(one[:, 0], kernel.sum(1))
    six = adaptation.adapted(kernel, 6)
    assert np.array_equal(six, np.concatenate([kernel, kernel], 1) / 2)


@pytest.mark.parametrize(
    ("asked", "adapting", "options"),
    [
        ({"in_channels": 3}, {"stem": "adapt"}, {"num_classes": 7, "in_channels": 3}),
        ({"num_classes": 5}, {"head": "new"}, {"num_classes": 5, "in_channels": 1}),
        ({}, {"head": "new", "stem": "adapt"}, {"num_classes": 10, "in_channels": 3}),
        ({}, {}, {"num_classes": 7, "in_channels": 1}),
    ],
)
def test_what_is_not_replaced_is_as_in_the_file(asked, adapting, options, tmp_path):
    """The number of classes beside an adapted stem, that of channels beside a new head."""
    file = tmp_path / "w.safetensors"
    parameters = zoo.graph("resnet20", num_classes=7, in_channels=1).parameters
    save_file({p.name: np.zeros(p.shape, np.float32) for p in parameters}, file)
    requested = Chosen(**asked)
    checkpoint = checkpoints.find(file, "resnet20", requested, adapting.get("head"))
    graph = adaptation.fitted(zoo.graph("resnet20", **asked), checkpoint, requested, **adapting)
    assert {name: graph.options[name] for name in options} == options
    adaptation.filling(graph, checkpoint, dtype="float32", **adapting)


def test_heads_that_this_input_is_too_small_for_are_known_all_the_same():
    graph = zoo.graph("inception_v3", input_size=139)
    heads = zoo.graph("inception_v3", aux=True)["aux"].num_parameters
    assert left_out(graph) and all(name.startswith("aux.") for name in left_out(graph))
    whole = {p.name: p for p in zoo.graph("inception_v3", aux=True).parameters}
    assert sum(math.prod(whole[n].shape) for n in left_out(graph) if whole[n].trainable) == heads


@pytest.mark.parametrize("format_", ["safetensors", "pth", "pdparams", "h5", "msgpack"])
def test_a_file_of_any_form_with_unknown_names(format_, tmp_path, monkeypatch):
    stored = {"a.weight": Stored((3,), "float32", lambda: np.zeros(3))}
    monkeypatch.setattr(readers, "read", lambda path, entry: readers.Opened(stored, format_))
    monkeypatch.setattr(formats, "format_of", lambda path: "another")
    with pytest.raises(WeightsError) as caught:
        loading.find(tmp_path / f"w.{format_}", None, Chosen())
    assert "names of its 1 arrays are not those of any network as published by " in str(
        caught.value
    )
    assert "for example: a.weight" in str(caught.value)


@pytest.fixture(scope="module")
def small_colored(tmp_path_factory):
    """Zeros for LeNet-5 with other options than usual: a file of zoo's, and one that states none."""
    graph = zoo.graph("lenet5_modern", num_classes=4, in_channels=3, input_size=48)
    arrays = {p.name: np.zeros(p.shape, np.float32) for p in graph.parameters}
    stating, bare = (
        tmp_path_factory.mktemp("w") / name for name in ("zoo.safetensors", "b.safetensors")
    )
    zoo_file.write(stating, graph, arrays)
    save_file(arrays, bare)
    return stating, bare


def fitted(path, **chosen):
    """The network that weights are for, where a caller names it and chooses some options."""
    requested = options.checked(**{**Chosen()._asdict(), **chosen})
    network = zoo.graph("lenet5_modern", **chosen)
    checkpoint = checkpoints.find(path, network, options.checked(**network.options))
    return adaptation.fitted(network, checkpoint, requested), checkpoint


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ({}, (4, 3, (48, 48))),
        ({"input_size": 32}, (4, 3, (32, 32))),
        ({"in_channels": 1}, (4, 1, (48, 48))),
        ({"num_classes": 10, "in_channels": 1}, (10, 1, (48, 48))),
    ],
)
def test_what_a_file_states_is_taken_unless_the_caller_chooses(chosen, expected, small_colored):
    found = fitted(small_colored[0], **chosen)[0].options
    assert (found["num_classes"], found["in_channels"], found["input_size"]) == expected


def test_an_adapted_stem_has_the_channels_of_the_network(small_colored):
    network, checkpoint = fitted(small_colored[0])
    assert network.options["in_channels"] == 3
    adapted = adaptation.fitted(zoo.graph("lenet5_modern"), checkpoint, Chosen(), stem="adapt")
    assert (adapted.options["in_channels"], adapted.options["input_size"]) == (1, (48, 48))


@pytest.mark.parametrize(
    ("chosen", "wrong"),
    [
        ({}, ["c5.linear.weight", "another input size: build with input_size=48"]),
        ({"input_size": 48, "in_channels": 1}, ["c1.conv.weight", "read the input: in_channels=3"]),
        (
            {"in_channels": 1},
            ["c1.conv.weight", "c5.linear.weight", "input_size=48", "in_channels=3 keeps them, st"],
        ),
        (
            {"input_size": 48, "in_channels": 1, "num_classes": 7},
            [
                "c1.",
                "output",
                "output",
                "num_classes=4 keeps it, h",
                "in_channels=3 keeps them, st",
            ],
        ),
    ],
)
def test_an_error_lists_only_what_the_caller_must_choose(chosen, wrong, small_colored):
    """The numbers that the shapes tell are taken, even if something else does not fit."""
    with pytest.raises(WeightsError) as caught:
        adaptation.filling(*fitted(small_colored[1], **chosen), dtype="float32")
    lines = str(caught.value).splitlines()[1:]
    assert len(lines) == len(wrong)
    assert all(part in line for part, line in zip(wrong, lines, strict=True)), lines
