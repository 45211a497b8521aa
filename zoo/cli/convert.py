"""``zoo convert``: weights in another file format."""

from __future__ import annotations

from pathlib import Path

import click

from zoo.cli import completion
from zoo.cli.common import (
    SETTINGS,
    Format,
    entry_option,
    format_option,
    options,
    origin,
    size_options,
)
from zoo.cli.progress import progress
from zoo.cli.terminal import check_writable, escape, out, print_json


@click.command("convert", context_settings=SETTINGS)
@click.argument("source", metavar="WEIGHTS", shell_complete=completion.sources_or_files)
@click.argument("target", metavar="TARGET", type=click.Path(path_type=Path))
@click.option(
    "--model",
    metavar="MODEL",
    help="Model of the weights: a name from 'zoo list', or a YAML file. Not needed if the "
    "weights identify it.",
    shell_complete=completion.models_or_files,
)
@click.option(
    "--aux/--no-aux",
    default=None,
    help="Keep or drop the auxiliary heads. By default, keep those that the file has.",
)
@size_options
@click.option(
    "--head",
    metavar="new",
    help="'new' to replace the classifier with one that has new random weights.",
    shell_complete=completion.completing(completion.heads),
)
@click.option(
    "--stem",
    metavar="adapt",
    help="'adapt' to sum or repeat the first layer's weights for other --in-channels.",
    shell_complete=completion.completing(completion.stems),
)
@entry_option
@format_option(Format.TABLE, Format.JSON)
def convert(
    source: str,
    target: Path,
    model: str | None,
    aux: bool | None,
    num_classes: int | None,
    in_channels: int | None,
    input_size: str | None,
    head: str | None,
    stem: str | None,
    entry: str | None,
    output_format: Format,
) -> None:
    """Convert weights to another file format.

    WEIGHTS is a file, or a source to download from, such as 'torchvision'. TARGET is the file to
    write. Its suffix chooses the format: .safetensors for all frameworks, .pth for PyTorch,
    .pdparams for PaddlePaddle, .keras for Keras, .msgpack for Flax, or .onnx.
    """
    from zoo.api import conversion

    check_writable(target, argument="TARGET")
    arguments = options(False, num_classes, in_channels, input_size)
    arguments |= {"aux": aux, "head": head, "stem": stem, "entry": entry}
    with progress() as show:
        graph, dtype = conversion.convert_file(
            source,
            target,
            model,
            **arguments,
            begin=lambda: show(f"Converting {source} to {target}"),
        )
    result = {
        "model": graph.name,
        "aux": graph.options["aux"],
        "parameters": graph.num_parameters,
        "arrays": len(graph.parameters),
        "dtype": dtype,
        "from": dict(graph.origin),
        "to": str(target),
    }
    if output_format is Format.JSON:
        print_json(result)
        return
    heads = " with auxiliary heads" if graph.options["aux"] else ""
    out.print(
        f"{escape(graph.name)}{heads}: {len(graph.parameters)} arrays of {dtype}, "
        f"{graph.num_parameters:,} parameters, in {escape(str(target))}",
        soft_wrap=True,
    )
    out.print(escape(origin(graph)), soft_wrap=True)
