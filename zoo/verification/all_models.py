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
from zoo.language.catalogue import load
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

    One process for each backend does one model after another. The report of each model is kept in
    the folder at once. A later run in the same folder resumes: models that passed are not verified
    again, unless something changed that could change the result. A model that needs more memory
    than is available gets a report that fails and says so.

    Args:
        models: Names of models that zoo ships.
        folder: Folder for ``MODEL.json``, ``MODEL.html`` and ``index.html``, which is made if
            needed. Nothing is kept if not given.
        backends: As for :func:`zoo.verify`.
        dtype: As for :func:`zoo.verify`.
        level: As for :func:`zoo.verify`.
        seed: Random seed for the weights.
        command: The command line to show in the index page.
        progress: Called with what is done next, in words.

    Yields:
        Each report as soon as it is ready, and whether it was kept from an earlier run.

    Raises:
        InputError: The folder cannot be written to.
        BackendError: A package that the pages need is not installed.
    """
    target = None if folder is None else _make(Path(folder))
    if target:
        page.check()
    settings: dict[str, Any] = {"backends": backends, "dtype": dtype, "level": level, "seed": seed}
    reports: list[Report] = []
    with Workers(keep=True) as workers:
        for number, model in enumerate(models, 1):
            key = _key(model, settings)
            report = _kept(target / f"{model}.json", key) if target else None
            known = report is not None
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
                    kept = {"key": key, **report.to_dict()}
                    write_text(target / f"{model}.html", report.to_html())
                    # Last: with it the model counts as done.
                    write_text(target / f"{model}.json", json.dumps(kept, indent=1) + "\n")
            reports.append(report)
            if target:
                write_text(target / "index.html", page.index(reports, command))
            yield report, known


def _prefixed(prefix: str, progress: Progress) -> Progress:
    return lambda message: progress(prefix + message)


def _has_heads(model: str) -> bool:
    try:
        return bool(graphs.graph(model).omitted)
    except SpecError:  # which verify reports
        return False


def _not_run(model: str, dtype: str, level: str, seed: int, reason: str) -> Report:
    """A report without results, which says why."""
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


def _make(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be created: {error.strerror or error}") from None
    return folder


def _kept(path: Path, key: str) -> Report | None:
    """The report of an earlier run, if it is intact, of the same inputs, and passed."""
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if data.pop("key") != key or not data["passed"]:
            return None
        return Report.from_dict(data)
    except (OSError, ValueError, KeyError, AttributeError):
        return None


def _key(model: str, settings: dict[str, Any]) -> str:
    """A digest of everything a result depends on: the spec, zoo's own code, and the versions."""
    _, _, document = load(model)
    digest = hashlib.sha256(json.dumps(document).encode())
    for path in sorted(Path(__file__).parents[1].rglob("*.py")):
        digest.update(path.read_bytes())
    packages = [package for entry in registry.table().values() for package in entry.packages]
    known = [model, settings, registry.versions(packages), np.__version__]
    digest.update(json.dumps(known, sort_keys=True, default=list).encode())
    return digest.hexdigest()
