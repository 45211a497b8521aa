"""What must be the same on every machine that works on the same jobs."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import platform
from collections.abc import Iterable, Mapping
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the versions of Python, of packages and of zoo itself, whose code has a digest.

    Args:
        packages: Names of distributions. Nothing is imported.

    Returns:
        Name -> version; ``not installed`` for a package that is not.
    """
    return {
        "Python": platform.python_version(),
        "zoo": code(),
        **{package: _installed(package) for package in packages},
    }


@functools.cache
def code() -> str:
    """Return a digest of zoo's own code and specs: two checkouts may have the same version."""
    digest = hashlib.sha256()
    specs = next((f for f in (_ROOT / "spec", _ROOT.parent / "spec") if f.is_dir()), _ROOT)
    modules = {str(p.relative_to(_ROOT)): p for p in _ROOT.rglob("*.py")}
    tables = {f"spec/{p.relative_to(specs)}": p for p in specs.rglob("*.yaml")}
    for name, path in sorted((modules | tables).items()):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{name} {content}\n".encode())
    return digest.hexdigest()[:16]


def differences(here: Mapping[str, str], there: Mapping[str, str]) -> list[str]:
    """Describe how versions differ: those of another process, and those of this one.

    Example:
        >>> differences({"torch": "2.6"}, {"torch": "2.7"})
        ['torch 2.7 instead of 2.6']
    """
    missing = "not installed"
    return [
        f"{name} {there.get(name, missing)} instead of {here.get(name, missing)}"
        for name in dict.fromkeys([*here, *there])
        if here.get(name, missing) != there.get(name, missing)
    ]


def _installed(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
