"""Writes files atomically, completely or not at all, and makes scratch folders.

A process that is killed cannot clean up. So it works in a folder with a lock file. The system
releases the lock when the process ends, for whatever reason, and the next process removes folders
whose locks are free. Unlike a process ID, a lock is never reused by another process.
"""

from __future__ import annotations

import errno
import json
import os
import platform
import re
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from zoo.errors import InputError

try:
    import fcntl
except ImportError:  # on Windows nothing is locked, so nothing that is left behind is removed
    fcntl = None  # type: ignore[assignment]  # a module, elsewhere

#: Calls a function at some time.
Caller = Callable[[Callable[[], None]], None]

_LOCK = "zoo.lock"
_ATTEMPTS = 100


#: The folders of blocks that have not ended, and the process that made each.
_scratch: dict[Path, int] = {}


@contextmanager
def scratch(parent: str | os.PathLike[str], prefix: str, mode: int = 0o777) -> Iterator[Path]:
    """Yield a new folder to work in, which is removed when the block ends.

    If the process is killed instead, the next call with the same parent and prefix removes it. It
    removes only folders that this function made, for this user and on this machine: elsewhere, the
    locks of this machine may not be visible.

    Args:
        parent: The folder to make it in; it must exist.
        prefix: What its name begins with.
        mode: The permissions of the folder, before the umask.

    Yields:
        The folder.

    Raises:
        OSError: The parent does not exist, or cannot be written to.

    Example:
        >>> import tempfile
        >>> with scratch(tempfile.gettempdir(), "example-") as folder:
        ...     _ = (folder / "note.txt").write_text("hello")
        >>> folder.exists()
        False
    """
    host = re.sub(r"[^A-Za-z0-9]+", "_", platform.node())[:40]
    prefix = f"{prefix}{host}-"
    _remove_abandoned(Path(parent), prefix)
    for _ in range(_ATTEMPTS):
        folder = Path(parent) / f"{prefix}{secrets.token_hex(4)}"
        folder.mkdir(mode)
        # Until the lock is held, another process may consider the folder abandoned.
        with suppress(FileNotFoundError):
            if (lock := _open_locked(folder / _LOCK)) is not None:
                break
    else:
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
    _scratch[folder] = os.getpid()
    try:
        yield folder
    finally:
        if fcntl is None:  # Windows does not remove open files
            os.close(lock)
        shutil.rmtree(folder, ignore_errors=True)
        _scratch.pop(folder, None)
        if fcntl is not None:
            os.close(lock)


def remove_scratch() -> None:
    """Remove the folders of all blocks of :func:`scratch`, before the process exits at once."""
    for folder, process in list(_scratch.items()):
        if process == os.getpid():  # not in a process that was forked within a block
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def taking_turns(path: Path, wait: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Run a block while no other process runs such a block for the same path.

    Args:
        path: The lock file, which exists only during the block. Its folder must exist.
        wait: Called once before waiting for another process.

    Raises:
        OSError: The file cannot be made.

    Example:
        >>> import tempfile
        >>> with taking_turns(Path(tempfile.mkdtemp()) / "file.lock"):
        ...     pass
    """
    if (lock := _open_locked(path)) is None:
        wait()
        while (lock := _open_locked(path, wait=True)) is None:  # removed by whoever held it
            pass
    try:
        yield
    finally:
        with suppress(PermissionError):  # Windows does not remove open files
            path.unlink(missing_ok=True)
        os.close(lock)


@contextmanager
def held(path: Path) -> Iterator[bool]:
    """Hold a lock during a block, if no other process does; the system releases it at the latest.

    Args:
        path: The lock file, which exists only during the block. Its folder must exist.

    Yields:
        Whether it is held. Where there are no locks, it always is.

    Raises:
        OSError: The file cannot be made.

    Example:
        >>> import tempfile
        >>> with held(Path(tempfile.mkdtemp()) / "lock") as alone:
        ...     alone
        True
    """
    lock = _open_locked(path)
    try:
        yield lock is not None
    finally:
        if lock is not None:
            with suppress(PermissionError):  # Windows does not remove open files
                path.unlink(missing_ok=True)
            os.close(lock)


def _remove_abandoned(parent: Path, prefix: str) -> None:
    """Remove the folders of processes that were killed."""
    name = re.compile(re.escape(prefix) + "[0-9a-f]{8}")
    folders = []
    with (
        suppress(OSError),
        os.scandir(parent) as entries,
    ):  # it may not be readable
        folders = [Path(entry.path) for entry in entries if name.fullmatch(entry.name)]
    for folder in folders:
        with suppress(OSError):  # somebody else's, or being removed by another process
            status = folder.lstat()
            if (
                not stat.S_ISDIR(status.st_mode)
                or status.st_uid != getattr(os, "getuid", lambda: 0)()
            ):
                continue
            if not (folder / _LOCK).exists():  # killed before it had one
                folder.rmdir()
            elif (lock := _open_locked(folder / _LOCK, create=False)) is not None:
                shutil.rmtree(folder, ignore_errors=True)
                os.close(lock)


def _open_locked(path: Path, *, wait: bool = False, create: bool = True) -> int | None:
    """Open a file and lock it until it is closed.

    Args:
        path: The file.
        wait: Whether to wait for another process that holds the lock.
        create: Whether the file is made if it does not exist, and used even where no lock is to be
            had: some file systems have none.

    Returns:
        The open file; None if another process holds the lock, or has removed the file meanwhile.

    Raises:
        OSError: The file cannot be opened, or there are no locks and ``create`` is not set.
    """
    flags = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | (os.O_CREAT if create else 0)
    file = os.open(path, flags, 0o666)
    try:
        if fcntl is None:
            raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        if os.path.samestat(os.fstat(file), path.stat()):
            return file
    except (BlockingIOError, FileNotFoundError):
        pass
    except OSError:
        if create:
            return file
        os.close(file)
        raise
    except BaseException:  # an interrupt must not leak the open file
        os.close(file)
        raise
    os.close(file)
    return None


@contextmanager
def replacing(path: str | os.PathLike[str], later: Caller | None = None) -> Iterator[Path]:
    """Yield a temporary path to write to, which replaces ``path`` when the block ends.

    The old file stays intact until then, and also if the block raises or the process is killed.
    Symbolic links are followed. A path that is not a regular file, such as a device, is yielded
    as it is.

    Args:
        path: The file to replace or create; its folder must exist.
        later: Is given the function that waits until the disk has the new file, and replaces the
            old one; by default, it is called when the block ends.

    Yields:
        A new, empty file with the same suffix, on the same file system. If the process is killed,
        it is removed when another file is written to the same folder.

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
    target = resolved(path)
    if target.is_dir():
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
    if target.exists() and not target.is_file():
        yield target
        return
    with ExitStack() as stack:
        folder = stack.enter_context(scratch(target.parent, ".zoo-writing-"))
        part = folder / f"part{target.suffix.lower()}"
        part.touch(exist_ok=False)
        mode = (target if target.exists() else part).stat().st_mode
        yield part
        kept = stack.pop_all()

    def put() -> None:
        with kept:
            part.chmod(mode)  # libraries may have changed the mode
            with part.open("rb") as written:
                os.fsync(written.fileno())  # a power failure must not leave an empty file
            part.replace(target)

    (later or _now)(put)


def _now(function: Callable[[], None]) -> None:
    function()


def read_json(path: str | os.PathLike[str], most: int, what: str) -> Any:
    """Read a JSON file.

    Args:
        path: The file.
        most: How many bytes it may have.
        what: What it should be, for messages.

    Raises:
        InputError: It cannot be read, is too large, or is not JSON.
    """
    try:
        if (size := os.stat(path).st_size) > most:
            raise InputError(f"{path}: {size:,} bytes are too many for {what}")
        return json.loads(Path(path).read_bytes())
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (ValueError, RecursionError):
        raise InputError(f"{path}: not a JSON file") from None


def resolved(path: str | os.PathLike[str]) -> Path:
    """Return an absolute path without symbolic links.

    Raises:
        OSError: A link leads to itself, or no file can have that name.
    """
    try:
        target = Path(path).resolve()
    except RuntimeError:  # a symbolic link to itself
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP)) from None
    except ValueError:  # a null character in its name
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL)) from None
    if target.is_symlink():  # to itself; since Python 3.13, resolve() leaves it as it is
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    return target


