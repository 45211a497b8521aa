"""Names of classes and variables, from those of a spec."""

from __future__ import annotations

import re
from collections.abc import Iterable


def camel_case(name: str) -> str:
    """Return a name of the spec as that of a class."""
    return "".join(part[:1].upper() + part[1:] for part in re.split("[_:]", name))


def constant_name(name: str, taken: Iterable[str] = ()) -> str:
    """Return the name of a table as that of a constant, other than some names.

    Example:
        >>> constant_name("table1"), constant_name("5b"), constant_name("a", ["A"])
        ('TABLE1', 'TABLE_5B', 'TABLE_A')
    """
    found = name.upper()
    return found if found.isidentifier() and found not in taken else f"TABLE_{found}"


def snake_case(target: str) -> str:
    """Return the name of a class as that of a variable."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", target.rpartition(".")[2]).lower()


def plural(noun: str) -> str:
    """Return the plural of a name.

    Example:
        >>> plural("conv"), plural("body"), plural("branch"), plural("key")
        ('convs', 'bodies', 'branches', 'keys')
    """
    if re.search(r"[^aeiou]y$", noun):
        return f"{noun[:-1]}ies"
    return f"{noun}es" if re.search(r"(s|x|z|ch|sh)$", noun) else f"{noun}s"


def network_name(title: str | None, name: str) -> str:
    """Return the name of a network as that of a class."""
    words = re.findall(r"[A-Za-z0-9]+", title or "")
    if words and words[0][0].isalpha():
        return "".join(word[:1].upper() + word[1:] for word in words)
    return camel_case(re.sub(r"\W", "_", name))
