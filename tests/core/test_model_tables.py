"""Tables of models: each row is a variant, like those that are written out."""

import json

import jsonschema
import pytest

import zoo
from zoo.errors import SpecError, UnknownNameError
from zoo.language import model_tables, schema
from zoo.language.places import spans

FAMILY = """\
format: 1
name: tiny
options: {num_classes: 4, in_channels: 1, input_size: 8}
settings: {width: 8, depth: 1}
blocks:
  conv:
    parameters: {out_channels: ~}
    layers: {conv: {op: conv, out_channels: $out_channels, kernel_size: 3, padding: 1}, relu: {op: relu}}
layers:
  conv: {block: conv, out_channels: $width, repeat: $depth}
  pool: {op: global_avg_pool}
  flatten: {op: flatten}
  fc: {op: linear, out_features: $num_classes}
models:
"""
FIRST = FAMILY.count("\n") + 1  # the line after it
TABLE = """\
  tiny: {}
  table2:
    settings: {depth: 2}
    blocks: {conv: {layers: {relu: {op: relu6}}}}
    columns:     [width, options.input_size, base, published.params, published.depth, about]
    rows:
      tiny_wide: [   16,                 16,    ~,             2.5K,               3, "Wide, twice."]
      tiny_rect: [    4,            [8, 12],    ~,                ~,               ~, ~]
      tiny_deep: [    ~,                  ~, tiny,                ~,               ~, $ as it is]
  last: {base: tiny_wide, settings: {depth: 3}}
"""
WRITTEN = """\
  tiny: {}
  tiny_wide:
    about: Wide, twice.
    settings: {width: 16, depth: 2}
    options: {input_size: 16}
    blocks: {conv: {layers: {relu: {op: relu6}}}}
    published: {params: 2.5K, depth: 3}
  tiny_rect:
    settings: {width: 4, depth: 2}
    options: {input_size: [8, 12]}
    blocks: {conv: {layers: {relu: {op: relu6}}}}
  tiny_deep:
    base: tiny
    about: $ as it is
    settings: {depth: 2}
    blocks: {conv: {layers: {relu: {op: relu6}}}}
  last: {base: tiny_wide, settings: {depth: 3}}
"""
MODELS = ("tiny", "tiny_wide", "tiny_rect", "tiny_deep", "last")


@pytest.fixture
def write(tmp_path):
    """Writes a file of the family, and returns the path of one of its models."""

    def write(models, model="", head=FAMILY, name="tiny.yaml"):
        path = tmp_path / name
        path.write_text(head + models)
        return f"{path}:{model}" if model else str(path)

    return write


@pytest.mark.parametrize("model", MODELS)
def test_a_row_means_what_the_variant_means(write, model):
    found = zoo.graph(write(TABLE, model)).to_dict()
    assert found == zoo.graph(write(WRITTEN, model)).to_dict()


def test_models_have_the_order_of_the_file(write):
    with pytest.raises(UnknownNameError, match="It has: " + ", ".join(MODELS)):
        zoo.graph(write(TABLE, "table2"))
    assert zoo.graph(write("  t: {columns: [width], rows: {a: [4], b: [5]}}\n")).name == "a"


def test_a_table_of_an_extension(write):
    write("  tiny: {}\n")
    head = "format: 1\nextends: tiny\nmodels:\n"
    table = "  t:\n    columns: [width, base]\n    rows: {a: [4, tiny], b: [5, a]}\n"
    more = write(table, "b", head, "more.yaml")
    assert zoo.graph(more)["conv1.conv"].attributes["out_channels"] == 5
    with pytest.raises(
        SpecError, match=r"more.yaml:6: \$.models.tiny: tiny.yaml has a model of that"
    ):
        zoo.graph(write(table.replace("{a:", "{tiny:"), "b", head, "more.yaml"))


