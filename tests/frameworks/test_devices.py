"""Training on two devices against one: gradients, whole runs, checkpoints, and what goes wrong."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import loading
import numpy as np
import on_devices
import pytest
from ends import apart, final
from once import once

import zoo
from zoo.backend.devices import Group
from zoo.backend.training import Part, Plan
from zoo.data.stream import Share
from zoo.errors import BackendError, InputError, TrainingError
from zoo.training import processes
from zoo.training import recipe as recipes
from zoo.training import state as states
from zoo.training.loop import Loop
from zoo.training.train import start

pytestmark = pytest.mark.frameworks

TOLERANCE = 1e-10
CASES = ["gradients", "own-statistics", "everything"]
#: Frameworks that compute shares of different sizes; Flax refuses them, see the last test.
UNEVEN = ("torch", "paddle", "keras")

load = partial(loading.load, double=True)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return once(tmp_path_factory, "devices", on_devices.prepare)


def on_two(backend, folder, cases):
    """Run cases on two devices; several processes are started from here, others from one."""
    if load(backend).processes(2) > 1:
        work = {"backend": backend, "folder": str(folder), "cases": cases, "devices": 2}
        return processes.run(backend, 2, on_devices.run, work)
    script = Path(on_devices.__file__)
    command = [sys.executable, script, backend, folder, *cases]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def two(place, tmp_path_factory):
    """What each case ended with on two devices of a framework."""

    def run(backend):
        more = ["uneven"] if backend in UNEVEN else []
        more += ["interrupted"] if load(backend).processes(2) > 1 else []
        more += on_devices.FAULTS if backend == "torch" else ()

        def make(folder):
            folder.mkdir()
            ends = on_two(backend, place, [*CASES, *more])
            (folder / "ends.json").write_text(json.dumps(ends))

        folder = once(tmp_path_factory, f"two-devices-{backend}", make)
        return json.loads((folder / "ends.json").read_text())

    return run


@pytest.fixture(scope="module")
def one(place, tmp_path_factory):
    """The folder of a case on one device, in PyTorch."""

    def run(case):
        load("torch")
        recipe = on_devices.recipe(place, case)
        return once(tmp_path_factory, f"one-device-{case}", partial(start, recipe, "torch"))

    return run


def last(folder):
    """What a run ended with; it left nothing but checkpoints."""
    found = (folder / "checkpoints").iterdir()
    assert not [path for path in found if path.suffix != ".safetensors"]
    return final(folder)


def epochs(folder):
    lines = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    return [line for line in lines if "validation" in line]


def assert_same(found, expected):
    """Hold a run on two devices to that on one: state, weights, slots, averages, evaluations."""
    (step, arrays), (known, values) = last(found), last(expected)
    assert step == known
    assert apart(arrays, values) < TOLERANCE
    for a, b in zip(epochs(found), epochs(expected), strict=True):
        assert abs(a["train_loss"] - b["train_loss"]) < TOLERANCE * b["train_loss"]
        for kind in ("validation", "plain"):
            if b[kind] is not None:
                left, right = dict(a[kind]), dict(b[kind])
                difference = abs(left.pop("loss") - right.pop("loss"))
                assert difference < TOLERANCE * b[kind]["loss"]
                assert left == right  # each image counted once


@pytest.mark.parametrize("case", ["gradients", "everything"])
def test_two_devices_compute_what_one_does(case, backend, two, one, place):
    assert two(backend)[case][1] == "finished"
    assert_same(place / f"{case}-{backend}", one(case))


@pytest.mark.parametrize("name", UNEVEN)
def test_shares_of_a_batch_may_differ_in_size(name, two, one, place):
    assert two(name)["uneven"][1] == "finished"
    assert_same(place / f"uneven-{name}", one("uneven"))


def test_statistics_of_each_device(backend, two, one, place):
    """The gradients are those of a batch in two parts; statistics are the mean of the parts'."""
    two(backend)
    _, found = last(place / f"own-statistics-{backend}")
    _, parts = last(one("parts"))
    halves = [statistics_of_half(place, rank) for rank in range(2)]
    expected = {
        name: np.mean([half[name] for half in halves], 0) if "running" in name else value
        for name, value in parts.items()
    }
    assert apart(found, expected) < TOLERANCE


