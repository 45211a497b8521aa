"""Source code as HTML: colored, with its layers as elements and its notes as links."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from pygments.lexers import PythonLexer, YamlLexer
from pygments.token import Token

from zoo.language.places import Span

_LEXERS = {"python": PythonLexer, "yaml": YamlLexer}

#: Kinds of tokens that have a color, by the classes of the style sheet; their parts have it, too.
_KINDS = {
    Token.Comment: "c",
    Token.Literal.String.Doc: "c",
    Token.Literal.String: "s",
    Token.Literal.Number: "n",
    Token.Keyword: "k",
    Token.Name.Tag: "t",
    Token.Name.Class: "f",
    Token.Name.Function: "f",
}


def highlighted(
    text: str,
    language: str,
    spans: Sequence[Span],
    links: Iterable[tuple[int, int, str, str]] = (),
) -> str:
    """Return code as HTML, for an element that keeps its line breaks.

    Args:
        text: The code.
        language: ``python`` or ``yaml``.
        spans: The layers, outer ones first; each becomes elements with the attribute
            ``data-layer``, one in each of its lines.
        links: Start, end, address and title of parts that become links.

    Example:
        >>> highlighted("x = f(1)", "python", [Span(4, 8, "/f")])
        'x = <span data-layer="/f">f(<i class="n">1</i>)</span>'
    """
    tokens = _tokens(text, language)
    openings: dict[int, list[tuple[int, str, str]]] = {}
    for span in spans:
        tag = f'<span data-layer="{html.escape(span.name)}">'
        openings.setdefault(span.start, []).append((span.end, tag, "</span>"))
    for start, end, address, title in links:
        if not _crosses(spans, start, end):
            tag = f'<a href="{html.escape(address)}" title="{html.escape(title)}">'
            openings.setdefault(start, []).append((end, tag, "</a>"))
    cuts = {0, len(text), *tokens, *openings}
    cuts |= {end for opened in openings.values() for end, _, _ in opened}
    cuts |= {place for m in re.finditer(r"\n *", text) for place in (m.start(), m.end())}
    parts: list[str] = []
    opened: list[tuple[int, str, str]] = []
    kind = ""
    for start, end in pairwise(sorted(cuts)):
        kind = tokens.get(start, kind)
        while opened and opened[-1][0] <= start:
            parts.append(opened.pop()[2])
        for opening in sorted(openings.get(start, ()), reverse=True):
            opened.append(opening)
            parts.append(opening[1])
        part = text[start:end]
        if part.startswith("\n"):  # elements do not go beyond a line, nor include its indentation
            parts += [closing for _, _, closing in reversed(opened)]
            parts += [part, *(tag for _, tag, _ in opened)]
        elif kind and not part.isspace():
            parts.append(f'<i class="{kind}">{html.escape(part, quote=False)}</i>')
        else:
            parts.append(html.escape(part, quote=False))
    parts += [closing for _, _, closing in reversed(opened)]
    return "".join(parts).rstrip("\n")


def _crosses(spans: Sequence[Span], start: int, end: int) -> bool:
    """Tell whether a part is neither within a layer nor apart from it."""
    return any(
        s.start < end and start < s.end and not (s.start <= start and end <= s.end) for s in spans
    )


def _tokens(text: str, language: str) -> dict[int, str]:
    """Return the class of each token by its place."""
    found = {}
    position = 0
    for kind, part in _LEXERS[language](stripnl=False, ensurenl=False).get_tokens(text):
        found[position] = _class(kind)
        position += len(part)
    return found


def _class(kind: Any) -> str:
    while kind is not Token:
        if kind in _KINDS:
            return _KINDS[kind]
        kind = kind.parent
    return ""
