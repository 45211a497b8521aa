"""A summary's rows as a table, and as CSV."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest

from zoo.views.shapes import height_width_channels
from zoo.views.summary.data import NOT_EXPLAINED, Row, SummaryData, disagreement
from zoo.views.tables import DISAGREES, Column, Note, Table, comma_separated

#: The counts that papers state, with their headings.
_COUNTS = (("params", "parameters"), ("ops", "MACs"))
_NOTES_HEADING = f"{DISAGREES} Figures in the paper that differ from the computed ones:"
_FIGURES = ("output", "depth", "params", "ops")


def tables(data: SummaryData) -> tuple[Table, Table]:
    """Return the table with full path names, and a narrower one with a tree of names."""
    return _table(data, wide=True), _table(data, wide=False)


def to_csv(data: SummaryData) -> str:
    """Write every row as CSV, the paper's figures in columns ``published_*``."""
    headings = ["name", "kind", *_FIGURES, *(f"published_{name}" for name in _FIGURES)]
    return comma_separated(
        [*headings, "disagreeing"],
        [
            [
                *(row.name, row.kind, row.output, row.depth, row.params, row.ops),
                *(row.published.get(name, "") for name in _FIGURES),
                " ".join(row.disagreeing),
            ]
            for row in (*data.rows, data.total)
        ],
    )


def _table(data: SummaryData, wide: bool) -> Table:
    with_paper = any(row.published.keys() & dict(_COUNTS) for row in (*data.rows, data.total))
    columns = [Column("layer")]
    columns += [Column("kind")] if wide else []
    columns += [Column("output", right=True), Column("depth", right=True)]
    for _, heading in _COUNTS:
        columns.append(Column(heading, right=True))
        columns += [Column("paper", right=True)] if with_paper else []
    notes = tuple(_notes(data))
    return Table(
        title=f"{data.model}, input {height_width_channels(data.input_shape)}",
        columns=tuple(columns),
        rows=tuple(_cells(row, row.name, wide, with_paper) for row in data.rows),
        total=_cells(data.total, "total", wide, with_paper),
        notes_heading=_NOTES_HEADING if notes else "",
        notes=notes,
    )


def _cells(row: Row, name: str, wide: bool, with_paper: bool) -> tuple[str, ...]:
    cells = [name, row.kind] if wide else [_indented(name)]
    cells += [row.output, str(row.depth or "")]
    for figure, _ in _COUNTS:
        count = getattr(row, figure)
        cells.append(f"{count:,}" if count else "")
        if with_paper:
            mark = f" {DISAGREES}" if figure in row.disagreeing else ""
            cells.append(f"{row.published.get(figure, '')}{mark}")
    return tuple(cells)


def _indented(path: str) -> str:
    """Return the last part of a path name, indented by the blocks around it."""
    *blocks, name = path.split(".")
    return "  " * len(blocks) + name


def _notes(data: SummaryData) -> Iterator[Note]:
    """Yield a note for each figure that disagrees; equal reasons in a row follow the last."""
    notes = [
        (disagreement(row, figure), row.notes.get(figure))
        for row in (*data.rows, data.total)
        for figure in row.disagreeing
    ]
    reasons = [reason for _, reason in notes[1:]]
    for (text, reason), following in zip_longest(notes, reasons):
        if reason is None:
            yield Note(f"{text} ({NOT_EXPLAINED})")
        else:
            yield Note(text, "" if reason == following else reason)
