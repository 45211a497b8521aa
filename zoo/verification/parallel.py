"""Runs functions in parallel threads."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def side_by_side(
    task: Callable[[Item], Result],
    items: Iterable[Item],
    capacity: int,
    announce: Callable[[Item], None],
    interrupt: Callable[[], None],
) -> dict[Item, Result]:
    """Call a function for each item, several in parallel.

    Args:
        task: Called with an item, in a thread if ``capacity`` is more than 1.
        items: The items, in the order in which they start.
        capacity: How many may run at the same time.
        announce: Called in this thread with each item before it starts.
        interrupt: Called on any exception, including a keyboard interrupt; it must make running
            tasks end soon.

    Returns:
        Item -> what ``task`` returned, in the order of the items.
    """
    order = list(items)
    if capacity <= 1:
        results = {}
        for item in order:
            announce(item)
            results[item] = task(item)
        return results
    waiting = deque(order)
    running: dict[Future[Result], Item] = {}
    results = {}
    with ThreadPoolExecutor(capacity) as pool:
        try:
            while waiting or running:
                while waiting and len(running) < capacity:
                    item = waiting.popleft()
                    announce(item)
                    running[pool.submit(task, item)] = item
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    results[running.pop(future)] = future.result()
        except BaseException:  # otherwise the pool would wait for every task
            interrupt()
            raise
    return {item: results[item] for item in order}


def in_background(function: Callable[..., Result], *arguments: Any) -> Future[Result]:
    """Call a function in a thread that does not keep the interpreter from exiting."""
    future: Future[Result] = Future()

    def call() -> None:
        try:
            future.set_result(function(*arguments))
        except BaseException as error:  # raised again in the thread that asks for the result
            future.set_exception(error)

    threading.Thread(target=call, daemon=True).start()
    return future
