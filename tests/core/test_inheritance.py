"""A variant keeps the published figures of what it computes as its base does, and no others."""

import json

import pytest

import zoo
from zoo.errors import SpecError
from zoo.language.document import Mapping
from zoo.language.graphs import graph_of_document
from zoo.language.options import Chosen

FAMILY = """
format: 1
name: family
published: {params: 1K, notes: {params: "A misprint."}}
settings: {width: 4}
tables:
  rows:
    columns: [channels, params, output]
    published: [params, output]
    rows:
      a: [4, 1K, 8x8x4]
      b: [6, 2K, ~]
blocks:
  conv:
    parameters: {channels: 4}
    layers: {conv: {op: conv, out_channels: $channels, kernel_size: 1}}
  outer:
    parameters: {channels: 4}
    layers: {inner: {block: conv, channels: $channels}}
layers:
  first: {op: conv, out_channels: $width, kernel_size: 1, published: {output: 8x8x4}}
  a: {block: outer, table: rows, published: {notes: {params: "Counted otherwise."}}}
  b: {block: conv, table: rows}
  group: {published: {depth: 1}, layers: {conv: {block: conv, published: {params: 28}}}}
  last: {op: relu, published: {output: 8x8x4}}
options: {input_size: 8}
models:
  family: {}
"""
OF_LAYERS = {
    "first": {"output": "8x8x4"},
    "a": {"params": "1K", "output": "8x8x4", "notes": {"params": "Counted otherwise."}},
    "b": {"params": "2K"},
    "group": {"depth": 1},
    "group.conv": {"params": 28},
    "last": {"output": "8x8x4"},
}
OF_NETWORK = {"": {"params": "1K", "notes": {"params": "A misprint."}}}
RELU = "extra: {op: relu, after: conv}"


def stated(tmp_path, variant):
    path = tmp_path / "family.yaml"
    path.write_text(f"{FAMILY}  x: {variant}\n")
    return {
        name: dict(figures)
        for name, figures in zoo.graph(f"{path}:x").to_dict()["published"].items()
    }


def without(*names):
    return {name: figures for name, figures in OF_LAYERS.items() if name not in names}


@pytest.mark.parametrize(
    ("variant", "expected"),
    [
        ("{about: The same., preprocessing: {crop: 1}}", OF_LAYERS | OF_NETWORK),
        ("{settings: {width: 4}}", OF_LAYERS | OF_NETWORK),
        ("{published: {params: ~}}", OF_LAYERS),
        ("{settings: {width: 5}}", without("first", "a")),
        ("{options: {num_classes: 5}}", OF_LAYERS),
        ("{options: {input_size: 9}}", {}),
        ("{published: {ops: 1M}}", OF_LAYERS | {"": OF_NETWORK[""] | {"ops": "1M"}}),
        ("{settings: {width: 5}, published: {ops: 1M}}",
         without("first", "a") | {"": {"ops": "1M"}}),
        ("{layers: {last: {op: tanh}}}", without("last")),
        ("{layers: {last: {op: tanh, published: {depth: 0}}}}", OF_LAYERS | {"last": {"depth": 0}}),
        ("{layers: {last: {published: {depth: 0}}}}",
         OF_LAYERS | OF_NETWORK | {"last": {"output": "8x8x4", "depth": 0}}),
        (f"{{blocks: {{conv: {{layers: {{{RELU}}}}}}}}}", without("a", "b", "group", "group.conv")),
        (f"{{blocks: {{conv: {{layers: {{{RELU}}}}}}}, layers: {{a: {{published: {{params: 9K}}}}}}}}",
         without("b", "group", "group.conv") | {"a": {"params": "9K"}}),
        # A layer that computes the same, but from another shape, inherits nothing either.
        ("{tables: {rows: {rows: {a: [5, 3K, ~]}}}}", without("b") | {"a": {"params": "3K"}}),
        ("{tables: {rows: {rows: {a: [4, 3K, ~]}}}}",
         OF_LAYERS | OF_NETWORK | {"a": {"params": "3K", "output": "8x8x4"}}),
        ("{layers: {b: {channels: 7}}}", without("b", "group", "group.conv")),
        ("{layers: {group: {layers: {conv: {channels: 7}}}}}",
         without("group", "group.conv", "last")),
        ("{layers: {more: {op: relu, after: first}}}", OF_LAYERS),
        ("{layers: {a: {published: {params: ~}}}}", OF_LAYERS | OF_NETWORK | {"a": {"output": "8x8x4"}}),
        ("{layers: {a: {published: {notes: ~}}}}",
         OF_LAYERS | OF_NETWORK | {"a": {"params": "1K", "output": "8x8x4"}}),
    ],
)  # fmt: skip
def test_figures_that_pass_on(tmp_path, variant, expected):
    assert stated(tmp_path, variant) == expected


