"""The errors that zoo raises for user mistakes. Each says what is wrong, where, and what to do.

Any other exception that escapes zoo is a bug in zoo.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable

MAX_QUOTED = 200  # characters of a value that a message shows
MAX_WORD = 60  # characters of the longest word that is corrected
MAX_KNOWN = 20_000  # words that are considered for a suggestion
MAX_COMPARED = 200  # words that are compared letter by letter
MAX_MESSAGE = 1_000


class ZooError(Exception):
    """Base of every error zoo raises on purpose; the command line prints it without a traceback."""

    def __init__(self, message: object = "") -> None:
        super().__init__(_safe(str(message)))


class UnknownNameError(ZooError, LookupError):
    """No model, backend, node, option or initializer has that name."""


class SpecError(ZooError, ValueError):
    """A YAML spec is not a valid architecture; the message starts with ``file:line: path:``.

    It is one line of at most ``MAX_MESSAGE`` characters.
    """

    def __init__(self, message: object = "") -> None:
        super().__init__(shortened(printable(str(message)), MAX_MESSAGE))


class BackendError(ZooError, RuntimeError):
    """A framework is missing, or cannot do exactly what was requested."""


class WeightsError(ZooError, ValueError):
    """Weights do not fit a model: missing, unexpected or of another shape."""


class InputError(ZooError, ValueError):
    """An input array, image or option value does not fit the network."""


class TrainingError(ZooError, RuntimeError):
    """A training run cannot continue, for example because its loss is not a number."""


class ZooWarning(RuntimeWarning):
    """Something does not work, such as a plugin, but the result does not depend on it."""


def suggestion(word: object, known: Iterable[str], sign: str = "") -> str:
    """Return ``. Did you mean 'x'?`` for the known word closest to ``word``, or an empty string.

    A message appends it to the sentence about the word. The search is bounded: words of more than
    ``MAX_WORD`` characters are skipped, and among very many words only those closest in length to
    ``word`` are compared.

    Args:
        word: What was written.
        known: What could have been meant.
        sign: What stands before each of these words where it is written.

    Example:
        >>> suggestion("googlnet", ["googlenet", "vgg16"])
        ". Did you mean 'googlenet'?"
        >>> suggestion("resnet50", ["googlenet", "vgg16"])
        ''
    """
    import difflib  # imported only after a mistake

    target = str(word).lower() if isinstance(word, str) and len(word) <= MAX_WORD else ""
    # Words that differ in length by more than half cannot reach the cutoff.
    words = {
        name.lower(): name
        for name in itertools.islice(known, MAX_KNOWN)
        if target and len(name) <= MAX_WORD and abs(len(name) - len(target)) <= len(target) + 1
    }
    nearest = heapq.nsmallest(
        MAX_COMPARED, words, key=lambda name: (name[:1] != target[:1], abs(len(name) - len(target)))
    )
    matches = difflib.get_close_matches(target, nearest, n=1, cutoff=0.6)
    return f". Did you mean {quoted(sign + words[matches[0]])}?" if matches else ""


def quoted(value: object, most: int = MAX_QUOTED) -> str:
    """Quote a value for a message: at most ``most`` characters, control characters escaped.

    Example:
        >>> quoted("a\\x1b[2J"), quoted(12), quoted("x" * 500, most=20)
        ("'a\\\\x1b[2J'", '12', "'xxxxxxxx...xxxxxxx'")
    """
    return shortened(printable(_repr(value, most)), most)


def with_article(name: str) -> str:
    """Return the name of a class with its article.

    Example:
        >>> with_article("Identity"), with_article("Conv2d")
        ('an Identity', 'a Conv2d')
    """
    return f"an {name}" if name[:1] in "AEIOU" else f"a {name}"


def printable(text: str) -> str:
    """Escape characters that a terminal would obey: controls, line breaks and bidi marks.

    Example:
        >>> printable("spec\\x1b[31m.yaml")
        'spec\\\\x1b[31m.yaml'
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def shortened(text: str, most: int) -> str:
    """Cut the middle out of a string that is longer than ``most`` characters."""
    if len(text) <= most:
        return text
    end = (most - 3) // 2
    return f"{text[: most - 3 - end]}...{text[-end:]}"


def listed(names: Iterable[str], sign: str = "", most: int = 40) -> str:
    """List names for a message: about 200 characters of them, and a count of the rest.

    Example:
        >>> listed(["a", "b"], sign="$")
        '$a, $b'
    """
    shown: list[str] = []
    room = MAX_QUOTED
    total = 0
    for total, name in enumerate(names, 1):
        word = sign + shortened(printable(str(name)[:MAX_QUOTED]), 60)
        room -= len(word) + 2
        if room >= 0 and len(shown) < most and len(shown) == total - 1:
            shown.append(word)
    more = f" and {total - len(shown):,} more" if total > len(shown) else ""
    return ", ".join(shown) + more


def _repr(value: object, most: int) -> str:
    """Return the repr of a value; a large value is abbreviated first, to save time."""
    if isinstance(value, str):
        return repr(value if len(value) <= 2 * most else value[:most] + value[-most:])
    if isinstance(value, list | tuple | dict):
        import reprlib  # imported only after a mistake

        short = reprlib.Repr()
        short.maxlevel, short.maxlist, short.maxtuple, short.maxstring = 4, 20, 20, most
        return short.repr(value)
    try:
        return repr(value)
    except Exception:  # an integer of thousands of digits, or a class of somebody else's
        return f"<{type(value).__name__}>"


def _safe(message: str) -> str:
    """Escape the control characters of a message, except its line breaks."""
    return "\n".join(printable(line) for line in message.split("\n"))
