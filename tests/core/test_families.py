"""A spec that takes blocks from another, and one whose models join another's family."""

import importlib
import json
import shutil

import pytest

import zoo
from zoo.errors import SpecError, UnknownNameError
from zoo.language import catalog

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
        (
            "give",
            "there is no give.yaml in the same folder or among zoo's specs. Did you mean 'gives'?",
        ),
        ("takes", "a cycle: takes.yaml needs this file"),
        ("../gives", "expected a name of letters, digits and _"),
        ("[gives]", "expected a name of letters, digits and _"),
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
    shutil.copy(catalog.folder() / "inception_v4.yaml", path)
    mine, shipped = zoo.graph(str(path)), zoo.graph("inception_v4")
    assert operations(mine) == operations(shipped)
    assert "blocks_from" not in mine.document  # and so saved weights need no other file


JOINS = """
format: 1
extends: takes
models:
  deep: {about: Deeper., layers: {c: {block: conv, after: b}}}
  wide: {base: larger, settings: {width: 9}}
  both: {base: wide, layers: {c: {block: conv, after: b}}}
"""


@pytest.fixture
def joining(files):
    (files / "joins.yaml").write_text(JOINS)
    return files / "joins.yaml"


def test_models_join_a_family(joining):
    """As if they stood in its file; a model of the family's may be what one is based on."""
    assert [n.name for n in zoo.graph(str(joining)).nodes] == [  # the first, without a name
        "b.conv",
        "b.act.tanh",
        "c.conv",
        "c.act.tanh",
    ]
    (wide,) = (n for n in zoo.graph(f"{joining}:wide").nodes if n.op == "conv")
    assert wide.shape == (9, 222, 222)
    both = zoo.graph(f"{joining}:both")
    assert [n.shape for n in both.nodes if n.op == "conv"] == [(9, 222, 222), (9, 220, 220)]
    assert both.about["family"] == "takes"
    assert not {"extends", "models", "bases"} & both.document.keys()  # it stands alone


def test_models_join_a_family_of_zoos(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "format: 1\nextends: resnet\n"
        "models: {resnet26: {base: resnet50, settings: {depths: [2, 2, 2, 2]}}}"
    )
    mine = zoo.graph(str(path))
    assert mine.name == "resnet26"
    assert (
        mine.node("layer1.block1.add").shape
        == zoo.graph("resnet50").node("layer1.block1.add").shape
    )
    assert sum(n.op in ("conv", "linear") for n in mine.nodes) == 26 + 4  # and four shortcuts
    with pytest.raises(UnknownNameError, match="has no model 'resnet50'"):
        zoo.graph(f"{path}:resnet50")


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        (
            "extends: takes",
            "extends: take",
            3,
            "$.extends: there is no take.yaml in the same folder",
        ),
        ("extends: takes", "extends: joins", 3, "$.extends: a cycle: joins.yaml needs this file"),
        ("extends: takes", "extends: [a]", 3, "$.extends: expected a name"),
        ("  wide:", "  larger:", 6, "$.models.larger: takes.yaml has a model of that name"),
        (
            "base: larger",
            "base: larg",
            6,
            "$.models.wide.base: unknown model 'larg'. Did you mean 'larger'?",
        ),
        ("base: larger", "base: both", 7, "$.models.both.base: a cycle: wide -> both -> wide"),
        (
            "after: b}}}\n  wide",
            "after: q}}}\n  wide",
            5,
            "$.models.deep.layers.c: unknown layer 'q'",
        ),
        ("models:", "model:", 4, "$.model: unknown field. Did you mean 'models'?"),
        ("models:", "layers: {}\nmodels:", 4, "$.layers: unknown field."),
    ],
)
def test_a_wrong_extension(joining, old, new, line, message):
    joining.write_text(JOINS.replace(old, new))
    model = ":wide" if "wide" in message else ""
    with pytest.raises(SpecError) as caught:
        zoo.graph(f"{joining}{model}")
    assert str(caught.value).startswith(f"{joining}:{line}: {message}")


def test_a_mistake_in_the_family_is_told_there(joining):
    path = joining.parent / "takes.yaml"
    path.write_text(TAKES.replace("{kernel_size: 3}", "{kernel_site: 3}"))
    with pytest.raises(SpecError, match=r"takes\.yaml:11: .*kernel_site"):
        zoo.graph(f"{joining}:wide")


def test_workers_need_no_file(joining, monkeypatch):
    """Workers are given a graph that stands alone."""
    verify = importlib.import_module("zoo.verification.verify")
    given = {}

    def stop(folder, graph, *rest, **options):
        given.update(json.loads(json.dumps(graph.to_dict())))
        raise InterruptedError

    monkeypatch.setattr(verify.Case, "prepare", stop)
    with pytest.raises(InterruptedError):
        zoo.verify(f"{joining}:wide", backends="torch")
    assert given["name"] == "wide" and "blocks_from" not in given["document"]
    assert zoo.Graph.from_dict(given).to_dict() == zoo.graph(f"{joining}:wide").to_dict()
