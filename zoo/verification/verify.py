"""``zoo.verify``: compares the forward pass and whatever else the level includes."""

from __future__ import annotations

import os
import shlex
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from inspect import signature
from pathlib import Path
from typing import Any

from zoo import arguments
from zoo.backend import registry
from zoo.backend.description import LEVELS
from zoo.data import images
from zoo.errors import BackendError, InputError, SpecError, UnknownNameError, suggestion
from zoo.files import scratch
from zoo.graphs import losses
from zoo.graphs.graph import Graph
from zoo.language import graphs
from zoo.verification import full, tolerances, training
from zoo.verification.case import Case
from zoo.verification.context import Context, Progress
from zoo.verification.judging import judge
from zoo.verification.report import Report
from zoo.verification.results import Check, Training
from zoo.verification.sizes import fit_to_memory, smaller
from zoo.verification.workers import Workers


def verify(
    name: str | os.PathLike[str] | Graph,
    *,
    backends: str | Sequence[str] | None = None,
    aux: bool = False,
    num_classes: int | None = None,
    in_channels: int | None = None,
    input_size: int | tuple[int, int] | None = None,
    dtype: str = "float32",
    level: str = "forward",
    seed: int = 0,
    image: str | Path | None = None,
    progress: Progress = lambda message: None,
    workers: Workers | None = None,
) -> Report:
    """Verify that backends compute the same network, or report where they diverge.

    Each backend runs in its own process, in evaluation mode, with the same weights and the same
    photograph. Backends run in parallel if there is enough memory. Every node is compared with a
    NumPy reference in float64. If the network does not fit into memory at its own input size, a
    smaller size is used, and the report says so.

    Args:
        name: A model that zoo ships, the path of a YAML file, or a graph, which already has the
            options ``aux`` to ``input_size``.
        backends: The backends to compare; all if not given. One backend alone is compared only with
            the NumPy reference. A backend that crashes gets a row in the report, which then fails.
            So does one that was requested by name and is not installed. A backend that does not
            train takes part only in the forward pass, as the report notes.
        aux: Whether to build the auxiliary heads.
        num_classes: As for :func:`zoo.build`.
        in_channels: As for :func:`zoo.build`.
        input_size: As for :func:`zoo.build`.
        dtype: ``float64`` (within 1e-12 at every node) or ``float32`` (within 1e-5, or four times
            the error that NumPy itself makes in float32 on this network, whichever is larger).
        level: ``forward``; ``gradients``, which adds gradients of the training loss for every
            parameter and the input, in float64 and training mode, within 1e-10 for every pair of
            backends; ``training``, which adds losses, weights and running statistics over ten steps
            of SGD and of Adam on handwritten digits, within 1e-8; or ``full``, which adds odd input
            sizes, batches, channels and classes, compiled execution, lower precisions, Keras' other
            engines, and the frameworks' own optimizers. All but ``forward`` use a smaller input
            size.
        seed: Random seed for the weights.
        image: A photograph; the one that zoo ships if not given.
        progress: Called with a message before each part of the work.
        workers: Processes to use, for callers that verify many models.

    Returns:
        The report. ``report.passed`` is the verdict, ``print(report)`` shows tables, and
        ``report.to_html()`` returns a page with plots. It contains no times or memory usage,
        because a run that reads the value of every node is not a fair benchmark.

    Raises:
        UnknownNameError: There is no such model, backend, dtype or level.
        SpecError: The spec is invalid.
        InputError: The image cannot be read, an option has an invalid value, or the level includes
            training and the network has no loss.
        NotEnoughMemoryError: There is too little memory for any input size; also an InputError.
        BackendError: No framework is installed.

    Example:
        >>> import zoo
        >>> report = zoo.verify("lenet5", backends="torch")
        >>> report.passed, report.results[0].worst.error <= report.tolerance
        (True, True)
    """
    name = name if isinstance(name, Graph) else graphs.checked_name(name)
    seed = arguments.integer("seed", seed)
    image = None if image is None else arguments.path("image", image)
    if backends is not None:
        backends = arguments.texts("backends", backends, "None, the name of a backend or several")
    if not callable(progress):
        raise arguments.wrong("progress", "a function that takes a message", progress)
    if workers is not None and not isinstance(workers, Workers):
        raise arguments.wrong("workers", "None or zoo.verification.workers.Workers", workers)
    given: dict[str, Any] = {
        "aux": aux,
        "num_classes": num_classes,
        "in_channels": in_channels,
        "input_size": input_size,
        "backends": backends,
        "dtype": dtype,
        "level": level,
        "seed": seed,
        "image": image,
    }
    chosen = requested(backends, dtype, level)
    options = {key: given[key] for key in ("aux", "num_classes", "in_channels", "input_size")}
    single = dtype == "float32" and level == "forward"  # gradients and training are in float64
    graph, notes = fit_to_memory(graphs.graph(name, **options), itemsize=4 if single else 8)
    if level != "forward":
        losses.check(graph, "verify it with level='forward'")
    options = dict(graph.options)
    counterpart = None
    if graph.options["aux"] or graph.omitted:
        with suppress(SpecError):  # the input may be too small for the heads
            counterpart = graphs.with_options(graph, aux=not graph.options["aux"])
    small = graph
    if level != "forward":
        small = graphs.with_options(graph, input_size=smaller(graph))
    variants = full.input_variants(small) if level == "full" else []
    x = images.load(image or images.default(), options["input_size"], options["in_channels"])
    with ExitStack() as stack:
        path = stack.enter_context(scratch(tempfile.gettempdir(), "zoo-verify-", mode=0o700))
        processes = workers or stack.enter_context(Workers(keep=level != "forward"))
        context = Context(path, graph, chosen, seed, processes, progress)
        context.start(Case.environment(dtype, processes))
        progress("Computing the NumPy reference in float64")
        case = Case.prepare(path / "forward", graph, x, dtype, seed, counterpart)
        outcomes = context.for_each_backend(lambda b: case.run(processes, b, chosen[b]))
        progress("Comparing every node")
        compared = {b: chosen[b] for b, o in outcomes.items() if isinstance(o, dict)}
        pairs = case.pairs(list(compared))
        results = tuple(judge(case, b, o, backends is not None) for b, o in outcomes.items())
        trained: Training | None = None
        checks: tuple[Check, ...] = ()
        if level != "forward":
            trainable = {
                b: name for b, name in compared.items() if registry.resolve(b).reaches(level)
            }
            notes += _limits(compared, level)
            context = Context(path, small, trainable, seed, processes, progress)
            trained = training.compare(context, steps=level != "gradients")
            if level == "full":
                checks = full.check(context, variants, trained.rates)
    return Report(
        model=graph.name,
        options=options,
        dtype=dtype,
        level=level,
        tolerance=case.tolerance,
        seed=seed,
        image=str(image or f"{images.default().name} (shipped)"),
        parameters=case.counts,
        nodes=tuple(node.name for node in graph.nodes),
        top5=case.top5(),
        results=results,
        pairs=pairs,
        training=trained,
        checks=checks,
        notes=notes,
        command="" if isinstance(name, Graph) else _command(name, given),
    )


