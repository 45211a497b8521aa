"""The page of a report, in a real browser."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from itertools import combinations

import pytest
from browsing import cells, opened
from loading import load
from verifying import InThisProcess

import zoo
from zoo.verification.comparison import Worst
from zoo.verification.rendering import page
from zoo.verification.report import Report
from zoo.verification.results import Check

SPEC = """
format: 1
name: {name}
options: {{num_classes: 10, input_size: 24}}
layers:
  conv: {{op: conv, out_channels: 6, kernel_size: 3, stride: 2}}
  bn: {{op: batch_norm}}
  relu: {{op: relu}}
  pool: {{op: avg_pool, kernel_size: 3, stride: 2}}
  flatten: {{op: flatten}}
  fc: {{op: linear, out_features: $num_classes}}
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    load("torch")
    load("flax")
    import jax

    jax.config.update("jax_enable_x64", True)
    path = tmp_path_factory.mktemp("specs") / "small.yaml"
    path.write_text(SPEC.format(name="small"))
    backends = ["torch", "flax"]
    return zoo.verify(path, level="training", backends=backends, workers=InThisProcess())


@pytest.fixture(scope="module")
def shown_at(report, tmp_path_factory):
    """The page of the report, made once: its plots take seconds."""
    path = tmp_path_factory.mktemp("pages") / "page.html"
    path.write_text(report.to_html())
    return path


@pytest.mark.parametrize("width", [1100, 400])
def test_a_page_in_a_browser(report, shown_at, browser, width):
    opened(browser, shown_at, width)
    assert browser.title == "small: PASS"
    matrix = cells(browser, "matrix")
    assert [row[0] for row in matrix] == ["reference", "PyTorch", "Flax NNX"]
    (pair,) = report.pairs
    assert matrix[1][3].split() == [f"{pair.worst.error:.1e}", pair.worst.node]
    count = sum(parameter.size for parameter in zoo.graph(report.command.split()[2]).parameters)
    assert browser.find_element("id", "kept").text == f"all {count:,} weights and statistics"
    assert matrix[1][3] == matrix[2][2]
    assert cells(browser, "training")[0][1] == f"{report.training.pairs[0].loss:.1e}"
    pictures = browser.find_elements("css selector", "svg")
    assert [p.get_attribute("aria-label") for p in pictures] == [
        "Error of every node compared with NumPy in float64",
        "Training losses with SGD",
        "Training losses with Adam",
        "Differences of weights with SGD",
        "Differences of weights with Adam",
        "Float32 compared with float64 in training",
    ]
    curves = [p.rect for p in browser.find_elements("css selector", "#curves svg")]
    across = 2 if width == 1100 else 1  # losses above differences, or all in one column
    assert [round(c["y"]) == round(curves[0]["y"]) for c in curves] == [
        i < across for i in range(4)
    ]
    assert round(curves[0]["x"]) == round(curves[2]["x"])
    for picture in pictures:
        assert picture.rect["height"] > 100
        box = picture.find_element("xpath", "..").rect  # in which the widest scrolls
        assert box["x"] + box["width"] <= width
    wide = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert browser.execute_script(wide) == 0, "tables scroll by themselves, the page does not"
    browser.find_element("css selector", "details summary").click()
    assert [row[0] for row in cells(browser, "nodes")] == list(report.nodes)


def all_four(report, nodes):
    """A report of four backends, of two, whose nodes have the names of a large network."""
    names = {"torch": "PyTorch", "paddle": "PaddlePaddle", "keras": "Keras 3", "flax": "Flax NNX"}
    torch, _ = report.results
    worst = {name: Worst(1e-6, nodes[i % len(nodes)]) for i, name in enumerate(names)}
    results = tuple(
        replace(torch, backend=b, title=title, worst=worst[b], errors=(1e-6,) * len(nodes))
        for b, title in names.items()
    )
    pairs = tuple(
        replace(report.pairs[0], a=a, b=b, worst=worst[b]) for a, b in combinations(names, 2)
    )
    trained = tuple(
        replace(report.training.pairs[0], a=a, b=b, gradients=worst[b], rules={"SGD": worst[a], "Adam": worst[b]})
        for a, b in combinations(names, 2)
    )  # fmt: skip
    losses = dict.fromkeys(names, report.training.losses["torch"])
    training = replace(report.training, pairs=trained, losses=losses)
    return replace(report, results=results, pairs=pairs, nodes=nodes, training=training)


OVERFLOW = "return arguments[0].scrollWidth - arguments[0].clientWidth"


