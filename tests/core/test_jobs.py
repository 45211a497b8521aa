"""Independent jobs: in processes of this machine, and on a cluster of Dask."""

from __future__ import annotations

import bisect
import csv
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import errands
import pytest
from limits import HANG
from running import children, is_running, wait_for

import zoo
from zoo import jobs
from zoo.errors import BackendError, InputError
from zoo.jobs import machine, processes, versions
from zoo.jobs.errors import JobError
from zoo.jobs.process import Process, packed
from zoo.jobs.worker import plainly


@pytest.fixture(scope="module")
def two():
    with jobs.local(2) as executor:
        yield executor


def test_results_arrive_once_in_the_order_of_completion(two, tmp_path):
    names = [("go", "a"), ("", "b"), ("b", "c")]
    given = [(before and str(tmp_path / before), str(tmp_path / own)) for before, own in names]
    results = jobs.run(errands.in_turn, given, two)
    assert [next(results), next(results)] == [(1, "b"), (2, "c")]
    (tmp_path / "go").write_text("")
    assert list(results) == [(0, "a")]


def test_each_job_has_a_process_of_its_own(two):
    found = [pid for _, pid in jobs.run(errands.process, [1, 2, 3], two)]
    assert len({*found, os.getpid()}) == 4
    with jobs.local(1, fresh=False) as executor:
        assert len({pid for _, pid in jobs.run(errands.process, [1, 2, 3], executor)}) == 1


def test_a_pool_has_its_environment(monkeypatch):
    monkeypatch.setenv("ZOO_B", "there")
    with jobs.local(2, environment={"ZOO_A": "here"}) as executor:
        found = dict(jobs.run(errands.variable, ["ZOO_A", "ZOO_B"], executor))
    assert found == {0: "here", 1: "there"}
    assert "ZOO_A" not in os.environ


def test_what_a_job_raises_is_a_result_and_not_tried_again(two, tmp_path):
    ((index, error),) = jobs.run(errands.failing, ["a"], two)
    assert (index, type(error), str(error)) == (0, ValueError, "not a")
    assert "errands.py" in error.__notes__[0]
    ((_, error),) = jobs.run(errands.raising_unsendable, ["b"], two)
    assert str(error) == "UnsendableError: b"


def test_a_job_whose_process_died_is_tried_again_and_then_named(two, tmp_path):
    once, twice = tmp_path / "once", tmp_path / "twice"
    given = [(str(once), 1, 3), (str(twice), 2, 4), (str(tmp_path / "never"), 0, 5)]
    found = dict(jobs.run(errands.counted, given, two))
    assert (found[0], found[2]) == (9, 25)
    assert once.read_text() == "started\n" * 2
    assert isinstance(found[1], jobs.JobDiedError)
    assert str(found[1]).startswith("job 1, (") and "twice" in str(found[1])
    assert str(found[1]).endswith(
        "its process was killed by signal 9, perhaps because memory ran out"
    )
    ((_, error),) = jobs.run(errands.counted, [(str(tmp_path / "x"), 1, 1)], two, retries=0)
    assert isinstance(error, jobs.JobDiedError)


def test_any_other_executor_does():
    with ThreadPoolExecutor(2) as executor:
        assert sorted(jobs.run(errands.squared, [1, 2, 3], executor)) == [(0, 1), (1, 4), (2, 9)]


def test_jobs_wait_until_they_fit_into_memory(monkeypatch, tmp_path):
    monkeypatch.setattr(processes, "available", lambda: 1000)
    # Together, 1000 bytes are more than a share of what there is; 4000 do not even fit alone.
    for need in (500, 4000):
        with jobs.local(2, memory=lambda job, need=need: need) as executor:
            found = dict(jobs.run(errands.at_the_same_time, [str(tmp_path)] * 2, executor))
        assert found == {0: 1, 1: 1}


def test_stopping_early_leaves_no_process(tmp_path):
    with jobs.local(1) as executor:
        place, waiting = tmp_path / "first", tmp_path / "waiting"
        results = jobs.run(errands.lingering, ["", str(place), str(waiting)], executor)
        assert next(results) == (0, None)
        wait_for(place.exists)
        results.close()
        wait_for(lambda: not any(map(is_running, place.read_text().split())))
        assert list(jobs.run(errands.squared, [3], executor)) == [(0, 9)]
    place = tmp_path / "second"
    with suppress(KeyboardInterrupt), jobs.local(1) as executor:
        executor.submit(errands.lingering, str(place))
        wait_for(place.exists)
        raise KeyboardInterrupt
    wait_for(lambda: not any(map(is_running, place.read_text().split())))
    assert (tmp_path / "second.cleaned").exists()
    assert not waiting.exists()


def test_a_process_has_a_folder_and_imports_what_its_caller_does(tmp_path, monkeypatch):
    """Files of its folder, and those beside the caller's script, do not shadow others."""
    own, script, more = (tmp_path / name for name in ("own", "script", "more"))
    for folder, names in {own: ["bisect"], script: ["csv", "beside"], more: ["given"]}.items():
        folder.mkdir()
        for name in names:
            (folder / f"{name}.py").touch()
    monkeypatch.setattr(sys, "path", [str(script), *sys.path])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", "more")
    with Process(folder=own) as process:
        found = {
            name: process.call(packed(errands.importing, [name]))
            for name in ("bisect", "csv", "beside", "given", "zoo")
        }
    assert {folder for _, folder in found.values()} == {str(own)}
    files = {name: file for name, (file, _) in found.items()}
    assert files == {
        "bisect": bisect.__file__,
        "csv": csv.__file__,
        "beside": str(script / "beside.py"),
        "given": str(more / "given.py"),
        "zoo": zoo.__file__,
    }


