"""Tabs, one for each framework; the reader's choice is kept on all pages."""

from __future__ import annotations

from collections.abc import Mapping

from zoo.backend import registry

TITLES = {
    name: registry.resolve(name).title for name in ("torch", "paddle", "keras", "flax", "onnx")
}


def tabs(contents: Mapping[str, str]) -> str:
    """Return tabs as MyST writes them.

    Args:
        contents: Backend -> Markdown.

    Example:
        >>> print(tabs({"torch": "`nn.Conv2d`"}))
        ::::{tab-set}
        :sync-group: framework
        :::{tab-item} PyTorch
        :sync: torch
        `nn.Conv2d`
        :::
        ::::
    """
    items = [
        f":::{{tab-item}} {TITLES[name]}\n:sync: {name}\n{text}\n:::"
        for name, text in contents.items()
    ]
    return "\n".join(["::::{tab-set}", ":sync-group: framework", *items, "::::"])
