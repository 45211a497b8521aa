"""Initial weights that are the same, bit for bit, in every framework and on every machine.

Each parameter has its own random streams: the raw integers of an SFC64 generator seeded with the
SHA-256 of (seed, model, parameter name, number of the stream). NumPy guarantees only that raw
streams are the same in all versions, so NumPy's distributions are not used here. Values are drawn
in the canonical layout, on a grid that float32 represents exactly: float64 weights have the same
values.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import islice
from typing import Any

import numpy as np

from zoo import arguments
from zoo.errors import UnknownNameError, suggestion
from zoo.graphs.graph import Graph
from zoo.graphs.nodes import Parameter

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]

INITIALIZERS = ("he_uniform", "glorot_uniform", "paper", "native")
DTYPES = ("float32", "float64", "float16", "bfloat16")

_CHUNK = 1 << 17  # values of a stream, small enough for the cache
_BATCH = 8  # streams that a thread draws in one task
_AHEAD = 1 << 24  # values that may be drawn before they are needed


def drawing(
    graph: Graph,
    seed: int = 0,
    init: str = "he_uniform",
    dtype: str = "float32",
    only: Container[str] | None = None,
) -> Callable[[Parameter], Array]:
    """Return a function that draws each parameter's initial value.

    Args:
        graph: The network; its name and parameter names are part of the seed.
        seed: Random seed; any integer.
        init: ``he_uniform``, U(+-sqrt(6 / fan_in)); ``glorot_uniform``,
            U(+-sqrt(6 / (fan_in + fan_out))); or ``paper``, the initialization that the spec quotes
            from its paper. Biases start at 0 unless the paper says otherwise, and scales at 1.
        dtype: The dtype of the arrays.
        only: Names of the parameters that will be drawn; all by default.

    Returns:
        A function from a parameter to its array, in the canonical layout.

    Raises:
        UnknownNameError: There is no such initializer or dtype, or the spec does not state its
            paper's initialization.
        InputError: The seed is not an integer.

    Example:
        >>> from zoo.language.graphs import graph
        >>> network = graph("vgg11")
        >>> drawing(network, seed=1)(network.parameters[0]).shape
        (64, 3, 3, 3)
    """
    check(init, dtype, seed)
    if init == "paper" and not graph.initializers:
        raise UnknownNameError(
            f"the spec of {graph.name} does not state its paper's initialization; use "
            "init='he_uniform'"
        )
    parameters = [p for p in graph.parameters if only is None or p.name in only]
    return _Drawing(graph, parameters, seed, init, dtype)


def check(init: str, dtype: Any, seed: int) -> str:
    """Check an initializer, a dtype and a seed, and return the dtype's name.

    Raises:
        UnknownNameError: There is no such initializer or dtype.
        InputError: The seed is not an integer.

    Example:
        >>> check("he_uniform", np.float16, 0)
        'float16'
    """
    dtype = _name_of(dtype)
    for value, known, option in ((init, INITIALIZERS, "init"), (dtype, DTYPES, "dtype")):
        if not isinstance(value, str) or value not in known:
            hint = suggestion(value, known) or f". Known: {', '.join(known)}."
            raise UnknownNameError(f"unknown {option} {arguments.shown(value)}{hint}")
    arguments.integer("seed", seed)
    return str(dtype)


def _name_of(dtype: Any) -> Any:
    """Return the name of NumPy's or a framework's dtype, such as ``torch.float64``."""
    if dtype is None or isinstance(dtype, str | int):
        return dtype
    try:
        return np.dtype(dtype).name
    except (TypeError, ValueError):
        return str(dtype).rpartition(".")[2]


def uniform(graph: Graph, parameter: Parameter, seed: int, bound: float) -> Array:
    """Draw one parameter's float32 values, uniform between -bound and bound."""
    values = np.empty(parameter.size, np.float32)
    for stream, part in _streams(f"{seed}|{graph.name}", parameter, values):
        _uniform(bound, stream, part)
    return values.reshape(parameter.shape)


