"""A file is written whole or not at all, whatever happens meanwhile."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from zoo.files import replacing


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError), replacing(path) as part:
        part.write_text("half of the new \udc80", encoding="utf-8")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file.txt"]


def test_where_no_file_can_be(tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for path, message in (
        (tmp_path, "Is a dir"),
        (tmp_path / "loop", "Too many"),
        ("a\0", "Invalid"),
    ):
        with pytest.raises(OSError, match=message), replacing(path):
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


def test_killed_at_any_instant_the_old_file_is_whole(tmp_path, spec_file):
    """Each instant is a line of zoo's own code, or a number of bytes that are written."""
    path = tmp_path / "folder" / "weights.safetensors"
    path.parent.mkdir()
    spec = spec_file("conv: {op: conv, out_channels: 64, kernel_size: 5}")
    script = Path(__file__).parents[1] / "killed_writers.py"
    done = subprocess.run(
        [sys.executable, str(script), spec, str(path)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    old, new, killed, too_large = 11, 12, -signal.SIGKILL, -signal.SIGXFSZ
    rows = [line.split() for line in done.stdout.splitlines()]
    for kind, signal_ in (("line", killed), ("size", too_large)):
        found = [(int(status), int(there)) for each, status, there in rows if each == kind]
        *before, (last, there) = found
        assert (last, there) == (0, new), "the last writer is not killed"
        assert {status for status, _ in before} == {signal_}
        contents = [there for _, there in before]
        assert set(contents) <= {old, new}, "a damaged file, or parts of two"
        assert contents == sorted(contents), "the old file came back"
        assert contents.count(old) > 10
    assert (killed, new) in [(int(a), int(b)) for _, a, b in rows], "no kill after the replacement"
