"""Progress on standard error: a spinner on a terminal, one plain line per step elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from zoo.cli.terminal import err, escape


@contextmanager
def progress() -> Iterator[Callable[[str], None]]:
    """Show the steps of a command on standard error while it works.

    On a terminal, a spinner shows the current step, and disappears at the end. In a log file or a
    pipe, each step is a separate line. Nothing is shown before the first step, so that a user who
    made a mistake in the arguments sees only the error.

    Yields:
        A function to call with each step.
    """
    if err.is_terminal:
        status = err.status("")

        def spin(step: str) -> None:
            status.update(escape(step))
            status.start()

        try:
            yield spin
        finally:
            status.stop()
        return
    steps: list[str] = []

    def show(step: str) -> None:
        if steps[-1:] != [step]:
            steps.append(step)
            _print_line(step)

    yield show


def _print_line(step: str) -> None:
    with suppress(OSError):  # the work continues even if nobody can read this
        print(step, file=sys.stderr, flush=True)
