"""Files of Caffe and TensorFlow that would cost far more than their size are refused.

They are made by hand, because no library writes them. Each is read in a process of its own, with a
limit on its memory.
"""

from __future__ import annotations

import struct

import pytest
from hostile import refusals

from zoo.errors import WeightsError
from zoo.weights.reading import crc32c, readers, sstable

MILLION = 1_000_000


def integer(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def field(number: int, value: int | bytes) -> bytes:
    """A field of Protocol Buffers: an integer, or bytes."""
    if isinstance(value, int):
        return integer(number << 3) + integer(value)
    return integer(number << 3 | 2) + integer(len(value)) + value


def layer(*fields: bytes) -> bytes:
    return field(100, field(1, b"conv1") + b"".join(fields))


def blob(*dimensions: int, values: bytes = b"") -> bytes:
    return field(7, field(7, field(1, b"".join(map(integer, dimensions)))) + field(5, values))


ONE = field(7, field(5, bytes(4)))  # a number


def caffe():
    """What a file of Caffe does -> its bytes."""
    return {
        "many layers": layer(ONE) + field(100, b"") * 150_000,
        "many unknown fields": layer(field(20, 1) * MILLION, ONE),
        "many blobs": layer(ONE * 90_000),
        "many fields of one blob": layer(field(7, field(6, b"") * MILLION)),
        "values one by one": layer(field(7, (b"\x2d" + bytes(4)) * MILLION)),
        "a large shape of a blob": layer(blob(2**62, 4, values=bytes(16))),
        "a large product of sides": layer(blob(2**32, 2**32, values=b"")),
        "a negative side": layer(blob(2**64 - 1, 2**64 - 1, values=bytes(4))),
        "a shape of many sides": layer(blob(*[1] * MILLION, values=bytes(4))),
        "a shape in parts": layer(field(7, field(7, field(1, 1) * 90_000) + field(5, bytes(4)))),
        "large and empty": layer(blob(2**62, 0, values=b"")),
        "a long name": field(100, field(1, b"x" * 9 * MILLION) + ONE),
        "long names of layers": field(100, field(1, b"x" * MILLION) + ONE) * 9,
        "a length beyond the end": field(1, b"net") + integer(802) + integer(1 << 60) + b"\x0a\x01a",
        "an endless integer": field(1, b"net") + b"\xa2\x06" + b"\xff" * MILLION,
        "layers in layers": field(2, field(1, field(1, b"a") + field(50, b"\x0a" * 100_000))),
        "a group": layer(b"\x0b" * 100_000),
    }  # fmt: skip


def masked(checksum: int) -> bytes:
    rotated = checksum >> 15 | checksum << 17 & 0xFFFFFFFF
    return struct.pack("<I", (rotated + 0xA282EAD8) & 0xFFFFFFFF)


def entries(*pairs: tuple[int, bytes, bytes]) -> bytes:
    """Of each: how much of the last key it shares, the rest of its key, and its value."""
    return b"".join(
        integer(shared) + integer(len(key)) + integer(len(value)) + key + value
        for shared, key, value in pairs
    )


def block(contents: bytes, restarts: int = 0, kind: int = 0) -> bytes:
    whole = contents + struct.pack("<I", restarts) + bytes([kind])
    return whole + masked(crc32c.checksum(whole))


def handle(start: int, size: int) -> bytes:
    return integer(start) + integer(size)


def table(contents: bytes, repeat: int = 1, kind: int = 0, **changed: int) -> bytes:
    """A table of one block, which its index may list several times."""
    data = block(contents, kind=kind)
    place = handle(changed.get("start", 0), changed.get("size", len(data) - 5))
    index = block(entries(*[(0, b"z", place)] * repeat))
    footer = handle(0, 0) + handle(len(data), len(index) - 5)
    return data + index + footer.ljust(40, b"\0") + sstable.MAGIC


HEADER = (0, b"", field(1, 1))
FIRST = entries(HEADER)


def entry(*sides: int, size: int = 0, **fields: int) -> bytes:
    """Of an index: an array of float32."""
    shape = b"".join(field(2, field(1, side)) for side in sides)
    numbers = {"shard": 3, "offset": 4}
    more = b"".join(field(numbers[name], value) for name, value in fields.items())
    return field(1, 1) + field(2, shape) + field(5, size) + more


def described(name: bytes) -> bytes:
    return field(1, field(1, name) + field(3, 1) + field(4, b""))


def tensorflow():
    """What a checkpoint does -> its bytes."""
    return {
        "many entries": table(FIRST + entries((0, b"a", b"")) * 300_000),
        "a block many times": table(FIRST * 1_000, repeat=100_000),
        "long keys that are shared": table(
            FIRST + entries((0, b"x" * 3_900, b"")) + entries((3_899, b"y", b"")) * 250_000
        ),
        "keys that grow": table(
            FIRST + b"".join(entries((100 * i, b"x" * 100, b"")) for i in range(9_000))
        ),
        "a key longer than the last": table(FIRST + entries((9, b"a", b""))),
        "a block outside the file": table(FIRST, start=2**40),
        "a large block": table(FIRST, size=2**62),
        "a compressed block": table(FIRST, kind=1),
        "many restarts": b"".join([block(FIRST, restarts=2**31), table(FIRST)[-53:]]),
        "many files of arrays": table(entries((0, b"", field(1, 2**31)))),
        "another file of arrays": table(FIRST + entries((0, b"a", entry(1, size=4, shard=7)))),
        "arrays of one place": table(
            FIRST + b"".join(entries((0, b"%d" % i, entry(250, size=1_000))) for i in range(19_000))
        ),
        "a large array": table(FIRST + entries((0, b"a", entry(2**40, size=2**42)))),
        "a large product": table(FIRST + entries((0, b"a", entry(2**32, 2**32, size=0)))),
        "a long shape": table(FIRST + entries((0, b"a", entry(*[1] * 120_000, size=4)))),
        "far behind the end": table(FIRST + entries((0, b"a", entry(1, size=4, offset=2**62)))),
        "a variable without a shape": table(FIRST + entries((0, b"a", field(1, 1) + field(2, field(3, 1))))),
        "no name": table(FIRST + entries((0, b"\xff\xfe", entry(1, size=4)))),
        "many descriptions": table(
            entries((0, b"", field(1, b"".join(described(b"%d" % i) for i in range(50_000)))))
        ),
        "descriptions of one name": table(entries((0, b"", field(1, described(b"a") * 2)))),
        "long names": table(
            entries((0, b"", field(1, b"".join(described(b"%d" % i + b"x" * MILLION) for i in range(12)))))
        ),
        "described but not saved": table(entries((0, b"", field(1, described(b"a"))))),
        "saved but not described": table(
            entries((0, b"", field(1, b"")), (0, b"a", field(2, field(1, b"a"))))
        ),
        "many values one by one": table(
            entries(
                (0, b"", field(1, described(b"a"))),
                (0, b"a", field(2, field(1, b"a") + field(3, (b"\x2d" + bytes(4)) * MILLION))),
            )
        ),
        "many integers": table(
            entries(
                (0, b"", field(1, field(1, field(1, b"a") + field(2, field(2, field(1, MILLION)))
                                        + field(3, 9) + field(4, field(1, b""))))),
                (0, b"a", field(2, field(1, b"a") + field(3, field(10, bytes(MILLION))))),
            )
        ),
        "no entries": table(b""),
        "no first entry": table(entries((0, b"a", entry(1, size=4)))),
    }  # fmt: skip


def test_hostile_files(tmp_path):
    paths, files = {}, {"caffemodel": caffe(), "index": tensorflow()}
    for suffix, contents in files.items():
        for number, (kind, content) in enumerate(contents.items()):
            paths[kind] = tmp_path / f"{number}.{suffix}"
            paths[kind].write_bytes(content)
            (tmp_path / f"{number}.data-00000-of-00001").write_bytes(bytes(1_000))
    assert len(paths) == sum(map(len, files.values()))
    for kind, error in zip(paths, refusals(list(paths.values()), arrays=True), strict=True):
        assert error.startswith(f"{paths[kind]}: "), kind


def test_a_table_made_by_hand_is_read(tmp_path):
    """So that the others are refused for what they do."""
    path = tmp_path / "good.index"
    stored = field(1, 1) + field(2, field(2, field(1, 2))) + field(5, 8)
    checksum = b"\x35" + masked(crc32c.checksum(struct.pack("<2f", 1, 2)))
    path.write_bytes(table(FIRST + entries((0, b"a/b", stored + checksum))))
    data = tmp_path / "good.data-00000-of-00001"
    data.write_bytes(struct.pack("<2f", 1, 2))
    assert readers.read(path).arrays["a.b"].read().tolist() == [1, 2]
    data.unlink()
    data.mkdir()
    with pytest.raises(WeightsError, match="which is not next to it"):
        readers.read(path)


def test_a_layer_made_by_hand_is_read(tmp_path):
    path = tmp_path / "good.caffemodel"
    path.write_bytes(layer(blob(2, values=struct.pack("<2f", 1, 2))))
    assert readers.read(path).arrays["conv1.0"].read().tolist() == [1, 2]
