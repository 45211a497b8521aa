"""``zoo list``: the models that zoo ships."""

from __future__ import annotations

import re
from itertools import groupby
from typing import TYPE_CHECKING, Any

import click

import zoo
from zoo.api import listing
from zoo.cli import completion
from zoo.cli.common import SETTINGS, Format, format_option, unmatched
from zoo.cli.terminal import fail, out, print_json
from zoo.errors import suggestion

if TYPE_CHECKING:
    from zoo.views import tables

_HEADINGS = ("model", "parameters", "MACs", "weights", "about")
_RIGHT = (1, 2)


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
    help="List only models with weights from this source, such as 'torchvision'.",
    shell_complete=completion.completing(completion.sources),
)
@format_option()
def list_models(pattern: str | None, source: str | None, output_format: Format) -> None:
    """List the models that zoo ships.

    For each model, this shows the number of parameters, the multiply-accumulates (MACs) of one
    image, and the sources of its weights. PATTERN selects models by name, such as 'vgg*'.
    """
    from zoo.views import tables

    names = zoo.list_models(pattern)
    if pattern is not None and not names:
        fail(unmatched(pattern))
    entries = listing.entries()
    rows = [entries[name] for name in names]
    if source is not None:
        known = sorted({each for entry in entries.values() for each in entry["weights"]})
        if source not in known:
            hint = suggestion(source, known) or f". Known: {', '.join(known)}."
            fail(f"unknown source of weights {source[:200]!r}{hint}")
        rows = [row for row in rows if source in row["weights"]]
        if not rows:
            fail(f"{source} has no weights for any model that matches {pattern!r}")
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
    from rich.text import Text

    from zoo.views import tables, text

    families = [list(family) for _, family in groupby(rows, key=lambda row: row["family"])]
    forms = [[_table(family, wide) for family in families] for wide in (True, False)]
    form = text.fitting(forms, out.width)
    listing = Text(text.sections(forms[form or 0], out.width))
    titles = "|".join(re.escape(family[0]["title"]) for family in families)
    listing.highlight_regex(rf"(?m)^(?:{titles})(?=,|$)", "bold")
    out.print(listing, soft_wrap=True)
    if form:
        note = "A wider terminal shows descriptions, too; so does --format markdown."
        print(f"\n{text.render([tables.Table(note)], out.width)}")


def _table(family: list[dict[str, Any]], wide: bool) -> tables.Table:
    """Return the table of a family: with descriptions, or narrower."""
    from zoo.views.tables import Column, Table

    columns = (
        Column("model"),
        Column("parameters", right=True),
        Column("MACs", right=True),
        Column("weights", wraps=True, widest=24, narrowest=12),
        Column("about", wraps=True),
    )
    first = family[0]
    title = ", ".join(str(first[key]) for key in ("title", "paper", "year", "url") if first[key])
    if wide:
        return Table(title, columns, tuple(tuple(_cells(row)) for row in family))
    narrow = (
        (row["model"], f"{row['parameters']:,}", f"{row['macs'] / 1e6:,.1f} M", _weights(row))
        for row in family
    )
    return Table(title, columns[:-1], tuple(narrow))


def _cells(row: dict[str, Any]) -> list[str]:
    counts = [f"{row[count]:,}" for count in ("parameters", "macs")]
    return [row["model"], *counts, _weights(row), row["about"] or ""]


def _weights(row: dict[str, Any]) -> str:
    return ", ".join(row["weights"])
