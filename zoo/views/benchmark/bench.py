"""``zoo.bench``: times models in the frameworks."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from zoo import arguments, jobs
from zoo.benchmarking import cells, machine, machines
from zoo.benchmarking.cells import Cell, Choice
from zoo.benchmarking.request import Request
from zoo.benchmarking.results import Results
from zoo.benchmarking.run import run
from zoo.errors import InputError, UnknownNameError
from zoo.files import write_text
from zoo.graphs import losses
from zoo.graphs.graph import Graph
from zoo.language import graphs
from zoo.views.benchmark.report import Benchmark

Model = str | os.PathLike[str] | Graph


def bench(
    models: Model | Sequence[Model],
    *,
    backends: str | Sequence[str] | None = None,
    modes: str | Sequence[str] | None = None,
    devices: str | Sequence[str] | None = None,
    dtypes: str | Sequence[str] = "float32",
    batch: int | Sequence[int] = 1,
    what: str | Sequence[str] = "forward",
    input_size: int | tuple[int, int] | None = None,
    threads: int | None = None,
    rounds: int = 5,
    until: float | None = None,
    budget: float | None = None,
    baseline: str | None = None,
    seed: int = 0,
    scheduler: str | None = None,
    keep: str | os.PathLike[str] | None = None,
    command: str = "",
    progress: Callable[[str], None] = lambda message: None,
) -> Benchmark:
    """Time models in the frameworks, and measure the memory that they need.

    Each cell (a model in a backend, mode, device, dtype and batch, doing some work) runs in several
    new processes, in random order. In each, its outputs, or its loss and gradients, are held to
    the reference, with the tolerances of :func:`zoo.verify`; a cell that differs has no time. So
    has one that was timed unfairly, for example with other threads than stated.

    Args:
        models: Models that zoo ships, paths of YAML files, or graphs.
        backends: All that are installed, if not given.
        modes: Such as ``eager`` and ``torch.compile``; all that the backends have, if not given.
        devices: ``cpu`` and ``cuda``; what there is, if not given.
        dtypes: ``float32`` and ``bfloat16``, the latter for forward passes alone.
        batch: How many images at once; one number or several.
        what: ``forward``, ``gradients`` and ``train``, a step of training. ``import``, ``build``,
            ``weights`` (their load) and ``first`` (call), which happen once in a process, are
            measured in any case, and stand apart.
        input_size: As for :func:`zoo.build`.
        threads: Of every framework; the number of processors, if not given.
        rounds: Processes of each cell.
        until: Go on until each interval is at most so wide, as a share of the time: 0.03 for 3%
            to each side.
        budget: Seconds after which no process is started.
        baseline: What others are compared with: a backend, or one with a mode such as
            ``torch:eager``; by default the first of those that do the same work.
        seed: Random seed of weights and of the order.
        scheduler: The address of a scheduler of Dask, each of whose machines measures whole rounds;
            see ``docs/benchmarking.md``.
        keep: A JSON file to write after each round, so that nothing is lost.
        command: The equivalent command line, for the report.
        progress: Called with a message before each part of the work.

    Returns:
        The benchmark. ``print(benchmark)`` shows tables, ``benchmark.to_html()`` returns a page
        with plots, and ``benchmark.to_json()`` and ``to_csv()`` all figures. After Ctrl-C, it has
        the processes that had ended.

    Raises:
        UnknownNameError: There is no such model, backend, mode, dtype or work.
        SpecError: A spec is invalid.
        InputError: A number is out of range, a network has no loss to differentiate, or it
            needs more memory than is available.
        BackendError: A framework is not installed, there is no GPU, or the scheduler or its
            machines cannot be used; see ``docs/benchmarking.md``.

    Example:
        >>> import zoo
        >>> benchmark = zoo.bench("lenet5", backends="onnx", modes="ONNX Runtime", rounds=2)
        >>> benchmark.passed, benchmark.cells[0].time.rounds
        (True, 2)
    """
    if not callable(progress):
        raise arguments.wrong("progress", "a function that takes a message", progress)
    names = _names("backends", backends)
    place = None if keep is None else Path(arguments.path("keep", keep))

    def write(results: Results) -> None:
        if place is not None:
            write_text(place, results.to_json())

    with ExitStack() as stack:
        cluster, where = None, machine.describe()
        if scheduler is not None:
            packages = cells.packages(cells.chosen(names))
            cluster = stack.enter_context(jobs.at(scheduler, packages=packages))
            where = machines.common(cluster)
        choice = cells.choose(
            names,
            _names("modes", modes),
            _names("devices", devices),
            _names("dtypes", dtypes) or [],
            _batches(batch),
            _names("what", what) or [],
            where,
        )
        networks = _networks(models, input_size, choice)
        found, missing = choice.cells(networks)
        if not found:
            reasons = "; ".join(dict.fromkeys(missing.values())) or "no mode does that"
            raise InputError(f"there is nothing to measure: {reasons}")
        request = Request(
            networks,
            found,
            missing,
            threads=cells.threads_of(threads, where["processors"]),
            rounds=arguments.positive("rounds", rounds) or 5,
            until=None if until is None else arguments.number("until", until, 1e-4, 10),
            budget=None if budget is None else arguments.number("budget", budget),
            seed=arguments.integer("seed", seed),
            baseline=_baseline(baseline, found),
        )
        return Benchmark.of(
            run(request, cluster=cluster, command=command, progress=progress, keep=write)
        )


def _networks(models: Any, size: Any, choice: Choice) -> dict[str, Graph]:
    given = [models] if isinstance(models, str | os.PathLike | Graph) else models
    if not isinstance(given, Iterable) or not (listed := list(given)):
        raise arguments.wrong("models", "the name of a model, or several", models)
    networks: dict[str, Graph] = {}
    for model in listed:
        name = model if isinstance(model, Graph) else graphs.checked_name(model)
        graph = graphs.graph(name) if size is None else graphs.graph(name, input_size=size)
        if graph.name in networks and networks[graph.name] != graph:
            raise InputError(f"two different models are called {graph.name}; measure them apart")
        if choice.works != ("forward",):
            losses.check(graph, "measure what='forward'")
        networks[graph.name] = graph
    return networks


def _names(name: str, value: Any) -> list[str] | None:
    return None if value is None else arguments.texts(name, value, "a name or several")


def _batches(value: Any) -> list[int]:
    values = value if isinstance(value, list | tuple) else [value]
    return [number if (number := arguments.as_integer(v)) is not None else v for v in values]


def _baseline(name: str | None, found: Sequence[Cell]) -> str | None:
    if name is None:
        return None
    name = arguments.text("baseline", name)
    known = list(dict.fromkeys(n for cell in found for n in (cell.backend, cell.way)))
    if name not in known:
        listed = ", ".join(known)
        raise UnknownNameError(f"no cell is {name!r:.60}, for a baseline. Known: {listed}.")
    return name
