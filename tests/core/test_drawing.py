"""Pictures: they show the graph, and nothing in them overlaps anything else."""

import itertools
import math
import re
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import (
    SVG,
    Picture,
    check_nothing_is_in_the_way,
    crosses,
    is_box,
    is_small,
    numbers,
    overlap,
)

import zoo
from zoo.views.drawing import columns, labels, routing, svg
from zoo.views.drawing.layout import WIDEST, text_width
from zoo.views.drawing.scene import INPUT, Box, Frame

RESIDUAL = """
    stem: {op: conv, out_channels: 8, kernel_size: 3, padding: 1}
    plain: {block: residual, out_channels: 8}
    down: {block: residual, out_channels: 16, stride: 2}
    dense: {block: dense}
    cell: {block: cell}
    skip: {op: concat, from: [cell, dense]}
    pool: {op: global_avg_pool}
    flatten: {op: flatten}
    fc: {op: linear, out_features: $num_classes}
"""
BLOCKS = """\
options: {num_classes: 4, in_channels: 3, input_size: 16}
blocks:
  residual:
    parameters: {out_channels: ~, stride: 1}
    layers:
      conv1: {op: conv, out_channels: $out_channels, kernel_size: 3, padding: 1, stride: $stride}
      relu1: {op: relu}
      conv2: {op: conv, out_channels: $out_channels, kernel_size: 3, padding: 1}
      shortcut: {op: conv, from: input, out_channels: $out_channels, kernel_size: 1, stride: $stride, when: $stride > 1}
      add: {op: add, from: [conv2, shortcut]}
  dense:
    layers:
      conv1: {op: conv, out_channels: 4, kernel_size: 1}
      cat1: {op: concat, from: [input, conv1]}
      conv2: {op: conv, out_channels: 4, kernel_size: 1}
      cat2: {op: concat, from: [input, conv1, conv2]}
      conv3: {op: conv, out_channels: 4, kernel_size: 1}
      cat3: {op: concat, from: [input, conv1, conv2, conv3]}
  cell:
    layers:
      a: {op: conv, from: input, out_channels: 4, kernel_size: 1}
      b: {op: conv, from: input, out_channels: 4, kernel_size: 1}
      c: {op: max_pool, from: input, kernel_size: 3, stride: 1, padding: 1}
      d: {op: conv, from: c, out_channels: 4, kernel_size: 1}
      e: {op: add, from: [a, b]}
      f: {op: add, from: [b, d]}
      g: {layers: {one: {op: relu}, two: {op: relu}}, from: f}
      cat: {op: concat, from: [a, e, g, c]}
"""
CASES = [
    *(
        ("googlenet", options, depth)
        for options in ({}, {"aux": True})
        for depth in (1, 2, 3, None)
    ),
    *(("vgg16_bn", {}, depth) for depth in (1, 2, None)),
    *(("residual", {}, depth) for depth in (1, 2, None)),
]


@pytest.fixture(params=CASES, ids=str)
def case(request, spec_file):
    """A graph, the depth to draw it to, and its picture."""
    name, options, depth = request.param
    path = spec_file(RESIDUAL, header=BLOCKS) if name == "residual" else name
    graph = zoo.graph(path, **options)
    return graph, depth, Picture(zoo.draw(graph, depth=depth).svg)


def test_it_is_well_formed_and_stands_alone(case):
    graph, _, picture = case
    assert picture.root.tag == f"{SVG}svg"
    assert picture.root.find(f"{SVG}title").text == graph.name
    assert graph.name in picture.root.find(f"{SVG}desc").text
    text = ET.tostring(picture.root, encoding="unicode")
    assert not re.search(r"<\w*:?(script|image|a|use|foreignObject)\b|href|url\(|@import", text)
    assert set(re.findall(r"https?://[^\"' ]+", text)) == {"http://www.w3.org/2000/svg"}


