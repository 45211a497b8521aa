"""A block that is used again with equal arguments is copied, not expanded anew."""

from __future__ import annotations

import pytest

import zoo
from zoo.language import expansion

SPEC = """
blocks:
  conv:
    parameters: {channels: ~, relu: true}
    layers:
      conv: {op: conv, out_channels: $channels, kernel_size: 1}
      bn: {op: batch_norm}
      relu: {op: relu, when: $relu}
  pair:
    parameters: {channels: ~}
    layers:
      first: {block: conv, channels: $channels}
      second: {block: conv, channels: $channels, relu: false}
      add: {op: add, from: [second, input]}
layers:
  stem: {block: conv, channels: 4}
  pairs: {block: pair, repeat: 3, channels: 4}
  nested:
    layers:
      pairs: {block: pair, repeat: 2, channels: 4}
  left_out: {block: pair, channels: 4, when: false}
  wide: {block: conv, channels: 8}
  last: {block: pair, channels: 8}
"""


@pytest.fixture
def graph(tmp_path):
    path = tmp_path / "copies.yaml"
    path.write_text("format: 1\nname: copies\n" + SPEC)
    return lambda: zoo.graph(path)


def test_a_copy_is_what_expanding_again_gives(graph, monkeypatch):
    copied = graph()
    copies, moved = [], expansion.moved

    def counting(*arguments):
        copies.append(arguments)
        return moved(*arguments)

    monkeypatch.setattr(expansion, "moved", counting)
    graph()
    assert len(copies) == 4  # so that there is something to compare

    class Forgetful(dict):
        def __setitem__(self, key, value):
            pass

    usual = expansion._Expander.__init__

    def forgetful(self, *arguments):
        usual(self, *arguments)
        self.expanded = Forgetful()

    monkeypatch.setattr(expansion._Expander, "__init__", forgetful)
    copies.clear()
    assert graph().to_dict() == copied.to_dict()
    assert not copies


def test_names_inputs_and_parameters_of_a_copy(graph):
    node = graph().node("nested.pairs2.first.conv")
    assert node.inputs == ("nested.pairs1.add",)
    assert [p.name for p in node.parameters] == [f"{node.name}.weight", f"{node.name}.bias"]
    assert graph().node("nested.pairs2.add").inputs == (
        "nested.pairs2.second.bn",
        "nested.pairs1.add",
    )


def test_one_and_true_are_different_arguments(spec_file):
    header = "blocks: {b: {parameters: {n: ~}, layers: {s: {op: scale, factor: $n * 2}}}}\n"
    with pytest.raises(
        zoo.SpecError, match="'two.s' of tiny: in '.n . 2': arithmetic needs numbers"
    ):
        zoo.graph(spec_file("one: {block: b, n: 1}\ntwo: {block: b, n: true}", header=header))


def test_figures_stay_where_the_paper_states_them(spec_file):
    header = "blocks: {b: {layers: {c: {op: conv, out_channels: 3, kernel_size: 1, published: {params: 12}}}}}\n"
    graph = zoo.graph(spec_file("one: {block: b}\ntwo: {block: b}", header=header))
    assert graph.published == {"one.c": {"params": 12}, "two.c": {"params": 12}}


def test_copies_count_as_layers(spec_file):
    header = "blocks: {b: {layers: {r: {op: relu, repeat: 100}}}}\n"
    with pytest.raises(zoo.SpecError, match="more than 10,000 layers"):
        zoo.graph(spec_file("b: {block: b, repeat: 100}", header=header))
