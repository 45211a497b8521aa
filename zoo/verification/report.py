"""The report that :func:`zoo.verify` returns: results with their renderings."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from rich.console import Group

from zoo.verification.rendering import page, terminal
from zoo.verification.rendering.display import ShownByRich
from zoo.verification.results import Results

#: Fields that are lists of numbers, or mappings to such, and fields that are numbers in any case.
_SERIES = {"errors", "losses", "weights", "drift"}
_NUMBERS = {"tolerance", "loss", "of_input"}


@dataclass(frozen=True, repr=False)
class Report(ShownByRich, Results):
    """The results of a verification, with their renderings.

    ``print(report)`` and a REPL show tables, a notebook shows them in color, and
    :meth:`to_html` returns a page with plots. The fields are those of
    :class:`zoo.verification.results.Results`.
    """

    columns: ClassVar[int] = 120

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Report:
        """Make a report from what :meth:`to_dict` returned.

        Errors that were not finite, which JSON cannot hold, are infinite.

        Raises:
            pydantic.ValidationError: The data has another structure.
        """
        from pydantic import TypeAdapter

        fields = {key: value for key, value in data.items() if key not in ("passed", "problems")}
        return TypeAdapter(cls).validate_python(_restored(fields))

    def to_html(self) -> str:
        """Return a self-contained HTML page with plots, which loads nothing from a network.

        Raises:
            BackendError: Jinja or Matplotlib is not installed.
        """
        return page.page(self)

    def __rich__(self) -> Group:
        return terminal.render(self)


def _restored(value: Any, name: str = "") -> Any:
    """Return what :meth:`Results.to_dict` made of results, with its numbers where JSON had null."""
    if isinstance(value, Mapping):
        is_worst = value.keys() == {"error", "node"}
        return {
            key: math.inf
            if item is None and is_worst
            else _restored(item, name if name in _SERIES else key)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        is_series = name in _SERIES
        return [math.inf if item is None and is_series else _restored(item, name) for item in value]
    return math.inf if value is None and name in _NUMBERS else value
