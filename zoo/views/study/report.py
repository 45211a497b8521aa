"""The study that ``zoo compare`` returns: its runs, what they say, and their renderings."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

from rich.console import Group

from zoo import arguments
from zoo.comparing.results import Trained
from zoo.errors import InputError
from zoo.files import read_json, write_text
from zoo.verification.rendering.display import ShownByRich
from zoo.verification.rendering.plotting import of_file
from zoo.views.study import benchopt, lines, page, terminal
from zoo.views.study.evaluation import Evaluation

FORMAT = 1
EFFECTS = "effects.csv"
_MOST = 2**30  # bytes of a file of a study
_SUFFIXES = (".html", ".csv", ".json", ".parquet")


@dataclass(frozen=True, repr=False)
class Study(ShownByRich, Evaluation):
    """What was trained, and what makes the results differ, with their renderings.

    ``print(study)`` and a REPL show tables, a notebook shows them in color, and :meth:`write` makes
    a page with plots, and files for other programs. The fields are those of
    :class:`zoo.views.study.evaluation.Evaluation`.
    """

    columns: ClassVar[int] = 140

    @cached_property
    def figures(self) -> Mapping[str, str]:
        """The plots of the page: name -> SVG text.

        Raises:
            BackendError: Jinja or Matplotlib is not installed.
        """
        return page.figures(self)

    def text(self) -> str:
        """Return the tables as text."""
        return str(self)

    def to_html(self) -> str:
        """Return a self-contained HTML page with plots, which loads nothing from a network.

        Raises:
            BackendError: Jinja or Matplotlib is not installed.
        """
        return page.page(self, self.figures)

    def to_csv(self) -> str:
        """Return a line of each run."""
        return lines.runs(self.trained, self.arms)

    def effects_csv(self) -> str:
        """Return a line of each estimate: differences, shares, variances and costs."""
        return lines.estimates(self.differences, self.effects, self.variance, self.costs)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data for JSON."""
        found = {
            "zoo_study": FORMAT,
            "study": self.study,
            "runs": [asdict(run) for run in self.runs],
            "methods": self.methods,
            "differences": [asdict(each) for each in self.differences],
            "effects": [asdict(each) for each in self.effects],
            "variance": [asdict(each) for each in self.variance],
            "costs": [asdict(each) for each in self.costs],
        }
        return dict(_plain(found))

    def to_json(self) -> str:
        """Return everything as the text of a JSON file."""
        return json.dumps(self.to_dict(), indent=1, allow_nan=False) + "\n"

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        """Make a study of what :meth:`to_dict` returned; what follows from its runs is not read.

        Raises:
            InputError: The data has another structure.
        """
        from pydantic import TypeAdapter, ValidationError

        if not isinstance(data, Mapping) or "zoo_study" not in data:
            raise InputError("this is no study of zoo compare")
        if data["zoo_study"] != FORMAT:
            raise InputError(
                f"this study has format {data['zoo_study']!r:.20}, and this zoo reads {FORMAT}"
            )
        try:
            runs = TypeAdapter(tuple[Trained, ...]).validate_python(data.get("runs"))
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, ("runs", *first["loc"])))
            raise InputError(f"this study is damaged: {place}: {first['msg']}") from None
        return cls(data.get("study") or {}, runs)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Self:
        """Read the JSON file of a study.

        Raises:
            InputError: It cannot be read, or is something else.
        """
        data = read_json(path, _MOST, "a study of zoo compare")
        try:
            return cls.from_dict(data)
        except InputError as error:
            raise InputError(f"{path}: {error}") from None

    def write(self, path: str | os.PathLike[str]) -> list[Path]:
        """Write the study to a file, of the kind that its suffix says.

        Args:
            path: The file:

                - ``.html``: a page, and beside it the folder ``figures`` with its plots as SVG;
                - ``.csv``: a line of each run, with ``effects.csv``, a line of each estimate,
                  beside it;
                - ``.json``: everything;
                - ``.parquet`` or ``.benchopt.csv``: the results as benchopt reads them.

        Returns:
            The files that were written.

        Raises:
            InputError: The name ends otherwise, or a file cannot be written.
            BackendError: Jinja and Matplotlib, or pyarrow, are not installed.
        """
        place = Path(arguments.path("path", path))
        if place.suffix not in _SUFFIXES:
            suffixes = ", ".join(_SUFFIXES)
            raise InputError(f"path: expected a name that ends in {suffixes}, got {place.name!r}")
        texts: dict[Path, str] = {}
        if place.suffix == ".parquet" or place.name.endswith(".benchopt.csv"):
            benchopt.write(self.trained, place)
            return [place]
        if place.suffix == ".json":
            texts[place] = self.to_json()
        elif place.suffix == ".csv":
            if place.name == EFFECTS:
                raise InputError(
                    f"path: {EFFECTS} is the file of estimates; name the runs' otherwise"
                )
            texts[place] = self.to_csv()
            texts[place.with_name(EFFECTS)] = self.effects_csv()
        else:
            figures = place.with_name("figures")
            texts = {figures / f"{name}.svg": of_file(svg) for name, svg in self.figures.items()}
            texts[place] = self.to_html()
            _make(figures)
        for file, text in texts.items():
            write_text(file, text)
        return list(texts)

    def __rich__(self) -> Group:
        return terminal.render(self)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made: {error.strerror or error}") from None


def _plain(value: Any) -> Any:
    """Return data as JSON has it: sets as sorted lists, and what is not finite as null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, frozenset | set):
        return sorted(_plain(item) for item in value)
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
