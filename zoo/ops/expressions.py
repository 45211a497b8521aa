"""Expressions in specs: any string that contains ``$`` is one.

    $out_channels                     a value by name
    $kernel_size // 2                 integer arithmetic: + - * // %, and / for a true quotient
    $stride != 1 or not $batch_norm   comparisons, and, or, not
    $stride if $index == 0 else 1     one of two values
    $rates[$index]                    an item of a list, counted from 0
    sum($depths[:$index])             some of its items: from the first, to before the second number
    $input.channels                   a part of a value
    round_to($width * $scale, 8)      min, max, abs, int, ceil, floor, round, round_to, len, sum

There are no loops, definitions or powers, and every number is bounded, so that evaluation always
ends quickly. Python's ``eval`` is not used.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zoo.ops.arithmetic import ExpressionError as ExpressionError
from zoo.ops.parsing import read

MAX_LENGTH = 200
MAX_WORK = 6_000_000  # units of about 0.1 microseconds
WORK_OF_TOKEN = 30


class Budget:
    """Counts the work of one expansion, to bound the time that any spec takes.

    One unit is about the cost of touching one value. Work is counted, not timed, so that every
    machine accepts the same specs.
    """

    def __init__(self, work: int = MAX_WORK) -> None:
        self.left = work

    def spend(self, work: int) -> None:
        """Count work.

        Raises:
            ExpressionError: More than the budget has been spent.
        """
        self.left -= work
        if self.left < 0:
            raise ExpressionError(
                f"the spec needs too much work to expand (more than {MAX_WORK:,} steps);"
                " use fewer or shorter lists, settings, parameters or repetitions"
            )


def is_expression(value: object) -> bool:
    """Tell whether a YAML value is an expression."""
    return isinstance(value, str) and "$" in value


def evaluate(text: str, names: Mapping[str, Any], budget: Budget | None = None) -> Any:
    """Evaluate an expression.

    Args:
        text: The expression, at most ``MAX_LENGTH`` characters.
        names: The values of ``$name``.
        budget: The remaining work of the expansion; by default, a new budget.

    Returns:
        An int, float, bool, string or list.

    Raises:
        ExpressionError: The expression is malformed, a name is unknown, or a number is too large.

    Example:
        >>> evaluate("round_to($width * 1.4, 8) // 2", {"width": 32})
        24
    """
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"an expression of more than {MAX_LENGTH} characters")
    budget = budget or Budget()
    expression = read(text)
    budget.spend(WORK_OF_TOKEN * expression.tokens)
    return expression.compute(names, budget.spend)
