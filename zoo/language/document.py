"""Reads YAML safely into plain data that remembers its lines.

Only the JSON-like core of YAML 1.2 is understood: mappings, sequences, strings, integers, floats,
booleans and null. So ``no`` is a string and ``1e-4`` a number, unlike in PyYAML's own YAML 1.1.
Tags, binary data, dates and merge keys are refused; size, depth and alias expansion are bounded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping as AbstractMapping
from pathlib import Path
from typing import Any

import yaml

from zoo.errors import MAX_QUOTED, SpecError, printable, quoted, shortened

MAX_BYTES = 1_000_000
MAX_DEPTH = 40
MAX_VALUES = 50_000  # counted after aliases are expanded
MAX_CHARACTERS = 2 * MAX_BYTES  # of keys and values, counted after aliases are expanded
MAX_KEY, MAX_LOCATION = 60, 300  # characters that a message shows

Location = tuple[str | int, ...]


class Mapping(dict[str, Any]):
    """A dict that knows its file and line, and those of each of its keys."""

    def __init__(self, items: AbstractMapping[str, Any] = {}, file: str = "<spec>", line: int = 1):
        super().__init__(items)
        self.file, self.line = file, line
        self.lines: dict[str, int] = {}
        self.files: dict[str, str] = {}  # of the keys that come from another file

    def without(self, *keys: str) -> Mapping:
        """Return a copy without some keys, which keeps all locations."""
        kept = Mapping({k: v for k, v in self.items() if k not in keys}, self.file, self.line)
        kept.lines.update(self.lines)
        kept.files.update(self.files)
        return kept

    def put(self, key: str, value: Any, source: Mapping) -> None:
        """Set a value, with the location that the key has in another mapping."""
        self[key] = value
        self.lines[key] = source.lines[key]
        self.files[key] = source.files.get(key, source.file)


class NoMappingError(SpecError):
    """The top level of a file is not a mapping.

    Args:
        place: The file and the line.
    """

    def __init__(self, place: str) -> None:
        super().__init__(f"{place}: expected a mapping at the top level, such as 'format: 1'")
        self.place = place


class Sequence(list[Any]):
    """A list that knows the line of each item."""

    line: int = 1
    lines: list[int]


def read(path: str | Path) -> Mapping:
    """Read one YAML file whose top level is a mapping.

    Args:
        path: A file of at most ``MAX_BYTES`` bytes in UTF-8.

    Returns:
        The document as nested ``Mapping`` and ``Sequence`` objects and plain scalars.

    Raises:
        SpecError: The file cannot be read, is too large, or is not the YAML described above.
    """
    path = Path(path)
    try:
        if path.exists() and not path.is_file():  # reading a pipe could block forever
            raise SpecError(f"{path}: not a file")
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise SpecError(f"{_shown(path)}: no such file") from None
    except OSError as error:
        reason = error.strerror or error
        raise SpecError(f"{_shown(path)}: cannot read the file: {reason}") from None
    except SpecError:
        raise
    except ValueError:  # a null byte in the name
        raise SpecError(f"{_shown(path)}: cannot read the file: not a valid file name") from None
    if len(raw) > MAX_BYTES:
        raise SpecError(f"{path}: the file is larger than {MAX_BYTES:,} bytes")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SpecError(f"{path}: not UTF-8 text (byte {error.start})") from None
    return parse(text, str(path))


def _shown(path: Path) -> str:
    return shortened(printable(str(path)), MAX_QUOTED)


def parse(text: str, file: str = "<spec>") -> Mapping:
    """Parse YAML text; see :func:`read`.

    Example:
        >>> document = parse("format: 1\\nname: tiny")
        >>> document, document.lines["name"]
        ({'format': 1, 'name': 'tiny'}, 2)
    """
    try:
        expansion = " after alias expansion" if _check_events(text, file) else ""
        root = yaml.compose(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise _syntax_error(error, text, file) from None
    except SpecError:
        raise
    except ValueError as error:  # PyYAML raises it bare for \U escapes beyond Unicode
        raise SpecError(f"{file}: not valid YAML: {error}") from None
    if not isinstance(root, yaml.MappingNode):
        line = 1 if root is None else root.start_mark.line + 1
        raise NoMappingError(f"{file}:{line}")
    return _Reader(file, expansion).mapping(root, (), root.start_mark.line + 1)


def place(document: Mapping, location: Location) -> tuple[str, int]:
    """Return file and line of the deepest part of ``location`` that exists in ``document``."""
    # A graph keeps its spec as plain data, without locations.
    file, line = getattr(document, "file", "<spec>"), getattr(document, "line", 1)
    value: Any = document
    for key in location:
        if isinstance(value, Mapping) and key in value:
            line = value.lines.get(str(key), line)
            file = value.files.get(str(key), value.file)
        elif isinstance(value, Sequence) and isinstance(key, int) and key < len(value):
            line = value.lines[key]
        else:
            break
        value = value[key]
    return file, line


def error(document: Mapping, location: Location, message: str) -> SpecError:
    """Return an error of one line: the file, the line, the JSON path, and the message."""
    file, line = place(document, location)
    return SpecError(f"{_end(file)}:{line}: {describe(location)}: {message}")


def _end(file: str) -> str:
    """Shorten a path from the left: the end distinguishes files."""
    return file if len(file) <= MAX_QUOTED else f"...{file[3 - MAX_QUOTED :]}"


def describe(location: Location) -> str:
    """Write a location as a JSON path.

    Example:
        >>> describe(("layers", "conv1", "padding", 2))
        '$.layers.conv1.padding[2]'
    """
    keys = [f"[{k}]" if isinstance(k, int) else f".{_short(k)}" for k in location]
    return shortened("$" + "".join(keys), MAX_LOCATION)


def _short(key: str) -> str:
    return shortened(printable(str(key)[: 2 * MAX_KEY]), MAX_KEY)


def merge(base: Mapping, patch: AbstractMapping[str, Any]) -> Mapping:
    """Return ``base`` with ``patch`` applied: mappings merge, everything else is replaced.

    Neither argument is changed. Each value keeps its own location.

    Example:
        >>> merge(parse("a: {x: 1, y: 2}"), parse("a: {y: 3}"))
        {'a': {'x': 1, 'y': 3}}
    """
    merged = base.without()
    for key, value in patch.items():
        old = merged.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            merged[key] = merge(old, value)
            continue
        if isinstance(patch, Mapping):
            merged.put(key, value, patch)
        else:
            merged[key] = value
    return merged


class _Reader:
    """Turns composed YAML nodes into located data, counting what aliases expand to."""

    def __init__(self, file: str, expansion: str) -> None:
        self.file, self.expansion = file, expansion  # what a message about size adds
        self.values = self.characters = 0

    def convert(self, node: yaml.Node, location: Location) -> Any:
        line = node.start_mark.line + 1
        self.values += 1
        if len(location) > MAX_DEPTH:
            raise self.error(line, location[:3], f"nested more than {MAX_DEPTH} levels deep")
        if self.values > MAX_VALUES:
            raise self.error(line, (), f"more than {MAX_VALUES:,} values{self.expansion}")
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, location, line)
        if isinstance(node, yaml.SequenceNode):
            result = Sequence()
            result.line, result.lines = line, [item.start_mark.line + 1 for item in node.value]
            result.extend(self.convert(item, (*location, i)) for i, item in enumerate(node.value))
            return result
        return self.scalar(node, location)

    def mapping(self, node: yaml.MappingNode, location: Location, line: int) -> Mapping:
        result = Mapping(file=self.file, line=line)
        for key_node, value_node in node.value:
            key_line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise self.error(key_line, location, "a key must be a plain scalar")
            key = key_node.value
            self.count(key, key_line)
            if key in result:
                first = result.lines[key]
                raise self.error(key_line, (*location, key), f"repeated; first on line {first}")
            result.lines[key] = key_line
            result[key] = self.convert(value_node, (*location, key))
        return result

    def scalar(self, node: yaml.Node, location: Location) -> Any:
        self.count(node.value, node.start_mark.line + 1)
        kind = node.tag.removeprefix("tag:yaml.org,2002:")
        try:
            return _SCALARS[kind](node.value)
        except (KeyError, ValueError):
            message = f"{quoted(node.value, 40)} is not a YAML {kind}"
            raise self.error(node.start_mark.line + 1, location, message) from None

    def count(self, text: str, line: int) -> None:
        """Count characters: many aliases may refer to one long text."""
        self.characters += len(text)
        if self.characters > MAX_CHARACTERS:
            message = f"more than {MAX_CHARACTERS:,} characters{self.expansion}"
            raise self.error(line, (), message)

    def error(self, line: int, location: Location, message: str) -> SpecError:
        return SpecError(f"{_end(self.file)}:{line}: {describe(location)}: {message}")


# libyaml's parser is ten times faster, but PyYAML can be built without it.
_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Base):  # type: ignore[misc]  # the base is chosen at run time
    """Composes nodes with the scalar types of YAML 1.2's core schema, and no others."""

    yaml_implicit_resolvers: dict[str, Any] = {}


