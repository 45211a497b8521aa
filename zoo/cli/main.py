"""Starts the command line.

This module imports next to nothing: from its first line on, Ctrl-C ends any command with one line.
"""

from __future__ import annotations

import os
import sys
from types import FrameType

from zoo.cli.status import INTERRUPTED, interrupted

try:
    import signal
except KeyboardInterrupt:  # this import takes half as long as Python itself needs to start
    os.write(2, b"interrupted\n")
    raise SystemExit(INTERRUPTED) from None

_IMPORT = "<frozen importlib._bootstrap>"
_END_OF_SPINNER = b"\r\x1b[K\x1b[?25h"  # clears the line and shows the cursor again


def main() -> None:
    """Run the command line."""
    _open_streams()
    # Otherwise it is ignored, as by a shell's background jobs.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)
    from zoo.cli.program import program
    from zoo.cli.terminal import run

    try:
        run(program)
    except KeyboardInterrupt:  # while a message was being written
        raise SystemExit(INTERRUPTED) from None
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # no traceback while Python exits


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt, or exit at once during an import.

    There, libraries may swallow the exception, or Python may print it with a traceback.
    """
    caller = frame
    while caller:
        if caller.f_code.co_filename == _IMPORT:
            prefix = _END_OF_SPINNER if os.isatty(2) else b""
            os.write(2, prefix + f"{interrupted()}\n".encode())
            if (files := sys.modules.get("zoo.files")) is not None:
                getattr(files, "remove_scratch", int)()  # which may not be defined yet
            os._exit(INTERRUPTED)
        caller = caller.f_back
    raise KeyboardInterrupt


def _open_streams() -> None:
    """Open the standard streams that are closed, such as by ``>&-``.

    Otherwise the next file that is opened would take the place of one, and receive its output.
    Writing to a standard output that was closed fails; messages on standard error are lost.
    """
    for number, name, flags in (
        (0, "stdin", os.O_RDONLY),
        (1, "stdout", os.O_RDONLY),
        (2, "stderr", os.O_WRONLY),
    ):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, flags)  # gets the lowest number that is free
        if getattr(sys, name) is None:
            mode = "w" if number else "r"
            setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115  (for good)
