"""Progress on standard error: a spinner on a terminal, one plain line per step elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from zoo.cli.terminal import err, escape


@contextmanager
def progress(first: str) -> Iterator[Callable[[str], None]]:
    """Show the steps of a command on standard error while it works.

    On a terminal, the current step is shown beside a spinner, which disappears at the end. In a log
    file or a pipe, each step is a separate line, so the log shows the progress.

    Args:
        first: The first step.

    Yields:
        A function to call with each further step.
    """
    if err.is_terminal:
        with err.status(escape(first)) as status:
            yield lambda step: status.update(escape(step))
        return
    steps = [first]
    _print_line(first)

    def show(step: str) -> None:
        if step != steps[-1]:
            steps.append(step)
            _print_line(step)

    yield show


def _print_line(step: str) -> None:
    print(step, file=sys.stderr, flush=True)
