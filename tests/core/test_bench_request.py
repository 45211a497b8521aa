"""What a benchmark is asked for, what it holds results to, and what it reads of the machine."""

from __future__ import annotations

import numpy as np
import pytest

import zoo
from zoo.backend.description import Description, Mode
from zoo.benchmarking import cells, memory, reference
from zoo.benchmarking import proof as proofs
from zoo.benchmarking.cells import choose
from zoo.errors import InputError, UnknownNameError, ZooError
from zoo.verification import tolerances

CPU = {"gpus": []}


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


def test_two_benchmarks_on_one_machine_are_refused(monkeypatch):
    from zoo.benchmarking import alone

    monkeypatch.setattr(alone, "_ADDRESS", "\0zoo.benchmarking.test")
    second = alone.alone()
    with alone.alone(), pytest.raises(InputError, match="another benchmark is running"):
        second.__enter__()
    with alone.alone():  # it is free again
        pass
