"""The rows of a table as layers: ``repeat: {table: NAME}``."""

import pytest

import zoo
from zoo.errors import SpecError

# The bottlenecks of GhostNet's Table 1, shortened.
BLOCKS = """
format: 1
name: ghostnet
options: {input_size: 32}
blocks:
  ghost:
    parameters: {out_channels: ~, relu: true}
    layers:
      primary: {op: conv, out_channels: $out_channels // 2, kernel_size: 1, bias: false}
      cheap: {op: conv, out_channels: $out_channels // 2, kernel_size: 3, padding: 1, groups: $out_channels // 2}
      concat: {op: concat, from: [primary, cheap]}
      relu: {op: relu, when: $relu}
  bottleneck:
    parameters: {kernel_size: 3, expanded: ~, channels: ~, stride: 1, same: $stride == 1 and $input.channels == $channels}
    layers:
      expand: {block: ghost, out_channels: $expanded}
      depthwise: {op: conv, out_channels: $expanded, kernel_size: $kernel_size, stride: $stride,
                  padding: $kernel_size // 2, groups: $expanded, when: $stride > 1}
      project: {block: ghost, out_channels: $channels, relu: false}
      add: {op: add, from: [project, input], when: $same}
"""
ROWS = [
    ("bneck1", 3, 16, 16, 1),
    ("bneck2", 3, 48, 24, 2),
    ("bneck3", 3, 72, 24, 1),
    ("bneck4", 5, 72, 40, 2),
    ("bneck5", 5, 120, 40, 1),
]
HEAD = """
layers:
  stem: {op: conv, out_channels: 16, kernel_size: 3, stride: 2, padding: 1}
"""
TAIL = """
  pool: {op: global_avg_pool, from: bneck5}
  flatten: {op: flatten}
  fc: {op: linear, out_features: $num_classes}
"""


def table(published=""):
    rows = "".join(f"      {name}: {cells}\n" for name, *cells in ROWS)
    return (
        "tables:\n  table1:\n"
        f"    columns: [kernel_size, expanded, channels, stride]\n{published}    rows:\n{rows}"
    )


LONG = "".join(
    f"  {name}: {{block: bottleneck, kernel_size: {k}, expanded: {e}, channels: {c}, stride: {s}}}\n"
    for name, k, e, c, s in ROWS
)
SHORT = "  body: {block: bottleneck, repeat: {table: table1}}\n"


def made(tmp_path, text, model=""):
    path = tmp_path / "spec.yaml"
    path.write_text(text)
    return zoo.graph(f"{path}{model}")


def data(graph):
    return {k: v for k, v in graph.to_dict().items() if k != "document"}


def test_rows_are_the_layers_of_the_long_form(tmp_path):
    long = made(tmp_path, BLOCKS + HEAD + LONG + TAIL)
    short = made(tmp_path, BLOCKS + table() + HEAD + SHORT + TAIL)
    assert data(short) == data(long)
    assert short["bneck4"].shape == (40, 4, 4)


def test_in_a_group(tmp_path):
    def group(layers):
        lines = "".join(f"    {line}\n" for line in layers.splitlines())
        return f"  body:\n    layers:\n{lines}" + TAIL.replace("bneck5", "body")

    long = made(tmp_path, BLOCKS + HEAD + group(LONG))
    short = made(tmp_path, BLOCKS + table() + HEAD + group(SHORT.replace("body", "rows")))
    assert data(short) == data(long)
    assert short["body.bneck5"].shape == (40, 4, 4)


def test_when_index_and_item(tmp_path):
    tail = TAIL.replace("bneck5", "bneck3")
    short = SHORT.replace("repeat:", "when: '$index < 3 and $item[1] != 48', repeat:")
    graph = made(tmp_path, BLOCKS + table() + HEAD + short + tail)
    assert [step.name for step in graph.root.steps[:3]] == ["stem", "bneck1", "bneck3"]
    # An argument of the layer goes before its row's, and every row may read the same layer.
    short = SHORT.replace(
        "repeat:", "stride: 1 + $index // 4, from: stem, when: $index == 4, repeat:"
    )
    assert made(tmp_path, BLOCKS + table() + HEAD + short + TAIL)["bneck5"].shape == (40, 8, 8)


def test_a_variant_changes_a_row(tmp_path):
    models = (
        "models:\n  ghostnet: {}\n"
        "  wider: {tables: {table1: {rows: {bneck5: [5, 240, 48, 1]}}}}\n"
        "  deeper: {tables: {table1: {rows: {bneck6: [5, 240, 48, 1]}}}, layers: {pool: {from: bneck6}}}\n"
        "  other: {layers: {body: {repeat: {table: table2}}, pool: {from: only}}}\n"
    )
    other = "  table2: {columns: [expanded, channels], rows: {only: [8, 8]}}\n"
    text = BLOCKS + table() + other + HEAD + SHORT + TAIL + models
    assert made(tmp_path, text)["bneck5"].shape == (40, 4, 4)
    assert made(tmp_path, text, ":wider")["bneck5"].shape == (48, 4, 4)
    assert made(tmp_path, text, ":deeper")["bneck6"].shape == (48, 4, 4)
    assert made(tmp_path, text, ":other")["only"].shape == (8, 16, 16)


def test_published_columns(tmp_path):
    text = BLOCKS + table("    published: [stride]\n") + HEAD + SHORT + TAIL
    text = text.replace("[stride]", "[output]").replace("channels, stride]", "channels, output]")
    text = text.replace(", 1]", ", 16x16]").replace(", 2]", ", ~]")
    graph = made(tmp_path, text)
    assert graph.published == {f"bneck{n}": {"output": "16x16"} for n in (1, 3, 5)}
    models = "models:\n  x: {tables: {table1: {rows: {bneck3: [3, 72, 32, 8x8]}}}}\n"
    variant = made(tmp_path, text + models)
    assert variant.published == {**graph.published, "bneck3": {"output": "8x8"}}
    models = "models:\n  x: {blocks: {ghost: {layers: {relu: {op: relu6}}}}}\n"
    assert made(tmp_path, text + models).published == {}


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (
            "{block: bottleneck, repeat: {table: table}}",
            "unknown table 'table'. Did you mean 'table1'",
        ),
        ("{block: bottleneck, repeat: {table: $num_classes}}", "unknown table 1000"),
        ("{block: bottleneck, repeat: {tabel: table1}}", "unknown field. Did you mean 'table'?"),
        (
            "{block: bottleneck, repeat: {}}",
            "$.layers.body.repeat.table: required field is missing",
        ),
        ("{block: bottleneck, repeat: {table: table1}, table: table1}", "leave 'table' out"),
        ("{op: relu, repeat: {table: table1}}", "$.layers.body.repeat: expected an integer of at"),
        ("{block: ghost, repeat: {table: table1}}", "block 'ghost' has no parameter 'kernel_size'"),
    ],
)
def test_mistakes(tmp_path, layer, message):
    with pytest.raises(SpecError) as caught:
        made(tmp_path, f"{BLOCKS}{table()}{HEAD}  body: {layer}\n{TAIL}")
    assert message in str(caught.value)


def test_names_that_meet(tmp_path):
    with pytest.raises(SpecError, match="the name 'stem' is already taken"):
        made(tmp_path, (BLOCKS + table() + HEAD + SHORT + TAIL).replace("bneck1:", "stem:"))
    with pytest.raises(SpecError, match="'body', which is repeated: name one, such as a row"):
        made(tmp_path, BLOCKS + table() + HEAD + SHORT + TAIL.replace("bneck5", "body"))
