"""``zoo verify``: the frameworks hold the same network."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

import zoo
from zoo.cli.common import Aux, Channels, Classes, Json, Seed, Size, options
from zoo.cli.terminal import INTERRUPTED, check_writable, err, fail, out, print_json
from zoo.errors import InputError, suggestion
from zoo.files import write_text


def verify(
    model: Annotated[
        str | None,
        typer.Argument(help="A name from 'zoo list', or a YAML file; with --all, a pattern."),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Every model that zoo ships, one after another.")
    ] = False,
    aux: Aux = False,
    num_classes: Classes = None,
    in_channels: Channels = None,
    input_size: Size = None,
    backends: Annotated[
        str | None, typer.Option("--backends", help="Which to compare, with commas between.")
    ] = None,
    dtype: Annotated[
        str, typer.Option("--dtype", help="float32 (within 1e-5) or float64 (within 1e-12).")
    ] = "float32",
    level: Annotated[
        str,
        typer.Option(
            "--level",
            help="forward, gradients (too), training (ten steps, too), or full (other sizes, "
            "compiled forms, precisions, engines and optimizers, too).",
        ),
    ] = "forward",
    image: Annotated[
        Path | None, typer.Option("--image", help="A photograph; one is shipped.")
    ] = None,
    seed: Seed = 0,
    as_json: Json = False,
    save: Annotated[
        Path | None,
        typer.Option(
            "--output",
            help="Also write the result to this file, .json or .html; with --all a folder, "
            "where the next run goes on.",
        ),
    ] = None,
) -> None:
    """Show that the frameworks hold the same network, at every node, on a photograph."""
    from zoo.verification.rendering import page

    names = None if backends is None else [name.strip() for name in backends.split(",")]
    asked: dict[str, Any] = {"backends": names, "dtype": dtype, "level": level, "seed": seed}
    chosen = options(aux, num_classes, in_channels, input_size)
    if every:
        given: dict[str, Any] = {"--aux": aux, "--image": image, "--num-classes": num_classes}
        given |= {"--in-channels": in_channels, "--input-size": input_size}
        if wrong := [option for option, value in given.items() if value]:
            raise InputError(f"{wrong[0]} is for one model; --all takes each as its spec has it")
        _verify_all(model, save, as_json, asked)
        return
    if model is None:
        raise InputError("which model? Give a name from 'zoo list', a YAML file, or --all")
    if save:
        check_writable(save)
        if save.suffix not in (".json", ".html"):
            raise InputError(f"--output: expected a name in .json or .html, got {save.name!r}")
        if save.suffix == ".html":
            page.check()
    with err.status("reading the spec") as status:
        report = zoo.verify(
            model,
            **chosen,
            **asked,
            image=image,
            progress=lambda message: status.update(escape(message)),
        )
    found = json.dumps(report.to_dict(), indent=2) + "\n"
    print(found, end="") if as_json else out.print(report)
    if save:
        write_text(save, report.to_html() if save.suffix == ".html" else found)
    if not report.passed:
        raise typer.Exit(1)


def _verify_all(
    pattern: str | None, folder: Path | None, as_json: bool, asked: dict[str, Any]
) -> None:
    from zoo.verification.all_models import verify_all
    from zoo.verification.rendering.terminal import verdict

    names = zoo.list_models(pattern)
    if not names:
        hint = suggestion(pattern, zoo.list_models()) or " 'zoo list' shows them all."
        fail(f"no model that zoo ships matches {pattern!r}.{hint}")
    if folder and folder.suffix in (".json", ".html"):
        raise InputError(f"--output: with --all expected a folder, got {folder.name!r}")
    reports = []
    with err.status("reading the specs") as status:
        found = verify_all(
            names,
            folder,
            **asked,
            command=" ".join(["zoo", *sys.argv[1:]]),
            progress=lambda message: status.update(escape(message)),
        )
        try:
            for report, known in found:
                reports.append(report)
                if not as_json:
                    out.print(verdict(report) + ", as found before" * known, soft_wrap=True)
                    for problem in report.problems:
                        out.print(f"  [red]✗[/red] {escape(problem)}", soft_wrap=True)
        except KeyboardInterrupt:
            err.print("cut short" + "; run it again to go on" * bool(folder))
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
