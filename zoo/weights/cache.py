"""Publishers' files, downloaded once and kept where every framework finds them."""

from __future__ import annotations

import difflib
import hashlib
import os
from pathlib import Path
from typing import Any

from zoo.errors import InputError, WeightsError
from zoo.weights.sources import File, Source, source

MAX_BYTES = 2_000_000_000  # of a download


def folder() -> Path:
    """Return where files are kept: ``ZOO_CACHE``, or the user's cache folder."""
    import platformdirs

    return Path(os.environ.get("ZOO_CACHE") or platformdirs.user_cache_path("zoo", False))


def fetch(name: str, network: str) -> Path:
    """Return a source's file of a network's weights, downloaded if need be.

    Args:
        name: A source of ``spec/sources``.
        network: A network that it publishes.

    Returns:
        The file, whose hash has been found right.

    Raises:
        InputError: The source does not publish that network.
        WeightsError: It cannot be downloaded, or is not what was published; what to do is said.
    """
    table = source(name)
    if network not in table.networks:
        raise InputError(_unknown(table, network))
    file = table.networks[network].file
    if file is None:
        raise InputError(f"{table.title} publishes no weights of {network}, its code alone")
    path = folder() / table.name / file.name
    if file.hash is None:
        raise WeightsError(
            f"no hash is known of {table.title}'s {file.name}, so zoo does not download it: do so "
            f"yourself from {file.url}, and give its path: weights='{table.name}:PATH'"
        )
    if path.is_file():
        _check(path, file)
    else:
        _download(table, file, path)
    return path


def _unknown(table: Source, network: str) -> str:
    """Say that a source has no such network, and first those that it may be meant for."""
    variants = [name for name in table.networks if name.startswith(f"{network}_")]
    near = variants or difflib.get_close_matches(network, table.networks, n=3, cutoff=0.6)
    meant = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
    rest = ", ".join(name for name in table.networks if name not in near)
    has = f"It {'also ' if near else ''}has: {rest}."
    return f"{table.title} publishes no {network!r} that zoo knows.{meant} {has}"


def _download(table: Source, file: File, path: Path) -> None:
    import pooch

    def get(url: str, part: str, _: Any) -> None:
        with _Progress(f"{table.title}: {file.name}") as progress:
            download = pooch.HTTPDownloader(progressbar=progress, timeout=30, chunk_size=1 << 20)
            download(url, part, None)
        _check(Path(part), file)

    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel("ERROR")  # the progress bar says it all
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        pooch.retrieve(file.url, known_hash=None, fname=path.name, path=path.parent, downloader=get)
    except WeightsError:
        raise
    except (OSError, ValueError) as error:  # the network's errors are among them
        raise WeightsError(
            f"{file.url} cannot be downloaded ({_reason(error)}). Put the file there yourself: "
            f"{path}, or give the path where you have it: weights='...'"
        ) from None
    finally:
        logger.setLevel(level)


def _check(path: Path, file: File) -> None:
    assert file.hash is not None
    kind, expected = file.hash
    with path.open("rb") as opened:
        found = hashlib.file_digest(opened, kind).hexdigest()
    if not found.startswith(expected):
        raise WeightsError(
            f"{path} is not the file that was published: its {kind} is {found}, expected "
            f"{expected}{'...' if len(found) > len(expected) else ''}; delete it and try again"
        )


def _reason(error: Exception) -> str:
    """The first cause of an error that the network has wrapped several times."""
    reason: BaseException = error
    while inner := reason.__cause__ or reason.__context__:
        reason = inner
    return str(reason).partition("\n")[0][:200] or type(reason).__name__


class _Progress:
    """A progress bar for pooch, which asks for these attributes; ends a download without end."""

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
        self._task = self._bar.add_task(title, total=None)
        self._total = self._done = 0

    def __enter__(self) -> _Progress:
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
            raise WeightsError(f"the download is longer than {MAX_BYTES:,} bytes: stopped")
        self._bar.advance(self._task, count)

    def reset(self) -> None:  # after which pooch counts the whole once more
        self._done = 0
        self._bar.update(self._task, completed=0)

    def close(self) -> None:
        pass
