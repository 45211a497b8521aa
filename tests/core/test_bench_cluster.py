"""Benchmarks on a cluster: rounds as jobs, each alone on a machine, and all machines alike."""

from __future__ import annotations

import functools
import os
import signal
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import errands
import pytest
from limits import HANG
from running import children, wait_for

import zoo
from zoo import jobs
from zoo.benchmarking import machine, machines
from zoo.benchmarking.alone import alone
from zoo.benchmarking.cells import Cell
from zoo.benchmarking.machine import Identity
from zoo.benchmarking.request import Request
from zoo.benchmarking.results import Results
from zoo.benchmarking.run import run
from zoo.errors import BackendError, InputError
from zoo.jobs.cluster import Worker
from zoo.views.benchmark.report import Benchmark

OWN = machine.describe()
CELLS = [
    Cell("toy", "torch", mode, "cpu", "float32", batch, "forward")
    for mode in ("eager", "torch.compile")
    for batch in (1, 2)
]


def request(**changes):
    return Request({"toy": zoo.graph("lenet5")}, CELLS, **changes)


def worker(name, threads=1, tasks=0, own=None, **changes):
    return Worker(threads, tasks, Identity(own or name, name, {**OWN, **changes}))


class Stub(ThreadPoolExecutor):
    """An executor that says of itself what a cluster does."""

    scheduler = "tcp://here:1"

    def __init__(self, *workers):
        super().__init__(len(workers))
        self.listed = {f"tcp://{place}": each for place, each in enumerate(workers)}

    def workers(self, question):
        return self.listed


def two():
    return Stub(worker("a"), worker("b"))


def without_hosts(found):
    return [
        replace(m, rounds=tuple(replace(r, host="", facts={}) for r in m.rounds))
        for m in found.cells
    ]


@pytest.fixture
def measure(tmp_path):
    """What measures without a process; it waits for a file that is there."""
    (tmp_path / "go").write_text("")
    return functools.partial(errands.timed, tmp_path / "go")


@pytest.mark.parametrize(
    ("workers", "message"),
    [
        ([worker("a"), worker("b", threads=4)], "tcp://1 has 4 threads, .*--nthreads 1"),
        (
            [worker("a"), worker("b", own="a")],
            "tcp://0 and tcp://1 are two workers on one machine, b, .*one worker with one thread",
        ),
        ([worker("a", tasks=3)], "tcp://0 has 3 other tasks; .*wait until"),
        (
            [worker("a"), worker("b", processor="Z80")],
            "b differs from a: processor 'Z80' instead of '.*'; times of machines that differ",
        ),
        ([worker("a"), worker("b", processors=999)], "b differs from a: processors 999 instead of"),
    ],
)
def test_machines_that_would_measure_unfairly_are_refused(workers, message):
    with pytest.raises(BackendError, match=message):
        run(request(), cluster=Stub(*workers), measure=errands.timed)


def test_machines_state_what_they_have_in_common():
    found = machines.common(Stub(worker("a", memory=1), worker("b", memory=2)))
    assert found == {name: value for name, value in OWN.items() if name != "memory"}


@pytest.mark.parametrize("changes", [{"rounds": 5}, {"rounds": 3, "until": 0.02}])
def test_rounds_are_those_of_one_machine(measure, changes):
    here = run(request(**changes), measure=measure)
    with Stub(worker("a")) as one, two() as cluster:
        alone_there = run(request(**changes), cluster=one, measure=measure)
        found = run(request(**changes), cluster=cluster, measure=measure)
    assert alone_there.order == here.order and without_hosts(alone_there) == without_hosts(here)
    # Of two machines, the second may have begun a round more than needed.
    assert found.order[: len(here.order)] == here.order
    assert len(found.order) - len(here.order) in (0, len(CELLS))
    assert len(set(found.order)) == len(found.order)
    assert found.machine["scheduler"] == "tcp://here:1" and not here.hosts
    (host,) = found.hosts
    assert host == socket.gethostname() and {"before", "after"} < found.hosts[host].keys()
    assert {r.host for m in found.cells for r in m.rounds} == {host}
    assert Results.from_dict(found.to_dict()) == found
    shown = Benchmark.of(found)
    assert host in str(shown) and host in shown.to_html() and host in shown.to_csv()


