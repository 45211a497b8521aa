"""``zoo.export``: writes a model as a program for an engine, and compares the two."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo import arguments
from zoo.api.networks import network_and_weights
from zoo.backend import registry
from zoo.backend.base import Array, Outputs
from zoo.backend.programs import Program, Run
from zoo.backend.unwrapping import find
from zoo.errors import BackendError, InputError, ZooError
from zoo.exporting import places
from zoo.exporting.comparison import Difference, compare
from zoo.exporting.targets import Target
from zoo.exporting.wrapping import preprocessed, with_probabilities
from zoo.files import replacing_all
from zoo.graphs.graph import Graph
from zoo.graphs.nodes import Parameter
from zoo.language.graphs import with_options
from zoo.weights.checking import widest


class DifferenceError(BackendError):
    """A program differs from its model, and was not kept."""


@dataclass(frozen=True)
class Exported:
    """What :func:`zoo.export` wrote.

    Attributes:
        path: The file or folder.
        target: What that is.
        graph: The network in it, with what was put before and behind it.
        input_shape: Of its input, None where it is free: [N, C, H, W] or [N, H, W, C].
        outputs: The names of its outputs.
        error: The largest error of any output; None if not compared.
        tolerance: The largest error that is allowed.
        reference: What it was compared with: the model in its framework; or, if that is an ONNX
            model, as the file is, NumPy in float64.
    """

    path: Path
    target: Target
    graph: Graph
    input_shape: tuple[int | None, ...]
    outputs: tuple[str, ...]
    error: float | None = None
    tolerance: float | None = None
    reference: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data, with the name of the model instead of its graph."""
        return {
            "model": self.graph.name,
            "path": str(self.path),
            "to": self.target.name,
            "input_shape": list(self.input_shape),
            "outputs": list(self.outputs),
            "engine": self.target.engine,
            "error": self.error,
            "tolerance": self.tolerance,
            "reference": self.reference,
        }

    def __str__(self) -> str:
        text = f"{self.graph.name} in {self.path}, {self.target.title}"
        if self.error is None:
            return f"{text}: not compared with the model"
        return (
            f"{text}: in {self.target.engine} it differs from {self.reference} by "
            f"{self.error:.1e} "
            f"(tolerance {self.tolerance:.1e})"
        )


def export(
    model: Any,
    path: str | os.PathLike[str],
    *,
    to: str | None = None,
    preprocess: bool = False,
    softmax: bool = False,
    aux: bool = False,
    opset: int | None = None,
    check: bool = True,
    progress: Callable[[str], None] = lambda message: None,
) -> Exported:
    """Write a model as a program that runs without zoo, and compare it with the model.

    The program takes a batch of any size, of images of the size that the model was built for. It is
    loaded again in its own engine, run on a photograph, and compared with the model in its
    framework (if the model and the program are both ONNX, with NumPy in float64). If it differs, it
    is removed. A file or folder that was there before is replaced only at the end, and so is what
    belongs to it: ``.bin`` beside OpenVINO's ``.xml``, for example.

    Args:
        model: A model that zoo built, in any framework, or a wrapper around one. It is not changed.
            If the target is another framework's, its network is built there with its weights.
        path: The file or folder to write.
        to: ``onnx``, ``openvino``, ``torch``, ``savedmodel``, ``litert``, ``paddle`` or ``jax``; by
            default what the suffix of the path selects: ``.onnx``, ``.xml``, ``.pt2``, ``.tflite``
            or ``.jaxexport``. ``savedmodel`` and ``paddle`` are folders.
        preprocess: Whether the program takes pixels, RGB from 0 to 255 (luminance if the network
            has one channel): their scale, mean, standard deviation and order become its first
            layers. Resizing and cropping are left to the caller; see :func:`zoo.preprocess`.
        softmax: Whether the program returns probabilities instead of logits; the first output is
            then called ``probabilities``.
        aux: Whether the program has the auxiliary heads of a model that was built with them. Its
            outputs are ``logits``, ``aux1`` and ``aux2``, in this order.
        opset: The version of ONNX's operations in an ONNX file, 18 or later. By default that of the
            model, if it is an ONNX model, or else 21 (22 in bfloat16).
        check: Whether to compare it with the model.
        progress: Called with a message before each part of the work.

    Returns:
        What was written, and by how much it differs. Its text is a one-line summary.

    Raises:
        UnknownNameError: There is no target of that name.
        InputError: The path does not say what to write, or cannot be written to, or holds what zoo
            did not write; or an option has an invalid value, or does not fit the model.
        BackendError: A package is missing; the model was not built by zoo; the target cannot
            express its network; or the program differs from it by more than ``zoo verify`` allows.
        WeightsError: A layer was replaced, so that the model is no longer that network.

    Example:
        >>> import tempfile, zoo
        >>> model = zoo.build("lenet5", "torch")
        >>> exported = zoo.export(model, tempfile.mkdtemp() + "/lenet5.pt2", softmax=True)
        >>> exported.outputs, exported.error < exported.tolerance
        (('probabilities',), True)
    """
    if not callable(progress):
        raise arguments.wrong("progress", "a function that takes a message", progress)
    preprocess, softmax = (
        arguments.flag("preprocess", preprocess),
        arguments.flag("softmax", softmax),
    )
    aux, check = arguments.flag("aux", aux), arguments.flag("check", check)
    place, target = places.check(path, to)
    network, values = network_and_weights(model)
    dtype = widest(array.dtype.name for array in values.values())
    if dtype not in target.dtypes:
        raise InputError(
            f"{target.title} is written from a model of {' or '.join(target.dtypes)}, and this "
            f"{network.name} is {dtype}; build it with dtype={target.dtypes[0]!r}, and copy the "
            "weights over: zoo.set_weights(new, zoo.get_weights(old))"
        )
    network = _with_heads(network, aux)
    whole = network
    if preprocess:
        whole, added = preprocessed(whole)
        values |= added
    if softmax:
        whole = with_probabilities(whole)
    program = target.program(check)
    program.set_opset(opset, find(model)[1])
    backend, names = registry.load(target.backend), tuple(whole.output_nodes)

    def fill(parameter: Parameter) -> Array:
        return values.pop(parameter.name).astype(dtype, copy=False)

    difference: Difference | None = None
    with _replacing(place) as part:
        progress(f"Writing {place}")
        with _expressed(network, target):
            program.write(program.build(backend, whole, fill, dtype), part)
        if check:
            progress(f"Comparing {place} with the model, in {target.engine}")
            run = _runner(program, part, place, target, names)
            same = target.name == find(model)[0].description.name == "onnx"
            difference = compare(
                model, network, whole, run, dtype, backend.channels_last, by_definition=same
            )
            if not difference.error <= difference.tolerance:
                raise DifferenceError(
                    f"{place}: in {target.engine} it differs from {difference.reference} by "
                    f"{difference.error:.1e} (tolerance {difference.tolerance:.1e}), so it was not "
                    "kept; pass check=False to keep it"
                )
    channels, *size = whole.input_shape
    shape = (None, *size, channels) if backend.channels_last else (None, channels, *size)
    return Exported(place, target, whole, shape, names, *(difference or ()))


