"""Reads sorted tables of keys and values, in LevelDB's format, where they lie in a file.

TensorFlow keeps checkpoints in such tables. They are written without compression.

Source: https://github.com/google/leveldb/blob/main/doc/table_format.md
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

from zoo.weights.reading import crc32c
from zoo.weights.reading.protobuf import integer

#: The last bytes of such a file.
MAGIC = bytes.fromhex("57fb808b247547db")

_FOOTER = 48  # bytes: two handles, padding and the magic number
_TRAILER = 5  # bytes after a block: its compression and its checksum
_MAX_KEY = 4_000  # bytes
_MAX_ENTRIES = 200_000
_MAX_TEXT = 20_000_000  # bytes of all keys, of which a file may have far fewer


class Entry(NamedTuple):
    """A key and its value.

    Attributes:
        key: The key.
        value: The value, in the file.
        verify: Raises ValueError if the block of the entry is damaged.
    """

    key: bytes
    value: memoryview
    verify: Callable[[], None]


def entries(data: memoryview) -> Iterator[Entry]:
    """Yield the entries of a table, in their order.

    The index of the blocks is verified at once, and a block only by ``verify``, because it may
    hold a large array.

    Args:
        data: The file.

    Raises:
        ValueError: The table is damaged, compressed, or has too many entries.
    """
    if len(data) < _FOOTER or data[-8:] != MAGIC:
        raise ValueError("it does not end as a table does")
    footer = data[-_FOOTER:-8]
    _, place = _handle(footer, 0)
    index, _ = _handle(footer, place)
    block = _Block(data, *index)
    block.verify()
    left, text_left, bytes_left = _MAX_ENTRIES, _MAX_TEXT, len(data)
    for _, value in block.pairs():
        (start, size), _ = _handle(value, 0)
        bytes_left -= size + _TRAILER
        if bytes_left < 0:
            raise ValueError("its blocks are larger than the file")
        inner = _Block(data, start, size)
        for key, found in inner.pairs():
            left, text_left = left - 1, text_left - len(key)
            if left < 0 or text_left < 0:
                raise ValueError(
                    f"it has more than {_MAX_ENTRIES:,} entries, or {_MAX_TEXT:,} bytes of keys"
                )
            yield Entry(key, found, inner.verify)


def _handle(data: memoryview, place: int) -> tuple[tuple[int, int], int]:
    """Decode the place and the size of a block, and return them with the place behind them."""
    start, place = integer(data, place)
    size, place = integer(data, place)
    return (start, size), place


class _Block:
    """A part of a table: entries that share the beginnings of their keys, and where to restart."""

    def __init__(self, data: memoryview, start: int, size: int) -> None:
        end = start + size
        if end + _TRAILER > len(data) - _FOOTER or size < 4:
            raise ValueError("a block lies outside the file")
        if data[end]:
            raise ValueError("it is compressed, but TensorFlow does not compress checkpoints")
        self._checked, self._stored = data[start : end + 1], data[end + 1 : end + _TRAILER]
        self._verified = False
        (restarts,) = struct.unpack("<I", data[end - 4 : end])
        if 4 * restarts + 4 > size:
            raise ValueError("a block is shorter than it says")
        self._entries = data[start : end - 4 - 4 * restarts]

    def verify(self) -> None:
        if not self._verified and crc32c.checksum(self._checked) != crc32c.unmasked(self._stored):
            raise ValueError("the checksum of a block is wrong")
        self._verified = True

    def pairs(self) -> Iterator[tuple[bytes, memoryview]]:
        data, place, key = self._entries, 0, b""
        while place < len(data):
            shared, place = integer(data, place)
            own, place = integer(data, place)
            size, place = integer(data, place)
            if shared > len(key) or shared + own > _MAX_KEY:
                raise ValueError("a key is not valid")
            if place + own + size > len(data):
                raise ValueError("it ends within an entry")
            key = key[:shared] + bytes(data[place : place + own])
            yield key, data[place + own : place + own + size]
            place += own + size
