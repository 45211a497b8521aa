"""Summaries: what they accept, what they state, and how they are shown."""

import ast
import dataclasses
import graphlib
import html.parser
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from limits import HANG
from rich.console import Console

import zoo
from zoo.errors import InputError
from zoo.graphs.published import problem_with
from zoo.views import html as tables_as_html
from zoo.views import text
from zoo.views.tables import Column, Note, Table, to_markdown


def test_the_verb_takes_names_files_graphs_and_models(spec_file):
    path = spec_file("flat: {op: flatten}\nfc: {op: linear, out_features: $num_classes}")
    graph = zoo.graph("lenet5")
    assert zoo.summary(path).model == "tiny"
    assert zoo.summary("lenet5") == zoo.summary(graph) == graph.summary()
    assert zoo.summary("lenet5", num_classes=7).rows[-1].output == "7"


def test_what_the_verb_refuses():
    graph = zoo.graph("lenet5")
    with pytest.raises(zoo.InputError, match="aux: a graph or a model already has its options"):
        zoo.summary(graph, aux=False)
    with pytest.raises(zoo.InputError, match="depth must be None or an integer of at least 1"):
        zoo.summary(graph, 0)
    with pytest.raises(zoo.UnknownNameError, match="Did you mean 'googlenet'"):
        zoo.summary("googlnet")
    with pytest.raises(zoo.BackendError, match="expected a model of .*, got 7"):
        zoo.summary(7)


def test_it_is_data():
    summary = zoo.summary("googlenet")
    with pytest.raises(dataclasses.FrozenInstanceError):
        summary.model = "other"
    with pytest.raises(TypeError, match="cannot be changed"):
        summary.rows[0].published["params"] = "9K"
    difference = zoo.diff("googlenet", "googlenet_bvlc")
    with pytest.raises(TypeError, match="cannot be changed"):
        difference.preprocessing["range"] = [1, 1]
    assert {summary: difference}[zoo.summary("googlenet")] == difference
    found = json.loads(json.dumps(summary.to_dict()))
    assert found["model"] == "googlenet" and len(found["rows"]) == len(summary.rows)
    assert found["total"]["params"] == found["num_parameters"] == summary.num_parameters


def test_results_show_themselves():
    summary = zoo.summary("googlenet")
    assert repr(summary) == str(summary)
    assert str(summary).splitlines()[0] == "googlenet, input 224x224x3"
    difference = zoo.diff("googlenet", "googlenet_no_reduce")
    assert repr(difference) == str(difference) and "conv removed" in str(difference)
    drawing = zoo.draw("lenet5")
    assert repr(drawing).startswith("<Drawing of lenet5: input 32x32x1, ")
    assert drawing._repr_svg_() == str(drawing)
    assert json.loads(json.dumps(drawing.to_dict()))["scene"]["items"][0]["name"] == "input"


@pytest.mark.parametrize("width", [12, 20, 40, 60, 80, 110, 200])
@pytest.mark.parametrize("name", ["summary", "every layer", "difference", "every change"])
def test_no_width_cuts_anything(name, width):
    shown = {
        "summary": lambda: zoo.summary("googlenet"),
        "every layer": lambda: zoo.summary("inception_v3", None),
        "difference": lambda: zoo.diff("googlenet", "googlenet_paddle", aux=True),
        "every change": lambda: zoo.diff("googlenet", "googlenet_slim", every=True),
    }[name]()
    written = text.render(shown.tables(), width)
    assert max(map(len, written.splitlines())) <= width
    assert "…" not in written
    words = set(written.replace("\n", " ").split())
    squeezed = "".join(written.split())
    table = shown.tables()[-1]
    for row in (*table.rows, table.total):
        for column, cell in zip(table.columns, row, strict=True):
            if column.right and width >= 40:  # figures are never broken
                assert set(cell.split()) <= words
            elif width < 40:  # where a table has no room, each cell has lines of its own
                assert "".join(cell.split()) in squeezed
    for note in table.notes:
        assert "".join(note.text.split()) in squeezed
        assert "".join(note.details.split()) in squeezed


