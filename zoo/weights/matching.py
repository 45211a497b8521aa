"""Finds a network's parameters in a file, by the names that publishers and frameworks give them.

Training tools wrap a network in others, which adds to its names, and often replace its classifier.
The origin of the weights says how the file was matched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from zoo.errors import WeightsError
from zoo.graphs.graph import Graph
from zoo.language import graphs
from zoo.language.options import Chosen
from zoo.language.shipped import shipped
from zoo.weights import altered, classifier, counts, disambiguation, identification, sources
from zoo.weights import names as naming
from zoo.weights.checking import shown
from zoo.weights.checkpoint import Checkpoint, Stored
from zoo.weights.framework_source import of_network
from zoo.weights.identification import Replaced, View, has_names_of
from zoo.weights.keras_models import config as keras_config
from zoo.weights.keras_models import places as keras_places
from zoo.weights.reading import readers
from zoo.weights.slots import (
    as_convolution,
    published_checkpoint,
    published_slots,
    with_heads,
)

_MAX_SHOWN = 4  # names in a message

#: What to do about arrays whose names are those of no source.
_RENAME = (
    "To load the arrays of other code for the same network, rename them to zoo's names in Python: "
    "zoo.set_weights(model, arrays)."
)


def matched(
    path: Path,
    table: sources.Source | None,
    network: str | Graph | None,
    chosen: Chosen,
    own: Sequence[sources.Source],
    head: str | None,
    entry: str | None,
) -> tuple[Checkpoint, list[sources.Source], list[str]]:
    """Open a file of a publisher or a framework, and find the parameters of its network in it.

    Args:
        path: The file.
        table: The source whose names it has, if the caller says so.
        network: As for :func:`zoo.weights.loading.find`.
        chosen: The options to build the network with.
        own: The names that zoo's own models have in each framework.
        head: As for :func:`zoo.weights.loading.find`.
        entry: As for :func:`zoo.weights.loading.find`.

    Returns:
        The checkpoint, without an origin; the sources that use its names; and what was done to find
        the network's arrays in it.

    Raises:
        WeightsError: The file is damaged, or its names are those of no network, or of another.
    """
    opened = readers.read(path, entry)
    if entry and opened.configuration:
        opened = replace(opened, configuration=keras_config.part(opened.configuration, entry))
    return matched_arrays(path, opened, table, network, chosen, own, head)


def matched_arrays(
    path: Path,
    opened: readers.Opened,
    table: sources.Source | None,
    network: str | Graph | None,
    chosen: Chosen,
    own: Sequence[sources.Source],
    head: str | None = None,
    advice: str = _RENAME,
) -> tuple[Checkpoint, list[sources.Source], list[str]]:
    """Find the parameters of a network among the arrays of a file, as :func:`matched` does.

    Args:
        path: The file, for messages.
        opened: Its arrays.
        table: As for :func:`matched`, as are the others.
        network: The network.
        chosen: The options to build it with.
        own: The names that zoo's own models have.
        head: Whether the network gets a new classifier.
        advice: What to do about names that are those of no source, for the error.

    Raises:
        WeightsError: The names are those of no network, or of another.
    """
    numbers = _numbers(opened)
    opened = replace(
        opened, arrays={name: each for name, each in opened.arrays.items() if name not in numbers}
    )
    found = _found(path, opened, table, network, own, advice)
    notes = [f"under {' and '.join(opened.keys)}"] if opened.keys else []
    notes += [f"without {found.view.removed}"] if found.view.removed else []
    arrays = found.view.arrays
    if found.replaced:
        dropped = bool(head) or chosen.num_classes == 0
        arrays, note = _with_classifier(path, opened.format, found, dropped)
        notes += [note] if note else []
    if ignored := found.tables[0].kept(numbers):
        notes.append(f"without the number {' and '.join(map(shown, ignored[:_MAX_SHOWN]))}")
    notes += [found.note] if found.note else []
    if opened.configuration:
        others, size = keras_places.compared(
            path, opened, found.tables[0], found.network, found.view.arrays, head, chosen
        )
        notes += others
        chosen = chosen._replace(input_size=chosen.input_size or size)
    checkpoint = published_checkpoint(found.tables[0], found.network, path, arrays, chosen)
    return checkpoint, found.tables, notes


def _numbers(opened: readers.Opened) -> Mapping[str, Stored]:
    """Return single integers, such as the number of an epoch: no layer has these.

    Empty if there is nothing else, or if they are those of a quantized layer.
    """
    kinds = ("bool", "int", "uint")
    found = {
        name: array
        for name, array in opened.arrays.items()
        if not array.shape and array.dtype.startswith(kinds)
    }
    is_all = len(found) == len(opened.arrays)
    return {} if is_all or altered.layer(found, opened.format) else found


@dataclass(frozen=True)
class _Found:
    """The network of a file, and the sources that use its names."""

    tables: list[sources.Source]
    network: str | Graph
    view: View
    replaced: Replaced | None = None
    note: str = ""

    @property
    def name(self) -> str:
        return self.network if isinstance(self.network, str) else self.network.name


def _found(
    path: Path,
    opened: readers.Opened,
    table: sources.Source | None,
    network: str | Graph | None,
    own: Sequence[sources.Source],
    advice: str,
) -> _Found:
    """Find the network of a file."""
    stored, tables = opened.arrays, [table] if table else []
    tables = tables or identification.sources_of_format(opened.format, own)
    if network is None:
        return _identified(path, opened, tables, advice)
    name = network if isinstance(network, str) else network.name
    pairs = list(_having(tables, network))  # tried first, to avoid trying every network
    for view in identification.views(stored):
        matches = [pair for pair in pairs if has_names_of(*pair, view.arrays)]
        if matches:
            matches = identification.best(matches, view.arrays)
            return _Found([match[0] for match in matches], matches[0][1], view)
    for view in identification.views_of_most(stored):
        for each, key in pairs:
            if departs := identification.replacement(each, key, view.arrays):
                return _Found([each], key, view, departs)
    _refuse_one_of_several(
        path, stored, lambda arrays, replaced: name * _fits(pairs, arrays, replaced)
    )
    for view in identification.views(stored):
        for source, other in identification.identify(tables, view.arrays):
            if other == name:
                continue
            _refuse_another_width(path, source, other, view.arrays)
            raise WeightsError(
                f"{path} has {source.title}'s names of {other}, which is not the network "
                f"{name}; build {other!r}"
            )
    seen = list(identification.views_of_most(stored))
    if not pairs and not table:
        pairs = list(_having(sources.sources().values(), network))
    closest = identification.closest(pairs, seen)
    if closest is None or altered.layer(stored, opened.format):
        raise WeightsError(_unknown_names(path, opened, name, advice, tables))
    (each, key), view = closest
    return _Found([each], key, view)


def _refuse_another_width(
    path: Path, source: sources.Source, network: str | Graph, arrays: Mapping[str, Stored]
) -> None:
    """Reject arrays under a network's names of which most have other shapes."""
    alike = identification.count_matching_shapes(source, network, arrays)
    if 2 * alike < len(published_slots(source, network)):
        name = network if isinstance(network, str) else network.name
        raise WeightsError(
            f"{path} has {source.title}'s names of {name}, but other shapes, as of another width; "
            "zoo knows no network of that width by these names. Build it from a spec of your own, "
            "and pass the arrays to zoo.set_weights under the names of zoo.get_weights"
        )


