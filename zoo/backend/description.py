"""What is known about a backend before its framework is imported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

#: What ``zoo verify`` compares, each level more than the one before.
LEVELS = ("forward", "gradients", "training", "full")
_LEVELS = ("none", *LEVELS)


@dataclass(frozen=True)
class Mode:
    """A way in which a backend executes a model, for ``zoo bench``.

    Attributes:
        name: What users of the framework call it, such as ``eager`` or ``torch.compile``.
        works: What it does in this way: ``forward``, ``gradients`` and ``train``.
        dtypes: The dtypes of models that it takes.
        devices: The devices that it runs on.
        needs: Module that it needs beside the backend's -> what pip installs it with.
    """

    name: str
    works: tuple[str, ...] = ("forward",)
    dtypes: tuple[str, ...] = ("float32",)
    devices: tuple[str, ...] = ("cpu",)
    needs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Description:
    """A backend's entry in the table of backends.

    It is the ``DESCRIPTION`` in the ``__init__.py`` of the backend's package, which must not import
    the framework.

    Attributes:
        name: Name for callers, such as ``torch``.
        title: The framework's name, such as ``PyTorch``.
        implementation: ``module:class`` of its :class:`zoo.backend.base.Backend`.
        framework: The module to import.
        packages: Distributions whose versions are reported, the main one first.
        aliases: Other names for callers.
        requires: Other modules that it requires.
        install: Requirement to install, as pip takes it.
        owners: Modules that define the classes of its models; ``framework`` by default.
        wrappers: Class of the framework that holds a model -> the attribute that is the model.
        opaque: Class whose objects zoo cannot read, such as a compiled program -> what to do.
        suffix: File suffix of the framework's own weight files, for writing.
        convention: What its models call their parameters, and how they lie; see
            ``parameters.convention``.
        formats: Formats of files that have these names; see ``zoo.weights.reading.formats``.
        holds_network: Whether its files hold the network, too, so that ``zoo.save`` writes them.
        level: The highest level of ``zoo verify`` that it takes part in, one of ``LEVELS``:
            ``forward`` if it only infers, ``none`` if its models do not have the graph's nodes.
        networks: The names of the only networks that it has; empty if it builds any graph.
        limits: Operation -> the cases that the framework does not support; they raise an error.
        form_limits: Form of execution -> why it is not available.
        precision_limits: dtype -> why networks do not run in it.
        optimizer_notes: Rule -> how the framework's own optimizer differs from it.
        engines: Additional engine that it runs on -> the environment variables that select it.
        modes: The ways in which ``zoo bench`` executes its models; see
            :meth:`zoo.backend.base.Backend.workload`.
        defaults: Switch of ``zoo compare`` -> what the framework does if its users do not say
            otherwise; see :mod:`zoo.comparing.switches`. Where that depends on the optimizer, a
            mapping of optimizers.
        determinism: Environment variables that ask for deterministic kernels, which must be set
            before the framework is imported; see :meth:`zoo.backend.base.Backend.determine`.
    """

    name: str
    title: str
    implementation: str
    framework: str
    packages: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    install: str = ""
    owners: tuple[str, ...] = ()
    wrappers: Mapping[str, str] = field(default_factory=dict)
    opaque: Mapping[str, str] = field(default_factory=dict)
    suffix: str = ""
    convention: Mapping[str, Any] = field(default_factory=dict)
    formats: tuple[str, ...] = ()
    holds_network: bool = False
    level: str = "forward"
    networks: tuple[str, ...] = ()
    limits: Mapping[str, str] = field(default_factory=dict)
    form_limits: Mapping[str, str] = field(default_factory=dict)
    precision_limits: Mapping[str, str] = field(default_factory=dict)
    optimizer_notes: Mapping[str, str] = field(default_factory=dict)
    engines: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    modes: tuple[Mode, ...] = (Mode("eager"),)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    determinism: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check what is read before the framework is imported.

        Raises:
            ValueError: An attribute that must be a name is none.
        """
        for attribute in ("name", "title", "implementation", "framework"):
            value = getattr(self, attribute)
            if not isinstance(value, str) or not value:
                raise ValueError(f"{attribute} must be a string, got {value!r}")
        if self.implementation.count(":") != 1:
            raise ValueError(f"implementation must be 'module:class', got {self.implementation!r}")
        if self.level not in _LEVELS:
            raise ValueError(f"level must be one of {', '.join(_LEVELS)}, got {self.level!r}")

    def reaches(self, level: str) -> bool:
        """Tell whether the backend takes part in a level of ``zoo verify``."""
        return _LEVELS.index(level) <= _LEVELS.index(self.level)

    def lack_of(self, network: str) -> str | None:
        """Return why it does not have a network; None if it does.

        Example:
            >>> mine = Description("mine", "Mine", "m:Mine", "m", networks=("vgg16", "vgg19"))
            >>> mine.lack_of("resnet50"), mine.lack_of("vgg16")
            ('mine has vgg16 and vgg19, not resnet50', None)
        """
        if not self.networks or network in self.networks:
            return None
        return f"{self.name} has {' and '.join(self.networks)}, not {network}"

    def owns(self, module: str) -> bool:
        """Tell whether a module belongs to the framework.

        Example:
            >>> torch = Description("torch", "PyTorch", "zoo.torch.backend:Backend", "torch")
            >>> torch.owns("torch.nn.modules.linear"), torch.owns("torchvision.models")
            (True, False)
        """
        owners = self.owners or (self.framework,)
        return any(module == owner or module.startswith(f"{owner}.") for owner in owners)
