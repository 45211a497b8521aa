"""What is generated inside written pages: links in tables, and the parts that a marker names."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import tables

import zoo
from pages import excerpts, sides, verdict
from pages.staging import ROOT
from pages.tabs import tabs


def completed(text: str, models: Mapping[str, zoo.Graph]) -> str:
    """Return a page with its generated parts.

    ``<!-- insert: NAME -->`` is replaced by a part. In the tables of models, the names
    of families and models become links.

    Args:
        text: A written page.
        models: Every model's graph.
    """
    for marker in ("models", "largest"):
        text = re.sub(
            rf"(?<=<!-- {marker} -->\n).*?(?=<!-- /{marker} -->)",
            lambda match: _linked(match[0], models),
            text,
            flags=re.DOTALL,
        )
    return re.sub(r"<!-- insert: (\w+) -->", lambda match: PARTS[match[1]](), text)


def _linked(table: str, models: Mapping[str, zoo.Graph]) -> str:
    def link(match: re.Match[str]) -> str:
        name = match[1]
        return f"[`{name}`](models/{name}.md)" if name in models else match[0]

    families = {graph.about["title"]: graph.about["family"] for graph in models.values()}
    for title, family in families.items():
        table = re.sub(
            rf"^\| (?:\[{re.escape(title)}\]\([^)]*\)|{re.escape(title)})(?=,| \|)",
            f"| [{title}](families/{family}.md)",
            table,
            flags=re.MULTILINE,
        )
    return re.sub(r"`(\w+)`", link, table)


def _excerpt() -> str:
    return f"```yaml\n{excerpts.spec()}```"


def _sources() -> str:
    return tabs({b: f"```python\n{code}```" for b, code in excerpts.sources().items()})


def _backend() -> str:
    files = (
        ROOT / f"examples/numpy_backend/zoo_numpy/{name}.py" for name in ("__init__", "backend")
    )
    return "\n\n".join(f"```python\n{file.read_text()}```" for file in files)


#: The name in a marker -> what makes the Markdown.
PARTS: dict[str, Callable[[], str]] = {
    "backend": _backend,
    "excerpt": _excerpt,
    "tolerances": tables.allowed,
    "side": lambda: sides.link(excerpts.MODEL, ""),
    "sides": sides.links,
    "sources": _sources,
    "verdict": verdict.short,
}
