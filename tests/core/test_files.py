"""A file is written whole or not at all, whatever happens meanwhile."""

import multiprocessing
import os
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from zoo.files import replacing, scratch, taking_turns


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


KILLED = """
import os, signal, sys
from zoo.files import scratch
with scratch(sys.argv[1], "work-") as folder:
    (folder / "inner").mkdir()
    (folder / "inner" / "file").write_text("x" * 1000)
    print(folder, flush=True)
    if sys.argv[2] == "wait":
        input()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def at_work(parent, what):
    run = [sys.executable, "-c", KILLED, str(parent), what]
    process = subprocess.Popen(run, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    return process, Path(process.stdout.readline().strip())


def test_what_killed_work_leaves_is_removed_by_the_next(tmp_path):
    with at_work(tmp_path, "wait")[0] as living:
        folders = []
        for _ in range(3):
            with at_work(tmp_path, "die")[0] as process:
                pass
            assert process.returncode == -signal.SIGKILL
            folders = os.listdir(tmp_path)
            assert len(folders) == 2, "the one before was not removed, or one at work was"
        with scratch(tmp_path, "work-") as mine:
            assert len(os.listdir(tmp_path)) == 2 and mine.is_dir()
        living.communicate("\n")
    with scratch(tmp_path, "work-") as mine:
        assert os.listdir(tmp_path) == [mine.name]
    assert not os.listdir(tmp_path)


def test_what_is_not_ours_is_never_removed(tmp_path):
    """Other names, files, links, full folders without a lock, and those of other machines."""
    with scratch(tmp_path, "work-") as folder:
        host = folder.name.rpartition("-")[0]
    others = tmp_path / "elsewhere"
    for name in (
        f"{host}-0000000g",
        f"{host}-00000001.bak",
        "work-",
        "work-other-00000001",
        others.name,
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "zoo.lock").touch()
        (tmp_path / name / "theirs").touch()
    (tmp_path / f"{host}-00000002").mkdir()
    (tmp_path / f"{host}-00000002" / "theirs").touch()
    (tmp_path / f"{host}-00000003").touch()
    (tmp_path / f"{host}-00000004").symlink_to(others)
    (tmp_path / f"{host}-00000005").mkdir()
    (others / "lock").touch()
    (tmp_path / f"{host}-00000005" / "zoo.lock").symlink_to(others / "lock")
    before = sorted(map(str, tmp_path.rglob("*")))
    with scratch(tmp_path, "work-"):
        pass
    assert sorted(map(str, tmp_path.rglob("*"))) == before


def test_folders_of_other_machines_are_left(tmp_path, monkeypatch):
    with at_work(tmp_path, "die")[0]:
        pass
    monkeypatch.setattr(platform, "node", lambda: "another.example")
    with scratch(tmp_path, "work-"):
        assert len(os.listdir(tmp_path)) == 2


def taking(path, log):
    with taking_turns(path):
        with log.open("a") as file:
            file.write("begin\n")
        time.sleep(0.01)
        with log.open("a") as file:
            file.write("end\n")


def test_processes_take_turns(tmp_path):
    path, log = tmp_path / "file.lock", tmp_path / "log"
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=taking, args=(path, log)) for _ in range(20)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert log.read_text() == "begin\nend\n" * 20
    assert os.listdir(tmp_path) == ["log"]


def test_a_turn_ends_with_its_process(tmp_path):
    code = "import os, sys\nfrom pathlib import Path\nfrom zoo.files import taking_turns\n"
    code += "with taking_turns(Path(sys.argv[1])):\n    os.kill(os.getpid(), 9)\n"
    path = tmp_path / "file.lock"
    subprocess.run([sys.executable, "-c", code, str(path)])
    assert path.exists()
    with taking_turns(path, lambda: pytest.fail("there is nobody to wait for")):
        pass
    assert not path.exists()
