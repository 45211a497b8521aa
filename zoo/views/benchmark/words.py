"""Figures of a benchmark in words: times, ratios, sizes, and rows that all forms show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from zoo.benchmarking.cells import ONCE
from zoo.benchmarking.results import Measured, Results
from zoo.benchmarking.statistics import Figure


@dataclass(frozen=True)
class Row:
    """A cell as it is shown.

    Attributes:
        measured: The cell.
        ratio: Its time, relative to the baseline's.
        is_baseline: Whether it is the baseline.
    """

    measured: Measured
    ratio: Figure | None
    is_baseline: bool

    @property
    def failed(self) -> bool:
        """Whether it has no time because something is wrong with it."""
        return bool(self.measured.problems)


def rows(results: Results) -> list[Row]:
    """Return the cells in their order, each with its ratio."""
    return [Row(m, results.ratio(m), results.baseline(m) is m) for m in results.cells]


def seconds(value: float | None) -> str:
    """Write a time with three digits, in a unit that fits.

    Example:
        >>> seconds(0.01234), seconds(12.34), seconds(0.0000567), seconds(None)
        ('12.3 ms', '12.3 s', '56.7 µs', '')
    """
    if value is None:
        return ""
    unit, factor = _unit(value)
    return f"{digits(value * factor)} {unit}"


def interval(figure: Figure | None, unit: bool = True) -> str:
    """Write an interval, in seconds or as a bare number; empty if there is none.

    Example:
        >>> interval(Figure(1, 0.9, 1.25), unit=False), interval(Figure(1, None, None))
        ('0.900 to 1.25', '')
    """
    if figure is None or figure.low is None or figure.high is None:
        return ""
    if not unit:
        return f"{digits(figure.low)} to {digits(figure.high)}"
    return span(figure.low, figure.high)


def span(low: float, high: float) -> str:
    """Write two times in the unit of the larger.

    Example:
        >>> span(0.0009, 0.0012), span(0.9, 1.1)
        ('0.900 to 1.20 ms', '0.900 to 1.10 s')
    """
    unit, factor = _unit(high)
    return f"{digits(low * factor)} to {digits(high * factor)} {unit}"


def digits(value: float) -> str:
    """Write a number with three digits.

    Example:
        >>> digits(1.0), digits(0.0123), digits(1234.5)
        ('1.00', '0.0123', '1,234')
    """
    if value >= 100:
        return f"{value:,.0f}"
    if value >= 1:
        return f"{value:.3g}" if value >= 10 else f"{value:.2f}"
    return f"{value:.3f}" if value >= 0.1 else f"{value:.3g}"


def size(value: int | None) -> str:
    """Write a number of bytes.

    Example:
        >>> size(250 * 2**20), size(None)
        ('250 MiB', '')
    """
    return "" if value is None else f"{value / 2**20:,.0f} MiB"


def energy(measured: Measured) -> str:
    """Write the energy of a run; that which is not readable is not 0."""
    return "not readable" if measured.joules is None else f"{digits(measured.joules)} J"


def once(results: Results) -> list[str]:
    """Return what happened once in a process, and was measured."""
    return [what for what in ONCE if any(m.once(what) for m in results.cells)]


def varied(results: Results) -> list[str]:
    """Return the fields of cells that are not the same in all, such as ``dtype``."""
    fields = ("model", "work", "device", "dtype", "batch")
    return [f for f in fields if len({getattr(m.cell, f) for m in results.cells}) > 1]


def stated(results: Results) -> list[str]:
    """Return what was the same for all cells, in words."""
    settings, machine = results.settings, results.machine
    first = results.cells[0].cell if results.cells else None
    names = [f for f in ("batch", "dtype", "device") if f not in varied(results)]
    parts = [f"{name} {getattr(first, name)}" for name in names if first is not None]
    threads = settings.get("threads")
    parts.append(f"{threads} thread{'s' * (threads != 1)}")
    parts.append(f"TF32 {'on' if settings.get('tf32') else 'off'}")
    counts = [m.processes for m in results.cells if m.processes]
    if counts:
        least, most = min(counts), max(counts)
        number = f"{least}" if least == most else f"{least} to {most}"
        parts.append(f"{number} process{'es' * (most != 1)} a cell")
    parts.append(f"seed {settings.get('seed')}")
    parts.append(str(machine.get("processor")))
    if results.hosts:
        parts.append(f"on {', '.join(results.hosts)}")
    return parts


def hosts(results: Results) -> list[tuple[str, str, str]]:
    """Return the machines of a cluster: name, what is known of it, and the rounds it measured."""
    rounds: dict[str, set[int]] = {}
    for each in (r for m in results.cells for r in m.rounds if r.number):
        rounds.setdefault(each.host, set()).add(each.number)
    return [
        (name, described(what), ", ".join(map(str, sorted(rounds.get(name, ())))) or "proofs")
        for name, what in results.hosts.items()
    ]


def described(machine: Mapping[str, object]) -> str:
    """Write what is known of a machine.

    Example:
        >>> described({"processor": "X", "governor": None, "before": {"load": 0.5}})
        'processor: X, before (load: 0.5)'
    """
    return ", ".join(
        f"{name} ({described(value)})" if isinstance(value, Mapping) else f"{name}: {value}"
        for name, value in machine.items()
        if value not in (None, [])
    )


def remarks(results: Results) -> list[str]:
    """Return what a reader should know of the whole, then of cells."""
    found = [*results.notes, results.noisy]
    found += _grouped((str(m.cell), r) for m in results.cells for r in m.remarks)
    return [text for text in found if text]


def _unit(value: float) -> tuple[str, float]:
    return ("s", 1.0) if value >= 1 else ("ms", 1e3) if value >= 1e-3 else ("µs", 1e6)


def _grouped(pairs: Iterable[tuple[str, str]]) -> list[str]:
    by_text: dict[str, list[str]] = {}
    for cell, text in pairs:
        by_text.setdefault(text, []).append(cell)
    return [
        f"{text}: {cells[0]}" if len(cells) == 1 else f"{text}: {len(cells)} cells"
        for text, cells in by_text.items()
    ]
