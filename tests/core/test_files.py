"""A file is written whole or not at all, whatever happens meanwhile."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from zoo.files import replacing
from zoo.weights import zoo_file


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError), replacing(path) as part:
        part.write_text("half of the new \udc80", encoding="utf-8")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file.txt"]


def test_where_no_file_can_be(tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for path, told in ((tmp_path, "Is a dir"), (tmp_path / "loop", "Too many"), ("a\0", "Invalid")):
        with pytest.raises(OSError, match=told), replacing(path):
            pass


def test_the_mode_is_that_of_the_old_file_or_of_any_new_one(tmp_path):
    old, new, usual = tmp_path / "old", tmp_path / "new", tmp_path / "usual"
    old.touch()
    old.chmod(0o640)
    usual.touch()
    for path in (old, new):
        with replacing(path) as part:
            part.write_text("x")
            part.chmod(0o600)  # as some libraries do
    assert oct(old.stat().st_mode) == oct(0o100640)
    assert new.stat().st_mode == usual.stat().st_mode


def test_a_link_stays_one(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("old")
    link.symlink_to(target)
    with replacing(link) as part:
        part.write_text("new")
    assert link.is_symlink()
    assert target.read_text() == "new"


WRITER = """
import sys
import numpy as np
import zoo
from zoo.weights import zoo_file
graph = zoo.graph("vgg9", input_size=32, num_classes=3)
for i in range(1, 1000):
    arrays = {p.name: np.full(p.shape, i, np.float32) for p in graph.parameters}
    print(i, flush=True)
    zoo_file.write(sys.argv[1], graph, arrays)
"""


def test_killed_at_any_instant_the_old_file_is_whole(tmp_path):
    path = tmp_path / "weights.safetensors"
    rng = random.Random(0)
    seen = set()
    for _ in range(8):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
        )
        begun = int(writer.stdout.readline())
        while begun < 2:  # there is an old file now
            begun = int(writer.stdout.readline())
        time.sleep(rng.uniform(0, 0.3))
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        checkpoint = zoo_file.read(path)
        values = {float(stored.read().ravel()[0]) for stored in checkpoint.arrays.values()}
        checkpoint.verify()
        assert len(values) == 1, "parts of two files"
        seen |= values
        for part in tmp_path.glob(".*part*"):
            part.unlink()
    assert len(seen) > 1, "every writer was killed at the same place"
