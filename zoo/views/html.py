"""Tables as HTML: self-contained, escaped, and scrolled sideways on a narrow page."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence

from zoo.views.printable import printable
from zoo.views.tables import DISAGREES, Column, Table

#: Styles are in the elements: notebooks strip style sheets, and the rest of a page is unaffected.
_FRAME = "max-width: 100%; overflow-x: auto"
_TABLE = "border-collapse: collapse; font-variant-numeric: tabular-nums"
_CAPTION = "caption-side: top; text-align: left; font-weight: 600; padding: 0.3em 0"
_CELL = "padding: 0.15em 0.6em; vertical-align: top"
_LINE = "1px solid currentColor"


def render(table: Table) -> str:
    """Write a table as an HTML fragment, without scripts or external resources.

    Args:
        table: The widest form of a table; it scrolls if the page is too narrow.

    Returns:
        One ``div`` element, which inherits the colors and the font of the page.

    Example:
        >>> render(Table("VGG & others"))
        '<div><p>VGG &amp; others</p></div>'
    """
    return f"<div>{''.join(_parts(table))}</div>"


def _parts(table: Table) -> Iterator[str]:
    if table.columns:
        yield f'<div style="{_FRAME}" tabindex="0"><table style="{_TABLE}">'  # for keys
        yield f'<caption style="{_CAPTION}">{_escaped(table.title)}</caption><thead>'
        yield _row(table.columns, [column.heading for column in table.columns], "col")
        yield "</thead><tbody>"
        for row in table.rows:
            yield _row(table.columns, row)
        yield "</tbody>"
        if table.total:
            yield f'<tfoot style="border-top: {_LINE}">{_row(table.columns, table.total)}</tfoot>'
        yield "</table></div>"
    else:
        yield f"<p>{_escaped(table.title)}</p>"
    if table.notes:
        if table.notes_heading:
            yield f"<p>{_escaped(table.notes_heading)}</p>"
        yield '<ul style="overflow-wrap: anywhere">'
        for note in table.notes:
            details = f"<br><small>{_escaped(note.details)}</small>" if note.details else ""
            yield f"<li>{_escaped(note.text)}{details}</li>"
        yield "</ul>"


def _row(columns: Sequence[Column], cells: Sequence[str], scope: str = "") -> str:
    written = []
    for i, (column, cell) in enumerate(zip(columns, cells, strict=True)):
        kind, role = ("td", "") if i and not scope else ("th", f' scope="{scope or "row"}"')
        style = f"{_CELL}; text-align: {'right' if column.right else 'left'}"
        style += (
            "; white-space: pre-wrap; min-width: 12em" if column.wraps else "; white-space: pre"
        )
        if scope:
            style += f"; border-bottom: {_LINE}"
        elif kind == "th":
            style += "; font-weight: normal"
        text = _escaped(cell)
        if cell.endswith(DISAGREES):
            text = f"<strong>{text}</strong>"
        written.append(f'<{kind}{role} style="{style}">{text}</{kind}>')
    return f"<tr>{''.join(written)}</tr>"


def _escaped(text: str) -> str:
    return html.escape(printable(text))
