"""Writes a study as a file of results that benchopt reads, plots and publishes.

A network at a point of the grid is an objective, a framework with its native switches a solver, and
a seed a repetition. Each run is one line, at its last step: times of earlier ones were not taken.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from zoo.comparing.pairing import Runs, status
from zoo.comparing.results import Trained
from zoo.errors import BackendError, InputError
from zoo.files import replacing, write_text
from zoo.views.study import words
from zoo.views.study.lines import table

#: The settings of plots, none of which differs from the default; benchopt adds to them.
_METADATA = {"_meta_json": "{}"}


def rows(runs: Iterable[Trained]) -> list[dict[str, Any]]:
    """Return a line of each run that has a result, with the columns that benchopt reads.

    ``objective_value`` is the loss of validation, and ``objective_top1`` its top-1.
    """
    found: list[dict[str, Any]] = []
    repetitions: dict[tuple[str, ...], int] = {}
    listed = [run for run in runs if status(run) != "stopped"]
    groups = {(g.model, g.data): g for g in Runs.split(listed)}
    for run in listed:
        c = run.condition
        native = sorted(groups[c.model, c.data].levels(run))
        solver = {"native": "+".join(native) or "none", "deterministic": c.deterministic}
        names = (
            c.model + _parameters(c.grid),
            words.title(run.backend) + _parameters(solver),
            c.data,
        )
        number = repetitions[names] = repetitions.get(names, -1) + 1
        found.append(
            {
                "objective_name": names[0],
                "solver_name": names[1],
                "dataset_name": names[2],
                "idx_rep": number,
                "stop_val": len(run.losses) or 1,
                "sampling_strategy": "Run_once",
                "time": run.seconds if run.seconds is not None else float("nan"),
                "objective_value": run.loss,
                "objective_top1": run.top1,
                "p_solver_weights_seed": c.weights_seed,
                "p_solver_order_seed": c.order_seed,
                "p_solver_repeat": c.repeat,
                **{f"p_obj_{name}": value for name, value in c.grid.items()},
            }
        )
    return found


def write(runs: Iterable[Trained], path: str | os.PathLike[str]) -> None:
    """Write the lines as a Parquet file, or as CSV.

    Args:
        runs: All of a study.
        path: The file, whose name ends in ``.parquet`` or ``.csv``.

    Raises:
        InputError: No run has a result, or the file cannot be written.
        BackendError: pyarrow is not installed.
    """
    listed = rows(runs)
    if not listed:
        raise InputError(f"{Path(path).name}: no run of the study has a result to write")
    if Path(path).suffix == ".csv":
        write_text(path, table(listed))
        return
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise BackendError(
            "Parquet files need pyarrow: python -m pip install 'pyarrow>=15' (could not import "
            f"{error.name!r}); a name in .benchopt.csv gives a file that benchopt reads, too"
        ) from error
    names = dict.fromkeys(name for row in listed for name in row)
    columns = {name: [row.get(name) for row in listed] for name in names}
    for values in columns.values():
        if len({type(value) for value in values if value is not None}) > 1:
            plain = all(isinstance(v, int | float) for v in values if v is not None)
            values[:] = [None if v is None else float(v) if plain else str(v) for v in values]
    try:
        with replacing(path) as part:
            parquet.write_table(pyarrow.table(columns, metadata=_METADATA), str(part))
    except (OSError, pyarrow.ArrowException) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{os.fspath(path)}: cannot be written: {reason}") from None


def _parameters(values: Mapping[str, Any]) -> str:
    """Write parameters as benchopt does."""
    return "[" + ",".join(f"{k}={v}" for k, v in values.items()) + "]" if values else ""
