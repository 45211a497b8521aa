"""The command line end to end, where no framework is needed: output, JSON, exit status."""

import csv
import io
import json
import os
import subprocess
import sys

import pytest
from limits import HANG
from PIL import Image
from tables import golden

import zoo
from zoo.api import listing
from zoo.cli.program import COMMANDS, program
from zoo.views.tables import comma_separated, markdown


def command(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "zoo", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=HANG,
        env={**os.environ, "COLUMNS": "120", "NO_COLOR": "1", **environment},
    )


def test_list():
    done = command("list")
    assert done.returncode == 0
    for name in zoo.list_models():
        assert name in done.stdout
    assert "Going Deeper with Convolutions, 2014, https://arxiv.org/abs/1409.4842" in done.stdout
    assert done.stdout.count("\n model ") == 1  # the headings of all families


def test_list_in_a_narrow_terminal():
    lines = command("list", COLUMNS="80").stdout.splitlines()
    rows = {line.split()[0]: line for line in lines if line and "http" not in line}
    assert rows.keys() >= set(zoo.list_models())  # a line each
    assert max(map(len, rows.values())) <= 80
    row, *below = lines[lines.index(rows["vgg16"]) :][:3]
    assert row.endswith("15,470.3 M  caffe, onnx,")
    assert " ".join(line.strip() for line in below) == "paddle, slim, timm, torchvision"
    assert "so does --format markdown." in " ".join(lines)


@pytest.mark.parametrize("width", [30, 40, 60, 99, 100])
def test_a_list_is_cut_at_no_width(width):
    text = command("list", COLUMNS=str(width)).stdout
    lines = text.splitlines()
    assert all(len(line) <= width or line.startswith("http") for line in lines)
    assert lines[0] and all(line == line.rstrip() for line in lines)
    squeezed = "".join(text.split())  # a name can be longer than a line
    for entry in listing.entries().values():
        for shown in (entry["model"], f"{entry['parameters']:,}", entry["url"] or ""):
            assert shown in squeezed
    words = {word.strip(",") for word in text.split()}
    assert words >= {word for entry in listing.entries().values() for word in entry["weights"]}
    if width == 30:  # each model takes several lines, which have room for all columns
        for entry in listing.entries().values():
            assert "".join((entry["about"] or "").split()) in squeezed
        assert "A wider terminal" not in text


def test_list_as_json_with_a_pattern():
    rows = json.loads(command("list", "vgg1*", "--json").stdout)
    assert [row["model"] for row in rows] == zoo.list_models("vgg1*")
    assert {row["model"]: row["parameters"] for row in rows}["vgg16"] == 138_357_544
    weights = {row["model"]: row["weights"] for row in rows}
    assert weights["vgg16"] == ["caffe", "onnx", "paddle", "slim", "timm", "torchvision"]
    assert weights["vgg16_c"] == []


def test_list_of_a_source():
    rows = json.loads(command("list", "vgg*", "--weights", "timm", "--json").stdout)
    plain = [f"vgg{depth}" for depth in (11, 13, 16, 19)]
    assert [row["model"] for row in rows] == [*plain, *(f"{name}_bn" for name in plain)]


@pytest.mark.parametrize("name", [n for n in COMMANDS if n not in ("draw", "source")])
def test_every_command_has_one_option_for_its_format(name):
    options = {
        option: parameter
        for parameter in program.commands[name].loaded.params
        for option in parameter.opts
    }
    assert {"table", "json"} <= set(options["--format"].type.choices)
    assert options["--json"].hidden  # the older spelling


def test_source_as_a_page(tmp_path):
    done = command("source", "lenet5", "--html", tmp_path / "page.html")
    assert done.returncode == 0
    assert done.stdout == f"lenet5 written to {tmp_path / 'page.html'}\n"
    assert "class LeNet5(nn.Module)" not in done.stdout
    assert "LeNet5" in (tmp_path / "page.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "name a framework with --backend, or a page with --html"),
        (("--output", "x.py", "--html", "x.html"), "--output is for one framework"),
    ],
)
def test_source_of_no_framework(arguments, message):
    done = command("source", "lenet5", *arguments)
    assert done.returncode == 2
    assert message in done.stderr


def test_summary_shows_the_paper_beside_what_is_computed():
    done = command("summary", "googlenet")
    assert done.returncode == 0
    line = next(line for line in done.stdout.splitlines() if "inception3a" in line)
    assert all(word in line for word in ("28x28x256", "163,696", "159K", "128,049,152", "128M"))
    assert "conv1: the paper's params of 2.7K, computed 9,472" in done.stdout
    assert "6,998,552" in done.stdout


def test_summary_options():
    done = command("summary", "vgg16", "--input-size", "64x96", "--num-classes", 10, "--json")
    found = json.loads(done.stdout)
    assert found["input_shape"] == [3, 64, 96]
    assert found["rows"][-1]["output"] == "10"
    assert "stage1.conv1.conv" in command("summary", "vgg16", "--all").stdout
    assert "stage1.conv1.conv" not in command("summary", "vgg16", "--depth", 2).stdout


