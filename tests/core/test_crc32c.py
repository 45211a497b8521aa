"""The checksum against the examples of RFC 3720, section B.4, and against its definition."""

import numpy as np
import pytest

from zoo.weights.reading import crc32c

EXAMPLES = {
    bytes(32): 0x8A9136AA,
    b"\xff" * 32: 0x62A8AB43,
    bytes(range(32)): 0x46DD794E,
    bytes(reversed(range(32))): 0x113FDB5C,
    b"123456789": 0xE3069283,
    b"": 0,
}


@pytest.mark.parametrize("data", EXAMPLES)
def test_published_examples(data):
    assert crc32c.checksum(data) == EXAMPLES[data]


def by_definition(data):
    state = 0xFFFFFFFF
    for byte in data:
        state ^= byte
        for _ in range(8):
            state = state >> 1 ^ (0x82F63B78 if state & 1 else 0)
    return state ^ 0xFFFFFFFF


@pytest.mark.parametrize("size", [1, 8191, 8192, 8193, 3 * 8192 + 5, 50_000])
def test_its_definition(size):
    data = np.random.default_rng(size).bytes(size)
    assert crc32c.checksum(data) == crc32c.checksum(memoryview(data)) == by_definition(data)


def test_long_data_that_begin_and_end_with_zeros():
    data = bytes(100_000) + b"x" + bytes(100_000)
    assert crc32c.checksum(data) == by_definition(data)
