"""Class names."""

from __future__ import annotations

import functools
from pathlib import Path


def names(classes: str | list[str] | None) -> tuple[str, ...]:
    """Return the class names that a spec's ``classes`` refers to.

    Args:
        classes: ``imagenet``, the 1000 classes of ILSVRC 2012 in their usual order;
            ``imagenet_with_background``, a background class followed by those 1000; a list of
            names; or None.

    Returns:
        The names in the order of the outputs; empty for None.

    Source: the first WordNet lemma of each synset, or a clearer one, as listed by torchvision
    (BSD-3-Clause).

    Example:
        >>> names("imagenet")[281], names("imagenet_with_background")[:2], names(None)
        ('tabby', ('background', 'tench'), ())
    """
    if classes is None:
        return ()
    if isinstance(classes, list):
        return tuple(classes)
    first = ("background",) if classes == "imagenet_with_background" else ()
    return first + _imagenet()


@functools.cache
def _imagenet() -> tuple[str, ...]:
    path = Path(__file__).parent / "imagenet.txt"
    return tuple(path.read_text(encoding="utf-8").splitlines())
