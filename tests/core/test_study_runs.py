"""The runs of a study: how they are kept, continued, repeated and proven."""

from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from threading import Barrier
from types import SimpleNamespace

import numpy as np
import pytest
from asking import installed as installed
from asking import study
from limits import HANG

from zoo.comparing import (
    plan,
    processes,
    proof,
    record,
    store,
)
from zoo.comparing.run import Ended, Started, run
from zoo.errors import InputError, TrainingError, ZooError
from zoo.graphs.graph import Graph
from zoo.jobs import JobDiedError

# The folder, and what is trained when


@pytest.fixture
def trained(monkeypatch):
    """Puts a function in the place of training, and lists the jobs that it was given."""
    jobs = []

    def train_one(job):
        jobs.append(job)
        top1 = 0.5 + job["weights_seed"] / 10
        return {"top1": top1, "loss": 1.0, "losses": [2.0, 1.0], "seconds": 1.0}

    monkeypatch.setattr(processes, "train_one", train_one)
    return jobs


def go(path, progress=lambda event: None, workers=1, **fields):
    chosen = {"switches": ["order"], "proof_steps": 0, **fields}
    with ThreadPoolExecutor(workers) as executor:
        return run(study(**chosen), path, executor=executor, progress=progress)


def test_a_study_continues_with_what_is_missing(tmp_path, trained):
    path = tmp_path / "study"
    done = go(path, seeds=1)
    assert len(trained) == len(done.runs) == 8 and not done.failed
    assert {run.top1 for run in done.runs} == {0.5}
    go(path, seeds=1)
    assert len(trained) == 8
    more = go(path, seeds=2)
    assert len(trained) == 16 and len(more.runs) == 16
    assert [run.top1 for run in more.runs if run.condition.weights_seed == 1] == [0.6] * 8
    with pytest.raises(InputError, match=r"another study, with seeds \[0, 1\], not \[0\]"):
        go(path, seeds=1)
    with pytest.raises(InputError, match=r"another study, with lr 0.1, not 0.2; choose another"):
        go(path, seeds=2, lr=0.2)


@pytest.fixture
def proven(monkeypatch):
    """Puts a function in the place of the proofs, and lists the networks that it was called with.

    What it calls first can be replaced.
    """

    def prove_one(job):
        (first,) = job["jobs"]
        called.names.append(first["graph"]["name"])
        called.before(first["graph"]["name"])
        graph, content = Graph.from_dict(first["graph"]), BytesIO()
        names = [parameter.name for parameter in graph.parameters]
        np.savez(content, **{f"1/{name}": np.ones(2) for name in names})
        return {"files": {f"{first['backend']}.0.npz": content.getvalue()}}

    called = SimpleNamespace(names=[], before=lambda name: None)
    monkeypatch.setattr(processes, "prove_one", prove_one)
    return called


TWO = {"models": ["lenet5", "resnet20"], "seeds": 1, "proof_steps": 1}


def test_networks_are_proven_side_by_side(trained, proven):
    together = Barrier(8)
    proven.before = lambda name: together.wait(HANG)
    done = go(None, workers=8, **TWO)
    assert [each.model for each in done.proofs] == ["lenet5", "resnet20"]


def test_a_network_that_is_proven_is_not_proven_again(tmp_path, trained, proven):
    def fail(name):
        if name == "resnet20":
            raise InputError("no memory")

    path, told = tmp_path / "study", []
    proven.before = fail
    with pytest.raises(TrainingError, match="cannot train in float64: no memory"):
        go(path, told.append, **TWO)
    assert told[1:] == [
        "Proving that the frameworks train alike in float64: lenet5 on digits, resnet20 on digits",
        "Proven: lenet5 on digits, within 0.0e+00",
    ]
    assert len(list((path / "proofs").iterdir())) == 1 and not trained
    proven.names.clear()
    proven.before = lambda name: None
    done = go(path, **TWO)
    assert proven.names == ["resnet20"] * 4
    assert [each.model for each in done.proofs] == ["lenet5", "resnet20"]


def test_an_interruption_loses_no_run_that_has_ended(tmp_path, trained):
    def interrupt(event):
        if isinstance(event, Ended) and event.done == 3:
            raise KeyboardInterrupt

    path = tmp_path / "study"
    with pytest.raises(KeyboardInterrupt):
        go(path, interrupt, seeds=1)
    assert len(list((path / "runs").iterdir())) == 3
    events = []
    go(path, events.append, seeds=1)
    started = next(event for event in events if isinstance(event, Started))
    assert (started.done, started.total) == (3, 8)


def test_a_full_disk_loses_no_run_that_has_ended(tmp_path, trained, monkeypatch):
    path, write = tmp_path / "study", store.write_text

    def full(place, text):
        if len(list((path / "runs").glob("*.json"))) == 2:
            raise InputError(f"{place}: cannot be written: No space left on device")
        write(place, text)

    monkeypatch.setattr(store, "write_text", full)
    with pytest.raises(InputError, match="No space left"):
        go(path, seeds=1)
    monkeypatch.setattr(store, "write_text", write)
    trained.clear()
    go(path, seeds=1)
    assert len(trained) == 6


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"format": 1}', "[" * 100_000])
def test_a_damaged_run_is_named(tmp_path, trained, damage):
    path = tmp_path / "study"
    go(path, seeds=1)
    file = sorted((path / "runs").iterdir())[0]
    file.write_text(damage)
    with pytest.raises(InputError, match=f"{file.name}: damaged .*; remove it"):
        go(path, seeds=1)
    file.unlink()
    go(path, seeds=1)