def test_every_box_is_there_once_with_its_name_and_shape(case):
    graph, depth, picture = case
    rows = graph.summary(depth).rows
    whole = len(graph.summary(None).rows) == len(rows)
    small = () if whole else tuple(f"{row.name}." for row in rows if is_small(graph[row.name]))
    rows = [row for row in rows if not row.name.startswith(small)]
    open_ = {row.name for row in rows for other in rows if other.name.startswith(f"{row.name}.")}
    wanted = {row.name: row.output for row in rows if row.name not in open_}
    outputs = [f"output {output.name}" for output in graph.outputs]
    assert sorted(name for name, _ in picture.boxes) == sorted(["input", *wanted, *outputs])
    assert sorted(name for name, _ in picture.frames) == sorted(open_)
    shown = {name: text.text for name, text in picture.shapes.items()}
    assert shown.pop("input") == "x".join(map(str, (*graph.input_shape[1:], graph.input_shape[0])))
    assert shown == wanted
    texts = {t.text for t in picture.root.iter(f"{SVG}text")}
    assert {name.rpartition(".")[2] for name in wanted} <= texts


def test_the_lines_are_the_graphs(case):
    graph, _, picture = case
    boxes = {name for name, _ in picture.boxes}

    def box_of(name: str) -> str:
        while name not in boxes:
            name = name.rpartition(".")[0]
        return name

    wanted = {(box_of(i), box_of(node.name)) for node in graph.nodes for i in node.inputs}
    wanted = {(a, b) for a, b in wanted if a != b}
    wanted |= {(box_of(node.name), f"output {name}") for name, node in graph.output_nodes.items()}
    assert picture.edges == wanted


def test_nothing_is_in_the_way(case):
    check_nothing_is_in_the_way(case[2])


def test_shapes_stand_free(case):
    """However wide its text, a shape is outside of all boxes, and only its own line crosses it."""
    _, _, picture = case
    for name, text in picture.shapes.items():
        x, y = float(text.get("x")), float(text.get("y"))
        rect = (x, y - 9, x + text_width(text.text, 10.5) * 0.95, y)
        assert not any(overlap(rect, other) for _, other in picture.boxes), name
        for source, target, parts in picture.lines:
            assert not any(crosses(part, rect) for part in parts), (name, source, target)


def test_everything_is_inside_the_picture(case):
    _, _, picture = case
    _, _, width, height = numbers(picture.root.get("viewBox"))
    dx, dy = picture.shift
    places = [rect for _, rect in [*picture.boxes, *picture.frames]]
    places += [part for _, _, parts in picture.lines for part in parts]
    for x0, y0, x1, y1 in places:
        assert x0 + dx >= 0 and x1 + dx <= width and y0 + dy >= 0 and y1 + dy <= height
    for text in picture.shapes.values():
        assert float(text.get("x")) + dx + text_width(text.text, 10.5) <= width
    assert width >= 400 and float(picture.root.get("width")) == width


def test_what_is_beside_the_way_stands_beside_it():
    boxes = dict(Picture(zoo.draw("googlenet", aux=True, columns=1).svg).boxes)
    logits = boxes.pop("output logits")
    aux = {name for name in boxes if "aux" in name}
    for name, rect in boxes.items():
        middle = (rect[0] + rect[2]) / 2
        if name in aux:
            assert rect[0] > boxes["inception4b"][2]
        else:
            assert middle == pytest.approx((logits[0] + logits[2]) / 2, abs=0.1)


def test_branches_stand_about_what_they_leave_and_join():
    picture = Picture(zoo.draw("googlenet", block="inception3a", depth=2).svg)
    middle = {name: (rect[0] + rect[2]) / 2 for name, rect in [*picture.boxes, *picture.frames]}
    branches = [
        middle[f"inception3a.{b}"] for b in ("branch1x1", "branch3x3", "branch5x5", "branch_pool")
    ]
    assert branches == sorted(branches)
    assert middle["input"] == pytest.approx(sum(branches) / 4, abs=0.2)
    assert middle["inception3a.concat"] == pytest.approx(middle["input"], abs=0.2)


