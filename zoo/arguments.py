"""Checks the arguments of public functions before they reach a framework.

Each function returns the argument in the form that the rest of zoo uses, or raises an InputError
that names the argument, what it must be, and what it is.
"""

from __future__ import annotations

import numbers
import operator
import os
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from zoo.errors import InputError, quoted

if TYPE_CHECKING:
    import numpy as np

#: Values that a message quotes. Of others it gives the type, because their repr may be long.
_QUOTED = (bool, int, float, complex, str, bytes, list, tuple, dict, os.PathLike, type(None))


MAX_BITS = 1024  # of an integer

#: dtype that some framework cannot read from NumPy -> one that all can.
_READABLE = {
    **{"bfloat16": "float32", "float96": "float64", "float128": "float64"},
    **{"uint16": "int32", "uint32": "int64", "uint64": "float64"},
}


def shown(value: object) -> str:
    """Return a wrong value as a message shows it: quoted, or its type.

    Example:
        >>> shown("five"), shown(None), shown(object())
        ("'five'", 'None', 'object')
    """
    return quoted(value) if isinstance(value, _QUOTED) else type(value).__name__


def wrong(name: str, expected: str, value: object) -> InputError:
    """Return the error for an argument.

    Args:
        name: The argument.
        expected: What it must be.
        value: What it is.
    """
    return InputError(f"{name} must be {expected}, got {shown(value)}")


def flag(name: str, value: Any) -> bool:
    """Return a boolean.

    Raises:
        InputError: It is neither True nor False.
    """
    if type(value) is not bool:
        raise wrong(name, "True or False", value)
    return value


def text(name: str, value: Any, expected: str = "a string") -> str:
    """Return a string.

    Raises:
        InputError: It is not a string.
    """
    if not isinstance(value, str):
        raise wrong(name, expected, value)
    return value


def texts(name: str, value: Any, expected: str) -> list[str]:
    """Return one or several strings as a list.

    Raises:
        InputError: It is neither a string nor several.

    Example:
        >>> texts("nodes", "conv1", "names"), texts("nodes", ("a", "b"), "names")
        (['conv1'], ['a', 'b'])
    """
    if isinstance(value, str):
        return [value]
    values: list[Any] = list(value) if isinstance(value, Iterable) else [None]
    if not all(isinstance(item, str) for item in values):
        raise wrong(name, expected, value)
    return values


def is_address(text: str) -> bool:
    """Tell whether a text is an address of the internet, or another one with a scheme.

    Example:
        >>> is_address("https://example.org/a.jpg"), is_address("C:/a.jpg")
        (True, False)
    """
    return re.match(r"[a-z][\w+.-]+://", text, re.IGNORECASE) is not None


def path(name: str, value: Any, expected: str = "the path of a file") -> str:
    """Return a path as a string, with the user's folder in the place of ``~``.

    Raises:
        InputError: It is not a path, or empty.

    Example:
        >>> from pathlib import PurePosixPath
        >>> path("path", PurePosixPath("a/b.svg"))
        'a/b.svg'
    """
    location = os.fspath(value) if isinstance(value, str | os.PathLike) else None
    if not isinstance(location, str) or not location:  # a path can be bytes
        raise wrong(name, expected, value)
    return os.path.expanduser(location)


def choice(name: str, value: Any, allowed: str) -> str | None:
    """Return None or the only other value that is allowed.

    Raises:
        InputError: It is something else.
    """
    if value is not None and not (isinstance(value, str) and value == allowed):
        raise wrong(name, f"None or {allowed!r}", value)
    return value


def integer(name: str, value: Any) -> int:
    """Return an integer of a reasonable size; those of NumPy are accepted.

    Raises:
        InputError: It is not an integer.
    """
    number = as_integer(value)
    if number is None or number.bit_length() > MAX_BITS:  # Python refuses to print huge integers
        raise wrong(name, "an integer", value)
    return number


def number(name: str, value: Any, least: float = 0.0, below: float = float("inf")) -> float:
    """Return a finite number of a range as a float.

    Args:
        name: The argument.
        value: A number of Python or NumPy.
        least: The least that it may be.
        below: What it must be less than.

    Raises:
        InputError: It is something else.

    Example:
        >>> number("momentum", 0.9, below=1)
        0.9
    """
    limit = "" if below == float("inf") else f" and less than {below:g}"
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    try:
        found = float(value) if is_number else float("nan")
    except OverflowError:
        found = float("inf")
    if not least <= found < below:
        raise wrong(name, f"a number of at least {least:g}{limit}", value)
    return found


def positive(name: str, value: Any) -> int | None:
    """Return None or an integer of at least 1.

    Raises:
        InputError: It is something else.
    """
    number = as_integer(value)
    if value is not None and (number is None or number < 1):
        raise wrong(name, "None or an integer of at least 1", value)
    return number


def as_integer(value: Any) -> int | None:
    """Return an integer, or None if the value is not one. An array of one integer is not one."""
    if isinstance(value, bool) or getattr(value, "shape", ()) != ():
        return None
    try:
        return operator.index(value)
    except TypeError:
        return None


def array(name: str, value: Any, expected: str) -> np.ndarray[tuple[int, ...], np.dtype[Any]]:
    """Return a NumPy array of anything that NumPy accepts, such as lists or a tensor on the CPU.

    Frameworks refuse bytes in the order of other machines and negative strides, as of ``x[::-1]``;
    such an array is copied.

    Raises:
        InputError: NumPy does not accept it; for example, because it is a ragged list. Or a mask
            hides some of its values.
    """
    import numpy as np  # the list of models is printed without it

    try:
        found = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        reason = str(error).partition("\n")[0]
        if "Tracer" in (cls.__name__ for cls in type(value).__mro__):
            reason = "JAX is tracing, without values; call this outside of nnx.jit"
        message = f"expected {expected}, but NumPy cannot read {name} ({reason})"
        raise InputError(message) from None
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise InputError(
            f"expected {expected}, but {name} is a masked array, some of whose values are masked; "
            f"replace them first: {name}.filled(0)"
        )
    if found.dtype.isnative and all(stride >= 0 for stride in found.strides):
        return found
    return found.astype(found.dtype.newbyteorder("="), order="C")


def numeric(name: str, value: Any, expected: str) -> np.ndarray[tuple[int, ...], np.dtype[Any]]:
    """Return :func:`array`, numbers in a dtype that every framework reads as these numbers.

    PyTorch and Keras have no extended precision, and PaddlePaddle takes 16 bits without a sign for
    bfloat16.
    """
    found = array(name, value, expected)
    return found.astype(_READABLE.get(found.dtype.name, found.dtype), copy=False)
