"""``zoo bench``: how fast the frameworks run a network, and how much memory they need."""

from __future__ import annotations

import re
import shlex
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import zoo
from zoo.cli import completion
from zoo.cli.common import (
    MODEL_HELP,
    SETTINGS,
    Format,
    format_option,
    output_option,
    scheduler_option,
    size,
)
from zoo.cli.progress import progress
from zoo.cli.status import INTERRUPTED
from zoo.cli.terminal import check_writable, err, escape, out
from zoo.errors import InputError
from zoo.files import require_another, write_text

if TYPE_CHECKING:
    from zoo.views.benchmark.report import Benchmark

_TIME = re.compile(r"(\d+(?:\.\d+)?)(s|m|h)?")
_UNITS = {"s": 1, "m": 60, "h": 3600, None: 1}


@click.command("bench", context_settings=SETTINGS, epilog=MODEL_HELP)
@click.argument("models", metavar="MODEL...", nargs=-1, shell_complete=completion.models_or_files)
@click.option(
    "--backends",
    metavar="NAMES",
    help="Backends, separated by commas; by default, all that are installed.",
    shell_complete=completion.completing(completion.backends),
)
@click.option("--modes", metavar="NAMES", help="Such as eager,torch.compile; by default, all.")
@click.option("--devices", metavar="NAMES", help="cpu, cuda; by default, what there is.")
@click.option(
    "--dtypes",
    metavar="NAMES",
    default="float32",
    show_default=True,
    help="float32, bfloat16.",
)
@click.option("--batch", metavar="N,...", default="1", show_default=True, help="Images at once.")
@click.option(
    "--what",
    metavar="NAMES",
    default="forward",
    show_default=True,
    help="forward, gradients, train (a step of training). What happens once in a process is always "
    "measured: import, build, weights, first (call).",
)
@click.option("--input-size", metavar="N|HxW", help="Size of the input in pixels.")
@click.option("--threads", type=int, help="Of every framework; by default, all processors.")
@click.option(
    "--rounds", type=int, default=5, show_default=True, help="New processes of each cell."
)
@click.option(
    "--until", metavar="SHARE", help="Go on until the intervals are so narrow, such as 3%."
)
@click.option("--budget", metavar="TIME", help="Start no process after this time, such as 20m.")
@click.option("--baseline", metavar="NAME", help="What ratios refer to: torch, or torch:eager.")
@click.option("--seed", default=0, show_default=True, help="Random seed of weights and order.")
@scheduler_option
@click.option(
    "--against",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The JSON file of an earlier benchmark to compare with.",
)
@format_option(Format.TABLE, Format.JSON, Format.CSV)
@output_option(
    "FILE",
    "Also write the benchmark to this file, .html, .csv or .json; can be given several times. "
    "The JSON file is written in any case, beside the others, after each round.",
    "saved",
    multiple=True,
)
@click.pass_context
def bench(
    context: click.Context,
    models: tuple[str, ...],
    backends: str | None,
    modes: str | None,
    devices: str | None,
    dtypes: str,
    batch: str,
    what: str,
    input_size: str | None,
    threads: int | None,
    rounds: int,
    until: str | None,
    budget: str | None,
    baseline: str | None,
    seed: int,
    scheduler: str | None,
    against: Path | None,
    output_format: Format,
    saved: tuple[Path, ...],
) -> None:
    """Time models in the frameworks, each held to the reference before it has a time.

    Every cell runs in new processes, in random order. The exit status is 1 if a cell has no time,
    because its results differ from the reference or it was timed unfairly. With --scheduler, each
    machine of the cluster measures whole rounds, and does nothing else meanwhile.
    """
    from zoo.benchmarking.against import compare, remarks
    from zoo.benchmarking.results import Results
    from zoo.views.benchmark import page
    from zoo.views.benchmark.terminal import render

    if not models:
        raise InputError("which models? Give names from 'zoo list', or YAML files")
    old = None if against is None else Results.read(against)
    keep = _checked(saved)
    if against is not None:
        for path in {*saved, *([keep] if keep else [])}:
            require_another(path, against)
    if any(path.suffix.lower() == ".html" for path in saved):
        page.check()
    with progress() as show:
        found = zoo.bench(
            models,
            backends=_names("--backends", backends),
            modes=_names("--modes", modes),
            devices=_names("--devices", devices),
            dtypes=_names("--dtypes", dtypes) or [],
            batch=_numbers(batch),
            what=_names("--what", what) or [],
            input_size=size(input_size),
            threads=threads,
            rounds=rounds,
            until=_share(until),
            budget=_time(budget),
            baseline=baseline,
            seed=seed,
            scheduler=scheduler,
            keep=keep,
            command=shlex.join(["zoo", *sys.argv[1:]]),
            progress=show,
        )
    changes: Any = ()
    others: tuple[str, ...] = ()
    if old is not None:
        others = remarks(found, old)
        try:
            changes = compare(found, old)
        except InputError as error:  # what was measured is shown all the same
            err.print(escape(f"--against: {error}"), soft_wrap=True)
    if output_format is Format.JSON:
        print(found.to_json(), end="")
    elif output_format is Format.CSV:
        print(found.to_csv(), end="")
    else:
        out.print(render(found, changes, others))
    _write(found, saved, keep, lambda: found.to_html(changes, others))
    if found.interrupted:
        context.exit(INTERRUPTED)
    if not found.passed:
        context.exit(1)


def _checked(saved: tuple[Path, ...]) -> Path | None:
    """Check files to write, and return the JSON file that stands beside them."""
    for path in saved:
        check_writable(path, ".html", ".csv", ".json")
    given = [path for path in saved if path.suffix.lower() == ".json"]
    if given or not saved:
        return given[0] if given else None
    beside = saved[0].with_suffix(".json")
    check_writable(beside)
    return beside


def _write(found: Benchmark, saved: tuple[Path, ...], keep: Path | None, html: Any) -> None:
    """Write all files; if one cannot be written, the figures go to the temporary folder."""
    texts = {".html": html, ".csv": found.to_csv, ".json": found.to_json}
    failed: InputError | None = None
    for path in dict.fromkeys([*([keep] if keep else []), *saved]):
        try:
            write_text(path, texts[path.suffix.lower()]())
        except InputError as error:
            failed = failed or error
    if failed is not None:
        rescue = Path(tempfile.mkdtemp(prefix="zoo-bench-")) / "bench.json"
        write_text(rescue, found.to_json())
        err.print(escape(f"the figures are in {rescue}"), soft_wrap=True)
        raise failed


def _names(option: str, text: str | None) -> list[str] | None:
    if text is None:
        return None
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise InputError(f"{option}: expected names separated by commas, got {text!r:.100}")
    return names


def _numbers(text: str) -> list[int]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and len(part) < 7 for part in parts):
        raise InputError(f"--batch: expected numbers separated by commas, got {text!r:.100}")
    return [int(part) for part in parts]


def _share(text: str | None) -> float | None:
    if text is None:
        return None
    number, percent = text.removesuffix("%"), text.endswith("%")
    try:
        return float(number) / (100 if percent else 1)
    except ValueError:
        raise InputError(f"--until: expected a share such as 3%, got {text!r:.100}") from None


def _time(text: str | None) -> float | None:
    if text is None:
        return None
    match = _TIME.fullmatch(text)
    if match is None:
        raise InputError(f"--budget: expected a time such as 90s, 20m or 1h, got {text!r:.100}")
    return float(match[1]) * _UNITS[match[2]]