def test_the_legend_names_the_colors_in_use(case):
    _, _, picture = case
    legend = next(g for g in picture.root if g.get("class") == "legend")
    used = {g.get("class") for g in picture.root.iter(f"{SVG}g") if is_box(g)}
    assert {f"box {key.get('class')}" for key in legend} == used
    assert [text.text for text in legend.iter(f"{SVG}text")] == [
        family for family in labels.FAMILIES if f"box {family.replace(' ', '-')}" in used
    ]


def test_the_legend_is_evenly_spaced():
    """Measured with the letters of the widest font."""
    letters = {"input and output": 88.1, "block": 27.9, "convolution": 61.2, "pooling": 38.7}
    legend = next(g for g in Picture(zoo.draw("resnet50").svg).root if g.get("class") == "legend")
    keys = {key.find(f"{SVG}text").text: float(key.find(f"{SVG}rect").get("x")) for key in legend}
    names = list(keys)
    gaps = [
        keys[after] - keys[name] - letters[name]
        for name, after in itertools.pairwise(names)
        if name in letters and keys[after] > keys[name]
    ]
    assert len(gaps) >= 3
    assert max(gaps) - min(gaps) < 4


def test_a_wide_network_stays_bounded(spec_file):
    branches = "\n".join(f"b{i}: {{op: relu, from: input}}" for i in range(60))
    names = ", ".join(f"b{i}" for i in range(60))
    path = spec_file(
        f"{branches}\ncat: {{op: concat, from: [{names}]}}\npool: {{op: global_avg_pool}}\nflatten: {{op: flatten}}"
    )
    picture = Picture(zoo.draw(path).svg)
    assert len(picture.boxes) == 65
    assert WIDEST / 2 < float(picture.root.get("width")) < 1.6 * WIDEST
    check_nothing_is_in_the_way(picture)


def test_long_names_stay_bounded(spec_file):
    path = spec_file(f"{'n' * 200}: {{op: flatten}}")
    picture = Picture(zoo.draw(path).svg)
    assert float(picture.root.get("width")) < 500
    assert picture.boxes[1][0] == "n" * 200


@st.composite
def frames(draw, depth: int = 2, name: str = "net") -> Frame:
    """Any network in which items read earlier ones, and all lead to the output."""
    count = draw(st.integers(1, 7))
    items, lines = [], set()
    for i in range(count):
        inner = f"{name}.i{i}"
        if depth > 1 and draw(st.integers(0, 4)) == 0:
            items.append(draw(frames(depth - 1, inner)))
        else:
            items.append(Box(inner, f"i{i}", "x" * draw(st.integers(0, 30)), "block", "7x7x64"))
        lines |= {(s, i) for s in draw(st.sets(st.integers(INPUT, i - 1), min_size=1, max_size=3))}
    unread = set(range(count - 1)) - {source for source, _ in lines}
    lines |= {(i, count - 1) for i in unread}
    return Frame(name, name, tuple(items), (*sorted(lines, key=lambda e: e[1]), (count - 1, count)))


@settings(max_examples=300, deadline=None, derandomize=True)
@given(frames(), st.sampled_from([math.inf, 400, 150]), st.integers(1, 3))
def test_nothing_is_in_the_way_in_any_network(frame, tallest, count):
    ends = Box("input", "input", "", "block", "1"), Box("output x", "x", "", "block")
    whole = Frame("", "", (ends[0], frame, ends[1]), ((0, 1), (1, 2)))
    place = routing.frame(whole, tallest)
    columns.set_side_by_side(columns.splits(place, count)[-1])
    picture = Picture(svg.write(place, "any", "network", ""))
    check_nothing_is_in_the_way(picture)