def test_a_run_under_the_key_of_another_is_named(tmp_path, trained):
    path = tmp_path / "study"
    go(path, seeds=1)
    first, second, *_ = sorted((path / "runs").iterdir())
    first.write_text(second.read_text())
    with pytest.raises(InputError, match=f"{first.name}: damaged .it is of another run"):
        go(path, seeds=1)


def test_a_second_process_and_foreign_files_are_refused(tmp_path, trained):
    path = tmp_path / "study"
    asked = study(switches=["order"], proof_steps=0, seeds=1)
    with (
        store.Folder.opened(path, asked),
        pytest.raises(InputError, match="another process is working"),
    ):
        go(path, seeds=1)
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "text").touch()
    with pytest.raises(InputError, match="other files, and no study"):
        go(tmp_path / "thesis", seeds=1)
    assert not trained


def test_a_study_that_cannot_be_made_leaves_no_folder(tmp_path, trained):
    with pytest.raises(ZooError):
        go(tmp_path / "study", data="digitz")
    assert not (tmp_path / "study").exists()


def test_a_process_that_fails_is_tried_again_and_not_kept(tmp_path, monkeypatch, trained):
    calls, path = [], tmp_path / "study"

    def fail(job):
        calls.append(job)
        if job["backend"] == "keras":
            raise JobDiedError("its process was killed by signal 9")
        return {"top1": 0.5, "loss": 1.0}

    monkeypatch.setattr(processes, "train_one", fail)
    done = go(path, seeds=1)
    assert [run.backend for run in done.failed] == ["keras", "keras"]
    assert done.failed[0].stopped.startswith("failed: ")
    assert done.failed[0].stopped.endswith("its process was killed by signal 9")
    assert len(calls) == 10 and len(list((path / "runs").iterdir())) == 6


# The file to repeat a study from


def test_a_study_is_repeated_from_its_file(tmp_path, trained):
    done = go(tmp_path / "study", seeds=1)
    file = tmp_path / "run.json"
    record.write(file, record.contents(done))
    recorded = record.read(file)
    again = record.study_of(recorded)
    record.check(recorded, plan.planned(again))
    assert record.differences(recorded, done.comparisons, done.runs) == []
    first = recorded["runs"][done.comparisons[0].runs[0].key]
    first["digests"]["losses"] = "0" * 64
    (found,) = record.differences(recorded, done.comparisons, done.runs)
    assert found.endswith("(torch): losses")
    recorded["versions"]["torch"]["torch"] = "1.0"
    recorded["runs"] = {}
    with pytest.raises(InputError, match="cannot be repeated bit for bit: torch was 1.0 and is"):
        record.check(recorded, plan.planned(again))


def test_the_file_says_once_what_runs_have_in_common(trained):
    done = go(None, seeds=2, grid={"momentum": [0.5, 0.9]})
    recorded = record.contents(done)
    planned = [run for comparison in done.comparisons for run in comparison.runs]
    assert len(planned) == len(recorded["runs"]) == 32
    for each in planned:
        described = recorded["runs"][each.key]
        assert described["recipe"].keys() == {"momentum", "seed"}
        assert recorded["recipe"] | described["recipe"] == each.job["recipe"]
        assert recorded["batches"][described["batches"]] == ()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"zoo_compare": 1}', "[" * 100_000])
def test_another_file_is_no_study_to_repeat(tmp_path, text):
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(InputError, match=r"run\.json: "):
        record.read(tmp_path / "run.json")
    with pytest.raises(InputError, match="cannot be read"):
        record.read(tmp_path / "absent.json")


# The proof


def arrays(**changes):
    generator = np.random.default_rng(0)
    names = ("node/conv", "node/bn", "1/conv.weight", "1/bn.running_mean", "2/conv.weight",
             "2/bn.running_mean")  # fmt: skip
    values = {name: generator.standard_normal(8) for name in names}
    for name, change in changes.items():
        key = name.replace("__", "/").replace("_OF_", ".")
        values[key] = values[key] + change
    return values


def compare(other):
    names = ["conv.weight", "bn.running_mean"]
    return proof.compare({"torch": arrays(), "keras": other}, names, "net")


def test_frameworks_that_agree_are_proven():
    steps, largest = compare(arrays(**{"2__conv_OF_weight": 1e-12}))
    assert steps == 2 and 0 < largest < 1e-8


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"1__bn_OF_running_mean": 1e-3}, "the first node is bn, whose running_mean differs by"),
        (
            {"1__bn_OF_running_mean": 1e-3, "1__conv_OF_weight": 1e-3},
            "the first node is conv, whose weight differs by .* after step 1",
        ),
        ({"2__conv_OF_weight": 1e-3}, "the first node is conv, .* after step 2"),
        (
            {"1__conv_OF_weight": 1e-3, "node__bn": 1e-6},
            "the first node is bn, which differs by .* in the initial model",
        ),
        ({"1__conv_OF_weight": np.nan}, "the first node is conv, whose weight differs by inf"),
    ],
)
def test_the_first_node_that_differs_is_named(changes, message):
    with pytest.raises(
        proof.ProofError, match=f"PyTorch and Keras 3 do not train alike.*{message}"
    ):
        compare(arrays(**changes))
