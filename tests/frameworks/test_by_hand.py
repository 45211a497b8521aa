"""Networks written by hand, which ``zoo bench`` compares with zoo's, are the same networks."""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest
from loading import load

import zoo
from zoo.backend import registry
from zoo.backend.workloads import LOSS
from zoo.benchmarking import harness, proof, reference
from zoo.benchmarking.cells import Cell
from zoo.errors import BackendError, InputError
from zoo.verification import tolerances
from zoo.verification.stages import build

PEERS = Path(__file__).parents[2] / "benchmarks" / "peers"
FRAMEWORKS = ("torch", "paddle", "keras", "flax")


@pytest.fixture(scope="module")
def by_hand():
    """Loads a backend of networks written by hand, without installing the package."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(PEERS))
        patch.setattr(registry, "_registered", dict(registry._registered))
        patch.setattr(registry, "_loaded", dict(registry._loaded))
        for framework in FRAMEWORKS:
            registry.register(f"zoo_by_hand.{framework}")

        @cache
        def loaded(framework):
            load(framework, double=True)
            backend = registry.load(f"{framework}-by-hand")
            if framework == "flax":
                patch.setattr(backend.networks, "googlenet", _quick(backend.networks.googlenet))
            return backend

        yield loaded
    registry.table.cache_clear()


def _quick(write):
    """Flax compiles an initializer for each shape, which takes half a minute."""
    from flax import nnx

    def zeros(key, shape, dtype):
        return np.zeros(shape, dtype)

    def quickly(**settings):
        with pytest.MonkeyPatch.context() as patch:
            for layer in (nnx.Conv, nnx.Linear):
                drawing_nothing = partial(layer, kernel_init=zeros, bias_init=zeros)
                patch.setattr(nnx, layer.__name__, drawing_nothing)
            return write(**settings)

    return quickly


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """GoogLeNet, its weights, and what NumPy computes of photographs."""
    place = tmp_path_factory.mktemp("by_hand")
    reference.write(place, zoo.graph("googlenet", input_size=64), ["float64"], 0)
    return place


def filled(backend, graph, folder):
    from safetensors.numpy import load_file

    model = build(backend, graph, "float64", 0)
    backend.set_weights(model, load_file(folder / "weights.safetensors"))
    return model


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_what_is_written_by_hand_is_the_network(framework, by_hand, folder):
    backend, graph = by_hand(framework), proof.read_graph(folder)
    mode = "jax.jit" if framework == "flax" else "eager"  # where it compiles each operation
    work = backend.workload(filled(backend, graph, folder), "forward", mode, 1)
    result = work.read(work.run(work.place(*proof.inputs(folder, graph, 1)[0])))
    verdict = proof.Outputs(folder, "float64", 1).compare(result, 0)
    assert verdict.error <= tolerances.FORWARD["float64"]


WAYS = [
    (framework, mode.name, work)
    for framework in FRAMEWORKS
    for mode in registry.resolve(framework).modes
    for work in mode.works
    if work != "forward" and mode.name != "eager"
] + [("torch", "eager", "train"), ("paddle", "eager", "train")]


@pytest.mark.slow
@pytest.mark.parametrize(("framework", "mode", "work"), WAYS)
def test_it_is_trained_as_the_network(framework, mode, work, by_hand, folder):
    backend, graph = by_hand(framework), proof.read_graph(folder).without_dropout()
    given = proof.inputs(folder, graph, 2)[0]
    own = registry.load(framework)
    loss, gradients, _ = own.gradients(filled(own, graph, folder), *given)
    scale = max(np.abs(value).max() for value in gradients.values())
    subject = backend.workload(filled(backend, graph, folder), work, mode, 1)
    found = subject.prove(subject.place(*given), scale)
    assert found.keys() == {LOSS, *gradients}
    assert float(found[LOSS]) == pytest.approx(loss, rel=1e-12)
    for name, value in gradients.items():
        assert np.abs(found[name] - value).max() <= tolerances.GRADIENTS["float64"] * scale


def test_another_network_has_no_time(by_hand, folder):
    """Its pools begin one pixel before zoo's, so that all shapes are the same."""
    import torch

    backend, graph = by_hand("torch"), proof.read_graph(folder)
    model = filled(backend, graph, folder)
    threads = torch.get_num_threads()
    cell = Cell("googlenet", "torch-by-hand", "eager", "cpu", "float64", 2, "forward")

    def measured():
        return harness.measure(
            lambda: backend.workload(model, "forward", "eager", threads),
            cell,
            proof.inputs(folder, graph, 2),
            proof.Outputs(folder, "float64", 2),
            threads=threads,
            limits=harness.Limits(least=1, most=1, seconds=0, warmup=0),
        )

    assert measured().proof.passed
    model[1] = torch.nn.MaxPool2d(3, 2, padding=1)
    found = measured()
    assert not found.proof.passed and found.times == ()
    assert any(each.startswith("results differ from the reference") for each in found.problems)


def test_networks_that_nobody_wrote_are_refused(by_hand):
    backend = by_hand("torch")
    lacking = "torch-by-hand has googlenet and vgg16, not resnet18"
    with pytest.raises(BackendError, match=lacking):
        zoo.build("resnet18", "torch-by-hand")
    with pytest.raises(InputError, match=f"there is nothing to measure: {lacking}"):
        zoo.bench("resnet18", backends="torch-by-hand")
    with pytest.raises(BackendError, match="written by hand has 116 parameters, and zoo's has 128"):
        build(backend, zoo.graph("googlenet", aux=True), "float32", 0)
    with pytest.raises(
        BackendError, match=r"\[64, 3, 7, 7\] is in the place of conv1.conv.weight \[64, 1, 7, 7\]"
    ):
        build(backend, zoo.graph("googlenet", in_channels=1), "float32", 0)


def test_verification_leaves_them_out(by_hand):
    from zoo.verification.verify import requested

    by_hand("torch")
    assert not [name for name in requested(None, "float32", "forward") if "by-hand" in name]
    with pytest.raises(BackendError, match="torch-by-hand takes no part in zoo verify"):
        zoo.verify("googlenet", backends=["torch", "torch-by-hand"])
