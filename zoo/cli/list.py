"""``zoo list``: the models that zoo ships."""

from __future__ import annotations

from itertools import groupby
from typing import Any, Literal

import click

import zoo
from zoo.api import listing
from zoo.cli import completion
from zoo.cli.common import SETTINGS, Format, format_option
from zoo.cli.terminal import escape, fail, out, print_json
from zoo.errors import suggestion

_HEADINGS = ("model", "parameters", "MACs", "weights", "about")
_RIGHT = (1, 2)
_WIDE = 100  # columns of a terminal that has room for descriptions


@click.command("list", context_settings=SETTINGS)
@click.argument(
    "pattern",
    metavar="[PATTERN]",
    required=False,
    shell_complete=completion.completing(completion.models),
)
@click.option(
    "--weights",
    "source",
    metavar="SOURCE",
    help="List only models whose weights this source has, such as 'torchvision'.",
    shell_complete=completion.completing(completion.sources),
)
@format_option()
def list_models(pattern: str | None, source: str | None, output_format: Format) -> None:
    """List the models that zoo ships.

    Shows the parameters, the multiply-accumulates (MACs) and the sources of weights of each model.
    PATTERN selects models by their names, such as 'vgg*'.
    """
    from zoo.views import tables

    names = zoo.list_models(pattern)
    if pattern and not names:
        fail(f"no model matches {pattern!r}; 'zoo list' shows them all")
    entries = listing.entries()
    rows = [entries[name] for name in names]
    if source is not None:
        known = sorted({each for entry in entries.values() for each in entry["weights"]})
        if source not in known:
            hint = suggestion(source, known) or f" Known: {', '.join(known)}."
            fail(f"unknown source of weights {source[:200]!r}.{hint}")
        rows = [row for row in rows if source in row["weights"]]
        if not rows:
            fail(f"{source} has no weights of a model that matches {pattern!r}")
    match output_format:
        case Format.JSON:
            print_json(rows)
        case Format.CSV:
            records = [
                {
                    **row,
                    "input_shape": "x".join(map(str, row["input_shape"])),
                    "weights": _weights(row),
                }
                for row in rows
            ]
            lines = [list(row.values()) for row in records]
            print(tables.comma_separated(list(rows[0]), lines), end="")
        case Format.MARKDOWN:
            lines = [[*_cells(row), f"{row['paper']}, {row['year']}"] for row in rows]
            print(tables.markdown((*_HEADINGS, "paper"), lines, _RIGHT))
        case Format.TABLE:
            _print_table(rows)


def _print_table(rows: list[dict[str, Any]]) -> None:
    """Print the families, each below its paper."""
    from rich.table import Table

    wide = out.width >= _WIDE
    headings = _HEADINGS if wide else _HEADINGS[:-1]
    cells = [_cells(row) for row in rows]
    if not wide:
        cells = [
            [*c[:2], f"{row['macs'] / 1e6:,.1f} M", c[3]]
            for c, row in zip(cells, rows, strict=True)
        ]
    widths = [max(map(len, column)) for column in zip(headings, *cells, strict=True)]
    families = groupby(zip(rows, cells, strict=True), key=lambda pair: pair[0]["family"])
    for number, (_, family) in enumerate(families):
        models = list(family)
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=not number)
        for i, heading in enumerate(headings):
            side: Literal["left", "right"] = "right" if i in _RIGHT else "left"
            is_text = heading in ("weights", "about")
            width = min(widths[i], 24) if is_text else widths[i]
            min_width = None if is_text and not wide else width
            table.add_column(heading, justify=side, no_wrap=not is_text, min_width=min_width)
        for _, row in models:
            table.add_row(*row)
        first = models[0][0]
        paper = [escape(str(first[key])) for key in ("paper", "year", "url") if first[key]]
        out.print()
        out.print(", ".join([f"[bold]{escape(first['title'])}[/]", *paper]), soft_wrap=True)
        out.print(table)
    if not wide:
        out.print(
            f"\nDescriptions are shown in a terminal of {_WIDE} columns, or with --format markdown."
        )


def _cells(row: dict[str, Any]) -> list[str]:
    counts = [f"{row[count]:,}" for count in ("parameters", "macs")]
    return [row["model"], *counts, _weights(row), row["about"] or ""]


def _weights(row: dict[str, Any]) -> str:
    return ", ".join(row["weights"])
