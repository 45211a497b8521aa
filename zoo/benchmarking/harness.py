"""Times one cell in this process: proof, warm-up, timed runs, and the rules of the audit."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from zoo.backend.workloads import Workload
from zoo.benchmarking import audit, machine, memory
from zoo.benchmarking.audit import Array
from zoo.benchmarking.cells import Cell
from zoo.benchmarking.results import Round, Verdict
from zoo.benchmarking.statistics import settled

_TRIES = 5  # before a result is said not to be waited for

Clock = Callable[[], float]
Input = tuple[Array, Array]


class Proof(Protocol):
    """What results are held to."""

    #: The largest gradient, or 1.
    scale: float

    def compare(self, found: Mapping[str, Array], which: int) -> Verdict:
        """Compare the result of an input, the first (0) or the second (1), with the reference."""


@dataclass(frozen=True)
class Limits:
    """How long a cell is run in one process.

    Attributes:
        least: Timed runs, at least.
        most: Timed runs, at most.
        seconds: Timed runs go on until so many have passed.
        warmup: Seconds after which the warm-up ends although times still fall.
        warmup_runs: Runs after which it does.
    """

    least: int = 5
    most: int = 100
    seconds: float = 1.0
    warmup: float = 10.0
    warmup_runs: int = 100


@dataclass
class _Notes:
    verdict: Verdict | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    peak: dict[str, int | None] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def measure(
    subject: Callable[[], Workload],
    cell: Cell,
    inputs: Sequence[Input],
    proof: Proof,
    *,
    threads: int,
    number: int = 1,
    limits: Limits | None,
    clock: Clock = time.perf_counter,
    base: int | None = None,
) -> Round:
    """Hold a cell to its reference, and time it.

    Two inputs alternate, so that a result cannot be that of the run before.

    Args:
        subject: Makes the work; that and the first run are the first call.
        cell: What it is said to be.
        inputs: Two of images, float32 [N, C, H, W], and labels; and any number of others, which are
            used once each, after the timed runs.
        proof: What the results of the two are held to.
        threads: How many are stated.
        number: Of the round.
        limits: How long it is run; None to compare its results alone.
        clock: Returns seconds.
        base: Bytes that the process had after the import; by default, those that it has now.

    Returns:
        The round, without times if the results differ from the reference or the audit found an
        unfairness.
    """
    notes = _Notes()
    base = memory.resident() if base is None else base

    def phase(name: str) -> None:
        most = memory.peak()
        notes.peak[name] = None if most is None or base is None else max(most - base, 0)

    memory.reset()
    start = clock()
    work = subject()
    made = clock() - start
    places = [work.place(*each) for each in inputs[:2]]
    start = clock()
    result = work.run(places[0])
    work.wait(result)
    notes.seconds["first"] = made + clock() - start
    phase("first")

    start = clock()
    facts = work.facts()
    notes.problems += audit.of_facts(cell, threads, facts)
    found = [_proved(work, place, i, cell, proof, notes) for i, place in enumerate(places)]
    notes.problems += audit.of_inputs(*found)
    notes.seconds["proof"] = clock() - start
    done = Round(number, facts=facts)
    if notes.problems or limits is None:
        return _with(done, notes)

    memory.reset()
    _warm_up(work, places, limits, clock, notes)
    gc.collect()
    gc.disable()
    try:
        joules, meter = _energy(cell), machine.Meter()
        times, result, last = _timed(work, places, limits, clock)
        usage, after = meter.read(), _energy(cell)
    finally:
        gc.enable()
    phase("run")
    notes.seconds["timed"] = sum(times)

    start = clock()
    median = float(np.median(times))
    if cell.work != "train":  # the weights of which have changed since
        _judge(proof.compare(work.read(result), last), notes)
    else:
        _proved(work, places[last], last, cell, proof, notes)
    notes.problems += _audited(work, places, inputs[2:], median, clock)
    notes.problems += audit.of_processors(usage.own, threads)
    notes.seconds["proof"] += clock() - start
    if usage.others is not None and usage.others > machine.QUIET:
        notes.remarks.append("others used the processors while it was timed")
    done = replace(
        done,
        times=tuple(times) if not notes.problems else (),
        own=usage.own,
        others=usage.others,
        joules=None if joules is None or after is None else (after - joules) / len(times),
    )
    return _with(done, notes)


def _with(done: Round, notes: _Notes) -> Round:
    return replace(
        done,
        seconds=notes.seconds,
        peak=notes.peak,
        proof=notes.verdict,
        problems=tuple(dict.fromkeys(notes.problems)),
        remarks=tuple(dict.fromkeys(notes.remarks)),
    )


def _proved(
    work: Workload, place: Any, which: int, cell: Cell, proof: Proof, notes: _Notes
) -> dict[str, Array]:
    """Do the work once and compare all of its result."""
    found = work.prove(place, proof.scale)
    notes.problems += audit.of_batch(cell, found)
    _judge(proof.compare(found, which), notes)
    return found


def _judge(verdict: Verdict, notes: _Notes) -> None:
    if notes.verdict is None or not verdict.error <= notes.verdict.error:
        notes.verdict = verdict
    if not verdict.passed:
        place = f" at {verdict.where}" if verdict.where else ""
        notes.problems.append(
            f"results differ from the reference: error {verdict.error:.1e}{place}, allowed "
            f"{verdict.allowed:.1e}"
        )


def _warm_up(
    work: Workload, places: Sequence[Any], limits: Limits, clock: Clock, notes: _Notes
) -> None:
    """Run until times no longer fall, within limits."""
    begin, times = clock(), list[float]()
    while not settled(times):
        late = clock() - begin > limits.warmup and len(times) >= 2
        if late or len(times) >= limits.warmup_runs:
            if not settled(times, window=1 if len(times) < 6 else 3):
                notes.remarks.append("warm-up: times were still falling when it ended")
            break
        start = clock()
        work.wait(work.run(places[len(times) % 2]))
        times.append(clock() - start)
    notes.seconds["warmup"] = clock() - begin


def _timed(
    work: Workload, places: Sequence[Any], limits: Limits, clock: Clock
) -> tuple[list[float], Any, int]:
    """Return times, the last result, and which input it is of."""
    times, total, result = list[float](), 0.0, None
    while len(times) < limits.least or (total < limits.seconds and len(times) < limits.most):
        place = places[len(times) % 2]
        start = clock()
        result = work.run(place)
        work.wait(result)
        times.append(clock() - start)
        total += times[-1]
    return times, result, (len(times) - 1) % 2


def _audited(
    work: Workload, places: Sequence[Any], fresh: Sequence[Input], median: float, clock: Clock
) -> list[str]:
    """Look for results that were not waited for, or that were not computed."""
    reads: list[tuple[float, float]] = []
    while len(reads) < _TRIES and (not reads or audit.of_reading(reads, median)):
        result = work.run(places[len(reads) % 2])
        work.wait(result)
        start = clock()
        work.read(result)
        between = clock()
        work.read(result)
        reads.append((between - start, clock() - between))
    problems = audit.of_reading(reads, median)
    pairs: list[tuple[float, float]] = []
    for each in fresh:
        place = work.place(*each)
        start = clock()
        work.wait(work.run(place))
        between = clock()
        work.wait(work.run(places[0]))
        pairs.append((between - start, clock() - between))
        if not audit.of_fresh_input(pairs, median):
            break
    return problems + (audit.of_fresh_input(pairs, median) if pairs else [])


def _energy(cell: Cell) -> float | None:
    return memory.energy_of_gpu() if cell.device == "cuda" else memory.energy()
