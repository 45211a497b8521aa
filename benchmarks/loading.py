"""Loading VGG-16 (553 MB) by zoo against what the framework itself has for that.

    python benchmarks/loading.py [torch paddle keras flax]

Files are in the page cache, as they are after the first reading. The two take turns; the median of
the ratios zoo / by hand is printed, each framework in a process of its own.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from run import BACKENDS, pair

import zoo
from zoo.api import conversion
from zoo.graphs.layouts import outputs_last


def ways(backend: str, folder: Path) -> dict[str, tuple[Callable[[], Any], Callable[[], Any]]]:
    """What to compare: name -> (zoo's way, the framework's own)."""
    ours, model = folder / "w.safetensors", zoo.build("vgg16", backend)
    zoo.save(model, ours)
    suffix = {"torch": ".pth", "paddle": ".pdparams", "keras": ".keras", "flax": ".msgpack"}[
        backend
    ]
    own = folder / f"w{suffix}"
    conversion.convert(str(ours), own)

    def load() -> Any:
        return zoo.load(ours, backend)

    if backend == "torch":
        import torch
        from safetensors.torch import load_file, save_file

        theirs = folder / "theirs.safetensors"
        save_file(model.state_dict(), theirs)

        def fill() -> Any:
            model.load_state_dict(load_file(theirs))

        def build_and_fill() -> Any:
            with torch.device("meta"):
                fresh = type(model)(model.zoo_graph, {"dtype": torch.float32, "device": "meta"})
            fresh.to_empty(device="cpu").load_state_dict(load_file(theirs))

        def load_mapped() -> Any:
            return zoo.load(ours, backend, mmap=True)

        return {
            "load a model; fill one that is there": (load, fill),
            "load a model, mmap=True; fill one that is there": (load_mapped, fill),
            "load a model; build one without values, and fill it": (load, build_and_fill),
            "save; torch.save": (
                lambda: zoo.save(model, folder / "saved.safetensors"),
                lambda: torch.save(model.state_dict(), folder / "saved.pth"),
            ),
        }
    if backend == "paddle":
        import paddle

        def by_hand() -> Any:
            paddle.vision.models.vgg16().set_state_dict(paddle.load(str(own)))

        # Of the same values under paddle.vision's names, so that they are taken.
        state = dict(
            zip(paddle.vision.models.vgg16().state_dict(), model.state_dict().values(), strict=True)
        )
        paddle.save(state, str(own))
        return {"load a model; build one, and fill it": (load, by_hand)}
    if backend == "keras":
        import keras

        return {"load a model; load_model": (load, lambda: keras.saving.load_model(own))}
    from flax import nnx, serialization

    def by_hand() -> Any:
        restored = serialization.msgpack_restore(own.read_bytes())
        nnx.update(model, nnx.State(nnx.restore_int_paths(restored)))

    return {"load a model; fill one that is there": (load, by_hand)}


def main() -> None:
    names = sys.argv[1:] or list(BACKENDS)
    if len(names) > 1:
        for name in names:
            subprocess.run([sys.executable, __file__, name], check=True)
        return
    with tempfile.TemporaryDirectory() as folder:
        for what, (mine, theirs) in ways(names[0], Path(folder)).items():
            found = pair(mine, theirs, seconds=8)
            print(
                f"{names[0]:8}{what:55}{found['zoo_ms']:9.0f} ms{found['peer_ms']:9.0f} ms"
                f"   {found['ratio']:.2f}",
                flush=True,
            )
    if names[0] != "torch":  # apart, what no other way does
        kernel = np.ones(zoo.graph("vgg16").node("fc1").parameters[0].shape, np.float32)
        start = time.perf_counter()
        outputs_last(kernel, None if names[0] == "paddle" else (512, 7, 7))
        milliseconds = 1000 * (time.perf_counter() - start)
        print(f"{names[0]:8}{'of it: fc1 laid out anew':55}{milliseconds:9.0f} ms")


if __name__ == "__main__":
    main()
