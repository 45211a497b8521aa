"""Pictures and events of training runs, whose folders are written by hand."""

import itertools
import json
import re
import warnings
from xml.etree import ElementTree

import pytest

import zoo


def folder_of(path, *, ema=None, resumed=()):
    """A run of three epochs with two steps each, and where others went on."""
    path.mkdir()
    recipe = f"model: lenet5\ndata: digits\nepochs: 3\nlr: 0.1\nema: {json.dumps(ema)}\n"
    (path / "recipe.yaml").write_text(recipe)
    lines = [{"step": 0, "backend": "torch"}]
    lines += [{"step": step, "backend": backend} for step, backend in resumed]
    lines += [{"step": n, "loss": 1 / n, "lr": 0.1} for n in range(1, 7)]
    for n in range(1, 4):
        result = {"loss": 1.0, "top1": n / 4, "top5": None}
        epoch = {"epoch": n, "step": 2 * n, "train_loss": 1.0, "validation": result}
        lines.append({**epoch, "best": True, "lr": 0.1, "seconds": 1.0})
    (path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.mark.parametrize(
    "name", ["cost_$5_vs_$6", "we$ird_<b>&_$x^2", '_a"b', "$\\frac$", "\N{SNOWMAN}"]
)
def test_the_name_of_a_run_is_shown_as_it_is(name, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of Matplotlib, about a name that it leaves out
        warnings.filterwarnings("ignore", message="Glyph")  # that the font may not have
        folder = folder_of(tmp_path / name)
        page = zoo.curves(folder).read_text("utf-8")
    picture = ElementTree.parse(folder / "curves.svg").getroot()
    assert picture.get("aria-label") == f"Training of {name}"
    texts = {"".join(text.itertext()) for text in picture.iter("{http://www.w3.org/2000/svg}text")}
    assert {f"{name}: training", f"{name}: validation"} <= texts
    assert "<b>&_" not in page


def test_the_labels_of_resumes_are_beneath_each_other(tmp_path):
    runs = [
        folder_of(tmp_path / name, resumed=[(2, name), (3, name)]) for name in ("flax", "keras")
    ]
    zoo.curves(runs, tmp_path / "both")
    picture = (tmp_path / "both" / "curves.svg").read_text()
    heights = re.findall(r'<text [^>]*?y="([\d.]+)"[^>]*>(?:flax|keras)</text>', picture)
    places = sorted(map(float, heights))
    assert len(places) == 4 and all(b - a > 9 for a, b in itertools.pairwise(places))


@pytest.mark.parametrize("ema", [None, 0.9])
def test_validation_of_averages_is_called_so(ema, tmp_path):
    page = zoo.curves(folder_of(tmp_path / "run", ema=ema)).read_text()
    assert ("run: validation of the averages" in page) == (ema is not None)
    assert ("moving averages of the weights" in page) == (ema is not None)
