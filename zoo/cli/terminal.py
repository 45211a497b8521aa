"""Output and exit status of all commands."""

from __future__ import annotations

import functools
import io
import json
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, cast

import click

from zoo.cli.status import CLOSED_PIPE, INTERRUPTED
from zoo.errors import InputError, ZooError, ZooWarning

if TYPE_CHECKING:
    from rich.console import Console

_QUOTE = "'"
_ARGUMENT = re.compile(
    r"\b(num_classes|in_channels|input_size|head|stem|entry|names|weights|level|model|to)="
    r"('[^']*'|\d+)"
)
#: Options of 'zoo convert' that other commands, which take weights as they are, may lack.
_OF_CONVERT = ("--head", "--stem", "--entry")

#: How a message tells a caller of Python to name the model of some weights.
_BUILD = re.compile(r"zoo\.build\((NAME|'[^']*'), \.\.\., weights=[^()]*\)")


class _Deferred:
    """A rich console that is imported when it is first used."""

    def __init__(self, stderr: bool) -> None:
        self._stderr = stderr

    @functools.cached_property
    def _console(self) -> Console:
        from rich.console import Console

        return Console(stderr=self._stderr, highlight=False, emoji=False)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._console, name)


out = cast("Console", _Deferred(stderr=False))
err = cast("Console", _Deferred(stderr=True))


def console(deferred: Console) -> Console:
    """Return the console of ``out`` or ``err`` itself, for what checks its class."""
    return cast("_Deferred", deferred)._console


def escape(text: str) -> str:
    """Escape rich's markup in a string."""
    from rich.markup import escape

    return escape(text)


def run(program: click.Command) -> NoReturn:
    """Run a command group and exit; user errors are printed in one line, with exit status 2."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # hides TensorFlow's messages about GPUs
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # for terminals that lack a character
    stdout = sys.stdout
    warnings.showwarning = _shown_in_one_line(warnings.showwarning)
    try:
        try:
            sys.exit(program.main(prog_name="zoo", standalone_mode=False) or 0)
        finally:
            stdout.flush()  # here an error can be reported; while Python exits, it cannot
    except click.UsageError as error:
        fail(_usage(error))
    except click.Abort:
        raise SystemExit(INTERRUPTED) from None
    except ZooError as error:
        fail(str(error))
    except MemoryError:
        fail("not enough memory for a network or an image of this size")
    except BrokenPipeError:
        _discard(stdout)
        raise SystemExit(CLOSED_PIPE) from None
    except OSError as error:  # for example, the disk is full
        _discard(stdout)
        reason = error.strerror or error
        fail(
            f"{error.filename}: {reason}"
            if error.filename
            else f"cannot write the output: {reason}"
        )
    except SystemExit as end:  # the normal end of a command
        # After a BrokenPipeError rich exits from its handler; click exits with another sys.stdout.
        if isinstance(end.__context__, BrokenPipeError) or sys.stdout is not stdout:
            _discard(stdout)
            raise SystemExit(CLOSED_PIPE) from None
        raise


def _usage(error: click.UsageError) -> str:
    """Describe a usage error in one line, as zoo writes errors, with a reference to the help."""
    # click appends all options that are similar, in parentheses; the first is the closest.
    known = getattr(error, "possibilities", None)
    hint = f"{error.message.removesuffix('.')}. Did you mean {known[0]!r}?" if known else ""
    message = " ".join((hint or error.format_message()).split())
    message = message[:1].lower() + message[1:]
    end = "" if message.endswith((".", "?")) else "."
    command = error.ctx.command_path if error.ctx else "zoo"
    return f"{message}{end} See '{command} --help'"


def _shown_in_one_line(show: Callable[..., None]) -> Callable[..., None]:
    """Return a function that shows zoo's own warnings in one line, and all others as before."""

    def show_warning(message: Warning | str, category: type[Warning], *rest: Any) -> None:
        if not issubclass(category, ZooWarning):
            show(message, category, *rest)
            return
        with suppress(OSError):
            err.print(f"[bold yellow]warning:[/] {escape(str(message))}", soft_wrap=True)

    return show_warning


