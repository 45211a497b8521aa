"""``zoo list``: the models there are."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer
from rich.table import Table

import zoo
from zoo import tables
from zoo.checkpoints.sources import sources
from zoo.commands.common import Form, Format, JsonToo, format_of
from zoo.network import text_of
from zoo.terminal import fail, out, print_json

_HEADINGS = ("model", "parameters", "MACs", "weights", "about")
_RIGHT = (1, 2)
_WIDE = 100  # columns from which on there is room for words


def list_models(
    pattern: Annotated[str | None, typer.Argument(help="Only these, such as 'vgg*'.")] = None,
    form: Form = None,
    as_json: JsonToo = False,
) -> None:
    """List the models, with their parameters, multiply-accumulates and who publishes weights."""
    chosen = format_of(form, as_json)
    names = zoo.list_models(pattern)
    if pattern and not names:
        fail(f"no model matches {pattern!r}; 'zoo list' shows them all")
    rows = [_listed(name) for name in names]
    match chosen:
        case Format.JSON:
            print_json(rows)
        case Format.CSV:
            shaped = [
                {**row, "input_shape": text_of(row["input_shape"]), "weights": _weights(row)}
                for row in rows
            ]
            lines = [list(row.values()) for row in shaped]
            print(tables.comma_separated(list(rows[0]), lines), end="")
        case Format.MARKDOWN:
            cells = [_cells(row) for row in rows]
            print(tables.markdown(_HEADINGS, cells, _RIGHT))
        case Format.TABLE:
            _print_table(rows)


def _print_table(rows: list[dict[str, Any]]) -> None:
    wide = out.width >= _WIDE
    table = Table()
    for i, heading in enumerate(_HEADINGS if wide else _HEADINGS[:-1]):
        side: Literal["left", "right"] = "right" if i in _RIGHT else "left"
        table.add_column(heading, justify=side, no_wrap=heading not in ("weights", "about"))
    for i, row in enumerate(rows):
        last = i + 1 == len(rows) or rows[i + 1]["family"] != row["family"]
        cells = _cells(row)
        if not wide:
            cells = [*cells[:2], f"{row['macs'] / 1e6:,.1f} M", cells[3]]
        table.add_row(*cells, end_section=last)
    out.print(table)
    if not wide:
        out.print(f"What each is: in a terminal of {_WIDE} columns, or with --format markdown.")
    papers = {f"{r['paper']} ({r['year']}), {r['url']}": r["title"] for r in rows if r["paper"]}
    for paper, title in papers.items():
        out.print(f"{title}: {paper}", soft_wrap=True)


def _cells(row: dict[str, Any]) -> list[str]:
    counts = [f"{row[count]:,}" for count in ("parameters", "macs")]
    return [row["model"], *counts, _weights(row), row["about"] or ""]


def _weights(row: dict[str, Any]) -> str:
    return ", ".join(row["weights"])


def _listed(name: str) -> dict[str, Any]:
    graph = zoo.graph(name)
    paper = graph.about["paper"]
    return {
        "model": name,
        "family": graph.about["family"],
        "title": graph.about["title"],
        "about": graph.about["about"],
        "input_shape": list(graph.input_shape),
        "parameters": graph.num_parameters,
        "macs": graph.macs,
        "weights": [table.name for table in sources().values() if name in table.networks],
        "year": paper.get("year"),
        "paper": paper.get("title", ""),
        "url": paper.get("url"),
    }
