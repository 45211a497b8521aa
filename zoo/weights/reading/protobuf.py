"""Decodes messages of Protocol Buffers where they lie, without their schema or the package.

A reader knows the numbers of the few fields that it needs, and skips all others. It counts what it
decodes, because a hostile file may have a hundred million fields of two bytes.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path

MAX_FIELDS = 400_000  # of all messages of a file that are decoded
MAX_TEXT = 10_000_000  # bytes

_WIDTHS = {1: 8, 5: 4}  # wire type of a fixed-size field -> bytes

Value = int | memoryview


class Reader:
    """Decodes the messages of one file, up to a number of fields and of characters.

    Attributes:
        fields_left: The number of fields that may still be decoded.
        text_left: The number of bytes of text that may still be decoded.

    Example:
        >>> reader = Reader()
        >>> message = memoryview(b"\\x08\\x96\\x01" + b"\\x12\\x03abc" + b"\\x1a\\x02\\x05\\x06")
        >>> found = dict(reader.fields(message))
        >>> found[1], reader.text(found[2]), reader.integers(found[3])
        (150, 'abc', [5, 6])
    """

    def __init__(self, max_fields: int = MAX_FIELDS, max_text: int = MAX_TEXT) -> None:
        self.fields_left, self.text_left = max_fields, max_text
        self._max_fields, self._max_text = max_fields, max_text

    def fields(self, data: Value) -> Iterator[tuple[int, Value]]:
        """Yield the number and the value of each field of a message.

        A value is an integer, or the bytes of what the schema says: a text, a message, packed
        numbers, or one number of four or eight bytes.

        Raises:
            ValueError: The message is damaged or none, or the file has too many fields.
        """
        data, place = message(data), 0
        while place < len(data):
            self.fields_left -= 1
            if self.fields_left < 0:
                raise ValueError(f"it has more than {self._max_fields:,} fields")
            key, place = integer(data, place)
            if key < 8:
                raise ValueError("a field has the number 0")
            value: Value
            match key & 7:
                case 0:
                    value, place = integer(data, place)
                case 2:
                    size, place = integer(data, place)
                    value, place = data[place : place + size], place + size
                case kind if kind in _WIDTHS:
                    value, place = data[place : place + _WIDTHS[kind]], place + _WIDTHS[kind]
                case _:
                    raise ValueError("a field has an unknown wire type")
            if place > len(data):
                raise ValueError("it ends within a field")
            yield key >> 3, value

    def text(self, value: Value) -> str:
        """Decode a text.

        Raises:
            ValueError: It is none, or the file has too much text.
        """
        data = message(value)
        self.text_left -= len(data)
        if self.text_left < 0:
            raise ValueError(f"it has more than {self._max_text:,} bytes of text")
        return bytes(data).decode()

    def integers(self, value: Value, most: int = 100) -> list[int]:
        """Decode a field of repeated integers: one, or several that are packed.

        Args:
            value: The field.
            most: How many integers there may be.

        Raises:
            ValueError: There are more, or one is damaged.
        """
        if isinstance(value, int):
            return [value]
        found: list[int] = []
        place = 0
        while place < len(value):
            if len(found) == most:
                raise ValueError(f"a field has more than {most:,} integers")
            number, place = integer(value, place)
            found.append(number)
        return found


def message(value: Value) -> memoryview:
    """Return the bytes of a field.

    Raises:
        ValueError: The field is an integer.
    """
    if isinstance(value, int):
        raise ValueError("a field does not have the type that its schema states")
    return value


def integer(data: memoryview | bytes, place: int) -> tuple[int, int]:
    """Decode an integer of one to ten bytes, and return it with the place behind it.

    Raises:
        ValueError: It is longer, or the data end within it.
    """
    value = shift = 0
    while shift < 70:
        if place >= len(data):
            raise ValueError("it ends within an integer")
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
        shift += 7
    raise ValueError("an integer is too long")


def mapped(path: Path) -> memoryview:
    """Return the contents of a file, which are read when they are used."""
    with path.open("rb") as file:
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
