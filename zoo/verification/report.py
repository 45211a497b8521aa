"""The report that :func:`zoo.verify` returns: results with their renderings."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import Console, Group

from zoo.verification.rendering import page, terminal
from zoo.verification.results import Results

_WIDTH = 120  # columns, if there is no terminal
_NOTEBOOK = '<pre style="overflow-x: auto; white-space: pre">{code}</pre>'


@dataclass(frozen=True, repr=False)
class Report(Results):
    """The results of a verification, with their renderings.

    ``print(report)`` and a REPL show tables, a notebook shows them in color, and
    :meth:`to_html` returns a page with plots. The fields are those of
    :class:`zoo.verification.results.Results`.
    """

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

    def __str__(self) -> str:
        console = Console(width=_WIDTH, no_color=True, highlight=False, emoji=False)
        with console.capture() as capture:
            console.print(self)
        return capture.get().rstrip()

    __repr__ = __str__

    def _repr_html_(self) -> str:
        console = Console(width=_WIDTH, record=True, file=io.StringIO(), highlight=False)
        console.print(self)
        return console.export_html(inline_styles=True, code_format=_NOTEBOOK)
