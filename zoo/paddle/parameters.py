"""Where PaddlePaddle's layers keep their parameters.

Names and layouts are the canonical ones with two exceptions: a batch norm's running statistics are
called ``_mean`` and ``_variance``, and a linear layer's weight is [in, out].
"""

from __future__ import annotations

import numpy as np
import paddle
from paddle import nn
from paddle.utils import dlpack

from zoo.backend.parameters import CANONICAL, Array, Tensor, to_native
from zoo.errors import BackendError
from zoo.graphs.nodes import Node
from zoo.paddle import PARAMETERS, _private

#: Hook that computes a layer's weight from other parameters -> what undoes it.
_NORMALIZING = {
    "WeightNorm": "call paddle.nn.utils.remove_weight_norm(layer) first",
    "SpectralNorm": "pass the model without it",
}

#: Packages of the layers that Paddle puts in the place of others to quantize them.
_QUANTIZING = ("paddle.nn.quant.", "paddle.quantization.")


def tensors(model: nn.Layer) -> dict[str, Tensor]:
    """Return every parameter and running statistic by its canonical name.

    Raises:
        BackendError: A layer computes its weights from other parameters, or Paddle is in static
            mode.
    """
    _private.require_dynamic()
    canonical = {s.name: name for slots in PARAMETERS.values() for name, s in slots.items()}
    others = PARAMETERS.of_packages(model)
    tensors = {}
    for path, layer in model.named_sublayers(include_self=True, remove_duplicate=False):
        if type(layer).__module__.startswith(_QUANTIZING):
            raise BackendError(f"the layer {path!r} was quantized: pass the model as it was before")
        for hook in _private.hooks(layer):
            if hook in _NORMALIZING:
                raise BackendError(f"the layer {path!r} was normalized: {_NORMALIZING[hook]}")
        for native_name, value in _private.parameters(layer):
            native_path, shape = f"{path}.{native_name}".removeprefix("."), tuple(value.shape)
            if native_path in others:
                name, location = others[native_path]
                tensors[name] = Tensor(value, shape, location.axes)
                continue
            name = canonical.get(native_name, native_name)
            axes = PARAMETERS.slot(_op(layer), name).axes if len(shape) > 1 else "C"
            tensors[f"{path}.{name}".removeprefix(".")] = Tensor(value, shape, axes)
    return tensors


def fill(model: nn.Layer, node: Node, name: str, array: Array) -> None:
    """Give a parameter that has no memory yet that of an array, which the model then owns.

    Args:
        model: The network.
        node: The node that has the parameter.
        name: The parameter's canonical name.
        array: Its value in the canonical layout.

    Raises:
        BackendError: The layer has no such parameter.
    """
    layer = model.get_sublayer(node.name)
    location = PARAMETERS.slot(node.op, name)
    if not hasattr(layer, location.name):
        raise PARAMETERS.missing(node, name, layer)
    if location.axes not in ("C", *CANONICAL.values()):
        array = to_native(array, location.axes)
    _private.fill(layer, location.name, from_numpy(array, share=True))


def to_numpy(tensor: paddle.Tensor) -> Array:
    """Copy a tensor's value."""
    array: Array = tensor.numpy()
    if tensor.dtype == paddle.bfloat16:  # NumPy gets the bits as an integer
        import ml_dtypes

        return array.view(ml_dtypes.bfloat16)
    return array


def assign(tensor: paddle.Tensor, array: Array) -> None:
    """Copy an array into a tensor, which keeps its dtype and device."""
    with paddle.no_grad():
        tensor.set_value(from_numpy(array).astype(tensor.dtype))


def from_numpy(array: Array, share: bool = False) -> paddle.Tensor:
    """Convert an array to a tensor on the CPU.

    Args:
        array: The values.
        share: Whether the tensor may take over the array's memory.
    """
    if array.dtype.name == "bfloat16":
        return paddle.to_tensor(array.view(np.uint16), place="cpu")
    return dlpack.from_dlpack(array) if share else paddle.to_tensor(array, place="cpu")


def _op(layer: nn.Layer) -> str:
    """Return the operation of a layer with a kernel."""
    return "linear" if isinstance(layer, nn.Linear) else "conv"
