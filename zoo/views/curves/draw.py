"""Draws training runs as pictures and as a page."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from zoo import arguments
from zoo.errors import InputError
from zoo.files import replacing, write_text
from zoo.verification.rendering.page import environment, missing
from zoo.verification.rendering.plotting import of_file
from zoo.views.curves import reading

Folder = str | os.PathLike[str]


def curves(runs: Folder | Sequence[Folder], output: Folder | None = None) -> Path:
    """Draw the loss, the top-1 and the learning rate of training runs, one above the other.

    Args:
        runs: The folder of a run, or several to compare.
        output: The folder to write ``curves.svg``, ``curves.png`` and ``run.html`` to; by default,
            that of the first run.

    Returns:
        The path of the page, which needs no other file.

    Raises:
        InputError: There is no run in a folder, or the files cannot be written.
        BackendError: Jinja or Matplotlib is not installed.

    Example:
        >>> import tempfile, zoo
        >>> folder = tempfile.mkdtemp() + "/run"
        >>> _ = zoo.train(zoo.build("lenet5", "torch"), "digits", epochs=1, lr=0.05, output=folder)
        >>> zoo.curves(folder).name
        'run.html'
    """
    try:
        from zoo.views.curves import plot
    except ImportError as error:
        raise missing(error) from error
    given: Any = [runs] if isinstance(runs, str | os.PathLike) else runs
    if not isinstance(given, list | tuple) or not given:
        raise arguments.wrong("runs", "the folder of a run, or a list of several", runs)
    folders = [Path(arguments.path("runs", run, "the folder of a run")) for run in given]
    found = [reading.read(folder) for folder in folders]
    place = Path(arguments.path("output", output, "a folder")) if output is not None else folders[0]
    templates = environment("zoo.views.curves", "zoo.verification.rendering")
    picture = plot.svg(found)
    page = templates.get_template("run.html.jinja").render(runs=found, picture=picture)
    try:
        place.mkdir(exist_ok=True)
        with replacing(place / "curves.png") as part:
            plot.png(found, str(part))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{place}: cannot be written to: {reason}") from None
    write_text(place / "curves.svg", of_file(picture))
    write_text(place / "run.html", page)
    return place / "run.html"
