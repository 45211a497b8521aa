"""The instrument: honest measurements pass, and unfair ones are named, whoever makes them."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest

import zoo
from zoo.backend.description import Description, Mode
from zoo.backend.workloads import Workload
from zoo.benchmarking import cells, harness, machine, memory, reference, statistics
from zoo.benchmarking import proof as proofs
from zoo.benchmarking.against import compare, remarks
from zoo.benchmarking.cells import Cell, choose
from zoo.benchmarking.harness import Limits, measure
from zoo.benchmarking.request import Request
from zoo.benchmarking.results import Measured, Results, Round, Verdict
from zoo.benchmarking.run import run
from zoo.errors import InputError, UnknownNameError, ZooError
from zoo.verification import tolerances
from zoo.views.benchmark.report import Benchmark

CELL = Cell("toy", "torch", "eager", "cpu", "float32", 2, "forward")
CPU = {"gpus": []}
WEIGHTS = np.random.default_rng(0).standard_normal((12, 4)).astype(np.float32)


class Clock:
    """Time that passes only when somebody works."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


class Honest(Workload):
    """A matrix product that takes 10 ms, after a first call of a second."""

    cost = 0.010

    def __init__(self, clock, **facts):
        self.clock, self.calls = clock, 0
        self.reported = {
            "dtype": "float32",
            "training": False,
            "compiled": False,
            "given": "NCHW",
            "computed": "NCHW",
            "device": "cpu",
            "tf32": False,
            "threads": 2,
            **facts,
        }

    def place(self, x, labels):
        return x.reshape(len(x), -1)

    def run(self, given):
        self.calls += 1
        self.clock.now += self.duration()
        return self.compute(given)

    def duration(self):
        return 1.0 if self.calls == 1 else self.cost

    def compute(self, given):
        return given @ WEIGHTS

    def wait(self, result):
        pass

    def read(self, result):
        self.clock.now += 0.0001
        return {"logits": result}

    def facts(self):
        return self.reported


class Reference:
    scale = 1.0

    def __init__(self, inputs):
        product = [x.reshape(len(x), -1).astype(np.float64) @ WEIGHTS for x, _ in inputs]
        self.expected = product

    def compare(self, found, which):
        from zoo.verification.comparison import error

        return Verdict(error(found["logits"], self.expected[which]), 1e-5, "output logits")


def inputs(batch=2):
    x = np.random.default_rng(1).standard_normal((2, 3, 2, 2)).astype(np.float32)
    found = [(x[[(row + which) % 2 for row in range(batch)]], np.arange(batch)) for which in (0, 1)]
    return [*found, (found[0][0] * np.float32(0.5), np.arange(batch))]


def measured(kind, cell=CELL, **facts):
    clock = Clock()
    given = inputs(cell.batch)
    return measure(
        lambda: kind(clock, **facts),
        cell,
        given,
        Reference(given),
        threads=2,
        limits=Limits(),
        clock=clock,
    )


def test_an_honest_cell_has_times_and_its_first_call_apart():
    found = measured(Honest)
    assert not found.problems and not found.remarks
    assert found.seconds["first"] == pytest.approx(1.0)
    assert len(found.times) == 100 and set(np.round(found.times, 6)) == {0.01}
    assert found.proof.passed and found.seconds["timed"] == pytest.approx(1.0)
    assert found.peak["run"] is None or found.peak["run"] >= 0


class NoWaiting(Honest):
    """It returns at once, and computes when the result is read."""

    def duration(self):
        return 0.0005

    def compute(self, given):
        return [given, False]

    def read(self, result):
        if not result[1]:
            result[1] = True
            self.clock.now += self.cost
        return super().read(result[0] @ WEIGHTS)


class Falling(Honest):
    """It becomes faster with every call."""

    def duration(self):
        return 2.0 * 0.9**self.calls


class Cached(Honest):
    """It returns what it computed first."""

    kept = None

    def compute(self, given):
        self.kept = given @ WEIGHTS if self.kept is None else self.kept
        return self.kept


