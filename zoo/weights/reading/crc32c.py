"""The checksum CRC-32C, which TensorFlow's and LevelDB's files have, with NumPy.

The bytes are divided into lanes, which advance together. A checksum is linear, so that those of two
neighbors make one: the first is moved on by the length of the second, and both are added.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

_Words = np.ndarray[tuple[int, ...], np.dtype[np.uint32]]

_POLYNOMIAL = 0x82F63B78
_LANES = 1 << 13  # what is left over is computed byte by byte


def checksum(data: bytes | memoryview) -> int:
    """Return the CRC-32C of some bytes.

    Example:
        >>> hex(checksum(b"123456789"))
        '0xe3069283'
    """
    width = len(data) // _LANES
    striped = width * _LANES
    state = 0xFFFFFFFF
    if width:
        lanes = np.frombuffer(data[:striped], np.uint8).reshape(_LANES, width)
        state = int(_moved(np.asarray([state], np.uint32), striped)[0]) ^ _of_lanes(lanes)
    for byte in data[striped:]:
        state = _BYTES[(state ^ byte) & 0xFF] ^ (state >> 8)
    return state ^ 0xFFFFFFFF


def unmasked(stored: bytes | memoryview) -> int:
    """Return the checksum in four bytes of a file, where it is rotated and has a constant added.

    Example:
        >>> hex(unmasked(bytes.fromhex("e5b08ac7")))
        '0xe3069283'
    """
    rotated = (int.from_bytes(stored, "little") - 0xA282EAD8) & 0xFFFFFFFF
    return (rotated >> 17) | ((rotated << 15) & 0xFFFFFFFF)


def _of_lanes(lanes: Any) -> int:
    """Return the state after all lanes, each of which starts with 0."""
    columns = np.ascontiguousarray(lanes.T)
    states: _Words = np.zeros(len(lanes), np.uint32)
    for column in columns:
        states = _TABLE[(states ^ column) & 0xFF] ^ (states >> 8)
    width = len(columns)
    while len(states) > 1:
        states = _moved(states[::2], width) ^ states[1::2]
        width *= 2
    return int(states[0])


def _moved(states: _Words, length: int) -> _Words:
    """Return states after a number of zero bytes."""
    power = 0
    while length:
        if length & 1:
            tables = _zeros(power)
            states = (
                tables[0][states & 0xFF]
                ^ tables[1][states >> 8 & 0xFF]
                ^ tables[2][states >> 16 & 0xFF]
                ^ tables[3][states >> 24]
            )
        length >>= 1
        power += 1
    return states


@functools.cache
def _zeros(power: int) -> _Words:
    """Return what 2**power zero bytes make of each value of each of the four bytes of a state."""
    values = np.arange(256, dtype=np.uint32)
    states: _Words = np.stack([values << 8 * place for place in range(4)]).astype(np.uint32)
    if power == 0:
        states = _TABLE[states & 0xFF] ^ (states >> 8)
        return states
    half = _zeros(power - 1)
    for _ in range(2):
        states = (
            half[0][states & 0xFF]
            ^ half[1][states >> 8 & 0xFF]
            ^ half[2][states >> 16 & 0xFF]
            ^ half[3][states >> 24]
        )
    return states


def _table() -> _Words:
    states = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        states = np.where(states & 1, states >> 1 ^ np.uint32(_POLYNOMIAL), states >> 1)
    return states.astype(np.uint32)


_TABLE = _table()
_BYTES: list[int] = _TABLE.tolist()
