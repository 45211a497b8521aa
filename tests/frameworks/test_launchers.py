"""Training on two machines, with the commands of docs/training.md; both machines are this one."""

import os
import re
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path

import loading
import on_devices
import pytest
import yaml
from ends import apart, final
from once import once

from zoo.training.train import start

pytestmark = [pytest.mark.frameworks, pytest.mark.slow]

DOCUMENT = Path(__file__).parents[2] / "docs" / "training.md"
HOSTS = ("host0:29500", "host1:29500")


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    """A run on one device, and the recipe."""
    folder = once(tmp_path_factory, "launched", on_devices.prepare)
    recipe = on_devices.recipe(folder, "everything")
    loading.load("torch", double=True)
    return once(tmp_path_factory, "one-machine", partial(start, recipe, "torch")), recipe


def commands(backend):
    """The documented command of each of two machines that have one device."""
    block = DOCUMENT.read_text().partition("### Several machines")[2].partition("```\n")[2]
    found = [part for part in block.partition("```")[0].split("\n\n") if f" {backend} " in part]
    assert len(found) == 1
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in HOSTS]
    ports = [str(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    text = found[0].replace(HOSTS[1], f"127.0.0.1:{ports[1]}")
    text = text.replace("host0", "127.0.0.1").replace("29500", ports[0])
    text = re.sub(r"(nproc[-_]per[-_]node) 4", r"\1 1", text)
    number = r'(--node-rank |JAX_PROCESS_ID=|"index": )0'
    return [re.sub(number, rf"\g<1>{rank}", text) for rank in range(2)]


def test_two_machines_compute_what_one_device_does(backend, one, tmp_path):
    expected, recipe = one
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe.to_dict()))
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "JAX_ENABLE_X64": "1", "OMP_NUM_THREADS": "1"}
    started = [
        subprocess.Popen(
            ["bash", "-c", command],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for command in commands(backend)
    ]
    try:
        said = [process.communicate(timeout=300)[0] for process in started]
    finally:
        for process in started:
            process.kill()
    assert [process.returncode for process in started] == [0, 0], "\n".join(said)[-3000:]
    (step, found), (known, values) = final(tmp_path / "run1"), final(expected)
    assert step == known
    assert apart(found, values) < 1e-10
