"""Matches the input and the outputs of an ONNX file with those of a network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from zoo.errors import InputError
from zoo.graphs.graph import Graph
from zoo.graphs.shapes import text_of
from zoo.verification.comparison import Array
from zoo.weights.checking import shown
from zoo.weights.reading.onnx_file import Contents, Value

_FLOAT = 1  # ONNX's number of float32
_CHANNELS = (1, 3, 4)  # numbers of channels by which an undeclared layout is told


@dataclass(frozen=True)
class Input:
    """The input of a file.

    Attributes:
        name: Its name.
        declared: Its shape as the file states it, for a report.
        channels_last: Whether it is [N, H, W, C].
        batch: The number of examples that the file states; None if it is free.
        channels: The same for channels.
        size: The same for height and width.
    """

    name: str
    declared: str
    channels_last: bool
    batch: int | None
    channels: int | None
    size: tuple[int, int] | None

    def native(self, x: Array) -> Array:
        """Return an input [N, C, H, W] in the layout of the file."""
        return np.ascontiguousarray(x.transpose(0, 2, 3, 1)) if self.channels_last else x


def input_of(contents: Contents, title: str) -> Input:
    """Return the only input of a file.

    Raises:
        InputError: It has several, or one that is no image.
    """
    given = [value for value in contents.inputs if value.name not in contents.tensors]
    if len(given) != 1:
        names = ", ".join(shown(value.name) for value in given) or "none"
        raise InputError(f"{title}: expected one input, an image; its inputs are: {names}")
    (value,) = given
    if value.dtype != _FLOAT:
        raise InputError(
            f"{title}: its input {shown(value.name)} is not float32; zoo compares files that "
            "compute in float32"
        )
    if value.shape is None or len(value.shape) != 4:
        raise InputError(
            f"{title}: expected an input [N, C, H, W] or [N, H, W, C], got "
            f"{shown(value.name)} {_declared(value)}"
        )
    batch, *rest = value.shape
    last = rest[0] not in _CHANNELS and rest[2] in _CHANNELS
    channels = rest[2] if last else rest[0]
    height, width = rest[:2] if last else rest[1:]
    return Input(
        value.name,
        _declared(value),
        last,
        batch,
        channels,
        None if height is None or width is None else (height, width),
    )


def check_input(given: Input, graph: Graph, title: str) -> None:
    """Check that a network takes the input of a file.

    Raises:
        InputError: Its channels or its size differ.
    """
    channels, *size = graph.input_shape
    if given.channels not in (None, channels) or given.size not in (None, tuple(size)):
        own = text_of(graph.input_shape)
        raise InputError(f"{title}: its input is {given.declared}, that of {graph.name} is {own}")


def outputs_of(contents: Contents, graph: Graph, title: str) -> tuple[dict[str, str], str]:
    """Match the outputs of a file with those of a network: by name, or else by position.

    Returns:
        The network's name of an output -> the file's; and how they were matched.

    Raises:
        InputError: The network has more outputs than the file.
    """
    names = [value.name for value in contents.outputs]
    wanted = [output.name for output in graph.outputs]
    if set(wanted) <= set(names):
        return {name: name for name in wanted}, "by name"
    if len(names) < len(wanted):
        hint = "; compare without auxiliary heads" * bool(graph.options["aux"])
        raise InputError(
            f"{title}: it has {_counted(names)}, {graph.name} has {_counted(wanted)}{hint}"
        )
    return dict(zip(wanted, names, strict=False)), "by position"


def _counted(names: Sequence[str]) -> str:
    if not names:
        return "no outputs"
    listed = ", ".join(map(shown, names[:4])) + ", ..." * (len(names) > 4)
    return f"{len(names)} output{'s' * (len(names) != 1)} ({listed})"


def _declared(value: Value) -> str:
    if value.shape is None:
        return "of no stated shape"
    return f"[{', '.join('N' if size is None else str(size) for size in value.shape)}]"
