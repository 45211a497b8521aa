"""What a backend says about its framework's own optimizers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from zoo.errors import BackendError, InputError


@dataclass(frozen=True)
class Kept:
    """What an optimizer of a framework keeps from one step to the next.

    Attributes:
        handles: Slot and parameter, such as ``momentum/conv1.weight`` -> the framework's object.
        steps: How many updates have been made, if the next one depends on it, as Adam's does.
        set_steps: Sets that number.
    """

    handles: Mapping[str, Any]
    steps: int | None = None
    set_steps: Callable[[int], None] = lambda steps: None


def in_own_words(
    settings: Mapping[str, Any], words: Mapping[str, str], title: str, optimizer: str
) -> dict[str, Any]:
    """Translate the settings of a rule to the arguments of a framework's own optimizer.

    Args:
        settings: Setting of a rule -> value.
        words: Setting -> the framework's own argument, for all that its optimizer has.
        title: The framework, for messages.
        optimizer: The optimizer, for messages.

    Raises:
        InputError: The optimizer lacks a setting.

    Example:
        >>> in_own_words({"eps": 1e-7}, {"eps": "epsilon"}, "Keras", "Adam")
        {'epsilon': 1e-07}
    """
    for setting in settings:
        if setting not in words:
            raise InputError(
                f"{title}'s own {optimizer} has no {setting}; besides lr, it has {', '.join(words)}"
            )
    return {words[setting]: value for setting, value in settings.items()}


def refuse(
    optimizer: Any,
    reason: str,
    advice: str = "make the optimizer with zoo.optimizer (rule='written') instead",
) -> BackendError:
    """Return an error about an optimizer whose state has no canonical form.

    Args:
        optimizer: The optimizer.
        reason: Why, as a clause.
        advice: What to do.
    """
    kind = type(optimizer)
    return BackendError(
        f"zoo cannot move the state of this {kind.__module__}.{kind.__qualname__}: {reason}; "
        f"{advice}"
    )
