"""What every command shares: where it prints, and how it ends."""

from __future__ import annotations

import io
import json
import os
import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from rich.console import Console
from rich.markup import escape

from zoo.errors import InputError, ZooError

_QUOTE = "'"
_ARGUMENT = re.compile(
    r"\b(num_classes|in_channels|input_size|head|stem|weights|level|model)=('[^']*'|\d+)"
)
CLOSED_PIPE = 141  # 128 + SIGPIPE, as a shell tells it
INTERRUPTED = 130  # 128 + SIGINT
out = Console(highlight=False, emoji=False)
err = Console(stderr=True, highlight=False, emoji=False)


def run(app: Callable[[], Any]) -> None:
    """Run a command line; a user's mistake is one line and exit status 2."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow tells of GPUs it looks for
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that has no letter for a sign
    try:
        app()
    except ZooError as error:
        fail(str(error))
    except MemoryError:
        fail("not enough memory for a network or an image of this size")
    except BrokenPipeError:
        raise SystemExit(CLOSED_PIPE) from None
    except OSError as error:  # such as a full disk behind the output
        fail(f"{error.filename or 'the output'}: {error.strerror or error}")
    except SystemExit as end:  # which is how a command ends
        if _is_cut_short(end):
            raise SystemExit(CLOSED_PIPE) from None
        raise


def _is_cut_short(end: SystemExit) -> bool:
    """Tell whether the reader of a pipe has had enough; nothing more is written to it then."""
    cut_short = isinstance(end.__context__, BrokenPipeError)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        cut_short = True
    if cut_short:  # Python flushes once more at its own end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return cut_short


def print_json(value: Any) -> None:
    """Print a result for a program."""
    print(json.dumps(value, indent=2))


def check_writable(path: Path, argument: str = "--output") -> None:
    """Refuse a place that cannot be written to before the work is done, not after."""
    if not path.name or path.is_dir():
        raise InputError(f"{argument}: expected a file, got the folder {str(path)!r}")
    if not path.parent.is_dir():
        raise InputError(f"{argument}: there is no folder {str(path.parent)!r}")
    try:
        tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"{argument}: {str(path)!r} cannot be written to: {reason}") from None


def fail(message: str) -> NoReturn:
    """End with a user's mistake: one line, and exit status 2."""
    err.print(f"[bold red]error:[/] {escape(as_options(message))}", soft_wrap=True)
    raise SystemExit(2)


def as_options(message: str) -> str:
    """Put a message's Python arguments as the options of a command.

    Example:
        >>> as_options("num_classes=1000 takes it, head='new' starts it anew")
        '--num-classes 1000 takes it, --head new starts it anew'
        >>> as_options("it has no auxiliary heads; build it with aux=False")
        'it has no auxiliary heads; build it without --aux'
    """
    message = message.replace("with aux=False", "without --aux").replace("aux=True", "--aux")
    message = _ARGUMENT.sub(lambda m: f"--{m[1].replace('_', '-')} {m[2].strip(_QUOTE)}", message)
    message = re.sub(r"\b(num_classes|in_channels|input_size) must", _option_must, message)
    return message.replace("zoo.list_models()", "'zoo list'")


def _option_must(found: re.Match[str]) -> str:
    return f"--{found[1].replace('_', '-')} must"
