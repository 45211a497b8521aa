"""The file of a study, ``run.json``, from which it can be repeated bit for bit."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from zoo.comparing import study as studies
from zoo.comparing.plan import Comparison, digest
from zoo.comparing.results import Trained
from zoo.comparing.run import Done
from zoo.comparing.study import StudyFile
from zoo.errors import InputError, listed
from zoo.files import write_text

FORMAT = 1
_MOST = 2**30  # bytes
#: What runs must have in common to be the same, bit for bit.
_EXACT = ("top1", "loss", "classes", "losses", "digests")


def contents(done: Done) -> dict[str, Any]:
    """Return everything that a study was, as plain data.

    What all runs have in common is said once: ``recipe`` has the fields that are equal in all of
    them, and ``batches`` has the digests of a run's first batches, by the name that runs give them.
    """
    study, comparisons = done.study, done.comparisons
    planned = [run for comparison in comparisons for run in comparison.runs]
    shared = _shared([run.job["recipe"] for run in planned])
    versions: dict[str, Mapping[str, str]] = {}
    batches: dict[str, Sequence[str]] = {}
    described, images, labels = {}, {}, {}
    for run, trained in zip(planned, done.runs, strict=True):
        versions[run.backend] = run.job["versions"]
        images[run.job["data"]["source"]] = run.job["data"]["digests"]
        labels[run.job["data"]["source"]] = trained.images
        batches[digest(trained.digests)[:16]] = trained.digests
        described[run.key] = {
            "condition": {
                **asdict(run.condition),
                "grid": dict(run.condition.grid),
                "native": sorted(run.condition.native),
            },
            "backend": run.backend,
            "values": dict(run.values),
            "recipe": {k: v for k, v in run.job["recipe"].items() if k not in shared},
            "weights_seed": run.job["weights_seed"],
            "digests": {name: digest(getattr(trained, name)) for name in _EXACT},
            "batches": digest(trained.digests)[:16],
            "top1": trained.top1,
            "loss": trained.loss,
            "stopped": trained.stopped,
        }
    return {
        "zoo_compare": FORMAT,
        "study": {
            "models": study.models,
            "data": study.data,
            "seeds": study.seeds,
            **{name: value for name, value in study.__dict__.items() if name != "backends"},
            "backends": [entry.name for entry in study.entries],
        },
        "machine": dict(done.machine),
        "versions": versions,
        "networks": {c.case.graph.name: digest(c.case.graph.to_dict()) for c in comparisons},
        "images": images,
        "validation_images_of_classes": labels,
        "recipe": shared,
        "batches": batches,
        "proofs": [asdict(proof) for proof in done.proofs],
        "runs": described,
    }


def _shared(recipes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the fields that are equal in all recipes."""
    first, *others = recipes
    return {k: v for k, v in first.items() if all(other[k] == v for other in others)}


def write(path: Path, found: Mapping[str, Any]) -> None:
    """Write the file.

    Raises:
        InputError: It cannot be written.
    """
    write_text(path, json.dumps(found, indent=1) + "\n")


def read(path: str | Path) -> dict[str, Any]:
    """Read the file.

    Raises:
        InputError: It cannot be read, or is something else.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            raw = file.read(_MOST + 1)
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}"
        ) from None
    try:
        found = json.loads(raw) if len(raw) <= _MOST else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, Mapping) or found.get("zoo_compare") != FORMAT:
        raise InputError(f"{path}: not the run.json of a study that this version of zoo reads")
    if not all(isinstance(found.get(name), Mapping) for name in ("study", "runs", "versions")):
        raise InputError(f"{path}: damaged: it has no study, runs or versions")
    return dict(found)


def study_of(recorded: Mapping[str, Any]) -> StudyFile:
    """Return the study of a file.

    Raises:
        InputError: Its fields are none of a study.
    """
    return studies.of(recorded["study"])


def check(recorded: Mapping[str, Any], comparisons: Iterable[Comparison]) -> None:
    """Check that a plan is of the same runs as a file.

    Raises:
        InputError: Names what has changed: a version, a network or the images.
    """
    comparisons = list(comparisons)
    planned = {run.key: run for comparison in comparisons for run in comparison.runs}
    if planned.keys() == recorded["runs"].keys():
        return
    changes = []
    for run in planned.values():
        before = recorded["versions"].get(run.backend, {})
        changes += [
            f"{package} was {before.get(package, 'not there')} and is {version}"
            for package, version in run.job["versions"].items()
            if before.get(package) != version
        ]
        source = run.job["data"]["source"]
        if recorded.get("images", {}).get(source) != run.job["data"]["digests"]:
            changes.append(f"the images of {source} are others")
    for comparison in comparisons:
        graph = comparison.case.graph
        if recorded.get("networks", {}).get(graph.name) != digest(graph.to_dict()):
            changes.append(f"{graph.name} is another network")
    reasons = listed(dict.fromkeys(changes)) or "its settings have another meaning now"
    raise InputError(f"the study cannot be repeated bit for bit: {reasons}")


def differences(
    recorded: Mapping[str, Any], comparisons: Iterable[Comparison], runs: Iterable[Trained]
) -> list[str]:
    """Return the runs that are not the same, bit for bit, in words; none if all are.

    Args:
        recorded: The file.
        comparisons: What was planned.
        runs: The new results, in the order of the plan.
    """
    found = {}
    planned = [run for comparison in comparisons for run in comparison.runs]
    for run, trained in zip(planned, runs, strict=True):
        before = recorded["runs"][run.key]["digests"]
        unequal = [name for name in _EXACT if digest(getattr(trained, name)) != before[name]]
        if unequal and run.condition.deterministic:
            found[run.key] = f"{run.key} ({run.backend}): {', '.join(unequal)}"
    return list(found.values())
