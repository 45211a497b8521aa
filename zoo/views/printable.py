"""Text from files, made safe to show."""

from __future__ import annotations

import re

#: Control characters except tab and line feed, marks that change the direction of text, and
#: characters that XML does not allow.
_UNSAFE = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)


def printable(text: str) -> str:
    r"""Replace characters that could take over a terminal or make a page invalid.

    Example:
        >>> printable("a\x1b[31mb")
        'a\ufffd[31mb'
    """
    return _UNSAFE.sub("\ufffd", text)
