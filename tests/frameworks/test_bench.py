"""What ``zoo bench`` times in each framework is the network, in every mode it has."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from browsing import cells as shown
from browsing import opened
from limits import HANG
from running import children, is_running, wait_for

import zoo
from zoo.backend import registry
from zoo.backend.workloads import LOSS
from zoo.benchmarking import audit, proof, reference
from zoo.benchmarking.cells import Cell
from zoo.benchmarking.request import Request
from zoo.benchmarking.results import Measured, Results, Round
from zoo.benchmarking.run import run
from zoo.files import taking_turns
from zoo.verification import tolerances
from zoo.verification.comparison import error
from zoo.views.benchmark.report import Benchmark

#: Modes that compile for long; and one whose import forks, which JAX warns of.
LONG = ("torch.compile", "XLA", "nnx.jit", "OpenVINO")
#: Work that takes long without a compiler.
SLOW = ("flax", "eager")

WAYS = [
    pytest.param(
        *(name, mode.name, work),
        marks=[pytest.mark.slow] * (mode.name in LONG or (name, mode.name) == SLOW),
    )
    for name in ("onnx", "torch", "paddle", "keras", "flax")
    for mode in registry.resolve(name).modes
    for work in mode.works
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("bench")
    reference.write(place, zoo.graph("lenet5_modern"), ["float32"], 0)
    return place


@pytest.fixture(scope="module")
def models(folder):
    """A model of each backend with the weights of the reference; shared by all modes."""
    from safetensors.numpy import load_file

    weights, made = load_file(folder / "weights.safetensors"), {}

    def model(backend):
        if backend not in made:
            made[backend] = zoo.build("lenet5_modern", backend)
        zoo.set_weights(made[backend], weights)  # training changes running statistics
        return made[backend]

    return model


@pytest.mark.parametrize(("name", "mode", "work"), WAYS)
def test_what_is_timed_is_the_network(name, mode, work, folder, models):
    from loading import load

    load(name)
    backend, graph = registry.load(name), proof.read_graph(folder)
    given, *_ = proof.inputs(folder, graph, 2)
    model = models(name)
    expected = zoo.predict(model, given[0])
    loss, gradients, _ = (None, {}, None) if name == "onnx" else backend.gradients(model, *given)
    before = zoo.get_weights(model)
    threads = len(os.sched_getaffinity(0))
    subject = backend.workload(model, work, mode, threads)
    place = subject.place(*given)
    scale = max((np.abs(value).max() for value in gradients.values()), default=1.0)
    found = subject.prove(place, scale)
    if work == "forward":
        assert error(found["logits"], expected) <= tolerances.FORWARD["float32"]
        assert error(proof.Outputs(folder, "float32", 2).outputs["logits"], expected) < 1e-5
    else:
        assert found.keys() == {LOSS, *gradients}
        assert float(found[LOSS]) == pytest.approx(loss, rel=1e-5)
        for key, value in gradients.items():
            assert np.abs(found[key] - value).max() <= tolerances.GRADIENTS["float32"] * scale
        after = zoo.get_weights(model)  # a step that proves is undone
        assert all(np.array_equal(before[key], after[key]) for key in gradients)
    result = subject.run(place)
    subject.wait(result)
    subject.read(result)
    cell = Cell("lenet5_modern", name, mode, "cpu", "float32", 2, work)
    facts = {**subject.facts(), "threads": None}  # this process was not started for it
    assert audit.of_facts(cell, threads, facts) == []


def test_models_left_in_training_mode_are_named():
    """By what PyTorch itself reports."""
    from loading import load

    load("torch")
    model = zoo.build("lenet5_modern", "torch")
    subject = registry.load("torch").workload(model, "forward", "eager", 1)
    model.train()
    cell = Cell("lenet5_modern", "torch", "eager", "cpu", "float32", 1, "forward")
    problems = audit.of_facts(cell, subject.facts()["threads"], subject.facts())
    assert [problem.partition(":")[0] for problem in problems] == ["train mode"]


@pytest.fixture
def turn():
    """A benchmark that is refused because of another test would be no failure."""
    with taking_turns(Path(tempfile.gettempdir()) / "zoo-tests-bench.lock"):
        yield


@pytest.mark.usefixtures("turn")
def test_processes_measure_a_cell(tmp_path):
    """In new processes, with the threads that are stated; the command writes all files."""
    pytest.importorskip("onnxruntime")  # of the extra that ONNX needs
    page = tmp_path / "bench.html"
    command = [sys.executable, "-m", "zoo", "bench", "lenet5", "--backends", "onnx", "--threads"]
    command += ["1", "--modes", "ONNX Runtime", "--rounds", "2", "--output", str(page)]
    done = subprocess.run(
        [*command, "--output", str(page.with_suffix(".csv"))], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "ONNX Runtime" in done.stdout
    found = Results.read(page.with_suffix(".json"))
    (cell,) = found.cells
    assert len(cell.times) == 2 and cell.proof.passed and cell.proof.allowed == 1e-5
    assert cell.memory() > 2**20 and all(cell.once(w).value > 0 for w in ("import", "first"))
    assert all(each.facts["threads"] == 1 for each in cell.rounds)
    assert "onnxruntime" in found.versions and page.read_text().startswith("<!doctype html>")
    assert page.with_suffix(".csv").read_text().count("\n") == 2


@pytest.mark.usefixtures("turn")
@pytest.mark.slow
def test_ctrl_c_keeps_what_is_finished(tmp_path):
    pytest.importorskip("onnxruntime")  # of the extra that ONNX needs
    file = tmp_path / "bench.json"
    command = [sys.executable, "-m", "zoo", "bench", "lenet5", "--backends", "onnx", "--rounds"]
    process = subprocess.Popen(
        [*command, "99", "--modes", "ONNX Runtime", "--output", str(file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    end = time.monotonic() + 120
    while not file.exists() and time.monotonic() < end:
        time.sleep(0.1)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "interrupted" in output and "Traceback" not in errors
    data = json.loads(file.read_text())
    assert 1 <= len(data["cells"][0]["rounds"]) < 99


@pytest.mark.usefixtures("turn")
@pytest.mark.slow
def test_a_cluster_measures_what_this_machine_does(cluster, tmp_path):
    """Of one machine, as both workers are on this one. One command is interrupted before."""
    pytest.importorskip("onnxruntime")  # of the extra that ONNX needs
    cluster.scale(1)
    wait_for(lambda: len(cluster.workers) == len(cluster.scheduler_info["workers"]) == 1)
    (worker,) = cluster.workers.values()

    def start(name, *options):
        command = [sys.executable, "-m", "zoo", "bench", "lenet5_modern", "--threads", "1"]
        command += options
        command += ["--scheduler", cluster.scheduler_address, "--output", str(tmp_path / name)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    interrupted = start(
        "interrupted.json", "--backends", "onnx", "--modes", "ONNX Runtime", "--rounds", "99"
    )
    wait_for(lambda: (tmp_path / "interrupted.json").exists() or interrupted.poll() is not None)
    interrupted.send_signal(signal.SIGINT)
    output, errors = interrupted.communicate(timeout=HANG)
    assert interrupted.returncode == 130, errors
    assert "interrupted" in output and "Traceback" not in errors
    # In the middle of the second round, the worker is killed. Dask starts another.
    process = start(
        "found.json", "--backends", "torch,onnx", "--modes", "eager,ONNX Runtime",
        "--what", "forward,train", "--rounds", "2",
    )  # fmt: skip
    wait_for(lambda: (tmp_path / "found.json").exists() or process.poll() is not None)
    wait_for(lambda: children(worker.pid) or process.poll() is not None)
    (measuring,) = children(worker.pid)
    os.kill(worker.pid, signal.SIGKILL)
    wait_for(lambda: not is_running(measuring))
    _, errors = process.communicate(timeout=HANG)
    assert process.returncode == 0, errors
    found = Results.read(tmp_path / "found.json")
    here = zoo.bench(
        "lenet5_modern", modes=["eager", "ONNX Runtime"], backends=["torch", "onnx"], threads=1,
        what=["forward", "train"], rounds=2,
    )  # fmt: skip
    assert found.order == here.order and found.settings == here.settings
    for there, own in zip(found.cells, here.cells, strict=True):
        assert there.cell == own.cell and there.proof.allowed == own.proof.allowed
        assert [r.number for r in there.rounds] == [r.number for r in own.rounds]
        assert not there.problems and there.hosts == (socket.gethostname(),)
        if there.cell.work == "forward":  # the number of steps depends on their time
            assert there.proof.error == own.proof.error


@pytest.mark.usefixtures("turn")
@pytest.mark.slow
def test_gradients_are_held_to_float64_of_a_framework(tmp_path):
    """The whole way: a reference by one process, and a step of training by another."""
    from loading import load

    load("torch")
    graph = zoo.graph("lenet5_modern")
    modes = {"gradients": "eager", "train": "eager"}
    cells = [Cell(graph.name, "torch", m, "cpu", "float32", 2, w) for w, m in modes.items()]
    found = run(Request({graph.name: graph}, cells, rounds=1))
    assert [m.problems for m in found.cells] == [(), ()]
    assert all(m.proof.error <= m.proof.allowed for m in found.cells)


@pytest.mark.usefixtures("turn")
@pytest.mark.slow
def test_the_same_cell_twice_does_not_differ():
    """A/A: 1 is in the interval of the ratio in 38 of 40 repeats."""
    pytest.importorskip("onnxruntime")  # of the extra that ONNX needs
    graph = zoo.graph("lenet5")
    cell = Cell("lenet5", "onnx", "ONNX Runtime", "cpu", "float32", 4, "forward")
    inside = 0
    for seed in range(40):
        found = run(Request({"lenet5": graph}, [cell, cell], seed=seed))
        ratio = found.ratio(found.cells[1])
        inside += ratio.low <= 1 <= ratio.high
    assert inside >= 38


@pytest.mark.parametrize("width", [1400, 500])
def test_a_page_in_a_browser(width, browser, tmp_path):
    """Its table is sorted by a click, and it asks for nothing."""
    times = {"eager": 0.002, "to_static": 0.0009, "other": None}

    def timed(number, seconds):
        once, peak = {"first": 1.0, "import": 2.0}, {"run": 2**20}
        return Round(number, (seconds,) * 5, once, peak, host=f"node-{number}")

    cells = [
        Measured(
            Cell("toy", "paddle", mode, "cpu", "float32", batch, "forward"),
            tuple(
                timed(number, time * batch)
                if time
                else Round(number, problems=("results differ <b>",))
                for number in (1, 2)
            ),
        )
        for batch in (1, 4)
        for mode, time in times.items()
    ]
    page = tmp_path / "bench.html"
    hosts = {f"node-{number}": {"processor": "X " * 60, "gpus": []} for number in (1, 2)}
    made = Benchmark(tuple(cells), {}, {"threads": 1}, hosts=hosts)
    page.write_text(made.to_html(), encoding="utf-8")
    opened(browser, page, width)
    heading = browser.find_element("css selector", "#times thead th:nth-child(3) button")
    heading.click()
    order = [row[2] for row in shown(browser, "times")]
    assert order == ["900 µs", "2.00 ms", "3.60 ms", "8.00 ms", "FAIL", "FAIL"]
    heading.click()
    assert [row[2] for row in shown(browser, "times")][:2] == ["8.00 ms", "3.60 ms"]
    assert [row[:2] for row in shown(browser, "hosts")] == [["node-1", "1"], ["node-2", "2"]]
    assert "results differ <b>" in browser.find_element("css selector", "body").text
    wide = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert browser.execute_script(wide) <= 0  # only tables scroll sideways


def test_several_models_are_beside_each_other():
    def cells(*models):
        return tuple(
            Measured(
                Cell(model, "paddle", mode, "cpu", "float32", 1, "forward"),
                tuple(Round(number, (seconds,) * 5) for number in (1, 2, 3)),
            )
            for model in models
            for mode, seconds in (("eager", 0.002), ("to_static", 0.001))
        )

    title = "Ratios of several models: forward, batch 1"
    page = Benchmark(cells("toy", "other"), {}, {"threads": 1}).to_html()
    (picture,) = (part for part in page.split("<svg") if title in part)
    assert "paddle:to_static" in picture and "toy" in picture and "other" in picture
    assert title not in Benchmark(cells("toy"), {}, {"threads": 1}).to_html()