@pytest.mark.parametrize(
    ("columns", "row", "line", "message"),
    [
        ("[widht]", "[4]", 1, "columns[0]: no setting, and no field, 'widht'. Did you mean 'width'?"),
        ("[crop]", "[1]", 1, "no field, 'crop'. Did you mean 'preprocessing.crop'?"),
        ("[width, params]", "[1, 2]", 1, "columns[1]: no setting, and no field, 'params'. Did you mean 'published.params'?"),
        ("[option.input_size]", "[8]", 1, "'option.input_size'. Did you mean 'options.input_size'?"),
        ("[width, settings.width]", "[1, 2]", 1, "columns[1]: another column states 'settings.width', too"),
        ("[settings, width]", "[{width: 1}, 2]", 1, "columns[1]: another column states 'width', too"),
        ("[width, settings]", "[1, {width: 2}]", 1, "columns[1]: another column states 'settings', too"),
        ("[layers.a.b.c.d.e.f.g.h]", "[1]", 1, "columns[0]: a path of more than 8 parts"),
        ("[width, depth]", "[4]", 3, "$.models.t.rows.a: expected 2 columns, got 1"),
        ("[width, base]", "[4, [b]]", 3, "$.models.t.rows.a[1]: expected text, got a list"),
        ("[width]", "[{x: 1}]", 3, "$.models.t.rows.a[0]: expected a number, a word"),
        ("[width, base]", "[4, other]", 3, "$.models.a.base: unknown model 'other'"),
        ("[options.num_classes]", "[ten]", 3, "$.options.num_classes: expected an integer"),
        ("[options.classes]", "[3]", 3, "$.options.classes: unknown field"),
        ("[published.params]", "[many]", 3, "$.published.params: expected a figure such as 159K"),
        ("width", "[4]", 1, "$.models.t.columns: expected a list, got 'width'"),
        ("[width]", "4", 3, "$.models.t.rows.a: expected a list, got 4"),
    ],
)  # fmt: skip
def test_mistakes_in_a_table(write, columns, row, line, message):
    path = write(f"  t:\n    columns: {columns}\n    rows:\n      a: {row}\n", "a")
    with pytest.raises(SpecError) as caught:
        zoo.graph(path)
    assert f"tiny.yaml:{FIRST + line}: $" in str(caught.value)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("{columns: [width]}", "$.models.t.rows: required field is missing"),
        ("{rows: {a: [1]}}", "$.models.t.columns: required field is missing"),
        ("{columns: [width], rows: {}}", "$.models.t.rows: expected at least one entry"),
        ("{columns: [width], rows: {a: [1]}, row: 1}", "unknown field. Did you mean 'rows'?"),
        ("{columns: [width], rows: {b: [1]}}\n  b: {}", "$.models.b: there is another model 'b'"),
        ("{colums: [width], rows: {a: [1]}}", "$.models.t.colums: unknown field. Did you mean 'columns'?"),
    ],
)  # fmt: skip
def test_mistakes_around_a_table(write, table, message):
    with pytest.raises(SpecError) as caught:
        zoo.graph(write(f"  t: {table}\n"))
    assert message in str(caught.value)


def test_rows_count_with_what_they_share(write):
    shared = "".join(f"x{i}: {i}, " for i in range(1_000))
    rows = ", ".join(f"m{i}: [{i}]" for i in range(60))
    path = write(f"  t: {{settings: {{{shared}}}, columns: [width], rows: {{{rows}}}}}\n")
    with pytest.raises(SpecError, match=r"\$.models.t: more than 50,000 values in all rows"):
        zoo.graph(path)


def test_names_of_models_that_may_not_be_valid():
    table = {"columns": 3, "rows": {"b": 1, "c": []}}
    assert model_tables.names({"a": {}, "t": table, "d": {"rows": 3}}) == ["a", "b", "c", "d"]
    assert model_tables.names([]) == model_tables.names(None) == []


@pytest.mark.parametrize(("model", "base"), [("b", "one"), ("c", "two")])
def test_a_row_has_the_layers_of_its_table_and_of_its_base(model, base):
    text = (
        "layers:\n  x: {op: relu}\n"
        "models:\n"
        "  one: {layers: {x: {op: tanh}}}\n"
        "  two: {layers: {x: {op: silu}}}\n"
        "  t:\n    base: one\n    layers: {x: {when: false}}\n"
        "    columns: [about, base]\n    rows: {b: [~, ~], c: [~, two]}\n"
    )
    (written,) = spans([text], model)
    changed = {"one": "x: {op: tanh}", "two": "x: {op: silu}"}[base]
    assert [text[s.start : s.end] for s in written] == [
        "x: {op: relu}",
        changed,
        "x: {when: false}",
    ]


def test_the_schema_knows_tables():
    validator = jsonschema.Draft202012Validator(json.loads(schema.json_schema()))
    spec = {"format": 1, "name": "x", "layers": {"r": {"op": "relu"}}}
    table = {"settings": {"a": 1}, "columns": ["width"], "rows": {"m": [1]}}
    assert validator.is_valid({**spec, "models": {"t": table, "x": {}}})
    for key in ("columns", "rows"):
        assert not validator.is_valid({**spec, "models": {"t": {**table, key: 3}}})