def test_a_round_that_fails_ends_the_benchmark_and_keeps_the_others(measure, tmp_path):
    failing = functools.partial(errands.timed, tmp_path / "go", fails=4)
    kept = []
    with two() as cluster:
        found = run(request(), cluster=cluster, measure=failing, keep=kept.append)
    assert "ended early: round 4: ValueError('round 4')" in found.notes and not found.passed
    assert {number for number, _ in found.order} == {1, 2, 3} and len(kept) == 3
    with two() as cluster, pytest.raises(BackendError, match="round 1: ValueError"):
        run(request(rounds=1), cluster=cluster, measure=functools.partial(failing, fails=1))


def test_the_budget_and_ctrl_c_end_it(measure):
    with two() as cluster:
        found = run(request(budget=0.0), cluster=cluster, measure=measure)
    assert not found.order and found.notes == ("the budget was spent in round 1",)

    def interrupt(results):
        raise KeyboardInterrupt

    with two() as cluster:
        found = run(request(), cluster=cluster, measure=measure, keep=interrupt)
    assert found.interrupted and len(found.order) == len(CELLS)


def test_other_tasks_that_come_later_are_waited_for(measure, monkeypatch):
    monkeypatch.setattr(machines, "_PAUSE", 0.0)
    messages = []

    class Busy(Stub):
        def workers(self, question):
            asked = sum("other tasks" in message for message in messages)
            busy = any(message.startswith("Round") for message in messages) and asked < 2
            return {"tcp://0": worker("a", tasks=int(busy))}

    with Busy(worker("a")) as cluster:
        found = run(request(rounds=2), cluster=cluster, measure=measure, progress=messages.append)
    assert len(found.order) == 2 * len(CELLS)
    assert [message.split()[0] for message in messages] == ["Round", "Waiting", "Waiting", "Round"]


def test_a_machine_that_came_later_must_be_the_same():
    told = {name: OWN[name] for name in machines.SAME} | {"processor": "Z80"}
    job = machines.Job(request(), None, 1.0, told, None)
    with pytest.raises(
        BackendError, match=r"differs from the other machines: processor '.*' instead of 'Z80'"
    ):
        machines.measured(job)


def test_a_round_waits_until_the_machine_is_free(monkeypatch):
    monkeypatch.setattr("zoo.benchmarking.alone._ADDRESS", "\0zoo.benchmarking.waiting")
    held, free = threading.Event(), threading.Event()

    def hold():
        with alone():
            held.set()
            free.wait(HANG)

    with ThreadPoolExecutor(1) as thread:
        thread.submit(hold)
        held.wait(HANG)
        with pytest.raises(InputError, match="another benchmark"), alone(0.01):
            pass
        threading.Timer(0.2, free.set).start()
        with alone(HANG):
            assert free.is_set()


def test_a_killed_worker_is_replaced_and_results_arrive_once(cluster, tmp_path):
    """Two workers, which at first are on one machine, and then say that they are on two."""
    from distributed import Client, WorkerPlugin

    address = cluster.scheduler_address
    with pytest.raises(BackendError, match=r"are two workers on one machine, .*--nworkers 1"):
        zoo.bench("lenet5", scheduler=address)

    class Apart(WorkerPlugin):
        def setup(self, worker):
            own = machine.identify()
            machine.identify = lambda: replace(own, id=f"{worker.name}")

    go = tmp_path / "go"
    measure = functools.partial(errands.timed, go)
    with Client(address, set_as_default=False) as client, jobs.at(address) as remote:
        client.register_plugin(Apart())
        victim, other = (each.pid for each in cluster.workers.values())
        with ThreadPoolExecutor(1) as thread:
            found = thread.submit(run, request(rounds=4), cluster=remote, measure=measure)
            wait_for(lambda: children(victim) and children(other))  # a round on each
            os.kill(victim, signal.SIGKILL)
            go.write_text("")
            found = found.result(HANG)
        here = run(request(rounds=4), measure=measure)
        assert without_hosts(found) == without_hosts(here) and found.order == here.order
        workers = {r.facts["worker"] for m in found.cells for r in m.rounds}
        assert other in workers and victim not in workers
