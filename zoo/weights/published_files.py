"""The publishers' files: found by network, downloaded into the cache, recognized by hashes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from zoo import downloads
from zoo.downloads import Download
from zoo.errors import InputError, WeightsError
from zoo.weights.sources import File, Source, source, sources


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
    assert file.hash is not None
    return downloads.fetch(
        Download(
            title=f"{table.title}: {file.name}",
            url=file.url,
            folder=table.name,
            name=file.name,
            hash=file.hash,
            copy="give the path of your copy: weights='PATH'",
            error=WeightsError,
        )
    )


def check(name: str, network: str, tag: str | None = None) -> tuple[Source, File]:
    """Return a source and its file of a network that can be downloaded.

    Args:
        name: As for :func:`fetch`.
        network: As for :func:`fetch`.
        tag: As for :func:`fetch`.

    Raises:
        InputError: The source does not publish such weights of that network.
        WeightsError: zoo does not download the file; the message says why, and what to do.
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
    if not file.downloaded:
        raise WeightsError(_by_hand(table, file))
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
                actual = hashes[kind] = hashes.get(kind) or downloads.digest(path, kind)
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
                actual = hashes[kind] = hashes.get(kind) or downloads.digest(path, kind)
                if actual.startswith(expected):
                    return table, network
    return None


def _by_hand(table: Source, file: File) -> str:
    """Return the error for a file that zoo does not download."""
    path = "its path"
    if file.is_archive:
        reason, path = f"{table.title}'s {file.name} is an archive", "the path of the file in it"
    elif file.hash is None:
        reason = f"no hash is known for {table.title}'s {file.name}"
    else:
        reason = f"{table.title}'s {file.name} cannot be fetched over HTTPS"
    return (
        f"{reason}, so zoo does not download it. Download it from {file.url} and give {path}: "
        f"weights='{table.name}:PATH'"
    )


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
