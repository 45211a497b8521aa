"""The folder of the reports of many models, all made with the same settings."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zoo
from zoo.backend import registry
from zoo.errors import InputError, listed, quoted
from zoo.files import scratch, write_text
from zoo.jobs.versions import code, versions
from zoo.language.catalog import load
from zoo.verification.rendering import page
from zoo.verification.report import Report

_SETTINGS = "settings.json"
MAX_SETTINGS, MAX_REPORT = 2**20, 2**28  # bytes that are read of a file


@dataclass(frozen=True)
class Stored:
    """A report of an earlier run, or of another shard.

    Attributes:
        report: The report.
        key: A digest of everything that it depends on.
        seconds: How long it took; 0 if unknown.
    """

    report: Report
    key: str
    seconds: float


def stated(settings: Mapping[str, Any], requested: Mapping[str, str]) -> dict[str, Any]:
    """Return everything that the reports of a folder have in common.

    Args:
        settings: ``dtype``, ``level`` and ``seed``.
        requested: Backend -> the name by which it was requested.
    """
    found = {**versions(packages(requested)), "zoo": zoo.__version__}
    common = {name: settings[name] for name in ("level", "dtype", "seed")}
    return {**common, "backends": list(requested.values()), "versions": found, "code": code()}


def packages(requested: Mapping[str, str]) -> list[str]:
    """Return the distributions that the results of backends depend on."""
    found = [package for name in requested for package in registry.resolve(name).packages]
    return [*dict.fromkeys(found), "numpy"]


class Folder:
    """A folder with ``MODEL.json`` and ``MODEL.html`` of each model, and ``index.html``.

    Args:
        path: The folder; made if needed.
        settings: What :func:`stated` returned. They are in ``settings.json``.

    Raises:
        InputError: The folder cannot be made, or its reports have other settings.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        self.path, self._settings = path, dict(settings)
        self._run = _digest(self._settings)
        self._waiting: dict[str, tuple[Report, float]] = {}
        self._known: dict[str, tuple[int, Stored | None]] = {}
        self._error: InputError | None = None
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{path}: cannot be created: {error.strerror or error}") from None
        self._claim()

    def finished(self, model: str) -> Stored | None:
        """Return what was stored of a model; None unless it passed and nothing has changed."""
        found = self._stored(model)
        return found if found and found.report.passed and found.key == self._key(model) else None

    def keep(self, report: Report, seconds: float) -> str:
        """Write a report, and all that could not be written before.

        Returns:
            Why reports could not be written, if so; they are written with the next one.
        """
        self._waiting[report.model] = (report, seconds)
        with suppress(InputError):
            self.flush()
        return str(self._error or "")

    def flush(self) -> None:
        """Write the reports that could not be written before.

        Raises:
            InputError: They still cannot be written.
        """
        self._error = None
        for model, (report, seconds) in list(self._waiting.items()):
            record = {"run": self._run, "key": self._key(model), "seconds": round(seconds, 1)}
            try:
                write_text(self.path / f"{model}.html", report.to_html())
                # Written last, because it marks the model as done.
                text = json.dumps({**record, **report.to_dict()}, indent=1)
                write_text(self.path / f"{model}.json", text + "\n")
            except InputError as error:
                self._error = error
                raise
            del self._waiting[model]

    def write_index(self, models: Sequence[str], command: str) -> None:
        """Write the page of all reports in the folder, also of other shards.

        Args:
            models: The models to list, if there are reports of them.
            command: The command line to show.

        Raises:
            InputError: It cannot be written.
        """
        stored = {model: self._stored(model) for model in models}
        reports = [found.report for found in stored.values() if found]
        missing = [model for model, found in stored.items() if not found]
        text = page.index(reports, command, settings=self._settings, missing=missing)
        write_text(self.path / "index.html", text)

    def _stored(self, model: str) -> Stored | None:
        """Return the report of a model with the settings of this run; None if there is none."""
        path = self.path / f"{model}.json"
        try:
            status = path.stat()
            if self._known.get(model, (None,))[0] != status.st_mtime_ns:
                fits = status.st_size <= MAX_REPORT
                self._known[model] = (status.st_mtime_ns, self._read(path) if fits else None)
        except OSError:
            return None
        return self._known[model][1]

    def _read(self, path: Path) -> Stored | None:
        try:
            data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            run, key, seconds = data.pop("run"), data.pop("key"), float(data.pop("seconds"))
            if run != self._run:
                return None
            return Stored(Report.from_dict(data), key, seconds)
        except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
            return None

    def _key(self, model: str) -> str:
        return _digest([self._run, model, load(model)[2]])

    def _claim(self) -> None:
        """Write the settings, if there are none yet; otherwise compare them."""
        place = self.path / _SETTINGS
        text = json.dumps(self._settings, indent=1) + "\n"
        try:
            with scratch(self.path, ".zoo-writing-") as folder:
                part = folder / _SETTINGS
                part.write_text(text, encoding="utf-8")
                os.link(part, place)  # of two runs that begin at the same time, one does it
                return
        except FileExistsError:
            pass
        except OSError:  # no links here
            if not place.exists():
                write_text(place, text)
                return
        found = _settings(place)
        different = _differences(found, self._settings)
        if different:
            raise InputError(
                f"{self.path}: its reports were made with other settings ({listed(different)}); "
                "give another folder, or the same settings"
            )
        if found != self._settings:  # only zoo's code has changed: all is verified again
            write_text(place, text)


def _settings(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MAX_SETTINGS:
            raise ValueError
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict) or not isinstance(found["versions"], dict):
            raise ValueError
        return found
    except (OSError, ValueError, KeyError, RecursionError):
        raise InputError(
            f"{path}: it does not say which settings the reports of this folder were made with; "
            "give another folder"
        ) from None


def _differences(found: Mapping[str, Any], settings: Mapping[str, Any]) -> list[str]:
    """Describe the settings of a folder that are not those of this run."""
    there = {**found, **found["versions"]}
    here = {**settings, **settings["versions"]}
    return [
        f"{name} {quoted(there.get(name))} instead of {quoted(here.get(name))}"
        for name in dict.fromkeys([*here, *there])
        if name not in ("versions", "code") and there.get(name) != here.get(name)
    ]


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, default=list)
    return hashlib.sha256(text.encode()).hexdigest()
