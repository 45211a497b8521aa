"""``zoo predict``: the classes of a photograph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

import zoo
from zoo.cli import completion
from zoo.cli.common import (
    SETTINGS,
    Format,
    entry_option,
    format_option,
    options,
    origin,
    seed_option,
    size_options,
    weights_option,
)
from zoo.cli.progress import progress
from zoo.cli.terminal import escape, out, print_json
from zoo.errors import InputError

if TYPE_CHECKING:
    from zoo.graphs.graph import Graph
    from zoo.views.tables import Table


@click.command("predict", context_settings=SETTINGS)
@click.argument("image", metavar="IMAGE", type=click.Path())
@click.option(
    "--model",
    metavar="MODEL",
    help="Model to run: a name from 'zoo list', or a YAML file. Not needed if the weights identify "
    "it.",
    shell_complete=completion.models_or_files,
)
@weights_option
@click.option(
    "--backend",
    metavar="NAME",
    help="Framework to run the model in; by default, the first one that is installed.",
    shell_complete=completion.completing(completion.backend),
)
@size_options
@entry_option
@click.option(
    "--top",
    "count",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="Number of classes to show.",
)
@seed_option
@format_option(Format.TABLE, Format.JSON)
def predict(
    image: str,
    model: str | None,
    weights: str | None,
    backend: str | None,
    num_classes: int | None,
    in_channels: int | None,
    input_size: str | None,
    entry: str | None,
    count: int,
    seed: int,
    output_format: Format,
) -> None:
    """Classify a photograph.

    IMAGE is a file in any format that Pillow reads.
    """
    if not (model or weights):
        raise InputError(
            "which model? Give --model, or --weights with a file that names its model."
        )
    arguments = options(False, num_classes, in_channels, input_size)
    backend = backend or next(iter(zoo.list_backends()), "torch")  # frameworks come first
    with progress() as show:
        _check(image, model, weights, backend, arguments)
        show(f"Running {model or weights} in {backend}")
        if model:
            network = zoo.build(
                model, backend, **arguments, seed=seed, weights=weights, entry=entry
            )
        else:
            network = zoo.load(str(weights), backend, **arguments, seed=seed, entry=entry)
        outputs = zoo.predict(network, zoo.preprocess(image, network))
    graph = zoo.graph_of(network)
    if graph.options["num_classes"] == 0:
        raise InputError(f"this {graph.name} has no classifier, so there are no classes to show")
    logits = outputs[graph.outputs[0].name] if isinstance(outputs, dict) else outputs
    classes = _classes(logits, graph, count, with_names=weights is not None)
    result = {
        "model": graph.name,
        "backend": backend,
        "image": image,
        "weights": dict(graph.origin) if weights else f"untrained, seed {seed}",
        "top": classes,
    }
    if output_format is Format.JSON:
        print_json(result)
        return
    from rich.text import Text

    from zoo.views import text

    table = _table(f"{graph.name} in {backend}, on {image}", classes)
    out.print(Text(text.render([table], out.width)), soft_wrap=True)
    if weights:
        out.print(escape(origin(graph)), soft_wrap=True)
    else:
        out.print(f"untrained weights, seed {seed}: the classes are meaningless")


def _check(
    image: str, model: str | None, weights: str | None, backend: str, arguments: dict[str, Any]
) -> None:
    """Check what needs no framework, before the work is announced."""
    from zoo.backend import registry
    from zoo.data import images
    from zoo.weights import loading

    registry.resolve(backend)
    name = zoo.graph(model, **arguments).name if model else None
    if weights is not None:
        loading.check(weights, name)
    images.check(image)


def _classes(logits: Any, graph: Graph, count: int, with_names: bool) -> list[dict[str, Any]]:
    """Return the classes with the largest outputs, with names if the weights are pretrained."""
    import numpy as np

    from zoo.verification.comparison import top

    values = logits[0].reshape(-1).astype(np.float64)
    has_softmax = graph.output_nodes[graph.outputs[0].name].op == "softmax"
    probabilities = values if has_softmax else np.exp(values - values.max())
    probabilities = probabilities / probabilities.sum()
    rows: list[dict[str, Any]] = []
    for i in top(logits, count):
        row: dict[str, Any] = {"class": i}
        if with_names and graph.classes:
            row["name"] = graph.classes[i]
        if with_names or has_softmax:
            row["probability"] = float(probabilities[i])
        if not has_softmax:
            row["logit"] = float(values[i])
        rows.append(row)
    return rows


def _table(title: str, rows: list[dict[str, Any]]) -> Table:
    from zoo.views.tables import Column, Table

    columns = [Column(heading, heading != "name", heading == "name") for heading in rows[0]]
    cells = (
        tuple(f"{v:.4f}" if isinstance(v, float) else str(v) for v in row.values()) for row in rows
    )
    return Table(title, tuple(columns), tuple(cells))
