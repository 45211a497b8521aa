"""Training steps of zoo.train, data included, against a loop written by hand in each framework.

    python benchmarks/training.py [torch paddle keras flax] [--models resnet20 googlenet]

Both train the same network from the same weights on the same images, which are the digits, with
momentum and, in GoogLeNet, dropout. They run alternately in one process: a run of zoo.train with a
few steps, then as many steps by hand. Both resize and normalize images while they train, by hand as
users of the framework do: a DataLoader with a worker process in PyTorch and PaddlePaddle, tf.data
in Keras, and a thread in JAX, which has no loader. With ``--ready``, the loop by hand has all its
batches in memory, which no real loop has.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from PIL import Image

import zoo
from zoo.training.events import Step

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]

#: Model -> options, and the size of a batch.
MODELS: dict[str, tuple[dict[str, Any], int]] = {
    "resnet20": ({"in_channels": 3, "num_classes": 10}, 64),
    "googlenet": ({"input_size": 96, "num_classes": 10}, 16),
}
LR, MOMENTUM = 0.01, 0.9
#: Steps at the beginning of each turn that are not counted: batches that a loader prepared while
#: the other loop ran are free.
PREPARED = 4
MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)


class Images:
    """The digits as a dataset written by hand, which prepares an image when it is read."""

    def __init__(self, part: Any, size: tuple[int, int], *, channels_last: bool) -> None:
        self.images = [part.images[index] for index in range(len(part))]
        self.labels, self.size, self.channels_last = part.labels, size, channels_last

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Array, int]:
        image = Image.fromarray(self.images[index].squeeze()).convert("RGB")
        x = np.asarray(image.resize(self.size, Image.Resampling.BILINEAR), np.float32)
        x = (x / 255 - MEAN) / STD
        x = x if self.channels_last else np.ascontiguousarray(x.transpose(2, 0, 1))
        return x, int(self.labels[index])


def without_end(epoch: Callable[[], Any]) -> Iterator[tuple[Any, Any]]:
    """Yield the batches of one epoch after another."""
    while True:
        yield from epoch()


def torch_loader(images: Images, size: int) -> Iterator[tuple[Any, Any]]:
    from torch.utils.data import DataLoader

    loader = DataLoader(
        images, size, shuffle=True, num_workers=1, drop_last=True, persistent_workers=True
    )
    return without_end(lambda: loader)


def paddle_loader(images: Images, size: int) -> Iterator[tuple[Any, Any]]:
    from paddle.io import DataLoader

    loader = DataLoader(
        images,
        batch_size=size,
        shuffle=True,
        num_workers=1,
        drop_last=True,
        persistent_workers=True,
    )
    return without_end(lambda: loader)


def keras_loader(images: Images, size: int) -> Iterator[tuple[Any, Any]]:
    import tensorflow as tf

    def prepare(image: Any, label: Any) -> tuple[Any, Any]:
        x = tf.image.grayscale_to_rgb(image[..., None])
        x = tf.image.resize(x, images.size) / 255.0
        return (x - MEAN) / STD, label

    arrays = np.stack([image.squeeze() for image in images.images]), images.labels
    data = tf.data.Dataset.from_tensor_slices(arrays).shuffle(len(images)).repeat()
    data = data.map(prepare, tf.data.AUTOTUNE).batch(size, drop_remainder=True)
    # An automatic number would grow until all batches of a turn are made in that of zoo.train.
    return iter(data.prefetch(2))


def flax_loader(images: Images, size: int) -> Iterator[tuple[Any, Any]]:
    random = np.random.default_rng(0)

    def batch() -> tuple[Array, Array]:
        found = [images[index] for index in random.integers(len(images), size=size)]
        return np.stack([x for x, _ in found]), np.array([label for _, label in found])

    with ThreadPoolExecutor(1) as thread:
        upcoming = thread.submit(batch)
        while True:
            now, upcoming = upcoming, thread.submit(batch)
            yield now.result()


LOADERS = {
    "torch": torch_loader,
    "paddle": paddle_loader,
    "keras": keras_loader,
    "flax": flax_loader,
}


def by_hand_in_torch(model: Any) -> Callable[[Any, Any], float]:
    import torch
    import torch.nn.functional as F

    optimizer = torch.optim.SGD(model.parameters(), LR, MOMENTUM)

    def step(x: Any, labels: Any) -> float:
        model.train()
        optimizer.zero_grad()
        loss = F.cross_entropy(model(torch.as_tensor(x)), torch.as_tensor(labels))
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def by_hand_in_paddle(model: Any) -> Callable[[Any, Any], float]:
    import paddle
    import paddle.nn.functional as F

    optimizer = paddle.optimizer.Momentum(LR, MOMENTUM, parameters=model.parameters())

    def step(x: Any, labels: Any) -> float:
        model.train()
        loss = F.cross_entropy(model(paddle.to_tensor(x)), paddle.to_tensor(labels))
        loss.backward()
        optimizer.step()
        optimizer.clear_grad()
        return float(loss)

    return step


def by_hand_in_keras(model: Any) -> Callable[[Any, Any], float]:
    import keras

    optimizer = keras.optimizers.SGD(LR, MOMENTUM)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss)
    return lambda x, labels: float(model.train_on_batch(x, labels))


def by_hand_in_flax(model: Any) -> Callable[[Any, Any], float]:
    import optax
    from flax import nnx

    model.train()
    optimizer = nnx.Optimizer(model, optax.sgd(LR, MOMENTUM), wrt=nnx.Param)

    @nnx.jit
    def update(model: Any, optimizer: Any, x: Any, labels: Any) -> Any:
        def compute(model: Any) -> Any:
            losses = optax.softmax_cross_entropy_with_integer_labels(model(x), labels)
            return losses.mean()

        loss, gradients = nnx.value_and_grad(compute)(model)
        optimizer.update(model, gradients)
        return loss

    return lambda x, labels: float(update(model, optimizer, x, labels))


BY_HAND = {
    "torch": by_hand_in_torch,
    "paddle": by_hand_in_paddle,
    "keras": by_hand_in_keras,
    "flax": by_hand_in_flax,
}


def measure(backend: str, name: str, turns: int, steps: int, ready: bool) -> tuple[float, float]:
    """Return the median seconds of a step through zoo.train, and of one by hand."""
    options, size = MODELS[name]
    digits = zoo.dataset("digits")
    ours, theirs = (zoo.build(name, backend, **options) for _ in range(2))
    stream = zoo.stream(ours, digits.train, size)
    by_hand = BY_HAND[backend](theirs)
    if ready:
        made = [stream.batch(number) for number in range(steps)]
        batches = without_end(lambda: [(batch.x, batch.labels) for batch in made])
    else:
        channels_last = backend in ("keras", "flax")
        images = Images(digits.train, stream.transform.size, channels_last=channels_last)
        batches = LOADERS[backend](images, size)
    zoos: list[float] = []
    hands: list[float] = []
    last = 0.0

    def alternate(event: Any) -> bool:
        """Time zoo's steps from one to the next, and take as many by hand after every few."""
        nonlocal last
        if not isinstance(event, Step):
            return False
        turn, place = divmod(event.step - 1, steps)
        if turn and place >= PREPARED:
            zoos.append(time.perf_counter() - last)
        if place == steps - 1:
            for number in range(steps):
                start = time.perf_counter()
                by_hand(*next(batches))
                if turn and number >= PREPARED:
                    hands.append(time.perf_counter() - start)
        last = time.perf_counter()
        return turn == turns and place == steps - 1

    zoo.train(
        ours,
        digits,
        epochs=1000,
        lr=LR,
        momentum=MOMENTUM,
        batch_size=size,
        workers=1,
        callbacks=[alternate],
    )
    return statistics.median(zoos), statistics.median(hands)


def main() -> None:
    """Print a table of ratios."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("backends", nargs="*", default=[*BY_HAND], metavar="BACKEND")
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--turns", type=int, default=6, help="after the first, not counted")
    parser.add_argument("--steps", type=int, default=12, help="in a turn")
    parser.add_argument("--ready", action="store_true", help="batches by hand are in memory")
    arguments = parser.parse_args()
    for name in arguments.models:
        for backend in arguments.backends:
            ours, theirs = measure(backend, name, arguments.turns, arguments.steps, arguments.ready)
            print(
                f"{name:10} {backend:7} zoo.train {ours * 1e3:8.1f} ms  by hand "
                f"{theirs * 1e3:8.1f} ms  ratio {ours / theirs:.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
