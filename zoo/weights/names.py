"""Translates zoo's names into a source's names by the rules of its table."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import count

#: What PyTorch's wrappers add to the names of the modules inside them.
WRAPPERS = frozenset(
    ("module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_layers")
)

Names = str | list[str]  # one name, or alternatives of which a file has one


def without_wrappers(name: str) -> str:
    """Return a name without what wrappers add to it.

    Example:
        >>> without_wrappers("module.encoder.fc.weight")
        'encoder.fc.weight'
    """
    return ".".join(part for part in name.split(".") if part not in WRAPPERS)


def listed(names: Names) -> list[str]:
    """Return one name, or alternatives, as a list."""
    return [names] if isinstance(names, str) else names


def pattern(zoo_name: str) -> re.Pattern[str]:
    """Compile a pattern that matches a block, node or parameter, and everything below it.

    Example:
        >>> pattern("conv*").fullmatch("conv2.bn").groups()
        ('2', '.bn')
    """
    parts = [re.escape(part) for part in zoo_name.split("*")]
    return re.compile("([^.]+)".join(parts) + r"(\..+)?")


Rule = tuple[re.Pattern[str], list[str]]


def rules(names: Mapping[str, list[str]]) -> list[Rule]:
    """Compile the names of a table to rules, most specific first."""
    ordered = sorted(names.items(), key=lambda item: -len(item[0].replace("*", "")))
    return [(pattern(zoo_name), source_names) for zoo_name, source_names in ordered]


def translated(
    name: str, known: Iterable[Rule], words: Mapping[str, str], local: str, local_names: list[str]
) -> tuple[str, ...] | None:
    """Translate the name of a parameter.

    Args:
        name: zoo's name.
        known: The table's rules.
        words: What a star matches -> the source's word for it, where that differs.
        local: The last part of the name, such as ``weight``.
        local_names: The source's names for that part.

    Returns:
        The source's names, of which a file has one; None if no rule matches.

    Example:
        >>> known = rules({"stem.conv*": ["b_*"], "*.bn.weight": ["*.g"]})
        >>> translated("stem.conv1.weight", known, {}, "weight", ["W", "0"])
        ('b_1.W', 'b_1.0')
        >>> translated("stem.bn.weight", known, {"stem": "s"}, "weight", ["W"])
        ('s.g',)
    """
    for rule, names in known:
        if match := rule.fullmatch(name):
            *stars, rest = match.groups()
            matched = [words.get(star, star) for star in stars]
            names = [with_words(source_name, matched) for source_name in names]
            if rest is None:  # the rule names the parameter itself
                return tuple(names)
            between = rest.removesuffix(local)
            return tuple(f"{n}{between}{last}" for n in names for last in local_names)
    return None


#: A star or the number of one, and what to add to the number that it matched.
_STAR = re.compile(r"(?:\*|\$([1-9]))([-+]\d+)?")


def with_words(source_name: str, words: Sequence[str]) -> str:
    """Replace the stars of a source's name by what they matched, one after the other.

    ``$2`` is the second star, where the source has another order; ``*+1`` adds 1 to the number.

    Example:
        >>> with_words("conv*+1_block*_*-1", "213"), with_words("conv_$2_cell_$1+1", "45")
        ('conv3_block1_2', 'conv_5_cell_5')
    """
    order = count(1)

    def replacement(star: re.Match[str]) -> str:
        number = int(star[1] or next(order))
        if number > len(words):
            return star[0]
        word = words[number - 1]
        return str(int(word) + int(star[2])) if star[2] else word

    return _STAR.sub(replacement, source_name)


def block_numbers(blocks: str, names: Iterable[str]) -> dict[str, str]:
    """Number the blocks of a network from 0, for a source that counts on from stage to stage.

    Args:
        blocks: The pattern of zoo's names of blocks.
        names: zoo's names of parameters, in the network's order.

    Returns:
        Name of a parameter in a block -> the number of that block.

    Example:
        >>> block_numbers("s*.b*", ["s1.b1.w", "s1.b1.v", "s2.b1.w", "fc.w"])
        {'s1.b1.w': '0', 's1.b1.v': '0', 's2.b1.w': '1'}
    """
    matches = {name: match for name in names if (match := pattern(blocks).fullmatch(name))}
    of_names = {name: name.removesuffix(match.groups("")[-1]) for name, match in matches.items()}
    numbers = {block: str(n) for n, block in enumerate(dict.fromkeys(of_names.values()))}
    return {name: numbers[block] for name, block in of_names.items()}


def before_star(source_name: str) -> str:
    """Return a source's name up to its first star, or number of one, or of a block.

    Example:
        >>> before_star("conv*_bn"), before_star("conv_$2_cell_$1"), before_star("fc")
        ('conv', 'conv_', 'fc')
    """
    return _STAR.split(source_name.replace("#", "*"), maxsplit=1)[0]


def counted_from_one(keys: Iterable[str], kinds: Iterable[str]) -> dict[str, str]:
    """Renumber layers so that those of each kind are counted from 1.

    Keras numbers layers throughout a session: the first is called ``conv2d`` and the next
    ``conv2d_1``, and a second model continues where the first one ended. The smallest number in a
    file becomes 1.

    Args:
        keys: The names in a file.
        kinds: The kinds of layer that are numbered.

    Returns:
        Renumbered name -> name in the file, for every array.

    Example:
        >>> counted_from_one(["conv_7.kernel", "conv_8.kernel"], ["conv"])
        {'conv_1.kernel': 'conv_7.kernel', 'conv_2.kernel': 'conv_8.kernel'}
    """
    names = {key: key for key in keys}
    for kind in kinds:
        numbered = re.compile(re.escape(kind) + r"(?:_([1-9]\d{0,8}))?(\..+)")
        matches = {key: match for key in names if (match := numbered.fullmatch(key))}
        first = min((int(match[1] or 0) for match in matches.values()), default=0)
        for key in matches:
            del names[key]
        for key, match in matches.items():
            names[f"{kind}_{int(match[1] or 0) - first + 1}{match[2]}"] = key
    return names
