"""``zoo predict``: the classes of a photograph."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import zoo
from zoo.cli import completion
from zoo.cli.common import Channels, Classes, Json, Seed, Size, options, origin
from zoo.cli.progress import progress
from zoo.cli.terminal import escape, out, print_json
from zoo.errors import InputError

if TYPE_CHECKING:
    from zoo.graphs.graph import Graph


def predict(
    image: Annotated[Path, typer.Argument(metavar="IMAGE", help="A photograph.")],
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            help="A name from 'zoo list', or a YAML file; not needed if the weights' file names "
            "it.",
            autocompletion=completion.models,
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            "--weights",
            metavar="FILE|SOURCE",
            help="A file of weights, zoo's own or a publisher's, or a source such as "
            "'torchvision'. Without it the model is untrained.",
            autocompletion=completion.sources,
        ),
    ] = None,
    backend: Annotated[
        str | None,
        typer.Option(
            "--backend",
            help="The framework to run in; by default the first one installed.",
            autocompletion=completion.backend,
        ),
    ] = None,
    num_classes: Classes = None,
    in_channels: Channels = None,
    input_size: Size = None,
    count: Annotated[int, typer.Option("--top", min=1, help="How many classes to show.")] = 5,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Classify a photograph."""
    if not (model or weights):
        raise InputError("which model? Give --model, or --weights with a file that knows its own")
    chosen = options(False, num_classes, in_channels, input_size)
    backend = backend or next(iter(zoo.list_backends()), "torch")
    with progress(f"running {model or weights} in {backend}"):
        if model:
            network = zoo.build(model, backend, **chosen, seed=seed, weights=weights)
        else:
            network = zoo.load(str(weights), backend, **chosen, seed=seed)
        outputs = zoo.predict(network, zoo.preprocess(image, network))
    graph = zoo.graph_of(network)
    logits = outputs[graph.outputs[0].name] if isinstance(outputs, dict) else outputs
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
        out.print(escape(origin(graph)), soft_wrap=True)
    else:
        out.print(f"untrained weights, seed {seed}: the classes mean nothing")


def _classes(logits: Any, graph: Graph, count: int, with_names: bool) -> list[dict[str, Any]]:
    """Return the classes with the largest logits, named where the weights give them a meaning."""
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
    from rich.table import Table

    table = Table()
    for heading in rows[0]:
        table.add_column(heading, justify="left" if heading == "name" else "right")
    for row in rows:
        cells = (f"{v:.4f}" if isinstance(v, float) else str(v) for v in row.values())
        table.add_row(*map(escape, cells))
    out.print(table)