def _having(
    tables: Iterable[sources.Source], network: str | Graph
) -> Iterator[tuple[sources.Source, str | Graph]]:
    """Yield the sources that have a network, and its name; or its graph, for zoo's own names."""
    for table in tables:
        if isinstance(network, str) or table.name != counts.OWN:
            name = network if isinstance(network, str) else network.name
            if name in table.networks:
                yield table, name if name in shipped() else network
        elif network.name in shipped() and graphs.graph(network.name).document == network.document:
            yield table, network.name
        else:
            yield of_network(table, network), network


def _identified(
    path: Path, opened: readers.Opened, tables: Sequence[sources.Source], advice: str
) -> _Found:
    """Find the network of a file among all networks."""
    for replaced in (False, True):
        views = identification.views_of_most if replaced else identification.views
        for view in views(opened.arrays):
            matches = identification.identify(tables, view.arrays, replaced)
            if not matches:
                continue
            own = matches[0][0].name == counts.OWN
            comparable = [match for match in matches if (match[0].name == counts.OWN) == own]
            best = identification.best(comparable, view.arrays)
            _refuse_another_width(path, *best[0], view.arrays)
            best = _as_configured(path, opened, best, view, "new" if replaced else None)
            network, note = disambiguation.network_of(path, best)
            users = [each for each, name in best if name == network]
            if not replaced:
                return _Found(users, network, view, note=note)
            departs = identification.replacement(users[0], network, view.arrays)
            return _Found(users[:1], network, view, departs, note)
    _refuse_one_of_several(
        path,
        opened.arrays,
        lambda *seen: next((name for _, name in identification.identify(tables, *seen)), ""),
    )
    raise WeightsError(_unknown_names(path, opened, None, advice, tables))


