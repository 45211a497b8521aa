"""Writes ONNX files byte by byte, hostile ones too, without the package onnx."""

import functools
import os
from collections.abc import Callable
from pathlib import Path

from wire import message, varint

MEGABYTE = 1_000_000

#: A file with these parts in its graph.
Model = Callable[..., bytes]


def start(producer: bytes) -> bytes:
    """The beginning of a file: its version, and who wrote it."""
    return b"\x08\x0a" + message(2, producer)


def tensor(
    name: bytes, shape: list[int], content: bytes = b"", dtype: int = 1, number: int = 5
) -> bytes:
    """A tensor, as a field of that number: 5 is an initializer of a graph."""
    dims = b"".join(b"\x08" + varint(n) for n in shape)
    return message(number, dims + b"\x10" + varint(dtype) + message(8, name) + content)


def outside(location: bytes, offset: bytes = b"0", length: bytes = b"16") -> bytes:
    """The external data of a tensor, by default of four numbers."""
    pairs = ((b"location", location), (b"offset", offset), (b"length", length))
    entries = b"".join(message(13, message(1, k) + message(2, v)) for k, v in pairs)
    return entries + b"\x70\x01"


def hostile(model: Model, begin: bytes) -> dict[str, bytes]:
    """What a file of any program does -> its bytes."""
    return {
        "many fields": model(b"\x08\x00" * 5 * MEGABYTE),
        "many empty nodes": model(b"\x0a\x00" * 5 * MEGABYTE),
        "many empty tensors": model(b"\x2a\x00" * 2 * MEGABYTE),
        "many dimensions": model(message(5, b"\x08\x01" * 2 * MEGABYTE)),
        "packed dimensions": model(message(5, message(1, b"\x01" * 5 * MEGABYTE))),
        "a huge tensor": model(tensor(b"a", [1 << 40])),
        "a product beyond 64 bits": model(tensor(b"a", [1 << 62, 1 << 62])),
        "a negative shape": model(tensor(b"a", [(1 << 64) - 1])),
        "nested messages": functools.reduce(lambda inner, _: message(7, inner), range(3_000), b""),
        "a message that never ends": begin + b"\x3a" + b"\xff" * 9 + b"\x01",
        "an integer that never ends": begin + b"\x08" + b"\xff" * 5 * MEGABYTE,
        "groups": begin + b"\x0b" * MEGABYTE,
        "many graphs": begin + b"\x3a\x00" * MEGABYTE,
        "a text that is none": model(tensor(b"\xff\xfe", [4], message(9, bytes(16)))),
    }


_PLACES = {
    "another folder": b"../data",
    "an absolute path": b"/etc/passwd",
    "a folder": b"..",
    "this folder": b".",
    "a folder below": b"folder/data",
    "a path of Windows": b"..\\data",
    "a drive of Windows": b"C:data",
    "a link out": b"link",
    "a pipe": b"pipe",
    "nothing": b"",
    "a null character": b"data\0",
    "a missing file": b"gone",
}
_OFFSETS = {"before the file": b"-16", "behind the file": b"1000000", "no number": b"9" * 5000}


def elsewhere(model: Model) -> dict[str, bytes]:
    """Where a file says that its values are -> its bytes; for a folder with a file ``data``."""
    data = {kind: outside(place) for kind, place in _PLACES.items()}
    data |= {kind: outside(b"data", offset=offset) for kind, offset in _OFFSETS.items()}
    return {kind: model(tensor(b"a", [4], content)) for kind, content in data.items()}


def surround(folder: Path) -> None:
    """Write what :func:`elsewhere` names beside and around a folder's files."""
    (folder / "folder").mkdir()
    for path in (folder / "data", folder / "folder" / "data", folder.parent / "data"):
        path.write_bytes(bytes(MEGABYTE))
    (folder / "link").symlink_to("../data")
    os.mkfifo(folder / "pipe")
