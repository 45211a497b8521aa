"""What a backend says of itself before its framework is imported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Description:
    """A backend's entry in the table of backends.

    It stands in the ``__init__.py`` of the backend's package, as ``DESCRIPTION``, and imports no
    framework.

    Attributes:
        name: What callers say, such as ``torch``.
        title: The framework's name, such as ``PyTorch``.
        implementation: ``module:class`` of its :class:`zoo.backend.base.Backend`.
        framework: The module to import.
        packages: Distributions whose versions are reported, the main one first.
        aliases: Other names that callers may say.
        requires: Further modules that it cannot run without.
        install: What to install, as pip takes it.
        owners: Modules that the classes of its models come from; ``framework`` if none are given.
        suffix: What the names of the files end in that the framework itself saves weights in.
        reads: What the names of the framework's files end in that the backend reads.
        limits: Operation -> what the framework cannot do of it. Asked for, it is refused by name.
        form_limits: Form of execution -> why it is not available.
        precision_limits: dtype -> why networks do not run in it.
        optimizer_notes: Rule -> why the framework's own optimizer is another function.
        engines: Another engine that it runs on -> the environment variables that choose it.
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
    suffix: str = ""
    reads: tuple[str, ...] = ()
    limits: Mapping[str, str] = field(default_factory=dict)
    form_limits: Mapping[str, str] = field(default_factory=dict)
    precision_limits: Mapping[str, str] = field(default_factory=dict)
    optimizer_notes: Mapping[str, str] = field(default_factory=dict)
    engines: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def owns(self, module: str) -> bool:
        """Tell whether a class of this module is one of the framework's.

        Example:
            >>> torch = Description("torch", "PyTorch", "zoo.torch.backend:Backend", "torch")
            >>> torch.owns("torch.nn.modules.linear"), torch.owns("torchvision.models")
            (True, False)
        """
        owners = self.owners or (self.framework,)
        return any(module == owner or module.startswith(f"{owner}.") for owner in owners)
