"""Long pictures in columns: even ones, with the proportions of a page, and every line there."""

import itertools
import re

import pytest
from pictures import SVG, Picture, check_nothing_is_in_the_way, numbers, overlap

import zoo


def column_ends(name, depth, block=None) -> list[list[tuple[str, float, float]]]:
    """Columns of a picture from left to right: name, top and bottom of each item, downwards.

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