@pytest.fixture(scope="module")
def four_shown_at(report, tmp_path_factory):
    nodes = tuple(node.name for node in zoo.graph("inception_resnet_v2").nodes)
    longest = tuple(sorted(nodes, key=len)[-4:])
    path = tmp_path_factory.mktemp("pages") / "four.html"
    path.write_text(all_four(report, longest).to_html())
    return path


@pytest.mark.parametrize("width", [1400, 1100, 400])
def test_four_backends_fit_a_window(four_shown_at, browser, width):
    opened(browser, four_shown_at, width)
    assert len(cells(browser, "matrix")[0]) == 6
    for table in ("matrix", "backends", "training"):
        box = browser.find_element("css selector", f".wide:has(> #{table})")
        assert width == 400 or browser.execute_script(OVERFLOW, box) == 0, table
    page_itself = browser.find_element("css selector", "html")
    assert browser.execute_script(OVERFLOW, page_itself) == 0


@pytest.mark.parametrize("width", [1400, 1200])
def test_an_index_fits_a_window(report, browser, tmp_path, width):
    shown = replace(
        all_four(report, report.nodes),
        model=max(zoo.list_models(), key=len),
        parameters={"plain": 644_812_894},
    )
    (tmp_path / "index.html").write_text(page.index([shown] * 2, "zoo verify --all"))
    opened(browser, tmp_path / "index.html", width)
    assert len(cells(browser, "models")[0]) == 13
    box = browser.find_element("css selector", ".wide")
    assert browser.execute_script(OVERFLOW, box) == 0


def test_an_index_has_no_column_that_nothing_fills(report, browser, tmp_path):
    def heads(*reports):
        (tmp_path / "index.html").write_text(page.index(reports, "zoo verify --all"))
        opened(browser, tmp_path / "index.html")
        return [e.text for e in browser.find_elements("css selector", "#models thead th")]

    forward = replace(report, training=None)
    gradients = replace(report, training=replace(report.training, steps=0, rates={}))
    names = ["model", "verdict", "parameters", "nodes", "input", "tolerance", "PyTorch", "Flax NNX"]
    assert heads(forward) == names
    assert heads(forward, gradients) == [*names, "gradients"]
    after = ["weights after SGD", "weights after Adam"]
    assert heads(forward, report) == [*names, "gradients", *after]


def test_what_was_verified_in_words(report, shown_at, browser, tmp_path):
    options = {**report.options, "aux": True, "input_size": (64, 80)}
    heads = replace(report, options=options, training=None)
    (tmp_path / "page.html").write_text(heads.to_html())
    for path, words in (
        (shown_at, "24x24 pixels, 3 channels, 10 classes; float32, level training"),
        (tmp_path / "page.html", "64x80 pixels, 3 channels, 10 classes, with auxiliary heads; float32"),
    ):  # fmt: skip
        opened(browser, path)
        command, about, *_ = browser.find_elements("css selector", "p.soft")
        assert words in about.text
        assert command.text == report.command
    assert report.command.startswith("zoo verify /")
    assert report.command.endswith("small.yaml --backends torch,flax --level training")


@pytest.mark.parametrize(
    ("error", "shade"),
    [
        (0, 0),
        (1e-12, 0),
        (1e-8, 0),
        (1e-7, 2),
        (1e-6, 4),
        (1e-5, 6),
        (1.1e-5, 7),
        (float("inf"), 7),
    ],
)
def test_cells_are_shaded_by_how_near_they_are_to_what_is_allowed(report, error, shade):
    (pair,) = report.pairs
    worst = replace(pair, worst=Worst(error, "conv"))
    shown = replace(report, tolerance=1e-5, pairs=(worst,), training=None)  # no plots of training
    assert f'<td class="s{shade}">{error:.1e}<small>conv' in shown.to_html()


def test_a_depth_plot_counts_in_whole_nodes_and_names_the_worst(report, shown_at, browser):
    opened(browser, shown_at)
    texts = [e.text for e in browser.find_elements("css selector", ".deep svg text")]
    ticks = [text for text in texts if text.replace(".", "").isdigit()]
    assert set("123456") <= set(ticks) <= set("01234567")
    most = max(max(result.errors) for result in report.results)
    (name,) = (text for text in texts if text.startswith("worst: "))
    assert name.split()[1].rstrip(",") in report.nodes
    assert f"{most:.1e}" in name
    legend = [e.text for e in browser.find_elements("css selector", "#curves svg text")]
    assert "PyTorch \N{MINUS SIGN} Flax NNX" in legend


def test_a_large_networks_steps_are_a_sample_and_the_page_says_so(report, browser, tmp_path):
    training = replace(report.training, sampled=1_000_123, values=13_378_280)
    (tmp_path / "page.html").write_text(replace(report, training=training).to_html())
    opened(browser, tmp_path / "page.html")
    kept = browser.find_element("id", "kept").text
    assert kept == "a sample of 1,000,123 of 13,378,280 weights and statistics"


