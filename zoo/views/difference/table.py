"""A difference as a table, with one row for each change or for similar changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from zoo.views.difference.changes import Change
from zoo.views.difference.data import DifferenceData
from zoo.views.tables import Column, Note, Table, comma_separated

_COLUMNS = (
    Column("nodes", wraps=True, widest=34),
    Column("difference", wraps=True),
    Column("parameters", right=True),
    Column("MACs", right=True),
)


def table(data: DifferenceData) -> Table:
    """Return the difference as a table, or as one sentence if the networks are equal."""
    old, new = data.old, data.new
    notes = tuple(map(Note, _notes(data)))
    if not data.changes:
        layers = f"No differences between the layers of {old.name} and {new.name}."
        return Table(layers if notes else "No differences.", notes=notes)
    return Table(
        title=f"{old.name} → {new.name}",
        columns=_COLUMNS,
        rows=tuple(_all_changes(data) if data.every else _grouped(data)),
        total=(
            *("total", ""),
            f"{old.num_parameters:,}\n→ {new.num_parameters:,}",
            f"{old.macs:,}\n→ {new.macs:,}",
        ),
        notes=notes,
    )


def to_csv(data: DifferenceData) -> str:
    """Write every change as CSV, with old and new values in separate columns."""
    pairs = ("shape", "parameters", "macs")
    headings = [f"{side}_{name}" for name in pairs for side in ("old", "new")]
    return comma_separated(
        ["name", "kind", "op", "words", *headings],
        [
            [
                *(change.name, change.kind, change.op, change.words),
                *("" if value is None else value for p in pairs for value in getattr(change, p)),
            ]
            for change in data.changes
        ],
    )


def _notes(data: DifferenceData) -> Iterator[str]:
    """Describe differences outside of the networks."""
    fields = [f"{key} {old} → {new}" for key, (old, new) in data.preprocessing.items()]
    if fields:
        yield f"their preprocessing differs: {', '.join(fields)}"
    if data.initial_weights_differ:
        yield "their initial weights differ if built with init='paper'"


def _all_changes(data: DifferenceData) -> Iterator[tuple[str, ...]]:
    """Yield a row for each change, below a row for each block around it."""
    open_blocks: list[str] = []
    for change in data.changes:
        *blocks, name = change.name.split(".")
        for depth in range(_common_depth(open_blocks, blocks), len(blocks)):
            totals = data.blocks[".".join(blocks[: depth + 1])]
            counts = (_old_and_new(*totals.num_parameters), _old_and_new(*totals.macs))
            yield ("  " * depth + blocks[depth], "", *counts)
        open_blocks = blocks
        counts = (_old_and_new(*change.parameters), _old_and_new(*change.macs))
        yield ("  " * len(blocks) + name, _sentence(change, change.words), *counts)


def _common_depth(first: Sequence[str], second: Sequence[str]) -> int:
    """Return how many names two lists have in common at their start."""
    count = 0
    while count < min(len(first), len(second)) and first[count] == second[count]:
        count += 1
    return count


def _grouped(data: DifferenceData) -> Iterator[tuple[str, ...]]:
    """Yield a row for each group of similar changes; those that follow from others are last."""
    groups: dict[tuple[str, str], list[Change]] = {}
    for follows in (False, True):
        for change in data.changes:
            if (change.kind == "follows") == follows:
                words = f"and so {_resized(change)}" if follows else change.describe(channels=False)
                groups.setdefault(("" if follows else change.op, words), []).append(change)
    for (_, words), similar in groups.items():
        first = similar[0]
        text = words if first.kind == "follows" else _sentence(first, words)
        if first.kind == "changed" and any(c.shape[0] != c.shape[1] for c in similar):
            text += "; and the sizes change"
        yield (
            _abridged([change.name for change in similar]),
            text,
            _signed(sum(new - old for old, new in (c.parameters for c in similar))),
            _signed(sum(new - old for old, new in (c.macs for c in similar))),
        )


def _sentence(change: Change, words: str) -> str:
    """Put the operation before a description of its change."""
    if change.kind == "follows":
        return f"and so {words}"
    return f"{change.op}: {words}" if change.kind == "changed" and words else f"{change.op} {words}"


def _resized(change: Change) -> str:
    """Describe the effect of a change elsewhere: another height x width, or other channels."""
    old, new = map(str, change.shape)
    if old.count("x") == new.count("x") == 2:
        old, new = (shape.rpartition("x")[0] for shape in (old, new))
    return f"{old} → {new}" if old != new else "other channels"


def _old_and_new(old: int, new: int) -> str:
    if old == new:
        return f"{old:,}" if old else ""
    return f"{old:,} → {new:,}"


def _abridged(names: Sequence[str]) -> str:
    """Return a name, or what several have in common, such as ``inception*.relu (9)``.

    At the end, only whole parts of names count: ``slope`` and ``amplitude`` share no meaning.
    """
    if len(names) == 1:
        return names[0]
    start = _common_prefix(names)
    end = _common_prefix([name[len(start) :][::-1] for name in names])[::-1]
    end = end[end.index(".") :] if "." in end else ""
    return (
        f"{start}*{end} ({len(names)})" if start or end else f"{names[0]} and {len(names) - 1} more"
    )


def _common_prefix(names: Sequence[str]) -> str:
    """Return the characters that all names begin with."""
    first, last = min(names), max(names)
    return first[: next((i for i, c in enumerate(first) if c != last[i : i + 1]), len(first))]


def _signed(number: int) -> str:
    return f"{number:+,}" if number else ""
