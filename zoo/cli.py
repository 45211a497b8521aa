"""The command line: list, summary, diff, verify, predict, convert.

Exit status: 0 all is right, 1 a comparison failed, 2 a user's mistake.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

import zoo
from zoo.errors import InputError
from zoo.terminal import check_writable, err, fail, out, print_json, run, write

app = typer.Typer(
    name="zoo",
    help="One architecture spec, four frameworks, provably the same network.",
    epilog="A MODEL is a name from 'zoo list' or the path of a YAML file of your own.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Model = Annotated[str, typer.Argument(help="A name from 'zoo list', or a YAML file.")]
Aux = Annotated[bool, typer.Option("--aux", help="With the auxiliary heads.")]
Classes = Annotated[int | None, typer.Option("--num-classes", help="Outputs of the classifier.")]
Channels = Annotated[int | None, typer.Option("--in-channels", help="Channels of the input.")]
Size = Annotated[
    str | None, typer.Option("--input-size", metavar="N|HxW", help="Of the input, in pixels.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Weights = Annotated[
    str | None,
    typer.Option(
        "--weights",
        metavar="FILE|SOURCE",
        help="A file of weights, zoo's own or a publisher's, or a source such as 'torchvision'.",
    ),
]
Seed = Annotated[int, typer.Option("--seed", help="Of the weights.")]


def main() -> None:
    """Run the command line."""
    run(app)


@app.command("list")
def list_(
    pattern: Annotated[str | None, typer.Argument(help="Only these, such as 'vgg*'.")] = None,
    as_json: Json = False,
) -> None:
    """List the models, with their parameters and multiply-accumulates."""
    names = zoo.list_models(pattern)
    if pattern and not names:
        fail(f"no model matches {pattern!r}; 'zoo list' shows them all")
    rows = [_listed(name) for name in names]
    if as_json:
        print_json(rows)
        return
    table = Table()
    for heading in ("model", "parameters", "MACs", "about"):
        right = heading in ("parameters", "MACs")
        table.add_column(heading, justify="right" if right else "left", no_wrap=heading != "about")
    for i, row in enumerate(rows):
        figures = (f"{row['parameters']:,}", f"{row['macs']:,}")
        last = i + 1 == len(rows) or rows[i + 1]["family"] != row["family"]
        table.add_row(row["model"], *figures, row["about"], end_section=last)
    out.print(table)
    papers = {f"{r['paper']} ({r['year']}), {r['url']}": r["title"] for r in rows if r["paper"]}
    for paper, title in papers.items():
        out.print(f"{title}: {paper}", soft_wrap=True)


@app.command()
def summary(
    model: Model,
    aux: Aux = False,
    num_classes: Classes = None,
    in_channels: Channels = None,
    input_size: Size = None,
    depth: Annotated[
        int, typer.Option("--depth", min=1, help="How many levels of blocks to open.")
    ] = 1,
    every_layer: Annotated[bool, typer.Option("--all", help="Open every block.")] = False,
    as_json: Json = False,
) -> None:
    """Show a model's blocks: shapes, parameters and MACs, beside what its paper states."""
    graph = zoo.graph(model, **_options(aux, num_classes, in_channels, input_size))
    found = graph.summary(None if every_layer else depth)
    if as_json:
        print_json(found.to_dict())
    else:
        out.print(found)


@app.command()
def diff(
    old: Annotated[str, typer.Argument(metavar="MODEL", help="A name, or a YAML file.")],
    new: Annotated[str, typer.Argument(metavar="MODEL", help="Another.")],
    aux: Aux = False,
    num_classes: Classes = None,
    in_channels: Channels = None,
    input_size: Size = None,
    as_json: Json = False,
) -> None:
    """Show what two models differ in, node by node; the exit status is 1 if they do."""
    found = zoo.diff(old, new, **_options(aux, num_classes, in_channels, input_size))
    if as_json:
        print_json(found.to_dict())
    else:
        out.print(found)
    if found:
        raise typer.Exit(1)


