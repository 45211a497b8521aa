"""Recognizes layers whose weights were replaced, by the names of the arrays in their place."""

from __future__ import annotations

import collections
import re
from collections.abc import Mapping

from zoo.weights import identification
from zoo.weights.checkpoint import Stored

_QUANTIZED = "a layer was quantized; save the weights of the model that it was made from"
_SPECTRAL = "a layer was normalized by spectral_norm; "
_WEIGHT_NORM = "a layer was parametrized by weight_norm; undo that before the weights are saved: "

#: What occurs in the names of such a layer's arrays -> what to do.
_CHANGES = (
    (
        r"\.weight_u$",
        f"{_SPECTRAL}undo that before the weights are saved: "
        "torch.nn.utils.remove_spectral_norm(layer)",
    ),
    (
        r"\.weight_[gv]$",
        f"{_WEIGHT_NORM}torch.nn.utils.remove_weight_norm(layer)",
    ),
    (
        r"\.parametrizations\.",
        "a layer was parametrized, as by weight_norm; undo that before the weights are saved: "
        "torch.nn.utils.parametrize.remove_parametrizations(layer, 'weight')",
    ),
    (
        r"\.weight_(orig|mask)$",
        "a layer was pruned; make that permanent before the weights are saved: "
        "torch.nn.utils.prune.remove(layer, 'weight')",
    ),
    (
        r"\.lora_[AB](\.|$)|\.base_layer\.",
        "a layer has an adapter; merge it before the weights are saved: model.merge_and_unload()",
    ),
    (
        r"fake_quant|activation_post_process|_observer\.",
        "the model was prepared for quantization; save the weights of the model that it was made "
        "from",
    ),
    (
        r"_packed_params|\.zero_point$|_amax_history(:0)?$",
        _QUANTIZED,
    ),
    (
        r"^onnx::\w+_\d+$",
        "the exporter of PyTorch made up this name when it merged a batch norm into a convolution, "
        "or turned a kernel; keep the names: torch.onnx.export(..., dynamo=False, "
        "do_constant_folding=False, training=torch.onnx.TrainingMode.PRESERVE). The program itself "
        "can be compared with a network: zoo verify FILE.onnx --against NETWORK --weights FILE",
    ),
    (
        r"^param_\d+$",
        "this is a name in a program of PaddlePaddle, which does not have the names of layers; "
        "save the state_dict() of the model that it was made from",
    ),
)

#: The same where PaddlePaddle has another remedy.
_PADDLES = (
    (r"\.weight_u$", f"{_SPECTRAL}save the weights of the model without it"),
    (r"\.weight_[gv]$", f"{_WEIGHT_NORM}paddle.nn.utils.remove_weight_norm(layer)"),
)


def layer(arrays: Mapping[str, Stored], format_: str) -> str:
    """Say what was done to a layer, if its arrays in a file show it; otherwise empty.

    Args:
        arrays: Name in the file -> array.
        format_: The format whose names they have; see :class:`zoo.weights.reading.readers.Opened`.
    """
    names = [name for name in arrays if len(name) <= identification.MAX_NAME]
    paddles = format_ == "pdparams" or any(name.endswith("._mean") for name in names)
    changes = (*_PADDLES, *_CHANGES) if paddles else _CHANGES
    for pattern, what in changes:  # in this order: a normalized layer has what a pruned one has
        for name in names:
            if re.search(pattern, name):
                return f"{name}: {what}"
    for name in names:
        if arrays[name].dtype in ("int8", "uint8") and len(arrays[name].shape) > 1:
            return f"{name}: {_QUANTIZED}"
    # Keras has numbers for names here: a layer in float8 has a scale of each of three tensors.
    numbered = [name for name in names if name.rpartition(".")[2].isdigit()]
    scales = collections.Counter(n.rpartition(".")[0] for n in numbered if not arrays[n].shape)
    if quantized := next((place for place, count in scales.items() if place and count > 2), ""):
        return f"{quantized}: {_QUANTIZED}"
    return ""