def require_another(target: str | os.PathLike[str], source: str | os.PathLike[str]) -> None:
    """Check that a file to write is not the one that is read, also by another path.

    Args:
        target: The file to write.
        source: The file to read; what names no file is no reason for an error.

    Raises:
        InputError: It is the same.

    Example:
        >>> require_another("mine.safetensors", "torchvision")
    """
    same = False
    with suppress(OSError, ValueError):  # one is not there
        same = os.path.samefile(target, source)
    if same:
        raise InputError(f"{target}: this is the file to read, which would be lost; name another")


@contextmanager
def replacing_all(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a path for a file or a folder, beside which others may be written.

    When the block ends, all of them replace what has their names in the folder of ``path``. If the
    block raises, nothing is changed there. What a folder held is removed with it. A file is
    replaced atomically; of several, and of a folder, there is an instant without the old and new.

    Args:
        path: The file or folder to replace or create; the folder that it is in must exist.

    Yields:
        A path of the same name on the same file system, where there is nothing yet.

    Raises:
        OSError: The path cannot be written to, or a file would replace a folder, or the reverse.

    Example:
        >>> import tempfile
        >>> target = Path(tempfile.mkdtemp()) / "greetings"
        >>> with replacing_all(target) as part:
        ...     part.mkdir()
        ...     _ = (part / "greeting.txt").write_text("hello")
        >>> (target / "greeting.txt").read_text()
        'hello'
    """
    target = resolved(path)
    with scratch(target.parent, ".zoo-writing-") as folder:
        new, old = folder / "new", folder / "old"
        new.mkdir()
        old.mkdir()
        yield new / target.name
        # What gives the others their meaning comes last.
        written = sorted(new.iterdir(), key=lambda part: part.name == target.name)
        for part in written:
            place = target.parent / part.name
            if place.exists() and place.is_dir() != part.is_dir():
                number = errno.EISDIR if place.is_dir() else errno.ENOTDIR
                raise OSError(number, os.strerror(number), str(place))
            _keep(part, place)
        for part in written:
            _put(part, target.parent / part.name, old)


def _keep(part: Path, place: Path) -> None:
    """Give a new file the mode of the old one, and make sure that the disk has it."""
    if place.is_file():
        part.chmod(place.stat().st_mode)
    files = [part] if part.is_file() else (file for file in part.rglob("*") if file.is_file())
    for each in files:
        with each.open("rb") as file:
            os.fsync(file.fileno())


def _put(part: Path, place: Path, old: Path) -> None:
    """Move a file or folder to its place; a folder that is there goes to another one."""
    if not place.is_dir():
        part.replace(place)
        return
    place.rename(old / place.name)
    try:
        part.rename(place)
    except BaseException:  # an interrupt must not lose the old one
        (old / place.name).rename(place)
        raise


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
