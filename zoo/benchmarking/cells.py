"""Cells: what is timed, each a model in a backend, in one way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zoo import arguments
from zoo.backend import registry
from zoo.backend.description import Description, Mode
from zoo.backend.workloads import WORKS
from zoo.errors import BackendError, InputError, UnknownNameError, suggestion
from zoo.verification.known_limitations import form_limit, precision_limit

#: What happens once in a process, and is timed with every cell.
ONCE = ("import", "build", "weights", "first")
DTYPES = ("float32", "bfloat16")
DEVICES = ("cpu", "cuda")


@dataclass(frozen=True)
class Cell:
    """One thing to be timed.

    Attributes:
        model: The name of the network.
        backend: The backend's name.
        mode: One of the modes that its description has.
        device: ``cpu`` or ``cuda``.
        dtype: Of weights and inputs, ``float32`` or ``bfloat16``.
        batch: Images at once.
        work: ``forward``, ``gradients`` of the training loss, or ``train``, a step of training.
    """

    model: str
    backend: str
    mode: str
    device: str
    dtype: str
    batch: int
    work: str

    @property
    def group(self) -> tuple[str, str, str, str, int]:
        """What a cell has in common with those that it is compared with."""
        return self.model, self.work, self.device, self.dtype, self.batch

    @property
    def way(self) -> str:
        """The backend and the mode.

        Example:
            >>> Cell("vgg16", "torch", "eager", "cpu", "float32", 1, "forward").way
            'torch:eager'
        """
        return f"{self.backend}:{self.mode}"

    def __str__(self) -> str:
        dtype = "" if self.dtype == "float32" else f", {self.dtype}"
        return f"{self.model}, {self.way}, {self.work}, batch {self.batch}, {self.device}{dtype}"


@dataclass(frozen=True)
class Choice:
    """Which cells there are; each a list of names, checked.

    Attributes:
        backends: Names of installed backends.
        modes: Names of modes; None for all.
        devices: ``cpu``, ``cuda``.
        dtypes: Of ``DTYPES``.
        batches: Sizes.
        works: What is timed again and again.
    """

    backends: tuple[str, ...]
    modes: tuple[str, ...] | None
    devices: tuple[str, ...]
    dtypes: tuple[str, ...]
    batches: tuple[int, ...]
    works: tuple[str, ...]

    def cells(self, models: Iterable[str]) -> tuple[list[Cell], dict[Cell, str]]:
        """Return the cells of models, and those that are not available, with the reason."""
        found: list[Cell] = []
        missing: dict[Cell, str] = {}
        entries = [registry.resolve(name) for name in self.backends]
        for model in models:
            for work in self.works:
                for device in self.devices:
                    for dtype in self.dtypes:
                        for batch in self.batches:
                            for entry, mode in self._ways(entries):
                                place = (mode.name, device, dtype, batch, work)
                                cell = Cell(model, entry.name, *place)
                                reason = _reason(cell, entry, mode)
                                if reason is None:
                                    found.append(cell)
                                elif reason:
                                    missing[cell] = reason
        return found, missing

    def _ways(self, entries: Sequence[Description]) -> list[tuple[Description, Mode]]:
        return [
            (entry, mode)
            for entry in entries
            for mode in entry.modes
            if self.modes is None or mode.name in self.modes
        ]


def choose(
    backends: Sequence[str] | None,
    modes: Sequence[str] | None,
    devices: Sequence[str] | None,
    dtypes: Sequence[str],
    batches: Sequence[int],
    what: Sequence[str],
    machine: Mapping[str, Any],
) -> Choice:
    """Check names of all kinds.

    Args:
        backends: As callers write them; None for all that are installed.
        modes: None for all.
        devices: None for the CPU, and for the GPU where there is one.
        dtypes: See :class:`Choice`.
        batches: See :class:`Choice`.
        what: Of ``WORKS`` and ``ONCE``. What happens once needs no work of its own: it is timed
            with every cell, and without one, with a forward pass.
        machine: What ``machine.describe`` said of the machine that will measure.

    Raises:
        UnknownNameError: There is no such name.
        InputError: A batch is empty, or nothing is chosen.
        BackendError: A backend or a GPU is not there.
    """
    entries = chosen(backends)
    known = list(dict.fromkeys(mode.name for entry in entries for mode in entry.modes))
    for mode in modes or ():
        _check("mode", mode, known)
    for dtype in dtypes:
        _check("dtype", dtype, DTYPES)
    for work in what:
        _check("work", work, (*WORKS, *ONCE))
    for device in devices or ():
        _check("device", device, DEVICES)
    if "cuda" in (devices or ()) and not machine["gpus"]:
        raise BackendError("there is no GPU of NVIDIA's to measure on; leave out device 'cuda'")
    for batch in batches:
        if type(batch) is not int or not 1 <= batch <= 2**16:
            raise InputError(
                f"batch must be an integer from 1 to 65536, got {arguments.shown(batch)}"
            )
    for name, values in (("dtype", dtypes), ("batch", batches), ("what", what)):
        if not values:
            raise InputError(f"{name}: name at least one")
    works = [work for work in WORKS if work in what]
    return Choice(
        tuple(entry.name for entry in entries),
        None if modes is None else tuple(modes),
        tuple(devices or (DEVICES if machine["gpus"] else DEVICES[:1])),
        tuple(dict.fromkeys(dtypes)),
        tuple(dict.fromkeys(batches)),
        tuple(works or WORKS[:1]),
    )


def packages(entries: Iterable[Description]) -> list[str]:
    """Return the distributions that times of backends depend on."""
    needed = [name for entry in entries for mode in entry.modes for name in mode.needs]
    found = [name for entry in entries for name in entry.packages]
    return [*dict.fromkeys([*found, *needed, "numpy"])]


def threads_of(given: int | None, available: int) -> int:
    """Return how many threads every framework gets: all available processors by default.

    Raises:
        InputError: There are fewer processors.
    """
    if given is None:
        return available
    if type(given) is not int or not 1 <= given <= available:
        raise InputError(
            f"threads must be an integer from 1 to {available}, the number of processors that "
            f"may be used, got {arguments.shown(given)}"
        )
    return given


def chosen(backends: Sequence[str] | None) -> list[Description]:
    """Return backends by the names that callers write; None for all that are installed.

    Raises:
        UnknownNameError: There is no such backend.
        InputError: There is no name.
        BackendError: A backend is not installed.
    """
    if backends is None:
        return registry.installed()
    named = {registry.resolve(name).name: registry.resolve(name) for name in backends}
    entries = list(named.values())
    for entry in entries:
        if not registry.is_installed(entry):
            install = f": python -m pip install '{entry.install}'" if entry.install else ""
            raise BackendError(f"zoo's {entry.name} backend needs {entry.title}{install}")
    if not entries:
        raise InputError("backends: name at least one, or leave it out for all")
    return entries


def _reason(cell: Cell, entry: Description, mode: Mode) -> str | None:
    """Return why a cell is not available; None if it is, and empty if nobody would expect it."""
    if cell.work not in mode.works or cell.device not in mode.devices:
        return ""
    if reason := entry.lack_of(cell.model):
        return reason
    if cell.dtype == "bfloat16" and cell.work != "forward":
        return "only forward passes are held to a reference in bfloat16"
    if cell.dtype not in mode.dtypes:
        return precision_limit(cell.backend, cell.dtype) or f"{mode.name} takes no {cell.dtype}"
    for module, requirement in mode.needs.items():
        if not registry.is_importable(module):
            return f"{mode.name} is not installed: python -m pip install '{requirement}'"
    return form_limit(cell.backend, mode.name) or None


def _check(kind: str, name: object, known: Sequence[str]) -> None:
    if name not in known:
        hint = suggestion(name, known) or f". Known: {', '.join(known)}"
        raise UnknownNameError(f"bench has no {kind} {name!r:.60}{hint}")
