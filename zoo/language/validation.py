"""Checks a document against the grammar and puts pydantic's findings in a reader's words."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import ValidationError

from zoo.errors import quoted, suggestion
from zoo.language import schema
from zoo.language.document import Location, Mapping, error
from zoo.ops import OPS
from zoo.ops.fields import Strict

#: Words that pydantic's locations contain and files do not: the members of unions.
_TAGS = frozenset({*OPS, "use", "group", "str", "list[str]", "[key]", "normal", "scaled"})

#: Which type a word in a location belongs to, to suggest its fields.
_KINDS: dict[str, type[Strict]] = {
    **OPS,
    "use": schema.Use,
    "group": schema.Group,
    "blocks": schema.BlockDef,
    "tables": schema.Table,
    "models": schema.Variant,
    "outputs": schema.OutputDef,
    "options": schema.Options,
    "paper": schema.Paper,
    "initializers": schema.Initializers,
    "preprocessing": schema.Preprocessing,
    "normal": schema.Normal,
    "scaled": schema.VarianceScaling,
}

Grammar = TypeVar("Grammar", bound=Strict)

_EXPECTED = {
    "string_type": "text",
    "int_type": "an integer",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "list_type": "a list",
}


def validate(document: Mapping) -> schema.Spec:
    """Check a document against the grammar.

    Raises:
        SpecError: One line: file, line, path, what was expected, and the nearest right word.
    """
    return _validated(schema.Spec, document)


def validate_extension(document: Mapping) -> schema.Extension:
    """Check a document that extends another's family; see :func:`validate`."""
    return _validated(schema.Extension, document)


def _validated(grammar: type[Grammar], document: Mapping) -> Grammar:
    try:
        return grammar.model_validate(document)
    except ValidationError as wrong:
        found = wrong.errors(include_url=False)
    # A misspelt field is also a missing one: the misspelling says more.
    first = min(found, key=lambda e: e["type"] != "extra_forbidden")
    location = _in_file(first["loc"], document)
    if _is_no_layer(first):
        location = location[:-1]
    raise error(document, location, _message(first, location, grammar))


def _in_file(loc: tuple[int | str, ...], document: Any) -> Location:
    """Drop from pydantic's location what is not in the file."""
    location: list[str | int] = []
    value = document
    for i, part in enumerate(loc):
        if _has(value, part):
            value = value[part]
        elif i < len(loc) - 1 or part in _TAGS:
            continue
        location.append(part)
    return tuple(location)


def _has(value: Any, key: int | str) -> bool:
    if isinstance(value, list):
        return isinstance(key, int) and key < len(value)
    return isinstance(value, dict) and key in value


def _is_no_layer(found: Any) -> bool:
    """Whether what was found is a layer that says nothing of what it is."""
    return bool(found["type"] == "missing" and found["loc"][-2:] == ("group", "layers"))


def _message(found: Any, location: Location, grammar: type[Strict]) -> str:
    kind, value, loc = found["type"], found["input"], found["loc"]
    shown = "a mapping" if isinstance(value, dict) else quoted(value)
    shown = "a list" if isinstance(value, list) else shown
    if kind == "expected":
        return f"{found['msg']}, got {shown}"
    if kind == "union_tag_invalid":
        tag = value.get("op")
        return (
            f"unknown op {quoted(tag)}.{suggestion(tag, OPS) or ' Known: ' + ', '.join(OPS) + '.'}"
        )
    if kind == "extra_forbidden" and location[-1] == "<<":
        return "merge keys are not read; write the fields, or use a variant"
    if (
        kind == "extra_forbidden"
        and location[-1] == "block"
        and loc[-2:-1] in [(op,) for op in OPS]
    ):
        return "a layer is an operation (op) or the use of a block (block), not both"
    if kind == "extra_forbidden" and not str(location[-1]).isidentifier():
        return "unknown field. Within { }, text that has a comma needs quotes."
    if kind == "extra_forbidden":
        return f"unknown field.{suggestion(location[-1], _known(loc, grammar))}"
    if kind == "literal_error":
        return f"expected {found['ctx']['expected']}, got {shown}"
    if _is_no_layer(found):
        return "expected one of op (an operation), block (the use of one) or layers (a group)"
    if kind == "missing":
        return "missing; it must be given"
    if kind == "string_pattern_mismatch":
        return f"expected a name of letters, digits and _, beginning with a letter, got {shown}"
    return f"expected {_EXPECTED.get(kind, found['msg'])}, got {shown}"


def _known(loc: tuple[int | str, ...], grammar: type[Strict]) -> list[str]:
    """List the fields that could have been meant: those of the innermost type named."""
    word = next((str(part) for part in reversed(loc[:-1]) if str(part) in _KINDS), "")
    fields = _KINDS.get(word, grammar).model_fields
    others = ["op", "block"] if word == "group" else []
    return [*(field.alias or name for name, field in fields.items()), *others]
