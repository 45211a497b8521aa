"""Mistakes on the command line, and output that nobody can take: one line, and the exit status."""

import os
import subprocess
import sys

import pytest
from limits import HANG

from zoo.cli import terminal
from zoo.cli.program import program


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["summary", "vgg16", "--json", "--format", "csv"], "--json and --format csv: give one"),
        (["summary", "googlnet"], "unknown model 'googlnet'. Did you mean 'googlenet'?"),
        (["summary", "missing.yaml"], "missing.yaml: no such file"),
        (
            ["summary", "vgg16", "--input-size", "big"],
            "--input-size: expected a number such as 224",
        ),
        (["summary", "vgg16", "--input-size", "16"], "in 'stage5.pool' of vgg16: the 2x2 window"),
        # 32 pixels, halved five times, are one; Keras' documentation has 75 for Inception v3
        (["summary", "vgg16", "--input-size", "9x99"], "it takes inputs of 32x32 and more"),
        (["summary", "inception_v3", "--input-size", "64"], "takes inputs of 75x75 and more"),
        (["summary", "vgg16", "--input-size", "0"], "--input-size must be an integer from 1"),
        (["summary", "vgg16", "--aux"], "vgg16 has no auxiliary heads; leave out --aux"),
        (["summary", "VGG16"], "unknown model 'VGG16'. Did you mean 'vgg16'?"),
        (["summary", "nin"], "It is a family: nin_cifar10, nin_cifar100, nin_imagenet."),
        (["verify", "--all", "googlnet"], "matches 'googlnet'. Did you mean 'googlenet'?"),
        (
            ["verify", "--all", "lenet5", "--output", "x.html"],
            "expected a folder for several reports, got 'x.html'",
        ),
        (["verify", "vgg16", "--output", "/proc/x.html"], "cannot be written to"),
        (
            ["verify", "vgg16", "--backends", "torch", "--level", "gradients"],
            "--level gradients compares backends with each other and needs two; ",
        ),
        (["verify", "vgg16", "--backends", ","], "--backends: expected names separated by commas"),
        (["list", "--format", "nope"], "See 'zoo list --help'"),
        (["predict", __file__, "--model", "lenet5"], "cannot be read as an image"),
        (
            ["predict", "none.jpg", "--model", "lenet5", "--weights", "torchvision"],
            "no weights of 'lenet5' that zoo knows, and no other source does",
        ),
        (["predict", "none.jpg", "--weights", "none.pth"], "none.pth: no such file"),
        (["convert", "none.pth", "x.safetensors"], "none.pth: no such file"),
        (["convert", "torchvision", "x.safetensors", "--model", "vgg9"], "no weights of 'vgg9'"),
        (["list", "zzz*"], "no model matches 'zzz*'. 'zoo list' shows them all."),
        (["list", "vggg"], "no model matches 'vggg'. Did you mean 'vgg9'?"),
        (["list", "--weights", "tim"], "unknown source of weights 'tim'. Did you mean 'timm'?"),
        (
            ["list", "zf*", "--weights", "timm"],
            "timm has no weights for any model that matches 'zf*'",
        ),
        (
            ["verify", "vgg16", "--backends", "torhc"],
            "unknown backend 'torhc'. Did you mean 'torch'?",
        ),
        (
            ["verify", "vgg16", "--dtype", "int8"],
            "unknown dtype 'int8'. Known: float32, float64.",
        ),
        (["verify", "vgg16", "--image", "none.jpg"], "none.jpg: no such file"),
        (
            ["predict", "https://a.org/b.jpg", "--model", "vgg16"],
            "https://a.org/b.jpg: an address; download the image, and pass its path",
        ),
        (
            ["verify", "vgg16", "--image", "https://a.org/b.jpg"],
            "https://a.org/b.jpg: an address; download the image, and pass its path",
        ),
        (["verify", "vgg16", "--image", __file__], "cannot be read as an image"),
        (["predict", "none.jpg", "--model", "vgg9"], "none.jpg: no such file"),
        (["predict", "none.jpg"], "which model? Give --model, or --weights"),
        (["summary", "googlenet.yaml"], "no such file. Did you mean the model 'googlenet'?"),
        (["draw", "GoogLeNet.yml"], "no such file. Did you mean the model 'googlenet'?"),
        (["summary", "vgg1?_bn"], "It is a pattern for several models: vgg11_bn, vgg13_bn, "),
        (["verify", "zzz*"], "no model matches 'zzz*'"),
        (["verify", "vgg1*", "--aux"], "--aux is for one model; several are verified as"),
        (["verify"], "which model? Give a name from 'zoo list', a pattern such as 'vgg*'"),
        (["convert", "timm", "x.pth"], "several networks; choose one with --model NAME"),
        (["predict", "x.jpg", "--weights", "timm"], "several networks; choose one with --model"),
        (["bench"], "which models? Give names from 'zoo list'"),
        (["bench", "lenet5", "--batch", "1,x"], "--batch: expected numbers separated by commas"),
        (["bench", "lenet5", "--until", "soon"], "--until: expected a share such as 3%"),
        (["bench", "lenet5", "--budget", "1 day"], "--budget: expected a time such as 90s"),
        (
            ["bench", "lenet5", "--output", "x.txt"],
            "expected a name that ends in .html, .csv or .json",
        ),
        (
            ["source", "lenet5", "--backend", "torch", "-o", "x.txt"],
            "--output: expected a name that ends in .py, got 'x.txt'",
        ),
        (
            ["source", "lenet5", "--html", "x.txt"],
            "--html: expected a name that ends in .html, got 'x.txt'",
        ),
        (["source", "lenet5", "--html", "/none/x.html"], "--html: there is no folder '/none'"),
        (["diff", "lenet5", "vgg16", "--html", "."], "--html: expected a file, got the folder"),
        (["draw", "lenet5", "-o", "x.png"], "--output: expected a name that ends in .svg"),
        (["bench", "lenet5", "--against", "none.json"], "none.json: cannot be read: No such file"),
        (["bench", "lenet5", "--against", __file__], "not a JSON file"),
        (["bench", "lenet5", "--what", "fly"], "bench has no work 'fly'. Known: forward"),
        (["bench", "lenet5", "--backends", "torhc"], "Did you mean 'torch'?"),
        (["compare", "lenet5"], "name the folder of the study: --output"),
        (["compare", "--output", "x"], "name a model, or a --study"),
        (["compare", "lenet5", "--data", "digits", "--output", "x"], "--seeds is required"),
        (["compare", "lenet5", "--grid", "lr", "--output", "x"], "--grid: expected FIELD=VALUE"),
        (["compare", "a", "--native", "torch=1", "--output", "x"], "expected BACKEND.SWITCH=VALUE"),
        (["compare", "a", "--data", "b,", "--output", "x"], "expected names separated by commas"),
        (["compare", "--repeat", "none.json", "--output", "x"], "none.json: cannot be read"),
        (["compare", "--repeat", __file__, "--output", "x"], "not the run.json of a study"),
        (["compare", "a", "--repeat", "b", "--output", "x"], "--repeat has all settings"),
        (["compare", "--study", "none.yaml", "--output", "x"], "none.yaml: no such file"),
        (["summary"], "missing argument"),
        (["sumary"], "no such command 'sumary'"),
        (["train", "a", "--epoch", "2"], "'--epoch'. Did you mean '--epochs'? See 'zoo train"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_one_error_and_status_2(arguments, message, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["zoo", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        terminal.run(program)
    assert end.value.code == 2
    output, errors = capsys.readouterr()
    assert message in errors.replace("\n", " ").replace("  ", " ") or message in errors
    assert errors.startswith("error: ")  # and no progress before it
    assert errors.count("\n") == 1
    assert not output


@pytest.mark.skipif(os.name != "posix", reason="pipes and devices as POSIX has them")
@pytest.mark.parametrize("arguments", ["list", "list --json", "summary vgg19 --all", "--help"])
def test_a_reader_who_has_seen_enough_ends_it_quietly(arguments):
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as closed:
        run = [sys.executable, "-m", "zoo", *arguments.split()]
        done = subprocess.run(run, stdout=closed, stderr=subprocess.PIPE, timeout=HANG)
    assert (done.returncode, done.stderr) == (141, b"")  # 128 + SIGPIPE, as of any program


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")
def test_a_full_disk_is_one_line():
    with open("/dev/full", "w") as full:
        run = [sys.executable, "-m", "zoo", "list", "--json"]
        done = subprocess.run(run, stdout=full, stderr=subprocess.PIPE, text=True, timeout=HANG)
    assert (done.returncode, done.stderr) == (
        2,
        "error: cannot write the output: No space left on device\n",
    )