def _discard(stdout: Any) -> None:
    """Discard what has not been written: Python flushes the output again when it exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stdout.fileno())


def print_json(value: Any) -> None:
    """Print a result as JSON."""
    print(json.dumps(value, indent=2))


def check_writable(path: Path, *suffixes: str, argument: str = "--output") -> None:
    """Reject a path that cannot be written to, before any work is done.

    Args:
        path: The file.
        *suffixes: What its name may end in; anything if not given.
        argument: The option or argument that names it.

    Raises:
        InputError: It is a folder, its name ends otherwise, or it cannot be written to.
    """
    if not path.name or path.is_dir():
        raise InputError(f"{argument}: expected a file, got the folder {str(path)!r}")
    if suffixes and path.suffix.lower() not in suffixes:
        expected = " or ".join(filter(None, (", ".join(suffixes[:-1]), suffixes[-1])))
        raise InputError(f"{argument}: expected a name that ends in {expected}, got {path.name!r}")
    if not path.parent.is_dir():
        raise InputError(f"{argument}: there is no folder {str(path.parent)!r}")
    try:
        tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"{argument}: {str(path)!r} cannot be written to: {reason}") from None


def fail(message: str) -> NoReturn:
    """Print a user error in one line, and exit with status 2."""
    with suppress(OSError, SystemExit):  # nobody reads it; rich would exit with another status
        err.print(f"[bold red]error:[/] {escape(as_options(message))}", soft_wrap=True)
    raise SystemExit(2)


def as_options(message: str, known: Collection[str] | None = None) -> str:
    """Rewrite the Python arguments in a message as options of a command.

    Args:
        message: The message.
        known: The options of the command, if it is known: those that it lacks are named as options
            of ``zoo convert``, which writes weights for it; a number of classes is left out.

    Example:
        >>> as_options("num_classes=1000 takes it, head='new' starts it anew")
        '--num-classes 1000 takes it, --head new starts it anew'
        >>> as_options("head must be None or 'new', got 'old'")
        "--head must be 'new', got 'old'"
        >>> as_options("it has no auxiliary heads; build it with aux=False")
        'it has no auxiliary heads; leave out --aux'
        >>> as_options("choose one with zoo.build(NAME, ..., weights='timm')")
        'choose one with --model NAME'
        >>> as_options("head='new' starts it anew", known=["--weights"])
        "--head new of 'zoo convert' starts it anew"
        >>> as_options("num_classes=9 keeps it, head='new' replaces it", known=["--head"])
        '--head new replaces it'
    """

    def option(match: re.Match[str]) -> str:
        flag = f"--{match[1].replace('_', '-')}"
        text = f"{flag} {match[2].strip(_QUOTE)}"
        elsewhere = known is not None and flag in _OF_CONVERT and flag not in known
        return f"{text} of 'zoo convert'" if elsewhere else text

    if known is not None and "--num-classes" not in known:
        message = re.sub(r"num_classes=\d+ (keeps it|leaves it out), (?=head=)", "", message)
    message = message.replace("weights_from=", "weights=")
    message = _BUILD.sub(lambda m: f"--model {m[1].strip(_QUOTE)}", message)
    message = message.replace("build it with aux=False", "leave out --aux")
    message = message.replace("aux=True", "--aux")
    message = message.replace("skip_damaged=True", "--skip-damaged")
    message = message.replace("check=False", "--no-check").replace(
        "preprocess=True", "--preprocess"
    )
    message = _ARGUMENT.sub(option, message)
    message = re.sub(
        r"\b(num_classes|in_channels|input_size|head|stem) must be(?: None or)?",
        _option_must,
        message,
    )
    return message.replace("zoo.list_models()", "'zoo list'")


def _option_must(match: re.Match[str]) -> str:
    return f"--{match[1].replace('_', '-')} must be"
