"""Studies in the frameworks: what a run is, and a study from end to end."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from loading import load

import zoo
from zoo.comparing import plan, proof, run, training
from zoo.comparing import study as studies

pytestmark = pytest.mark.frameworks

NETWORK = """
conv: {op: conv, out_channels: 6, kernel_size: 3, stride: 2, padding: 1, bias: false}
bn: {op: batch_norm}
relu: {op: relu}
pool: {op: global_avg_pool}
flatten: {op: flatten}
fc: {op: linear, out_features: $num_classes}
"""

HEADER = "options: {num_classes: 10, in_channels: 3, input_size: 8}\n"


@pytest.fixture
def network(spec_file):
    return spec_file(NETWORK, header=HEADER, name="studied")


def jobs(path, backends=("torch", "paddle"), **fields):
    """Return the jobs of a small study, by backend and whether they are native."""
    for name in backends:
        load(name)
    chosen = {
        "models": path, "data": "digits", "backends": list(backends), "seeds": 1, "epochs": 1,
        "lr": 0.05, "batch_size": 16, "train_images": 64, "validation_images": 32, **fields,
    }  # fmt: skip
    found = {}
    for each in plan.planned(studies.of(chosen))[0].runs:
        found[each.backend, bool(each.condition.native)] = {**each.job, "deterministic": False}
    return found


def test_aligned_runs_have_the_same_batches_and_results(network):
    found = jobs(network, momentum=0.9, switches=["order"])
    torch, paddle = (training.train(found[name, False]) for name in ("torch", "paddle"))
    assert torch["digests"] == paddle["digests"] and len(torch["digests"]) == 4
    assert np.allclose(torch["losses"], paddle["losses"], atol=1e-4)
    again = training.train(found["torch", False])
    assert {k: v for k, v in again.items() if k != "seconds"} == {
        k: v for k, v in torch.items() if k != "seconds"
    }
    own = training.train(found["torch", True])
    assert own["digests"] != torch["digests"]
    assert torch["stopped"] == "finished" and sum(torch["images"]) == 32


def test_a_run_that_diverges_has_no_result(network):
    found = training.train(jobs(network, lr=1e6, switches=["order"])["torch", False])
    assert found["top1"] is None and "loss is nan" in found["stopped"]
    json.dumps(found, allow_nan=False)


def test_unbiased_running_variances_are_those_of_pytorch(network):
    """PyTorch's own layer, on what the network's batch norm reads."""
    import torch

    job = jobs(network, ("torch", "keras"), switches=["batch_norm_variance"])["torch", True]
    assert job["unbiased"]
    loaded = load("torch")
    loop = training._loop(loaded, job, training._data(job))
    layer, own = loop.model.bn, torch.nn.BatchNorm2d(6)

    def observe(module, inputs):
        if module.training:
            own(inputs[0])

    layer.register_forward_pre_hook(observe)
    for number, batch in enumerate(loop.train.batches(0, 4)):
        loop._update(batch, number)
        loop.state.step = number + 1
    weights = loaded.get_weights(loop.model)
    found = loop._with_unbiased(weights, loop._unbiased)["bn.running_var"]
    np.testing.assert_allclose(found, own.running_var.numpy(), rtol=1e-5)
    assert not np.allclose(weights["bn.running_var"], own.running_var.numpy(), rtol=1e-3)
    loop._evaluate()
    after = loaded.get_weights(loop.model)
    assert all(np.array_equal(after[name], value) for name, value in weights.items())


@pytest.mark.parametrize(
    ("switch", "value", "message"),
    [
        ("padding", "same", "the first node is conv, which differs by .* in the initial model"),
        ("batch_norm_eps", 1e-3, "the first node is bn, which differs by"),
        ("batch_norm_momentum", 0.9, "the first node is bn, whose running_mean .* after step 1"),
        ("decay", "decoupled", "the first node is conv, whose weight differs by .* after step"),
    ],
)
def test_a_proof_stops_at_the_node_that_differs(network, tmp_path, switch, value, message):
    """One framework in two ways, since only what it is told differs."""
    native = {"torch": {switch: value}}
    found = jobs(network, momentum=0.9, weight_decay=0.1, switches=[switch], native=native)
    arrays = {}
    for name, is_native in (("torch", False), ("paddle", True)):
        job = {**found["torch", is_native], "backend": "torch"}
        folder = tmp_path / name
        folder.mkdir()
        training.prove({"jobs": [job], "steps": 3, "folder": str(folder)})
        arrays[name] = dict(np.load(folder / "torch.0.npz"))
    names = [p.name for p in zoo.graph(network).parameters]
    assert proof.compare({"torch": arrays["torch"], "paddle": arrays["torch"]}, names, "n") == (
        3,
        0,
    )
    with pytest.raises(proof.ProofError, match=message):
        proof.compare(arrays, names, "studied")


def command(*arguments, **options):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "zoo", "compare", *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, **options,
    )  # fmt: skip


OPTIONS = (
    "--data", "digits", "--backends", "torch,paddle", "--epochs", 1, "--lr", 0.05, "--momentum",
    0.9, "--train-images", 128, "--validation-images", 50,
)  # fmt: skip


@pytest.mark.slow
def test_a_study_is_repeated_bit_for_bit_on_a_cluster(network, tmp_path, cluster):
    """Its proof, too, comes from the workers. The two have processes of their own."""
    first = command(
        network, *OPTIONS, "--seeds", 1, "--switches", "optimizer", "--proof-steps", 1,
        "--output", tmp_path / "study",
    )  # fmt: skip
    printed, errors = first.communicate()
    assert first.returncode == 0, errors
    assert "2 runs to train; " in errors and "index.html" in printed
    assert {"run.json", "runs.csv", "index.html"} <= {
        p.name for p in (tmp_path / "study").iterdir()
    }
    again = command(
        "--repeat", tmp_path / "study" / "run.json", "--output", tmp_path / "again",
        "--scheduler", cluster.scheduler_address,
    )  # fmt: skip
    _, errors = again.communicate()
    assert again.returncode == 0, errors
    assert "2 runs to train; 2 at a time" in errors
    assert "all 2 runs are the same, bit for bit" in errors
    kept = [json.loads((tmp_path / name / "run.json").read_text()) for name in ("study", "again")]
    assert kept[0]["runs"] == kept[1]["runs"] and kept[0]["proofs"] == kept[1]["proofs"]
    assert kept[1]["machine"] == {"scheduler": cluster.scheduler_address}


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_command_keeps_its_runs_and_continues(network, tmp_path, number):
    given = (network, *OPTIONS, "--seeds", 3, "--output", tmp_path / "study")
    process = command(*given)
    runs = tmp_path / "study" / "runs"
    while process.poll() is None and not (runs.is_dir() and any(runs.iterdir())):
        time.sleep(0.2)
    process.send_signal(number)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130 and "the same command continues" in errors
    kept = len(list(runs.glob("*.json")))
    assert kept and f"{kept} of " in errors
    process = command(*given)
    _, errors = process.communicate()
    assert process.returncode == 0 and f"{kept} more are there" in errors


@pytest.mark.slow
def test_four_frameworks_are_proven_to_train_alike(network, tmp_path):
    study = studies.of(
        {
            "models": network, "data": "digits", "seeds": 1, "epochs": 1, "lr": 0.05,
            "momentum": 0.9, "weight_decay": 1e-3, "train_images": 256, "switches": ["optimizer"],
        }
    )  # fmt: skip
    done = run.run(study)
    assert done.proofs[0].error < 1e-8 and done.proofs[0].backends == tuple(
        entry.name for entry in study.entries
    )
    assert len({run.digests for run in done.runs}) == 1
