"""The verbs that move weights: between a model and a file, and between frameworks."""

from __future__ import annotations

import os
from typing import Any

from zoo.backend import registry
from zoo.graphs.graph import Graph, graph_of
from zoo.graphs.nodes import Parameter
from zoo.language import options
from zoo.weights import initial, loading, zoo_file
from zoo.weights.checking import check, widest
from zoo.weights.checkpoint import Array, Checkpoint


def load(
    path: str | os.PathLike[str],
    backend: str,
    *,
    aux: bool | None = None,
    num_classes: int | None = None,
    in_channels: int | None = None,
    input_size: int | tuple[int, int] | None = None,
    seed: int = 0,
    dtype: str | None = None,
    head: str | None = None,
    stem: str | None = None,
    mmap: bool = False,
) -> Any:
    """Build the network that a file of weights is of, with those weights.

    Args:
        path: A file that :func:`save` made, in whatever framework; or a publisher's, whose network
            is found by the names in it.
        backend: As in :func:`build`.
        aux: As in :func:`build`; as the file was saved if not given, as the other options are.
        num_classes: As in :func:`build`.
        in_channels: As in :func:`build`.
        input_size: As in :func:`build`.
        seed: As in :func:`build`; for dropout, and for a new head.
        dtype: The file's own if not given.
        head: As in :func:`build`.
        stem: As in :func:`build`.
        mmap: Whether the model may keep a file that :func:`save` made mapped, as PyTorch's
            ``torch.load(mmap=True)`` does, where the framework can use the file's layout. PyTorch
            then loads in half the time and takes memory for what is touched alone. The file is
            never written to, and :func:`save` may replace it; but if another program writes into
            it, the model changes with it.

    Returns:
        The model, as :func:`build` gives it.

    Raises:
        WeightsError: The file is damaged, of no network that zoo knows, or does not fit.
        BackendError: The framework is not installed, or cannot do what is asked.

    Example:
        >>> import tempfile, zoo
        >>> path = tempfile.mkdtemp() + "/googlenet.safetensors"
        >>> zoo.save(zoo.build("googlenet", "torch"), path)
        >>> zoo.load(path, "torch").inception3a.branch1x1.conv
        Conv2d(192, 64, kernel_size=(1, 1), stride=(1, 1))
    """
    asked = options.checked(bool(aux), num_classes, in_channels, input_size)
    checkpoint = loading.find(path, None, asked)
    network = checkpoint.graph(**{**asked._asdict(), "aux": aux})
    if dtype is None:
        dtype = widest(stored.dtype for stored in checkpoint.arrays.values())
    dtype = initial.check("he_uniform", dtype, seed)
    return filled(network, checkpoint, backend, head, stem, seed, "he_uniform", dtype, mmap)


def save(model: Any, path: str | os.PathLike[str]) -> None:
    """Save a model's weights and running statistics for any framework.

    The file is a ``.safetensors`` with canonical names and layouts, and holds the network's spec
    and options too, so that :func:`load` needs nothing else. It is written whole or not at all: if
    the process is killed, an older file of that name is as it was.

    Args:
        model: A model that zoo built, of any backend.
        path: Ends in ``.safetensors``.

    Raises:
        BackendError: The model was not built by zoo.
        WeightsError: Its parameters are no longer those of the network it was built as; a layer was
            replaced, perhaps.
        InputError: The path cannot be written to.

    Example:
        >>> import tempfile, zoo
        >>> path = tempfile.mkdtemp() + "/googlenet.safetensors"
        >>> zoo.save(zoo.build("googlenet", "torch"), path)
    """
    network = graph_of(model)
    zoo_file.write(path, network, _own_weights(model, network))


def convert(model: Any, backend: str) -> Any:
    """Build a model's network in another framework, with its weights and its dtype.

    Args:
        model: A model that zoo built, of any backend; it is not changed.
        backend: As in :func:`build`.

    Returns:
        A new model, in the mode that the framework's models start in.

    Raises:
        BackendError: The model was not built by zoo, or the framework cannot do what it does.
        WeightsError: Its parameters are no longer those of the network it was built as.

    Example:
        >>> import zoo
        >>> model = zoo.convert(zoo.build("googlenet", "torch"), "torch")
    """
    network = graph_of(model)
    arrays = _own_weights(model, network)
    dtype = widest(array.dtype.name for array in arrays.values())

    def fill(parameter: Parameter) -> Array:
        return arrays.pop(parameter.name).astype(dtype, copy=False)

    return registry.load(backend).build(network, fill, dtype, 0)


def filled(
    network: Graph,
    checkpoint: Checkpoint,
    backend: str,
    head: str | None,
    stem: str | None,
    seed: int,
    init: str,
    dtype: str,
    mmap: bool = False,
) -> Any:
    """Build a network with a checkpoint's weights."""
    network, fill = loading.filling(
        network, checkpoint, dtype=dtype, head=head, stem=stem, seed=seed, init=init, mmap=mmap
    )
    model = registry.load(backend).build(network, fill, dtype, seed % 2**31)
    checkpoint.verify()
    return model


def _own_weights(model: Any, network: Graph) -> dict[str, Array]:
    """A model's weights, which must still be of its network."""
    arrays = registry.of(model).get_weights(model)
    check(
        {p.name: p.shape for p in network.parameters},
        {name: (array.shape, array.dtype.name) for name, array in arrays.items()},
        what=f"the weights that this {network.name} now has",
    )
    return arrays
