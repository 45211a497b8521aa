"""Drawings elsewhere than in a browser, in notebooks, and side by side with what differs marked."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest
from browsing import chromium, opened

import zoo
from zoo.views.difference.page import covers

SVG = "{http://www.w3.org/2000/svg}"
COLORS = """
    return [...document.querySelectorAll(".zoo-drawing rect, .zoo-drawing path, .zoo-drawing text")]
        .map(getComputedStyle).map((s) => [s.fill, s.stroke, s.fontSize, s.fontWeight])
"""


@pytest.fixture(scope="module")
def browser():
    running = chromium()
    yield next(running)
    running.close()


def test_a_picture_looks_the_same_without_its_style_sheet(browser, tmp_path):
    """Programs that are no browsers understand attributes alone."""
    drawing = zoo.draw("googlenet", depth=2, aux=True)
    root = ET.fromstring(drawing.svg)
    assert "style" not in root.attrib  # some reject lengths such as 'auto'
    (tmp_path / "whole.svg").write_text(drawing.svg)
    root.remove(root.find(f"{SVG}style"))
    ET.register_namespace("", SVG.strip("{}"))
    (tmp_path / "plain.svg").write_text(ET.tostring(root, encoding="unicode"))
    colors = {}
    for name in ("whole", "plain"):
        opened(browser, tmp_path / f"{name}.svg")
        colors[name] = browser.execute_script(COLORS)
    assert len(colors["plain"]) > 300
    assert colors["plain"] == colors["whole"]
    assert len({fill for fill, *_ in colors["plain"]}) > 10


def test_a_wide_picture_fits_a_notebook(browser, tmp_path):
    drawing = zoo.draw("googlenet", depth=2)
    width = float(ET.fromstring(drawing.svg).get("width"))
    (tmp_path / "cell.html").write_text(
        f'<!doctype html><div style="width: 500px">{drawing._repr_html_()}</div>'
    )
    opened(browser, tmp_path / "cell.html")
    shown = browser.find_element("css selector", "svg").rect
    assert width > 500 >= shown["width"] > 490
    assert shown["height"] / shown["width"] == pytest.approx(
        float(ET.fromstring(drawing.svg).get("height")) / width, rel=0.01
    )


#: In one call: the driver takes some milliseconds for each.
CLASSES = """
    return [...document.querySelectorAll(`.side:nth-child(${arguments[0]}) g.box`)]
        .map((box) => [box.dataset.name, [...box.classList]])
"""


def classes(browser, side):
    kinds = {"added", "removed", "changed", "follows"}
    found = {name: kinds & set(of) for name, of in browser.execute_script(CLASSES, side)}
    return {name: kind.pop() for name, kind in found.items() if kind}


def test_two_networks_side_by_side(browser, tmp_path):
    zoo.diff("googlenet", "googlenet_no_reduce", tmp_path / "page.html", depth=2)
    opened(browser, tmp_path / "page.html")
    assert classes(browser, 1) == {"conv2.reduce": "removed"}
    assert classes(browser, 2) == {}
    title = browser.find_element("css selector", '[data-name="conv2.reduce"] title')
    assert "conv: removed; relu: removed" in title.get_attribute("textContent")


def test_the_legend_has_what_the_drawings_show(browser, tmp_path):
    zoo.diff("googlenet", "googlenet_no_reduce", tmp_path / "page.html")
    opened(browser, tmp_path / "page.html")
    assert classes(browser, 1) == classes(browser, 2) == {"conv2": "changed"}
    page = (tmp_path / "page.html").read_text()
    assert re.findall(r'<span class="(\w+)">', page) == ["changed"]  # a layer in it is removed


def test_what_is_within_a_box_marks_it(browser, tmp_path):
    zoo.diff("resnet50", "resnet101", tmp_path / "page.html")
    opened(browser, tmp_path / "page.html")
    # The first block of layer4 reads the last one of layer3, which is another.
    assert (
        classes(browser, 1) == classes(browser, 2) == dict.fromkeys(("layer3", "layer4"), "changed")
    )
    zoo.diff("googlenet", "googlenet_bn", tmp_path / "other.html", depth=9)
    opened(browser, tmp_path / "other.html")
    marked = classes(browser, 2)
    assert marked["conv1.bn"] == "added"
    assert marked["conv1.conv"] == "changed"
    assert classes(browser, 1)["norm1"] == "removed"
    assert "pool1" not in marked


def test_networks_that_do_not_differ(tmp_path):
    zoo.diff("lenet5", "lenet5", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "No differences." in page
    assert '<p class="legend">' not in page


@pytest.mark.parametrize(
    ("box", "node", "wanted"),
    [
        ("conv1", "conv1", True),
        ("conv1", "conv1.bn", True),
        ("conv1", "conv10.bn", False),
        ("stage.block2-6", "stage.block1.add", False),
        ("stage.block2-6", "stage.block6.conv1.conv", True),
        ("stage.block2-6", "stage.block7", False),
    ],
)
def test_what_a_box_stands_for(box, node, wanted):
    assert covers(box, node) is wanted
