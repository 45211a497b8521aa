"""Differences of two networks, in words and numbers."""

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from limits import HANG

import zoo


def words(difference):
    return {change.name: (change.kind, change.words) for change in difference.changes}


def test_a_network_is_the_same_as_itself():
    difference = zoo.diff("googlenet", "googlenet")
    assert not difference
    assert str(difference) == "No differences."


def test_two_files_of_one_name(spec_file, tmp_path):
    first = spec_file("conv: {op: conv, out_channels: 4, kernel_size: 3}\nflat: {op: flatten}")
    second = tmp_path / "again.yaml"
    second.write_text(Path(first).read_text().replace("kernel_size: 3", "kernel_size: 1"))
    difference = zoo.diff(first, second)
    assert difference.to_dict()["models"] == [first, str(second)]


def test_a_block_tells_what_it_comes_to():
    lines = str(zoo.diff("googlenet", "googlenet_no_reduce")).splitlines()
    (row,) = (line for line in lines if line.split()[:1] == ["conv2"])
    assert "114,944 → 110,784" in row  # 64 * 65 and 192 * 577, without the first


def test_changes_of_rank_are_told_whole(spec_file, tmp_path):
    first = spec_file("pool: {op: global_avg_pool}\nflat: {op: flatten}\nrelu: {op: relu}")
    second = tmp_path / "b.yaml"
    second.write_text(Path(first).read_text().replace("flat: {op: flatten}", "flat: {op: relu}"))
    (relu,) = (c for c in zoo.diff(first, second).changes if c.name == "relu")
    assert relu.words == "3 → 1x1x3"


def test_initial_weights_alone():
    assert not zoo.diff("googlenet", "googlenet_bvlc")  # only their initial weights differ


def test_the_lecture_notes_googlenet_lacks_one_convolution():
    difference = zoo.diff("googlenet", "googlenet_no_reduce")
    reduce, relu = difference.changes
    assert (reduce.name, reduce.kind, reduce.op) == ("conv2.reduce.conv", "removed", "conv")
    assert reduce.parameters == (64 * 64 + 64, 0)
    assert reduce.macs == (56 * 56 * 64 * 64, 0)
    assert reduce.shape == ("56x56x64", None)
    assert relu.name == "conv2.reduce.relu"


def test_torchvisions_googlenet_against_the_papers():
    changes = words(zoo.diff("googlenet", "googlenet_torchvision", aux=True))
    assert changes["inception3a.branch5x5.conv.conv"] == (
        "changed",
        "kernel_size 5x5 → 3x3, padding 2 → 1, bias true → false",
    )
    assert changes["inception3a.branch5x5.conv.bn"] == ("added", "added: eps 0.001")
    assert changes["norm1"] == ("removed", "removed")
    assert changes["pool4"] == ("changed", "kernel_size 3x3 → 2x2, padding [0, 1, 0, 1] → 0")
    assert changes["dropout"] == ("changed", "rate 0.4 → 0.2")
    assert changes["aux1.pool"][0] == "changed"
    assert "conv1.relu" not in changes  # it reads another node only because a new one is in between


def test_what_only_follows_is_told_apart():
    changes = words(zoo.diff("googlenet", "googlenet_paddle", aux=True))
    assert changes["pool1"][0] == "changed"
    assert changes["inception3a.concat"] == ("follows", "28x28x256 → 27x27x256")
    assert changes["aux1.fc1"] == ("follows", "reads 2048 → 1152")
    assert changes["aux2.relu"] == ("removed", "removed")


@pytest.mark.parametrize("name", ["googlenet_torchvision", "googlenet_paddle", "googlenet_slim"])
def test_the_numbers_add_up(name):
    difference = zoo.diff("googlenet", name)
    for key in ("parameters", "macs"):
        total = sum(new - old for old, new in (getattr(c, key) for c in difference.changes))
        of = "num_parameters" if key == "parameters" else key
        assert total == getattr(difference.new, of) - getattr(difference.old, of)


