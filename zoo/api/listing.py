"""Lists the shipped models; importing this costs next to nothing."""

from __future__ import annotations

import fnmatch

from zoo.language.shipped import shipped


def list_models(pattern: str | None = None) -> list[str]:
    """List the models zoo ships.

    Args:
        pattern: A shell pattern, such as ``vgg*``; all models if not given.

    Returns:
        Names, family by family.

    Example:
        >>> import zoo
        >>> zoo.list_models("vgg1?_bn")
        ['vgg11_bn', 'vgg13_bn', 'vgg16_bn', 'vgg19_bn']
    """
    names = list(shipped())
    return names if pattern is None else fnmatch.filter(names, pattern)
