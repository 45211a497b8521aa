"""Checks a document against the grammar, and says where in the file it does not follow it."""

from __future__ import annotations

from typing import TypeVar

from zoo.language import schema
from zoo.language.document import MAX_DEPTH, Mapping, error
from zoo.ops.grammar import Record
from zoo.ops.kinds import Mismatch

Grammar = TypeVar("Grammar", bound=Record)


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
        return grammar.read(document)
    except Mismatch as mismatch:
        raise error(document, mismatch.location, str(mismatch)) from None
    except RecursionError:  # a file of weights can hold a spec that never was YAML
        raise error(document, (), f"nested more than {MAX_DEPTH} levels deep") from None
