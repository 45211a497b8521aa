"""Times loading VGG-16 (553 MB) with zoo against the framework's own functions.

    python benchmarks/loading.py [torch paddle keras flax]

Files are in the page cache, as they are after the first read. The two alternate, and the median of
the ratios zoo / hand-written is printed. Each framework runs in its own process.
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
from in_process import BACKENDS, compare

import zoo
from zoo.api import conversion
from zoo.graphs.layouts import outputs_last


def cases(backend: str, folder: Path) -> dict[str, tuple[Callable[[], Any], Callable[[], Any]]]:
    """Return what to time: name -> (zoo's function, the framework's own)."""
    zoo_path, model = folder / "w.safetensors", zoo.build("vgg16", backend)
    zoo.save(model, zoo_path)
    suffix = {"torch": ".pth", "paddle": ".pdparams", "keras": ".keras", "flax": ".msgpack"}[
        backend
    ]
    native_path = folder / f"w{suffix}"
    conversion.convert_file(str(zoo_path), native_path)

    def load() -> Any:
        return zoo.load(zoo_path, backend)

    if backend == "torch":
        import torch
        from safetensors.torch import load_file, save_file

        state_path = folder / "state.safetensors"
        save_file(model.state_dict(), state_path)

        def fill() -> Any:
            model.load_state_dict(load_file(state_path))

        def build_and_fill() -> Any:
            with torch.device("meta"):
                empty = type(model)(model.zoo_graph, {"dtype": torch.float32, "device": "meta"})
            empty.to_empty(device="cpu").load_state_dict(load_file(state_path))

        def load_mapped() -> Any:
            return zoo.load(zoo_path, backend, mmap=True)

        return {
            "load a model; fill an existing one": (load, fill),
            "load a model, mmap=True; fill an existing one": (load_mapped, fill),
            "load a model; build one without values and fill it": (load, build_and_fill),
            "save; torch.save": (
                lambda: zoo.save(model, folder / "saved.safetensors"),
                lambda: torch.save(model.state_dict(), folder / "saved.pth"),
            ),
        }
    if backend == "paddle":
        import paddle

        def by_hand() -> Any:
            paddle.vision.models.vgg16().set_state_dict(paddle.load(str(native_path)))

        # The same values under paddle.vision's names, so that set_state_dict accepts them.
        state = dict(
            zip(paddle.vision.models.vgg16().state_dict(), model.state_dict().values(), strict=True)
        )
        paddle.save(state, str(native_path))
        return {"load a model; build one and fill it": (load, by_hand)}
    if backend == "keras":
        import keras

        return {"load a model; load_model": (load, lambda: keras.saving.load_model(native_path))}
    from flax import nnx, serialization

    def by_hand() -> Any:
        restored = serialization.msgpack_restore(native_path.read_bytes())
        nnx.update(model, nnx.State(nnx.restore_int_paths(restored)))

    return {"load a model; fill an existing one": (load, by_hand)}


def main() -> None:
    names = sys.argv[1:] or list(BACKENDS)
    if len(names) > 1:
        for name in names:
            subprocess.run([sys.executable, __file__, name], check=True)
        return
    with tempfile.TemporaryDirectory() as folder:
        for name, (ours, peer) in cases(names[0], Path(folder)).items():
            result = compare(ours, peer, seconds=8)
            print(
                f"{names[0]:8}{name:55}{result['zoo_ms']:9.0f} ms{result['peer_ms']:9.0f} ms"
                f"   {result['ratio']:.2f}",
                flush=True,
            )
    if names[0] != "torch":  # a step that the framework's own functions do not need
        kernel = np.ones(zoo.graph("vgg16").node("fc1").parameters[0].shape, np.float32)
        start = time.perf_counter()
        outputs_last(kernel, None if names[0] == "paddle" else (512, 7, 7))
        milliseconds = 1000 * (time.perf_counter() - start)
        print(f"{names[0]:8}{'of this: changing the layout of fc1':55}{milliseconds:9.0f} ms")


if __name__ == "__main__":
    main()
