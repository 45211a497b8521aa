"""Shell completion of the names of models, backends, sources, levels and dtypes, and of files.

A shell runs the program at every press of the tab key, so nothing here imports NumPy or reads a
spec. The short lists are copied here for that reason; a test compares them with the originals.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import suppress

import click
from click.shell_completion import CompletionItem

SHELLS = ("bash", "zsh", "fish")
BACKENDS = ("torch", "paddle", "keras", "flax", "onnx")
WRITTEN = ("torch", "paddle", "keras", "flax")
LEVELS = ("forward", "gradients", "training", "full")
DTYPES = ("float32", "float64")
DATASETS = ("digits", "fashion-mnist", "cifar10")
TARGETS = ("onnx", "openvino", "torch", "savedmodel", "litert", "paddle", "jax")
HEADS = ("new",)
STEMS = ("adapt",)
SPECS = (".yaml", ".yml")
WEIGHTS = (
    *(".safetensors", ".pdparams", ".pdema", ".pdiparams", ".h5", ".hdf5", ".keras", ".msgpack"),
    *(".onnx", ".caffemodel", ".index"),
    *(".pth", ".pt", ".bin", ".ckpt", ".tar"),
)


def completing(
    words: Callable[[str], list[str]],
) -> Callable[[click.Context, click.Parameter, str], list[str]]:
    """Adapt a completion function to the ``shell_complete`` of an argument or option."""
    return lambda context, parameter, incomplete: words(incomplete)


def script(program: click.Command, shell: str) -> str:
    """Return the script that enables completion for ``zoo`` in a shell.

    Args:
        program: The command line.
        shell: ``bash``, ``zsh`` or ``fish``.
    """
    from click.shell_completion import get_completion_class

    completion_class = get_completion_class(shell)
    assert completion_class is not None
    return completion_class(program, {}, "zoo", "_ZOO_COMPLETE").source()


def or_files(
    words: Callable[[str], list[str]], suffixes: tuple[str, ...]
) -> Callable[[click.Context, click.Parameter, str], list[CompletionItem]]:
    """Complete words, and files with one of some suffixes.

    A shell that is offered words no longer offers files itself, so they are words here, too. Where
    there are none, the shell completes whatever path the user has in mind.
    """

    def complete(
        context: click.Context, parameter: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        files, folders = _paths(incomplete, suffixes)
        found = [*words(incomplete), *files]
        if not found:
            return [CompletionItem(incomplete, type="file")]
        return [CompletionItem(word) for word in (*found, *folders)]

    return complete


def _paths(incomplete: str, suffixes: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Return the files with a suffix that a path may become, and the folders."""
    folder, start = os.path.split(incomplete)
    prefix = incomplete.removesuffix(start) if start else incomplete
    files: list[str] = []
    folders: list[str] = []
    with suppress(OSError, ValueError), os.scandir(os.path.expanduser(folder) or ".") as entries:
        for entry in entries:
            name = entry.name
            if not name.startswith(start) or not name.isprintable():
                continue
            if name.startswith(".") and not start:  # hidden, as for the shell
                continue
            if entry.is_dir():
                folders.append(f"{prefix}{name}/")
            elif name.lower().endswith(suffixes):
                files.append(prefix + name)
    return sorted(files), sorted(folders)


def models(incomplete: str) -> list[str]:
    """Complete the name of a model."""
    import zoo

    return _matching(zoo.list_models(), incomplete)


def backend(incomplete: str) -> list[str]:
    """Complete the name of a backend.

    Example:
        >>> backend("pa")
        ['paddle']
    """
    return _matching(_backends(), incomplete)


def backends(incomplete: str) -> list[str]:
    """Complete the last of several backends, separated by commas.

    Example:
        >>> backends("torch,")
        ['torch,paddle', 'torch,keras', 'torch,flax', 'torch,onnx']
    """
    preceding, comma, last = incomplete.rpartition(",")
    used = preceding.split(",")
    remaining = [name for name in _backends() if name not in used]
    return [preceding + comma + name for name in _matching(remaining, last)]


def written_backends(incomplete: str) -> list[str]:
    """Complete the name of a backend that source code can be written for."""
    return _matching(WRITTEN, incomplete)


def levels(incomplete: str) -> list[str]:
    """Complete a level of verification."""
    return _matching(LEVELS, incomplete)


def dtypes(incomplete: str) -> list[str]:
    """Complete a dtype for verification."""
    return _matching(DTYPES, incomplete)


def targets(incomplete: str) -> list[str]:
    """Complete a target of ``zoo export``."""
    return _matching(TARGETS, incomplete)


def sources(incomplete: str) -> list[str]:
    """Complete the name of a source of weights.

    Example:
        >>> sources("torch")
        ['torchvision']
    """
    from pathlib import Path

    package = Path(__file__).parent.parent
    folders = (package / "spec" / "sources", package.parent / "spec" / "sources")
    names = sorted(path.stem for folder in folders for path in folder.glob("*.yaml"))
    return _matching(names, incomplete)


def datasets(incomplete: str) -> list[str]:
    """Return the names of datasets that zoo knows."""
    return _matching(DATASETS, incomplete)


models_or_files = or_files(models, SPECS)
data = or_files(datasets, (".npz",))
sources_or_files = or_files(sources, WEIGHTS)


def heads(incomplete: str) -> list[str]:
    """Complete an option for the classifier."""
    return _matching(HEADS, incomplete)


def stems(incomplete: str) -> list[str]:
    """Complete an option for the first layer."""
    return _matching(STEMS, incomplete)


def _backends() -> list[str]:
    """Return the backends of zoo and those of other packages, as in the registry."""
    from importlib.metadata import entry_points

    plugins = [entry.name for entry in entry_points(group="zoo.backends")]
    return list(dict.fromkeys((*BACKENDS, *plugins)))


def _matching(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]
