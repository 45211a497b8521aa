"""Writes the generated parts of written pages: python docs/tables.py [--check].

They are between markers in README.md, spec/README.md and docs/*.md.
"""

from __future__ import annotations

import inspect
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import zoo
from zoo import ops
from zoo.backend import registry
from zoo.comparing.switches import SWITCHES
from zoo.exporting.targets import TARGETS
from zoo.ops.grammar import Field
from zoo.verification import tolerances
from zoo.weights import sources

sys.path.insert(0, str(Path(__file__).resolve().parent))  # tests load this file from elsewhere

from pages import excerpts

README = Path(__file__).resolve().parent.parent / "README.md"
FRAMEWORKS = ("torch", "paddle", "keras", "flax")
TITLES = {name: registry.resolve(name).title for name in (*FRAMEWORKS, "onnx")}
LANGUAGE = README.parent / "spec" / "README.md"
DOCS = README.parent / "docs"


def models() -> str:
    """Every family with its models, and their parameters from the graph."""
    families: dict[str, list[zoo.Graph]] = {}
    for name in zoo.list_models():
        graph = zoo.graph(name)
        families.setdefault(graph.about["family"], []).append(graph)
    lines = ["| family | models | parameters |", "|---|---|--:|"]
    for graphs in families.values():
        about = graphs[0].about
        title, paper = about["title"], about["paper"]
        head = f"[{title}]({paper['url']}), {paper['year']}" if paper.get("url") else title
        counts = sorted(graph.num_parameters for graph in graphs)
        span = " to ".join(f"{count:,}" for count in dict.fromkeys((counts[0], counts[-1])))
        lines.append(f"| {head} | {', '.join(f'`{g.name}`' for g in graphs)} | {span} |")
    return "\n".join(lines)


def largest() -> str:
    """The models of which tests check only the graph and its shapes."""
    sys.path.insert(0, str(README.parent / "tests"))
    from counting import is_large

    from zoo.language.sizes import has_same_parameters
    from zoo.verification.verify import smaller

    # At a smaller size a network has at most as many parameters.
    graphs = [graph for name in zoo.list_models() if is_large(graph := zoo.graph(name))]
    small = (
        graph if has_same_parameters(graph) else zoo.graph(graph.name, input_size=smaller(graph))
        for graph in graphs
    )
    return ", ".join(f"`{graph.name}`" for graph in small if is_large(graph)) + "."