class Remembering(Honest):
    """It returns at once what it has seen before."""

    def __init__(self, clock, **facts):
        super().__init__(clock, **facts)
        self.seen = {}

    def run(self, given):
        key = given.tobytes()
        if key not in self.seen:
            self.clock.now += self.cost
            self.seen[key] = given @ WEIGHTS
        self.clock.now += 1e-5
        return self.seen[key]


class HalfPrecision(Honest):
    def compute(self, given):
        return (given.astype(np.float16) @ WEIGHTS.astype(np.float16)).astype(np.float32)


class Training(Honest):
    """Batch statistics, as of a batch norm in training mode."""

    def compute(self, given):
        return (given - given.mean(0)) @ WEIGHTS


class OtherBatch(Honest):
    def compute(self, given):
        return given[:1] @ WEIGHTS


@pytest.mark.parametrize(
    ("name", "kind", "facts"),
    [
        ("no waiting", NoWaiting, {}),
        ("TF32", Honest, {"tf32": True}),
        ("threads", Honest, {"threads": 1}),
        ("mode", Honest, {"compiled": True}),
        ("dtype", Honest, {"dtype": "bfloat16"}),
        ("results differ", HalfPrecision, {}),
        ("train mode", Honest, {"training": True}),
        ("results differ", Training, {}),
        ("layout", Honest, {"computed": "NHWC"}),
        ("batch", OtherBatch, {}),
        ("cached outputs", Cached, {}),
        ("cached outputs", Remembering, {}),
        ("device", Honest, {"device": "cuda"}),
    ],
)
def test_an_unfairness_is_named_and_has_no_time(name, kind, facts):
    found = measured(kind, **facts)
    assert any(problem.startswith(name) for problem in found.problems), found
    assert found.times == ()
    assert Measured(CELL, (found,)).time is None


def test_a_warm_up_ends_when_times_settle_and_says_if_they_do_not():
    falling = measured(Falling)
    assert any(remark.startswith("warm-up") for remark in falling.remarks)

    class Slow(Honest):  # until the 12th run
        def duration(self):
            return 1.0 if self.calls == 1 else max(0.01, 0.1 * 0.8**self.calls)

    found = measured(Slow)
    assert not found.remarks and max(found.times) < 0.011
    assert found.seconds["warmup"] > 0.1


def test_more_processors_than_stated_are_named():
    assert machine.Usage(1.9, 0).own < 2
    from zoo.benchmarking import audit

    assert audit.of_processors(1.9, 2) == []
    assert audit.of_processors(3.9, 2)[0].startswith("threads")


@pytest.mark.parametrize("mode", ["eager", "torch.compile"])
def test_eager_cannot_stand_for_compiled(mode):
    """In either direction."""
    found = measured(Honest, replace(CELL, mode=mode), compiled=mode == "eager")
    assert any(problem.startswith("mode") for problem in found.problems)


# Statistics


def test_an_interval_covers_the_median_as_often_as_it_says():
    """With few processes, which differ more than the times within them."""
    random = np.random.default_rng(0)
    for count in (5, 10):
        covered = 0
        for _ in range(60):
            centers = 0.1 * random.standard_normal(count)
            rounds = {
                i: np.exp(c + 0.02 * random.standard_normal(8)) for i, c in enumerate(centers)
            }
            figure = statistics.summarize(rounds)
            covered += figure.low <= 1 <= figure.high
        assert covered >= 56  # 57 are expected of 95%


def test_a_ratio_is_paired_so_that_drift_falls_on_both():
    drift = {i: 2.0**i for i in range(6)}
    a = {i: [1.1 * d, 1.11 * d, 1.09 * d] for i, d in drift.items()}
    b = {i: [d, 1.01 * d, 0.99 * d] for i, d in drift.items()}
    ratio = statistics.ratio(a, b)
    assert ratio.value == pytest.approx(1.1, rel=0.01) and 1 < ratio.low < ratio.high < 1.2
    assert statistics.summarize(a).width > 1
    assert statistics.ratio(a, {9: [1.0]}) is None


def test_one_process_has_no_interval():
    figure = statistics.summarize({1: [1.0, 2.0, 3.0]})
    assert (figure.value, figure.low, figure.high) == (pytest.approx(2), None, None)
    assert figure.width == float("inf")


