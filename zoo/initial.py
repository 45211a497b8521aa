"""Initial weights that are the same, bit for bit, in every framework and on every machine.

Each parameter has streams of its own: the raw integers of a PCG64 generator seeded with the SHA-256
of (seed, model, parameter name, number of the stream). Only raw streams are promised stable between
NumPy versions, so nothing here uses NumPy's distributions. Values are drawn once, in the canonical
layout, on a grid that float32 holds exactly, so float64 weights are the same numbers.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from zoo.errors import InputError, UnknownNameError, suggestion
from zoo.network import Graph, Parameter

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]

INITIALIZERS = ("he_uniform", "glorot_uniform", "paper", "native")
DTYPES = ("float32", "float64", "float16", "bfloat16")

_CHUNK = 1 << 17  # values a stream gives, few enough for a processor's cache


def drawing(
    graph: Graph, seed: int = 0, init: str = "he_uniform", dtype: str = "float32"
) -> Callable[[Parameter], Array]:
    """Return a function that draws each parameter's initial value.

    Args:
        graph: The network; its name and parameter names are part of the seed.
        seed: Any integer.
        init: ``he_uniform``, U(+-sqrt(6 / fan_in)); ``glorot_uniform``,
            U(+-sqrt(6 / (fan_in + fan_out))); or ``paper``, what the spec says its paper does.
            Biases start at 0 unless the paper says otherwise, scales at 1.
        dtype: Of the arrays.

    Raises:
        UnknownNameError: No such initialiser, or the spec states none of its paper's.
        InputError: The seed is no integer.
    """
    check(init, dtype, seed)
    if init == "paper" and not graph.initializers:
        raise UnknownNameError(
            f"{graph.name} states no initialisation of its paper; use init='he_uniform'"
        )
    paper = graph.initializers if init == "paper" else {}

    def draw(parameter: Parameter) -> Array:
        stated = paper.get(parameter.name.rpartition(".")[2], {})
        if parameter.constant is not None:
            constant = parameter.constant
            if not parameter.name.endswith("running_mean") and constant == 0.0:
                constant = stated.get("constant", constant)
            return np.full(parameter.shape, constant, _numpy(dtype))
        if "std" in stated:
            return normal(graph, parameter, seed, stated["mean"], stated["std"]).astype(
                _numpy(dtype)
            )
        fan = parameter.fan_in + (parameter.fan_out if init == "glorot_uniform" else 0)
        return uniform(graph, parameter, seed, math.sqrt(6 / fan)).astype(_numpy(dtype), copy=False)

    return draw


def check(init: str, dtype: str, seed: int) -> None:
    """Refuse what is no initialiser, dtype or seed."""
    for value, known, what in ((init, INITIALIZERS, "init"), (dtype, DTYPES, "dtype")):
        if value not in known:
            hint = suggestion(value, known) or f" Known: {', '.join(known)}."
            raise UnknownNameError(f"Unknown {what} {value!r}.{hint}")
    if type(seed) is not int:
        raise InputError(f"seed must be an integer, got {seed!r}")


def uniform(graph: Graph, parameter: Parameter, seed: int, bound: float) -> Array:
    """Draw float32 values, uniform between -bound and bound."""
    out = np.empty(parameter.size, np.float32)
    scale = np.float32(bound / 2**24)

    def fill(chunk: int) -> None:
        part = out[chunk * _CHUNK : (chunk + 1) * _CHUNK]
        # Odd integers between -2^24 and 2^24: float32 holds each exactly, and their mean is 0.
        odd = _integers(graph, parameter, seed, chunk, len(part)).view("<i4") >> 7 | 1
        np.multiply(odd, scale, out=part, casting="unsafe", dtype=np.float32)

    _each_chunk(fill, parameter.size)
    return out.reshape(parameter.shape)


def normal(graph: Graph, parameter: Parameter, seed: int, mean: float, std: float) -> Array:
    """Draw float32 values from a normal distribution (Box and Muller's method)."""
    out = np.empty(parameter.size, np.float32)

    def fill(chunk: int) -> None:
        part = out[chunk * _CHUNK : (chunk + 1) * _CHUNK]
        pairs = -(-len(part) // 2)
        u = (_integers(graph, parameter, seed, chunk, 2 * pairs) + 0.5) / 2**32
        radius, angle = np.sqrt(-2 * np.log(u[:pairs])), 2 * np.pi * u[pairs:]
        both = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])
        part[:] = mean + std * both[: len(part)]

    _each_chunk(fill, parameter.size)
    return out.reshape(parameter.shape)


def _integers(graph: Graph, parameter: Parameter, seed: int, chunk: int, count: int) -> Array:
    """The first 32-bit integers of a stream, the same on machines of any byte order."""
    name = f"{seed}|{graph.name}|{parameter.name}|{chunk}"
    key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:16], "little")
    raw = np.random.PCG64(key).random_raw(-(-count // 2))
    return raw.astype("<u8", copy=False).view("<u4")[:count]


def _each_chunk(fill: Callable[[int], None], size: int) -> None:
    chunks = range(-(-size // _CHUNK))
    if len(chunks) < 16:  # starting threads would take longer
        list(map(fill, chunks))
        return
    with ThreadPoolExecutor(max_workers=4) as pool:
        list(pool.map(fill, chunks))


def _numpy(dtype: str) -> Any:
    if dtype == "bfloat16":
        import ml_dtypes

        return ml_dtypes.bfloat16
    return np.dtype(dtype)
