"""``zoo list``: the models there are."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.table import Table

import zoo
from zoo.commands.common import Json
from zoo.terminal import fail, out, print_json


def list_models(
    pattern: Annotated[str | None, typer.Argument(help="Only these, such as 'vgg*'.")] = None,
    as_json: Json = False,
) -> None:
    """List the models, with their parameters and multiply-accumulates."""
    names = zoo.list_models(pattern)
    if pattern and not names:
        fail(f"no model matches {pattern!r}; 'zoo list' shows them all")
    rows = [_listed(name) for name in names]
    if as_json:
        print_json(rows)
        return
    table = Table()
    for heading in ("model", "parameters", "MACs", "about"):
        right = heading in ("parameters", "MACs")
        table.add_column(heading, justify="right" if right else "left", no_wrap=heading != "about")
    for i, row in enumerate(rows):
        figures = (f"{row['parameters']:,}", f"{row['macs']:,}")
        last = i + 1 == len(rows) or rows[i + 1]["family"] != row["family"]
        table.add_row(row["model"], *figures, row["about"], end_section=last)
    out.print(table)
    papers = {f"{r['paper']} ({r['year']}), {r['url']}": r["title"] for r in rows if r["paper"]}
    for paper, title in papers.items():
        out.print(f"{title}: {paper}", soft_wrap=True)


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
        "year": paper.get("year"),
        "paper": paper.get("title", ""),
        "url": paper.get("url"),
    }
