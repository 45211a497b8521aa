"""Training on two devices against one: gradients, whole runs, checkpoints, and what goes wrong."""

import functools
import json
import subprocess
import sys
from pathlib import Path

import loading
import numpy as np
import on_devices
import pytest

from zoo.training import processes
from zoo.training import state as states
from zoo.training.train import start

pytestmark = pytest.mark.frameworks

TOLERANCE = 1e-10
CASES = ["gradients", "own-statistics", "everything", "interrupted"]
#: Frameworks that compute shares of different sizes.
UNEVEN = ("torch", "paddle", "keras")

load = functools.partial(loading.load, double=True)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("devices")
    on_devices.prepare(folder)
    return folder


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
def two(place):
    """What each case ended with on two devices of a framework."""

    @functools.cache
    def run(backend):
        faults = on_devices.FAULTS if backend == "torch" else ()
        uneven = ["uneven"] if backend in UNEVEN else []
        return on_two(backend, place, [*CASES, *uneven, *faults])

    return run


@pytest.fixture(scope="module")
def one(place):
    """The folder of a case on one device, in PyTorch."""

    @functools.cache
    def run(case):
        load("torch")
        folder = place / f"{case}-alone"
        start(on_devices.recipe(place, case), "torch", folder)
        return folder

    return run


def last(folder):
    """All that there is at the end of a run."""
    found = sorted((folder / "checkpoints").iterdir())
    assert not [path for path in found if path.suffix != ".safetensors"]
    saved = states.read(found[-1])
    arrays = {**saved.weights.arrays, **saved.slots}
    return saved.state, {name: stored.read() for name, stored in arrays.items()}


def apart(found, expected):
    """The largest difference, over the largest value of arrays of its kind."""
    assert found.keys() == expected.keys()
    largest = {}
    for name, value in expected.items():
        kind = name.rpartition("/")[0]
        largest[kind] = max(largest.get(kind, 0), np.abs(value).max())
    return max(
        np.abs(found[name] - value).max() / largest[name.rpartition("/")[0]]
        for name, value in expected.items()
    )


def epochs(folder):
    lines = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    return [line for line in lines if "validation" in line]


def assert_same(found, expected):
    """Hold a run on two devices to that on one: state, weights, slots, averages, evaluations."""
    (state, arrays), (known, values) = last(found), last(expected)
    assert state.step == known.step
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
