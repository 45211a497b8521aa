"""Source files keep what a spec repeats: tables with their rows, and expressions of parameters."""

from __future__ import annotations

import ast

import pytest

import zoo
from zoo.errors import BackendError

BACKENDS = ("torch", "paddle", "keras", "flax")

HEADER = """
options: {num_classes: 4, in_channels: 3, input_size: 17}
tables:
  widths:
    columns: [filters, stride, se, params]
    rows:
      ROWS
    published: [params]
  one:
    columns: [filters, stride]
    rows: {only: [8, 1]}
blocks:
  residual:
    parameters: {filters: ~, stride: 1, se: false}
    layers:
      conv: {op: conv, out_channels: $filters, kernel_size: 3, stride: $stride, padding: 1}
      gate: {op: sigmoid, when: $se}
      shortcut: {op: conv, from: input, out_channels: $filters, kernel_size: 1, stride: $stride, when: $stride != 1 or $input.channels != $filters}
      add: {op: add, from: [gate, shortcut]}
  fire:
    parameters: {squeezed: ~}
    layers:
      squeeze: {op: conv, out_channels: $squeezed, kernel_size: 1}
      expand1x1: {op: conv, out_channels: 6, kernel_size: 1}
      expand3x3: {op: conv, from: squeeze, out_channels: 6, kernel_size: 3, padding: 1}
      concat: {op: concat, from: [expand1x1, expand3x3]}
"""
ROWS = "{a: [8, 1, false, 1K], left: [8, 2, true, 2K], b2: [8, 1, true, 2K]}"
TAIL = """
pool: {op: global_avg_pool}
flatten: {op: flatten}
fc: {op: linear, out_features: $num_classes}
"""


@pytest.fixture
def source(spec_file):
    def source(layers, backend="torch", rows=ROWS):
        header = HEADER.replace("rows:\n      ROWS", f"rows: {rows}")
        text = zoo.source(spec_file(f"{layers}\n{TAIL}", header=header), backend)
        ast.parse(text)
        return text

    return source


BODY = "stem: {op: conv, out_channels: 8, kernel_size: 3}\nbody: {block: residual, repeat: {table: widths}}"
TABLE = """\
WIDTHS = {
    "a": (8, 1, False),
    "left": (8, 2, True),
    "b2": (8, 1, True),
}
"""


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_table_stays_a_table(source, backend):
    """Also a column with one value, and rows without numbers; not what the paper states."""
    text = source(BODY, backend)
    assert f" filters, stride, se.\n{TABLE}" in text
    assert "for name, (filters, stride, se) in WIDTHS.items():" in text
    if backend == "keras":
        assert "x = residual(x, filters, stride=stride, se=se, name=name)" in text
    else:
        assert "for name in WIDTHS:\n            x = getattr(self, name)(x)" in text
        assert "in_channels = filters" in text


@pytest.mark.parametrize("rows", ["{r1: [8, 1, false, ~], r2: [12, 2, true, ~]}",
                                  "{x: [8, 2, true, ~], y: [8, 2, true, ~]}",
                                  "{x: [8, 1, false, ~]}"])  # fmt: skip
def test_a_column_is_not_a_condition_of_the_row(source, rows):
    text = source(BODY, rows=rows)
    assert "enumerate" not in text
    assert "for name, (" in text
    assert " == " not in text.partition("def main")[0]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_layer_that_is_not_always_there_reads_parameters(source, backend):
    text = source(
        "a: {block: residual, filters: 8, stride: 2}\nb: {block: residual, filters: 8}", backend
    )
    assert {"torch": "nn.Conv2d(in_channels, 8, 1, stride)", "paddle": "nn.Conv2D(in_channels, 8, 1, stride)",
            "keras": "layers.Conv2D(8, 1, strides=stride,", "flax": "strides=stride"}[backend] in text  # fmt: skip


def test_variables_have_the_names_of_layers_that_are_read_together(source):
    text = source("a: {block: fire, squeezed: 3}\nb: {block: fire, squeezed: 4}", "keras")
    fire = text[text.index("def fire") : text.index("def ", text.index("def fire") + 1)]
    for line in ('squeeze = layers.Conv2D(squeezed, 1, name=f"{name}.squeeze")(x)', "(squeeze)",
                 "([expand1x1, expand3x3])"):  # fmt: skip
        assert line in fire


@pytest.mark.parametrize(
    ("layers", "lines"),
    [
        ("a: {block: residual, filters: 8, repeat: 3}\nadd: {op: add, from: [a1, a3]}", ["self.a2 = "]),
        ("a: {op: conv, from: input, out_channels: 8, kernel_size: 1, repeat: 2}\n"
         "add: {op: concat, from: [a1, a2]}", ["torch.cat((self.a1(x), self.a2(x)), 1)"]),
        ("a: {block: residual, filters: 8, repeat: 4, when: $index != 1}", ['AS = ("a1", "a3", "a4")']),
        ("a: {block: residual, repeat: {table: one}}", ['    "only": (8, 1),']),
        ("g: {repeat: 2, layers: {a: {op: conv, out_channels: 8, kernel_size: 1}, b: {op: relu},\n"
         "  c: {op: add, from: [a, b]}}}", ["for i in range(2):", 'f"g{i + 1}"']),
        ("g: {layers: {a: {op: conv, out_channels: 8, kernel_size: 1, repeat: 2}}}", ["self.g = "]),
    ],
)  # fmt: skip
def test_whatever_a_spec_repeats_can_be_written(source, layers, lines):
    text = source(layers)
    assert all(line in text for line in lines)


def test_a_table_may_depend_on_a_parameter(spec_file):
    header = (
        HEADER.replace("rows:\n      ROWS", f"rows: {ROWS}")
        + """
  stage:
    parameters: {rows: ~}
    layers:
      body: {block: residual, repeat: {table: $rows}}
"""
    )
    path = spec_file(
        f"a: {{block: stage, rows: widths}}\nb: {{block: stage, rows: one}}\n{TAIL}", header=header
    )
    text = zoo.source(path, "torch")
    assert "Stage(3, WIDTHS)" in text
    assert "Stage(8, ONE)" in text
    assert "in rows.items():" in text


def test_several_outputs_without_an_option(tmp_path):
    path = tmp_path / "two.yaml"
    path.write_text(
        "format: 1\nname: two\noptions: {num_classes: 4, in_channels: 3, input_size: 16}\nlayers:\n"
        "  a: {op: global_avg_pool}\n  flatten: {op: flatten}\n"
        "  fc: {op: linear, out_features: $num_classes}\n"
        "  other: {from: flatten, op: linear, out_features: 2}\n"
        "outputs: {logits: {from: fc}, more: {from: other, loss_weight: 0.3}}\n"
    )
    for backend in BACKENDS:
        text = zoo.source(path, backend)
        assert '{"logits": ' in text
        assert "aux" not in text


def test_what_cannot_be_written_is_named(spec_file, source):
    cells = "{a: [8, 1, false, ~], b: [$num_classes, 1, false, ~]}"
    with pytest.raises(BackendError, match="rows varies with num_classes or aux"):
        source(BODY, rows=cells)
    header = HEADER.replace("rows:\n      ROWS", f"rows: {ROWS}").replace("squeezed", "lambda")
    path = spec_file(f"a: {{block: fire, lambda: 3}}\n{TAIL}", header=header)
    with pytest.raises(BackendError, match="source code has no parameter 'lambda'; choose another"):
        zoo.source(path, "torch")
