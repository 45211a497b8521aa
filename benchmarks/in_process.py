"""Times what ``zoo bench`` does not, against networks written by hand, in one process.

    python benchmarks/in_process.py [torch paddle keras flax] [--models googlenet vgg16]

That is: building a network again, and ``zoo.predict`` compared with calling the network. Results
are ratios, zoo / hand-written; below 1, zoo is faster. The two alternate, and the median of the
ratios is printed, so that a drift of the machine's speed affects both alike. Each combination of
framework and network runs in its own process. The package in ``peers/`` must be installed.
"""

from __future__ import annotations

import argparse
import importlib
import itertools
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

BACKENDS = ("torch", "paddle", "keras", "flax")


def compare(
    ours: Callable[[], Any],
    peer: Callable[[], Any],
    seconds: float = 4,
    min_pairs: int = 3,
    before: Callable[[], Any] = lambda: None,
) -> dict:
    """Time two functions alternately: the median milliseconds of each, and the median ratio.

    Before each of them, ``before`` is called, which is not timed.
    """
    ours(), peer()  # warm up: compilation and first memory accesses
    times: list[tuple[float, float]] = []
    end = time.perf_counter() + seconds
    while len(times) < min_pairs or (time.perf_counter() < end and len(times) < 40):
        first, second = (ours, peer) if len(times) % 2 else (peer, ours)
        before()
        a = clock(first)
        before()
        b = clock(second)
        times.append((a, b) if first is ours else (b, a))
    ratios = [a / b for a, b in times]
    return {
        "zoo_ms": 1000 * statistics.median(a for a, _ in times),
        "peer_ms": 1000 * statistics.median(b for _, b in times),
        "ratio": statistics.median(ratios),
        "pairs": len(times),
    }


def clock(function: Callable[[], Any]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def calls(backend: str, model: Any, x: np.ndarray) -> dict[str, Callable[[], np.ndarray]]:
    """Return the ways in which users call a model: a function that returns an array for each."""
    if backend == "torch":
        import torch

        tensor = torch.from_numpy(x)
        return {"the plain call": torch.no_grad()(lambda: model.eval()(tensor).numpy())}
    if backend == "paddle":
        import paddle

        model.eval()
        tensor = paddle.to_tensor(x)
        return {"the plain call": paddle.no_grad()(lambda: model(tensor).numpy())}
    last = np.ascontiguousarray(x.transpose(0, 2, 3, 1))
    if backend == "keras":
        return {"the plain call": lambda: np.array(model(last))}
    import jax.numpy as jnp
    from flax import nnx

    model.eval()
    array, jitted = jnp.asarray(last), nnx.jit(lambda model, x: model(x))
    return {
        "the plain call": lambda: np.array(model(array)),
        "the nnx.jit call": lambda: np.array(jitted(model, array)),
    }


def measure(backend: str, name: str) -> None:
    import zoo

    zoo.build("vgg9", backend, input_size=32)  # loads the framework as zoo does
    write = getattr(importlib.import_module(f"zoo_by_hand.{backend}.networks"), name)

    def made(model: Any) -> Any:
        if backend == "flax":  # which may still be computing
            import jax
            from flax import nnx

            jax.block_until_ready(nnx.state(model, nnx.Param))
        return model

    def record(what: str, ours: Callable[[], Any], peer: Callable[[], Any]) -> None:
        found = compare(ours, peer)
        times = f"{found['zoo_ms']:10.1f} {found['peer_ms']:10.1f}   {found['ratio']:.2f}"
        print(f"{backend:8}{name:11}{what:34}{times}", flush=True)

    record("build, repeated", lambda: made(zoo.build(name, backend)), lambda: made(write()))
    x = np.random.default_rng(0).standard_normal((1, 3, 224, 224), np.float32)
    model = zoo.build(name, backend)
    for what, call in calls(backend, write(), x).items():
        record(f"predict against {what}", lambda: zoo.predict(model, x), call)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("backends", nargs="*", default=BACKENDS)
    parser.add_argument("--models", nargs="+", default=["googlenet", "vgg16"])
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        measure(options.backends[0], options.models[0])
        return
    print(f"{'':53}{'zoo ms':>10} {'hand ms':>10}   ratio", flush=True)
    for backend, model in itertools.product(options.backends, options.models):
        command = [sys.executable, __file__, backend, "--worker", "--models", model]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