def test_summary_as_csv_agrees_with_json():
    rows = list(csv.DictReader(io.StringIO(command("summary", "googlenet", "--format=csv").stdout)))
    found = json.loads(command("summary", "googlenet", "--format", "json").stdout)
    assert found == json.loads(command("summary", "googlenet", "--json").stdout)
    assert len(rows) == len(found["rows"]) + 1
    for row, wanted in zip(rows, [*found["rows"], found["total"]], strict=True):
        for key in ("name", "kind", "output", "depth", "params", "ops"):
            assert row[key] == str(wanted[key])
            assert row.get(f"published_{key}", "") == str(wanted["published"].get(key, ""))
        assert row["disagreeing"].split() == wanted["disagreeing"]
    paper = {row["row"]: row for row in golden("googlenet_paper_table1")}
    module = next(row for row in rows if row["name"] == "inception3a")
    assert module["published_params"] == paper["3a"]["params"]


def test_summary_as_markdown_is_the_table():
    lines = command("summary", "googlenet", "--format", "markdown").stdout.splitlines()
    cells = [line.strip("| ").split(" | ") for line in lines if line.startswith("|")]
    assert {line.count("|") for line in lines if line.startswith("|")} == {9}
    assert cells[0] == ["layer", "kind", "output", "depth", "parameters", "paper", "MACs", "paper"]
    module = [
        "inception3a",
        "inception",
        "28x28x256",
        "2",
        "163,696",
        "159K",
        "128,049,152",
        "128M",
    ]
    assert module in cells
    assert "- conv1: the paper's params of 2.7K, computed 9,472" in lines


def test_what_markdown_and_csv_would_take_for_signs_is_escaped():
    row = ["a|b", "*c* `d`", "<e> _f_ [g](h)", 'i, "j"\nk', "max_pool"]
    written = markdown(["|", "", "", "", ""], [row], [])
    assert written.splitlines()[-1] == (
        r"| a\|b | \*c\* \`d\` | \<e> \_f\_ \[g\](h) " + '| i, "j" k | max_pool |'
    )
    assert list(csv.reader(io.StringIO(comma_separated(row, [row])))) == [row, row]


def test_list_in_other_formats():
    rows = list(csv.DictReader(io.StringIO(command("list", "vgg1*", "--format", "csv").stdout)))
    assert [row["model"] for row in rows] == zoo.list_models("vgg1*")
    assert {row["model"]: row["parameters"] for row in rows}["vgg16"] == "138357544"
    assert "| vgg16 | 138,357,544 |" in command("list", "--format", "markdown").stdout


def test_damaged_images_are_named(tmp_path):
    for place in ("train/a", "train/b", "val/a", "val/b"):
        (tmp_path / place).mkdir(parents=True)
        Image.new("L", (8, 8)).save(tmp_path / place / "1.png")
    assert command("data", str(tmp_path), "--check").returncode == 0
    (tmp_path / "train" / "b" / "2.png").write_bytes(b"\x89PNG")
    done = command("data", str(tmp_path), "--check")
    assert done.returncode == 1 and "damaged: " in done.stderr and "b/2.png" in done.stderr
    assert command("data", "--check").returncode == 2


def test_the_datasets():
    rows = json.loads(command("data", "--format", "json").stdout)
    assert [row["name"] for row in rows] == ["digits", "fashion-mnist", "cifar10"]
    assert "CC BY 4.0" in command("data", COLUMNS="40").stdout
    counts = list(csv.DictReader(io.StringIO(command("data", "digits", "--format", "csv").stdout)))
    assert sum(int(row["train"]) + int(row["validation"]) for row in counts) == 1797
    done = command("data", "fashion-mnits")
    assert (done.returncode, done.stderr) == (
        2,
        "error: data: no such folder, file or dataset: 'fashion-mnits'. Did you mean "
        "'fashion-mnist'?\n",
    )


def test_help_and_version():
    done = command("--help")
    assert done.returncode == 0
    for word in ("list", "summary", "verify", "predict"):
        assert word in done.stdout
        assert command(word, "--help").returncode == 0
    assert command("--version").stdout.strip() == zoo.__version__


def test_a_narrow_terminal_cuts_no_name():
    narrow = command("summary", "googlenet", "--all", COLUMNS="80").stdout
    assert "…" not in narrow
    assert "\n     reduce " in narrow  # a tree, where whole path names have no room
    assert "inception3a.branch5x5.reduce.conv" in command("summary", "googlenet", "--all").stdout


def test_a_bad_spec_is_one_line(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text(
        "format: 1\nname: bad\nlayers:\n  c: {op: conv, out_channels: two, kernel_size: 3}\n"
    )
    done = command("summary", path)
    assert done.returncode == 2
    assert done.stderr == (
        f"error: {path}:4: $.layers.c.out_channels: expected an integer of at least 1, got 'two'. "
        "A value by name is written with a $.\n"
    )