def _as_configured(
    path: Path,
    opened: readers.Opened,
    matches: list[tuple[sources.Source, str]],
    view: View,
    head: str | None,
) -> list[tuple[sources.Source, str]]:
    """Return those of several networks that a file of Keras describes; all if it says nothing.

    Not all that networks may differ in is compared. A model of zoo's has the network's name.
    """
    if not opened.configuration or len({network for _, network in matches}) == 1:
        return matches
    found = []
    for table, network in matches:
        with suppress(WeightsError):  # its configuration is that of another network
            keras_places.compared(path, opened, table, network, view.arrays, head, Chosen())
            found.append((table, network))
    name = keras_config.name(opened.configuration)
    called = [(t, network) for t, network in found if (t.name, network) == (counts.OWN, name)]
    return called or found or matches


def _fits(
    pairs: Iterable[tuple[sources.Source, str | Graph]],
    arrays: Mapping[str, Stored],
    replaced: bool,
) -> bool:
    """Tell whether arrays are a network, or one whose classifier is missing or replaced."""
    return any(
        identification.replacement(*pair, arrays) if replaced else has_names_of(*pair, arrays)
        for pair in pairs
    )


def _refuse_one_of_several(
    path: Path,
    stored: Mapping[str, Stored],
    named: Callable[[Mapping[str, Stored], bool], str],
) -> None:
    """Reject a file that holds a network and other arrays; the caller must say which entry to take.

    Args:
        path: The file, for messages.
        stored: Name -> array.
        named: Returns the name of the network that has these arrays, or, if so requested, all of
            them but its classifier; empty if there is none.

    Raises:
        WeightsError: Some of the arrays are a network.
    """
    for replaced in (False, True):
        views = identification.views_of_most if replaced else identification.views
        for entry, arrays in identification.parts(stored):
            network = next(filter(None, (named(v.arrays, replaced) for v in views(arrays))), "")
            if not network:
                continue
            names = map(naming.without_wrappers, stored)
            other = next(name for name in names if not name.startswith(f"{entry}."))
            what = f"{network} with another classifier or none" if replaced else network
            options = ", with head='new' or num_classes=0," if replaced else ""
            raise WeightsError(
                f"{path}: its entry {entry!r:.200} is {what}, but it also has other arrays, "
                f"for example: {shown(other)}. entry={entry!r:.200}{options} reads {network} alone"
            )


