"""Processes at the same time: in order, as many as memory allows, and ended if one fails."""

from __future__ import annotations

import threading

import pytest

from zoo.verification import workers
from zoo.verification.parallel import side_by_side


@pytest.mark.parametrize("capacity", [1, 2, 3])
def test_side_by_side_keeps_the_order_and_the_limit(capacity):
    lock, running, most, started = threading.Lock(), [], [], []
    barrier = threading.Barrier(capacity)

    def task(item):
        with lock:
            running.append(item)
            most.append(len(running))
        barrier.wait(60)  # only passes if as many as allowed run at the same time
        with lock:
            running.remove(item)
        return -item

    items = [5, 3, 9, 1, 7, 2]
    results = side_by_side(task, items, capacity, started.append, lambda: None)
    assert list(results.items()) == [(item, -item) for item in items]
    assert started == items
    assert max(most) == capacity


def test_side_by_side_ends_what_runs_if_one_raises():
    ended, end = [], threading.Event()

    def task(item):
        if item == 0:
            raise ValueError("one fails")
        end.wait(60)  # what runs would take long
        ended.append(item)

    with pytest.raises(ValueError, match="one fails"):
        side_by_side(task, [1, 0, 2, 3], 2, lambda item: None, end.set)
    assert ended[0] == 1


def test_processes_at_the_same_time_only_where_memory_allows(monkeypatch):
    monkeypatch.setattr(workers, "processors", lambda: 4)
    for gibibytes, count in ((0.3, 1), (4, 1), (7, 2), (100, 4)):
        monkeypatch.setattr(workers, "available", lambda g=gibibytes: int(g * 2**30))
        assert workers.Workers().capacity(2**30) == count
