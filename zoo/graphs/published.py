"""Figures as papers print them, such as 159K, and whether computed ones bear them out."""

from __future__ import annotations

import re

_ROUNDED = re.compile(r"(\d+)(?:\.(\d+))?([KMG]?)")
_KINDS = {
    "output": (re.compile(r"\d+(x\d+)*"), "a size such as 28x28x256"),
    "depth": (re.compile(r"\d+"), "a number of layers"),
    "params": (_ROUNDED, "a figure such as 159K or 1.5M"),
    "ops": (_ROUNDED, "a figure such as 159K or 1.5M"),
}


def problem_with(kind: str, figure: object) -> str | None:
    """Say what is wrong with a published figure, or None if nothing is.

    Example:
        >>> problem_with("params", "159K"), problem_with("params", "many")
        (None, "expected a figure such as 159K or 1.5M, got 'many'")
    """
    if kind not in _KINDS:
        return f"unknown kind of figure {kind!r}. Known: {', '.join(_KINDS)}."
    pattern, expected = _KINDS[kind]
    return None if pattern.fullmatch(str(figure)) else f"expected {expected}, got {figure!r}"


def agrees(computed: int, published: object) -> bool:
    """Tell whether a computed figure bears out one that a paper rounds.

    It does within 1 %, or where the last digit the paper prints is rounded or cut off. K is read as
    1000 or as 1024, whichever is nearer: papers use both. A whole number without a unit is exact.

    Raises:
        ValueError: The published figure is none.

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
    digit = 10.0 ** -len(decimals) if unit else 0
    return any(
        abs(less := computed / base**power - value) <= value * 0.01 or -digit / 2 <= less < digit
        for base in ((1000, 1024) if unit == "K" else (1000,))
    )