def _with_classifier(
    path: Path, format_: str, found: _Found, dropped: bool
) -> tuple[Mapping[str, Stored], str]:
    """Return the arrays of a file with another classifier or none, and what was done.

    Args:
        path: The file, for messages.
        format_: Its format.
        found: What was found in it.
        dropped: Whether the network gets a new classifier, or none.

    Raises:
        WeightsError: The classifier is a layer that was changed.
    """
    assert found.replaced
    table, network, departs = found.tables[0], found.network, found.replaced
    keys = table.table_names(found.name, table.kept(found.view.arrays))
    extra = {keys[name] for name in departs.extra}
    kept = {key: array for key, array in found.view.arrays.items() if key not in extra}
    shown_extra = ", ".join(map(shown, sorted(extra)))
    if dropped:
        return kept, f"without {shown_extra}" if extra else "without a classifier"
    slots, last = published_slots(table, network), classifier.nodes(with_heads(network))[0]
    renamed: dict[str, str] = {}
    for parameter in last.parameters:
        ends = {name.rpartition(".")[2] for name in slots[parameter.name].names}
        ends_so = [name for name in departs.extra if name.rpartition(".")[2] in ends]
        if len(ends_so) == 1:
            renamed[keys[ends_so[0]]] = slots[parameter.name].names[0]
    own = {parameter.name for parameter in last.parameters}
    if own == set(departs.missing) and renamed.keys() == extra and len(extra) == len(own):
        kernel = slots[last.parameters[0].name]
        for key in extra:
            array = found.view.arrays[key]
            if kernel.op == "conv" and len(array.shape) == 2:
                array = as_convolution(array, table.layouts.linear, kernel.layout)
            kept[renamed[key]] = array
        place = sorted(extra)[0].rpartition(".")[0]
        return kept, f"with {shown(place)!r} as the classifier"
    if change := altered.layer({key: found.view.arrays[key] for key in extra}, format_):
        raise WeightsError(f"{path}: {change}")
    return found.view.arrays, ""  # what is missing is reported where the network is filled


def _nearest(opened: readers.Opened, tables: Sequence[sources.Source]) -> str:
    """Say which network a file nearly has the names of, and how they differ; empty if none."""
    seen = list(identification.views(opened.arrays))
    if found := identification.without_statistics(tables, seen):
        _, network, _ = found
        return (
            f"its {len(opened.arrays):,} arrays are the parameters of {network} without its "
            "running means and variances, which named_parameters() and nnx.state(model, nnx.Param) "
            "leave out; save the model's whole state: in PyTorch and PaddlePaddle "
            "model.state_dict(), in Flax nnx.state(model, (nnx.Param, nnx.BatchStat))"
        )
    near = identification.nearest(tables, seen)
    if near is None:
        return ""
    differences = [
        f"{what}: {', '.join(map(shown, names[:_MAX_SHOWN]))}{', ...' * (len(names) > _MAX_SHOWN)}"
        for what, names in (("missing", near.missing), ("unexpected", near.extra))
        if names
    ]
    whose = "zoo's" if near.table.name == counts.OWN else f"{near.table.title}'s"
    return (
        f"the names of its {len(opened.arrays):,} arrays are {whose} names of {near.network}, with "
        f"these exceptions: {'; '.join(differences)}. Nothing was loaded, since these may matter "
        "for what the network computes: save all arrays of the network, and no others"
    )


def _unknown_names(
    path: Path,
    opened: readers.Opened,
    name: str | None,
    advice: str,
    tables: Sequence[sources.Source],
) -> str:
    """Return the error for a file with unknown names: what they were compared with, what to do."""
    examples = ", ".join(map(shown, list(opened.arrays)[:3]))
    if name:
        publishers = [t.title for t in sources.sources().values() if name in t.networks]
        network, naming = name, ""
    else:
        publishers = [t.title for t in identification.sources_of_format(opened.format)]
        network = "any network"
        naming = (
            " If you know the network, name it with zoo.build(NAME, ..., weights=path): the error "
            "then lists what does not fit."
        )
    if change := altered.layer(opened.arrays, opened.format):
        return f"{path}: {change}"
    if not name and (near := _nearest(opened, tables)):
        return f"{path}: {near}"
    *rest, last = publishers or ["any source that zoo knows"]
    published = f"{', '.join(rest)} or {last}" if rest else last
    compared = f"those of {network} as published by {published}, nor zoo's own"
    if name and not publishers:
        compared = (
            f"zoo's own names of {name}, and no source that zoo knows publishes {name}, so they "
            "cannot be matched"
        )
    return (
        f"{path}: the names of its {len(opened.arrays):,} arrays are not {compared}. The file has, "
        f"for example: {examples}.{naming} {advice}"
    )