# Rounds


def fake(times, problems=()):
    """What measures without a process."""
    made = []

    def measure(cell, folder, number):
        made.append((number, cell))
        noise = np.random.default_rng(len(made)).normal(0, 0.01, 5)
        base = times[cell.mode]
        return Round(number, tuple(base * np.exp(noise)), problems=tuple(problems))

    return measure, made


def request(**changes):
    both = [replace(CELL, mode=mode) for mode in ("eager", "torch.compile")]
    return Request({"toy": zoo.graph("lenet5")}, both, **changes)


def test_rounds_are_in_random_order_which_is_recorded():
    measure, made = fake({"eager": 2.0, "torch.compile": 1.0})
    found = run(request(rounds=8, seed=3), measure=measure)
    assert [r for r, _ in found.order] == sorted(r for r, _ in found.order)
    assert [found.cells[i].cell for _, i in found.order] == [cell for _, cell in made]
    firsts = dict(reversed(found.order))
    assert set(firsts.values()) == {0, 1}  # each of the two is first in some round
    again = run(request(rounds=8, seed=3), measure=fake({"eager": 2, "torch.compile": 1})[0])
    assert again.order == found.order
    assert found.ratio(found.cells[1]).value == pytest.approx(0.5, rel=0.05)
    assert found.ratio(found.cells[0]).value == 1


def test_a_cell_that_fails_is_not_run_again():
    measure, made = fake({"eager": 2.0, "torch.compile": 1.0}, ["results differ"])
    found = run(request(), measure=measure)
    assert len(made) == 2 and not found.passed
    assert found.cells[0].time is None and found.ratio(found.cells[1]) is None
    assert "FAIL" in str(Benchmark.of(found)) and "results differ" in str(Benchmark.of(found))


def test_it_goes_on_until_intervals_are_narrow_or_the_budget_is_spent():
    measure, made = fake({"eager": 2.0, "torch.compile": 1.0})
    found = run(request(rounds=2, until=0.01), measure=measure)
    assert all(m.time.width <= 0.01 for m in found.cells) and len(made) > 4
    measure, made = fake({"eager": 2.0, "torch.compile": 1.0})
    found = run(request(budget=0.0), measure=measure)
    assert not made and any("budget" in note for note in found.notes)


def test_ctrl_c_and_a_full_disk_lose_nothing_that_is_finished():
    measure, _ = fake({"eager": 2.0, "torch.compile": 1.0})
    kept = []

    def interrupted(cell, folder, number):
        if number == 3:
            raise KeyboardInterrupt
        return measure(cell, folder, number)

    def keep(results):
        kept.append(results)
        raise InputError("bench.json: cannot be written: No space left on device")

    found = run(request(), measure=interrupted, keep=keep)
    assert found.interrupted and len(found.cells[0].rounds) == 2 and len(kept) == 2
    assert found.cells[0].time.rounds == 2
    assert sum("No space" in note for note in found.notes) == 1


# Files


@pytest.fixture(scope="module")
def benchmark():
    measure, _ = fake({"eager": 2.0, "torch.compile": 1.0})
    return Benchmark.of(run(request(), measure=measure, command="zoo bench toy"))


def test_json_comes_back(benchmark, tmp_path):
    file = tmp_path / "bench.json"
    file.write_text(benchmark.to_json())
    assert Benchmark.read(file) == benchmark
    assert json.loads(file.read_text())["summary"][0]["seconds"]["value"] == pytest.approx(2, 0.05)
    lines = benchmark.to_csv().splitlines()
    assert len(lines) == 3 and lines[0].startswith("model,backend,mode")


