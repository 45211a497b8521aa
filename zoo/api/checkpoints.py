"""Opens weight files, including those of frameworks, and builds models with them."""

from __future__ import annotations

import functools
import os
from typing import Any

from zoo.backend import registry
from zoo.backend.description import Description
from zoo.backend.parameters import Parameters
from zoo.graphs.graph import Graph
from zoo.language.options import Chosen
from zoo.weights import adaptation, framework_source, loading
from zoo.weights.checkpoint import Checkpoint
from zoo.weights.sources import Source


def own_names() -> tuple[Source, ...]:
    """Return the names that zoo's own models have in each framework."""
    return tuple(map(own_table, (entry for entry in registry.table().values() if entry.formats)))


def own_table(entry: Description) -> Source:
    """Return the names that zoo's own models have in one framework."""
    table = _own_table(entry.name)
    if names := Parameters(entry.name, {}).names_of_packages():
        return table.model_copy(update={"parameters": {**table.parameters, **names}})
    return table


@functools.cache
def _own_table(backend: str) -> Source:
    entry = registry.table()[backend]
    return framework_source.table(entry.convention, entry.formats)


def find(
    weights: str | os.PathLike[str],
    network: str | Graph | None,
    requested: Chosen,
    head: str | None = None,
    entry: str | None = None,
) -> Checkpoint:
    """Open the weights that a caller requests; see :func:`zoo.weights.loading.find`."""
    return loading.find(weights, network, requested, own_names(), head, entry)


def build(
    network: Graph,
    checkpoint: Checkpoint,
    backend: str,
    *,
    dtype: str,
    head: str | None = None,
    stem: str | None = None,
    seed: int = 0,
    init: str = "he_uniform",
    mmap: bool = False,
) -> Any:
    """Build a network in a framework with a checkpoint's weights.

    Args:
        network: The network.
        checkpoint: The weights; call this within ``with checkpoint.verified()``.
        backend: As in :func:`zoo.build`.
        dtype: The dtype of the model.
        head: As in :func:`zoo.build`.
        stem: As in :func:`zoo.build`.
        seed: Random seed for dropout, and for a new head.
        init: Initializer for a new head.
        mmap: As in :func:`zoo.load`.

    Returns:
        The framework's model.

    Raises:
        WeightsError: The weights do not fit.
        BackendError: The framework is not installed, or cannot build the network.
    """
    network, fill = adaptation.filling(
        network, checkpoint, dtype=dtype, head=head, stem=stem, seed=seed, init=init, mmap=mmap
    )
    return registry.load(backend).build(network, fill, dtype, seed % 2**31)
