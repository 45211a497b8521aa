"""Checks where a program is to be written, before any work is done."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from zoo import arguments
from zoo.errors import InputError
from zoo.exporting.targets import Target, choose
from zoo.files import resolved


def check(path: str | os.PathLike[str], to: str | None) -> tuple[Path, Target]:
    """Return where a program is to be written, and what.

    Args:
        path: A file or folder that may exist.
        to: The name of the target; by default the ending of the path says what it is.

    Returns:
        The path, and the target.

    Raises:
        UnknownNameError: There is no target of that name.
        InputError: The path does not say what to write, or there is something else.
    """
    given = arguments.path("path", path, "the path of a file or folder")
    try:
        place = Path(given)
        target = choose(resolved(place), to, given)
        _check(place, target)
    except OSError as error:
        raise InputError(f"{given}: cannot be written: {error.strerror or error}") from None
    return place, target


def _check(place: Path, target: Target) -> None:
    if not place.parent.is_dir():
        raise InputError(f"{place}: there is no folder {str(place.parent)!r}")
    tempfile.TemporaryFile(dir=resolved(place).parent).close()  # raises if it cannot be written to
    if not place.exists():
        return
    if target.suffix and not place.is_file():
        found = "a folder" if place.is_dir() else "no file"
        raise InputError(f"{place}: {target.title} is a file, and this is {found}")
    if target.suffix:
        return
    if not place.is_dir():
        raise InputError(
            f"{place}: {target.title} is a folder, and something else is already there"
        )
    if others := sorted({part.name for part in place.iterdir()} - set(target.contents)):
        raise InputError(
            f"{place}: this folder would be replaced, and holds {others[0]!r}, which is no part "
            f"of {target.title}; choose another one"
        )
