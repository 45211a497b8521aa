"""Reads zip archives with uncompressed entries, as PyTorch and Keras write them."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from zoo.errors import WeightsError

_MAX_DIRECTORY = 4_000_000  # bytes of the table of entries, enough for about 40,000 tensors


class _Limited(io.FileIO):
    """A file that rejects reads larger than a table of entries may be."""

    def read(self, size: int | None = -1, /) -> Any:
        if size is not None and size > _MAX_DIRECTORY:
            raise zipfile.BadZipFile(f"its table of entries has more than {_MAX_DIRECTORY:,} bytes")
        return super().read(size)


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    with _Limited(path) as file, zipfile.ZipFile(file) as archive:
        yield archive


def names(path: Path) -> set[str]:
    """Return the names of the entries of an archive.

    Raises:
        Exception: Whatever Python raises for a damaged archive.
    """
    with _opened(path) as archive:
        return set(archive.namelist())


def entries(path: Path, data: memoryview) -> dict[str, memoryview]:
    """Return the entries of an archive, after verifying their checksums.

    Args:
        path: The archive.
        data: Its bytes.

    Raises:
        WeightsError: Entries overlap, are compressed, or do not have their checksums.
        Exception: Whatever Python raises for a damaged archive.
    """
    with _opened(path) as archive:
        found = archive.infolist()
        if any(
            entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size
            for entry in found
        ):
            raise WeightsError(
                f"{path}: its entries are compressed, which no framework writes; save it again"
            )
        if len({entry.filename for entry in found}) < len(found) or sum(
            entry.file_size for entry in found
        ) > len(data):
            raise WeightsError(f"{path}: damaged: its entries overlap")
        if damaged := archive.testzip():
            raise WeightsError(f"{path}: damaged: checksum mismatch in {damaged}")
    parts = {}
    for entry in found:
        lengths = struct.unpack_from("<HH", data, entry.header_offset + 26)  # of name and extra
        start = entry.header_offset + 30 + sum(lengths)
        parts[entry.filename] = data[start : start + entry.file_size]
    return parts