def test_a_process_that_takes_too_long_is_killed():
    with Process() as process:
        with pytest.raises(jobs.JobDiedError, match=r"^no result within 0\.01 s$"):
            process.call(packed(time.sleep, [HANG]), 0.01)
        wait_for(lambda: not is_running(process.number))
        with pytest.raises(jobs.JobDiedError):
            process.call(packed(os.getpid))


def test_jobs_of_several_threads_take_turns():
    with Process() as process, ThreadPoolExecutor(4) as threads:
        results = threads.map(lambda n: process.call(packed(errands.squared, [n])), range(20))
        assert list(results) == [n * n for n in range(20)]


def test_what_is_printed_is_no_answer_and_tells_why_a_process_ended():
    with Process() as process:
        assert process.call(packed(errands.printing, ["x" * 100_000])) == "answer"
        with pytest.raises(jobs.JobDiedError, match=r"^its process ended with status 3: last$"):
            process.call(packed(errands.ending, ["last"]))


def test_errors_are_described_where_they_cannot_be_read():
    with Process() as process:
        with pytest.raises(JobError) as left:
            process.call(packed(errands.leaving, [7]))
        with pytest.raises(JobError) as failed:
            process.call(packed(plainly, (errands.raising_unsendable, "\n a\nb")))
    assert [str(each.value) for each in (left, failed)] == ["SystemExit: 7", "UnsendableError: a"]
    assert "errands.py" in failed.value.__notes__[0]


def test_a_process_imports_little_of_its_own():
    """A benchmark measures what an import of a framework takes, with all that it imports."""
    names = ("numpy", "logging", "subprocess", "tempfile", "concurrent.futures", "zoo.errors")
    with Process() as process:
        loaded = process.call(packed(eval, ["[*__import__('sys').modules]"]))
    assert "zoo.jobs.worker" in loaded and not {*names} & {*loaded}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_leaves_no_process(number, tmp_path):
    place = tmp_path / "pids"
    program = (
        "import sys, errands\nfrom zoo import jobs\n"
        "with jobs.local(1) as executor:\n"
        "    list(jobs.run(errands.lingering, [sys.argv[1]], executor))\n"
    )
    path = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
    running = subprocess.Popen(
        [sys.executable, "-c", program, str(place)], stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path}, start_new_session=True,
    )  # fmt: skip
    wait_for(place.exists)
    os.killpg(running.pid, number)
    running.communicate(timeout=HANG)
    assert running.returncode in (-number, 130)
    wait_for(lambda: not any(map(is_running, place.read_text().split())))
    assert Path(f"{place}.cleaned").exists()


def test_what_cannot_be_sent_is_said(two):
    with pytest.raises(InputError, match=r"<lambda> cannot run in another process"):
        two.submit(lambda: 1)
    with pytest.raises(InputError, match="processes must be None or an integer of at least 1"):
        jobs.local(0)
    with pytest.raises(InputError, match="environment must be names and values as strings"):
        jobs.local(1, environment={"A": 1})


def test_differences_of_versions_are_named():
    here = versions.versions(["numpy", "no-such-package"])
    assert here["no-such-package"] == "not installed"
    assert versions.differences(here, dict(here)) == []
    (found,) = versions.differences(here, {**here, "numpy": "1.0"})
    assert found.startswith("numpy 1.0 instead of ")


def test_the_machine_has_processors_and_memory():
    assert machine.processors() >= 1
    assert machine.available() > 10_000_000


@pytest.mark.parametrize(
    ("scheduler", "error", "message"),
    [
        ("there:8786", InputError, "scheduler must be an address such as tcp://"),
        ("tcp://127.0.0.1:9", BackendError, "no scheduler of Dask answered within 1 s"),
    ],
)
def test_a_scheduler_that_is_not_there_is_one_clear_error(scheduler, error, message):
    with pytest.raises(error, match=message):
        jobs.at(scheduler, timeout=1.0)


def test_without_dask_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(BackendError, match=r"pip install 'polyzoo\[dask\]'"):
        jobs.at("tcp://127.0.0.1:9")


def test_a_cluster_gives_the_same_results(two, cluster, tmp_path, monkeypatch):
    """One test, because a cluster takes seconds to start."""
    with jobs.at(cluster.scheduler_address, packages=["numpy"]) as remote:
        assert sorted(jobs.run(errands.squared, range(6), remote)) == sorted(
            jobs.run(errands.squared, range(6), two)
        )
        given = [(str(tmp_path / "a"), 1, 3), (str(tmp_path / "b"), 9, 4)]
        found = dict(jobs.run(errands.counted, given, remote))
        assert found[0] == 9 and isinstance(found[1], jobs.JobDiedError)
        ((_, error),) = jobs.run(errands.failing, ["a"], remote)
        assert (type(error), str(error)) == (ValueError, "not a")
        # A worker is killed in the middle of its job: Dask gives the job to another.
        victim = next(iter(cluster.workers.values())).pid
        go = tmp_path / "go"
        waiting = [(str(go), str(tmp_path / name)) for name in ("c", "d", "e")]
        with ThreadPoolExecutor(1) as thread:
            found = thread.submit(lambda: sorted(jobs.run(errands.in_turn, waiting, remote)))
            wait_for(lambda: children(victim))
            os.kill(victim, signal.SIGKILL)
            go.write_text("")
            assert found.result(HANG) == [(0, "c"), (1, "d"), (2, "e")]
    stated = versions.versions([]) | {"no-such-package": "1.0"}
    monkeypatch.setattr("zoo.jobs.cluster.versions", lambda names: stated)
    with pytest.raises(BackendError, match=r"has no-such-package not installed instead of 1\.0"):
        jobs.at(cluster.scheduler_address)
