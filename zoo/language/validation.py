"""Validates a document against the grammar, and reports where in the file it is wrong."""

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
        SpecError: One line with the file, line, path, what was expected, and a suggestion.
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
    except RecursionError:  # the spec in a file of weights may never have been YAML
        raise error(document, (), f"nested more than {MAX_DEPTH} levels deep") from None
