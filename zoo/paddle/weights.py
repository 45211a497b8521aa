"""Moves weights between a PaddlePaddle layer and canonical NumPy arrays.

Paddle's names and layouts are the canonical ones but for two things: a batch norm's running
statistics are called ``_mean`` and ``_variance``, and a linear weight is [in, out].
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import paddle
from paddle import nn
from paddle.utils import dlpack

from zoo.graphs.layouts import outputs_first, outputs_last

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]

#: Paddle's local name -> the canonical one
_NAMES = {"_mean": "running_mean", "_variance": "running_var"}
_NATIVE = {canonical: native for native, canonical in _NAMES.items()}


def shapes(model: nn.Layer) -> dict[str, tuple[int, ...]]:
    """Return canonical name -> shape of every parameter and running statistic."""
    return {
        name: tuple(value.shape)[:: -1 if linear else 1] for name, value, linear in state(model)
    }


def count_parameters(model: nn.Layer) -> int:
    """Count the trainable values as Paddle does."""
    return sum(int(p.size) for p in model.parameters() if not p.stop_gradient)


def get_weights(model: nn.Layer) -> dict[str, Array]:
    """Copy every parameter and running statistic to NumPy."""
    return {name: to_numpy(value, linear) for name, value, linear in state(model)}


def set_weights(model: nn.Layer, weights: Mapping[str, Array]) -> None:
    """Copy canonical arrays in; names and shapes are checked before. Keeps device and dtype."""
    with paddle.no_grad():
        for name, value, linear in state(model):
            value.set_value(_tensor(weights[name], linear).astype(value.dtype))


def fill(model: nn.Layer, name: str, array: Array) -> None:
    """Give a parameter that has no memory yet an array's, which nobody else holds."""
    path, _, local = name.rpartition(".")
    layer = model.get_sublayer(path)
    parameter = layer._parameters[_NATIVE.get(local, local)]
    transposed = isinstance(layer, nn.Linear) and local == "weight"
    _tensor(array, transposed, share=True)._share_underline_tensor_to(parameter)
    parameter._init_func = parameter._init_op_creator = None


def state(model: nn.Layer) -> Iterator[tuple[str, paddle.Tensor, bool]]:
    """Yield canonical name, value, and whether it is a transposed weight, of all there are."""
    for path, layer in model.named_sublayers(include_self=True):
        for local, value in layer._parameters.items():
            if value is not None:
                name = f"{path}.{_NAMES.get(local, local)}".removeprefix(".")
                yield name, value, isinstance(layer, nn.Linear) and local == "weight"


def to_numpy(value: paddle.Tensor, transposed: bool) -> Array:
    """Copy a tensor to the canonical layout; a linear weight is transposed."""
    array = value.numpy()
    if value.dtype == paddle.bfloat16:  # comes as its bits
        import ml_dtypes

        array = array.view(ml_dtypes.bfloat16)
    return outputs_first(array) if transposed else array


def _tensor(array: Array, transposed: bool, share: bool = False) -> paddle.Tensor:
    if transposed:
        array, share = outputs_last(array), True
    if array.dtype.name == "bfloat16":
        return paddle.to_tensor(array.view(np.uint16), place="cpu")
    return dlpack.from_dlpack(array) if share else paddle.to_tensor(array, place="cpu")