def test_two_files_of_ones_own(spec_file, tmp_path):
    first = spec_file("a: {op: relu}\nb: {op: relu, from: input}\nc: {op: add, from: [a, b]}")
    second = tmp_path / "other.yaml"
    second.write_text(
        "format: 1\nname: other\nlayers:\n  a: {op: relu}\n  b: {op: relu}\n"
        "  c: {op: concat, from: [a, b]}\n"
    )
    changes = {change.name: change for change in zoo.diff(first, second).changes}
    assert changes["b"].words == "reads input → a"
    assert changes["c"].op == "add → concat"
    assert set(changes) == {"b", "c"}


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "zoo", "diff", *arguments],
        capture_output=True,
        text=True,
        timeout=HANG,
    )


def test_the_command():
    assert run("vgg16", "vgg16").returncode == 0
    done = run("vgg16", "vgg16_paddleclas", "--json")
    assert done.returncode == 1  # like diff(1)
    difference = json.loads(done.stdout)
    assert difference["num_parameters"] == [138_357_544, 138_353_320]
    assert {change["name"] for change in difference["changes"]} >= {
        "stage1.conv1.conv",
        "downscale1",
    }
    assert "*.bn (57)" in run("googlenet", "googlenet_bn").stdout
    text = run("lenet5", "lenet5_modern").stdout
    assert "c1.activation.slope and 11 more" in text and "*e" not in text
    assert "*.activation.tanh (6)" in text and "s*.pool (2)" in text
    every = run("googlenet", "googlenet_bn", "--all").stdout
    assert every.count("batch_norm added") == 57
    lines = run("googlenet", "googlenet_no_reduce", "--format", "markdown").stdout.splitlines()
    assert lines[0] == "| nodes | difference | parameters | MACs |"
    assert "| &nbsp;&nbsp;&nbsp;&nbsp;conv | conv removed | 4,160 → 0 | 12,845,056 → 0 |" in lines
    rows = list(csv.DictReader(io.StringIO(run("vgg11", "vgg11_bn", "--format=csv").stdout)))
    assert rows[0]["name"] == "stage1.conv1.bn" and rows[0]["words"].startswith("added")
    assert (rows[0]["old_shape"], rows[0]["new_parameters"]) == ("", "128")
    mistake = run("vgg16", "vgg61")
    assert mistake.returncode == 2 and mistake.stderr.startswith("error: unknown model 'vgg61'")


def test_the_rows_come_to_the_total():
    difference = zoo.diff("googlenet", "googlenet_paddle", aux=True)
    for figure in ("parameters", "macs"):
        deltas = [getattr(change, figure) for change in difference.changes]
        total = {"parameters": "num_parameters", "macs": "macs"}[figure]
        assert sum(b - a for a, b in deltas) == getattr(difference.new, total) - getattr(
            difference.old, total
        )
    assert "-1,835,008" in str(difference)  # fc1, whose input size follows from the pools


def test_what_was_added_is_told_to_a_program():
    difference = zoo.diff("vgg11", "vgg11_bn")
    added = next(change for change in difference.changes if change.op == "batch_norm")
    assert added.fields["eps"] == (None, 1e-5)


def test_another_preprocessing_is_told_of():
    difference = zoo.diff("googlenet", "googlenet_bvlc")
    assert not difference
    assert difference.to_dict()["preprocessing"]["channels"] == ["rgb", "bgr"]
    assert "their preprocessing differs: " in str(difference)
    assert "mean [0.485, 0.456, 0.406]" in str(difference).replace("\n", " ")
    assert "their initial weights differ" in str(difference)


def test_padding_that_an_average_does_not_count_is_told(spec_file, tmp_path):
    first = spec_file("pool: {op: avg_pool, kernel_size: 3, stride: 1, padding: 1}")
    second = tmp_path / "b.yaml"
    second.write_text(
        Path(first).read_text().replace("padding: 1", "padding: 1, count_include_pad: false")
    )
    assert words(zoo.diff(first, second)) == {
        "pool": ("changed", "counted_padding 1 → 0"),
    }
    assert words(zoo.diff(second, first)) == {
        "pool": ("changed", "counted_padding 0 → 1"),
    }


def test_keras_inception_v3_counts_no_padding():
    """tf.nn.avg_pool leaves out what SAME adds; torchvision's F.avg_pool2d counts it."""
    changes = zoo.diff("inception_v3", "inception_v3_keras").changes
    pools = [c.words for c in changes if c.op == "avg_pool"]
    assert pools == ["counted_padding 1 → 0"] * 9
