"""The reference of the Python interface: every public name, by topic."""

from __future__ import annotations

import zoo

#: Topic -> the names of ``zoo`` that belong to it.
TOPICS = {
    "Networks": (
        "graph",
        "graph_of",
        "list_models",
        "summary",
        "diff",
        "draw",
        "source",
        "sources",
    ),
    "Models": ("build", "convert", "load", "save", "export", "reset_head", "list_backends"),
    "Weights": ("get_weights", "set_weights"),
    "Running": ("predict", "features", "extractor", "loss"),
    "Images and data": ("preprocess", "transform", "dataset", "stream"),
    "Training": (
        *("train", "resume", "optimizer", "schedule", "curves"),
        *("get_optimizer_state", "set_optimizer_state"),
    ),
    "Verifying, timing, comparing": ("verify", "bench", "compare"),
    "Classes": (
        *("Graph", "Node", "Parameter", "Summary", "Difference", "Drawing", "Source", "Sources"),
        *("Exported", "Benchmark", "Study"),
    ),
    "Errors": (
        *("ZooError", "BackendError", "InputError", "SpecError", "TrainingError"),
        *("UnknownNameError", "WeightsError"),
    ),
}

#: File -> its title, and what it documents outside of ``zoo`` itself: directive, name, options.
OTHERS: dict[str, tuple[str, tuple[tuple[str, str], ...]]] = {
    "testing": (
        "Testing",
        (
            ("autofunction", "zoo.testing.assert_same"),
            ("automodule", "zoo.testing.conformance"),
        ),
    ),
    "backends": (
        "Backends and operations",
        (
            ("autoclass", "zoo.backend.base.Backend"),
            ("autoclass", "zoo.backend.description.Description"),
            ("autoclass", "zoo.backend.description.Mode"),
            ("autoclass", "zoo.ops.base.Op"),
            ("autoclass", "zoo.ops.base.Inferred"),
            ("autoclass", "zoo.ops.composite.Composite"),
            ("autofunction", "zoo.ops.registry.operation"),
            ("autofunction", "zoo.onnx.build"),
        ),
    ),
    "runs": (
        "Update rules and events",
        (("automodule", "zoo.training.rules"), ("automodule", "zoo.training.events")),
    ),
}

_INTRODUCTION = """\
The functions of ``import zoo``. Importing it imports no framework. What is public, and how long it
stays, is said in :doc:`Versions and compatibility </policy>`.
"""


def pages() -> dict[str, str]:
    """Return file -> reStructuredText, which docstrings are written in.

    Raises:
        LookupError: A public name belongs to no topic.
    """
    listed = {name for names in TOPICS.values() for name in names}
    if missing := set(zoo.__all__) - listed - {"__version__"}:
        raise LookupError(f"docs/pages/reference.py has no topic for {', '.join(sorted(missing))}")
    topics = {f"api/{_file(topic)}.rst": _topic(topic) for topic in TOPICS}
    others = {f"api/{name}.rst": _modules(name, *OTHERS[name]) for name in OTHERS}
    return {"api/index.rst": _index(), **topics, **others}


def _file(topic: str) -> str:
    return topic.lower().replace(",", "").replace(" ", "-")


def _index() -> str:
    parts = [_title("Python"), _INTRODUCTION, ".. toctree::\n   :hidden:\n"]
    parts += [f"   {name}" for name in (*map(_file, TOPICS), *OTHERS)] + [""]
    for topic, names in TOPICS.items():
        parts += [f":doc:`{topic} <{_file(topic)}>`", ""]
        parts += [f"   {', '.join(f':py:obj:`~zoo.{name}`' for name in names)}", ""]
    for name, (title, documented) in OTHERS.items():
        shown = ", ".join(f":py:obj:`~{each}`" for _, each in documented)
        parts += [f":doc:`{title} <{name}>`", "", f"   {shown}", ""]
    return "\n".join(parts)


def _topic(topic: str) -> str:
    parts = [_title(topic)]
    for name in TOPICS[topic]:
        value = getattr(zoo, name)
        kind = "function"
        if isinstance(value, type):
            kind = "exception" if issubclass(value, Exception) else "class"
        parts += [f".. auto{kind}:: zoo.{name}"]
        if kind != "function":
            parts += ["   :members:"]
        parts += [""]
    return "\n".join(parts)


def _modules(name: str, title: str, documented: tuple[tuple[str, str], ...]) -> str:
    parts = [_title(title)]
    for directive, each in documented:
        options = "" if directive == "autofunction" else "   :members:\n"
        parts += [f".. {directive}:: {each}\n{options}"]
    return "\n".join(parts)


def _title(text: str) -> str:
    return f"{text}\n{'=' * len(text)}\n"
