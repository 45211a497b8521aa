"""Chooses among networks whose parameters have the same names and shapes.

Some variants differ in what no array shows: in padding, an epsilon, or an activation.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from zoo.errors import WeightsError
from zoo.weights import cache, counts, provenance
from zoo.weights.sources import Source


def network_of(path: Path, matches: Sequence[tuple[Source, str]]) -> tuple[str, str]:
    """Return the network of a file, and a note that says so where it had to be chosen.

    It is the only one; or the one whose file it is; or the one that timm says; or, of zoo's own
    names, the one that the file is called after, as in ``resnet50_v1-best.pth``. What follows an
    underscore may be part of another variant's name, so such a file is called after none.

    Args:
        path: The file.
        matches: The sources and networks that its names and shapes fit equally well.

    Raises:
        WeightsError: They fit several networks, and nothing says which of them it is.
    """
    networks = list(dict.fromkeys(network for _, network in matches))
    if len(networks) == 1:
        return networks[0], ""
    for table, network in matches:
        if cache.recognized(path, [table], network) != (None, None):
            return network, ""
    if stated := provenance.architecture(path):
        name = re.compile(rf"/{re.escape(stated)}(?![A-Za-z0-9])")
        for table, network in matches:
            if table.name == "timm" and any(
                name.search(file.url) for file in table.networks[network].published
            ):
                return network, ""
    called = re.split(r"[^a-z0-9_]", path.name.lower())[0]
    if (counts.OWN, called) in [(table.name, network) for table, network in matches]:
        others = " or ".join(network for network in networks if network != called)
        return called, f"{called} by the name of the file, not {others}"
    first, *rest = networks
    raise WeightsError(
        f"{path}: its names and shapes are those of {' and of '.join(networks)}, which compute "
        f"different things with them. Name the network: zoo.build({first!r}, ..., weights=path) "
        f"or zoo.build({rest[0]!r}, ..., weights=path)"
    )