def test_rich_shows_the_same_text():
    summary = zoo.summary("googlenet")
    console = Console(file=io.StringIO(), width=60)
    console.print(summary)
    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]
    assert lines == text.render(summary.tables(), 60).splitlines()


class Page(html.parser.HTMLParser):
    """The elements of a page, its text, and everything that it refers to."""

    def __init__(self, written: str) -> None:
        super().__init__()
        self.open, self.tags, self.text, self.attributes = [], set(), [], []
        self.feed(written)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.attributes += attributes
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_html_is_self_contained_and_scrolls():
    summary = zoo.summary("googlenet")
    page = Page(summary._repr_html_())
    assert page.tags <= {
        *("div", "table", "caption", "thead", "tbody", "tfoot", "tr", "th", "td"),
        *("p", "ul", "li", "br", "small", "strong"),
    }
    assert {name for name, _ in page.attributes} <= {"style", "scope", "tabindex"}
    assert any(v and "overflow-x: auto" in v for _, v in page.attributes)
    for row in summary.rows:
        assert row.name in page.text and row.output in page.text
    assert any("separable convolution" in part for part in page.text)


def test_text_from_files_is_escaped():
    hostile = '<script>alert("1")</script>\x1b[2J|'
    graph = dataclasses.replace(zoo.graph("lenet5"), name=hostile)
    other = dataclasses.replace(graph, preprocessing={**graph.preprocessing, "range": 2})
    for shown in (zoo.summary(graph), zoo.diff(graph, "vgg9"), zoo.diff(graph, other)):
        page = Page(shown.to_html())
        assert "script" not in page.tags
        assert "<script>alert" in "".join(page.text)
        assert "\x1b" not in str(shown) + repr(shown) + shown.to_html() + shown.to_markdown()
    table = Table("t", (Column("<b>"),), (("a|<i>",),), notes=(Note("<u>", "&"),))
    assert Page(tables_as_html.render(table)).text == ["t", "<b>", "a|<i>", "<u>", "&"]
    assert r"a\|\<i>" in to_markdown(table)


def test_reasons_stand_where_the_arithmetic_proves_them():
    rows = {row.name: row for row in zoo.summary("googlenet").rows}
    assert rows["conv1"].notes.keys() == {"params", "ops"}
    assert all(set(row.notes) == set(row.disagreeing) for row in rows.values())
    shown = str(zoo.summary("googlenet"))
    assert shown.count("separable convolution") == 1  # said once of both figures
    assert "not explained" not in shown
    (line,) = zoo.summary("mobilenet_v2").disagreements
    assert line.endswith("of 3.4M, computed 3,504,872 (not explained)")


def test_what_the_reasons_say_is_true():
    graph = zoo.graph("googlenet")
    for name, stated in (("4c", 509_440), ("4d", 604_672), ("5b", 1_442_816)):
        node = graph[f"inception{name}"]
        assert f"{stated:,}" in graph.published[node.name]["notes"]["params"]
        size = node.shape.height * node.shape.width
        assert node.macs == stated * size
        ops = int(graph.published[node.name]["ops"].removesuffix("M"))
        assert round(stated * size / 1e6) == ops
    other = graph.published["inception5a"]
    assert (other["params"], other["ops"]) == ("1072K", "54M")
    assert round(1072 * 1024 * 7 * 7 / 1e6) == 54
    sizes = {row.name: row.output for row in zoo.summary("squeezenet1_0", input_size=227).rows}
    stated = zoo.graph("squeezenet1_0").published
    reason = stated["conv1"]["notes"]["output"]
    same = {name for name, figures in stated.items() if figures.get("notes") == {"output": reason}}
    assert same == {"conv1", "maxpool1", "fire2", "fire3", "fire4"}
    assert all(sizes[name] == stated[name]["output"] for name in same)


