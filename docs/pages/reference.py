"""The reference of the Python interface: every public name, by topic."""

from __future__ import annotations

import zoo

#: Topic -> the names of ``zoo`` that belong to it.
TOPICS = {
    "Networks": ("graph", "graph_of", "list_models", "summary", "diff", "draw", "source"),
    "Models": ("build", "convert", "load", "save", "export", "reset_head", "list_backends"),
    "Weights": ("get_weights", "set_weights"),
    "Running": ("predict", "features", "extractor", "loss"),
    "Images and data": ("preprocess", "transform", "dataset", "stream"),
    "Training": (
        *("train", "resume", "optimizer", "schedule", "curves"),
        *("get_optimizer_state", "set_optimizer_state"),
    ),
    "Verifying and timing": ("verify", "bench"),
    "Classes": (
        *("Graph", "Node", "Parameter", "Summary", "Difference", "Drawing", "Source"),
        *("Exported", "Benchmark"),
    ),
    "Errors": (
        *("ZooError", "BackendError", "InputError", "SpecError", "TrainingError"),
        *("UnknownNameError", "WeightsError"),
    ),
}

_INTRODUCTION = """\
The functions of ``import zoo``. Importing it imports no framework. Everything here is public, as :doc:`policy` defines it.
"""


def pages() -> dict[str, str]:
    """Return file -> reStructuredText, which docstrings are written in.

    Raises:
        LookupError: A public name belongs to no topic.
    """
    listed = {name for names in TOPICS.values() for name in names}
    if missing := set(zoo.__all__) - listed - {"__version__"}:
        raise LookupError(f"docs/pages/reference.py has no topic for {', '.join(sorted(missing))}")
    return {"api/index.rst": _index(), **{f"api/{_file(t)}.rst": _topic(t) for t in TOPICS}}


def _file(topic: str) -> str:
    return topic.lower().replace(" ", "-")


def _index() -> str:
    parts = [_title("Python"), _INTRODUCTION, ".. toctree::\n   :hidden:\n"]
    parts += [f"   {_file(topic)}" for topic in TOPICS] + ["   testing", "   backends", ""]
    for topic, names in TOPICS.items():
        parts += [f":doc:`{topic} <{_file(topic)}>`", ""]
        parts += [f"   {', '.join(f':py:obj:`~zoo.{name}`' for name in names)}", ""]
    parts += [":doc:`Testing <testing>`", "", "   :py:obj:`zoo.testing.assert_same`", ""]
    parts += [":doc:`Backends <backends>`", "", "   :py:obj:`zoo.backend.base.Backend`", ""]
    return "\n".join(parts)


def _topic(topic: str) -> str:
    parts = [_title(topic)]
    for name in TOPICS[topic]:
        value = getattr(zoo, name)
        kind = (
            ("exception" if issubclass(value, Exception) else "class")
            if isinstance(value, type)
            else "function"
        )
        parts += [f".. auto{kind}:: zoo.{name}"]
        if kind != "function":
            parts += ["   :members:"]
        parts += [""]
    return "\n".join(parts)


def _title(text: str) -> str:
    return f"{text}\n{'=' * len(text)}\n"
