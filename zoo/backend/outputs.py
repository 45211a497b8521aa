"""The results of models: a value, or values in lists and dicts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


def mapped(result: Any, convert: Callable[[Any], Any]) -> Any:
    """Convert every value in a model's result; tuples become lists.

    Example:
        >>> mapped({"logits": 1, "aux": (2, 3)}, str)
        {'logits': '1', 'aux': ['2', '3']}
    """
    if isinstance(result, Mapping):
        return {name: mapped(value, convert) for name, value in result.items()}
    if isinstance(result, list | tuple):
        return [mapped(value, convert) for value in result]
    return convert(result)
