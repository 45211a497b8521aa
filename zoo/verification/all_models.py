"""Verifies one model after another, keeps the reports, and resumes after an interruption."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zoo.backend import registry
from zoo.errors import InputError, SpecError
from zoo.files import write_text
from zoo.language import graphs
from zoo.language.catalog import load
from zoo.verification import memory, tolerances
from zoo.verification.context import Progress
from zoo.verification.rendering import page
from zoo.verification.report import Report
from zoo.verification.verify import verify
from zoo.verification.workers import Workers


def verify_all(
    models: Sequence[str],
    folder: str | Path | None = None,
    *,
    backends: str | Sequence[str] | None = None,
    dtype: str = "float32",
    level: str = "forward",
    seed: int = 0,
    command: str = "zoo verify --all",
    progress: Progress = lambda message: None,
) -> Iterator[tuple[Report, bool]]:
    """Verify many models, each as :func:`zoo.verify` does, with auxiliary heads where it has any.

    One process per backend verifies one model after another. Each report is written to the folder
    as soon as it is ready. A later run in the same folder resumes: models that passed are not
    verified again, unless something that could affect the result has changed. A model that needs
    more memory than is available gets a failing report with that reason.

    Args:
        models: Names of models that zoo ships.
        folder: Folder for ``MODEL.json``, ``MODEL.html`` and ``index.html``; created if needed.
            Nothing is written if not given.
        backends: As for :func:`zoo.verify`.
        dtype: As for :func:`zoo.verify`.
        level: As for :func:`zoo.verify`.
        seed: Random seed for the weights.
        command: The command line to show in the index page.
        progress: Called with a message before each part of the work.

    Yields:
        Each report as soon as it is ready, and whether it comes from an earlier run.

    Raises:
        InputError: The folder cannot be created.
        BackendError: A package that the HTML pages need is not installed.
    """
    target = None if folder is None else _create(Path(folder))
    if target:
        page.check()
    settings: dict[str, Any] = {"backends": backends, "dtype": dtype, "level": level, "seed": seed}
    reports: list[Report] = []
    with Workers(keep=True) as workers:
        for number, model in enumerate(models, 1):
            key = _key(model, settings)
            report = _stored(target / f"{model}.json", key) if target else None
            resumed = report is not None
            if report is None:
                prefix = f"{model} ({number} of {len(models)}): "
                try:
                    report = verify(
                        model,
                        aux=_has_heads(model),
                        **settings,
                        progress=_prefixed(prefix, progress),
                        workers=workers,
                    )
                except memory.NotEnoughMemoryError as error:  # the next model may fit
                    report = _not_run(model, dtype, level, seed, str(error))
                if target:
                    record = {"key": key, **report.to_dict()}
                    write_text(target / f"{model}.html", report.to_html())
                    # Written last, because it marks the model as done.
                    write_text(target / f"{model}.json", json.dumps(record, indent=1) + "\n")
            reports.append(report)
            if target:
                write_text(target / "index.html", page.index(reports, command))
            yield report, resumed


def _prefixed(prefix: str, progress: Progress) -> Progress:
    return lambda message: progress(prefix + message)


def _has_heads(model: str) -> bool:
    try:
        return bool(graphs.graph(model).omitted)
    except SpecError:  # verify will raise it again
        return False


def _not_run(model: str, dtype: str, level: str, seed: int, reason: str) -> Report:
    """Make a report without results that gives the reason."""
    graph = graphs.graph(model, aux=_has_heads(model))
    return Report(
        model=model,
        options=dict(graph.options),
        dtype=dtype,
        level=level,
        tolerance=tolerances.FORWARD[dtype],
        seed=seed,
        image="",
        parameters={"aux" if graph.options["aux"] else "plain": graph.num_parameters},
        nodes=(),
        top5=(),
        results=(),
        pairs=(),
        not_run=reason,
    )


def _create(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be created: {error.strerror or error}") from None
    return folder


def _stored(path: Path, key: str) -> Report | None:
    """Read the report of an earlier run; None unless it is intact, passed and has the same key."""
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if data.pop("key") != key or not data["passed"]:
            return None
        return Report.from_dict(data)
    except (OSError, ValueError, KeyError, AttributeError):
        return None


def _key(model: str, settings: dict[str, Any]) -> str:
    """A digest of everything a result depends on: the spec, zoo's own code, and versions."""
    _, _, document = load(model)
    digest = hashlib.sha256(json.dumps(document).encode())
    for path in sorted(Path(__file__).parents[1].rglob("*.py")):
        digest.update(path.read_bytes())
    packages = [package for entry in registry.table().values() for package in entry.packages]
    parts = [model, settings, registry.versions(packages), np.__version__]
    digest.update(json.dumps(parts, sort_keys=True, default=list).encode())
    return digest.hexdigest()
