"""Writes a benchmark as CSV: a line of each cell, times in seconds and sizes in bytes."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict
from typing import Any

from zoo.benchmarking.cells import ONCE
from zoo.benchmarking.results import Results
from zoo.benchmarking.statistics import Figure
from zoo.views.benchmark import words


def render(results: Results) -> str:
    """Return the text of a CSV file; what was not measured is empty."""
    file = io.StringIO()
    writer: csv.DictWriter[str] | None = None
    for row in words.rows(results):
        m = row.measured
        line: dict[str, Any] = {**asdict(m.cell), "status": "failed" if row.failed else "measured"}
        line["status"] = line["status"] if row.failed or m.time else "not measured"
        line |= _figure("seconds", m.time)
        line |= {"p10": m.time and m.time.p10, "p90": m.time and m.time.p90}
        line |= _figure("ratio", row.ratio)
        for what in ONCE:
            figure = m.once(what)
            line[f"{what}_seconds"] = figure and figure.value
        line |= {f"peak_{what}": m.memory(what) for what in ("build", "weights", "first", "run")}
        line |= {"device_peak": m.device_memory, "joules": m.joules, "processes": m.processes}
        line |= {"error": m.proof and m.proof.error, "allowed": m.proof and m.proof.allowed}
        line |= {"hosts": "; ".join(m.hosts)}
        line |= {"problems": "; ".join(m.problems), "remarks": "; ".join(m.remarks)}
        if writer is None:
            writer = csv.DictWriter(file, list(line), lineterminator="\n")
            writer.writeheader()
        writer.writerow(line)
    return file.getvalue()


def _figure(name: str, figure: Figure | None) -> dict[str, float | None]:
    return {
        name: figure.value if figure else None,
        f"{name}_low": figure.low if figure else None,
        f"{name}_high": figure.high if figure else None,
    }
