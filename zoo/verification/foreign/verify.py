"""Compares an ONNX model of another program with a network of a spec."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from zoo import arguments, ops
from zoo.backend import registry
from zoo.data import images
from zoo.errors import BackendError, InputError, SpecError, WeightsError, ZooError
from zoo.files import scratch
from zoo.graphs.graph import Graph
from zoo.language import graphs, options
from zoo.language.options import Chosen
from zoo.verification import tolerances
from zoo.verification.comparison import Array, error
from zoo.verification.conditioned_weights import rounding
from zoo.verification.context import Progress
from zoo.verification.foreign import interface, weights
from zoo.verification.foreign.divergence import Comparison
from zoo.verification.foreign.interface import Input
from zoo.verification.foreign.matching import Values
from zoo.verification.foreign.report import ComparedNode, ComparedOutput, FileReport
from zoo.verification.foreign.weights import Filled
from zoo.verification.stages import write_job
from zoo.verification.workers import Workers
from zoo.weights.checkpoint import reporting_damage
from zoo.weights.reading import formats, onnx_file
from zoo.weights.reading.onnx_file import Contents
from zoo.weights.reading.protobuf import mapped

#: Runs a program on its input, and returns its outputs and its values by name.
Run = Callable[[Input, Array], tuple[Mapping[str, Array], Mapping[str, Array]]]


def verify_file(
    path: str | os.PathLike[str],
    against: str | os.PathLike[str] | Graph,
    *,
    names: str | os.PathLike[str] | Mapping[str, Any] | None = None,
    weights_from: str | os.PathLike[str] | None = None,
    aux: bool = False,
    num_classes: int | None = None,
    in_channels: int | None = None,
    input_size: int | tuple[int, int] | None = None,
    image: str | Path | None = None,
    progress: Progress = lambda message: None,
) -> FileReport:
    """Verify that an ONNX file of another program computes a network, or report where it diverges.

    ONNX Runtime runs the file in a separate process, in float32. NumPy computes the network in
    float64 with the same weights on the same photograph.

    Args:
        path: The file. Values may be in other files, in the same folder only.
        against: The network: a name, the path of a YAML file, or a graph.
        names: zoo's name of a block, node or parameter -> the name of the file's arrays, with the
            rules of the tables of sources; or the path of a YAML file of them. By default, the
            names must be those of zoo or of a publisher that zoo knows.
        weights_from: A file or source of weights for the network, if those in the file cannot be
            matched by name, for example because batch norms were merged into convolutions.
        aux: Whether to include auxiliary heads, which the file then needs.
        num_classes: As for :func:`zoo.build`; by default, the number of the weights.
        in_channels: The same, by default that of the file.
        input_size: The same; needed only if the file takes any size and the network's own is not
            meant.
        image: An image file; by default, one that zoo ships.
        progress: Called with a message before each part of the work.

    Returns:
        The report; its ``passed`` tells whether the file computes the network.

    Raises:
        WeightsError: The file is damaged, or its weights cannot be matched.
        InputError: It has several inputs, is not float32, or has an input that does not fit.
        BackendError: ONNX Runtime is not installed, or cannot run the file.
    """
    file = Path(arguments.path("path", path))
    if (found := formats.format_of(file)) != "onnx":
        raise InputError(f"{file}: expected an ONNX model, got a file of the format {found}")
    with reporting_damage(file, "an ONNX model"):
        contents = onnx_file.contents(mapped(file), file.parent)
    if names is not None and weights_from is not None:
        raise InputError("names are for the file's own weights: pass either names or weights_from")
    given = interface.input_of(contents, str(file))
    requested = options.checked(aux, num_classes, in_channels, input_size)
    graph = _graph(against, given, requested, contents)
    interface.check_input(given, graph, str(file))
    table = weights.read_names(Path(names)) if isinstance(names, str | os.PathLike) else names
    progress("Reading the weights")
    if weights_from is None:
        filled = weights.from_file(contents, graph, requested, table, str(file))
    else:
        size = graph.options["input_size"] if isinstance(against, Graph) else given.size
        taken = requested._replace(
            in_channels=requested.in_channels or given.channels,
            input_size=requested.input_size or size,
        )
        filled = weights.from_elsewhere(os.fspath(weights_from), graph, taken)
    size = filled.graph.options["input_size"]
    x = images.load(image or images.default(), size, filled.graph.options["in_channels"])
    shown_image = str(image or f"{images.default().name} (shipped)")

    def run(given: Input, x: Array) -> tuple[Mapping[str, Array], Mapping[str, Array]]:
        progress("Running the file with ONNX Runtime")
        return _in_worker(file, given, x)

    x = _batch(x, given.batch)
    return compare(contents, filled, given, x, run, str(file), f"on {shown_image}", progress)


def compare(
    contents: Contents,
    filled: Filled,
    given: Input,
    x: Array,
    run: Run,
    title: str,
    image: str,
    progress: Progress = lambda message: None,
    tolerance: float | None = None,
) -> FileReport:
    """Compare a program with a network that has its weights.

    Args:
        contents: The program.
        filled: The network.
        given: The program's input.
        x: [N, C, H, W].
        run: Runs the program.
        title: What to call the program.
        image: What ``x`` is.
        progress: Called with a message before each part of the work.
        tolerance: The largest error of equal values; by default as in ``zoo verify``.

    Raises:
        InputError: The program lacks outputs, or values are not finite.
    """
    graph = filled.graph
    names, how = interface.outputs_of(contents, graph, title)
    outputs, found = run(given, given.native(x))
    progress("Computing the NumPy reference in float64")
    reference: dict[str, Array] = {"input": x.astype(np.float64)}
    with np.errstate(over="ignore", invalid="ignore"):
        reference.update(ops.steps(graph, x, filled.weights))
    if not all(np.isfinite(value).all() for value in reference.values()):
        raise InputError(
            f"{title}: with its weights, values of {graph.name} are not finite, so there is "
            "nothing to compare with"
        )
    if tolerance is None:
        inherent = rounding(graph, x, filled.weights, reference)
        factor = tolerances.ROUNDING_FACTOR * inherent if np.isfinite(inherent) else 0
        tolerance = max(tolerances.FORWARD["float32"], factor)
    progress("Comparing every node")
    values = Values(found, given.channels_last)
    matches = {n.name: values.equal_to(reference[n.name], tolerance) for n in graph.nodes}
    comparison = Comparison(
        graph, reference, contents.operations, values, matches, filled.arrays, given.name, tolerance
    )
    compared = tuple(
        _output(name, own, outputs[own], reference[graph.output_nodes[name].name], tolerance)
        for name, own in names.items()
    )
    differing = [output for output in compared if not output.error <= tolerance]
    divergence = comparison.divergence(bool(differing))
    problems = [f"they diverge at {divergence}"] if divergence else []
    if differing and not divergence:
        problems = [
            f"all nodes with a counterpart match; only the output {output.value} differs from "
            f"{output.name}: error {output.error:.1e} above {tolerance:.1e}"
            for output in differing
        ]
    nodes = tuple(
        ComparedNode(
            node.name,
            node.op,
            *((m[0].value, m[0].error) if (m := matches[node.name]) else (None, None)),
        )
        for node in graph.nodes
    )
    layout = ", channels last" * given.channels_last
    return FileReport(
        title,
        graph.name,
        {**graph.options},
        filled.origin,
        f"{given.name} {given.declared}{layout}",
        compared,
        how,
        image,
        tolerance,
        nodes,
        tuple(problems),
        tuple(_notes(compared, nodes, contents, names, graph, bool(divergence))),
    )


def _notes(
    outputs: tuple[ComparedOutput, ...],
    nodes: tuple[ComparedNode, ...],
    contents: Contents,
    names: Mapping[str, str],
    graph: Graph,
    diverges: bool,
) -> list[str]:
    notes = [
        f"The file's {output.value} is the softmax of {output.name}; it was compared as such."
        for output in outputs
        if output.softmax
    ]
    ends = {node.name for node in graph.output_nodes.values()}
    if not any(node.value for node in nodes if node.name not in ends):
        only = "." if diverges else ": only the outputs could be compared."
        notes.append(f"No inner node has an equal value{only}")
    elif missing := [node.name for node in nodes if node.value is None]:
        listed = ", ".join(missing[:4]) + ", ..." * (len(missing) > 4)
        notes.append(f"Without a value of their own in the file: {listed}")
    if others := [v.name for v in contents.outputs if v.name not in names.values()]:
        notes.append(f"Outputs of the file that were not compared: {', '.join(others[:4])}")
    return notes


def _output(
    name: str, own: str, value: Array, reference: Array, tolerance: float
) -> ComparedOutput:
    """Compare an output, as it is or as a softmax."""
    if value.size == reference.size and len(value) == len(reference):
        value = value.reshape(reference.shape)
    deviation = error(value, reference)
    if not deviation <= tolerance and reference.ndim == 2:
        exponentials = np.exp(reference - reference.max(1, keepdims=True))
        of_softmax = error(value, exponentials / exponentials.sum(1, keepdims=True))
        if of_softmax <= tolerance:
            return ComparedOutput(name, own, of_softmax, True)
    return ComparedOutput(name, own, deviation, False)


def _graph(
    against: str | os.PathLike[str] | Graph, given: Input, requested: Chosen, contents: Contents
) -> Graph:
    """Return the network for the size that the file takes, and the classes that it has."""
    if isinstance(against, Graph):
        return against
    name = os.fspath(against)
    chosen = requested._asdict()
    for option, own in (("in_channels", given.channels), ("input_size", given.size)):
        if chosen[option] is None:
            chosen[option] = own
    shape = contents.outputs[0].shape if contents.outputs else None
    if chosen["num_classes"] is None and shape and len(shape) == 2 and shape[1] is not None:
        graph = _sized(name, given, chosen, requested)
        if len(next(iter(graph.output_nodes.values())).shape) == 1:
            chosen["num_classes"] = shape[1] if graph.options["num_classes"] else None
    return _sized(name, given, chosen, requested)


def _sized(name: str, given: Input, chosen: Mapping[str, Any], requested: Chosen) -> Graph:
    """Return a network for the input of a file.

    Raises:
        InputError: It does not take such an input.
    """
    try:
        return graphs.graph(name, **chosen)
    except (SpecError, InputError) as error:
        graphs.graph(name, **requested._asdict())  # raises if the file is not the reason
        raise InputError(
            f"the file's input is {given.declared}, which {name} does not take: {error}"
        ) from None


def _batch(x: Array, count: int | None) -> Array:
    """Repeat a photograph, moved, for a file that takes a stated number of examples."""
    if count is None or count == 1:
        return x
    if count > _MAX_BATCH:
        raise InputError(
            f"the file takes {count:,} examples at once; zoo compares at most {_MAX_BATCH}"
        )
    return np.concatenate([np.roll(x, 7 * i, axis=3) for i in range(count)])


_MAX_BATCH = 64
#: A place in the source of ONNX Runtime and the signature of a function, within its messages.
_PLACE = re.compile(r"/\S+\.(?:h|cc):\d+ .*?\) (?=[A-Z])")


def reason_of(message: str) -> str:
    """Return what ONNX Runtime says, without where in its source it says so.

    Example:
        >>> reason_of("Fail: /src/utils.h:46 void check(const std::map<int, int>&) Opset 99 is new")
        'Fail: Opset 99 is new'
    """
    return _PLACE.sub("", message.strip().partition("\n")[0])[:300]


#: Errors of zoo's own that a worker may report, by their names.
_ERRORS: Mapping[str, type[ZooError]] = {
    error.__name__: error for error in (BackendError, InputError, WeightsError)
}


def _in_worker(file: Path, given: Input, x: Array) -> tuple[dict[str, Array], dict[str, Array]]:
    """Run a file in a process of its own, which a hostile one may bring down."""
    entry = registry.resolve("onnx")
    if not registry.is_installed(entry):
        registry.load("onnx")  # raises, and says how to install it
    with scratch(tempfile.gettempdir(), "zoo-verify-", mode=0o700) as folder, Workers() as workers:
        np.save(folder / "input.npy", x)
        write_job(folder, file=str(file.resolve()), input=given.name)
        answer = workers.work(folder, entry, "onnx", "foreign")
        if isinstance(answer, str):
            kind, _, reason = answer.partition(": ")
            if kind in _ERRORS:
                raise _ERRORS[kind](reason.replace(str(file.resolve()), str(file)))
            raise BackendError(f"{file}: ONNX Runtime cannot run it: {reason_of(answer)}")
        with np.load(folder / "values.npz", allow_pickle=False) as arrays:
            outputs = {n: arrays[f"output{i}"] for i, n in enumerate(answer["outputs"])}
            values = {n: arrays[f"value{i}"] for i, n in enumerate(answer["values"])}
    return outputs, values
