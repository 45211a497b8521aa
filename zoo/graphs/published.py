"""Published figures, such as 159K, and whether computed ones agree with them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_ROUNDED = re.compile(r"(\d{1,15})(?:\.(\d{1,15}))?([KMG]?)")
_KINDS = {
    "output": (re.compile(r"\d{1,9}(x\d{1,9}){0,3}"), "a size such as 28x28x256"),
    "depth": (re.compile(r"\d{1,9}"), "a number of layers"),
    "params": (_ROUNDED, "a figure such as 159K or 1.5M"),
    "ops": (_ROUNDED, "a figure such as 159K or 1.5M"),
}
#: The figures that a spec may state for a block, a layer or the whole network.
FIGURES = tuple(_KINDS)
#: The key of the notes: a figure, or several with commas -> why it contradicts the computed one.
NOTES = "notes"

_LONGEST_NOTE = 300


def problem_with(kind: str, figure: object) -> str | None:
    """Check one entry of ``published``: a figure, or the notes on figures.

    Args:
        kind: The entry's key: one of :data:`FIGURES`, or :data:`NOTES`.
        figure: Its value.

    Returns:
        What is wrong with it, or None.

    Example:
        >>> problem_with("params", "159K"), problem_with("params", "many")
        (None, "expected a figure such as 159K or 1.5M, got 'many'")
        >>> problem_with("notes", {"params": "The row's own ops contradict it."})
        >>> problem_with("notes", {"color": "red"})
        "notes: unknown kind of figure 'color'. Known: output, depth, params, ops."
    """
    if kind == NOTES:
        return _problem_with_notes(figure)
    if kind not in _KINDS:
        return f"unknown kind of figure {kind!r:.200}. Known: {', '.join((*FIGURES, NOTES))}."
    pattern, expected = _KINDS[kind]
    if isinstance(figure, str | int | float) and pattern.fullmatch(str(figure)):
        return None
    return f"expected {expected}, got {figure!r:.200}"


def problem_with_all(figures: object) -> str | None:
    """Check the figures of a network, by path name, and return what is wrong, or None.

    Example:
        >>> problem_with_all({"conv1": {"ops": "34M"}}), problem_with_all({"conv1": "34M"})
        (None, "conv1: expected a mapping of figures, got '34M'")
    """
    if not isinstance(figures, Mapping):
        return f"expected a mapping of figures by path name, got {figures!r:.200}"
    for path, stated in figures.items():
        if not isinstance(stated, Mapping):
            return f"{path:.200}: expected a mapping of figures, got {stated!r:.200}"
        for kind, figure in stated.items():
            if problem := problem_with(kind, figure):
                return f"{path:.200}: {problem}"
    return None


def reasons(notes: Mapping[str, str]) -> dict[str, str]:
    """Return the reason for each figure of valid notes.

    Example:
        >>> reasons({"params, ops": "Both are those of another row."})["ops"]
        'Both are those of another row.'
    """
    return {name: reason for figures, reason in notes.items() for name in _named(figures)}


def combined(
    stated: Mapping[str, Mapping[str, Any]], inherited: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Combine the figures that a network states with those that it inherits.

    Args:
        stated: Path name -> kind -> figure, or None to drop an inherited one; ``notes`` are by
            kind.
        inherited: The same, without None.

    Returns:
        All figures by path name. A note is inherited only together with its figure.

    Example:
        >>> combined({"conv1": {"ops": "34M"}}, {"conv1": {"params": "2.7K", "ops": "3M"}})
        {'conv1': {'params': '2.7K', 'ops': '34M'}}
    """
    result: dict[str, dict[str, Any]] = {}
    for path in (*inherited, *(path for path in stated if path not in inherited)):
        own, old = stated.get(path, {}), inherited.get(path, {})
        figures = {k: v for k, v in {**old, **own}.items() if v is not None and k != NOTES}
        reasons = {k: v for k, v in (old.get(NOTES) or {}).items() if k not in own}
        if NOTES in own:
            reasons = reasons | own[NOTES] if own[NOTES] else {}
        if reasons:
            figures[NOTES] = reasons
        if figures:
            result[path] = figures
    return result


def _named(figures: object) -> list[str]:
    return [name.strip() for name in str(figures).split(",")]


def _problem_with_notes(notes: object) -> str | None:
    if not isinstance(notes, Mapping):
        return f"{NOTES}: expected a mapping from a figure to a reason, got {notes!r:.200}"
    for figure, reason in notes.items():
        if unknown := [name for name in _named(figure) if name not in FIGURES]:
            shown = f"{unknown[0]!r:.200}"
            return f"{NOTES}: unknown kind of figure {shown}. Known: {', '.join(FIGURES)}."
        if not isinstance(reason, str) or not reason.isprintable():
            return f"{NOTES}: expected a sentence on one line for {figure}, got {reason!r:.200}"
        if not 0 < len(reason) <= _LONGEST_NOTE:
            return f"{NOTES}: expected 1 to {_LONGEST_NOTE} characters for {figure}"
    return None


def agrees(computed: int, published: object) -> bool:
    """Tell whether a computed figure agrees with one that a paper rounds.

    They agree if they differ by at most 1%, or if the paper rounds or truncates its last digit. K
    is 1000 or 1024, whichever is closer: papers use both. An integer without a unit must match
    exactly.

    Raises:
        ValueError: The published figure is malformed.

    Example:
        >>> agrees(163_696, "159K"), agrees(9_472, "2.7K"), agrees(138_357_544, "138M")
        (True, False, True)
        >>> agrees(1516, "1516"), agrees(1517, "1516"), agrees(3_504_872, "3.4M")
        (True, False, False)
    """
    match = _ROUNDED.fullmatch(str(published))
    if not match:
        raise ValueError(problem_with("params", published))
    whole, decimals, unit = match[1], match[2] or "", match[3]
    if not unit and not decimals:
        return computed == int(whole)
    value = float(f"{whole}.{decimals or 0}")
    power = " KMG".index(unit) if unit else 0
    last_digit = 10.0 ** -len(decimals) if unit else 0
    for base in (1000, 1024) if unit == "K" else (1000,):
        excess = computed / base**power - value
        if abs(excess) <= value * 0.01 or -last_digit / 2 <= excess < last_digit:
            return True
    return False
