"""``zoo verify``: whether the frameworks compute the same values."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

import zoo
from zoo.cli import completion
from zoo.cli.common import (
    MODEL_HELP,
    SETTINGS,
    Format,
    aux_option,
    format_option,
    options,
    output_option,
    scheduler_option,
    seed_option,
    size_options,
    unmatched,
)
from zoo.cli.progress import progress
from zoo.cli.status import advise
from zoo.cli.terminal import check_writable, escape, fail, out, print_json
from zoo.errors import InputError
from zoo.files import write_text


@click.command(
    "verify",
    context_settings=SETTINGS,
    epilog=f"{MODEL_HELP} A pattern such as 'vgg*' verifies every model that matches it. With "
    "--against, it is an ONNX file of another program.",
)
@click.argument(
    "model",
    metavar="[MODEL]",
    required=False,
    shell_complete=completion.models_or_files,
)
@click.option(
    "--all", "every", is_flag=True, help="Verify every model that zoo ships, one after another."
)
@click.option(
    "--against",
    metavar="NETWORK",
    help="Network that the ONNX file MODEL should be: a name from 'zoo list', or a YAML file.",
    shell_complete=completion.models_or_files,
)
@click.option(
    "--names",
    "table",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="With --against: a YAML file of zoo's names of blocks, nodes or parameters, and those of "
    "the arrays in the ONNX file. By default, these must be zoo's, or those of a publisher that "
    "zoo knows.",
)
@click.option(
    "--weights",
    metavar="FILE|SOURCE",
    help="With --against: weights for the network, if those in the ONNX file have lost their "
    "names, for example because batch norms were folded into convolutions.",
    shell_complete=completion.sources_or_files,
)
@aux_option
@size_options
@click.option(
    "--backends",
    metavar="NAMES",
    help="Backends to compare, separated by commas; by default, all that are installed.",
    shell_complete=completion.completing(completion.backends),
)
@click.option(
    "--dtype",
    metavar="DTYPE",
    default="float32",
    show_default=True,
    help="float32 (within 1e-5) or float64 (within 1e-12).",
    shell_complete=completion.completing(completion.dtypes),
)
@click.option(
    "--level",
    metavar="LEVEL",
    default="forward",
    show_default=True,
    help="forward; gradients (also compares gradients); training (also ten training steps); or "
    "full (also other input sizes, compiled execution, precisions, engines and optimizers).",
    shell_complete=completion.completing(completion.levels),
)
@click.option(
    "--shard",
    metavar="N/COUNT",
    help="With --all or a pattern: verify only this part of the models, such as 3/16. All parts "
    "take about the same time.",
)
@click.option(
    "--jobs",
    metavar="N",
    type=click.IntRange(min=1),
    help="With --all or a pattern: how many models to verify at the same time, if they fit into "
    "memory; by default, one after another.",
)
@scheduler_option
@click.option(
    "--image",
    metavar="FILE",
    type=click.Path(),
    help="Photograph to run on; by default, one that zoo ships.",
)
@seed_option
@format_option(Format.TABLE, Format.JSON)
@output_option(
    "PATH",
    "Also write the report to this file, .json or .html; with --against, .json. For several "
    "models, a folder for all reports; a later run resumes there.",
    "save",
)
@click.pass_context
def verify(
    context: click.Context,
    model: str | None,
    every: bool,
    against: str | None,
    table: Path | None,
    weights: str | None,
    aux: bool,
    num_classes: int | None,
    in_channels: int | None,
    input_size: str | None,
    backends: str | None,
    dtype: str,
    level: str,
    shard: str | None,
    jobs: int | None,
    scheduler: str | None,
    image: str | None,
    seed: int,
    output_format: Format,
    save: Path | None,
) -> None:
    """Verify that the frameworks compute the same values at every node.

    With --against, verify instead that an ONNX file of another program computes a network. The exit
    status is 1 if a comparison fails.
    """
    from zoo.language.catalog import is_pattern
    from zoo.verification.foreign.verify import verify_file
    from zoo.verification.rendering import page

    as_json = output_format is Format.JSON
    names = None if backends is None else [name.strip() for name in backends.split(",")]
    if names and not all(names):
        raise InputError(
            f"--backends: expected names separated by commas, such as torch,flax, got {backends!r}"
        )
    settings: dict[str, Any] = {"backends": names, "dtype": dtype, "level": level, "seed": seed}
    arguments = options(aux, num_classes, in_channels, input_size)
    if against:
        settings = {"--all": every, "--backends": backends, "--level": level != "forward"}
        settings |= {"--dtype": dtype != "float32", "--seed": seed}
        settings |= {"--shard": shard, "--jobs": jobs, "--scheduler": scheduler}
        _check_file(model, settings)
        if table and weights:
            raise InputError("--names is for the file's own weights: leave out either")
        if save:
            check_writable(save, ".json")
        with progress() as show:
            found = verify_file(
                str(model),
                against,
                names=table,
                weights_from=weights,
                image=image,
                progress=show,
                **arguments,
            )
        _show(context, found, as_json, save)
        return
    if table or weights:
        raise InputError("--names and --weights are for an ONNX file: add --against NETWORK")
    if model and Path(model).suffix.lower() == ".onnx":
        raise InputError(
            f"{model}: an ONNX file; state which network it should be: --against NETWORK"
        )
    if every or (model and is_pattern(model)):
        for_one_model: dict[str, Any] = {
            "--aux": aux,
            "--image": image,
            "--num-classes": num_classes,
            "--in-channels": in_channels,
            "--input-size": input_size,
        }
        if given := [option for option, value in for_one_model.items() if value]:
            raise InputError(
                f"{given[0]} is for one model; several are verified as their specs define them"
            )
        where = {"shard": _shard(shard), "count": jobs, "scheduler": scheduler}
        _verify_all(context, model, save, as_json, settings, where)
        return
    for_several = {"--shard": shard, "--jobs": jobs, "--scheduler": scheduler}
    if given := [option for option, value in for_several.items() if value is not None]:
        raise InputError(f"{given[0]} is for several models: add --all, or give a pattern")
    if model is None:
        known = "a name from 'zoo list', a pattern such as 'vgg*', a YAML file, or --all"
        raise InputError(f"which model? Give {known}.")
    if save:
        check_writable(save, ".json", ".html")
    if save and save.suffix.lower() == ".html":
        page.check()
    with progress() as show:
        report = zoo.verify(model, **arguments, **settings, image=image, progress=show)
    _show(context, report, as_json, save)


def _check_file(model: str | None, settings: dict[str, Any]) -> None:
    if model is None:
        raise InputError("which file? Give the ONNX file that --against is for.")
    if given := [option for option, value in settings.items() if value]:
        raise InputError(
            f"{given[0]} does not apply to an ONNX file; leave out either it or --against"
        )


def _show(context: click.Context, report: Any, as_json: bool, save: Path | None) -> None:
    """Print a report and write it to a file; the exit status tells whether it passed."""
    as_text = json.dumps(report.to_dict(), indent=2) + "\n"
    print(as_text, end="") if as_json else out.print(report)
    if save:
        write_text(save, report.to_html() if save.suffix.lower() == ".html" else as_text)
    if not report.passed:
        context.exit(1)


def _shard(text: str | None) -> tuple[int, int] | None:
    from zoo.verification.cost import parsed

    found = None if text is None else parsed(text)
    if text is not None and found is None:
        raise InputError(f"--shard: expected a part such as 3/16, got {text!r:.100}")
    return found


def _verify_all(
    context: click.Context,
    pattern: str | None,
    folder: Path | None,
    as_json: bool,
    settings: dict[str, Any],
    where: dict[str, Any],
) -> None:
    from zoo.verification.all_models import verify_all
    from zoo.verification.executors import executor
    from zoo.verification.rendering.terminal import verdict

    names = zoo.list_models(pattern)
    if not names:
        fail(unmatched(pattern or "*"))
    if folder and folder.suffix.lower() in (".json", ".html"):
        raise InputError(f"--output: expected a folder for several reports, got {folder.name!r}")
    if folder:
        advise("run the same command to resume")
    reports = []
    with progress() as show, executor(where["count"], where["scheduler"], settings) as chosen:
        results = verify_all(
            names,
            folder,
            **settings,
            shard=where["shard"],
            executor=chosen,
            command=" ".join(["zoo", *sys.argv[1:]]),
            progress=show,
        )
        for report, cached in results:
            reports.append(report)
            if not as_json:
                out.print(verdict(report) + ", from an earlier run" * cached, soft_wrap=True)
                for problem in report.problems:
                    out.print(f"  [red]✗[/red] {escape(problem)}", soft_wrap=True)
    passed = sum(report.passed for report in reports)
    if as_json:
        print_json([report.to_dict() for report in reports])
    else:
        out.print(f"{passed} of {len(reports)} models pass")
    if folder and not as_json:
        out.print(escape(f"{folder / 'index.html'}"), soft_wrap=True)
    if passed < len(reports):
        context.exit(1)
