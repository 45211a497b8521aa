"""Downloads files once, checks their hashes, and keeps them in a cache folder."""

from __future__ import annotations

import hashlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from zoo.errors import ZooError
from zoo.files import replacing, taking_turns

MAX_BYTES = 2_000_000_000  # the largest download


@dataclass(frozen=True)
class Download:
    """A file that somebody publishes.

    Attributes:
        title: What it is, for people.
        url: Where it is.
        folder: The folder in the cache that it goes to.
        name: Its name there.
        hash: The kind of its hash, ``sha256``, ``sha1`` or ``md5``, and the digits; perhaps only
            the first.
        copy: How to use a copy that one already has, as the end of a sentence.
        error: The class of errors.
    """

    title: str
    url: str
    folder: str
    name: str
    hash: tuple[str, str]
    copy: str
    error: type[ZooError]

    @property
    def path(self) -> Path:
        """Where it is kept."""
        return folder() / self.folder / self.name


def folder() -> Path:
    """Return the cache folder: ``ZOO_CACHE``, or zoo's folder in the user's cache."""
    import platformdirs

    return Path(os.environ.get("ZOO_CACHE") or platformdirs.user_cache_path("zoo", False))


def fetch(file: Download) -> Path:
    """Return the path of a file, downloading it if necessary.

    Returns:
        The path. The hash of the file is correct.

    Raises:
        ZooError: Of the file's own class: it cannot be downloaded, or its hash is wrong. The
            message says what to do.
    """
    path = file.path
    try:
        if path.is_file():
            _check(path, file, f"{path}", "Delete it and try again")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            with taking_turns(path.with_name(f".{path.name}.lock"), lambda: _wait(file)):
                if path.is_file():  # another process has just downloaded it
                    _check(path, file, f"{path}", "Delete it and try again")
                else:
                    _download(file, path)
    except OSError as error:
        raise file.error(
            f"{file.name} cannot be kept in the cache folder {path.parent}: "
            f"{error.strerror or _reason(error)}. Set the environment variable ZOO_CACHE to a "
            f"folder that you can write to, or download {file.url} and {file.copy}"
        ) from None
    return path


def digest(path: Path, kind: str) -> str:
    """Return the hash of a file, in hexadecimal digits.

    Args:
        path: The file.
        kind: ``sha256``, ``sha1`` or ``md5``.
    """
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, kind).hexdigest()


def _wait(file: Download) -> None:
    print(f"waiting for another download of {file.title}", file=sys.stderr)


def _download(file: Download, path: Path) -> None:
    import pooch

    with replacing(path) as part:
        try:
            with _Progress(file) as progress:
                get = pooch.HTTPDownloader(progressbar=progress, timeout=30, chunk_size=1 << 20)
                get(file.url, str(part), None)
        except ZooError:
            raise
        except (OSError, ValueError) as error:
            if getattr(error, "errno", None):  # of the file, not of the network
                raise
            raise file.error(
                f"{file.url} cannot be downloaded ({_reason(error)}). Put the file at {path} "
                f"yourself, or {file.copy}"
            ) from None
        _check(part, file, f"what was downloaded from {file.url}", "It was not kept; try again")


def _check(path: Path, file: Download, subject: str, advice: str) -> None:
    kind, expected = file.hash
    actual = digest(path, kind)
    if not actual.startswith(expected):
        raise file.error(
            f"{subject} is not the file that was published: its {kind} is {actual}, expected "
            f"{expected}{'...' if len(actual) > len(expected) else ''}. {advice}"
        )


def _reason(error: Exception) -> str:
    """Return the message of the root cause: libraries wrap errors several times."""
    reason: BaseException = error
    while inner := reason.__cause__ or reason.__context__:
        reason = inner
    return str(reason).partition("\n")[0][:200] or type(reason).__name__


class _Progress:
    """A progress bar with the interface that pooch expects; aborts a download that is too large."""

    def __init__(self, file: Download) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        console = Console(stderr=True)
        columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn()
        self._bar = Progress(*columns, TimeRemainingColumn(), transient=True, console=console)
        self._file = file
        self._task = self._bar.add_task(file.title, total=None)
        self._total = self._done = 0

    def __enter__(self) -> _Progress:
        if not self._bar.console.is_terminal:  # a log does not show the bar
            self._bar.console.print(f"Downloading {self._file.title}", markup=False, soft_wrap=True)
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    @property
    def total(self) -> int:
        return self._total

    @total.setter
    def total(self, total: int) -> None:
        self._total = total
        self._bar.update(self._task, total=total or None)

    def update(self, count: int) -> None:
        self._done += count
        if self._done > MAX_BYTES:
            raise self._file.error(
                f"the download was stopped because the file has more than {MAX_BYTES:,} bytes"
            )
        self._bar.advance(self._task, count)

    def reset(self) -> None:  # pooch adds the total again afterwards
        self._done = 0
        self._bar.update(self._task, completed=0)

    def close(self) -> None:
        pass
