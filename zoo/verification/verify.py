"""Runs a proof: prepares weights and a reference, starts the workers, compares what they leave."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from zoo import backends as registry
from zoo import image as images
from zoo.errors import InputError, UnknownNameError, suggestion
from zoo.language import expansion
from zoo.language.catalogue import shipped
from zoo.network import Graph, text_of
from zoo.verification import training, workers
from zoo.verification.comparison import Worst, error, top
from zoo.verification.conditioned import conditioned, rounding
from zoo.verification.report import TOLERANCES, BackendResult, Pair, Report

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]
Progress = Callable[[str], None]

LEVELS = ("forward", "gradients", "training")


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
) -> Report:
    """Show that backends hold the same network, or where they part.

    Every backend runs in a process of its own, one after the other, with the same conditioned
    weights on the same photograph, in evaluation mode. Every node is held against the NumPy
    float64 meaning of the graph.

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
            input, in float64 and training mode, each two backends within 1e-10; or ``training``,
            also losses, weights and running statistics over ten steps of SGD and of Adam on
            handwritten digits, within 1e-8. Both at a smaller input size than the network's own.
        seed: Of the weights.
        image: A photograph; the one zoo ships if not given.
        progress: Called with a word on what is being done next.

    Returns:
        The report; ``report.passed`` is the verdict, ``print(report)`` shows it all.

    Raises:
        UnknownNameError: No such model, backend, dtype or level.
        SpecError: The spec is wrong.
        InputError: The image cannot be read, an option has a value that cannot be, or a network
            without a classifier is to be trained.
    """
    name = os.fspath(name)
    named = [backends] if isinstance(backends, str) else list(backends or registry.table())
    asked = {registry.resolve(backend).name: backend for backend in named}
    if dtype not in TOLERANCES:
        hint = suggestion(dtype, TOLERANCES) or f" Known: {', '.join(TOLERANCES)}."
        raise UnknownNameError(f"Unknown dtype {dtype!r} to verify in.{hint}")
    if level not in LEVELS:
        hint = suggestion(level, LEVELS) or f" Known: {', '.join(LEVELS)}."
        raise UnknownNameError(f"Unknown level {level!r} to verify.{hint}")
    options: dict[str, Any] = {
        "num_classes": num_classes,
        "in_channels": in_channels,
        "input_size": input_size,
    }
    graphs = {"aux" if aux else "plain": expansion.graph(name, aux=aux, **options)}
    (graph,) = graphs.values()
    if aux or graph.omitted:
        graphs["plain" if aux else "aux"] = expansion.graph(name, aux=not aux, **options)
    for output, node in graph.output_nodes.items():
        if level != "forward" and len(node.shape) > 1:
            raise InputError(
                f"{graph.name} has no classifier to train: its output {output!r} is a map of "
                f"{text_of(node.shape)}; verify it with level='forward'"
            )
    photograph = images.load(
        image or images.default(), graph.options["input_size"], graph.options["in_channels"]
    )
    progress("NumPy reference in float64")
    weights, reference = conditioned(graph, photograph, seed)
    tolerance = TOLERANCES[dtype]
    if dtype == "float32":
        tolerance = max(tolerance, 4 * rounding(graph, photograph, weights, reference))
    with tempfile.TemporaryDirectory(prefix="zoo-verify-", ignore_cleanup_errors=True) as folder:
        path = Path(folder)
        np.save(path / "input.npy", photograph)
        shutil.copyfile(graph.source, path / "spec.yaml")
        np.savez(path / "weights.npz", **dict[str, Any](weights))
        del weights
        job = {
            "model": name if name in shipped() else f"{path / 'spec.yaml'}:{graph.name}",
            "options": graph.options,
            "has_aux": len(graphs) > 1,
            "dtype": dtype,
            "seed": seed,
        }
        (path / "job.json").write_text(json.dumps(job))
        found: dict[str, dict[str, Any] | str] = {}
        for backend, words in asked.items():
            entry = registry.resolve(backend)
            progress(entry.title)
            found[backend] = workers.work(path, entry, words, "forward")
        progress("comparing every node")
        ran = [backend for backend, result in found.items() if isinstance(result, dict)]
        errors, pairs, outputs = _compare(path, graph, reference, ran)
        trained = None
        if level != "forward":
            able = {backend: asked[backend] for backend in ran}
            steps = level == "training"
            trained = training.compare(path, job, graph, able, steps, progress)
    counts = {kind: g.num_parameters for kind, g in graphs.items()}
    expected = _Expected(graph, counts, reference, tolerance, backends is not None)
    results = tuple(
        expected.judge(registry.resolve(b), r, errors.get(b, {}), outputs.get(b, {}))
        for b, r in found.items()
    )
    return Report(
        model=graph.name,
        options=dict(graph.options),
        dtype=dtype,
        tolerance=tolerance,
        seed=seed,
        image=str(image or f"{images.default().name} (shipped)"),
        parameters=counts,
        nodes=len(graph.nodes),
        top5=expected.top5,
        results=results,
        pairs=tuple(pairs),
        training=trained,
    )


_Errors = dict[str, dict[str, float]]


def _compare(
    path: Path, graph: Graph, reference: Mapping[str, Array], ran: Sequence[str]
) -> tuple[_Errors, list[Pair], dict[str, dict[str, Array]]]:
    """Compare all values, one node at a time.

    Returns:
        Backend -> node or ``output:name`` -> error; the pairs; backend -> output name -> value.
    """
    aims = {node.name: node.name for node in graph.nodes}
    aims |= {f"output:{name}": node.name for name, node in graph.output_nodes.items()}
    files = {backend: np.load(path / f"{backend}.npz", allow_pickle=False) for backend in ran}
    errors: _Errors = {backend: {} for backend in ran}
    apart: dict[tuple[str, str], dict[str, float]] = {pair: {} for pair in combinations(ran, 2)}
    outputs: dict[str, dict[str, Array]] = {backend: {} for backend in ran}
    for key, node in aims.items():
        aim = reference[node]
        values = {b: file[key] if key in file else np.empty(0) for b, file in files.items()}
        for backend, value in values.items():
            errors[backend][key] = error(value, aim)
            if key.startswith("output:"):
                outputs[backend][key.removeprefix("output:")] = value
        for (a, b), found in apart.items():
            found[key] = error(values[a], values[b])
    for file in files.values():
        file.close()
    logits = f"output:{graph.outputs[0].name}"
    pairs = [Pair(a, b, found[logits], _worst(found)) for (a, b), found in apart.items()]
    return errors, pairs, outputs


def _worst(errors: Mapping[str, float]) -> Worst:
    node = max(errors, key=lambda name: errors[name])
    return Worst(errors[node], node.replace("output:", "output "))


class _Expected:
    """What a backend must show, and the verdict on what it showed."""

    def __init__(
        self,
        graph: Graph,
        counts: Mapping[str, int],
        reference: Mapping[str, Array],
        tolerance: float,
        asked_for: bool,
    ) -> None:
        self.graph, self.counts, self.tolerance, self.asked = graph, counts, tolerance, asked_for
        self.logits = graph.outputs[0].name
        self.shapes = {name: [1, *node.shape] for name, node in graph.output_nodes.items()}
        self.top5 = top(reference[graph.output_nodes[self.logits].name])

    def judge(
        self,
        entry: registry.Entry,
        found: dict[str, Any] | str,
        errors: Mapping[str, float],
        outputs: Mapping[str, Array],
    ) -> BackendResult:
        known: dict[str, Any] = {"backend": entry.name, "title": entry.title}
        if isinstance(found, str):
            missing = found == "not installed"
            return BackendResult(
                **known,
                versions=registry.versions(entry.packages),
                status="missing" if missing else "failed",
                problems=(found,) if self.asked or not missing else (),
            )
        worst = _worst(errors)
        problems = [
            f"{found['parameters'][kind]:,} parameters ({kind}), the graph has {count:,}"
            for kind, count in self.counts.items()
            if found["parameters"][kind] != count
        ]
        if found["output_shapes"] != self.shapes:
            problems.append(f"output {found['output_shapes']}, the graph has {self.shapes}")
        if not worst.error <= self.tolerance:
            problems.append(f"{worst.node}: error {worst.error:.1e} above {self.tolerance:.1e}")
        return BackendResult(
            **known,
            **found,
            status="compared",
            logits_error=errors[f"output:{self.logits}"],
            worst=worst,
            top5=tuple(top(outputs[self.logits])),
            problems=tuple(problems),
        )
