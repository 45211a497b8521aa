"""``zoo data``: the datasets that zoo knows, and what a folder or a file of one's own has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from zoo.cli import completion
from zoo.cli.common import SETTINGS, Format, format_option
from zoo.cli.terminal import err, escape, out, print_json
from zoo.errors import InputError

if TYPE_CHECKING:
    from zoo.data.labeled import Part

_HEADINGS = ("name", "images", "size", "download", "license", "from")
_RIGHT = (1, 3)


@click.command("data", context_settings=SETTINGS)
@click.argument("source", metavar="[DATA]", required=False, shell_complete=completion.data)
@click.option(
    "--check",
    is_flag=True,
    help="Read every image, and name the damaged ones; the exit status is 1 if there are any.",
)
@format_option()
@click.pass_context
def data(context: click.Context, source: str | None, check: bool, output_format: Format) -> None:
    """List the datasets that zoo knows, or the classes of one.

    DATA is the name of a dataset, a folder of images by class, or an .npz file of arrays. A
    published dataset is downloaded when it is first needed.
    """
    from zoo.data.datasets import dataset
    from zoo.data.published import PUBLISHED
    from zoo.views.tables import Column, Table

    if check and source is None:
        raise InputError("--check: which images? Give a dataset.")
    damaged: list[str] = []
    if source is None:
        rows: list[dict[str, Any]] = [
            {
                "name": entry.name,
                "title": entry.title,
                "images": entry.images,
                "size": list(entry.size),
                "bytes": entry.bytes,
                "license": entry.license,
                "url": entry.url,
            }
            for entry in PUBLISHED.values()
        ]
        cells = [
            (
                row["name"],
                f"{row['images']:,}",
                "x".join(map(str, row["size"])),
                f"{row['bytes'] / 1e6:,.0f} MB" if row["bytes"] else "none",
                row["license"],
                row["url"],
            )
            for row in rows
        ]
        columns = tuple(
            Column(heading, right=i in _RIGHT, wraps=i == 4) for i, heading in enumerate(_HEADINGS)
        )
        table = Table("Datasets that zoo knows", columns, tuple(cells))
    else:
        import numpy as np

        found = dataset(source)
        if check:
            damaged = [*_damaged(found.train), *_damaged(found.validation)]
        parts = {
            name: np.bincount(part.labels, minlength=len(found.classes)).tolist()
            for name, part in (("train", found.train), ("validation", found.validation))
        }
        rows = [
            {"class": name, "train": parts["train"][i], "validation": parts["validation"][i]}
            for i, name in enumerate(found.classes)
        ]
        columns = (Column("class"), Column("train", right=True), Column("validation", right=True))
        table = Table(
            repr(found).strip("<>"),
            columns,
            tuple((row["class"], f"{row['train']:,}", f"{row['validation']:,}") for row in rows),
        )
    _print(rows, table, output_format)
    for line in damaged:
        err.print(f"[bold red]damaged:[/] {escape(line)}", soft_wrap=True)
    if damaged:
        context.exit(1)


def _damaged(part: Part) -> Iterator[str]:
    """Say why images cannot be read, for those that cannot."""
    from zoo.data.reading import read

    for index in range(len(part)):
        try:
            read(part.images[index], "RGB")
        except InputError as error:
            yield part.fault(index, error)


def _print(rows: list[dict[str, Any]], table: Any, output_format: Format) -> None:
    from zoo.views import tables, text

    headings = [column.heading for column in table.columns]
    match output_format:
        case Format.JSON:
            print_json(rows)
        case Format.CSV:
            lines = [[_plain(value) for value in row.values()] for row in rows]
            print(tables.comma_separated(list(rows[0]), lines), end="")
        case Format.MARKDOWN:
            right = tuple(i for i, column in enumerate(table.columns) if column.right)
            print(tables.markdown(headings, table.rows, right))
        case Format.TABLE:
            print(text.render([table], out.width))


def _plain(value: Any) -> str:
    return "x".join(map(str, value)) if isinstance(value, list) else str(value)
