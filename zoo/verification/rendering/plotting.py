"""The look of all plots: as SVG text, to embed in a page or for a file of its own.

Lines and text use the page's own color, so that they are readable in light and dark mode.
"""

from __future__ import annotations

import io
from html import escape
from typing import Any

#: Line colors of the backends, distinguishable with color blindness (after Okabe and Ito).
COLORS = ("#d55e00", "#0072b2", "#cc79a7", "#009e73", "#e69f00", "#56b4e9")
#: What a page gives to lines and text, for a file.
_SHEET = (
    "<style>svg { color: #1b1f24 } "
    "@media (prefers-color-scheme: dark) { svg { color: #e4e8ec } }</style>"
)
STYLES = ("-", "--", "-.", ":")  # so that coinciding lines are visible
INK = "#010203"  # stands for the page's own color
STYLE: Any = {
    "text.parse_math": False,  # names of files and classes may have two $
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "zoo",  # the same results give the same plot
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.alpha": 0.2,
    "grid.color": INK,
    "legend.frameon": False,
}


def as_svg(figure: Any, title: str) -> str:
    """Write a figure of Matplotlib as SVG text.

    Args:
        figure: The figure, drawn within ``rc_context(STYLE)``.
        title: What it shows, for those who cannot see it.
    """
    file = io.StringIO()
    metadata = {"Date": None, "Creator": None, "Title": title}
    figure.savefig(file, format="svg", transparent=True, metadata=metadata)
    text = file.getvalue()
    text = text[text.index("<svg") :].replace(INK, "currentColor")
    return text.replace("<svg", f'<svg role="img" aria-label="{escape(title)}"', 1)


def of_file(svg: str) -> str:
    """Return a plot for a file of its own, where it follows the reader's light or dark mode.

    Args:
        svg: What :func:`as_svg` returns.

    Example:
        >>> of_file("<svg><path/></svg>").count("prefers-color-scheme: dark")
        1
    """
    head, end, rest = svg.partition(">")
    return f"{head}{end}{_SHEET}{rest}"
