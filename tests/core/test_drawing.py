"""Pictures: what they show is the graph, and nothing in them is in the way of anything else."""

import itertools
import math
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import zoo
from zoo import ops
from zoo.drawing import columns, routing, svg, words
from zoo.drawing.boxes import INPUT, Box, Frame
from zoo.drawing.layout import WIDEST, text_width
from zoo.network import Block

SVG = "{http://www.w3.org/2000/svg}"

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


class Picture:
    """What a reader sees: rectangles by name, lines as points, shapes beside boxes."""

    def __init__(self, text: str) -> None:
        self.root = ET.fromstring(text)
        network = next(g for g in self.root if g.get("class") == "network")
        self.shift = numbers(network.get("transform"))
        groups = [g for g in network.iter(f"{SVG}g") if g.get("data-name") is not None]
        self.boxes = [(g.get("data-name"), rectangle(g)) for g in groups if is_box(g)]
        self.frames = [(g.get("data-name"), rectangle(g)) for g in groups if not is_box(g)]
        self.shapes = {
            g.get("data-name"): text
            for g in groups
            for text in g.findall(f"{SVG}text[@class='shape']")
        }
        self.lines = [
            (p.get("data-from"), p.get("data-to"), segments(p.get("d")))
            for p in network.iter(f"{SVG}path")
            if p.get("class") == "line"
        ]

    @property
    def edges(self) -> set[tuple[str, str]]:
        """From box to box, through the frames between them."""
        into = {}
        for source, target, _ in self.lines:
            into.setdefault(target, []).append(source)

        def boxes_behind(name: str) -> list[str]:
            if name in {n for n, _ in self.boxes}:
                return [name]
            return [box for source in into[name] for box in boxes_behind(source)]

        return {(b, n) for n, _ in self.boxes for s in into.get(n, []) for b in boxes_behind(s)}


def is_small(child) -> bool:
    """Whether it is a short chain of operations, which is one box as long as others are folded."""
    if not isinstance(child, Block):
        return False
    plain = not any(isinstance(step.child, Block) for step in child.steps)
    return plain and child.is_chain and len(child.steps) <= 4


def is_box(group) -> bool:
    return "box" in group.get("class").split()


def numbers(text: str) -> list[float]:
    return [float(n) for n in re.findall(r"-?[\d.]+(?:e[-+]?\d+)?", text)]


def rectangle(group) -> tuple[float, float, float, float]:
    rect = group.find(f"{SVG}rect")
    x, y, width, height = (float(rect.get(k)) for k in ("x", "y", "width", "height"))
    return x, y, x + width, y + height


def segments(path: str) -> list[tuple[float, float, float, float]]:
    """The straight parts of a path whose corners are rounded, drawn out to the corners."""
    points = []
    for sign, rest in re.findall(r"([MLQ])([^MLQ]*)", path):
        where = numbers(rest)
        points.append((where[0], where[1]))  # of a corner, the corner itself
        if sign == "Q":
            points.append((where[2], where[3]))
    return [
        (min(a, c), min(b, d), max(a, c), max(b, d))
        for (a, b), (c, d) in itertools.pairwise(points)
        if (a, b) != (c, d)
    ]


def overlap(a, b, room: float = 0.11) -> bool:
    """Whether two rectangles share more than an edge; numbers are rounded to a tenth."""
    return a[0] < b[2] - room and b[0] < a[2] - room and a[1] < b[3] - room and b[1] < a[3] - room


def crosses(segment, rect) -> bool:
    """Whether a line goes through a rectangle, not only along or up to its edge."""
    x0, y0, x1, y1 = segment
    return overlap((x0 - 0.2, y0 - 0.2, x1 + 0.2, y1 + 0.2), rect, 0.4)


def collinear(a, b) -> bool:
    """Whether two lines run along each other."""
    upright = a[0] == a[2] and b[0] == b[2] and abs(a[0] - b[0]) < 2
    level = a[1] == a[3] and b[1] == b[3] and abs(a[1] - b[1]) < 2
    return (upright and min(a[3], b[3]) - max(a[1], b[1]) > 1) or (
        level and min(a[2], b[2]) - max(a[0], b[0]) > 1
    )


