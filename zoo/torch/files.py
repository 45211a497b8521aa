"""PyTorch's own files of weights: written, and read without running the pickle in them."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import nn

from zoo.errors import WeightsError
from zoo.weights.checkpoint import Array, Stored, reporting_damage


def export(model: nn.Module, path: str) -> None:
    """Save the state_dict, which ``torch.load(path, weights_only=True)`` gives back."""
    torch.save(model.state_dict(), path)


def read(path: Path) -> Iterator[tuple[str, Stored]]:
    """Open a file that ``torch.save`` made of a state_dict, or of a dict that has one.

    Args:
        path: The file, of today's form or of that before PyTorch 1.6.

    Yields:
        The file's own name and the array.

    Raises:
        WeightsError: It holds anything else.
        Exception: Whatever PyTorch says of a damaged file.
    """
    _check_sums(path)
    options: dict[str, Any] = {"map_location": "cpu", "weights_only": True}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of formats and settings that the caller did not choose
        try:
            value = _loaded(path, options)
        except UnpicklingError:  # whose own message advises to run what is in it
            raise WeightsError(
                f"{path}: damaged, or more than tensors is in it, and no code of a file is run; "
                "save the model's state_dict()"
            ) from None
    for key in ("state_dict", "model_state_dict", "model"):  # beside what else was kept
        if isinstance(value, Mapping) and isinstance(value.get(key), Mapping):
            value = value[key]
    if not isinstance(value, Mapping):
        raise WeightsError(f"{path}: expected tensors by name, got {type(value).__name__}")
    for name, tensor in value.items():
        if not isinstance(tensor, torch.Tensor) or tensor.layout != torch.strided:
            raise WeightsError(f"{path}: {name}: expected a tensor, got {type(tensor).__name__}")
        yield str(name), _stored(path, tensor.detach())


def _loaded(path: Path, options: Mapping[str, Any]) -> Any:
    try:
        return torch.load(path, mmap=True, **options)
    except RuntimeError as error:
        if "mmap" not in str(error):
            raise
        return torch.load(path, **options)  # the older form


def _check_sums(path: Path) -> None:
    """Hold a file of today's form, a zip, against its own checksums, which PyTorch does not."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        if any(item.compress_type != zipfile.ZIP_STORED for item in archive.infolist()):
            raise WeightsError(f"{path}: its parts are compressed, which PyTorch's are not")
        if wrong := archive.testzip():
            raise WeightsError(f"{path}: damaged: the checksum of {wrong} is not that of its bytes")


def _stored(path: Path, tensor: torch.Tensor) -> Stored:
    def read() -> Array:
        with reporting_damage(path, "a PyTorch file of weights"):
            value = tensor.clone(memory_format=torch.contiguous_format)
            if value.dtype == torch.bfloat16:
                return value.view(torch.int16).numpy().view("bfloat16")
            return value.numpy()

    return Stored(tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."), read)
