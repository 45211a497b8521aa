"""Writes the generated tables of the README: python docs/tables.py [--check]."""

from __future__ import annotations

import sys
from pathlib import Path

import zoo
from zoo import backends, ops
from zoo.checkpoints import sources

README = Path(__file__).resolve().parent.parent / "README.md"
TITLES = {name: entry.title for name, entry in backends.TABLE.items()}


def models() -> str:
    """Every model, with its figures from the graph."""
    lines = ["| model | parameters | with aux heads | MACs | |", "|---|--:|--:|--:|---|"]
    for name in zoo.list_models():
        graph = zoo.graph(name)
        aux = f"{zoo.graph(name, aux=True).num_parameters:,}" if graph.omitted else ""
        about = graph.about["about"] or ""
        lines.append(f"| `{name}` | {graph.num_parameters:,} | {aux} | {graph.macs:,} | {about} |")
    return "\n".join(lines)


def operations() -> str:
    """Every operation by framework, with the limits that each backend states."""
    lines = [
        "| operation | " + " | ".join(TITLES.values()) + " |",
        "|---" * (len(TITLES) + 1) + "|",
    ]
    for op in ops.OPS:
        cells = [backends.LIMITS.get((name, op), "exact") for name in TITLES]
        lines.append(f"| `{op}` | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def published() -> str:
    """Every source of weights by framework; each cell is a test of tests/frameworks."""
    headings = ["source", "networks", "files", "downloaded", *TITLES.values(), "licence"]
    lines = [f"| {' | '.join(headings)} |", "|---" * len(headings) + "|"]
    for source in sources.sources().values():
        known = {name for name, n in source.networks.items() if n.file and n.file.hash}
        cells = [
            f"[{source.title}]({source.url}) (`{source.name}`)",
            ", ".join(f"`{name}`" for name in source.networks),
            ", ".join(f"`.{suffix}`" for suffix in source.formats),
            "all" if len(known) == len(source.networks) else ", ".join(sorted(known)) or "none",
            *["exact"] * len(TITLES),
            source.licence,
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def rendered(text: str) -> str:
    """The README with its tables made anew."""
    tables = {"models": models, "sources": published, "operations": operations}
    for name, make in tables.items():
        table = make()
        before, _, rest = text.partition(f"<!-- {name} -->\n")
        _, _, after = rest.partition(f"<!-- /{name} -->\n")
        text = f"{before}<!-- {name} -->\n{table}\n<!-- /{name} -->\n{after}"
    return text


if __name__ == "__main__":
    old = README.read_text()
    new = rendered(old)
    if "--check" in sys.argv:
        sys.exit(new != old)
    README.write_text(new)
