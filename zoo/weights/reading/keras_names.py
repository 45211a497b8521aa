"""What the arrays in Keras' files are called, after the groups of HDF5 that they are in."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

#: The name of a variable in Keras 1: the name of the layer, the kind of variable, and a number.
_KERAS_1 = re.compile(
    r"(?:.+_)?(W|b|gamma|beta|running_mean|running_std|depthwise_kernel|pointwise_kernel)(?:_\d+)?"
)


class Saved(NamedTuple):
    """An array in a file.

    Attributes:
        path: Its groups and its own name, joined by slashes.
        layer: The layer that a ``.weights.h5`` states as an attribute; empty if it states none.
        ndim: Its number of axes.
    """

    path: str
    layer: str
    ndim: int


class _Place(NamedTuple):
    """Where an array is: the models around its layer, the outer and the inner group, its kind."""

    model: str
    layer: str
    inner: str
    variable: str


def names(arrays: Sequence[Saved]) -> list[str]:
    """Return ``<layer>.<variable>`` of each array.

    A model within a model does not add to the names, unless there are several networks: then their
    arrays begin with the name of the model.

    Example:
        >>> names([Saved("conv/conv/kernel:0", "", 4), Saved("base/layers/fc/vars/0", "fc", 2)])
        ['conv.kernel', 'fc.0']
    """
    places = list(map(_place, arrays))
    counts = Counter((each.model, each.layer, each.variable) for each in places)
    models = {layer for (_, layer, _), count in counts.items() if count > 1}
    models -= {each.layer for each in places if each.layer == each.inner}
    found = []
    for model, layer, inner, variable in places:
        # The group of a model within a model holds many layers. On PyTorch, Keras has colons for
        # dots.
        own, name = (layer, inner) if layer in models else (model, layer)
        found.append((own.replace(":", "."), f"{name.replace(':', '.')}.{variable}"))
    several = _are_several(found, [each.ndim for each in arrays])
    return [f"{model}.{name}" if model and several else name for model, name in found]


def _place(array: Saved) -> _Place:
    layer, *between, variable = _parts(array.path)
    variable = variable.partition(":")[0]
    keras_1 = _KERAS_1.fullmatch(variable)
    inner = between[-1] if between else layer
    model = ""
    if array.path.split("/")[-2:-1] == ["vars"]:  # a .weights.h5
        model = array.path.rpartition("/layers/")[0].replace("/layers/", ".").replace("/", ".")
        layer = inner = array.layer or layer
    if re.fullmatch(r"variable(_\d+)?", variable):  # one without a name, alone in its layer
        variable = "0"
    return _Place(model, layer, inner, keras_1[1] if keras_1 else variable)


def _parts(path: str) -> tuple[str, ...]:
    """Return the layer, the groups within it, and the variable that an array is named after.

    Example:
        >>> _parts("conv/conv_2/kernel:0"), _parts("a/bn/a/bn/gamma:0"), _parts("alone")
        (('conv', 'conv_2', 'kernel:0'), ('a/bn', 'gamma:0'), ('', 'alone'))
    """
    *groups, variable = path.split("/")
    half = len(groups) // 2
    if half > 1 and groups[:half] == groups[half:]:  # Keras 2 allowed slashes in layers' names
        return "/".join(groups[:half]), variable
    return (*(groups or [""]), variable)


def _are_several(named: Sequence[tuple[str, str]], ndims: Sequence[int]) -> bool:
    """Tell whether a file has several networks, from the model and name of each array.

    Two models with convolutions are, one beside the other; a classifier and what prepares images
    are not. So are models with the same names, of whatever kind.
    """
    if len({name for _, name in named}) < len(named):
        return True
    pairs = zip(named, ndims, strict=True)
    kernels = Counter(model for (model, _), ndim in pairs if model and ndim == 4)
    networks = sorted(model for model, count in kernels.items() if count > 1)
    return any(not b.startswith(f"{a}.") for a, b in itertools.pairwise(networks))
