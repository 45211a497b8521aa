"""The batches that a model is trained on or evaluated with."""

from __future__ import annotations

from typing import Any

from zoo import arguments
from zoo.api.preprocessing import transform
from zoo.data.augmentation import AUGMENTATIONS
from zoo.data.labeled import Part
from zoo.data.stream import Stream
from zoo.errors import UnknownNameError, suggestion


def stream(
    model: Any,
    part: Part,
    batch_size: int,
    *,
    seed: int = 0,
    augmentation: str = "none",
    shuffle: bool = True,
    skip_damaged: bool = False,
    layout: str | None = None,
) -> Stream:
    """Return batches of labeled images for a model, the same ones in every framework.

    Images are preprocessed as by :func:`preprocess`. Any batch can be made from its number alone:
    the values do not depend on the framework (except for the order of the axes), the number of
    processes, or the batches made before.

    Args:
        model: A model that zoo built, a graph, or a name as for :func:`build`.
        part: A part of a dataset: ``zoo.dataset(...).train`` or ``.validation``.
        batch_size: Images in a batch.
        seed: Random seed for the orders and the augmentation.
        augmentation: ``none``; ``flip`` (half of the images are mirrored); ``pad-crop`` (and moved
            by up to four pixels, as is usual for CIFAR-10); or ``random-resized-crop`` (a random
            part of the image, mirrored or not, as is usual for ImageNet).
        shuffle: Whether each epoch has its own order, and drops the images that do not fill a
            batch. Otherwise, these form a last, smaller batch.
        skip_damaged: Whether the next image takes the place of one that cannot be read.
        layout: ``CHW`` or ``HWC``; if not given, what the model itself takes.

    Returns:
        The stream. ``stream.epoch(0, workers=2)`` yields batches, each with ``x``, ``labels`` and
        ``digest``; ``stream.batch(number)`` makes one.

    Raises:
        UnknownNameError: There is no such augmentation.
        InputError: The batch size does not fit the dataset; or another argument is wrong.
        BackendError: The model was not built by zoo.

    Example:
        >>> import zoo
        >>> digits = zoo.dataset("digits")
        >>> batches = zoo.stream("lenet5", digits.train, 64, augmentation="pad-crop")
        >>> x, labels, _ = next(batches.epoch(0))
        >>> x.shape, labels.shape
        ((64, 1, 32, 32), (64,))
    """
    if not isinstance(part, Part):
        raise arguments.wrong("part", "dataset.train or dataset.validation", part)
    if not isinstance(augmentation, str) or augmentation not in AUGMENTATIONS:
        hint = suggestion(augmentation, AUGMENTATIONS) or f". Known: {', '.join(AUGMENTATIONS)}."
        raise UnknownNameError(f"unknown augmentation {arguments.shown(augmentation)}{hint}")
    return Stream(
        part,
        transform(model, layout),
        batch_size,
        seed=seed,
        augmentation=AUGMENTATIONS[augmentation],
        shuffle=arguments.flag("shuffle", shuffle),
        skip_damaged=arguments.flag("skip_damaged", skip_damaged),
    )