def _with_heads(network: Graph, aux: bool) -> Graph:
    """Return the network with its auxiliary heads, or without."""
    if not aux:
        return with_options(network, aux=False) if network.options["aux"] else network
    if not network.options["aux"]:
        state = "was built without" if network.omitted else "has no"
        hint = "build it with" if network.omitted else "export it without"
        raise InputError(f"this {network.name} {state} auxiliary heads; {hint} aux=True")
    return network


@contextmanager
def _replacing(place: Path) -> Iterator[Path]:
    """Yield a path that replaces a place at the end.

    Raises:
        InputError: It cannot be written to.
    """
    try:
        with replacing_all(place) as part:
            yield part
    except OSError as error:
        raise InputError(f"{place}: cannot be written: {error.strerror or error}") from None


@contextmanager
def _expressed(network: Graph, target: Target) -> Iterator[None]:
    """Say what to do where a target cannot express a network.

    Raises:
        BackendError: It cannot.
    """
    try:
        yield
    except BackendError as error:
        raise BackendError(f"{error}{_hint(target)}") from error
    except (ZooError, OSError, MemoryError):
        raise
    except Exception as error:  # a framework may raise anything
        writer = target.written_by.replace("`", "")
        raise BackendError(
            f"{writer} cannot write this {network.name}: {_reason(error)}{_hint(target)}"
        ) from error


def _runner(program: Program, part: Path, place: Path, target: Target, names: Iterable[str]) -> Run:
    """Load a program; return a function that runs it."""
    with _running(place, target):
        read = program.read(part)

    def run(x: Array) -> Outputs:
        with _running(place, target):
            outputs = read(x)
        if program.ordered or not isinstance(outputs, Mapping):
            return outputs
        return {name: outputs[name] for name in names if name in outputs}

    return run


@contextmanager
def _running(place: Path, target: Target) -> Iterator[None]:
    """Say which program cannot be run.

    Raises:
        BackendError: Its engine raised something.
    """
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:  # an engine may raise anything
        reason = f"{target.engine} cannot run it: {_reason(error)}"
        raise BackendError(f"{place}: {reason}{_hint(target)}") from error


def _hint(target: Target) -> str:
    return "" if target.name == "onnx" else ". ONNX can: choose a name that ends in .onnx"


def _reason(error: Exception) -> str:
    """Return the first line of what a framework says."""
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:300]}"
