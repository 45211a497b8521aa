"""Where in its spec each part of a network comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Trace:
    """Filled while a spec is expanded; see ``zoo.language.expansion.expand``.

    Attributes:
        uses: Path name of each use of a block -> the block's name in the spec, and the values of
            its parameters.
        repeated: Path name of each repetition of a layer -> the layer's name in the spec.
        names: The options and settings, which every expression may read.
    """

    uses: dict[str, tuple[str, Mapping[str, Any]]] = field(default_factory=dict)
    repeated: dict[str, str] = field(default_factory=dict)
    names: Mapping[str, Any] = field(default_factory=dict)