def check_nothing_is_in_the_way(picture: Picture) -> None:
    for (_, a), (_, b) in itertools.combinations(picture.boxes, 2):
        assert not overlap(a, b)
    for (name, a), (other, b) in itertools.combinations(picture.frames, 2):
        nested = other.startswith(f"{name}.") or name.startswith(f"{other}.")
        assert overlap(a, b) == nested
    for source, target, parts in picture.lines:
        for name, rect in picture.boxes:
            assert not any(crosses(part, rect) for part in parts), (source, target, name)
        for name, rect in picture.frames:
            inside = source.startswith(f"{name}.")
            assert inside or not any(crosses(part, rect) for part in parts), (source, target, name)
    for (a, b, parts), (c, d, others) in itertools.combinations(picture.lines, 2):
        if a != c and b != d:
            along = [pair for pair in itertools.product(parts, others) if collinear(*pair)]
            assert not along, (a, b, c, d, along)


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
    """As wide as text may be, a shape is in no box, and no line but its own passes through it."""
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


def column_ends(name, depth, block=None) -> list[list[tuple[str, float, float]]]:
    """Columns of a picture, from left to right: what is in each, name, top and bottom, downwards.

    A line that goes up leads from one column to the next; what other lines join is in one.
    """
    picture = Picture(zoo.draw(name, depth=depth, block=block).svg)
    outer = [
        f for f, _ in picture.frames if not any(f.startswith(f"{g}.") for g, _ in picture.frames)
    ]
    items = {
        n: r
        for n, r in [*picture.boxes, *picture.frames]
        if not n.startswith(tuple(f"{g}." for g in outer))
    }
    column_of = {item: {item} for item in items}
    for path in picture.root.iter(f"{SVG}path"):
        source, target = path.get("data-from"), (path.get("data-to") or "").removesuffix(".input")
        if source in items and target in items:
            heights = [numbers(part)[1] for part in re.findall(r"[MLQ]([^MLQ]*)", path.get("d"))]
            if all(above <= below for above, below in itertools.pairwise(heights)):
                joined = column_of[source] | column_of[target]
                column_of |= dict.fromkeys(joined, joined)
    columns = {min(items[n][0] for n in names): names for names in column_of.values()}
    return [
        sorted(((n, items[n][1], items[n][3]) for n in columns[x]), key=lambda item: item[1])
        for x in sorted(columns)
    ]


SHORT = [
    ("resnet50", 1, "layer1.block1"),
    ("convnext_tiny", 2, "stage1.block1"),
    ("inception_v4", 1, "stem"),
    ("inception_v3", 4, "mixed7b"),
    ("inception_module", 2, None),
    ("inception_module_naive", 2, None),
    ("googlenet", 3, "inception3a"),
]


@pytest.mark.parametrize(("name", "depth", "block"), SHORT)
def test_a_short_picture_has_one_column(name, depth, block):
    assert len(column_ends(name, depth, block)) == 1


LONG = [
    *(("googlenet", depth) for depth in (1, 2, 3, None)),
    *(("densenet121", depth) for depth in (1, 2, None)),
    *(("resnet50", depth) for depth in (2, 3)),
    *(("vgg16", depth) for depth in (1, 2, None)),
    *((name, 1) for name in ("inception_v3", "inception_resnet_v2", "mobilenet_v3_large")),
    ("densenet201", None),
    ("resnet152", None),
]


@pytest.mark.parametrize(("name", "depth"), LONG)
def test_columns_are_even_and_keep_the_ends_in_company(name, depth):
    columns = column_ends(name, depth)
    heights = [max(b for _, _, b in c) - min(a for _, a, _ in c) for c in columns]
    assert min(heights) > max(heights) / 2
    first, last = columns[0], columns[-1]
    assert len(first) >= 3 and len(last) >= 3
    assert first[0][0] == "input" and last[-1][0].startswith("output ")


@pytest.mark.parametrize(("name", "depth"), LONG)
def test_a_long_picture_has_the_proportions_of_a_page(name, depth):
    picture = Picture(zoo.draw(name, depth=depth).svg)
    _, _, width, height = numbers(picture.root.get("viewBox"))
    assert 0.55 < width / height < 1.9


def test_an_open_block_in_columns_has_every_line():
    graph = zoo.graph("densenet121")
    picture = Picture(zoo.draw(graph, depth=2).svg)
    frames = dict(picture.frames)
    block = frames["denseblock3"]
    boxes = [rect for name, rect in picture.boxes if name.startswith("denseblock3.")]
    assert len({rect[0] for rect in boxes}) > 2
    assert all(overlap(rect, block) for rect in boxes)
    names = [f"denseblock3.denselayer{i}" for i in range(1, 25)]
    assert set(itertools.pairwise(["transition2", *names, "transition3"])) <= picture.edges
    check_nothing_is_in_the_way(picture)