@app.command()
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
    from zoo.verification import page

    names = None if backends is None else [name.strip() for name in backends.split(",")]
    asked: dict[str, Any] = {"backends": names, "dtype": dtype, "level": level, "seed": seed}
    options = _options(aux, num_classes, in_channels, input_size)
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
            **options,
            **asked,
            image=image,
            progress=lambda message: status.update(escape(message)),
        )
    found = json.dumps(report.to_dict(), indent=2) + "\n"
    print(found, end="") if as_json else out.print(report)
    if save:
        write(save, report.to_html() if save.suffix == ".html" else found)
    if not report.passed:
        raise typer.Exit(1)


def _verify_all(
    pattern: str | None, folder: Path | None, as_json: bool, asked: dict[str, Any]
) -> None:
    from zoo.verification.everything import verify_all
    from zoo.verification.terminal import verdict

    names = zoo.list_models(pattern)
    if not names:
        fail(f"no model matches {pattern!r}; 'zoo list' shows them all")
    reports = []
    with err.status("reading the specs") as status:
        found = verify_all(
            names,
            folder,
            **asked,
            command=" ".join(["zoo", *sys.argv[1:]]),
            progress=lambda message: status.update(escape(message)),
        )
        for report, known in found:
            reports.append(report)
            if not as_json:
                out.print(verdict(report) + ", as found before" * known, soft_wrap=True)
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
        raise typer.Exit(1)