for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]{1,18}", list("-+0123456789")),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,3})?",
        list("-+.0123456789"),
    ),
):
    _regexp = re.compile(rf"^(?:{_pattern})$")
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", _regexp, _first)

_SCALARS: dict[str, Any] = {
    "str": str,
    "int": int,
    "float": float,
    "bool": {
        t: t.lower() == "true" for t in "true True TRUE false False FALSE".split()
    }.__getitem__,
    "null": dict.fromkeys(("~", "null", "Null", "NULL", "")).__getitem__,
}


def _check_events(text: str, file: str) -> bool:
    """Check the event stream first: unlike composing, it needs no recursion.

    Returns:
        Whether the text has aliases.
    """
    depth = values = documents = 0
    has_aliases = False
    for event in yaml.parse(text, Loader=_Loader):
        has_aliases |= isinstance(event, yaml.AliasEvent)
        documents += isinstance(event, yaml.DocumentStartEvent)
        if documents > 1:
            raise SpecError(
                f"{_end(file)}:{_line(event)}: a second YAML document begins here; remove the "
                "'---', or move what follows it to another file"
            )
        values += not isinstance(event, yaml.CollectionEndEvent)
        if (tag := getattr(event, "tag", None)) is not None:
            position = f"{_end(file)}:{_line(event)}"
            tag = tag.replace("tag:yaml.org,2002:", "!!")
            raise SpecError(f"{position}: YAML tags are not allowed, got {quoted(tag, 60)}")
        if values > 2 * MAX_VALUES + 10:  # keys are counted here, too
            raise SpecError(f"{_end(file)}:{_line(event)}: more than {MAX_VALUES:,} values")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                position = f"{_end(file)}:{_line(event)}"
                raise SpecError(f"{position}: nested more than {MAX_DEPTH} levels deep")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
    return has_aliases


def _misplaced(text: str, mark: yaml.Mark) -> str:
    """Explain what is wrong with the character at which the parser stopped."""
    lines = text.removeprefix("\ufeff").splitlines()  # the parser does not count the mark
    character = lines[mark.line][mark.column : mark.column + 1] if mark.line < len(lines) else ""
    if character in ("@", "`", "%"):
        return f"text that begins with {character!r} needs quotes"
    return "a tab; indent with spaces"


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


def _syntax_error(error: yaml.YAMLError, text: str, file: str) -> SpecError:
    mark: yaml.Mark | None = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    position = f"{_end(file)}:{mark.line + 1}" if mark else _end(file)
    if mark and any(words in problem for words in ("cannot start any token", "a tab character")):
        problem = _misplaced(text, mark)
    if "maximum nesting depth" in problem:  # libyaml's own limit, reached by its look-ahead
        return SpecError(f"{position}: nested more than {MAX_DEPTH} levels deep")
    return SpecError(f"{position}: not valid YAML: {problem}")
