"""Writes messages of Protocol Buffers by hand, damaged ones too."""


def varint(value: int) -> bytes:
    """An integer of variable length."""
    out = b""
    while value >= 128:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def message(number: int, content: bytes) -> bytes:
    """A field that holds bytes: a text, a message, or packed numbers."""
    return varint(number << 3 | 2) + varint(len(content)) + content