@pytest.mark.parametrize("name", ["resnet50", "densenet121", "inception_v3", "efficientnet_b0"])
def test_nothing_is_in_the_way_where_all_is_open(name):
    check_nothing_is_in_the_way(Picture(zoo.draw(name, depth=3).svg))


def test_wide_branches_stand_side_by_side_and_their_lines_are_straight():
    picture = Picture(zoo.draw("inception_v3", block="mixed7b", depth=4).svg)
    frames = dict(picture.frames)
    branches = ["branch1x1", "branch3x3", "branch_double3x3", "branch_pool"]
    rects = [frames[f"mixed7b.{branch}"] for branch in branches]
    assert max(rect[1] for rect in rects) < min(rect[3] for rect in rects)
    for source, target, parts in picture.lines:
        if target == "mixed7b.concat":
            upright = [part for part in parts if part[0] == part[2] and part[3] - part[1] > 8]
            assert len({part[0] for part in upright}) <= 2, source


def test_columns():
    tall, wide = (Picture(zoo.draw("googlenet", columns=n).svg) for n in (1, 4))
    assert len({rect[0] + rect[2] for _, rect in tall.boxes}) == 1
    tops = [rect for _, rect in wide.boxes if rect[1] == 0]
    assert len(tops) == 4
    assert tall.edges == wide.edges


def test_the_legend_names_the_colours_in_use(case):
    _, _, picture = case
    legend = next(g for g in picture.root if g.get("class") == "legend")
    used = {g.get("class") for g in picture.root.iter(f"{SVG}g") if is_box(g)}
    assert {f"box {key.get('class')}" for key in legend} == used
    assert [text.text for text in legend.iter(f"{SVG}text")] == [
        family for family in words.FAMILIES if f"box {family.replace(' ', '-')}" in used
    ]


def test_the_legend_is_evenly_spaced():
    """By the widths of the letters, in the widest of the fonts there are."""
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


def test_every_operation_has_a_colour():
    assert set(ops.OPS) <= {op for family in words.FAMILIES.values() for op in family}


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
    path = spec_file(f"{'n' * 300}: {{op: flatten}}")
    picture = Picture(zoo.draw(path).svg)
    assert float(picture.root.get("width")) < 500
    assert picture.boxes[1][0] == "n" * 300


@st.composite
def frames(draw, depth: int = 2, name: str = "net") -> Frame:
    """Any network: every item reads some before it, and all lead to the output."""
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


def test_a_short_chain_is_told_in_its_order(spec_file):
    path = spec_file(
        """
        first: {layers: {conv: {op: conv, out_channels: 8, kernel_size: 3, stride: 2, groups: 4}, bn: {op: batch_norm}, relu: {op: relu}}}
        second: {layers: {pool: {op: max_pool, kernel_size: [3, 2], stride: 1}, conv: {op: conv, out_channels: 8, kernel_size: 1, groups: 8}}}
        flatten: {op: flatten}
        """,
        header="options: {in_channels: 4, input_size: 16}\n",
    )
    texts = [t.text for t in Picture(zoo.draw(path).svg).root.iter(f"{SVG}text")]
    assert "depthwise conv 3x3 /2, BN, relu" in texts
    assert "max pool 3x2, depthwise conv 1x1" in texts


def told(*arguments, **options) -> dict[str, tuple[str, str, str]]:
    """What each box of a picture says, by its name: title, words, family."""
    root = Picture(zoo.draw(*arguments, **options).svg).root
    groups = [g for g in root.iter(f"{SVG}g") if g.get("data-name") is not None and is_box(g)]
    texts = {g.get("data-name"): {t.get("class"): t.text for t in g} for g in groups}
    families = {g.get("data-name"): g.get("class").removeprefix("box ") for g in groups}
    return {
        name: (text["title"], text.get("words", ""), families[name]) for name, text in texts.items()
    }


def test_a_block_of_one_main_operation_says_it_and_has_its_colour():
    boxes = told("inception_module_naive", depth=2)
    assert boxes["inception.branch_pool"] == ("branch_pool", "max pool 3x3", "pooling")
    assert boxes["inception.branch3x3"] == ("branch3x3", "conv 3x3, relu", "convolution")
    boxes = told("resnet50_v2")
    assert boxes["norm"] == ("norm", "BN, relu", "normalisation")


