"""Chooses among networks whose parameters have the same names and shapes.

Some variants differ in what no array shows: in padding, an epsilon, or an activation.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from zoo.errors import WeightsError
from zoo.weights import cache, provenance
from zoo.weights.sources import Source


def network_of(path: Path, matches: Sequence[tuple[Source, str]]) -> str:
    """Return the network of a file: the only one, the one whose file it is, or timm's own word.

    Args:
        path: The file.
        matches: The sources and networks that its names and shapes fit equally well.

    Raises:
        WeightsError: They fit several networks, and the file is not a published one.
    """
    networks = list(dict.fromkeys(network for _, network in matches))
    if len(networks) == 1:
        return networks[0]
    for table, network in matches:
        if cache.recognised(path, [table], network) != (None, None):
            return network
    if stated := provenance.architecture(path):
        name = re.compile(rf"/{re.escape(stated)}(?![A-Za-z0-9])")
        for table, network in matches:
            if table.name == "timm" and any(
                name.search(file.url) for file in table.networks[network].published
            ):
                return network
    raise WeightsError(
        f"{path}: its names and shapes are those of {' and of '.join(networks)}, which compute "
        "different things with them. Name the network: 'zoo convert --model', or the model of "
        "zoo.build"
    )
