"""Writes files atomically: completely or not at all."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zoo.errors import InputError


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path to write to, which replaces ``path`` when the block ends.

    The old file stays intact until then, and also if the block raises or the process is killed.
    Symbolic links are followed. A path that is not a regular file, such as a device, is yielded
    as it is.

    Args:
        path: The file to replace or create; its folder must exist.

    Yields:
        A new, empty file in the same folder, with the same suffix.

    Raises:
        OSError: The path is a folder, or cannot be written to.

    Example:
        >>> import tempfile
        >>> target = Path(tempfile.mkdtemp()) / "greeting.txt"
        >>> with replacing(target) as part:
        ...     _ = part.write_text("hello")
        >>> target.read_text()
        'hello'
    """
    try:
        target = Path(path).resolve()
    except RuntimeError:  # a symbolic link to itself
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP)) from None
    except ValueError:  # a null character in its name
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL)) from None
    if target.is_dir():
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
    if target.exists() and not target.is_file():
        yield target
        return
    part = target.with_name(
        f".{target.name[:100]}.{secrets.token_hex(4)}.part{target.suffix.lower()}"
    )
    try:
        part.touch(exist_ok=False)
        mode = (target if target.exists() else part).stat().st_mode
        yield part
        part.chmod(mode)  # libraries may have changed the mode
        with part.open("rb") as written:
            os.fsync(written.fileno())  # a power failure must not leave an empty file
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a text file atomically, as UTF-8.

    Raises:
        InputError: The file cannot be written.
    """
    try:
        with replacing(path) as part:
            part.write_text(text, encoding="utf-8")
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"{os.fspath(path)}: cannot be written: {reason}") from None
