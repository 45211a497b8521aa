"""Writes PyTorch's weight files, and reads them without executing pickled code."""

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
    """Save the state_dict; ``torch.load(path, weights_only=True)`` restores it."""
    torch.save(model.state_dict(), path)


def read(path: Path) -> Iterator[tuple[str, Stored]]:
    """Read a file that ``torch.save`` wrote: a state_dict, or a dict that contains one.

    Args:
        path: The file, in the current zip format or in the format before PyTorch 1.6.

    Yields:
        The name of an array in the file, and the array.

    Raises:
        WeightsError: The file contains anything else.
        Exception: Whatever PyTorch raises for a damaged file.
    """
    _check_sums(path)
    options: dict[str, Any] = {"map_location": "cpu", "weights_only": True}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about formats and settings that the caller did not choose
        try:
            value = _load(path, options)
        except UnpicklingError:  # its message recommends loading the file unsafely
            raise WeightsError(
                f"{path}: the file is damaged or contains more than tensors, and zoo does not run "
                "code from a file; save the model's state_dict()"
            ) from None
    # A training checkpoint contains other things beside the state_dict.
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(value, Mapping) and isinstance(value.get(key), Mapping):
            value = value[key]
    if not isinstance(value, Mapping):
        raise WeightsError(f"{path}: expected tensors by name, got {type(value).__name__}")
    for name, tensor in value.items():
        if not isinstance(tensor, torch.Tensor) or tensor.layout != torch.strided:
            raise WeightsError(f"{path}: {name}: expected a tensor, got {type(tensor).__name__}")
        yield str(name), _stored(path, tensor.detach())


def _load(path: Path, options: Mapping[str, Any]) -> Any:
    try:
        return torch.load(path, mmap=True, **options)
    except RuntimeError as error:
        if "mmap" not in str(error):
            raise
        return torch.load(path, **options)  # the format before PyTorch 1.6 cannot be mapped


def _check_sums(path: Path) -> None:
    """Verify the checksums of a file in the zip format, which PyTorch does not do."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
            raise WeightsError(f"{path}: its entries are compressed, unlike PyTorch's")
        if damaged := archive.testzip():
            raise WeightsError(f"{path}: damaged: checksum mismatch in {damaged}")


def _stored(path: Path, tensor: torch.Tensor) -> Stored:
    def read() -> Array:
        with reporting_damage(path, "a PyTorch file of weights"):
            value = tensor.clone(memory_format=torch.contiguous_format)
            if value.dtype == torch.bfloat16:
                return value.view(torch.int16).numpy().view("bfloat16")
            return value.numpy()

    return Stored(tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."), read)
