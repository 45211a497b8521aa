"""The source of weights for files that a framework saved from zoo's models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from zoo.graphs.graph import Graph
from zoo.language.shipped import shipped
from zoo.weights import counts
from zoo.weights.sources import Network, Source

_ANY = Network(names={"*": "*"})  # the framework uses the names of the spec


def table(convention: Mapping[str, Any], formats: Sequence[str]) -> Source:
    """Describe the files that a framework itself saves of zoo's models.

    Args:
        convention: What the framework calls parameters; see ``zoo.backend.parameters.convention``.
        formats: The formats of these files.

    Returns:
        A source that has every network that zoo ships.
    """
    described = Source.model_validate(
        {
            "format": 1,
            "name": counts.OWN,
            "title": "zoo",
            "url": "",
            "license": "",
            "formats": list(formats),
            "networks": {},
            **convention,
        }
    )
    networks = {name: _network(counts.steps(name)) for name in shipped()}
    return described.model_copy(update={"networks": networks})


def of_network(described: Source, network: Graph) -> Source:
    """Return a table of :func:`table` for one network, which zoo need not ship."""
    return described.model_copy(update={"networks": {network.name: _ANY}})


def _network(steps: Sequence[str]) -> Network:
    return Network(names={step: step for step in steps}) if steps else _ANY