def test_a_second_variant_does_not_bring_figures_back(tmp_path):
    path = tmp_path / "family.yaml"
    text = "  x: {layers: {b: {channels: 7}}}\n  y: {base: x, layers: {last: {op: tanh}}}\n"
    path.write_text(FAMILY + text)
    figures = zoo.graph(f"{path}:y").to_dict()["published"]
    assert figures == without("b", "group", "group.conv", "last")


def test_a_base_that_only_its_variants_complete(tmp_path):
    path = tmp_path / "family.yaml"
    text = FAMILY.replace("{width: 4}", "{width: 4, extra: ~}")
    text = text.replace(
        "  last:", "  more: {op: conv, out_channels: $extra, kernel_size: 1}\n  last:"
    )
    path.write_text(f"{text}  x: {{settings: {{extra: 3}}}}\n")
    assert zoo.graph(f"{path}:x").published == {}


def test_the_figures_of_loaded_weights(tmp_path):
    """A saved spec has the figures that its variant inherited, and what is wrong is refused."""
    path = tmp_path / "family.yaml"
    path.write_text(f"{FAMILY}  x: {{layers: {{last: {{op: tanh}}}}}}\n")
    graph = zoo.graph(f"{path}:x")
    document = Mapping(json.loads(json.dumps(graph.document)))
    again = graph_of_document("x", document, Chosen())
    assert again.published == graph.published == without("last")
    for wrong in (5, {"a": 5}, {"a": {"params": "many"}}, {"a": {"color": "red"}}):
        document["inherited"] = wrong
        with pytest.raises(SpecError, match=r"\$\.inherited: .*(expected|unknown)"):
            graph_of_document("x", document, Chosen())
    path.write_text(f"{FAMILY}  x: {{inherited: {{}}}}\n")
    with pytest.raises(SpecError, match="inherited: unknown field"):
        zoo.graph(f"{path}:x")