def requested(backends: Sequence[str] | None, dtype: str, level: str) -> dict[str, str]:
    """Check what is common to the verifications of many models.

    Args:
        backends: As for :func:`verify`.
        dtype: As for :func:`verify`.
        level: As for :func:`verify`.

    Returns:
        Backend -> the name by which the caller requested it.

    Raises:
        UnknownNameError: There is no such backend, dtype or level.
        InputError: The level needs two backends, and there are fewer.
        BackendError: All backends were requested, and none is installed; or one that takes no part.
    """
    _check_known("dtype", dtype, tolerances.FORWARD)
    _check_known("level", level, LEVELS)
    if backends is None:
        registry.installed()
    every = [name for name, entry in registry.table().items() if entry.reaches("forward")]
    names = every if backends is None else backends
    found = {registry.resolve(name).name: name for name in names}
    for name in found.keys() - set(every):
        raise BackendError(
            f"{name} takes no part in zoo verify: its models do not have the network's nodes; "
            "zoo bench compares their outputs and gradients"
        )
    if not found:
        raise InputError("backends: name at least one, or leave it out for all backends")
    if level != "forward":
        _check_two(found, level)
    return found


def _check_two(requested: Iterable[str], level: str) -> None:
    """Check that two backends can be compared with each other at a level."""
    entries = [registry.resolve(name) for name in requested]
    able = [entry for entry in entries if entry.reaches(level)]
    installed = [entry.name for entry in able if registry.is_installed(entry)]
    if len(installed) > 1:
        return
    if len(able) < len(entries):
        others = [entry.name for entry in entries if entry not in able]
        verb = "take" if len(others) > 1 else "takes"
        left = f"only {installed[0]}" if installed else "none"
        found = f"{', '.join(others)} {verb} no part in it, which leaves {left}"
    elif len(installed) == len(entries):
        found = f"only {installed[0]} was requested; name another one, too"
    else:
        only = f"only {installed[0]}" if installed else "none"
        found = f"of {', '.join(requested)}, {only} is installed"
    raise InputError(f"level={level!r} compares backends with each other and needs two; {found}")


def _limits(backends: Iterable[str], level: str) -> tuple[str, ...]:
    """Name the backends that take no part in what a level adds to the forward pass."""
    entries = [registry.resolve(name) for name in backends]
    return tuple(
        f"{entry.title} is compared in inference only; it takes no part in level {level!r}"
        if entry.level == "forward"
        else f"{entry.title} is compared in the forward pass only; level {level!r} is beyond it"
        for entry in entries
        if not entry.reaches(level)
    )


def _command(name: str, given: Mapping[str, Any]) -> str:
    """The equivalent command line, with the options that differ from their defaults."""
    words = ["zoo", "verify", name]
    defaults = signature(verify).parameters
    for option, value in given.items():
        if value is None or value == defaults[option].default:
            continue
        words.append(f"--{option.replace('_', '-')}")
        if isinstance(value, list | tuple):
            value = ("x" if option == "input_size" else ",").join(map(str, value))
        words += [] if value is True else [str(value)]
    return shlex.join(words)


def _check_known(option: str, value: Any, known: Iterable[str]) -> None:
    if not isinstance(value, str) or value not in known:
        # float16 is no misspelled float64.
        hint = (suggestion(value, known) if option == "level" else "") or "."
        raise UnknownNameError(
            f"unknown {option} {arguments.shown(value)}{hint} Known: {', '.join(known)}."
        )
