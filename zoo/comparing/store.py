"""The folder of a study: what was asked, and each run as soon as it has ended.

    study.yaml        the study
    runs/KEY.json     a run, under the digest of all that determines it
    proofs/KEY.json   that the frameworks agree in float64
    run.json          all of it in one file, from which the study can be repeated

Only one process at a time works in it. Files are written atomically, so that a process that is
killed, or a disk that is full, loses no run that has ended.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from zoo.comparing import study as studies
from zoo.comparing.plan import Planned
from zoo.comparing.results import Proof, Trained
from zoo.comparing.study import StudyFile
from zoo.errors import InputError, quoted
from zoo.files import held, write_text

FORMAT = 1
STUDY, RUNS, PROOFS = "study.yaml", "runs", "proofs"
_MOST = 64 * 2**20  # bytes of a run that are read

_TRAINED, _PROOF = TypeAdapter(Trained), TypeAdapter(Proof)
#: Fields whose lists may become longer in a folder.
_GROWING = frozenset(("models", "data", "backends", "seeds", "switches"))
#: Fields that decide about no run that is there.
_FREE = frozenset(("margin", "proof_steps"))


class Folder:
    """A study's folder, opened by one process."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    @contextmanager
    def opened(cls, path: Path, study: StudyFile) -> Iterator[Folder]:
        """Hold a folder: a new one, or that of the same study or of a smaller one.

        Raises:
            InputError: It has another study or something else, another process works in it, or
                nothing can be written there.
        """
        with ExitStack() as stack:
            try:
                new = not path.exists() or not any(path.iterdir())
                path.mkdir(parents=True, exist_ok=True)
                alone = stack.enter_context(held(path / "lock"))
                (path / RUNS).mkdir(exist_ok=True)
                (path / PROOFS).mkdir(exist_ok=True)
            except (OSError, ValueError) as error:
                reason = getattr(error, "strerror", None) or error
                raise InputError(f"{path}: cannot be written to: {reason}") from None
            if not alone:
                raise InputError(f"{path}: another process is working on the study in this folder")
            if not new and not (path / STUDY).exists():
                raise InputError(
                    f"{path}: this folder has other files, and no study; choose another one"
                )
            folder = cls(path)
            if not new:
                folder._check(study)
            write_text(path / STUDY, study.text())
            yield folder

    def runs(self, planned: list[Planned]) -> dict[str, Trained]:
        """Return those of some runs that have ended, by key.

        Raises:
            InputError: A file is damaged.
        """
        found = {}
        for run in planned:
            path = self.path / RUNS / f"{run.key}.json"
            if path.exists():
                found[run.key] = _read(path, run.key, "run", _TRAINED)
        return found

    def keep(self, run: Planned, trained: Trained) -> None:
        """Write a run that has ended.

        Raises:
            InputError: It cannot be written.
        """
        job = {name: value for name, value in run.job.items() if name != "graph"}
        content = {"format": FORMAT, "key": run.key, "job": job, "run": plain(trained)}
        write_text(self.path / RUNS / f"{run.key}.json", json.dumps(content, indent=1) + "\n")

    def proof(self, key: str) -> Proof | None:
        """Return a proof, if there is one.

        Raises:
            InputError: The file is damaged.
        """
        path = self.path / PROOFS / f"{key}.json"
        return _read(path, key, "proof", _PROOF) if path.exists() else None

    def keep_proof(self, key: str, proof: Proof) -> None:
        """Write a proof.

        Raises:
            InputError: It cannot be written.
        """
        content = {"format": FORMAT, "key": key, "proof": asdict(proof)}
        write_text(self.path / PROOFS / f"{key}.json", json.dumps(content, indent=1) + "\n")

    def _check(self, study: StudyFile) -> None:
        """Reject a study that is neither the one of the folder nor a larger one."""
        old = studies.of({}, self.path / STUDY)
        for name in study.fields:
            before, now = getattr(old, name), getattr(study, name)
            if before != now and not _extends(name, before, now):
                raise InputError(
                    f"{self.path}: this folder has another study, with {name} "
                    f"{quoted(before, 60)}, not {quoted(now, 60)}; choose another folder"
                )


def plain(trained: Trained) -> dict[str, Any]:
    """Return a run as plain data."""
    data = asdict(trained)
    data["condition"]["native"] = sorted(data["condition"]["native"])
    return data


def _extends(name: str, before: Any, now: Any) -> bool:
    """Tell whether a field may have another value in a folder."""
    if name in _FREE:
        return True
    if name in _GROWING:
        return bool(now in (None, ["all"]) or (before is not None and set(before) <= set(now)))
    if name == "grid":
        same = before.keys() == now.keys()
        return same and all(all(v in now[key] for v in values) for key, values in before.items())
    if name == "repeats":
        return bool(now > before)
    return name in ("explain", "crossed") and bool(now)


def _read(path: Path, key: str, name: str, adapter: TypeAdapter[Any]) -> Any:
    try:
        with path.open("rb") as file:
            raw = file.read(_MOST + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
    try:
        if len(raw) > _MOST:
            raise ValueError("it is too large")
        content = json.loads(raw)
        if not isinstance(content, Mapping) or content.get("key") != key:
            raise ValueError("it is of another run")
        if content.get("format") != FORMAT:
            raise ValueError("it has another format")
        return adapter.validate_python(content.get(name))
    except (ValueError, RecursionError, ValidationError) as error:
        reason = str(error).splitlines()[0][:100]
        raise InputError(
            f"{path}: damaged ({reason}); remove it, and that run is made again"
        ) from None
