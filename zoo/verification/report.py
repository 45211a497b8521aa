"""The report that :func:`zoo.verify` returns: results with their renderings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from rich.console import Group

from zoo.verification.rendering import page, terminal
from zoo.verification.rendering.display import ShownByRich
from zoo.verification.results import Results


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

        Raises:
            pydantic.ValidationError: The data has another structure.
        """
        from pydantic import TypeAdapter

        fields = {key: value for key, value in data.items() if key not in ("passed", "problems")}
        return TypeAdapter(cls).validate_python(fields)

    def to_html(self) -> str:
        """Return a self-contained HTML page with plots, which loads nothing from a network.

        Raises:
            BackendError: Jinja or Matplotlib is not installed.
        """
        return page.page(self)

    def __rich__(self) -> Group:
        return terminal.render(self)
