"""What the backends state about their own limits, where a verification needs it."""

from __future__ import annotations

from zoo.backend import registry

_NO_KERNELS = "PaddlePaddle has no {} convolution kernel on the CPU"
_PRECISIONS = {
    "paddle": {dtype: _NO_KERNELS.format(dtype) for dtype in ("float16", "bfloat16")},
}


def form_limit(backend: str, form: str) -> str:
    """Return the reason why a form of running may be unavailable; empty if none is stated."""
    entry = registry.resolve(backend)
    return str(getattr(entry, "form_limits", {}).get(form, ""))


def precision_limit(backend: str, dtype: str) -> str:
    """Return the reason why a dtype may be unavailable; empty if none is stated."""
    entry = registry.resolve(backend)
    stated = getattr(entry, "precision_limits", _PRECISIONS.get(entry.name, {}))
    return str(stated.get(dtype, ""))


def optimizer_note(backend: str, rule: str) -> str:
    """Return how the framework's own optimizer differs from the rule; empty if it does not."""
    entry = registry.resolve(backend)
    notes = getattr(entry, "optimizer_notes", None)
    if notes is None:
        return registry.OPTIMIZERS.get((entry.name, rule), "")
    return str(notes.get(rule, ""))