class _Drawing:
    """Returns the values of a parameter, while threads draw those of the next ones."""

    def __init__(
        self, graph: Graph, parameters: Sequence[Parameter], seed: int, init: str, dtype: str
    ) -> None:
        self._key, self._init, self._dtype = f"{seed}|{graph.name}", init, _numpy(dtype)
        self._paper = graph.initializers if init == "paper" else {}
        self._pending = [p for p in reversed(parameters) if p.constant is None]
        self._started: dict[str, tuple[Array, list[Future[None]]]] = {}
        self._pool = ThreadPoolExecutor(max_workers=2)
        self._look_ahead()

    def __call__(self, parameter: Parameter) -> Array:
        if parameter.constant is not None:
            return np.full(parameter.shape, self._constant(parameter), self._dtype)
        if parameter.name not in self._started:
            self._pending = [p for p in self._pending if p.name != parameter.name]
            self._start(parameter)
        values, chunks = self._started.pop(parameter.name)
        self._look_ahead()
        for chunk in chunks:
            chunk.result()
        return values.reshape(parameter.shape)

    def _look_ahead(self) -> None:
        while self._pending and sum(len(values) for values, _ in self._started.values()) < _AHEAD:
            self._start(self._pending.pop())

    def _start(self, parameter: Parameter) -> None:
        values = np.empty(parameter.size, self._dtype)
        fill, streams = self._rule(parameter), _streams(self._key, parameter, values)

        def draw(batch: Sequence[tuple[str, Array]]) -> None:
            for stream, part in batch:
                fill(stream, part)

        batches = iter(lambda: list(islice(streams, _BATCH)), [])
        chunks = [self._pool.submit(draw, batch) for batch in batches]
        self._started[parameter.name] = values, chunks

    def _rule(self, parameter: Parameter) -> Callable[[str, Array], None]:
        rule = self._paper_rule(parameter)
        if "std" in rule:
            return partial(_normal, rule["mean"], rule["std"])
        if "scale" in rule:
            variance = rule["scale"] / parameter.fan_in
            if rule["distribution"] == "normal":
                return partial(_normal, 0.0, math.sqrt(variance))
            return partial(_uniform, math.sqrt(3 * variance))
        fan = parameter.fan_in + (parameter.fan_out if self._init == "glorot_uniform" else 0)
        return partial(_uniform, math.sqrt(6 / fan))

    def _constant(self, parameter: Parameter) -> float:
        constant = parameter.constant
        assert constant is not None
        if constant == 0.0 and not parameter.name.endswith("running_mean"):
            return float(self._paper_rule(parameter).get("constant", constant))
        return constant

    def _paper_rule(self, parameter: Parameter) -> Mapping[str, Any]:
        """Return what the paper says about a parameter."""
        return self._paper.get(parameter.name.rpartition(".")[2], {})


def _streams(key: str, parameter: Parameter, values: Array) -> Iterator[tuple[str, Array]]:
    """Yield the name of each of a parameter's streams, and the values to fill from it."""
    for chunk, start in enumerate(range(0, parameter.size, _CHUNK)):
        yield f"{key}|{parameter.name}|{chunk}", values[start : start + _CHUNK]


def _uniform(bound: float, stream: str, out: Array) -> None:
    """Fill with values uniform between -bound and bound."""
    # Odd integers between -2^24 and 2^24: float32 represents each exactly, and their mean is 0.
    odd = _integers(stream, len(out)).view("<i4")
    odd >>= 7
    odd |= 1
    scale = np.float32(bound / 2**24)
    if out.dtype == np.float32:
        np.multiply(odd, scale, out=out, casting="unsafe", dtype=np.float32)
    else:
        out[:] = np.multiply(odd, scale, casting="unsafe", dtype=np.float32)


def _normal(mean: float, std: float, stream: str, out: Array) -> None:
    """Fill with values from a normal distribution (the Box-Muller transform)."""
    pairs = -(-len(out) // 2)
    u = (_integers(stream, 2 * pairs) + 0.5) / 2**32
    radius, angle = np.sqrt(-2 * np.log(u[:pairs])), 2 * np.pi * u[pairs:]
    values = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])
    out[:] = (mean + std * values[: len(out)]).astype(np.float32)


def _integers(stream: str, count: int) -> Array:
    """Return the first 32-bit integers of a stream, the same for any byte order."""
    key = int.from_bytes(hashlib.sha256(stream.encode()).digest()[:16], "little")
    raw = np.random.SFC64(key).random_raw(-(-count // 2))
    return raw.astype("<u8", copy=False).view("<u4")[:count]


def _numpy(dtype: str) -> Any:
    if dtype == "bfloat16":
        import ml_dtypes

        return ml_dtypes.bfloat16
    return np.dtype(dtype)
