"""``zoo export``: a model as a program for an inference engine."""

from __future__ import annotations

from pathlib import Path

import click

import zoo
from zoo.cli import completion
from zoo.cli.common import (
    SETTINGS,
    Format,
    entry_option,
    format_option,
    model_argument,
    options,
    origin,
    seed_option,
    size_options,
    weights_option,
)
from zoo.cli.progress import progress
from zoo.cli.terminal import as_options, err, escape, out, print_json
from zoo.errors import InputError
from zoo.files import require_another


@click.command("export", context_settings=SETTINGS)
@model_argument
@click.argument("target", metavar="OUT", type=click.Path(path_type=Path))
@click.option(
    "--to",
    metavar="TARGET",
    help="onnx, openvino, torch, savedmodel, litert, paddle or jax; by default, the suffix of OUT "
    "selects one.",
    shell_complete=completion.completing(completion.targets),
)
@weights_option
@click.option(
    "--backend",
    metavar="NAME",
    help="The framework whose model is exported, and compared with; by default, the target's.",
    shell_complete=completion.completing(completion.backend),
)
@click.option(
    "--preprocess",
    is_flag=True,
    help="Accept RGB from 0 to 255: the program scales, normalizes and orders the channels.",
)
@click.option("--softmax", is_flag=True, help="Return probabilities instead of logits.")
@click.option("--aux", is_flag=True, help="Include the auxiliary heads.")
@click.option(
    "--opset", type=int, help="Version of ONNX's operations in an ONNX file; by default, 21."
)
@click.option("--no-check", is_flag=True, help="Skip the comparison with the model.")
@size_options
@entry_option
@seed_option
@format_option(Format.TABLE, Format.JSON)
@click.pass_context
def export(
    context: click.Context,
    model: str,
    target: Path,
    to: str | None,
    weights: str | None,
    backend: str | None,
    preprocess: bool,
    softmax: bool,
    aux: bool,
    opset: int | None,
    no_check: bool,
    num_classes: int | None,
    in_channels: int | None,
    input_size: str | None,
    entry: str | None,
    seed: int,
    output_format: Format,
) -> None:
    """Write a model as a program that runs without zoo, and compare it with the model.

    MODEL is a name from 'zoo list', or the path of a YAML file. OUT is the file or folder to write:
    .onnx (ONNX), .xml (OpenVINO), .pt2 (PyTorch), .tflite (LiteRT) or .jaxexport (JAX); or a folder
    with --to savedmodel (TensorFlow) or --to paddle (Paddle Inference). The program takes a batch
    of any size.
    """
    from zoo.backend import registry
    from zoo.exporting import places
    from zoo.exporting.export import DifferenceError
    from zoo.weights import loading

    if not target.name:
        raise InputError("OUT: expected the name of a file or folder, got the current folder")
    _, chosen = places.check(target, to)
    chosen.program(check=not no_check).set_opset(opset, None)  # raises before any work
    arguments = options(aux, num_classes, in_channels, input_size)
    name = zoo.graph(model, **arguments).name
    if weights is not None:
        require_another(target, weights)
        loading.check(weights, name, entry=entry)
    backend = registry.resolve(backend or chosen.backend).name
    failed: str | None = None
    with progress() as show:
        show(f"Building {model} in {backend}")
        network = zoo.build(model, backend, **arguments, seed=seed, weights=weights, entry=entry)
        try:
            exported = zoo.export(
                network,
                target,
                to=chosen.name,
                preprocess=preprocess,
                softmax=softmax,
                aux=aux,
                opset=opset,
                check=not no_check,
                progress=show,
            )
        except DifferenceError as error:
            failed = f"[bold red]error:[/] {escape(as_options(str(error)))}"
    if failed:
        err.print(failed, soft_wrap=True)
        context.exit(1)
    stated = dict(exported.graph.origin) if weights else f"untrained, seed {seed}"
    if output_format is Format.JSON:
        print_json({**exported.to_dict(), "backend": backend, "weights": stated})
        return
    out.print(escape(str(exported)), soft_wrap=True)
    out.print(escape(origin(exported.graph) if weights else f"weights: {stated}"), soft_wrap=True)
