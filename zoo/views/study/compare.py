"""``zoo.compare``: trains the same networks in several frameworks, and tells what differs."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from zoo import arguments
from zoo.comparing import record
from zoo.comparing import study as studies
from zoo.comparing.run import Done
from zoo.comparing.run import run as run_study
from zoo.comparing.study import RECIPE, StudyFile
from zoo.views.study.report import Study

Location = str | os.PathLike[str]


def compare(
    models: Location | Sequence[Location] | None = None,
    *,
    data: Location | Sequence[Location] | None = None,
    backends: str | Sequence[str] | None = None,
    seeds: int | Sequence[int] | None = None,
    explain: bool | None = None,
    output: Location | None = None,
    file: Location | None = None,
    scheduler: str | None = None,
    progress: Callable[[Any], None] = lambda event: None,
    **settings: Any,
) -> Study:
    """Train networks in several frameworks, aligned and native, and compare the results.

    In *aligned* runs every framework has the same initial weights, batches and update rule. That
    they are the same is proven first, in float64. In *native* runs, each framework does what its
    own users get by default: initial weights, settings of batch norm, padding, optimizers and more.
    With ``explain``, further runs show how much each of these *switches* contributes.

    Args:
        models: Models that zoo ships, or paths of YAML files.
        data: Datasets, as for :func:`zoo.dataset`, by name or path.
        backends: Two frameworks or more; all that are installed, if not given.
        seeds: Random seeds of weights and orders, or their number.
        explain: Whether to run what explains the differences.
        output: A folder. Every run is written to it as soon as it has ended, so that the same call
            continues an interrupted study.
        file: A YAML file with what is not given; see ``docs/comparing.md``.
        scheduler: The address of a scheduler of Dask, whose workers train; see ``docs/jobs.md``.
            By default, this machine does.
        progress: Called with messages and the events of :mod:`zoo.comparing.run`.
        **settings: Fields of a recipe, such as ``epochs``, ``lr`` and ``optimizer``, and the other
            fields of a study: ``grid``, ``switches``, ``native``, ``crossed``, ``repeats``,
            ``margin``, ``proof_steps``, ``train_images``, ``validation_images``, ``threads``.

    Returns:
        The study, with its ``runs``. ``print(study)`` shows what differs, and
        ``study.write("index.html")`` writes a page.

    Raises:
        UnknownNameError: There is no such model, dataset, backend or switch.
        InputError: A field is wrong or missing, there is only one backend, another study is in the
            folder, or memory does not suffice.
        TrainingError: Aligned runs are not the same in float64; the error names the first node.
        BackendError: A framework is not installed, or the scheduler or its workers cannot be used.

    Example:
        >>> import zoo
        >>> study = zoo.compare(
        ...     "lenet5", data="digits", backends=["torch", "paddle"], seeds=1, epochs=1, lr=0.02,
        ...     momentum=0.9, switches=["initial_weights"], proof_steps=0, train_images=64,
        ... )
        >>> [(run.backend, sorted(run.condition.native)) for run in study.runs]
        ... # doctest: +NORMALIZE_WHITESPACE
        [('torch', []), ('paddle', []),
         ('torch', ['initial_weights']), ('paddle', ['initial_weights'])]
    """
    if not callable(progress):
        raise arguments.wrong("progress", "a function that takes an event", progress)
    study = studies.of(
        {
            "models": _texts(models),
            "data": _texts(data),
            "backends": _plain(backends),
            "seeds": _plain(seeds),
            "explain": explain,
            **{name: _plain(value) for name, value in settings.items()},
        },
        None if file is None else Path(arguments.path("file", file)),
    )
    place = None if output is None else Path(arguments.path("output", output, "a folder"))
    return report(run_study(study, place, scheduler=scheduler, progress=progress))


def report(done: Done) -> Study:
    """Return what a study says."""
    return Study(settings_of(done), done.runs)


def settings_of(done: Done) -> dict[str, Any]:
    """Return what was asked, with the names of all frameworks and switches."""
    study: StudyFile = done.study
    own = {name: getattr(study, name) for name in study.fields if name not in RECIPE}
    switches = [name for comparison in done.comparisons for name in comparison.factors]
    return {
        **own,
        "batch_size": done.comparisons[0].case.recipe.batch_size,
        "optimizer": done.comparisons[0].case.recipe.optimizer,
        **study.recipe,
        **dict.fromkeys(study.grid),  # each of which has several values
        "backends": [entry.name for entry in study.entries],
        "switches": list(dict.fromkeys(switches)),
        "proofs": [asdict(proof) for proof in done.proofs],
        "machine": dict(done.machine),
    }


def repeat(
    path: Location,
    output: Location,
    *,
    scheduler: str | None = None,
    progress: Callable[[Any], None] = lambda event: None,
) -> tuple[Done, list[str]]:
    """Repeat the study of a ``run.json``, and compare every run with it.

    Args:
        path: The file.
        output: The folder of the repetition.
        scheduler, progress: As for :func:`compare`.

    Returns:
        The repetition, and in words which runs are not the same, bit for bit.

    Raises:
        InputError: The file is damaged; or a version, a network or the images have changed.
    """
    from zoo.comparing import plan

    recorded = record.read(arguments.path("path", path))
    study = record.study_of(recorded)
    record.check(recorded, plan.planned(study))
    place = Path(arguments.path("output", output, "a folder"))
    done = run_study(study, place, scheduler=scheduler, progress=progress)
    return done, record.differences(recorded, done.comparisons, done.runs)


def _texts(value: Any) -> Any:
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [os.fspath(v) if isinstance(v, os.PathLike) else v for v in value]
    return value


def _plain(value: Any) -> Any:
    """Return a value with lists in place of other sequences, and with Python's integers."""
    if not isinstance(value, bool) and (number := arguments.as_integer(value)) is not None:
        return number
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return list(value) if isinstance(value, tuple | range | set | frozenset) else value