def test_a_block_that_convolves_and_pools_has_neither_colour():
    words = "BN, relu, conv 1x1, avg pool 2x2 /2"
    assert told("densenet121")["transition1"] == ("transition1", words, "block")
    assert told("googlenet", depth=2)["inception3a.branch_pool"][2] == "block"


@pytest.mark.parametrize(
    ("name", "depth"),
    [("googlenet", 2), ("googlenet", 3), ("resnet50", 2), ("resnet50", 3), ("inception_v3", 2)],
)
def test_a_picture_has_one_level_of_detail(name, depth):
    """Where some chain of a convolution and what belongs to it is folded, all are."""
    graph = zoo.graph(name)
    boxes = told(graph, depth=depth)
    shown = [
        graph[name] for name in boxes if name != "input" and " " not in name and "-" not in name
    ]
    assert any(is_small(child) for child in shown)
    around = [graph[child.name.rpartition(".")[0]] for child in shown if "." in child.name]
    assert not [block.name for block in around if is_small(block)]


def test_the_deepest_level_shows_every_operation():
    assert str(zoo.draw("googlenet", depth=4)) == str(zoo.draw("googlenet", depth=None))
    assert "inception3a.branch1x1.conv" in told("googlenet", block="inception3a", depth=3)


def test_runs_of_equal_blocks_are_one_box():
    boxes = told("inception_resnet_v2")
    assert boxes["residual_b1-20"][0] == "residual_b1-20, × 20"
    assert boxes["residual_b1-20"][1] == "residual, 1,126,784 parameters each"
    assert "residual_c1-9" in boxes
    assert "residual_c10" in boxes  # without activation, so not one of them
    # Rates at which training drops blocks differ from block to block.
    assert told("convnext_tiny", depth=2)["stage3.block1-9"][0] == "block1-9, × 9"
    boxes = told("resnet50", depth=2)
    assert {"layer2.block1", "layer2.block2-4"} <= boxes.keys()


def test_runs_are_told_from_others():
    """Not folded: other arguments, other shapes, and what another step reads."""
    assert {"block7", "block8", "block9-10", "block11"} <= told("mobilenet_v3_large").keys()
    assert {"mixed6b", "mixed6c-6d", "mixed6e"} <= told("inception_v3").keys()
    names = [name for name in told("googlenet", aux=True) if name.startswith("inception")]
    assert len(names) == 9


def test_what_ends_a_run_has_its_output(spec_file):
    blocks = """
    blocks:
      pair: {layers: {one: {op: relu}, two: {op: concat, from: [input, one]}, three: {op: slice, stop: 3}, four: {op: relu}, five: {op: relu}}}
    """
    path = spec_file(
        "a: {block: pair, repeat: 3}\nflatten: {op: flatten}", header=textwrap.dedent(blocks)
    )
    picture = Picture(zoo.draw(path).svg)
    assert picture.edges == {
        ("input", "a1-3"),
        ("a1-3", "flatten"),
        ("flatten", "output logits"),
    }
    picture = Picture(zoo.draw(path, depth=2).svg)
    assert ("a1.five", "a2.one") in picture.edges


@pytest.mark.parametrize(
    ("name", "box", "words"),
    [
        ("resnet50", "layer3", "6 × bottleneck 3x3, relu"),
        ("resnext50_32x4d", "layer1", "3 × bottleneck 3x3, 32 groups, relu"),
        ("shufflenet_v2_x1_0", "stage2", "down 3x3 /2, relu, 3 × unit 3x3, relu"),
        ("vgg16", "stage3", "3 × conv 3x3, max pool 2x2 /2"),
        ("convnext_tiny", "stage2", "conv 2x2 /2, 3 × block 7x7, gelu"),
        ("efficientnet_b0", "stage3", "2 × mbconv 5x5, SE, silu"),
        ("mobilenet_v2", "stage1", "bottleneck 3x3, relu6"),
        ("mobilenet_v3_large", "block4", "bneck 5x5 /2, SE, relu"),
        ("mobilenet_v3_large", "block7", "bneck 3x3 /2, hard swish"),
        ("mobilenet_v3_large", "block13", "bneck 5x5 /2, SE, hard swish"),
        ("googlenet", "conv2", "conv 1x1, relu, conv 3x3, relu"),
        ("inception_v4", "stem", "605,728 parameters"),
        ("googlenet", "inception3a", "inception, 163,696 parameters"),
    ],
)
def test_a_folded_block_says_what_it_is_made_of(name, box, words):
    assert told(name)[box][1] == words


