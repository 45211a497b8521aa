"""Converts models between frameworks, and weight files between formats."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from zoo.api import checkpoints
from zoo.api.networks import network_and_weights
from zoo.backend import registry
from zoo.backend.base import Backend
from zoo.errors import InputError
from zoo.files import require_another
from zoo.graphs.graph import Graph
from zoo.graphs.nodes import Parameter
from zoo.language import options
from zoo.language.graphs import graph
from zoo.language.options import Chosen
from zoo.weights import adaptation, loading
from zoo.weights.checking import widest
from zoo.weights.checkpoint import Array, Checkpoint
from zoo.weights.reading import zoo_file


def convert(model: Any, backend: str) -> Any:
    """Build a model's network in another framework, with its weights and its dtype.

    Args:
        model: A model that zoo built, in any framework. It is not changed.
        backend: As in :func:`zoo.build`.

    Returns:
        A new model, in the mode in which the framework creates models. Nothing in it is frozen.

    Raises:
        BackendError: zoo did not build the model, or the framework cannot build its network.
        WeightsError: A layer was replaced, so that the model is no longer that network.

    Example:
        >>> import zoo
        >>> model = zoo.convert(zoo.build("googlenet", "torch"), "torch")
    """
    network, arrays = network_and_weights(model)
    dtype = widest(array.dtype.name for array in arrays.values())

    def fill(parameter: Parameter) -> Array:
        return arrays.pop(parameter.name).astype(dtype, copy=False)

    return registry.load(backend).build(network, fill, dtype, 0)


def convert_file(
    source: str,
    target: Path,
    name: str | None = None,
    aux: bool | None = None,
    *,
    num_classes: int | None = None,
    in_channels: int | None = None,
    input_size: int | tuple[int, int] | None = None,
    head: str | None = None,
    stem: str | None = None,
    entry: str | None = None,
    begin: Callable[[], None] = lambda: None,
) -> tuple[Graph, str]:
    """Write weights in the format of the target's suffix.

    Args:
        source: A file or a source of weights, as ``weights`` in :func:`zoo.build`.
        target: The file to write: ``.safetensors``, which needs no framework, or a framework's own
            format, such as ``.pth``.
        name: The network; identified from the file by default.
        aux: Whether to keep auxiliary heads; by default they are kept if the file has them.
        num_classes: As for :func:`zoo.build`.
        in_channels: As for :func:`zoo.build`.
        input_size: As for :func:`zoo.build`.
        head: As for :func:`zoo.build`.
        stem: As for :func:`zoo.build`.
        entry: As for :func:`zoo.build`.
        begin: Called when the arguments have been checked, before the work.

    Returns:
        The network, and the dtype of its weights.

    Raises:
        InputError: The suffix is unknown, or the file cannot be written or is the source.
        WeightsError: The weights are damaged, belong to another network, or do not fit.
    """
    backends = {entry.suffix: entry.name for entry in registry.table().values() if entry.suffix}
    suffix = target.suffix.lower()
    if suffix != ".safetensors" and suffix not in backends:
        suffixes = ", ".join([".safetensors", *backends])
        raise InputError(f"{target}: expected a name that ends in one of {suffixes}")
    named = graph(name) if name else None  # reports a misspelled name before anything is downloaded
    requested = options.checked(False, num_classes, in_channels, input_size)
    require_another(target, source)
    loading.check(source, name, head=head, stem=stem, entry=entry)
    begin()
    checkpoint = checkpoints.find(source, named, requested, head, entry)
    with checkpoint.verified():
        network = _network(checkpoint, name, requested, aux)
        network = adaptation.fitted(network, checkpoint, requested, head, stem)
        dtype = widest(stored.dtype for stored in checkpoint.arrays.values())
        network, fill = adaptation.filling(network, checkpoint, dtype=dtype, head=head, stem=stem)
        if suffix == ".safetensors":
            arrays = {parameter.name: fill(parameter) for parameter in network.parameters}
        else:
            backend = registry.load(backends[suffix])
            model = backend.build(network, fill, dtype, 0)
    if suffix == ".safetensors":
        zoo_file.write(target, network, arrays)
    else:
        export(model, backend, target)
    return network, dtype


def export(model: Any, backend: Backend, target: Path) -> None:
    """Write a model's weights in its framework's own format.

    Raises:
        InputError: The file cannot be written.
    """
    try:
        backend.save(model, target)
    except (OSError, RuntimeError) as error:  # PyTorch raises RuntimeError if the disk is full
        reason = getattr(error, "strerror", None) or str(error).partition("\n")[0]
        raise InputError(f"{target}: cannot be written: {reason}") from None


def _network(
    checkpoint: Checkpoint, name: str | None, requested: Chosen, aux: bool | None
) -> Graph:
    """Return the graph of a checkpoint's network with the options requested."""
    if aux is None:
        heads = checkpoint.graph(**requested._asdict()).omitted
        aux = any(key.partition(".")[0] in heads for key in checkpoint.arrays)
    network = checkpoint.graph(**requested._replace(aux=aux)._asdict())
    return graph(name, **network.options) if name else network
