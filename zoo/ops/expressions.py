"""The small arithmetic of specs: any string that contains ``$`` is an expression.

    $out_channels                     a value by name
    $kernel_size // 2                 integer arithmetic: + - * // %, and / for a true quotient
    $stride != 1 or not $batch_norm   comparisons, and, or, not
    $stride if $index == 0 else 1     one of two values
    $rates[$index]                    an item of a list, counted from 0
    sum($depths[:$index])             some of its items: from the first, to before the second number
    $input.channels                   a part of a value
    round_to($width * $scale, 8)      min, max, abs, int, ceil, floor, round, round_to, len, sum

There are no loops, no definitions and no powers, and every number is bounded, so an expression
always ends, quickly. Nothing is handed to Python's own ``eval``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zoo.ops.arithmetic import ExpressionError as ExpressionError
from zoo.ops.parsing import read

MAX_LENGTH = 200
MAX_WORK = 6_000_000  # units of some 0.1 microseconds
WORK_OF_TOKEN = 30


class Budget:
    """Counts the work of one expansion, so that no spec runs for long.

    The unit is about what touching one value costs. Work is counted, never timed: a spec is
    accepted or refused alike on every machine.
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
    """Compute an expression.

    Args:
        text: The expression, at most ``MAX_LENGTH`` characters.
        names: What ``$name`` may stand for.
        budget: What the expansion may still spend; one of its own if not given.

    Returns:
        An int, float, bool, string or list.

    Raises:
        ExpressionError: The text is malformed, a name is unknown, or a number out of bounds.

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
