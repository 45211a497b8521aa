"""The functions that save a model's weights to a file and load them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from zoo import arguments
from zoo.api import checkpoints, conversion
from zoo.api.networks import network_and_weights
from zoo.backend import registry
from zoo.backend.unwrapping import find
from zoo.errors import InputError
from zoo.language import options
from zoo.weights import adaptation, initial
from zoo.weights.checking import widest
from zoo.weights.reading import zoo_file


def load(
    path: str | os.PathLike[str],
    backend: str,
    *,
    aux: bool | None = None,
    num_classes: int | None = None,
    in_channels: int | None = None,
    input_size: int | tuple[int, int] | None = None,
    classes: Sequence[str] | None = None,
    seed: int = 0,
    dtype: str | None = None,
    head: str | None = None,
    stem: str | None = None,
    entry: str | None = None,
    mmap: bool = False,
) -> Any:
    """Build the network that a file of weights belongs to, with those weights.

    Args:
        path: A file that :func:`save` wrote, in any framework; a file or an Orbax folder that a
            framework saved from one of zoo's models; or a publisher's file. The network is
            identified by the names of the arrays. Variants of a network may have the same names and
            shapes. If the file does not say which variant it is, use :func:`build`, and name the
            variant.
        backend: As in :func:`build`.
        aux: As in :func:`build`. This and the following options default to those of the file.
        num_classes: As in :func:`build`; a new head has the network's usual number by default.
        in_channels: As in :func:`build`.
        input_size: As in :func:`build`.
        classes: As in :func:`build`.
        seed: Random seed for dropout, and for a new head.
        dtype: As in :func:`build`; the dtype of the file by default.
        head: As in :func:`build`.
        stem: As in :func:`build`.
        entry: As in :func:`build`.
        mmap: Whether the model may map the file into memory, like PyTorch's
            ``torch.load(mmap=True)``, if the framework can use the file's layout. PyTorch then
            loads in half the time, and needs memory only for the parts that are used. zoo never
            writes to the file, and :func:`save` may replace it; but if another program overwrites
            its contents, the model changes with it. Works only with files that :func:`save` wrote.

    Returns:
        The model, as from :func:`build`.

    Raises:
        WeightsError: The file is damaged, belongs to an unknown network, or does not fit.
        InputError: An option has an invalid value.
        BackendError: The framework is not installed, or cannot build the network.

    Example:
        >>> import tempfile, zoo
        >>> path = tempfile.mkdtemp() + "/googlenet.safetensors"
        >>> zoo.save(zoo.build("googlenet", "torch"), path)
        >>> zoo.load(path, "torch").inception3a.branch1x1.conv
        Conv2d(192, 64, kernel_size=(1, 1), stride=(1, 1))
    """
    requested = options.checked(
        aux if aux is not None else False, num_classes, in_channels, input_size, classes
    )
    seed, mmap = arguments.integer("seed", seed), arguments.flag("mmap", mmap)
    checkpoint = checkpoints.find(path, None, requested, head, entry)
    with checkpoint.verified():
        network = checkpoint.graph(**{**requested._asdict(), "aux": aux})
        network = adaptation.fitted(network, checkpoint, requested, head, stem)
        if dtype is None:
            dtype = widest(stored.dtype for stored in checkpoint.arrays.values())
        dtype = initial.check("he_uniform", dtype, seed)
        return checkpoints.build(
            network, checkpoint, backend, dtype=dtype, head=head, stem=stem, seed=seed, mmap=mmap
        )


def save(model: Any, path: str | os.PathLike[str]) -> None:
    """Save a model's weights and running statistics, for any framework to load.

    The file is a ``.safetensors`` with canonical names and layouts. It also holds the network's
    spec and options, so :func:`load` needs nothing else. An ``.onnx`` file holds all of that, too,
    and inference engines run it. The file is replaced atomically: if the process is killed, an
    older file of the same name is still intact.

    Args:
        model: A model that zoo built, in any framework.
        path: The file; its name ends in ``.safetensors`` or ``.onnx``. Weights of more than two
            gigabytes are in a second file beside an ``.onnx``, whose name ends in ``.data``.

    Raises:
        BackendError: zoo did not build the model, or the package of ONNX is not installed.
        WeightsError: A layer was replaced, so that the model is no longer that network.
        InputError: The path cannot be written to.

    Example:
        >>> import tempfile, zoo
        >>> path = tempfile.mkdtemp() + "/googlenet.safetensors"
        >>> zoo.save(zoo.build("googlenet", "torch"), path)
    """
    path = arguments.path("path", path)
    suffix = Path(path).suffix.lower()
    owners = {
        entry.suffix: entry.name for entry in registry.table().values() if entry.holds_network
    }
    if suffix not in (".safetensors", *owners):
        suffixes = " or ".join((".safetensors", *owners))
        raise InputError(f"{path}: expected a name that ends in {suffixes}")
    network, arrays = network_and_weights(model)
    if suffix == ".safetensors":
        zoo_file.write(path, network, arrays)
        return
    backend, inner = find(model)
    owner = registry.load(owners[suffix])
    if backend is not owner:
        inner = conversion.convert(model, owners[suffix])
    conversion.export(inner, owner, Path(path))