def test_a_network_of_ones_own_over_resnet50(tmp_path):
    path = tmp_path / "se.yaml"
    path.write_text("""
format: 1
extends: resnet
models:
  se_resnet50:
    base: resnet50
    settings: {reduction: 16}
    blocks:
      squeeze_excite:
        layers:
          pool: {op: global_avg_pool}
          reduce: {op: conv, out_channels: $input.channels // $reduction, kernel_size: 1}
          relu: {op: relu}
          expand: {op: conv, out_channels: $input.channels * $reduction, kernel_size: 1}
          sigmoid: {op: sigmoid}
          multiply: {op: multiply, from: [input, sigmoid]}
      bottleneck: {layers: {se: {block: squeeze_excite, after: conv3}, add: {from: [se, downsample]}}}
""")
    graph = zoo.graph(str(path))
    assert graph.published == {}
    assert zoo.graph("resnet50").published[""] == {"depth": 50}
    assert graph.summary().total.depth == 50 + 2 * 16
    assert graph.node("layer1.block1.se.reduce").shape == (256 // 16, 1, 1)


@pytest.mark.parametrize(
    ("name", "figures"),
    [
        ("vgg16_bn", None),
        ("vgg16_paddleclas", None),
        ("vgg16_keras", {"params": "138M"}),
        ("resnet50_v1", {"depth": 50, "ops": "3.8G"}),
        ("wide_resnet50_2", {"depth": 50, "params": "68.9M"}),
    ],
)
def test_shipped_variants_state_their_own(name, figures):
    assert zoo.graph(name).published.get("") == figures


def test_new_settings(tmp_path):
    path = tmp_path / "family.yaml"

    def variant(text):
        path.write_text(f"{FAMILY}  x: {text}\n")
        return zoo.graph(f"{path}:x")

    new = variant("{settings: {depth: 7}, layers: {first: {out_channels: $depth}}}")
    assert new.node("first").shape == (7, 8, 8)
    variant("{settings: {unread: 7}}")
    # A name close to a known one is taken for a misprint, unless the variant reads it.
    near = variant("{settings: {widths: [3]}, layers: {first: {out_channels: '$widths[0]'}}}")
    assert near.node("first").shape == (3, 8, 8)
    for read in ("", ", layers: {first: {out_channels: $width_of_it}}", ", about: about widths"):
        with pytest.raises(
            SpecError, match=r"settings\.widths: unknown setting\. Did you mean 'wi"
        ):
            variant(f"{{settings: {{widths: 3}}{read}}}")


NOTED = FAMILY.replace(
    "      b: [6, 2K, ~]\n", '      b: [6, 2K, ~]\n    notes: {b: {"params, output": Why.}}\n'
)


def test_a_table_gives_reasons_for_its_rows(tmp_path):
    path = tmp_path / "noted.yaml"
    path.write_text(NOTED)
    assert zoo.graph(str(path)).published["b"]["notes"] == {"params": "Why.", "output": "Why."}


@pytest.mark.parametrize(
    ("variant", "expected"),
    [
        ("{layers: {last: {op: sigmoid}}}", {"params": "Why.", "output": "Why."}),
        ("{tables: {rows: {rows: {b: [8, 3K, ~]}}}}", None),
        (
            "{tables: {rows: {rows: {b: [8, 3K, ~]}, notes: {b: {params: New.}}}}}",
            {"params": "New."},
        ),
        ("{blocks: {conv: {layers: {conv: {bias: false}}}}}", None),
    ],
)
def test_the_reasons_go_with_the_row(tmp_path, variant, expected):
    path = tmp_path / "noted.yaml"
    path.write_text(f"{NOTED}  x: {variant}\n")
    assert zoo.graph(f"{path}:x").published.get("b", {}).get("notes") == expected


def test_a_note_on_several_figures_of_the_network(tmp_path):
    path = tmp_path / "noted.yaml"
    text = FAMILY.replace('notes: {params: "A misprint."}', 'ops: 1M, notes: {"params, ops": Why.}')
    path.write_text(f"{text}  x: {{about: The same.}}\n")
    notes = {"params": "Why.", "ops": "Why."}
    assert zoo.graph(f"{path}:x").published[""] == {"params": "1K", "ops": "1M", "notes": notes}
    path.write_text(path.read_text().replace("params: 1K", "params: many", 1))
    with pytest.raises(SpecError, match=r"noted.yaml:4: \$\.published\.params: expected a figure"):
        zoo.graph(f"{path}:x")


@pytest.mark.parametrize(
    ("notes", "message"),
    [
        ("{c: {params: Why.}}", r"\$.tables.rows.notes.c: .*no row 'c'"),
        ("{b: Why.}", r"\$.tables.rows.notes.b: expected a mapping"),
        ("{b: {color: Why.}}", r"\$.tables.rows.notes.b: .*unknown kind of figure 'color'"),
    ],
)
def test_reasons_that_a_table_may_not_give(tmp_path, notes, message):
    path = tmp_path / "noted.yaml"
    path.write_text(NOTED.replace('{b: {"params, output": Why.}}', notes))
    with pytest.raises(SpecError, match=message):
        zoo.graph(str(path))


@pytest.mark.parametrize(
    ("change", "kept", "dropped"),
    [
        ("options: {input_size: 112}", {"fc"}, {"conv1", "pool5", "inception3a"}),
        ("options: {num_classes: 10}, classes: ~", {"conv1", "inception3a", "pool5"}, {"fc"}),
    ],
)
def test_options_reach_layers_of_googlenet_through_shapes(tmp_path, change, kept, dropped):
    path = tmp_path / "mine.yaml"
    variant = f"{{base: googlenet, {change}}}"
    path.write_text(f"format: 1\nextends: googlenet\nmodels:\n  small: {variant}\n")
    of_paper, of_variant = zoo.graph("googlenet").published, zoo.graph(f"{path}:small").published
    assert kept | dropped <= of_paper.keys()
    assert kept <= of_variant.keys()
    assert dropped.isdisjoint(of_variant)
    assert all(figures == of_paper[name] for name, figures in of_variant.items())
