"""What several commands share: their arguments, and the origin of weights in words."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zoo.cli import completion
from zoo.errors import InputError

if TYPE_CHECKING:
    from zoo.graphs.graph import Graph

MODEL_HELP = "A name from 'zoo list', or a YAML file."

Model = Annotated[
    str, typer.Argument(metavar="MODEL", help=MODEL_HELP, autocompletion=completion.models)
]
Aux = Annotated[bool, typer.Option("--aux", help="Include the auxiliary heads.")]
Classes = Annotated[
    int | None, typer.Option("--num-classes", help="Number of outputs of the classifier.")
]
Channels = Annotated[
    int | None, typer.Option("--in-channels", help="Number of channels of the input.")
]
Size = Annotated[
    str | None, typer.Option("--input-size", metavar="N|HxW", help="Size of the input in pixels.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Depth = Annotated[int, typer.Option("--depth", min=1, help="How many levels of blocks to open.")]
All = Annotated[bool, typer.Option("--all", help="Open every block.")]
Seed = Annotated[int, typer.Option("--seed", help="Random seed for the weights.")]


class Format(StrEnum):
    """The format that a table is printed in."""

    TABLE = "table"
    MARKDOWN = "markdown"
    CSV = "csv"
    JSON = "json"


Form = Annotated[Format | None, typer.Option("--format", help="Format of the table.")]
JsonToo = Annotated[bool, typer.Option("--json", help="Short for --format json.")]


def format_of(form: Format | None, as_json: bool) -> Format:
    """Return the format that ``--format`` and ``--json`` ask for.

    Raises:
        InputError: They contradict each other.
    """
    if as_json and form not in (None, Format.JSON):
        raise InputError(f"--json and --format {form}: give one of them")
    return Format.JSON if as_json else form or Format.TABLE


def options(
    aux: bool, num_classes: int | None, in_channels: int | None, input_size: str | None
) -> dict[str, Any]:
    """Return the options of a network as the arguments of :func:`zoo.graph`.

    Raises:
        InputError: ``input_size`` is not a size.
    """
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
        raise InputError(
            f"--input-size: expected a number such as 224, or 240x320, got {text!r:.200}"
        )
    return (int(height), int(width)) if by else int(height)


def origin(graph: Graph) -> str:
    """Return where the weights of a network came from, in words."""
    known = [graph.origin[key] for key in ("source", "file", "licence") if graph.origin.get(key)]
    return f"weights: {'; '.join(known)}" if known else "weights: from a file that zoo saved"
