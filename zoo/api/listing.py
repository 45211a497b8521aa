"""The models and backends there are; listing them imports neither NumPy nor a framework."""

from __future__ import annotations

import fnmatch

from zoo.api import index


def list_models(pattern: str | None = None) -> list[str]:
    """List the models that zoo ships.

    Args:
        pattern: A shell pattern, such as ``vgg*``; all models if not given.

    Returns:
        Names, family by family.

    Example:
        >>> import zoo
        >>> zoo.list_models("vgg1?_bn")
        ['vgg11_bn', 'vgg13_bn', 'vgg16_bn', 'vgg19_bn']
    """
    names = list(index.read() or _from_specs())
    return names if pattern is None else fnmatch.filter(names, pattern)


def list_backends() -> list[str]:
    """List the backends whose framework is installed; none is imported.

    Example:
        >>> import zoo
        >>> "numpy" in zoo.list_backends()
        False
    """
    from zoo.backend import registry

    return [name for name, entry in registry.table().items() if registry.is_installed(entry)]


def _from_specs() -> list[str]:
    from zoo.language import catalogue

    return list(catalogue.shipped())
