"""Reads the weights of an ONNX file into a network, by the names of its arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from zoo.api import checkpoints
from zoo.errors import InputError, UnknownNameError, WeightsError, suggestion
from zoo.graphs.blocks import Block
from zoo.graphs.graph import Graph
from zoo.language import options
from zoo.language.document import Mapping as Document
from zoo.language.document import NoMappingError, read
from zoo.language.options import Chosen
from zoo.verification.comparison import Array
from zoo.weights import adaptation, identification, matching, sources
from zoo.weights import names as naming
from zoo.weights.checking import shown
from zoo.weights.checkpoint import Checkpoint, Stored, reporting_damage
from zoo.weights.identification import has_names_of
from zoo.weights.reading import onnx_file, readers, zoo_onnx_file
from zoo.weights.slots import published_slots, slots_of

_TITLE = "the table of names"
_MAX_LINES = 6  # of an error, for each kind of problem
_ADVICE = (
    "To say which is which, pass a table of zoo's names of blocks, nodes or parameters and the "
    "file's: names='table.yaml'."
)
_EXAMPLE = "a mapping of zoo's names to those in the file, such as 'conv1.conv: features.0'"


@dataclass(frozen=True)
class Filled:
    """A network with weights.

    Attributes:
        graph: The network, with the number of classes that its weights have.
        weights: Canonical name -> array.
        arrays: Canonical name -> the array of the file that it was read from; empty if the weights
            are those of another file.
        origin: Where the weights are from, and by which names, in words.
    """

    graph: Graph
    weights: Mapping[str, Array]
    arrays: Mapping[str, str]
    origin: str


def from_file(
    contents: onnx_file.Contents,
    graph: Graph,
    requested: Chosen,
    names: Mapping[str, Any] | None,
    title: str,
) -> Filled:
    """Fill a network with the weights in a file.

    Args:
        contents: The file.
        graph: The network.
        requested: The options that the caller chose.
        names: zoo's name of a block, node or parameter -> the file's; None to match the names of
            zoo and of the publishers that it knows.
        title: What to call the file in an error.

    Raises:
        WeightsError: The names are others, or the arrays do not fit.
        UnknownNameError: ``names`` has a name that the network does not have.
    """
    with reporting_damage(title, "an ONNX model"):
        stored = onnx_file.weights(contents)
    if not stored:
        raise WeightsError(
            f"{title}: the file contains no arrays, so it has no weights; "
            "weights_from='FILE' takes those of another file"
        )
    if _is_zoos(stored, graph):
        _check_pixels(stored, graph, title)
        stored = {
            name: each for name, each in stored.items() if not zoo_onnx_file.is_constant(name)
        }
    log: list[str] = []
    table = table_of(graph, names) if names is not None else None
    if table:
        _check_table(table, names or {}, graph, stored, title)
    checkpoint, tables, _ = matching.matched_arrays(
        Path(title),
        readers.Opened(_traced(stored, log), "onnx"),
        table,
        graph,
        options.checked(**graph.options),
        checkpoints.own_names(),
        advice=_ADVICE,
    )
    try:
        graph, weights, arrays = _filled(graph, checkpoint, requested, log)
    except WeightsError as error:
        known = {parameter.name for parameter in graph.parameters}
        if names is not None or checkpoint.arrays.keys() <= known:
            raise
        raise WeightsError(f"{error}\n{_ADVICE}") from None
    whose = _TITLE if names is not None else f"{tables[0].title}'s names"
    return Filled(graph, weights, arrays, f"from the file, by {whose}")


def from_elsewhere(weights: str, graph: Graph, requested: Chosen) -> Filled:
    """Fill a network with weights of another file, or of a source.

    Raises:
        WeightsError: They are damaged, or do not fit.
    """
    checkpoint = checkpoints.find(weights, graph, options.checked(**graph.options))
    with checkpoint.verified():
        graph, arrays, _ = _filled(graph, checkpoint, requested, [])
    return Filled(graph, arrays, {}, f"from {weights}, in place of the file's own")


def table_of(graph: Graph, names: Mapping[str, Any]) -> sources.Source:
    """Return the source of weights that a table of names describes.

    Raises:
        UnknownNameError: The network has no block, node or parameter of a name.
    """
    known = {*(parameter.name for parameter in graph.parameters), *(n.name for n in graph.nodes)}
    known |= _blocks(graph.root, "")
    patterns = {name: naming.pattern(name) for name in names}
    for name, pattern in patterns.items():
        if not any(map(pattern.fullmatch, known)):
            raise UnknownNameError(
                f"{_place(names, name)}: {graph.name} has no block, node or parameter {name!r:.200}"
                + suggestion(name, known)
            )
    steps = (step.name for step in graph.root.steps)
    own = {name: name for name in steps if not any(p.fullmatch(name) for p in patterns.values())}
    described = {
        "format": 1,
        "name": "table",
        "title": _TITLE,
        "url": "",
        "license": "",
        "formats": ["onnx"],
        "layouts": {"conv": "OIHW", "linear": "OI", "flatten": "CHW"},
        "networks": {graph.name: {"names": {**own, **names}}},
    }
    return sources.Source.model_validate(described)


def read_names(path: Path) -> Mapping[str, Any]:
    """Read a table of names: a YAML file of zoo's names and the file's.

    Raises:
        SpecError: It is not YAML.
        InputError: It is not a mapping of names to names.
    """
    try:
        table = read(path)
    except NoMappingError as error:
        raise InputError(f"{error.place}: expected {_EXAMPLE}") from None
    for name, given in table.items():
        words = (name, *(given if isinstance(given, list) else [given]))
        if not all(isinstance(word, str) for word in words):
            raise InputError(f"{_place(table, name)}: expected {_EXAMPLE}")
    return table


def _place(names: Mapping[str, Any], name: str) -> str:
    """Return where a table has a name: its file and line, if it is one of YAML."""
    if not isinstance(names, Document):
        return "names"
    return f"{names.file}:{names.lines.get(name, names.line)}"


def _check_table(
    table: sources.Source,
    names: Mapping[str, Any],
    graph: Graph,
    stored: Mapping[str, Stored],
    title: str,
) -> None:
    """Check that the names of a table are those of a file.

    Raises:
        WeightsError: A parameter has no array, or an array belongs to no parameter.
    """
    if any(has_names_of(table, graph, view.arrays) for view in identification.views(stored)):
        return
    slots = slots_of(table, graph)
    all_slots = (*slots.values(), *published_slots(table, graph).values())
    known = {name for slot in all_slots for name in slot.names}
    patterns = [naming.pattern(name) for name in names]
    missing = [
        f"{parameter} is {' or '.join(map(shown, slot.names))} by the table; the file has no such "
        "array"
        if any(pattern.fullmatch(parameter) for pattern in patterns)
        else f"{parameter} is not in the table, and the file has no array of this name"
        for parameter, slot in slots.items()
        if not any(name in stored for name in slot.names)
    ]
    unused = [
        f"{shown(name)} is in the file, and by the table no parameter of {graph.name}"
        for name in stored
        if name not in known and not table.leaves_out(name)
    ]
    if missing or unused:
        listed = "\n".join(f"  {line}" for line in (*_first(missing), *_first(unused)))
        raise WeightsError(f"{title}: {_TITLE} does not fit the file:\n{listed}")


def _first(lines: list[str]) -> list[str]:
    more = len(lines) - _MAX_LINES
    return [*lines[:_MAX_LINES], f"{more:,} more"] if more > 1 else lines


def _filled(
    graph: Graph, checkpoint: Checkpoint, requested: Chosen, log: list[str]
) -> tuple[Graph, dict[str, Array], dict[str, str]]:
    graph = adaptation.fitted(graph, checkpoint, requested)
    graph, value = adaptation.filling(graph, checkpoint, dtype="float32", as_they_are=True)
    weights: dict[str, Array] = {}
    arrays: dict[str, str] = {}
    for parameter in graph.parameters:
        log.clear()
        weights[parameter.name] = value(parameter)
        if log:
            arrays[parameter.name] = log[-1]
    return graph, weights, arrays


def _traced(stored: Mapping[str, Stored], log: list[str]) -> dict[str, Stored]:
    """Return arrays that write their names into a log when they are read."""

    def traced(name: str, array: Stored) -> Stored:
        def read_() -> Array:
            log.append(name)
            return array.read()

        return replace(array, read=read_, mapped=None)

    return {name: traced(name, array) for name, array in stored.items()}


def _is_zoos(stored: Mapping[str, Stored], graph: Graph) -> bool:
    """Tell whether zoo itself wrote the file; it may have constants beside the weights."""
    return all(parameter.name in stored for parameter in graph.parameters)


def _check_pixels(stored: Mapping[str, Stored], graph: Graph, title: str) -> None:
    """Reject a file that zoo exported with preprocessing: it does not take what its network takes.

    Raises:
        InputError: It was.
    """
    before = f"{adaptation.PREPROCESSING}."
    if any(name.startswith(before) for name in stored.keys() - {p.name for p in graph.parameters}):
        raise InputError(
            f"{title}: zoo exported it with preprocess=True, so it takes pixels and "
            f"{graph.name} does not; compare one that was exported without"
        )


def _blocks(block: Block, prefix: str) -> set[str]:
    """Return the paths of all blocks inside a block."""
    found: set[str] = set()
    for step in block.steps:
        if isinstance(step.child, Block):
            path = f"{prefix}{step.name}"
            found |= {path, *_blocks(step.child, f"{path}.")}
    return found