def test_a_page_says_what_is_wrong(report, browser, tmp_path):
    torch, flax = report.results
    text = "<script>conv: error 1.0e-01 above 1.0e-05"
    wrong = replace(torch, problems=(text,), first=Worst(0.1, "conv"), errors=(0.1,) * 6)
    missing = replace(flax, status="missing", worst=None, errors=(), problems=())
    check = Check("form", "torch.compile", "torch", 0.5, 1e-12, "output logits")
    failed = replace(report, results=(wrong, missing), checks=(check,), training=None)
    assert not failed.passed
    path = tmp_path / "page.html"
    path.write_text(failed.to_html())
    opened(browser, path)
    assert browser.title == "small: FAIL"
    problems = [e.text for e in browser.find_elements("css selector", "li.fail")]
    assert problems == [
        f"PyTorch: {text}",
        "PyTorch: execution mode torch.compile: error 5.0e-01 at output logits, allowed 1.0e-12",
    ]
    assert "not installed" in cells(browser, "backends")[0]


@pytest.mark.parametrize("level", ["forward", "gradients", "training alone", "nothing"])
def test_a_page_of_less(level, report, browser, tmp_path):
    """Of a lower level, of one backend, and of none that ran."""
    training = report.training
    less = {
        "forward": {"training": None},
        "gradients": {"training": replace(training, steps=0, rates={}, drift={})},
        "training alone": {"training": replace(training, pairs=()), "pairs": ()},
        "nothing": {
            "results": tuple(replace(r, status="failed", worst=None) for r in report.results),
            "pairs": (),
            "training": None,
        },
    }[level]
    shown = replace(report, **less)
    path = tmp_path / "page.html"
    path.write_text(shown.to_html())
    opened(browser, path)
    assert browser.title == f"small: {'FAIL' if level == 'nothing' else 'PASS'}"
    pictures = browser.find_elements("css selector", "svg")
    count = {"forward": 1, "gradients": 1, "training alone": 4, "nothing": 0}
    assert len(pictures) == count[level]
    (tmp_path / "index.html").write_text(page.index([shown], "zoo verify --all"))
    opened(browser, tmp_path / "index.html")
    assert [row[0] for row in cells(browser, "models")] == ["small"]


def test_a_report_comes_back_from_json(report, shown_at):
    found = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert Report.from_dict(found).to_dict() == found
    assert Report.from_dict(found).to_html() == shown_at.read_text()


def test_no_empty_figures_of_steps_that_were_not_taken(report):
    training = replace(report.training, steps=0, rates={}, drift={}, losses={"torch": {}})
    gradients = replace(report, level="gradients", training=training)
    found = json.loads(json.dumps(gradients.to_dict()))
    assert set(found["training"]) == {"input_size", "batch", "pairs", "problems"}
    assert set(found["training"]["pairs"][0]) == {
        "a", "b", "loss", "gradients", "of_input", "problems"
    }  # fmt: skip
    assert Report.from_dict(found).to_dict() == found
    assert "gradients in float64, batches of 4 digits" in str(gradients)


def test_what_each_backend_has_of_its_own_is_a_row_of_it(report, browser, tmp_path):
    """No table with a column for each backend, of which nearly every cell is empty."""
    checks = [
        Check("form", form, backend, 1e-15, 1e-12)
        for backend, forms in {"torch": ("eager", "torch.compile"), "flax": ("eager", "nnx.jit")}.items()
        for form in forms
    ]  # fmt: skip
    note = "PyTorch has no float16 kernel for the operation conv2d on this machine"
    lacking = Check(
        "precision", "float16", "torch", note=note, limit=note, detail="RuntimeError: as it said"
    )
    shown = replace(report, checks=(*checks, lacking), training=None)
    assert "PyTorch   eager 1.0e-15, torch.compile 1.0e-15" in str(shown)
    (tmp_path / "page.html").write_text(shown.to_html())
    opened(browser, tmp_path / "page.html")
    text = browser.find_element("css selector", "body").text
    (row,) = (r for r in browser.find_elements("css selector", "tr") if "torch.compile" in r.text)
    assert row.text.split() == ["PyTorch", "1.0e-15", "eager", "1.0e-15", "torch.compile"]
    assert note in text
    assert "as it said" not in text + str(shown)
    assert shown.to_dict()["checks"][-1]["detail"] == "RuntimeError: as it said"


def test_without_what_pages_are_made_with(monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(zoo.BackendError, match=r"python -m pip install 'polyzoo\[report\]'"):
        page.check()