def test_blocks_of_a_kind_are_told_alike():
    """Without its shortcut a block is a chain, and says yet what the others of its kind say."""
    boxes = told("mobilenet_v2", depth=2)
    assert boxes["stage6.block1"][1] == "bottleneck 3x3 /2, relu6"
    assert boxes["stage7.block1"][1] == "bottleneck 3x3, relu6"


def test_a_chain_too_long_for_its_box_is_told_shorter():
    boxes = told("inception_v3", depth=2)
    words = "conv 1x1, 7x1, 1x7, 7x1, 1x7"
    assert boxes["mixed6b.branch_double7x7"][1] == words


def test_grouped_convolutions_say_how_many_groups():
    boxes = told("resnext50_32x4d", depth=2, block="layer1")
    assert boxes["layer1.block1.conv2"][1] == "conv 3x3, 32 groups, BN, relu"


def test_the_picture_in_the_readme_is_todays():
    root = Path(__file__).parents[2]
    assert "docs/googlenet.svg" in (root / "README.md").read_text()
    assert (root / "docs/googlenet.svg").read_text() == str(zoo.draw("googlenet", aux=True))


def test_text_is_escaped():
    place = routing.frame(Frame("", "", (Box("a", "<&\x01>", 'b"', "block"),) * 2, ((0, 1),)))
    text = svg.write(place, "<&\x00]]>", "&amp;", "<b>")
    root = ET.fromstring(text)
    assert root.find(f"{SVG}title").text == "<&\ufffd]]>"
    assert root.find(f"{SVG}desc").text == "<b>"
    assert "&amp;" in {t.text for t in root.iter(f"{SVG}text")}


def test_the_verb(tmp_path):
    graph = zoo.graph("googlenet")
    drawing = zoo.draw(graph, tmp_path / "a.svg")
    assert (tmp_path / "a.svg").read_text() == drawing._repr_svg_() == str(drawing)
    assert str(zoo.draw("googlenet")) == str(drawing)
    assert isinstance(graph["inception3a"], Block)
    with pytest.raises(zoo.UnknownNameError, match="no node or block 'inception3'"):
        zoo.draw(graph, block="inception3")
    with pytest.raises(zoo.InputError, match="'pool1' of googlenet is one operation"):
        zoo.draw(graph, block="pool1")
    with pytest.raises(zoo.InputError, match="depth must be None or an integer of at least 1"):
        zoo.draw(graph, depth=0)
    with pytest.raises(zoo.InputError, match="aux: a network that is built has its options"):
        zoo.draw(graph, aux=True)
    with pytest.raises(zoo.BackendError, match="does not know its graph"):
        zoo.draw(7)


def command(*arguments) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "zoo", "draw", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_the_command(tmp_path):
    path = tmp_path / "googlenet.svg"
    done = command("googlenet", "--aux", "--all", "--output", path)
    assert done.returncode == 0, done.stderr
    assert path.read_text() == str(zoo.draw("googlenet", depth=None, aux=True))
    done = command("googlenet", "--block", "inception3a", "--num-classes", "7", "--depth", "2")
    assert done.stdout == str(zoo.draw("googlenet", depth=2, block="inception3a"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["googlnet"], "Unknown model 'googlnet'. Did you mean 'googlenet'?"),
        (["googlenet", "--output", "/nowhere/a.svg"], "--output: there is no folder '/nowhere'"),
        (["googlenet", "--output", "."], "--output: expected a file, got the folder '.'"),
        (["googlenet", "--output", "/proc/a.svg"], "cannot be written to"),
        (["googlenet", "--output", "a.png"], "a.png: pictures are SVG; give a name ending in .svg"),
        (["googlenet", "--block", "inception"], "googlenet has no node or block 'inception'."),
        (["vgg16", "--aux"], "vgg16 has no auxiliary heads"),
    ],
)
def test_mistakes_are_one_line_and_status_2(arguments, message):
    done = command(*arguments)
    assert done.returncode == 2
    assert not done.stdout
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
