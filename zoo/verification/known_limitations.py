"""Looks up the known limitations that backends declare."""

from __future__ import annotations

from zoo.backend import registry


def form_limit(backend: str, form: str) -> str:
    """Return why an execution mode may be unavailable; empty if no reason is declared."""
    return registry.resolve(backend).form_limits.get(form, "")


def precision_limit(backend: str, dtype: str) -> str:
    """Return why a dtype may be unavailable; empty if no reason is declared."""
    return registry.resolve(backend).precision_limits.get(dtype, "")


def optimizer_note(backend: str, rule: str) -> str:
    """Return how the framework's own optimizer differs from the rule; empty if it does not."""
    return registry.resolve(backend).optimizer_notes.get(rule, "")
