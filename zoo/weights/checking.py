"""Checks weights against what a model expects, and reports all differences in one error."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np

from zoo import arguments
from zoo.errors import WeightsError
from zoo.graphs.shapes import Shape, text_of

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]

#: The dtypes that weights can have, widest first.
DTYPES = ("float64", "float32", "bfloat16", "float16")

#: The ends of the names of running statistics, and what to do if only these are missing.
OF_STATISTICS = (".running_mean", ".running_var")
_STATISTICS = (
    "Only running statistics are missing: they are no parameters, so named_parameters() and "
    "nnx.state(model, nnx.Param) leave them out. The model's whole state has them, too."
)

_MAX_LINES = 12  # in an error, for each kind of problem
_MAX_NAME = 100  # characters of a name in an error


def checked_arrays(
    expected: Mapping[str, Shape],
    given: Mapping[str, Array],
    omitted: Collection[str] = (),
    hint: str = "",
) -> dict[str, Array]:
    """Return the arrays that a model needs, in its order, after checking names and shapes.

    Args:
        expected: Canonical name -> shape.
        given: Canonical name -> array.
        omitted: Names (of auxiliary heads) that may be given too; their arrays are dropped.
        hint: As for :func:`check`.

    Raises:
        WeightsError: Arrays are missing, unexpected, or have another shape.
        InputError: What is given for one is no array of numbers.

    Example:
        >>> checked_arrays({"a": (2,)}, {"b": np.zeros(2)})
        Traceback (most recent call last):
        zoo.errors.WeightsError: the weights do not fit the model:
          missing: a  2
          unexpected: b  2
    """
    arrays = {
        name: arguments.array(shown(name), value, "an array of numbers")
        for name, value in given.items()
        if name in expected or name not in omitted
    }
    for name, array in arrays.items():
        if name in expected and _is_other(array.dtype.name):
            value = array.item() if array.size == 1 else given[name]
            raise arguments.wrong(name, "an array of numbers", value)
    shapes = {name: (array.shape, array.dtype.name) for name, array in arrays.items()}
    check(expected, shapes, hint=hint)
    return {name: arrays[name] for name in expected}


def check(
    expected: Mapping[str, Shape],
    given: Mapping[str, tuple[Shape, str]],
    omitted: Collection[str] = (),
    subject: str = "the weights",
    hint: str = "",
    target: str = "the model",
) -> None:
    """Check names, shapes and dtypes of weights.

    Args:
        expected: Canonical name -> shape.
        given: Canonical name -> shape and dtype.
        omitted: Names (of auxiliary heads) that may be given too.
        subject: What is being checked, for the message.
        hint: What to do, for the end of the message.
        target: What the weights are for, for the message.

    Raises:
        WeightsError: Arrays are missing, unexpected, or have another shape.
    """
    problems = [
        [f"missing: {n}  {text_of(s)}" for n, s in expected.items() if n not in given],
        [
            f"unexpected: {shown(n)}  {_text(*array)}"
            for n, array in given.items()
            if n not in expected and n not in omitted
        ],
        [
            f"wrong shape: {n}  expected {text_of(s)}, got {_text(*given[n])}"
            for n, s in expected.items()
            if n in given and tuple(given[n][0]) != tuple(s)
        ],
    ]
    missing, *others = problems
    if missing and not any(others) and not hint:
        hint = _STATISTICS * all(n in given or n.endswith(OF_STATISTICS) for n in expected)
    for lines in problems:
        if len(lines) > _MAX_LINES:
            lines[_MAX_LINES:] = [f"{lines[0].partition(': ')[0]}: {len(lines) - _MAX_LINES} more"]
    if any(problems):
        listed = "\n".join(f"  {line}" for lines in problems for line in lines)
        raise WeightsError(f"{subject} do not fit {target}:\n{listed}" + (hint and f"\n{hint}"))
    for name in expected:
        if given[name][1] not in DTYPES:
            raise WeightsError(f"{name}: expected floating-point values, got {given[name][1]}")


def _text(shape: Shape, dtype: str) -> str:
    return "no array of numbers" if _is_other(dtype) else text_of(shape) or "a number"


def _is_other(dtype: str) -> bool:
    """Tell whether values are objects or texts, of which NumPy makes arrays, too."""
    return dtype.startswith(("object", "str", "bytes", "void"))


def floating(arrays: Mapping[str, Array]) -> Mapping[str, Array]:
    """Return arrays, which must be floating-point values.

    Raises:
        WeightsError: One is not: its layer was quantized.
    """
    for name, array in arrays.items():
        check_dtype(name, array.dtype.name)
    return arrays


def cast(name: str, array: Array, dtype: str) -> Array:
    """Return an array in another dtype.

    Raises:
        WeightsError: A value is too large for it.

    Example:
        >>> cast("fc.bias", np.float32([1e5]), "float16")
        Traceback (most recent call last):
        ...
        zoo.errors.WeightsError: fc.bias has values that are too large for float16; use bfloat16 \
or float32
    """
    if array.dtype == dtype:
        return array
    with np.errstate(over="ignore"):
        found = array.astype(dtype)
    if dtype == "float16" and (np.isinf(found) & np.isfinite(array)).any():
        raise WeightsError(
            f"{name} has values that are too large for float16; use bfloat16 or float32"
        )
    return found


def check_dtype(name: str, dtype: str) -> None:
    """Check the dtype of a model's weight.

    Raises:
        WeightsError: It is not one that weights can have.
    """
    if dtype not in DTYPES:
        changed = "cast" if dtype.startswith("float") else "quantized"
        raise WeightsError(
            f"{name} has values of {dtype}: its layer was {changed}; pass the model as it was "
            "before"
        )


def shown(name: object) -> str:
    """Return the name of an array in a file as an error quotes it: printable, and not too long.

    Example:
        >>> shown("conv.weight"), shown("a\\x1b[2J"), len(shown("a" * 1000))
        ('conv.weight', 'a\\ufffd[2J', 103)
    """
    text = str(name)
    cut = text if len(text) <= _MAX_NAME else f"{text[:_MAX_NAME]}..."
    return "".join(character if character.isprintable() else "\ufffd" for character in cut)


def widest(dtypes: Iterable[str]) -> str:
    """Return the narrowest dtype that represents the values of all these dtypes exactly.

    Example:
        >>> widest(["float16", "float32"]), widest(["float16", "bfloat16"])
        ('float32', 'float32')
    """
    names = set(dtypes)
    if names == {"float16", "bfloat16"}:  # neither can represent all values of the other
        return "float32"
    return next((dtype for dtype in DTYPES if dtype in names), "float32")