def statistics_of_half(place, rank):
    recipe = on_devices.recipe(place, "own-statistics")
    torch = load("torch")
    model = zoo.build(recipe.model, "torch", dtype="float64", num_classes=10)
    data = zoo.dataset(recipe.data).train
    share = replace(zoo.stream(model, data, recipe.batch_size), share=Share(rank, 2))
    x, labels, _ = share.batch(0)
    torch.trainer(model, Plan(recipe.rule())).step([Part(x, labels, {})], 0.1)
    return zoo.get_weights(model)


#: Frameworks that a run on two devices begins in, and goes on in on one.
DAILY = [("torch", "torch"), ("torch", "flax"), ("paddle", "torch")]
NAMES = ("torch", "paddle", "keras", "flax")
PAIRS = [(a, b) for a in NAMES for b in NAMES]


@pytest.mark.parametrize(
    "pair", [p if p in DAILY else pytest.param(p, marks=pytest.mark.slow) for p in PAIRS]
)
def test_a_run_on_two_devices_goes_on_on_one(pair, two, one, place, tmp_path):
    first, second = pair
    load(second)
    two(first)
    folder = shutil.copytree(place / f"everything-{first}", tmp_path / "run")
    for path in sorted((folder / "checkpoints").iterdir())[2:]:
        path.unlink()
    state = states.read(max((folder / "checkpoints").iterdir())).state
    assert (state.step, state.backend) == (3, first)
    zoo.resume(folder, backend=second)
    assert_same(folder, one("everything"))


@pytest.mark.parametrize("name", ["torch", pytest.param("paddle", marks=pytest.mark.slow)])
def test_a_signal_ends_all_processes_with_one_checkpoint(name, two, place):
    """It reaches process 1 alone."""
    assert two(name)["interrupted"] == [2, "SIGTERM"]
    folder = place / f"interrupted-{name}"
    names = sorted(path.name for path in (folder / "checkpoints").iterdir())
    assert names == ["step-00000000.safetensors", "step-00000002.safetensors"]
    assert last(folder)[0] == 2


@pytest.mark.parametrize("fault", on_devices.FAULTS)
def test_a_seeded_fault_is_found(fault, two, one, place):
    two("torch")
    with pytest.raises(AssertionError):
        assert_same(place / f"{fault}-torch", one("everything"))


@pytest.mark.parametrize("name", ["torch", pytest.param("paddle", marks=pytest.mark.slow)])
def test_a_process_that_dies_ends_the_run_and_loses_nothing(name, one, place):
    with pytest.raises(TrainingError, match=r"device 1 was killed by SIGKILL.* resumed"):
        on_two(name, place, ["killed"])
    folder = place / f"killed-{name}"
    assert last(folder)[0] == 4
    zoo.resume(folder, backend="torch")
    assert_same(folder, one("killed"))


@pytest.mark.parametrize("name", ["torch", "paddle"])
def test_processes_cannot_be_made_of_this_one(name, place):
    load(name)
    model = zoo.build(place / "divided.yaml", name)
    with pytest.raises(BackendError, match="nproc.per.node 2' and leave devices out"):
        zoo.train(model, "digits", epochs=1, lr=0.1, devices=2)


@pytest.mark.parametrize(
    ("group", "settings", "error"),
    [
        (Group(size=2, devices=2), {"batch_size": 5, "accumulate": 3}, "at least 6, for 2 dev"),
        (Group(devices=2, even=True), {"batch_size": 15}, "same number .* multiple of 2"),
        (Group(devices=2, even=True), {"batch_size": 18, "accumulate": 2}, "multiple of 4"),
    ],
)
def test_a_batch_has_an_example_for_each_device(group, settings, error, place):
    torch = load("torch")
    model = zoo.build(place / "divided.yaml", "torch")
    recipe = recipes.of({**on_devices.recipe(place, "gradients").to_dict(), **settings})
    with pytest.raises(InputError, match=error):
        Loop(torch, model, zoo.dataset(recipe.data), recipe, group=group)