def test_figures_that_cannot_be_written_go_elsewhere(benchmark, tmp_path, capsys, monkeypatch):
    from zoo.cli import bench

    monkeypatch.setattr(bench.tempfile, "mkdtemp", lambda prefix: str(tmp_path))
    there, gone = tmp_path / "bench.csv", tmp_path / "gone" / "bench.html"
    with pytest.raises(InputError, match="cannot be written"):
        bench._write(benchmark, (gone, there), None, lambda: "page")
    assert there.exists() and Results.read(tmp_path / "bench.json").cells == benchmark.cells
    assert "bench.json" in capsys.readouterr().err.replace("\n", "")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data.update(zoo_bench=99), "format 99"),
        (lambda data: data.pop("zoo_bench"), "no results of zoo bench"),
        (lambda data: data["cells"][0].update(cell=3), "damaged: cells.0.cell"),
        (lambda data: data["cells"][0]["rounds"][0].update(times="fast"), "damaged"),
        (lambda data: data.update(cells=None), "damaged: cells"),
    ],
)
def test_damaged_json_is_refused(benchmark, tmp_path, change, message):
    data = benchmark.to_dict()
    data = json.loads(json.dumps(data))
    change(data)
    file = tmp_path / "bench.json"
    file.write_text(json.dumps(data))
    with pytest.raises(InputError, match=message):
        Results.read(file)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "3", "\x00"])
def test_other_files_are_refused(tmp_path, text):
    file = tmp_path / "bench.json"
    file.write_text(text)
    with pytest.raises(InputError, match=r"bench\.json"):
        Results.read(file)
    with pytest.raises(InputError, match="cannot be read"):
        Results.read(tmp_path / "none.json")


def test_changes_over_time_are_named(benchmark):
    measure, _ = fake({"eager": 2.4, "torch.compile": 1.0})
    new = run(request(threads=2), measure=measure)
    slower, same = compare(new, benchmark)
    assert (slower.verdict, same.verdict) == ("slower", "not distinguishable")
    assert slower.ratio.value == pytest.approx(1.2, rel=0.05)
    assert "threads: 2, before 1" in remarks(new, benchmark)
    with pytest.raises(InputError, match="no cell in common"):
        compare(Results(()), benchmark)


def test_a_page_stands_alone_and_its_policy_allows_its_script_alone(benchmark):
    pytest.importorskip("matplotlib")  # of the extra that pages need
    page = benchmark.to_html(compare(benchmark, benchmark), ["threads: 2, before 1"])
    assert not re.search(r"(?:src|href)=.?\w+:|url\((?!#)|@import", page)
    assert "script-src 'sha256-" in page and page.count("<script>") == 1
    assert "not readable" in page  # energy, which is never 0
    assert "zoo bench toy" in page and page.count("<svg") >= 1


# What is asked for


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch": 0}, "batch must be an integer from 1"),
        ({"batch": "x"}, "batch must be an integer"),
        ({"what": "forwrd"}, "no work 'forwrd'. Did you mean 'forward'"),
        ({"backends": "torhc"}, "unknown backend 'torhc'"),
        ({"dtypes": "float16"}, "no dtype 'float16'"),
        ({"modes": "eagr"}, "no mode 'eagr'. Did you mean 'eager'"),
        ({"devices": "tpu"}, "no device 'tpu'"),
        ({"threads": 0}, "threads must be"),
        ({"threads": 4096}, "threads must be"),
        ({"until": -1}, "until must be"),
        ({"baseline": "flax"}, "no cell is 'flax'"),
        ({"rounds": 0}, "rounds must be"),
        ({"what": []}, "name at least one"),
        ({"scheduler": "there:8786"}, "scheduler must be an address such as tcp://"),
    ],
)
def test_mistakes_are_one_clear_error(options, message):
    pytest.importorskip("torch")  # tested alone, each framework lacks the others
    with pytest.raises(ZooError, match=message):
        zoo.bench("lenet5", **{"backends": "torch", **options})


def test_unknown_models_are_named():
    with pytest.raises(UnknownNameError, match="googlenet"):
        zoo.bench("googlnet")
    with pytest.raises(InputError, match="models must be"):
        zoo.bench([])


def test_what_is_not_available_is_said(monkeypatch):
    entry = Description(
        "toy",
        "Toy",
        "toy:Toy",
        "json",
        modes=(
            Mode("eager", ("forward", "train")),
            Mode("fast", needs={"no_such_module": "fast[toy]"}),
        ),
        precision_limits={"bfloat16": "Toy has no bfloat16"},
    )
    monkeypatch.setattr(cells.registry, "table", lambda: {"toy": entry})
    choice = choose(["toy"], None, None, ["float32", "bfloat16"], [1, 4], ["forward", "train"], CPU)
    found, missing = choice.cells(["vgg16"])
    assert [(c.mode, c.work, c.batch) for c in found] == [
        ("eager", "forward", 1),
        ("eager", "forward", 4),
        ("eager", "train", 1),
        ("eager", "train", 4),
    ]
    assert {"Toy has no bfloat16", "only forward passes are held to a reference in bfloat16"} < set(
        missing.values()
    )
    assert any("fast is not installed" in reason for reason in missing.values())