@pytest.mark.parametrize(
    ("notes", "message"),
    [
        ("none", "notes: expected a mapping from a figure to a reason, got 'none'"),
        ("{color: red}", "notes: unknown kind of figure 'color'. Known: output, depth, params"),
        ("{params: 7}", "notes: expected a sentence on one line for params, got 7"),
        ('{params: "\\e[2J"}', "notes: expected a sentence on one line for params, got '\\x1b[2J'"),
        ('{params: ""}', "notes: expected 1 to 300 characters for params"),
        (f"{{params: {'x' * 400}}}", "notes: expected 1 to 300 characters for params"),
    ],
)
def test_notes_that_a_spec_may_not_have(spec_file, notes, message):
    path = spec_file(f"flat: {{op: flatten, published: {{params: 1M, notes: {notes}}}}}")
    with pytest.raises(zoo.SpecError) as caught:
        zoo.summary(path)
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{path}:4: $.layers.flat.published.notes: ")


@pytest.mark.parametrize(
    ("figures", "problem"),
    [
        ({"fc": {"params": ["x"]}}, r"fc: expected a figure such as 159K"),
        ({"fc": {"notes": 7}}, "fc: notes: expected a mapping"),
        ({"": {"odd": 1}}, "unknown kind of figure 'odd'"),
        ({"fc": 7}, "fc: expected a mapping of figures"),
    ],
)
def test_what_a_foreign_graph_states_is_not_trusted(figures, problem):
    data = {**zoo.graph("lenet5").to_dict(), "published": figures}
    with pytest.raises(InputError, match=problem):
        zoo.Graph.from_dict(data)


@pytest.mark.parametrize("lost", ["attributes", "operations"])
def test_a_foreign_graph_that_lacks_something_can_be_looked_at(lost):
    data = zoo.graph("googlenet").to_dict()

    def lose(block):
        for step in block["steps"]:
            child = step["child"]
            if "steps" in child:
                lose(child)
            elif lost == "attributes":
                child["attributes"] = {}
            else:
                child["op"] = "foreign"

    lose(data["root"])
    graph = zoo.Graph.from_dict(data)
    for depth in (1, 2, None):
        assert str(zoo.summary(graph, depth)) and str(zoo.draw(graph, depth=depth))
    assert zoo.diff("googlenet_no_reduce", graph, every=True).to_markdown()
    assert zoo.diff(graph, "googlenet_no_reduce").to_html()


def test_a_wrong_value_is_quoted_in_part():
    assert len(problem_with("params", "9" * 100_000)) < 400
    assert len(problem_with("x" * 100_000, 1)) < 400
    assert problem_with("params", "9" * 20)  # more than any network has


def python(code: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=HANG
    )
    assert done.returncode == 0, done.stderr


def test_data_does_not_know_how_it_is_shown():
    pictures = ("text", "html", "display", "tables", "drawing.svg")
    python(
        "import sys, zoo.views.summary.data, zoo.views.difference.data, zoo.views.drawing.scene\n"
        f"assert not {{'zoo.views.' + name for name in {pictures}}} & set(sys.modules)"
    )


def test_views_import_each_other_in_one_direction():
    root = Path(zoo.__file__).parent / "views"
    imports = {}
    for path in root.rglob("*.py"):
        parts = ("zoo", "views", *path.relative_to(root).with_suffix("").parts)
        name = ".".join(parts).removesuffix(".__init__")
        froms = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.ImportFrom)]
        names = {f"{n.module}.{alias.name}" for n in froms for alias in n.names}
        imports[name] = names | {n.module for n in froms}
    inside = {name: {n for n in found if n in imports} - {name} for name, found in imports.items()}
    for name in inside:  # a package imports nothing, and so can be left out
        if name + ".data" in inside or name == "zoo.views" or name + ".svg" in inside:
            assert not inside[name]
    order = list(graphlib.TopologicalSorter(inside).static_order())
    assert len(order) == len(imports)


def test_nothing_heavy_is_imported_to_look_at_a_network():
    python(
        "import sys, zoo\n"
        "print(zoo.summary('lenet5'), zoo.diff('lenet5', 'vgg9'), zoo.draw('lenet5'))\n"
        "assert not {'rich', 'typer', 'torch', 'keras', 'paddle', 'jax'} & set(sys.modules)"
    )
