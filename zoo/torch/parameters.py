"""Where PyTorch's layers keep their parameters.

PyTorch's own layouts are the canonical ones: names are state_dict keys and arrays are held as they
are. Only ``num_batches_tracked`` has no counterpart.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn.parameter import is_lazy

from zoo.backend.parameters import Array, Tensor, to_native
from zoo.errors import BackendError, with_article
from zoo.graphs.nodes import Node
from zoo.torch import PARAMETERS, _private

_PREPARED = ("prepared for quantization", "pass the model that was not")

#: Module of a hook or of a layer's class -> what was done to the layer, and what undoes it.
_ALTERED = {
    "torch.nn.utils.parametrize": (
        "parametrized",
        "call torch.nn.utils.parametrize.remove_parametrizations(layer, name) first",
    ),
    "torch.nn.utils.prune": (
        "pruned",
        "call torch.nn.utils.prune.remove(layer, name) first",
    ),
    "torch.nn.utils.weight_norm": (
        "normalized",
        "call torch.nn.utils.remove_weight_norm(layer) first",
    ),
    "torch.nn.utils.spectral_norm": (
        "normalized",
        "call torch.nn.utils.remove_spectral_norm(layer) first",
    ),
    "torch.ao.nn.quantized": ("quantized", "pass the model as it was before"),
    "torch.ao.nn.intrinsic.quantized": ("quantized", "pass the model as it was before"),
    "torch.ao.nn.qat": _PREPARED,
    "torch.ao.nn.intrinsic.qat": _PREPARED,
    "torch.ao.quantization": _PREPARED,
    "peft": ("given an adapter", "call merge_and_unload() first"),
}


def tensors(model: nn.Module) -> dict[str, Tensor]:
    """Return every parameter and running statistic by its canonical name, as the model has it.

    Raises:
        BackendError: A layer computes its weights from other parameters, or has them in a form of
            its own; or PyTorch is in a mode in which tensors have no values.
    """
    require_values()
    for path, module in model.named_modules():
        for origin in _private.origins(module):
            for changer, (change, remedy) in _ALTERED.items():
                if origin == changer or origin.startswith(f"{changer}."):
                    raise BackendError(f"the layer {path!r} was {change}: {remedy}")
    others = PARAMETERS.of_packages(model)
    tensors = {}
    for key, value in model.state_dict(keep_vars=True).items():
        if key.endswith("num_batches_tracked") or _is_counter(value):
            continue
        _check_plain(key, value)
        name = _private.canonical_name(key)
        if name in others:
            name, slot = others[name]
            tensors[name] = Tensor(value, tuple(value.shape), slot.axes)
        else:
            tensors[name] = Tensor.canonical(value)
    return tensors


def _is_counter(value: object) -> bool:
    """Tell whether this is one integer, such as a number of steps, which no layer has."""
    return isinstance(value, torch.Tensor) and value.dtype == torch.int64 and value.ndim == 0


def require_values() -> None:
    """Check that new tensors have values.

    Raises:
        BackendError: They have none, as in ``FakeTensorMode``.
    """
    kind = type(torch.empty(0))
    if kind is not torch.Tensor:
        raise BackendError(
            f"every tensor is {with_article(kind.__name__)} here, which has no values; build and "
            "read models outside of the mode that makes them so"
        )


def fill(model: nn.Module, node: Node, name: str, array: Array) -> None:
    """Give a parameter that has no memory yet that of an array, which the model then owns.

    Args:
        model: The network.
        node: The node that has the parameter.
        name: The parameter's canonical name.
        array: Its value in the canonical layout.

    Raises:
        BackendError: The layer has no such parameter.
    """
    layer, location = model.get_submodule(node.name), PARAMETERS.slot(node.op, name)
    if not hasattr(layer, location.name):
        raise PARAMETERS.missing(node, name, layer)
    _private.fill(layer, location.name, from_numpy(to_native(array, location.axes)))


def _check_plain(name: str, value: torch.Tensor) -> None:
    """Reject a tensor that is not dense, or is of a class of its own."""
    if is_lazy(value):
        raise BackendError(f"{name} has no size and no value yet: run the model once first")
    tensor = value.detach()
    if type(tensor) is not torch.Tensor or tensor.layout is not torch.strided:
        kind = type(tensor).__name__ if type(tensor) is not torch.Tensor else "sparse tensor"
        raise BackendError(
            f"{name} is {with_article(kind)}: zoo reads only plain tensors; pass the model as it "
            "was before, or give it the values that this stands for"
        )


def to_numpy(tensor: torch.Tensor) -> Array:
    """Return a tensor's value; a tensor on the CPU shares its memory."""
    tensor = tensor.detach().cpu()
    if tensor.dtype == torch.bfloat16:
        import ml_dtypes

        return tensor.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    return tensor.numpy()


def assign(tensor: torch.Tensor, array: Array) -> None:
    """Copy an array into a tensor, which keeps its dtype and device."""
    with torch.inference_mode(tensor.is_inference()), torch.no_grad():
        if any(
            n > 1 and not stride for n, stride in zip(tensor.shape, tensor.stride(), strict=True)
        ):
            tensor.data = torch.empty(tensor.shape, dtype=tensor.dtype, device=tensor.device)
        tensor.copy_(from_numpy(array))


def memory(tensor: torch.Tensor) -> object:
    """Return where a tensor has its values; an object of its own if that is not known."""
    return (tensor.device, tensor.data_ptr()) if tensor.numel() else id(tensor)


def from_numpy(array: Array) -> torch.Tensor:
    """Return a tensor that shares an array's memory; bfloat16 is passed to PyTorch as its bits."""
    if array.dtype.name == "bfloat16":
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)
