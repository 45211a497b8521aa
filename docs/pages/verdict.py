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
    """Return it as Markdown."""
    return f"```text\n{shown()}```"
