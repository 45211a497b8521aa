"""Files that are written whole or not at all."""

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
    """Give a path to write to, which then takes the place of ``path`` at once.

    Until then the old file is whole, and stays so if the writing fails or the process is killed.
    A link is followed. What is no file, such as a device, is given as it is.

    Args:
        path: Where the file is wanted; its folder is there.

    Yields:
        A path in the same folder that nothing has, which ends as ``path`` does.

    Raises:
        OSError: It is a folder, or cannot be written to.

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
    except RuntimeError:  # a link that leads to itself
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP)) from None
    except ValueError:  # a zero byte in its name
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
        part.chmod(mode)  # libraries give files modes of their own
        with part.open("rb") as written:
            os.fsync(written.fileno())  # or a crash of the machine could leave an empty file
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a text file whole or not at all, as UTF-8.

    Raises:
        InputError: It cannot be written.
    """
    try:
        with replacing(path) as part:
            part.write_text(text, encoding="utf-8")
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"{os.fspath(path)}: cannot be written: {reason}") from None
