"""The results of a benchmark as plain data, which can be converted to JSON and back."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Self

from zoo.benchmarking import statistics
from zoo.benchmarking.cells import Cell
from zoo.benchmarking.machine import QUIET
from zoo.benchmarking.statistics import Figure
from zoo.errors import InputError
from zoo.files import read_json

FORMAT = 1
INTERRUPTED = "interrupted: what had ended by then is kept"
UNFINISHED = "ended early: "
_MOST = 64 * 2**20  # bytes of a file of results


@dataclass(frozen=True)
class Verdict:
    """How far a result is from the reference.

    Attributes:
        error: The largest error.
        allowed: The tolerance.
        where: The output or the parameter at which it is largest.
    """

    error: float
    allowed: float
    where: str = ""

    @property
    def passed(self) -> bool:
        """Whether the error is within the tolerance."""
        return self.error <= self.allowed


@dataclass(frozen=True)
class Round:
    """What one process measured of a cell.

    Attributes:
        number: Of the round; 0 for the proof in float64, without times, of what differentiates.
        times: Seconds of each run; empty if the cell may not have any.
        seconds: Of ``import``, ``build``, ``weights`` and ``first``, which happen once; and of the
            imports of the ``harness`` itself, the ``proof``, the ``warmup``, the ``timed`` runs and
            the whole ``process``.
        peak: Bytes beyond the import, at most, during the same: ``build``, ``weights``, ``first``
            and ``run``; None where the system does not say.
        device_peak: Bytes on a GPU, at most, as the framework counts them.
        joules: Energy of a run; None if it is not readable.
        own: Processors that the process used in the timed runs.
        others: Processors that all else used meanwhile.
        proof: The worst of the comparisons with the reference.
        facts: What the framework reported; see ``Workload.facts``.
        problems: Why the cell has no time.
        remarks: What a reader of its time should know.
        host: The name of the machine of a cluster; empty for the one that ran the command.
    """

    number: int
    times: tuple[float, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    peak: Mapping[str, int | None] = field(default_factory=dict)
    device_peak: int | None = None
    joules: float | None = None
    own: float | None = None
    others: float | None = None
    proof: Verdict | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    host: str = ""


@dataclass(frozen=True)
class Measured:
    """What all processes measured of a cell."""

    cell: Cell
    rounds: tuple[Round, ...] = ()

    @property
    def problems(self) -> tuple[str, ...]:
        """Why it has no time; each once."""
        return tuple(dict.fromkeys(p for each in self.rounds for p in each.problems))

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a reader of its time should know; each once."""
        return tuple(dict.fromkeys(r for each in self.rounds for r in each.remarks))

    @property
    def times(self) -> dict[int, tuple[float, ...]]:
        """Round -> times; empty if there is any problem."""
        if self.problems:
            return {}
        return {each.number: each.times for each in self.rounds if each.times}

    @property
    def hosts(self) -> tuple[str, ...]:
        """The machines of a cluster that it ran on; each once."""
        return tuple(dict.fromkeys(each.host for each in self.rounds if each.host))

    @property
    def _timed(self) -> list[Round]:
        return [each for each in self.rounds if each.number]

    @property
    def processes(self) -> int:
        """How many processes have timed it."""
        return len(self._timed)

    @cached_property
    def time(self) -> Figure | None:
        """Seconds of a run."""
        return statistics.summarize(self.times) if self.times else None

    def once(self, what: str) -> Figure | None:
        """Return the seconds of what happens once in a process, such as ``import``."""
        if self.problems:
            return None
        found = {r.number: [r.seconds[what]] for r in self._timed if r.seconds.get(what)}
        return statistics.summarize(found) if found else None

    def memory(self, what: str = "run") -> int | None:
        """Return the median of the processes' peaks, in bytes."""
        if self.problems:
            return None
        found = sorted(p for r in self._timed if (p := r.peak.get(what)) is not None)
        return found[len(found) // 2] if found else None

    @property
    def device_memory(self) -> int | None:
        """The largest peak on a GPU, in bytes."""
        found = [r.device_peak for r in self.rounds if r.device_peak is not None]
        return max(found, default=None) if not self.problems else None

    @property
    def joules(self) -> float | None:
        """The median energy of a run; None if it is not readable."""
        found = sorted(r.joules for r in self.rounds if r.joules is not None)
        return found[len(found) // 2] if found and not self.problems else None

    @property
    def proof(self) -> Verdict | None:
        """The comparison with the reference that is nearest to its tolerance, or beyond it."""
        found = [r.proof for r in self.rounds if r.proof is not None]
        return max(found, key=lambda v: v.error / v.allowed, default=None)


@dataclass(frozen=True)
class Results:
    """All results of one benchmark.

    Attributes:
        cells: What was measured, in the order of the request.
        missing: Description of a cell that is not available -> the reason.
        settings: How it was measured: threads, rounds, seed and so on.
        versions: Package -> version.
        machine: See ``machine.describe``; ``before`` and ``after`` are what changes. Of a cluster,
            it is the address of its scheduler, and what all machines have in common.
        hosts: Name of a machine of a cluster -> the same of it alone; see ``Round.host``.
        order: The processes: (round, number of the cell), in each round as they ran.
        notes: Remarks on the whole.
        command: The equivalent command line.
        begun: When, in UTC, as ISO 8601.
        seconds: How long it took.
        format: Version of this form.
    """

    cells: tuple[Measured, ...]
    missing: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    machine: Mapping[str, Any] = field(default_factory=dict)
    hosts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    order: tuple[tuple[int, int], ...] = ()
    notes: tuple[str, ...] = ()
    command: str = ""
    begun: str = ""
    seconds: float = 0.0
    format: int = FORMAT

    @property
    def passed(self) -> bool:
        """Whether every cell was held to the reference and has a time, and no machine failed."""
        unfinished = any(note.startswith(UNFINISHED) for note in self.notes)
        return (
            bool(self.cells)
            and not unfinished
            and all(each.time is not None for each in self.cells)
        )

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C ended it."""
        return INTERRUPTED in self.notes

    @property
    def noisy(self) -> str:
        """Say by how much others used the processors; empty if hardly, or if it is unknown."""
        shares = [r.others for m in self.cells for r in m.rounds if r.others is not None]
        busy = [share for share in shares if share > QUIET]
        if not shares or len(busy) <= len(shares) // 10:
            return ""
        return (
            f"the machine was not quiet: in {len(busy)} of {len(shares)} processes, others used up "
            f"to {max(busy):.1f} processors while times were taken"
        )

    def baseline(self, measured: Measured) -> Measured | None:
        """Return what a cell's time is compared with: of the same model, work, device and batch.

        It is the one that the settings name, as ``torch`` or ``torch:eager``, or else the first.
        """
        group = [m for m in self.cells if m.cell.group == measured.cell.group]
        wanted = self.settings.get("baseline")
        named = [m for m in group if wanted in (m.cell.backend, m.cell.way)]
        found = named if wanted else group
        return found[0] if found else None

    def ratio(self, measured: Measured) -> Figure | None:
        """Return a cell's time relative to its baseline's; None if either has none."""
        baseline = self.baseline(measured)
        if baseline is None or not measured.times or not baseline.times:
            return None
        if baseline is measured:
            return Figure(1.0, 1.0, 1.0, rounds=len(measured.times))
        return statistics.ratio(measured.times, baseline.times)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data for JSON, and a summary for those who read it."""
        plain = _finite(asdict(self))
        summary = [
            {
                "cell": asdict(m.cell),
                "seconds": m.time and _finite(asdict(m.time)),
                "ratio": (r := self.ratio(m)) and _finite(asdict(r)),
                "once": {w: f and _finite(asdict(f)) for w in _ONCE for f in [m.once(w)]},
                "peak_bytes": {w: m.memory(w) for w in ("build", "weights", "first", "run")},
                "problems": list(m.problems),
                "remarks": list(m.remarks),
            }
            for m in self.cells
        ]
        return {"zoo_bench": FORMAT, "passed": self.passed, "summary": summary, **plain}

    def to_json(self) -> str:
        """Return everything as the text of a JSON file."""
        return json.dumps(self.to_dict(), indent=1) + "\n"

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        """Make results from what :meth:`to_dict` returned; what follows from the rest is not read.

        Raises:
            InputError: The data has another structure.
        """
        from pydantic import TypeAdapter, ValidationError

        if not isinstance(data, Mapping) or "zoo_bench" not in data:
            raise InputError("these are no results of zoo bench")
        if data["zoo_bench"] != FORMAT:
            raise InputError(
                f"these results have format {data['zoo_bench']!r:.20}, and this zoo reads {FORMAT}"
            )
        derived = ("zoo_bench", "passed", "summary")
        fields = {key: value for key, value in data.items() if key not in derived}
        try:
            return TypeAdapter(cls).validate_python(fields)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise InputError(f"these results are damaged: {place}: {first['msg']}") from None

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Self:
        """Read the JSON file of a benchmark.

        Raises:
            InputError: It cannot be read, or is something else.
        """
        data = read_json(path, _MOST, "results of zoo bench")
        try:
            return cls.from_dict(data)
        except InputError as error:
            raise InputError(f"{path}: {error}") from None


_ONCE = ("import", "build", "weights", "first")


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return 1e308 if isinstance(value, float) and not math.isfinite(value) else value
