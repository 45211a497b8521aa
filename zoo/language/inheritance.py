"""Decides which published figures a variant inherits: those of the parts that compute the same.

- A layer or block inherits its figures if it computes the same, from an input of the same shape.
- The whole network inherits its figures if the variant changes no option, setting, table, block or
  layer.

Figures that a variant states itself always apply, and ``null`` drops an inherited one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from zoo.errors import InputError, SpecError
from zoo.graphs import published
from zoo.graphs.graph import Graph
from zoo.graphs.published import NOTES
from zoo.language import variants
from zoo.language.document import Mapping, error
from zoo.language.expansion import INHERITED, expand
from zoo.language.options import Chosen
from zoo.language.published_figures import without_figures
from zoo.language.schema import Spec
from zoo.language.validation import validate
from zoo.ops.expressions import Budget

_COMPUTING = ("options", "settings", "tables", "blocks", "layers")


def resolve(document: Mapping, model: str) -> tuple[Spec, Mapping]:
    """Return the spec of one model of a file, also as a separate document.

    Args:
        document: A valid spec file, with ``bases`` if it extends a family; it is not changed.
        model: One of its models, or the family's name if it has none.

    Returns:
        The spec; and the document, with the figures that the model inherits by path name.

    Raises:
        SpecError: The variant changes something that does not exist, is based on itself, or is not
            a valid spec; or a base states a figure that is malformed.
    """
    *bases, own = variants.lineage(document, model)
    spec = validate(own)
    figures = {**_of_parts(model, [*bases, own]), "": _of_network([*bases, own])}
    inherited = {path: stated for path, stated in figures.items() if stated}
    if inherited:
        own = own.without()
        own[INHERITED] = inherited
    return spec, own


def _of_parts(model: str, lineage: Sequence[Mapping]) -> dict[str, Any]:
    """Return the figures of layers and blocks: those inherited, and those of the last document.

    Raises:
        SpecError: A base states a figure that is malformed.
    """
    stating = (i for i, base in enumerate(lineage[:-1]) if _states_figures_of_parts(base))
    first = next(stating, None)
    if first is None:
        return {}
    budget = Budget()  # shared, so that a long lineage takes no longer than one network may
    graph: Graph | None = None
    for document in lineage[first:]:
        try:
            graph = _expanded(model, document, budget, graph)
        except SpecError:
            if document is not lineage[-1] and _is_complete(model, document, budget):
                raise
            graph = None
    return {path: dict(stated) for path, stated in graph.published.items()} if graph else {}


def _expanded(model: str, document: Mapping, budget: Budget, base: Graph | None = None) -> Graph:
    """Expand a document with its auxiliary heads, if there are any."""
    spec = validate(document)
    try:
        return expand(model, spec, document, Chosen(aux=len(spec.outputs) > 1), budget, base)
    except InputError:  # a variant can leave the heads out
        return expand(model, spec, document, Chosen(), budget, base)


def _is_complete(model: str, document: Mapping, budget: Budget) -> bool:
    """Tell whether a base is a network by itself, rather than one that its variants complete."""
    try:
        _expanded(model, without_figures(document), budget)
    except SpecError:
        return False
    return True


def _states_figures_of_parts(document: Mapping) -> bool:
    return document.without("published") != without_figures(document)


def _of_network(lineage: Sequence[Mapping]) -> dict[str, Any]:
    """Return the figures of the whole network that the last document inherits."""
    figures: dict[str, Any] = {}
    for base, variant in pairwise(lineage):
        same = _same(base, variant, _COMPUTING)
        stated = {"": _stated_for_network(base)}
        figures = published.combined(stated, {"": figures}).get("", {}) if same else {}
    return figures


def _stated_for_network(document: Mapping) -> dict[str, Any]:
    stated: Mapping = document.get("published") or Mapping()
    for kind, figure in stated.items():
        if figure is not None and (problem := published.problem_with(kind, figure)):
            raise error(document, ("published", kind), problem)
    notes = {NOTES: published.reasons(stated[NOTES] or {})} if NOTES in stated else {}
    return {**stated, **notes}


def _same(base: Mapping, variant: Mapping, keys: Iterable[str]) -> bool:
    """Tell whether parts of two documents are the same but for what only describes them."""
    one, other = without_figures(base), without_figures(variant)
    return all(_undescribed(one.get(key)) == _undescribed(other.get(key)) for key in keys)


def _undescribed(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _undescribed(v) for k, v in value.items() if k != "about"}
    return value
