"""A spec that takes blocks from another."""

import shutil

import pytest

import zoo
from zoo.errors import SpecError
from zoo.language import catalogue

GIVES = """
format: 1
name: gives
settings: {width: 3}
blocks:
  act: {layers: {relu: {op: relu}}}
  conv:
    parameters: {kernel_size: 1}
    layers:
      conv: {op: conv, out_channels: $width, kernel_size: $kernel_size}
      act: {block: act}
layers: {a: {block: conv}}
"""
TAKES = """
format: 1
name: takes
blocks_from: gives
settings: {width: 5}
blocks:
  act: {layers: {tanh: {op: tanh}}}
layers: {b: {block: conv}}
models:
  takes: {}
  larger: {blocks: {conv: {layers: {conv: {kernel_size: 3}}}}}
"""


@pytest.fixture
def files(tmp_path):
    (tmp_path / "gives.yaml").write_text(GIVES)
    (tmp_path / "takes.yaml").write_text(TAKES)
    return tmp_path


def operations(graph):
    return [(node.name, node.op, node.shape) for node in graph.nodes]


def test_blocks_are_anothers_and_settings_ones_own(files):
    """Its own `act` goes before the other's, within the other's block too."""
    shape = (5, 224, 224)
    assert operations(zoo.graph(str(files / "takes.yaml"))) == [
        ("b.conv", "conv", shape),
        ("b.act.tanh", "tanh", shape),
    ]
    (conv, _) = zoo.graph(f"{files / 'takes.yaml'}:larger").nodes
    assert conv.shape == (5, 222, 222)
    assert operations(zoo.graph(str(files / "gives.yaml")))[1][:2] == ("a.act.relu", "relu")


def test_a_mistake_is_told_where_it_stands(files):
    path = files / "gives.yaml"
    path.write_text(GIVES.replace("$width,", "$with,"))
    with pytest.raises(SpecError) as caught:
        zoo.graph(str(files / "takes.yaml"))
    line = 1 + GIVES[: GIVES.index("$width,")].count("\n")
    assert str(caught.value).startswith(f"{path}:{line}: $.blocks.conv.layers.conv.out_channels: ")
    path.write_text(GIVES.replace("op: relu", "op: rely"))
    with pytest.raises(SpecError, match=r"gives\.yaml:6: .* Did you mean 'relu'"):
        zoo.graph(str(files / "takes.yaml"))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("give", "no give.yaml beside this file or among zoo's. Did you mean 'gives'?"),
        ("takes", "a cycle: takes.yaml takes its blocks from this file"),
        ("../gives", "expected a name of letters, digits and _"),
        ("[gives]", "expected text"),
    ],
)
def test_a_wrong_name(files, name, message):
    path = files / "takes.yaml"
    path.write_text(TAKES.replace("blocks_from: gives", f"blocks_from: {name}"))
    with pytest.raises(SpecError) as caught:
        zoo.graph(str(path))
    assert str(caught.value).startswith(f"{path}:4: $.blocks_from: {message}")


def test_a_longer_cycle(files):
    path = files / "gives.yaml"
    path.write_text(GIVES.replace("settings:", "blocks_from: takes\nsettings:"))
    with pytest.raises(SpecError, match=r"gives\.yaml:4: \$\.blocks_from: a cycle: takes\.yaml"):
        zoo.graph(str(files / "takes.yaml"))


def test_blocks_of_zoos_own_families(tmp_path):
    path = tmp_path / "mine.yaml"
    shutil.copy(catalogue.folder() / "inception_v4.yaml", path)
    mine, shipped = zoo.graph(str(path)), zoo.graph("inception_v4")
    assert operations(mine) == operations(shipped)
    assert "blocks_from" not in mine.document  # and so saved weights need no other file
