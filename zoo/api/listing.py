"""Lists of models and backends, made without importing NumPy or a framework."""

from __future__ import annotations

import fnmatch
from typing import Any

from zoo import arguments
from zoo.language.shipped import shipped


def list_models(pattern: str | None = None) -> list[str]:
    """List the models that zoo ships.

    Args:
        pattern: A shell pattern, such as ``vgg*``, in upper or lower case; all models if not given.

    Returns:
        Names, family by family.

    Raises:
        InputError: The pattern is not a string.

    Example:
        >>> import zoo
        >>> zoo.list_models("vgg1?_bn")
        ['vgg11_bn', 'vgg13_bn', 'vgg16_bn', 'vgg19_bn']
    """
    names = list(shipped())
    if pattern is None:
        return names
    expected = "None or a shell pattern, such as 'vgg*'"
    return fnmatch.filter(names, arguments.text("pattern", pattern, expected).lower())


def list_backends() -> list[str]:
    """List the backends whose framework is installed, without importing any.

    Example:
        >>> import zoo
        >>> "numpy" in zoo.list_backends()
        False
    """
    from zoo.backend import registry

    return [name for name, entry in registry.table().items() if registry.is_installed(entry)]


def entries() -> dict[str, dict[str, Any]]:
    """Return the information in a list of models, family by family.

    Returns:
        Model -> entry, as from :func:`zoo.language.index.entries`. Its ``weights`` are the names of
        the sources whose files of the model can be loaded.

    Example:
        >>> entries()["vgg16"]["weights"]
        ['caffe', 'onnx', 'paddle', 'slim', 'timm', 'torchvision']
    """
    from zoo.language import index
    from zoo.weights import counts

    publishers = counts.publishers()
    models = {}
    for name, entry in index.entries().items():
        paper = {key: entry.pop(key) for key in ("year", "paper", "url")}
        models[name] = {**entry, "weights": publishers.get(name, []), **paper}
    return models
