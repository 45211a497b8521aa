"""The style of a picture: colors by family, for light and dark pages, and fonts.

Elements state the colors of a light page as attributes, which every program that shows SVG
understands. Browsers also read the style sheet, which replaces them on a dark page.
"""

from __future__ import annotations

from zoo.views.drawing.labels import FAMILIES
from zoo.views.drawing.layout import TEXT, TITLE

_FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"

#: For each family the fill and edge of its boxes on a light page, and on a dark page. The contrast
#: of text on a fill is at least 7 to 1.
_COLORS = (
    ("#ffffff", "#57606a", "#161b22", "#9aa4af"),  # input and output
    ("#e6e1f7", "#6b55b3", "#35295c", "#a894e8"),  # block
    ("#d6e6fa", "#2f6fb7", "#173a5e", "#6fb0f2"),  # convolution
    ("#fadadd", "#b8434e", "#5a2329", "#f08a94"),  # dense
    ("#d5f0e0", "#2b8a57", "#174a30", "#63c793"),  # pooling
    ("#fdf0c4", "#a17c0c", "#4d3d0a", "#dcb748"),  # normalization
    ("#fde2cc", "#c0641c", "#59300f", "#f0a061"),  # activation
    ("#d3eef2", "#1f8494", "#12454d", "#59c2d1"),  # joining
    ("#eceef0", "#6e7781", "#343b44", "#9aa4af"),  # regularization
    ("#f7e0f1", "#a83f89", "#55204a", "#e07fc4"),  # arranging
)

_PAGE = ("#ffffff", "#1f2328", "#59636e", "#57606a"), ("#0d1117", "#f0f6fc", "#9aa4af", "#9aa4af")


def slug(family: str) -> str:
    """Return the class name of a family.

    Example:
        >>> slug("input and output")
        'input-and-output'
    """
    return family.replace(" ", "-")


def root() -> dict[str, str]:
    """Return the attributes of the whole picture, which all text inherits."""
    return {"font-family": _FONTS, "font-size": f"{TEXT:g}px"}


def text(kind: str) -> dict[str, str]:
    """Return the attributes of a text: a ``heading``, ``title``, ``note``, ``words`` or ``shape``.

    Example:
        >>> text("note")
        {'fill': '#59636e'}
    """
    _, ink, pale, _ = _PAGE[0]
    fonts = {
        "heading": {"font-size": "18px", "font-weight": "600"},
        "title": {"font-size": f"{TITLE:g}px", "font-weight": "600"},
    }
    return {"fill": pale if kind in ("note", "shape") else ink, **fonts.get(kind, {})}


def paper() -> dict[str, str]:
    """Return the attributes of what all else is drawn on."""
    return {"fill": _PAGE[0][0]}


def line() -> dict[str, str]:
    """Return the attributes of a line."""
    return {"fill": "none", "stroke": _PAGE[0][3], "stroke-width": "1.4"}


def arrow() -> dict[str, str]:
    """Return the attributes of the tip of a line."""
    return {"fill": _PAGE[0][3]}


def frame() -> dict[str, str]:
    """Return the attributes of a frame, on any page."""
    return {"fill": "#808080", "fill-opacity": "0.07", "stroke": "#8c959f"}


def box(family: str) -> dict[str, str]:
    """Return the attributes of a box.

    Example:
        >>> box("dense")
        {'fill': '#fadadd', 'stroke': '#b8434e'}
    """
    fill, edge, _, _ = _COLORS[tuple(FAMILIES).index(family)]
    return {"fill": fill, "stroke": edge}


def sheet() -> str:
    """Return the style sheet. It does not affect the rest of a page that contains the picture."""
    return "\n".join(
        [
            "@media all { .zoo-drawing { max-width: 100%; height: auto } }",
            "@media (prefers-color-scheme: dark) {",
            *_dark(),
            "}",
        ]
    )


def _dark() -> list[str]:
    paper, ink, pale, stroke = _PAGE[1]
    rules = [
        f".zoo-drawing .paper {{ fill: {paper} }}",
        f".zoo-drawing text {{ fill: {ink} }}",
        f".zoo-drawing .shape, .zoo-drawing .note {{ fill: {pale} }}",
        f".zoo-drawing .line {{ stroke: {stroke} }}",
        f".zoo-drawing .arrow {{ fill: {stroke} }}",
    ]
    for family, (_, _, fill, edge) in zip(FAMILIES, _COLORS, strict=True):
        rules.append(f".zoo-drawing .{slug(family)} > rect {{ fill: {fill}; stroke: {edge} }}")
    return rules
