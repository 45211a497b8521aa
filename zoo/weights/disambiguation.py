"""Chooses among networks whose parameters have the same names and shapes.

Some variants differ only in what arrays do not show: in padding, an epsilon, or an activation.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from zoo.errors import WeightsError
from zoo.weights import counts, provenance, published_files
from zoo.weights.sources import Source


def network_of(path: Path, matches: Sequence[tuple[Source, str]]) -> tuple[str, str]:
    """Return the network of a file, and a note if it was chosen by the name of the file.

    If several networks match, it is the one for which the file was published, or the one that timm
    states in the file. If the names are zoo's own, it is the one after which the file is named, as
    in ``resnet50_v1-best.pth``. A name with another underscore, such as ``resnet50_best.pth``, does
    not count, because it may stand for another variant.

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
        if published_files.recognized(path, [table], network) != (None, None):
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
    calls = " or ".join(f"zoo.build({name!r}, ..., weights=path)" for name in networks)
    raise WeightsError(
        f"{path}: its names and shapes are those of {' and of '.join(networks)}, which compute "
        f"different things with them. Name the network: {calls}"
    )