def operations() -> str:
    """Every operation by framework, with the limitations that each backend declares."""
    lines = [
        "| operation | " + " | ".join(TITLES.values()) + " |",
        "|---" * (len(TITLES) + 1) + "|",
    ]
    for op in ops.OPS:
        cells = [registry.resolve(name).limits.get(op, "yes") for name in TITLES]
        lines.append(f"| `{op}` | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def language() -> str:
    """Every operation with its fields and its meaning, as the spec language has it."""
    lines = ["| op | fields (default) | meaning |", "|---|---|---|"]
    for name, op in ops.OPS.items():
        fields = ", ".join(map(_field, op.own_fields().values()))
        lines.append(f"| `{name}` | {fields} | {_first_paragraph(op)} |")
    return "\n".join(lines)


def _field(field: Field[Any]) -> str:
    """A field's name with its default and what else is said of it."""
    default = "" if field.required or field.default is None else json.dumps(field.default)
    notes = ", ".join(filter(None, (default.replace("e-0", "e-"), field.doc)))
    return f"`{field.key}` ({notes})" if notes else f"`{field.key}`"


def _first_paragraph(op: type[ops.Op]) -> str:
    paragraph, _, _ = inspect.cleandoc(op.__doc__ or "").partition("\n\n")
    return paragraph.replace("\n", " ").replace("|", "\\|").removesuffix(".")


def published() -> str:
    """Every source of weights by framework; each cell is a test of tests/frameworks."""
    headings = [
        "source",
        "networks",
        "files",
        "downloaded",
        *map(TITLES.get, FRAMEWORKS),
        "license",
    ]
    lines = [f"| {' | '.join(headings)} |", "|---" * len(headings) + "|"]
    for source in sources.sources().values():
        known = [
            name
            for name, n in source.networks.items()
            if any(file.downloaded for file in n.published)
        ]
        cells = [
            f"[{source.title}]({source.url}) (`{source.name}`)",
            _by_family(source.networks),
            ", ".join(f"`.{suffix}`" for suffix in source.formats),
            "all" if len(known) == len(source.networks) else _by_family(known) or "none",
            *["yes"] * len(FRAMEWORKS),
            _licenses(source),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _licenses(source: sources.Source) -> str:
    """A source's license, or those of its networks by family."""
    if not any(network.license for network in source.networks.values()):
        return source.license
    families: dict[str, dict[str, None]] = {}
    for name, network in source.networks.items():
        titles = families.setdefault(network.license or source.license, {})
        titles[zoo.graph(name).about["title"]] = None
    return ". ".join(f"{', '.join(titles)}: {license}" for license, titles in families.items())


def _by_family(names: Iterable[str]) -> str:
    titles = (zoo.graph(name).about["title"] for name in names)
    return ", ".join(f"{title} ({count})" for title, count in Counter(titles).items())


def exports() -> str:
    """Every target of ``zoo.export``; each row is a test of tests/frameworks/test_export.py."""
    lines = ["| `to` | file | what it is | written by | checked in | dtypes |"]
    lines.append("|---" * 6 + "|")
    for target in TARGETS:
        cells = [f"`{target.name}`", target.ending, target.title, target.written_by, target.engine]
        lines.append(f"| {' | '.join([*cells, ', '.join(target.dtypes)])} |")
    return "\n".join(lines)


def switches() -> str:
    """Every switch of ``zoo compare`` with its value in each framework."""
    titles = [TITLES[name] for name in FRAMEWORKS]
    lines = [f"| switch | what it is | aligned | {' | '.join(titles)} |", "|---" * 7 + "|"]
    for name, switch in SWITCHES.items():
        values = [registry.resolve(f).defaults.get(name, switch.own) for f in FRAMEWORKS]
        cells = [f"`{name}`", switch.title, switch.said, *map(_default, values)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _default(value: Any) -> str:
    """A default, or those of several optimizers, grouped by their values."""
    if not isinstance(value, dict):
        return str(value).replace("e-0", "e-")
    groups: dict[str, list[str]] = {}
    for optimizer, each in value.items():
        groups.setdefault(_default(each), []).append(optimizer)
    if len(groups) == 1:
        return next(iter(groups))
    return "; ".join(f"{text} ({', '.join(names)})" for text, names in groups.items())


def excerpt() -> str:
    """A block of a spec beside its source code in PyTorch."""
    cells = [f"```yaml\n{excerpts.spec()}```", f"```python\n{excerpts.sources()['torch']}```"]
    row = "\n\n</td><td>\n\n".join(cells)
    return f"<table><tr><td>\n\n{row}\n\n</td></tr></table>"


def numbers() -> str:
    """What zoo ships, in a few rows."""
    graphs = [zoo.graph(name) for name in zoo.list_models()]
    titles = list(dict.fromkeys(graph.about["title"] for graph in graphs))
    publishers = sources.sources().values()
    published = sum(len(source.networks) for source in publishers)
    rows = {
        f"{len(titles)} families, {len(graphs)} models": ", ".join(titles),
        f"{len(ops.OPS)} operations": "each within 1e-12 of its definition in NumPy, in float64",
        f"{len(publishers)} sources of weights": f"{published} published networks, from "
        + ", ".join(source.title for source in publishers),
        f"{len(TARGETS)} kinds of export": ", ".join(target.title for target in TARGETS),
    }
    return "\n".join(["| | |", "|---|---|", *(f"| {k} | {v} |" for k, v in rows.items())])


def allowed() -> str:
    """The largest errors that a verification accepts."""
    lines = ["| compared | dtype | tolerance | how the error is measured |", "|---|---|--:|---|"]
    for quantity, dtype, tolerance, measure in tolerances.table():
        shown = f"{tolerance:g}".replace("e-0", "e-")
        lines.append(f"| {quantity} | {dtype} | {shown} | {measure.replace('|', chr(92) + '|')} |")
    return "\n".join(lines)


def of_study(table: str, name: str) -> Callable[[], str]:
    """A table of a published study: its ``means``, ``differences`` or ``shares``."""

    def make() -> str:
        from pages import studies  # which need SciPy

        return str(getattr(studies, table)(f"first/{name}"))

    return make


#: File -> its tables: marker -> what makes the text between.
TABLES: dict[Path, dict[str, Callable[[], str]]] = {
    README: {"excerpt": excerpt, "numbers": numbers},
    DOCS / "models.md": {"models": models, "largest": largest},
    DOCS / "weights.md": {"sources": published},
    DOCS / "frameworks.md": {"operations": operations},
    DOCS / "export.md": {"exports": exports},
    DOCS / "verification.md": {"tolerances": allowed},
    LANGUAGE: {"operations": language},
    DOCS / "comparing.md": {"switches": switches},
    DOCS / "studies" / "first.md": {
        "means": of_study("means", "vgg_small"),
        "differences": of_study("differences", "vgg_small"),
        "means of densenet": of_study("means", "densenet_small"),
        "differences of densenet": of_study("differences", "densenet_small"),
        "means of resnet": of_study("means", "resnet20"),
        "differences of resnet": of_study("differences", "resnet20"),
        "shares": of_study("shares", "explained"),
    },
}


def rendered(path: Path) -> str:
    """The text of a file with its tables made anew."""
    text = path.read_text()
    for name, make in TABLES[path].items():
        before, _, rest = text.partition(f"<!-- {name} -->\n")
        _, _, after = rest.partition(f"<!-- /{name} -->\n")
        text = f"{before}<!-- {name} -->\n{make()}\n<!-- /{name} -->\n{after}"
    return text


if __name__ == "__main__":
    texts = {path: rendered(path) for path in TABLES}
    if "--check" in sys.argv:
        sys.exit(any(text != path.read_text() for path, text in texts.items()))
    for path, text in texts.items():
        path.write_text(text)
