"""Proves one model after another, keeps what was found, and goes on where it was cut short."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zoo.backend import registry
from zoo.errors import InputError, SpecError
from zoo.files import write_text
from zoo.language import graphs
from zoo.language.catalogue import load
from zoo.verification import memory, page
from zoo.verification.results import TOLERANCES, Report, from_dict
from zoo.verification.verify import verify
from zoo.verification.workers import Workers

Progress = Callable[[str], None]


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
    """Prove many models, each as :func:`zoo.verify` does, with heads where it has any.

    A process for each backend does one model after another. What was found of a model is kept in
    the folder at once; when this is run again there, with nothing changed that could change the
    result, models that passed are not proven again. One that there is too little memory for is a
    report that fails and says so.

    Args:
        models: Names of models that zoo ships.
        folder: Where ``MODEL.json``, ``MODEL.html`` and ``index.html`` go; it is made. Nothing is
            kept if not given.
        backends: As for :func:`zoo.verify`.
        dtype: As for :func:`zoo.verify`.
        level: As for :func:`zoo.verify`.
        seed: Of the weights.
        command: What to tell in the page.
        progress: Called with a word on what is being done next.

    Yields:
        Each report as soon as it is there, and whether it was kept from before.

    Raises:
        InputError: The folder cannot be written to.
        BackendError: What the pages are made with is not installed.
    """
    place = None if folder is None else _made(Path(folder))
    if place:
        page.check()
    settings: dict[str, Any] = {"backends": backends, "dtype": dtype, "level": level, "seed": seed}
    found: list[Report] = []
    with Workers(keep=True) as workers:
        for number, model in enumerate(models, 1):
            key = _key(model, settings)
            report = _kept(place / f"{model}.json", key) if place else None
            known = report is not None
            if report is None:
                about = f"{model} ({number} of {len(models)}): "
                try:
                    report = verify(
                        model,
                        aux=_has_heads(model),
                        **settings,
                        progress=_beginning(about, progress),
                        workers=workers,
                    )
                except memory.NotEnoughMemoryError as error:  # which the next may need less of
                    report = _unproven(model, dtype, level, seed, str(error))
                if place:
                    kept = {"key": key, **report.to_dict()}
                    write_text(place / f"{model}.html", report.to_html())
                    # Last: with it the model counts as done.
                    write_text(place / f"{model}.json", json.dumps(kept, indent=1) + "\n")
            found.append(report)
            if place:
                write_text(place / "index.html", page.index(found, command))
            yield report, known


def _beginning(words: str, progress: Progress) -> Progress:
    return lambda message: progress(words + message)


def _has_heads(model: str) -> bool:
    try:
        return bool(graphs.graph(model).omitted)
    except SpecError:  # which verify tells of
        return False


def _unproven(model: str, dtype: str, level: str, seed: int, reason: str) -> Report:
    """A report of nothing, which says why."""
    graph = graphs.graph(model, aux=_has_heads(model))
    return Report(
        model=model,
        options=dict(graph.options),
        dtype=dtype,
        level=level,
        tolerance=TOLERANCES[dtype],
        seed=seed,
        image="",
        parameters={"aux" if graph.options["aux"] else "plain": graph.num_parameters},
        nodes=(),
        top5=(),
        results=(),
        pairs=(),
        unproven=reason,
    )


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made: {error.strerror or error}") from None
    return folder


def _kept(path: Path, key: str) -> Report | None:
    """What was found before, if it is whole, of the same things, and passed."""
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if found.pop("key") != key or not found["passed"]:
            return None
        return from_dict(found)
    except (OSError, ValueError, KeyError, AttributeError):
        return None


def _key(model: str, settings: dict[str, Any]) -> str:
    """A digest of all that a result depends on: the spec, zoo's own code, and the versions."""
    _, _, document = load(model)
    digest = hashlib.sha256(json.dumps(document).encode())
    for path in sorted(Path(__file__).parents[1].rglob("*.py")):
        digest.update(path.read_bytes())
    packages = [package for entry in registry.table().values() for package in entry.packages]
    known = [model, settings, registry.versions(packages), np.__version__]
    digest.update(json.dumps(known, sort_keys=True, default=list).encode())
    return digest.hexdigest()
