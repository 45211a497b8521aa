"""Opens the weights that a caller names."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from zoo import arguments
from zoo.errors import InputError
from zoo.graphs.graph import Graph
from zoo.language.options import Chosen
from zoo.weights import matching, provenance, published_files, sources
from zoo.weights.checkpoint import Checkpoint
from zoo.weights.reading import formats, zoo_file, zoo_onnx_file

#: The beginning of an address without slashes; no source of weights has such a name.
_HUB = re.compile(r"hf[-_]hub:", re.IGNORECASE)

Weights = str | os.PathLike[str]


def find(
    weights: Weights,
    network: str | Graph | None,
    chosen: Chosen,
    own: Sequence[sources.Source] = (),
    head: str | None = None,
    entry: str | None = None,
) -> Checkpoint:
    """Open the weights that a caller names.

    Args:
        weights: The path of a file, or of Orbax's folder; ``<source>`` or ``<source>:<tag>``, whose
            file is downloaded; or ``<source>:<path>``, a file with that source's names.
        network: The network that they are for: its name, or its graph, which zoo need not ship;
            None to identify it from the file.
        chosen: The options to build the network with.
        own: The names that zoo's own models have in each framework; see
            ``zoo.weights.framework_source``.
        head: ``new`` if the network gets a new classifier, so that the file needs none.
        entry: The key of the weights to take from a file that holds several sets of them, or what
            their names begin with; None for the main one.

    Returns:
        The checkpoint. Use it within ``with checkpoint.verified()``.

    Raises:
        UnknownNameError: There is no source of that name.
        InputError: ``weights`` is neither a path nor a source, or the network must be named.
        WeightsError: The file is missing or damaged, or belongs to another network.
    """
    name = network.name if isinstance(network, Graph) else network
    _check_entry(entry)
    path, table, tag = _located(weights, name)
    file = None
    if path is None:
        assert table and name
        _, file = published_files.check(table.name, name, tag)
        path = published_files.fetch(table.name, name, tag)
    elif not table:
        found = formats.format_of(path)
        if found == "onnx" and entry is None and zoo_onnx_file.is_zoo_file(path):
            return zoo_onnx_file.read(path)
        zoos = found == "safetensors" and zoo_file.is_zoo_file(path)
        if zoos and (entry is None or zoo_file.TRAINING in zoo_file.texts_of(path)):
            return zoo_file.read(path, entry)
    checkpoint, tables, notes = matching.matched(path, table, network, chosen, own, head, entry)
    return provenance.stated(checkpoint, path, tables, file, notes)


def check(
    weights: Weights,
    name: str | None,
    *,
    head: str | None = None,
    stem: str | None = None,
    entry: str | None = None,
) -> None:
    """Check what a caller requests, before anything is read or downloaded.

    Args:
        weights: As for :func:`find`.
        name: The network's name, if it is given.
        head: As for :func:`filling`.
        stem: As for :func:`filling`.
        entry: As for :func:`find`.

    Raises:
        UnknownNameError, InputError, WeightsError: As :func:`find` and :func:`filling` do.
    """
    arguments.choice("head", head, "new")
    arguments.choice("stem", stem, "adapt")
    _check_entry(entry)
    path, table, tag = _located(weights, name)
    if path is None:
        assert table and name
        published_files.check(table.name, name, tag)
    else:
        formats.format_of(path)


def _check_entry(entry: object) -> None:
    if entry is not None and not (isinstance(entry, str) and entry):
        raise arguments.wrong("entry", "the key of weights in a file", entry)


def _located(
    weights: Weights, name: str | None
) -> tuple[Path | None, sources.Source | None, str | None]:
    """Return the file that a caller names, None for a source's own; the source; and the tag."""
    if isinstance(weights, Mapping):
        raise InputError(
            "weights must be the path of a file or a source of weights, got a mapping: "
            "zoo.set_weights(model, arrays) fills a model from arrays or a state_dict"
        )
    text = arguments.path("weights", weights, "the path of a file or a source of weights")
    if os.path.isfile(text) or (os.path.isdir(text) and text not in sources.sources()):
        return Path(text), None, None
    if (index := formats.located(Path(text))) != Path(text):
        return index, None, None
    if arguments.is_address(text) or _HUB.match(text):
        advice = "pass" if text.lower().startswith("file://") else "download it, and pass"
        raise InputError(
            f"{text[:200]!r} is an address, and zoo reads files of this machine: {advice} the path"
        )
    prefix, colon, rest = text.partition(":")
    named = bool(colon) and len(prefix) > 1  # one letter is a Windows drive
    table = sources.source(prefix) if named else None
    is_tag = bool(re.fullmatch(r"\w+", rest)) and not os.path.exists(rest)
    if text in sources.sources() or (table and is_tag):
        if name is None:
            raise InputError(
                f"{prefix} publishes several networks; choose one with "
                f"zoo.build(NAME, ..., weights={text!r})"
            )
        return None, sources.source(prefix), rest or None
    path = formats.located(Path(os.path.expanduser(rest))) if named else Path(text)
    if not named and not os.path.exists(path) and text == path.name and not path.suffix:
        sources.source(text)  # raises, with a suggestion for a misspelled source
    return path, table, None