def test_threads_default_to_the_processors():
    assert cells.threads_of(None, 3) == 3


# The reference


def test_outputs_are_held_to_numpy_with_the_tolerance_of_the_verification(tmp_path):
    graph = zoo.graph("lenet5")
    reference.write(tmp_path, graph, ["float32", "bfloat16"], 0)
    proof = proofs.Outputs(tmp_path, "float32", 3)
    assert proof.allowed == tolerances.FORWARD["float32"]
    (x, labels), (other, _), *fresh = proofs.inputs(tmp_path, graph, 3)
    assert x.shape == (3, *graph.input_shape) and np.array_equal(x[0], other[1])
    assert len(labels) == 3 and all(not np.array_equal(x, each) for each, _ in fresh)
    from safetensors.numpy import load_file

    from zoo import ops

    weights = load_file(tmp_path / "weights.safetensors")
    name, node = next(iter(graph.output_nodes.items()))
    values = dict(ops.steps(graph, x, weights, np.float64))
    good = {name: values[node.name]}
    assert proof.compare(good, 0).error < 1e-12
    assert not proof.compare(good, 1).passed
    assert not proof.compare({name: good[name] * (1 + 1e-4)}, 0).passed
    assert not proof.compare({}, 0).passed
    assert not proof.compare({name: good[name][:2]}, 0).passed
    halves = proofs.Outputs(tmp_path, "bfloat16", 3)
    assert 1e-3 < halves.allowed < 0.2


def test_the_system_tells_the_memory_of_a_process():
    before = memory.resident()
    assert before > 2**20 and memory.proportional() <= before * 1.01
    assert memory.reset()
    block = np.ones(2**24)  # 128 MiB
    assert memory.peak() - before > 100 * 2**20
    del block
    assert memory.energy() is None or memory.energy() > 0


def test_gradients_are_held_to_float64_and_rounding_alone_may_differ(tmp_path):
    exact = {"loss": np.array(2.0), "fc.weight": np.linspace(-1, 1, 10)}
    for which in (0, 1):
        np.savez(tmp_path / f"gradients4.{which}.npz", **exact)
    changed = {**exact, "fc.weight": exact["fc.weight"] + 1e-9}
    assert proofs.Gradients(tmp_path, "float64", 4).compare(exact, 0).passed
    assert not proofs.Gradients(tmp_path, "float64", 4).compare(changed, 0).passed
    single = proofs.Gradients(tmp_path, "float32", 4)
    assert single.scale == 1 and single.compare(changed, 1).passed
    flipped = {**exact, "fc.weight": exact["fc.weight"] * 0.99}
    assert single.compare(flipped, 0).passed
    for wrong in (
        {**exact, "fc.weight": exact["fc.weight"] * 0.9},
        {**exact, "loss": np.array(2.001)},
        {**exact, "loss": np.array(np.nan)},
        {"loss": exact["loss"]},
    ):
        assert not single.compare(wrong, 0).passed


def test_limits_bound_the_runs():
    clock = Clock()
    given = inputs()
    limits = Limits(least=3, most=4, seconds=9)
    found = harness.measure(
        lambda: Honest(clock), CELL, given, Reference(given), threads=2, limits=limits, clock=clock
    )
    assert len(found.times) == 4


def test_two_benchmarks_on_one_machine_are_refused(monkeypatch):
    from zoo.benchmarking import alone

    monkeypatch.setattr(alone, "_ADDRESS", "\0zoo.benchmarking.test")
    second = alone.alone()
    with alone.alone(), pytest.raises(InputError, match="another benchmark is running"):
        second.__enter__()
    with alone.alone():  # it is free again
        pass
