"""Downloads publishers' files once, checks their hashes, and keeps them in a cache folder."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterable
from pathlib import Path

from zoo.errors import InputError, WeightsError
from zoo.files import replacing, taking_turns
from zoo.weights.sources import File, Source, source, sources

MAX_BYTES = 2_000_000_000  # the largest download


def folder() -> Path:
    """Return the cache folder: ``ZOO_CACHE``, or zoo's folder in the user's cache."""
    import platformdirs

    return Path(os.environ.get("ZOO_CACHE") or platformdirs.user_cache_path("zoo", False))


def fetch(name: str, network: str, tag: str | None = None) -> Path:
    """Return the file with a network's weights, downloading it if necessary.

    Args:
        name: A source of ``spec/sources``.
        network: A network that the source publishes.
        tag: What the source calls the weights; None for its default.

    Returns:
        The path of the file. Its hash is correct.

    Raises:
        InputError: The source does not publish weights of that network.
        WeightsError: The file cannot be downloaded, or its hash is wrong. The message says what to
            do.
    """
    table, file = check(name, network, tag)
    path = folder() / table.name / file.name
    try:
        if path.is_file():
            _check(path, file, f"{path}", "Delete it and try again")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            with taking_turns(path.with_name(f".{path.name}.lock"), lambda: _wait(table, file)):
                if path.is_file():  # another process has just downloaded it
                    _check(path, file, f"{path}", "Delete it and try again")
                else:
                    _download(table, file, path)
    except OSError as error:
        raise WeightsError(
            f"{file.name} cannot be kept in the cache folder {path.parent}: "
            f"{error.strerror or _reason(error)}. Set the environment variable ZOO_CACHE to a "
            f"folder that you can write to, or download {file.url} and give the path: "
            "weights='PATH'"
        ) from None
    return path


def _wait(table: Source, file: File) -> None:
    print(f"waiting for another download of {table.title}: {file.name}", file=sys.stderr)


def check(name: str, network: str, tag: str | None = None) -> tuple[Source, File]:
    """Return a source and its file of a network that can be downloaded.

    Args:
        name: As for :func:`fetch`.
        network: As for :func:`fetch`.
        tag: As for :func:`fetch`.

    Raises:
        InputError: The source does not publish such weights of that network.
        WeightsError: No hash of the file is known.
    """
    table = source(name)
    if network not in table.networks:
        raise InputError(_unknown(table, network))
    files = table.networks[network].published
    if not files:
        raise InputError(f"{table.title} publishes the code of {network}, but no weights")
    file = files[0] if tag is None else next((file for file in files if file.tag == tag), None)
    if file is None:
        tags = [file.tag for file in files if file.tag]
        known = f"zoo knows {', '.join(tags)}" if tags else "its only file has no tag"
        raise InputError(f"{table.title} has no weights {tag!r:.200} of {network}: {known}")
    if file.hash is None:
        raise WeightsError(
            f"no hash is known for {table.title}'s {file.name}, so zoo does not download it. "
            f"Download it from {file.url} and give its path: weights='{table.name}:PATH'"
        )
    return table, file


def recognized(
    path: Path, tables: Iterable[Source], network: str
) -> tuple[Source, File] | tuple[None, None]:
    """Find out by its hash which published file a file is; its name does not matter.

    Args:
        path: The file.
        tables: The sources to consider, in this order.
        network: A network that they publish.

    Returns:
        The source and its file; twice None if it is not one of theirs.
    """
    hashes: dict[str, str] = {}
    for table in tables:
        for file in table.networks[network].published:
            if file.hash:
                kind, expected = file.hash
                actual = hashes[kind] = hashes.get(kind) or _hash(path, kind)
                if actual.startswith(expected):
                    return table, file
    return None, None


def published_as(path: Path, tables: Iterable[Source]) -> tuple[Source, str] | None:
    """Find the network that a file was published for, by its hash.

    Args:
        path: The file.
        tables: The sources to consider.
    """
    hashes: dict[str, str] = {}
    for table in tables:
        for network, entry in table.networks.items():
            for kind, expected in filter(None, (file.hash for file in entry.published)):
                actual = hashes[kind] = hashes.get(kind) or _hash(path, kind)
                if actual.startswith(expected):
                    return table, network
    return None


def _unknown(table: Source, network: str) -> str:
    """Return the error for a network that a source does not have."""
    variants = [name for name in table.networks if name.startswith(f"{network}_")]
    others = [other.name for other in sources().values() if network in other.networks]
    message = f"{table.title} publishes no weights of {network!r:.200} that zoo knows"
    if variants:
        return f"{message}. Did you mean {' or '.join(map(repr, variants))}?"
    if others:
        return f"{message}; {' and '.join(others)} {'do' if len(others) > 1 else 'does'}"
    return f"{message}, and no other source does; 'zoo list' shows what is published"


def _download(table: Source, file: File, path: Path) -> None:
    import pooch

    with replacing(path) as part:
        try:
            with _Progress(f"{table.title}: {file.name}") as progress:
                get = pooch.HTTPDownloader(progressbar=progress, timeout=30, chunk_size=1 << 20)
                get(file.url, str(part), None)
        except WeightsError:
            raise
        except (OSError, ValueError) as error:
            if getattr(error, "errno", None):  # of the file, not of the network
                raise
            raise WeightsError(
                f"{file.url} cannot be downloaded ({_reason(error)}). Put the file at {path} "
                "yourself, or give the path of your copy: weights='PATH'"
            ) from None
        _check(part, file, f"what was downloaded from {file.url}", "It was not kept; try again")


def _check(path: Path, file: File, subject: str, advice: str) -> None:
    assert file.hash is not None
    kind, expected = file.hash
    actual = _hash(path, kind)
    if not actual.startswith(expected):
        raise WeightsError(
            f"{subject} is not the file that was published: its {kind} is {actual}, expected "
            f"{expected}{'...' if len(actual) > len(expected) else ''}. {advice}"
        )


def _hash(path: Path, kind: str) -> str:
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, kind).hexdigest()


def _reason(error: Exception) -> str:
    """Return the message of the root cause: libraries wrap errors several times."""
    reason: BaseException = error
    while inner := reason.__cause__ or reason.__context__:
        reason = inner
    return str(reason).partition("\n")[0][:200] or type(reason).__name__


class _Progress:
    """A progress bar with the interface that pooch expects; aborts a download that is too large."""

    def __init__(self, title: str) -> None:
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
        self._title = title
        self._task = self._bar.add_task(title, total=None)
        self._total = self._done = 0

    def __enter__(self) -> _Progress:
        if not self._bar.console.is_terminal:  # a log does not show the bar
            self._bar.console.print(f"downloading {self._title}", markup=False, soft_wrap=True)
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
            raise WeightsError(f"the download was stopped: it has more than {MAX_BYTES:,} bytes")
        self._bar.advance(self._task, count)

    def reset(self) -> None:  # pooch adds the total again afterwards
        self._done = 0
        self._bar.update(self._task, completed=0)

    def close(self) -> None:
        pass
