"""Immutable dicts and lists, so that one graph can be shared by all callers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn


def _refuse(self: Any, *arguments: Any, **options: Any) -> NoReturn:
    raise TypeError(f"a {type(self).__name__} cannot be changed; make a new one")


class FrozenDict(dict[str, Any]):
    """An immutable dict; equal to a plain one, and hashable if its values are."""

    __slots__ = ()

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __hash__(self) -> int:  # type: ignore[override]  # dict is mutable and has none
        return hash(frozenset(self.items()))

    def __copy__(self) -> FrozenDict:
        return self

    def __deepcopy__(self, memo: object) -> FrozenDict:
        return self

    def __reduce__(self) -> tuple[type[FrozenDict], tuple[dict[str, Any]]]:
        return FrozenDict, (dict(self),)


class FrozenList(list[Any]):
    """An immutable list; equal to a plain one, and hashable if its items are."""

    __slots__ = ()

    __setitem__ = __delitem__ = __iadd__ = __imul__ = _refuse
    append = clear = extend = insert = pop = _refuse
    remove = reverse = sort = _refuse

    def __hash__(self) -> int:  # type: ignore[override]  # list is mutable and has none
        return hash(tuple(self))

    def __copy__(self) -> FrozenList:
        return self

    def __deepcopy__(self, memo: object) -> FrozenList:
        return self

    def __reduce__(self) -> tuple[type[FrozenList], tuple[list[Any]]]:
        return FrozenList, (list(self),)


_IMMUTABLE = frozenset({int, float, bool, str, type(None), FrozenDict, FrozenList})


def freeze(value: Any) -> Any:
    """Return a value whose dicts and lists, at any depth, are immutable.

    Args:
        value: Plain data: dicts, lists, tuples, and scalars.

    Returns:
        The value itself if it is immutable, otherwise a frozen copy.

    Example:
        >>> settings = freeze({"depths": [3, 4]})
        >>> settings["depths"].append(5)
        Traceback (most recent call last):
        TypeError: a FrozenList cannot be changed; make a new one
    """
    kind = type(value)
    if kind in _IMMUTABLE:  # checked first: nearly every value is one
        return value
    if kind is tuple:
        return value if _IMMUTABLE.issuperset(map(type, value)) else tuple(map(freeze, value))
    if isinstance(value, Mapping):
        return FrozenDict({k: v if type(v) in _IMMUTABLE else freeze(v) for k, v in value.items()})
    if isinstance(value, list):
        return FrozenList(map(freeze, value))
    return value
