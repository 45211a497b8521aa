"""The functions that turn photographs into a model's input."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from zoo import arguments
from zoo.api.models import Array
from zoo.backend.unwrapping import find_built
from zoo.data.images import LAYOUTS, Transform
from zoo.errors import InputError
from zoo.graphs.frozen import freeze
from zoo.graphs.graph import Graph
from zoo.language.document import describe
from zoo.language.graphs import checked_name, graph
from zoo.language.schema import Preprocessing
from zoo.ops.kinds import Mismatch


def preprocess(image: Any, model: Any) -> Array:
    """Turn photographs into a model's input, as the publisher of its weights does.

    An orientation in the EXIF data is applied, the first frame of an animation is used, and
    transparency is ignored. A file and the Pillow image of it give the same result.

    Args:
        image: An image file, a Pillow image, or an array of uint8 [H, W, 3], [H, W, 4], [H, W, 1]
            or [H, W]; or a list of them, of any size; or an array of uint8 [N, H, W, C].
        model: A model that zoo built, a graph, or a name as for :func:`build`.

    Returns:
        float32 [N, C, H, W] in every framework, as :func:`predict` takes it, in the size that the
        model was built for.

    Raises:
        InputError: An image cannot be read, or there is none.
        BackendError: The model was not built by zoo.

    Example:
        >>> import zoo
        >>> from zoo.data import images
        >>> zoo.preprocess(images.default(), zoo.graph("vgg16")).shape
        (1, 3, 224, 224)
        >>> zoo.preprocess([images.default(), images.default()], "inception_v3").shape
        (2, 3, 299, 299)
    """
    one = transform(model, "CHW")
    if isinstance(image, np.ndarray) and image.ndim == 4:
        image = list(image)
    is_file = hasattr(image, "read")  # an open file is an iterator, of its lines
    if not isinstance(image, list | tuple | Iterator) or is_file:
        return one(image)[None]
    inputs = []
    for i, item in enumerate(image):
        try:
            inputs.append(one(item))
        except InputError as error:
            raise InputError(f"image [{i}] of the list: {error}") from None
    if not inputs:
        raise InputError("expected at least one image, got none")
    return np.stack(inputs)


def transform(model: Any, layout: str | None = None) -> Transform:
    """Return the preprocessing of a model as a function of one image, for a data pipeline.

    It takes what :func:`preprocess` takes as one image, and returns a NumPy array of float32
    without a batch axis. It can be pickled and imports no framework, so that the worker processes
    of a data loader can use it.

    Args:
        model: A model that zoo built, a graph, or a name as for :func:`build`.
        layout: ``CHW`` or ``HWC``. If not given, what the model itself takes: ``HWC`` for a model
            in Keras or Flax, ``CHW`` for one in PyTorch or PaddlePaddle, for a graph and a name.

    Returns:
        The function. Its ``shape`` is that of its results.

    Raises:
        InputError: The layout is neither.
        BackendError: The model was not built by zoo.

    Example:
        >>> import zoo
        >>> from zoo.data import images
        >>> transform = zoo.transform("vgg16")
        >>> transform(images.default()).shape
        (3, 224, 224)
        >>> zoo.transform("vgg16", layout="HWC").shape
        (224, 224, 3)
    """
    if layout is not None and not (isinstance(layout, str) and layout in LAYOUTS):
        raise arguments.wrong("layout", " or ".join(map(repr, LAYOUTS)), layout)
    if isinstance(model, str | os.PathLike | dict):  # a dict is refused, with a hint
        model = graph(checked_name(model))
    channels_last = False
    if isinstance(model, Graph):
        network = model
    else:
        backend, _, network = find_built(model)
        channels_last = backend.channels_last
    layout = layout or ("HWC" if channels_last else "CHW")
    channels, height, width = network.input_shape
    return Transform((height, width), channels, recipe_of(network), layout)


def recipe_of(network: Graph) -> Mapping[str, Any]:
    """Return the preprocessing of a network, checked: that of a graph from a file was not."""
    try:
        recipe = Preprocessing.read(network.preprocessing)
    except Mismatch as mismatch:
        place = describe(("preprocessing", *mismatch.location))
        raise InputError(f"{network.name}: {place}: {mismatch}") from None
    fields: Mapping[str, Any] = freeze(recipe.to_dict(exclude={"about"}))
    return fields
