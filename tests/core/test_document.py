"""Reading YAML: what is understood, what is refused, and where each mistake is said to be."""

import os
import time

import pytest

from zoo.errors import SpecError
from zoo.language import document


def test_scalars_are_those_of_yaml_1_2():
    text = "a: 1e-4\nb: no\nc: 0x10\nd: 1.\ne: -3\nf: ~\ng: true\nh: 2014-09-17\ni: 1_000\nj: 159K"
    assert document.parse(text) == {
        "a": 1e-4, "b": "no", "c": "0x10", "d": 1.0, "e": -3, "f": None, "g": True,
        "h": "2014-09-17", "i": "1_000", "j": "159K",
    }  # fmt: skip


def test_lines_survive_merging():
    base = document.parse("a:\n  x: 1\n  y: 2\n")
    patch = document.parse("a:\n\n\n\n  y: 3\n")
    merged = document.merge(base, patch)
    assert merged == {"a": {"x": 1, "y": 3}}
    assert document.place(merged, ("a", "x"))[1] == 2
    assert document.place(merged, ("a", "y"))[1] == 5
    assert base == {"a": {"x": 1, "y": 2}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\na: 2", "f.yaml:2: $.a: repeated; first on line 1"),
        (
            "a: !!python/object:os.system x",
            "f.yaml:1: YAML tags are not allowed, got '!!python/object:os.system'",
        ),
        ("a: !!set {x, y}", "f.yaml:1: YAML tags are not allowed, got '!!set'"),
        ("a: !!int x", "f.yaml:1: YAML tags are not allowed, got '!!int'"),
        ("- 1", "f.yaml:1: expected a mapping at the top level"),
        ("", "f.yaml:1: expected a mapping at the top level"),
        ("a: [1, 2", "f.yaml:2: not valid YAML: did not find expected"),
        ("a: b: c", "f.yaml:1: not valid YAML: mapping values are not allowed"),
        ("{[1]: 2}", "f.yaml:1: $: a key must be a plain scalar"),
        ("a: *x", "f.yaml:1: not valid YAML: found undefined alias"),
        ("a: {b: @x}", "f.yaml:1: not valid YAML: text that begins with '@' needs quotes"),
        ('a: "\\U99999999"', "f.yaml"),
        ("a: \x07", "f.yaml"),
        (
            "a: 1\n--- \nb: 2",
            "f.yaml:2: a second YAML document begins here; remove the '---', or move what follows it "
            "to another file",
        ),
        ("a: 1\n---\n", "f.yaml:2: a second YAML document begins here"),
    ],
)
def test_one_line_says_what_is_wrong_and_where(text, message):
    with pytest.raises(SpecError) as caught:
        document.parse(text, "f.yaml")
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["plain", "with a byte order mark"])
@pytest.mark.parametrize(
    "text",
    [
        "\tlayers: {}",
        "layers:\n\tconv: {op: relu}",
        "layers:\n  \tconv: {op: relu}",
        "layers:\n  a: {op: relu}\n\tb: {op: relu}",
        "layers:\n  a: {op: relu}\n  \tb: {op: relu}",
        "layers:\r\n  a: {op: relu}\r\n\tb: {op: relu}",
        "layers:\n  a:\n    op: conv\n\t  out_channels: 3",
        "layers:\n  a:\n\t\top: relu",
        "layers:\n  a:\n  # é\n\t- b",
        "a: |\n\ttext",
        "a: 1\n\t# a comment\nb: 2",
        "a:\n  -\tb: 1",
    ],
)
def test_a_tab_in_the_indentation_is_called_one(text, mark):
    with pytest.raises(SpecError, match=r"f\.yaml:\d: not valid YAML: a tab; indent with spaces$"):
        document.parse(mark + text, "f.yaml")


@pytest.mark.parametrize(
    "text",
    [
        "a: " + "[" * 5000 + "]" * 5000,
        "a: " + "{b: " * 5000 + "}" * 5000,
        "\n".join([f"{' ' * i}a:" for i in range(500)]),
        "a: &x [*x]",
        "a: &x {b: *x}",
        "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
        + "\n".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)),
        "a: [" + "1, " * 150_000 + "1]",
    ],
    ids=["lists", "maps", "indented", "cycle", "map-cycle", "billion-laughs", "long"],
)
def test_bombs_are_refused_quickly(text):
    start = time.perf_counter()
    with pytest.raises(SpecError, match="nested more than|more than 50,000 values|larger than"):
        document.parse(text)
    assert time.perf_counter() - start < 10  # seconds: a bound against hanging, not a timing


def test_alias_expansion_is_mentioned_only_where_there_are_aliases():
    items = "1, " * 60_000
    with pytest.raises(SpecError, match="more than 50,000 values$"):
        document.parse(f"a: [{items}]")
    with pytest.raises(SpecError, match="more than 50,000 values after alias expansion$"):
        document.parse(f"a: &a 1\nb: *a\nc: [{items}]")


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(SpecError, match="no such file"):
        document.read(tmp_path / "missing.yaml")
    with pytest.raises(SpecError, match="not a file"):
        document.read(tmp_path)
    os.mkfifo(tmp_path / "pipe.yaml")  # which nobody writes to
    with pytest.raises(SpecError, match="not a file"):
        document.read(tmp_path / "pipe.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"a: caf\xe9")
    with pytest.raises(SpecError, match="not UTF-8 text"):
        document.read(tmp_path / "latin.yaml")
    (tmp_path / "big.yaml").write_bytes(b"#" * (document.MAX_BYTES + 1))
    with pytest.raises(SpecError, match="larger than 1,000,000 bytes"):
        document.read(tmp_path / "big.yaml")


@pytest.mark.parametrize(
    "text",
    ["!!python/object:os.system {a: 1}", "a: !!str 1", "a: !foo [1]", "a: ! 1", "!!map {a: 1}"],
)
def test_tags_are_refused(text):
    with pytest.raises(SpecError, match=":1: YAML tags are not allowed, got '!"):
        document.parse(text)
