"""The errors zoo raises for a user's mistake: each says what, where and what to do.

Everything else that escapes zoo is a bug in zoo.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ZooError(Exception):
    """Base of every error zoo raises on purpose; the command line prints it without a traceback."""


class UnknownNameError(ZooError, LookupError):
    """A model, backend, node, option or initialiser of that name does not exist."""


class SpecError(ZooError, ValueError):
    """A YAML spec is not a valid architecture; the message starts with ``file:line: path:``."""


class BackendError(ZooError, RuntimeError):
    """A framework is missing, or cannot do exactly what was asked of it."""


class WeightsError(ZooError, ValueError):
    """Weights do not fit a model: missing (-), unexpected (+) or of another shape (!)."""


class InputError(ZooError, ValueError):
    """An input array, image or option value does not fit the network."""


def suggestion(word: object, known: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?`` for the known word nearest to ``word``, or an empty string.

    Example:
        >>> suggestion("googlnet", ["googlenet", "vgg16"])
        " Did you mean 'googlenet'?"
        >>> suggestion("resnet50", ["googlenet", "vgg16"])
        ''
    """
    words = {each.lower(): each for each in known}
    near = difflib.get_close_matches(str(word).lower(), list(words), n=1, cutoff=0.6)
    return f" Did you mean {words[near[0]]!r}?" if near else ""
