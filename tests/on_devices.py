"""Runs on two devices, for tests: started by each framework's own launcher, or in one process.

    python tests/on_devices.py BACKEND FOLDER CASE...

The folder has the spec and the data. Each case is written to a folder of its name in it.
"""

import os
import signal
import sys
from pathlib import Path

import numpy as np

from zoo.errors import ZooError
from zoo.training import processes
from zoo.training import recipe as recipes
from zoo.training.events import Step
from zoo.training.train import start

SPEC = """
format: 1
name: divided
options: {num_classes: 10, input_size: 8, in_channels: 1}
outputs: {logits: {from: fc}}
layers:
  conv: {op: conv, out_channels: 4, kernel_size: 3, padding: 1, bias: false}
  bn: {op: batch_norm, momentum: 0.3}
  relu: {op: relu}
  pool: {op: max_pool, kernel_size: 2}
  flatten: {op: flatten}
  hidden: {op: linear, out_features: 16, bias: false}
  norm: {op: batch_norm, momentum: 0.2}
  act: {op: relu}
  dropout: {op: dropout, rate: 0.3}
  fc: {op: linear, out_features: $num_classes}
"""
#: Images to train on and to validate with. The second number is odd, so shares differ.
IMAGES = 48, 69
COMMON = {"batch_size": 16, "epochs": 1, "lr": 1.0, "dtype": "float64"}
#: With plain SGD and a learning rate of 1, the change of a weight in a step is its gradient.
ONE_STEP = {"batch_size": 48}
CASES = {
    "gradients": ONE_STEP,
    "own-statistics": {**ONE_STEP, "sync_batch_norm": False},
    "parts": {**ONE_STEP, "accumulate": 2},
    "uneven": {"batch_size": 15},
    "everything": {
        "epochs": 3,
        "optimizer": "adamw",
        "lr": 0.01,
        "weight_decay": 0.1,
        "clip_norm": 0.5,
        "ema": 0.9,
        "label_smoothing": 0.1,
        "accumulate": 2,
        "schedule": "cosine",
        "warmup": 1,
        "augmentation": "pad-crop",
        "keep": 9,
    },
    "interrupted": {"optimizer": "adam", "lr": 0.01, "epochs": 2},
    "killed": {"epochs": 3, "lr": 0.1, "checkpoint_every": 2},
}
#: Faults, which process 1 alone has.
FAULTS = ("statistics", "last-batch")


def recipe(folder, case):
    """The recipe of a case, or of a fault."""
    settings = CASES["everything" if case in FAULTS else case]
    places = {"model": str(folder / "divided.yaml"), "data": str(folder / "digits.npz")}
    return recipes.of({**places, **COMMON, **settings})


def prepare(folder):
    """Write the spec and the data."""
    import zoo

    folder.mkdir()
    (folder / "divided.yaml").write_text(SPEC)
    whole, arrays = zoo.dataset("digits"), {}
    for name, part, count in zip(
        ("train", "test"), (whole.train, whole.validation), IMAGES, strict=True
    ):
        arrays[f"x_{name}"] = np.stack([part.images[i] for i in range(count)])
        arrays[f"y_{name}"] = part.labels[:count]
    np.savez(folder / "digits.npz", **arrays)


def run(backend, folder, cases, devices):
    """Run cases in this process, which may be one of several; return what each ended with."""
    from zoo.backend import registry

    ended = {}
    loaded = registry.load(backend)
    rank = loaded.group(devices).rank
    for case in cases:
        callbacks = []
        if rank and case in _CALLBACKS:
            callbacks.append(_CALLBACKS[case])
        undo = _break(loaded, case) if rank and case in FAULTS else None
        try:
            made = start(
                recipe(Path(folder), case),
                backend,
                Path(folder) / f"{case}-{backend}",
                devices=devices,
                callbacks=callbacks,
            )
            ended[case] = [made.step, made.stopped]
        finally:
            if undo is not None:
                undo()
    return ended


def _interrupt(event):
    if isinstance(event, Step) and event.step == 2:
        signal.raise_signal(signal.SIGTERM)


def _kill(event):
    if isinstance(event, Step) and event.step == 5:
        os.kill(os.getpid(), signal.SIGKILL)


_CALLBACKS = {"interrupted": _interrupt, "killed": _kill}


def _break(backend, fault):
    """Seed a fault in process 1, and return what undoes it."""
    from zoo.data.stream import Share

    if fault == "last-batch":
        places = Share.of_parts

        def without_last(self, count):
            found = places(self, count)
            # Only the last batch of an evaluation is smaller than that of a step.
            return [part[:0] for part in found] if count < COMMON["batch_size"] else found

        Share.of_parts = without_last
        return lambda: setattr(Share, "of_parts", places)
    from zoo.torch import devices

    synchronized = devices.synchronized

    def apart(layer, x):
        kept = layer.running_mean.clone()
        out = synchronized(layer, x)
        layer.running_mean.copy_(kept)
        return out

    devices.synchronized = apart
    return lambda: setattr(devices, "synchronized", synchronized)


if __name__ == "__main__":
    import json

    name, place, *chosen = sys.argv[1:]
    work = {"backend": name, "folder": place, "cases": chosen, "devices": 2}
    import loading
    import on_devices  # which launchers find by this name

    loading.quick = True
    loading.load(name, double=True)
    try:
        print(json.dumps(processes.run(name, 2, on_devices.run, work)))
    except ZooError as error:
        print(json.dumps({"error": str(error)}))
