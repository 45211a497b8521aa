"""Training steps of zoo.train, data included, against a loop written by hand in each framework.

    python benchmarks/training.py [torch paddle keras flax] [--models resnet20 googlenet]

Both train the same network from the same weights on the same images, which are the digits, with
momentum and, in GoogLeNet, dropout. They run alternately in one process: a run of zoo.train with a
few steps, then as many steps by hand. The loop by hand has its batches ready in memory, already
preprocessed, which no real loop has: the ratio is an upper bound.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

import zoo
from zoo.training.events import Step

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]

#: Model -> options, and the size of a batch.
MODELS: dict[str, tuple[dict[str, Any], int]] = {
    "resnet20": ({"in_channels": 3, "num_classes": 10}, 64),
    "googlenet": ({"input_size": 96, "num_classes": 10}, 16),
}
LR, MOMENTUM = 0.01, 0.9


def by_hand_in_torch(model: Any) -> Callable[[Array, Array], float]:
    import torch
    import torch.nn.functional as F

    optimizer = torch.optim.SGD(model.parameters(), LR, MOMENTUM)

    def step(x: Array, labels: Array) -> float:
        model.train()
        optimizer.zero_grad()
        loss = F.cross_entropy(model(torch.from_numpy(x)), torch.from_numpy(labels))
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def by_hand_in_paddle(model: Any) -> Callable[[Array, Array], float]:
    import paddle
    import paddle.nn.functional as F

    optimizer = paddle.optimizer.Momentum(LR, MOMENTUM, parameters=model.parameters())

    def step(x: Array, labels: Array) -> float:
        model.train()
        loss = F.cross_entropy(model(paddle.to_tensor(x)), paddle.to_tensor(labels))
        loss.backward()
        optimizer.step()
        optimizer.clear_grad()
        return float(loss)

    return step


def by_hand_in_keras(model: Any) -> Callable[[Array, Array], float]:
    import keras

    optimizer = keras.optimizers.SGD(LR, MOMENTUM)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss)
    return lambda x, labels: float(model.train_on_batch(x, labels))


def by_hand_in_flax(model: Any) -> Callable[[Array, Array], float]:
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


def measure(backend: str, name: str, rounds: int, steps: int) -> tuple[float, float]:
    """Return the median seconds of a step through zoo.train, and of one by hand."""
    options, size = MODELS[name]
    digits = zoo.dataset("digits")
    ours, theirs = (zoo.build(name, backend, **options) for _ in range(2))
    stream = zoo.stream(ours, digits.train, size)
    by_hand = BY_HAND[backend](theirs)
    batches = [stream.batch(number) for number in range(steps)]
    zoos: list[float] = []
    hands: list[float] = []
    last = 0.0

    def alternate(event: Any) -> bool:
        """Time zoo's steps from one to the next, and take as many by hand after every few."""
        nonlocal last
        if not isinstance(event, Step):
            return False
        place = event.step % steps
        if place > 1 or (place == 0 and steps > 1):
            zoos.append(time.perf_counter() - last)
        if place == 0:
            for batch in batches:
                start = time.perf_counter()
                by_hand(batch.x, batch.labels)
                hands.append(time.perf_counter() - start)
        last = time.perf_counter()
        return event.step >= rounds * steps

    zoo.train(
        ours,
        digits,
        epochs=100,
        lr=LR,
        momentum=MOMENTUM,
        batch_size=size,
        workers=1,
        callbacks=[alternate],
    )
    return statistics.median(zoos[steps:]), statistics.median(hands[steps:])


def main() -> None:
    """Print a table of ratios."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("backends", nargs="*", default=list(BY_HAND), choices=list(BY_HAND))
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--steps", type=int, default=6)
    arguments = parser.parse_args()
    for name in arguments.models:
        for backend in arguments.backends:
            ours, theirs = measure(backend, name, arguments.rounds, arguments.steps)
            print(
                f"{name:10} {backend:7} zoo.train {ours * 1e3:8.1f} ms  by hand "
                f"{theirs * 1e3:8.1f} ms  ratio {ours / theirs:.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
