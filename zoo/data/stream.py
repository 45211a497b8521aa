"""The one stream of batches that every framework trains on.

Everything random is decided by a counter-based generator (Philox): the order of an epoch by the
seed and the number of the epoch, the augmentation of an image by these and the number of the image.
So any batch can be made from its number alone, and is the same, bit for bit, in every framework,
with any number of processes, and after a run is resumed. NumPy guarantees only the raw output of
its generators to stay the same, so it is all that is used of them.

Source: Salmon et al., Parallel Random Numbers: As Easy as 1, 2, 3, SC 2011
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from zoo import arguments
from zoo.data.augmentation import AUGMENTATIONS, DRAWS, Augmentation
from zoo.data.images import Transform
from zoo.data.labeled import Part
from zoo.data.workers import filled
from zoo.errors import InputError

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]


class Batch(NamedTuple):
    """Some images with their labels.

    Attributes:
        x: The images, float32 [N, C, H, W] or [N, H, W, C].
        labels: Class numbers, int64 [N].
        damaged: Numbers of images that could not be read, in whose place others are.
    """

    x: Array
    labels: Array
    damaged: tuple[int, ...] = ()

    @property
    def digest(self) -> str:
        """SHA-256 of the values, in little-endian order, and of the labels."""
        state = hashlib.sha256(np.ascontiguousarray(self.x, "<f4").data)
        state.update(np.ascontiguousarray(self.labels, "<i8").data)
        return state.hexdigest()


@dataclass(frozen=True)
class Share:
    """What one of several processes takes of every batch.

    The shares of a batch are parts of it in order, whose sizes differ by one at most. If a step
    computes a batch in parts, that is how each part is divided.

    Attributes:
        rank: The number of the process, from 0.
        size: The number of processes.
        parts: In how many parts a batch is computed.

    Example:
        >>> [Share(rank, 2).places(5).tolist() for rank in (0, 1)]
        [[0, 1, 2], [3, 4]]
    """

    rank: int = 0
    size: int = 1
    parts: int = 1

    def of_parts(self, count: int) -> list[Array]:
        """Return the process's places in each part of a batch of a number of examples."""
        places = np.arange(count, dtype=np.int64)
        parts = np.array_split(places, min(self.parts, count)) if count else [places]
        return [np.array_split(part, self.size)[self.rank] for part in parts]

    def places(self, count: int) -> Array:
        """Return the process's places in a batch of a number of examples, int64."""
        return np.concatenate(self.of_parts(count))


