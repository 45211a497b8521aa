"""Times zoo's models against the same networks written by hand in the same framework.

    python benchmarks/run.py [torch paddle keras flax] [--models googlenet vgg16] [--json FILE]

Results are ratios, zoo / hand-written. Within a process the two alternate, and the median of the
pairwise ratios is printed, so that a drift of the machine's speed affects both alike. Below 1, zoo
is faster. Each combination of framework and network runs in its own process.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
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


def measure(backend: str, model: str) -> list[dict]:
    """Take all measurements of one network in one framework, in this process."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import zoo

    zoo.build("vgg9", backend, input_size=32)  # loads the framework as zoo does
    spec = importlib.util.spec_from_file_location("peer", HERE / "peers" / f"{backend}.py")
    assert spec and spec.loader
    peers = importlib.util.module_from_spec(spec)
    sys.modules["peer"] = peers  # where torch.compile looks for it
    spec.loader.exec_module(peers)
    module = importlib.import_module(f"cases_{backend}")
    rows: list[dict] = []

    def record(what: str, result: dict) -> None:
        rows.append({"backend": backend, "model": model, "what": what, **result})
        show(rows[-1])

    def build() -> Any:
        return module.ready(zoo.build(model, backend))

    def build_by_hand() -> Any:
        return module.ready(getattr(peers, model)())

    # Hand-written Flax models compile an initializer for each new shape: tens of seconds.
    a, b = clock(build), clock(build_by_hand)
    record("build, first", {"zoo_ms": 1000 * a, "peer_ms": 1000 * b, "ratio": a / b, "pairs": 1})
    record("build, repeated", compare(build, build_by_hand))
    ours, peer = zoo.build(model, backend), getattr(peers, model)()
    for what, functions in module.cases(ours, peer, model).items():
        record(what, compare(*functions))
    if model == "vgg16" and hasattr(module, "permute"):
        # Hand-written networks do not need this. It is the price of portable weights.
        record("of the build: fc1, CHW to HWC", {"zoo_ms": 1000 * clock(module.permute)})
    return rows


def imports() -> list[dict]:
    """Time ``import zoo`` against ``import numpy``, each in a new interpreter."""
    runs = [
        lambda module=module: subprocess.run([sys.executable, "-c", f"import {module}"], check=True)
        for module in ("zoo", "numpy")
    ]
    row = {"backend": "", "model": "", "what": "import zoo against import numpy", **compare(*runs)}
    show(row)
    return [row]


def show(row: dict) -> None:
    peer = f"{row['peer_ms']:10.1f}   {row['ratio']:.2f}" if "ratio" in row else ""
    print(
        f"{row['backend']:8}{row['model']:11}{row['what']:34}{row['zoo_ms']:10.1f} {peer}",
        file=sys.stderr,
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("backends", nargs="*", default=BACKENDS)
    parser.add_argument("--models", nargs="+", default=["googlenet", "vgg16"])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    sys.path.insert(0, str(HERE))
    if options.worker:
        print(json.dumps(measure(options.backends[0], options.models[0])))
        return
    print(f"{'':53}{'zoo ms':>10} {'hand ms':>10}   ratio", file=sys.stderr)
    rows = imports()
    for backend, model in itertools.product(options.backends, options.models):
        command = [sys.executable, __file__, backend, "--worker", "--models", model]
        completed = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        rows += json.loads(completed.stdout.splitlines()[-1])
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
