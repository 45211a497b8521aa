"""From zoo's names to a source's, by the rules of its table."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

Names = str | list[str]  # one, or several of which a file has one


def listed(names: Names) -> list[str]:
    """One name, or several, as a list."""
    return [names] if isinstance(names, str) else names


def pattern(ours: str) -> re.Pattern[str]:
    """Make a pattern of a block's, node's or parameter's name, and of all that is under it.

    Example:
        >>> pattern("conv*").fullmatch("conv2.bn").groups()
        ('2', '.bn')
    """
    parts = [re.escape(part) for part in ours.split("*")]
    return re.compile("([^.]+)".join(parts) + r"(\..+)?")


Rule = tuple[re.Pattern[str], list[str]]


def rules(names: Mapping[str, list[str]]) -> list[Rule]:
    """Make rules of a table's names, those first that say the most."""
    ordered = sorted(names.items(), key=lambda item: -len(item[0].replace("*", "")))
    return [(pattern(ours), theirs) for ours, theirs in ordered]


def translated(
    name: str, known: Iterable[Rule], words: Mapping[str, str], local: str, theirs: list[str]
) -> tuple[str, ...] | None:
    """Translate a parameter's name.

    Args:
        name: zoo's.
        known: The table's rules.
        words: What a star stands for -> the source's word for it, where it has another.
        local: The last part of the name, such as ``weight``.
        theirs: What the source calls that.

    Returns:
        The source's names, of which a file has one; None if no rule holds.

    Example:
        >>> known = rules({"stem.conv*": ["b_*"], "*.bn.weight": ["*.g"]})
        >>> translated("stem.conv1.weight", known, {}, "weight", ["W", "0"])
        ('b_1.W', 'b_1.0')
        >>> translated("stem.bn.weight", known, {"stem": "s"}, "weight", ["W"])
        ('s.g',)
    """
    for ours, several in known:
        if match := ours.fullmatch(name):
            *stars, rest = match.groups()
            for star in stars:
                word = words.get(star, star)
                several = [filled(each, word) for each in several]
            if rest is None:  # the rule is of this very parameter
                return tuple(several)
            under = rest.removesuffix(local)
            return tuple(f"{each}{under}{own}" for each in several for own in theirs)
    return None


#: A star, and by how much its number is less or more than zoo's.
_STAR = re.compile(r"\*([-+]\d+)?")


def filled(theirs: str, word: str) -> str:
    """Put what a star stands for in place of the first, counted on where the name says so.

    Example:
        >>> filled("layer*.*-1.conv", "2"), filled("conv*+1_block*", "2")
        ('layer2.*-1.conv', 'conv3_block*')
    """

    def counted(found: re.Match[str]) -> str:
        return str(int(word) + int(found[1])) if found[1] else word

    return _STAR.sub(counted, theirs, count=1)


def counted_from_one(keys: Iterable[str], kinds: Iterable[str]) -> dict[str, str]:
    """Count layers of a kind from 1, whose numbers go on through a session, as Keras' do.

    It calls the first ``conv2d``, its second version ``conv2d_1``, and a later model's start where
    the one before ended. The least number in a file stands for 1.

    Returns:
        Name with such a number -> the file's own, of every array.

    Example:
        >>> counted_from_one(["conv_7.kernel", "conv_8.kernel"], ["conv"])
        {'conv_1.kernel': 'conv_7.kernel', 'conv_2.kernel': 'conv_8.kernel'}
    """
    names = {key: key for key in keys}
    for kind in kinds:
        numbered = re.compile(re.escape(kind) + r"(?:_([1-9]\d{0,8}))?(\..+)")
        found = {key: match for key in names if (match := numbered.fullmatch(key))}
        first = min((int(match[1] or 0) for match in found.values()), default=0)
        for key in found:
            del names[key]
        for key, match in found.items():
            names[f"{kind}_{int(match[1] or 0) - first + 1}{match[2]}"] = key
    return names
