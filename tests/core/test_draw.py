"""The verb and the command that draw."""

import subprocess
import sys
from pathlib import Path

import pytest
from limits import HANG

import zoo
from zoo.graphs.blocks import Block


def test_the_picture_in_the_readme_is_todays():
    root = Path(__file__).parents[2]
    assert "docs/googlenet.svg" in (root / "README.md").read_text()
    assert (root / "docs/googlenet.svg").read_text() == str(zoo.draw("googlenet", aux=True))


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
    with pytest.raises(zoo.InputError, match="aux: a graph or a model already has its options"):
        zoo.draw(graph, aux=True)
    with pytest.raises(zoo.InputError, match="drawings are SVG; give a name ending in .svg"):
        drawing.save(tmp_path / "a.png")
    with pytest.raises(zoo.BackendError, match="expected a model of .*, got 7"):
        zoo.draw(7)


def command(*arguments) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "zoo", "draw", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=HANG,
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
        (["googlnet"], "unknown model 'googlnet'. Did you mean 'googlenet'?"),
        (["googlenet", "--output", "/nowhere/a.svg"], "--output: there is no folder '/nowhere'"),
        (["googlenet", "--output", "."], "--output: expected a file, got the folder '.'"),
        (["googlenet", "--output", "/proc/a.svg"], "cannot be written to"),
        (["googlenet", "--output", "a.png"], "--output: expected a name that ends in .svg"),
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
