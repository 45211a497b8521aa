"""The result of a verification that docs/verification.md shows."""

from __future__ import annotations

import re

from pages.staging import ROOT


def shown() -> str:
    """Return the command and what it printed, shortened."""
    text = (ROOT / "docs" / "verification.md").read_text()
    block = re.search(r"<!-- verified -->\n```\n(.*?)```", text, re.DOTALL)
    assert block
    return block[1]


def short() -> str:
    """Return what it printed as Markdown, without the command and the names of nodes."""
    lines = shown().splitlines()[1:]
    kept = [line.partition("  fire")[0].removesuffix("  name") for line in lines if line != "..."]
    kept[-1] = kept[-1].partition(", tolerance")[0]
    return "\n".join(["```text", *(line.rstrip() for line in kept), "```"])