@app.command()
def predict(
    image: Annotated[Path, typer.Argument(help="A photograph.")],
    model: Annotated[
        str | None,
        typer.Option("--model", help="A name, or a YAML file; not needed where FILE knows."),
    ] = None,
    weights: Weights = None,
    backend: Annotated[
        str | None,
        typer.Option("--backend", help="The framework; the first installed if not given."),
    ] = None,
    num_classes: Classes = None,
    in_channels: Channels = None,
    input_size: Size = None,
    count: Annotated[int, typer.Option("--top", min=1, help="How many classes to show.")] = 5,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Say what a model sees in a photograph; without weights, run it untrained."""
    options = _options(False, num_classes, in_channels, input_size)
    backend = backend or next(iter(zoo.list_backends()), "torch")
    with err.status(escape(f"{model or weights or 'googlenet'} in {backend}")):
        if weights and not model:
            network = zoo.load(weights, backend, **options, seed=seed)
        else:
            network = zoo.build(
                model or "googlenet", backend, **options, seed=seed, weights=weights
            )
        found = zoo.predict(network, zoo.preprocess(image, network))
    graph = zoo.graph_of(network)
    logits = found[graph.outputs[0].name] if isinstance(found, dict) else found
    classes = _classes(logits, graph, count, with_names=weights is not None)
    result = {
        "model": graph.name,
        "backend": backend,
        "image": str(image),
        "weights": dict(graph.origin) if weights else f"untrained, seed {seed}",
        "top": classes,
    }
    if as_json:
        print_json(result)
        return
    out.print(f"[italic]{escape(f'{graph.name} in {backend}, on {image}')}[/]")
    _print_classes(classes)
    if weights:
        out.print(escape(_origin(graph)), soft_wrap=True)
    else:
        out.print(f"untrained weights of seed {seed}: the classes mean nothing yet")


@app.command()
def convert(
    source: Annotated[
        str,
        typer.Argument(
            metavar="WEIGHTS", help="A file of weights, or a source such as 'torchvision'."
        ),
    ],
    target: Annotated[
        Path,
        typer.Argument(
            help="What to write: .safetensors for any framework; .pth, .pdparams, .keras or "
            ".msgpack (Flax) for one."
        ),
    ],
    model: Annotated[
        str | None,
        typer.Option("--model", help="A name, or a YAML file; not needed where the file knows."),
    ] = None,
    aux: Annotated[
        bool | None,
        typer.Option("--aux/--no-aux", help="With the auxiliary heads; if there are any."),
    ] = None,
    num_classes: Classes = None,
    in_channels: Channels = None,
    input_size: Size = None,
    as_json: Json = False,
) -> None:
    """Put weights into another form: zoo's own, or a framework's."""
    from zoo.checkpoints import conversion

    check_writable(target, "TARGET")
    with err.status(escape(f"{source} to {target}")):
        options = _options(False, num_classes, in_channels, input_size)
        graph, dtype = conversion.convert(source, target, model, **{**options, "aux": aux})
    result = {
        "model": graph.name,
        "aux": graph.options["aux"],
        "parameters": graph.num_parameters,
        "arrays": len(graph.parameters),
        "dtype": dtype,
        "from": dict(graph.origin),
        "to": str(target),
    }
    if as_json:
        print_json(result)
        return
    heads = " with auxiliary heads" if graph.options["aux"] else ""
    out.print(
        f"{escape(graph.name)}{heads}: {len(graph.parameters)} arrays of {dtype}, "
        f"{graph.num_parameters:,} parameters, in {escape(str(target))}",
        soft_wrap=True,
    )
    out.print(escape(_origin(graph)), soft_wrap=True)


@app.callback(invoke_without_command=True)
def _version(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        out.print(zoo.__version__)
        raise typer.Exit


def _classes(logits: Any, graph: zoo.Graph, count: int, with_names: bool) -> list[dict[str, Any]]:
    """The classes with the largest logits; with their names where those mean something."""
    import numpy as np

    from zoo.verification.comparison import top

    values = logits[0].reshape(-1).astype(np.float64)
    shares = np.exp(values - values.max())
    shares /= shares.sum()
    rows: list[dict[str, Any]] = []
    for i in top(logits, count):
        row: dict[str, Any] = {"class": i}
        if with_names and graph.classes:
            row["name"] = graph.classes[i]
        if with_names:
            row["probability"] = float(shares[i])
        rows.append({**row, "logit": float(values[i])})
    return rows


def _print_classes(rows: list[dict[str, Any]]) -> None:
    table = Table()
    for heading in rows[0]:
        table.add_column(heading, justify="left" if heading == "name" else "right")
    for row in rows:
        cells = (f"{v:.4f}" if isinstance(v, float) else str(v) for v in row.values())
        table.add_row(*map(escape, cells))
    out.print(table)


def _origin(graph: zoo.Graph) -> str:
    """Where weights came from, in words."""
    known = [graph.origin[key] for key in ("source", "file", "licence") if graph.origin.get(key)]
    return f"weights: {'; '.join(known)}" if known else "weights: of a file that zoo saved"


def _listed(name: str) -> dict[str, Any]:
    graph = zoo.graph(name)
    paper = graph.about["paper"]
    return {
        "model": name,
        "family": graph.about["family"],
        "title": graph.about["title"],
        "about": graph.about["about"],
        "input_shape": list(graph.input_shape),
        "parameters": graph.num_parameters,
        "macs": graph.macs,
        "year": paper.get("year"),
        "paper": paper.get("title", ""),
        "url": paper.get("url"),
    }


def _options(
    aux: bool, num_classes: int | None, in_channels: int | None, input_size: str | None
) -> dict[str, Any]:
    return {
        "aux": aux,
        "num_classes": num_classes,
        "in_channels": in_channels,
        "input_size": _size(input_size),
    }


def _size(text: str | None) -> int | tuple[int, int] | None:
    if text is None:
        return None
    height, by, width = text.lower().partition("x")
    sides = [height, width] if by else [height]
    if not all(side.isdecimal() and len(side) < 7 for side in sides):
        raise InputError(f"--input-size: expected a number such as 224, or 240x320, got {text!r}")
    return (int(height), int(width)) if by else int(height)
