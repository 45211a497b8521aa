"""``zoo.sources``: a network's spec and its source code in every framework, side by side."""

from __future__ import annotations

import html
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Unpack

import yaml

from zoo import arguments
from zoo.errors import BackendError
from zoo.files import write_text
from zoo.graphs.graph import Graph
from zoo.language import places
from zoo.language.catalog import files_of, load
from zoo.language.expansion import INHERITED
from zoo.language.places import Span
from zoo.verification.rendering.page import environment, script
from zoo.views.arguments import GraphOptions, graph_to_show
from zoo.views.drawing.draw import Drawing
from zoo.views.shapes import height_width_channels
from zoo.writing import notes
from zoo.writing.files import BACKENDS, TITLES, write
from zoo.writing.source import Source

_SCRIPT = Path(__file__).parent / "templates" / "side_by_side.js"


@dataclass(frozen=True, repr=False)
class Sources(Mapping[str, Source]):
    """The source code of a network in every framework; see :func:`sources`.

    Attributes:
        graph: The network.
        specs: Name of a file -> the text of the spec, or the part of it that the file has.
        code: Backend -> source code.
        spans: Backend or name of a file -> the parts that belong to layers.
        lessons: Topic of a difference -> the address of a page about it.
    """

    graph: Graph
    specs: Mapping[str, str]
    code: Mapping[str, Source]
    spans: Mapping[str, Sequence[Span]]
    lessons: Mapping[str, str] = field(default_factory=dict)

    def __getitem__(self, backend: str) -> Source:
        return self.code[backend]

    def __iter__(self) -> Iterator[str]:
        return iter(self.code)

    def __len__(self) -> int:
        return len(self.code)

    def __repr__(self) -> str:
        return f"<Sources of {self.graph.name} in {', '.join(self.code)}>"

    @cached_property
    def html(self) -> str:
        """The page, which loads nothing from a network.

        Raises:
            BackendError: Jinja or Pygments is not installed.
        """
        return _page(self)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the page to a file.

        Raises:
            InputError: The file cannot be written.
            BackendError: Jinja or Pygments is not installed.
        """
        write_text(arguments.path("path", path), self.html)

    def _repr_html_(self) -> str:
        style = "width: 100%; height: 45rem; border: 0"
        return f'<iframe style="{style}" srcdoc="{html.escape(self.html)}"></iframe>'


def sources(
    model: str | os.PathLike[str] | Graph | Any,
    path: str | os.PathLike[str] | None = None,
    *,
    lessons: Mapping[str, str] = {},
    **options: Unpack[GraphOptions],
) -> Sources:
    """Write a network in every framework, on one page beside its spec and its drawing.

    A layer that is pointed at is highlighted everywhere. What differs between the frameworks'
    dialects is underlined and explained. No framework is imported.

    Args:
        model: A model that zoo ships, the path of a YAML file, a graph, or a model that zoo built.
        path: An HTML file to write.
        lessons: Topic of a difference, such as ``padding`` -> the address of a page about it, for
            links.
        options: For a name or a file, as for :func:`zoo.graph`.

    Returns:
        The source code by backend. Notebooks display the page.

    Raises:
        UnknownNameError, SpecError: As :func:`zoo.graph` does.
        BackendError: The network has a layer that cannot be written, or a package for pages is not
            installed.
        InputError: The file cannot be written.

    Example:
        >>> import zoo
        >>> found = zoo.sources("lenet5")
        >>> found
        <Sources of lenet5 in torch, paddle, keras, flax>
        >>> "<!doctype html>" in found.html
        True
    """
    if not isinstance(lessons, Mapping) or not all(
        isinstance(text, str) for item in lessons.items() for text in item
    ):
        raise arguments.wrong("lessons", "a mapping from topics to addresses", lessons)
    if path is not None:
        path = arguments.path("path", path)
    graph = graph_to_show("sources", model, options)
    specs = _specs(graph, model)
    found_spans = places.spans(list(specs.values()), graph.name)
    spans: dict[str, Sequence[Span]] = dict(zip(specs, found_spans, strict=True))
    code = {}
    for backend in BACKENDS:
        text, spans[backend] = write(graph, backend)
        code[backend] = Source(text)
    found = Sources(graph, specs, code, spans, dict(lessons))
    if path is not None:
        found.save(path)
    return found


def _specs(graph: Graph, model: Any) -> dict[str, str]:
    """Return the files of a spec; of a graph without a file, its spec as YAML."""
    name = str(model) if isinstance(model, str | os.PathLike) else graph.name
    document = graph.to_dict()["document"]
    if files := files_of(name):
        _, _, stated = load(name)
        if json.loads(json.dumps(stated)) == document:
            return {file.name: file.read_text(encoding="utf-8") for file in files}
    shown = {key: value for key, value in document.items() if key != INHERITED}
    text = yaml.safe_dump(shown, sort_keys=False, width=100, allow_unicode=True)
    return {f"{graph.name}.yaml": text}


def _page(found: Sources) -> str:
    graph = found.graph
    templates = environment("zoo.writing", "zoo.verification.rendering")
    try:
        from zoo.writing.highlighting import highlighted
    except ImportError as error:
        raise BackendError(
            "pages of source code need Pygments: python -m pip install 'polyzoo[report]'"
        ) from error
    panes = [
        {
            "key": name.removesuffix(".yaml"),
            "title": "YAML" if not number else name,
            "heading": name,
            "content": highlighted(text, "yaml", found.spans[name]),
        }
        for number, (name, text) in enumerate(found.specs.items())
    ]
    differences: dict[str, notes.Note] = {}
    for backend, code in found.code.items():
        links = []
        for start, end, note in notes.found(code, backend, found.spans[backend]):
            differences[note.topic] = note
            links.append((start, end, f"#note-{note.topic}", f"{note.title}. {note.text}"))
        panes.append(
            {
                "key": backend,
                "title": TITLES[backend],
                "heading": TITLES[backend],
                "content": highlighted(code, "python", found.spans[backend], links),
            }
        )
    drawing = Drawing.of(graph, columns=1).svg
    panes.append({"key": "drawing", "title": "Drawing", "heading": "Drawing", "content": drawing})
    return str(
        templates.get_template("side_by_side.html.jinja").render(
            title=f"{graph.about.get('title') or graph.name}"
            + (f" ({graph.name})" if graph.name != graph.about.get("family") else ""),
            about=graph.about.get("about") or "",
            panes=panes,
            notes=[note for note in notes.NOTES if note.topic in differences],
            lessons=found.lessons,
            data=_json(_data(graph, drawing)),
            **script(_SCRIPT),
        )
    )


def _data(graph: Graph, drawing: str) -> dict[str, Any]:
    """Return what the page's script needs: where the parts of the drawing are in the spec."""
    chains = places.places(graph)
    drawn = {html.unescape(name) for name in re.findall(r'data-name="([^"]*)"', drawing)}
    inside = {
        name: sorted({chain[-1] for path, chain in chains.items() if path.startswith(f"{name}.")})
        for name in drawn & set(chains)
        if not any(other.startswith(f"{name}.") for other in drawn)
    }
    uses: dict[str, list[str]] = {}
    for path, chain in chains.items():
        uses.setdefault(chain[-1], []).append(path)
    return {
        "places": {name: chains[name] for name in sorted(drawn & set(chains))},
        "inside": {name: found for name, found in sorted(inside.items()) if found},
        "facts": {place: _fact(graph, place, paths) for place, paths in uses.items()},
    }


def _fact(graph: Graph, place: str, paths: Sequence[str]) -> str:
    """Say what a layer of the spec became."""
    block, _, name = place.partition("/")
    of_block = f" of {block}" if block else ""
    total = sum(graph[path].num_parameters for path in paths)
    count = f"{total:,} parameters" if total else "no parameters"
    shape = height_width_channels(graph[paths[0]].shape)
    if len(paths) == 1:
        return f"{name}{of_block}: {shape}, {count}"
    return f"{name}{of_block}: used {len(paths)} times, {count} in all; first {shape}"


def _json(data: Any) -> str:
    """Return data as JSON that may stand in an element of HTML."""
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
