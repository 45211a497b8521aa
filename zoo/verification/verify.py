"""Runs a proof: the forward pass, and what its level asks for beside."""

from __future__ import annotations

import json
import os
import shlex
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np

from zoo.backend import registry
from zoo.data import images
from zoo.errors import InputError, SpecError, UnknownNameError, suggestion
from zoo.graphs.graph import Graph
from zoo.graphs.shapes import text_of
from zoo.language import graphs
from zoo.language.catalogue import shipped
from zoo.verification import full, memory, training
from zoo.verification.forward import Case, Found, Proof
from zoo.verification.results import TOLERANCES, Check, Report, Training
from zoo.verification.workers import Workers

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]
Progress = Callable[[str], None]

LEVELS = ("forward", "gradients", "training", "full")

_SIDES = (64, 80, 96, 112, 128, 160, 192, 224)


def verify(
    name: str | os.PathLike[str],
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
    """Show that backends hold the same network, or where they part.

    Every backend runs in a process of its own, one after the other, with the same conditioned
    weights on the same photograph, in evaluation mode. Every node is held against the NumPy
    float64 meaning of the graph. Where memory does not suffice for the network's own input size, a
    smaller one is taken, and the report says so.

    Args:
        name: A model zoo ships, or the path of a YAML file.
        backends: Which to compare; all there are if not given. One that crashes is a row of the
            report and fails it; so is one that is not installed, if it was asked for by name.
        aux: Whether to build the auxiliary heads.
        num_classes: As for :func:`zoo.build`.
        in_channels: As for :func:`zoo.build`.
        input_size: As for :func:`zoo.build`.
        dtype: ``float64`` (within 1e-12 at every node) or ``float32`` (within 1e-5, or four times
            what rounding costs NumPy itself in float32 on this network, if that is more).
        level: ``forward``; ``gradients``, also of the training loss for every parameter and the
            input, in float64 and training mode, each two backends within 1e-10; ``training``,
            also losses, weights and running statistics over ten steps of SGD and of Adam on
            handwritten digits, within 1e-8; or ``full``, also odd input sizes, batches, channels
            and classes, compiled forms, lower precisions, Keras' other engines, and the
            frameworks' own optimizers. All but the first at a smaller input size.
        seed: Of the weights.
        image: A photograph; the one zoo ships if not given.
        progress: Called with a word on what is being done next.
        workers: Processes to use, of a caller who verifies one model after another.

    Returns:
        The report; ``report.passed`` is the verdict, ``print(report)`` shows it all, and
        ``report.to_html()`` is a page with pictures.

    Raises:
        UnknownNameError: No such model, backend, dtype or level.
        SpecError: The spec is wrong.
        InputError: The image cannot be read, an option has a value that cannot be, or a network
            without a classifier is to be trained.
        NotEnoughMemoryError: There is too little for any input size; an InputError too.
    """
    name = os.fspath(name)
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
    wanted = registry.table() if backends is None else backends
    named = [wanted] if isinstance(wanted, str) else list(wanted)
    asked = {registry.resolve(backend).name: backend for backend in named}
    _check(dtype, TOLERANCES, "dtype")
    _check(level, LEVELS, "level")
    there = [name for name in asked if registry.is_installed(registry.resolve(name))]
    if not asked:
        raise InputError("backends: name at least one, or none at all for all there are")
    if level != "forward" and len(there) < 2:
        raise InputError(
            f"level={level!r} holds backends against each other and needs two; of those asked for "
            f"there is {' and '.join(there) or 'none'}"
        )
    options = {key: given[key] for key in ("aux", "num_classes", "in_channels", "input_size")}
    single = dtype == "float32" and level == "forward"  # gradients and training are float64's
    graph, notes = _fitting(name, options, itemsize=4 if single else 8)
    for output, node in graph.output_nodes.items():
        if level != "forward" and len(node.shape) > 1:
            raise InputError(
                f"{graph.name} has no classifier to train: its output {output!r} is a map of "
                f"{text_of(node.shape)}; verify it with level='forward'"
            )
    options = dict(graph.options)
    counts = {"aux" if aux else "plain": graph.num_parameters}
    if aux or graph.omitted:
        with suppress(SpecError):  # the input is too small for heads
            other = graphs.graph(name, **{**options, "aux": not aux})
            counts["plain" if aux else "aux"] = other.num_parameters
    x = images.load(image or images.default(), options["input_size"], options["in_channels"])
    with ExitStack() as stack:
        folder = tempfile.TemporaryDirectory(prefix="zoo-verify-", ignore_cleanup_errors=True)
        path = Path(stack.enter_context(folder))
        processes = workers or stack.enter_context(Workers())
        model = name
        if name not in shipped():  # whatever becomes of the file meanwhile
            alone = {**graph.document, "name": graph.name}
            model = str(path / "spec.yaml")
            Path(model).write_text(json.dumps(alone), encoding="utf-8")
        progress("NumPy reference in float64")
        case = Case.of(path / "forward", model, graph, x, dtype, seed, counts, timed=True)
        found: dict[str, Found] = {}
        for backend, words in asked.items():
            progress(registry.resolve(backend).title)
            found[backend] = case.run(processes, backend, words)
        progress("comparing every node")
        ran = {b: asked[b] for b, result in found.items() if isinstance(result, dict)}
        pairs = case.pairs(list(ran))
        results = tuple(case.judge(b, r, backends is not None) for b, r in found.items())
        trained: Training | None = None
        checks: tuple[Check, ...] = ()
        if level != "forward":
            small = graphs.graph(name, **{**options, "input_size": smaller(name, graph)})
            proof = Proof(path, model, small, ran, seed, processes, progress)
            trained = training.compare(proof, steps=level != "gradients")
            if level == "full":
                checks = full.check(proof, trained.rates)
    return Report(
        model=graph.name,
        options=options,
        dtype=dtype,
        level=level,
        tolerance=case.tolerance,
        seed=seed,
        image=str(image or f"{images.default().name} (shipped)"),
        parameters=counts,
        nodes=tuple(node.name for node in graph.nodes),
        top5=case.top5,
        results=results,
        pairs=pairs,
        training=trained,
        checks=checks,
        notes=notes,
        command=_command(name, given),
    )


def _command(name: str, given: Mapping[str, Any]) -> str:
    """What does the same on the command line: options that are not what they are by default."""
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


def smaller(model: str, graph: Graph) -> tuple[int, int]:
    """Return the smallest usual input size that a network can be made for, or its own."""
    own: tuple[int, int] = tuple(graph.options["input_size"])
    for side in _SIDES:
        if side >= max(own):
            break
        if graphs.takes(model, **{**graph.options, "input_size": side}):
            return side, side
    return own


def _fitting(name: str, options: dict[str, Any], itemsize: int) -> tuple[Graph, tuple[str, ...]]:
    """The network at the largest input size whose proof fits into memory, and a note if it is not
    its own.
    """
    graph = graphs.graph(name, **options)
    free = 0.6 * memory.available()
    if memory.needed(graph, itemsize) <= free:
        return graph, ()
    height, width = graph.options["input_size"]
    for part in (0.75, 0.5, 0.35, 0.25, 0.15):
        size = (round(height * part), round(width * part))
        if not graphs.takes(name, **{**options, "input_size": size}):
            break
        less = graphs.graph(name, **{**options, "input_size": size})
        if memory.needed(less, itemsize) <= free:
            why = f"at {size[0]}x{size[1]} instead of {height}x{width}, for want of memory"
            return less, (why,)
    raise memory.NotEnoughMemoryError(
        f"{graph.name}: a proof takes about {memory.needed(graph, itemsize) / 2**30:.1f} GiB, and "
        f"{free / 2**30:.1f} GiB can be had; give a smaller input_size"
    )


def _check(value: str, known: Sequence[str] | dict[str, float], what: str) -> None:
    if value not in known:
        verb = "verify in" if what == "dtype" else "verify"
        hint = suggestion(value, known) if what == "level" else ""  # no dtype is nearly another
        hint += f" Known: {', '.join(known)}."
        raise UnknownNameError(f"Unknown {what} {value!r} to {verb}.{hint}")
