"""What every test shares: scratch specs and the backends."""

from __future__ import annotations

import gc
import os
import signal
import sys
import textwrap

import loading
import pytest
import xla
from adding import prelu as prelu
from adding import squeeze_excite as squeeze_excite

from zoo.backend import registry

FRAMEWORKS = ("torch", "paddle", "keras", "flax")
BACKENDS = (*FRAMEWORKS, "onnx")


def pytest_configure(config):
    # As in a shell's background job; the processes of tests would inherit it.
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if "PYTEST_XDIST_WORKER" in os.environ:  # the workers share the cores; threads would wait
        os.environ.setdefault("OMP_NUM_THREADS", "1")
    loading.quick = config.option.markexpr == "not slow"
    # In the order that uses the cores best, the gradients of a large ConvNeXt take ten times the
    # memory.
    xla.tell(xla.QUICK if loading.quick else xla.SPARING)
    # With all frameworks imported, looking for cycles takes a tenth of the time of the tests.
    gc.set_threshold(50_000, 20, 50)


@pytest.fixture(scope="module")
def free_memory():
    """Frees what models left in cycles, without a search of all that was there before."""
    gc.collect()
    gc.freeze()  # the frameworks, the tests, and what earlier tests have left in caches
    yield gc.collect
    gc.unfreeze()


def pytest_generate_tests(metafunc):
    given = (mark.args[0] for mark in metafunc.definition.iter_markers("parametrize"))
    if "backend" in metafunc.fixturenames and not any("backend" in names for names in given):
        alone = metafunc.definition.get_closest_marker("frameworks")
        names = FRAMEWORKS if alone else BACKENDS
        metafunc.parametrize("backend", names, indirect=True, scope="session")


@pytest.fixture
def spec_file(tmp_path):
    """Writes a spec of one model from its layers, and returns the path as text."""

    def write(layers: str, *, header: str = "", name: str = "tiny", file: str = "tiny.yaml") -> str:
        path = tmp_path / file
        text = f"format: 1\nname: {name}\n{textwrap.dedent(header)}layers:\n"
        path.write_text(text + textwrap.indent(textwrap.dedent(layers).strip("\n"), "  ") + "\n")
        return str(path)

    return write


@pytest.fixture(scope="session")
def backend(request):
    """Each backend in turn; the frameworks alone, if the test is marked so."""
    return request.param


@pytest.fixture
def other_backends(monkeypatch):
    """Whatever is registered in a test is gone after it."""
    monkeypatch.setattr(registry, "_registered", {})
    monkeypatch.setattr(registry, "_loaded", dict(registry._loaded))
    registry.table.cache_clear()
    yield
    monkeypatch.undo()
    registry.table.cache_clear()


@pytest.fixture
def cluster(monkeypatch):
    """Two workers in processes of their own, without a page of their own."""
    from distributed import LocalCluster

    # Workers import what this process can import.
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    made = LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0", silence_logs=50
    )
    yield made
    made.close()
