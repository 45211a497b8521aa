"""The folder of a training run: its recipe, its metrics and its checkpoints.

    recipe.yaml                        the settings of the run
    metrics.jsonl                      a line for each step and each epoch
    checkpoints/step-00000200.safetensors
    best.safetensors                   the checkpoint of the best epoch

Only one process at a time works in it. A process that is killed leaves it whole: checkpoints are
written atomically, and lines of metrics behind the last checkpoint are removed on resuming. While
the disk takes a checkpoint, training goes on.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

from zoo.errors import InputError
from zoo.files import held, replacing, write_text
from zoo.training.later import Later
from zoo.training.recipe import Recipe

RECIPE, METRICS = "recipe.yaml", "metrics.jsonl"
CHECKPOINTS, BEST = "checkpoints", "best.safetensors"
_NAME = re.compile(r"step-(\d{8,})\.safetensors")


class Folder:
    """A run's folder, opened by one process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.later = Later()
        self._metrics: IO[str] | None = None

    @classmethod
    @contextmanager
    def new(cls, path: Path, recipe: Recipe) -> Iterator[Folder]:
        """Make the folder of a new run, and hold it.

        Raises:
            InputError: There is a run, or something else, or nothing can be written there.
        """
        try:
            path.mkdir(exist_ok=True)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise InputError(f"{path}: cannot be created: {reason}") from None
        with cls(path)._held() as folder:
            if (path / RECIPE).exists() and not folder.checkpoints():
                raise InputError(
                    f"{path}: this folder has a {RECIPE}, but no checkpoint to resume from; choose "
                    "another folder, or delete this one"
                )
            if (path / RECIPE).exists() or (path / CHECKPOINTS).exists():
                raise InputError(
                    f"{path}: this folder already has a run; resume it (zoo train --resume "
                    f"{path}), or choose another folder"
                )
            folder.write_recipe(recipe)
            yield folder

    @classmethod
    @contextmanager
    def existing(cls, path: Path, *, reading: bool = False) -> Iterator[Folder]:
        """Hold the folder of a run, or only read what another process holds.

        Raises:
            InputError: There is no run.
        """
        if not any(os.path.exists(path / name) for name in (CHECKPOINTS, RECIPE)):
            raise InputError(f"{path}: not the folder of a training run: it has no {RECIPE}")
        if reading:
            yield cls(path)
            return
        with cls(path)._held() as folder:
            yield folder

    @contextmanager
    def _held(self) -> Iterator[Folder]:
        with ExitStack() as stack:
            with self._writing():
                alone = stack.enter_context(held(self.path / "lock"))
            if not alone:
                raise InputError(f"{self.path}: another process is training in this folder")
            try:
                yield self
            finally:
                self.settle()
                if self._metrics is not None:
                    with self._writing():
                        self._metrics.close()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Report what keeps the folder from being written to, such as a full disk."""
        try:
            yield
        except OSError as error:
            reason = error.strerror or error
            raise InputError(f"{self.path}: cannot be written to: {reason}") from None

    def settle(self) -> None:
        """Wait until the disk has all checkpoints.

        Raises:
            InputError: One cannot be written.
        """
        with self._writing():
            self.later.wait()

    def write_recipe(self, recipe: Recipe) -> None:
        """Write the recipe, or what it has become."""
        write_text(self.path / RECIPE, recipe.text())

    def checkpoints(self) -> list[Path]:
        """Return the checkpoints by their steps, the last one last."""
        found = sorted(
            (int(match[1]), path)
            for path in (self.path / CHECKPOINTS).glob("*")
            if (match := _NAME.fullmatch(path.name))
        )
        return [path for _, path in found]

    def checkpoint(self, step: int) -> Path:
        """Return the path of the checkpoint after a number of steps."""
        folder = self.path / CHECKPOINTS
        with self._writing():
            folder.mkdir(exist_ok=True)
        return folder / f"step-{step:08}.safetensors"

    def remove_old(self, keep: int) -> None:
        """Remove all checkpoints but the last few."""
        for path in self.checkpoints()[:-keep]:
            path.unlink(missing_ok=True)

    def keep_best(self, checkpoint: Path) -> None:
        """Keep a checkpoint as the best."""
        with replacing(self.path / BEST) as part:
            part.unlink()
            try:
                os.link(checkpoint, part)  # no copy: neither is ever written to
            except OSError:
                shutil.copyfile(checkpoint, part)

    def write(self, line: Mapping[str, Any]) -> None:
        """Add a line to the metrics."""
        with self._writing():
            if self._metrics is None:
                self._metrics = (self.path / METRICS).open("a", encoding="utf-8")
            self._metrics.write(json.dumps(line) + "\n")

    def flush(self) -> None:
        """Make sure that the system has all lines."""
        if self._metrics is not None:
            with self._writing():
                self._metrics.flush()

    def forget(self, step: int, evaluated: bool = True) -> None:
        """Remove the lines of metrics of what comes after a checkpoint.

        Args:
            step: The number of steps that had been made.
            evaluated: Whether an epoch that ended with them had been evaluated, too.
        """

        def is_known(line: Mapping[str, Any]) -> bool:
            last = step - 1 if "validation" in line and not evaluated else step
            return bool(line.get("step", 0) <= last)

        kept = [line for line in read_metrics(self.path / METRICS) if is_known(line)]
        write_text(self.path / METRICS, "".join(json.dumps(line) + "\n" for line in kept))


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a file of metrics, but for one that was not completed.

    Raises:
        InputError: Another line is none.
    """
    try:
        lines = path.read_text("utf-8").split("\n") if path.is_file() else [""]
        return [dict(json.loads(line)) for line in lines[:-1]]
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (ValueError, TypeError, RecursionError):
        raise InputError(f"{path}: a line is not the JSON that zoo wrote") from None
