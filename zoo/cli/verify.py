"""``zoo verify``: whether the frameworks compute the same values."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

import zoo
from zoo.cli import completion
from zoo.cli.common import Aux, Channels, Classes, Json, Seed, Size, options
from zoo.cli.progress import progress
from zoo.cli.terminal import INTERRUPTED, check_writable, err, escape, fail, out, print_json
from zoo.errors import InputError, suggestion


def verify(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL",
            help="A name from 'zoo list', or a YAML file; with --all, a pattern such as 'vgg*'.",
            autocompletion=completion.models,
        ),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Verify every model that zoo ships, one after another.")
    ] = False,
    aux: Aux = False,
    num_classes: Classes = None,
    in_channels: Channels = None,
    input_size: Size = None,
    backends: Annotated[
        str | None,
        typer.Option(
            "--backends",
            help="Backends to compare, separated by commas; by default all installed ones.",
            autocompletion=completion.backends,
        ),
    ] = None,
    dtype: Annotated[
        str,
        typer.Option(
            "--dtype",
            help="float32 (within 1e-5) or float64 (within 1e-12).",
            autocompletion=completion.dtypes,
        ),
    ] = "float32",
    level: Annotated[
        str,
        typer.Option(
            "--level",
            help="forward; gradients (also compares gradients); training (also ten training "
            "steps); or full (also other input sizes, compiled forms, precisions, engines and "
            "optimizers).",
            autocompletion=completion.levels,
        ),
    ] = "forward",
    image: Annotated[
        Path | None,
        typer.Option("--image", help="A photograph to run on; by default one that zoo ships."),
    ] = None,
    seed: Seed = 0,
    as_json: Json = False,
    save: Annotated[
        Path | None,
        typer.Option(
            "--output",
            help="Also write the report to this file, .json or .html. With --all, a folder for "
            "all reports; a later run resumes there.",
        ),
    ] = None,
) -> None:
    """Verify that the frameworks compute the same values at every node."""
    from zoo.files import write_text
    from zoo.verification import page

    names = None if backends is None else [name.strip() for name in backends.split(",")]
    settings: dict[str, Any] = {"backends": names, "dtype": dtype, "level": level, "seed": seed}
    chosen = options(aux, num_classes, in_channels, input_size)
    if every:
        options_of_one: dict[str, Any] = {
            "--aux": aux,
            "--image": image,
            "--num-classes": num_classes,
        }
        options_of_one |= {"--in-channels": in_channels, "--input-size": input_size}
        if wrong := [option for option, value in options_of_one.items() if value]:
            raise InputError(
                f"{wrong[0]} is for one model; --all verifies each as its spec defines it"
            )
        _verify_all(model, save, as_json, settings)
        return
    if model is None:
        raise InputError("which model? Give a name from 'zoo list', a YAML file, or --all")
    if save:
        check_writable(save)
        if save.suffix not in (".json", ".html"):
            raise InputError(f"--output: expected a name in .json or .html, got {save.name!r}")
        if save.suffix == ".html":
            page.check()
    with progress("reading the spec") as show:
        report = zoo.verify(model, **chosen, **settings, image=image, progress=show)
    as_text = json.dumps(report.to_dict(), indent=2) + "\n"
    print(as_text, end="") if as_json else out.print(report)
    if save:
        write_text(save, report.to_html() if save.suffix == ".html" else as_text)
    if not report.passed:
        raise typer.Exit(1)


def _verify_all(
    pattern: str | None, folder: Path | None, as_json: bool, settings: dict[str, Any]
) -> None:
    from zoo.verification.all_models import verify_all
    from zoo.verification.terminal import verdict

    names = zoo.list_models(pattern)
    if not names:
        hint = suggestion(pattern, zoo.list_models()) or " 'zoo list' shows them all."
        fail(f"no model that zoo ships matches {pattern!r}.{hint}")
    if folder and folder.suffix in (".json", ".html"):
        raise InputError(f"--output: with --all expected a folder, got {folder.name!r}")
    reports = []
    with progress("reading the specs") as show:
        results = verify_all(
            names,
            folder,
            **settings,
            command=" ".join(["zoo", *sys.argv[1:]]),
            progress=show,
        )
        try:
            for report, known in results:
                reports.append(report)
                if not as_json:
                    out.print(verdict(report) + ", from an earlier run" * known, soft_wrap=True)
                    for problem in report.problems:
                        out.print(f"  [red]✗[/red] {escape(problem)}", soft_wrap=True)
        except KeyboardInterrupt:
            err.print("interrupted" + "; run the same command to resume" * bool(folder))
            raise typer.Exit(INTERRUPTED) from None
    passed = sum(report.passed for report in reports)
    if as_json:
        print_json([report.to_dict() for report in reports])
    else:
        out.print(f"{passed} of {len(reports)} models pass")
    if folder and not as_json:
        out.print(escape(f"{folder / 'index.html'}"), soft_wrap=True)
    if passed < len(reports):
        raise typer.Exit(1)