@dataclass(frozen=True, eq=False)
class Stream:
    """Batches of a part of a dataset, numbered from 0 and without end.

    Attributes:
        part: The images and labels.
        transform: What is done to an image in evaluation; it has the layout of the result.
        batch_size: Images in a batch.
        seed: The seed of orders and augmentations.
        augmentation: The random changes.
        shuffle: Whether each epoch has an order of its own. Then the images that fill no batch are
            left out of an epoch; else they are a last, smaller batch.
        skip_damaged: Whether an image that cannot be read is replaced by the next one that can;
            otherwise it is an error.
        share: The share of each batch that is made. The whole batch does not depend on it.

    Example:
        >>> from zoo.data.datasets import dataset
        >>> from zoo.data.images import USUAL
        >>> stream = Stream(dataset("digits").train, Transform((28, 28), 1, USUAL), 64)
        >>> stream.steps, stream.batch(3).x.shape, stream.place(30)
        (25, (64, 1, 28, 28), (1, 5))
    """

    part: Part
    transform: Transform
    batch_size: int
    seed: int = 0
    augmentation: Augmentation = AUGMENTATIONS["none"]
    shuffle: bool = True
    skip_damaged: bool = False
    share: Share = Share()
    _order: dict[int, Array] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Check the batch size.

        Raises:
            InputError: It is not positive, or larger than the dataset.
        """
        size = arguments.integer("batch_size", self.batch_size)
        if not 0 < size <= len(self.part):
            raise InputError(
                f"batch_size must be from 1 to {len(self.part):,}, the number of images, got {size}"
            )
        arguments.integer("seed", self.seed)

    @property
    def steps(self) -> int:
        """The number of batches in an epoch."""
        count = len(self.part) if self.shuffle else len(self.part) + self.batch_size - 1
        return count // self.batch_size

    def place(self, number: int) -> tuple[int, int]:
        """Return the epoch of a batch, and its number there, both from 0."""
        return divmod(number, self.steps)

    def indices(self, number: int) -> Array:
        """Return the numbers of the images of a batch, int64 [N]."""
        epoch, step = self.place(number)
        start = step * self.batch_size
        whole = self._permutation(epoch)[start : start + self.batch_size]
        return whole if self.share.size == 1 else whole[self.share.places(len(whole))]

    def batch(self, number: int) -> Batch:
        """Make a batch.

        Args:
            number: Its number, from 0.

        Raises:
            InputError: An image cannot be read.
        """
        out = np.empty(self.shape(number), np.float32)
        return Batch(out, *self.fill(number, out))

    def shape(self, number: int) -> tuple[int, ...]:
        """Return the shape of a batch."""
        return len(self.indices(number)), *self.transform.shape

    def fill(self, number: int, out: Array) -> tuple[Array, tuple[int, ...]]:
        """Make a batch in memory that is there already.

        Args:
            number: Its number, from 0.
            out: float32, of the shape of the batch.

        Returns:
            The labels, and the numbers of damaged images; see :class:`Batch`.

        Raises:
            InputError: An image cannot be read.
        """
        epoch, _ = self.place(number)
        labels, damaged = [], []
        for place, wanted in enumerate(map(int, self.indices(number))):
            index = wanted
            while True:
                try:
                    out[place] = self._image(index, epoch)
                    break
                except InputError as error:
                    damaged.append(index)
                    if not self.skip_damaged:
                        whole = self.part.fault(index, error)
                        raise InputError(
                            f"{whole}; skip_damaged=True goes on without such images"
                        ) from None
                    index = (index + 1) % len(self.part)
                    if index == wanted:
                        raise InputError("data: no image can be read") from None
            labels.append(int(self.part.labels[index]))
        return np.array(labels, np.int64), tuple(damaged)

    def batches(self, start: int, stop: int, workers: int = 0) -> Generator[Batch, None, None]:
        """Make the batches from one number to another, which is not included.

        Args:
            start: The number of the first batch.
            stop: The number after that of the last.
            workers: How many processes make them ahead of time; with 0, this one makes each when it
                is needed. They end with the iterator.

        Yields:
            The batches in order, the same for any number of workers.

        Raises:
            InputError: An image cannot be read, or a process ended.
        """
        if workers < 1 or stop <= start:
            yield from map(self.batch, range(start, stop))
            return
        for x, (labels, damaged) in filled(self, start, stop, workers):
            yield Batch(x, labels, damaged)

    def epoch(self, number: int, workers: int = 0) -> Generator[Batch, None, None]:
        """Make the batches of an epoch, numbered from 0; see :meth:`batches`.

        Example:
            >>> import zoo
            >>> stream = zoo.stream("lenet5", zoo.dataset("digits").train, 64)
            >>> ahead = [batch.digest for batch in stream.epoch(1, workers=2)]
            >>> ahead == [batch.digest for batch in stream.epoch(1)]
            True
        """
        return self.batches(number * self.steps, (number + 1) * self.steps, workers)

    def _image(self, index: int, epoch: int) -> Array:
        image = self.part.images[index]
        if self.augmentation == AUGMENTATIONS["none"]:
            return self.transform(image)
        raw = _philox(self.seed, "augmentation", epoch, index).random_raw(DRAWS)
        draws = (raw >> np.uint64(11)) / 2**53  # 53 bits are what a float64 holds
        return self.augmentation.apply(image, self.transform, draws.tolist())

    def _permutation(self, epoch: int) -> Array:
        if epoch not in self._order:
            self._order.clear()
            count = len(self.part)
            order = np.arange(count, dtype=np.int64)
            if self.shuffle:
                keys = _philox(self.seed, "order", epoch, 0).random_raw(count)
                order = np.argsort(keys, kind="stable").astype(np.int64)
            self._order[epoch] = order
        return self._order[epoch]


def _philox(seed: int, purpose: str, epoch: int, index: int) -> np.random.Philox:
    """Return the generator of a purpose, an epoch and an image."""
    key = int.from_bytes(hashlib.sha256(f"{seed}|{purpose}".encode()).digest()[:16], "little")
    # The first word counts the numbers that are drawn.
    return np.random.Philox(key=key, counter=[0, 0, index, epoch])
