"""Times a checkpoint of VGG-16 with momentum (1.1 GB) against torch.save of the same.

    python benchmarks/checkpoints.py [--folder FOLDER]

Both write to a new file in turn, after what was written before is on the disk. zoo also waits for
the disk, so that a power failure leaves a whole file, but it does so while training goes on. So two
times are compared: that after which training goes on, with torch.save as people call it; and that
after which the disk has the file, with torch.save and such a wait.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

import torch
from in_process import compare

import zoo
from zoo.backend import registry
from zoo.backend.training import Plan, Rule
from zoo.training import state as states
from zoo.training.later import Later


def main() -> None:
    """Print the median ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", help="where to write (default: a temporary folder)")
    chosen = parser.parse_args()
    model = zoo.build("vgg16", "torch")
    backend, graph = registry.load("torch"), zoo.graph_of(model)
    trainer: Any = backend.trainer(model, Plan(Rule("sgd", 0.01, momentum=0.9)))
    now = states.State(recipe={}, backend="torch", data=("", ""), step=1)
    with tempfile.TemporaryDirectory(dir=chosen.folder) as name:
        folder = Path(name)

        later = Later()

        def ours(path: Path) -> None:
            weights = backend.get_weights(model, copy=False)
            states.write(path, graph, weights, trainer.get_state(copy=False), now, later)

        def waiting(path: Path) -> None:
            ours(path)
            later.wait()

        def peer(path: Path) -> None:
            torch.save({"model": model.state_dict(), "sgd": trainer.optimizer.state_dict()}, path)

        def synchronized(path: Path) -> None:
            peer(path)
            with path.open("rb") as file:
                os.fsync(file.fileno())

        def start_over() -> None:
            """Remove what was written, and wait until the disk has done it."""
            later.wait()
            for path in folder.iterdir():
                path.unlink()
            os.sync()

        pairs = {"torch.save": (ours, peer), "torch.save and fsync": (waiting, synchronized)}
        for title, (own, other) in pairs.items():
            result = compare(
                lambda own=own: own(folder / "checkpoint.safetensors"),
                lambda other=other: other(folder / "checkpoint.pt"),
                before=start_over,
                seconds=60,
                min_pairs=5,
            )
            print(
                f"{title:22} zoo {result['zoo_ms'] / 1000:.2f} s, "
                f"peer {result['peer_ms'] / 1000:.2f} s, ratio {result['ratio']:.2f}"
            )


if __name__ == "__main__":
    main()
