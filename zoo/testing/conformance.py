"""Checks that a backend does everything that zoo requires of backends.

    python -m zoo.testing.conformance PACKAGE

``PACKAGE`` is a package with a ``DESCRIPTION``; see :mod:`zoo.backend.registry`. A missing
capability is not a failure if the backend raises a ``BackendError``. The exit status is 0 if all
checks pass, 1 if any fails, and 2 if there is no such backend.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import zoo
from zoo import ops
from zoo.backend import registry
from zoo.backend.base import Backend
from zoo.errors import BackendError, InputError, WeightsError, ZooError
from zoo.graphs.graph import Graph
from zoo.verification import tolerances
from zoo.verification.comparison import error
from zoo.verification.conditioned_weights import conditioned

TOLERANCE = tolerances.FORWARD["float64"]

#: Networks that together contain every operation, at small sizes.
NETWORKS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("lenet5", {}),
    ("googlenet", {"input_size": 64, "num_classes": 10}),
    ("vgg9", {"input_size": 32, "num_classes": 10}),
    ("alexnet", {"input_size": 64, "num_classes": 10}),
    ("resnet20", {}),
    ("mobilenet_v2", {"input_size": 64, "num_classes": 10}),
    ("densenet121", {"input_size": 64, "num_classes": 10}),
    ("mobilenet_v3_small", {"input_size": 64, "num_classes": 10}),
    ("shufflenet_v2_x0_5", {"input_size": 64, "num_classes": 10}),
    ("convnext_tiny", {"input_size": 64, "num_classes": 10}),
    ("efficientnet_b0", {"input_size": 64, "num_classes": 10}),
)

USAGE = "python -m zoo.testing.conformance PACKAGE"

PASSED, LACKING, FAILED = "passed", "not supported", "failed"


@dataclass(frozen=True)
class Result:
    """The result of checking one claim.

    Attributes:
        claim: What a backend must do, in words.
        status: ``passed``, ``not supported`` (it raises a ``BackendError``) or ``failed``.
        note: A remark, such as the largest error or the reason of a failure.
    """

    claim: str
    status: str
    note: str = ""


def check(package: str) -> Iterator[Result]:
    """Check a backend.

    Args:
        package: A package with a ``DESCRIPTION``.

    Yields:
        A result for each claim.

    Raises:
        BackendError: There is no such backend, or its framework is not installed.
    """
    description = registry.register(package)
    if not registry.is_installed(description):
        raise BackendError(f"{description.title} is not installed")
    name, backend = description.name, registry.load(description.name)
    for claim, test in _CLAIMS.items():
        yield _run(claim, partial(test, name))
    for network, options in NETWORKS:
        claim = f"{network}: every node is within {TOLERANCE:g} of the NumPy reference in float64"
        yield _run(claim, partial(_compare, name, backend, network, options))
    yield _run(
        "every operation is supported, or raises an error that names it",
        partial(_operations, backend),
    )
    yield _run("gradients agree with finite differences", partial(_gradients, name, backend))


def _run(claim: str, test: Callable[[], str | None]) -> Result:
    try:
        note = test()
    except BackendError as refusal:
        return Result(claim, LACKING, str(refusal))
    except Exception as failure:  # a backend may raise anything
        return Result(claim, FAILED, f"{type(failure).__name__}: {failure}"[:300])
    return Result(claim, PASSED, note or "")


def _small(backend: str, **options: Any) -> Any:
    return zoo.build("lenet5_modern", backend, **options)


def _initial_weights(backend: str) -> None:
    model = _small(backend, seed=3)
    from zoo.weights import initial

    graph = zoo.graph_of(model)
    draw = initial.drawing(graph, 3)
    weights = zoo.get_weights(model)
    _require(list(weights) == [p.name for p in graph.parameters], "names in the graph's order")
    for parameter in graph.parameters:
        same = np.array_equal(weights[parameter.name], draw(parameter))
        _require(same, f"{parameter.name} bit for bit as it was drawn")


def _round_trip(backend: str) -> None:
    model, copy = _small(backend, seed=1), _small(backend, seed=2)
    weights = zoo.get_weights(model)
    zoo.set_weights(copy, weights)
    for name, value in zoo.get_weights(copy).items():
        _require(np.array_equal(value, weights[name]), f"{name} bit for bit as it was set")
    name, value = next(iter(weights.items()))
    value += 1
    changed = np.array_equal(zoo.get_weights(model)[name], value)
    _require(not changed, "get_weights to return copies")


def _strict(backend: str) -> None:
    model = _small(backend)
    weights = zoo.get_weights(model)
    name = next(iter(weights))
    for invalid in (
        {k: v for k, v in weights.items() if k != name},
        {**weights, "unknown": weights[name]},
        {**weights, name: weights[name][..., :1]},
    ):
        try:
            zoo.set_weights(model, invalid)
        except WeightsError:
            continue
        _require(False, "weights that do not fit to be rejected")


def _predicts(backend: str) -> None:
    model = _small(backend)
    x = np.random.default_rng(0).random((2, *zoo.graph_of(model).input_shape), np.float32)
    outputs = zoo.predict(model, x)
    assert isinstance(outputs, np.ndarray), "expected an array of logits"
    _require(outputs.shape == (2, 10), "logits [2, 10]")
    repeated = zoo.predict(model, x)
    same = isinstance(repeated, np.ndarray) and np.array_equal(repeated, outputs)
    _require(same, "the same outputs from a second call")
    try:
        zoo.predict(model, x[:, :, 1:])
    except InputError:
        return
    _require(False, "an input of another size to be rejected")


def _several_outputs(backend: str) -> None:
    model = zoo.build("googlenet", backend, aux=True, num_classes=4)
    shape = zoo.graph_of(model).input_shape
    outputs = zoo.predict(model, np.zeros((1, *shape), np.float32))
    _require(list(outputs) == ["logits", "aux1", "aux2"], "a dict of logits, aux1, aux2, in order")


def _saves(backend: str) -> None:
    model = _small(backend, seed=1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        zoo.save(model, path)
        loaded = zoo.get_weights(zoo.load(path, backend))
    for name, value in zoo.get_weights(model).items():
        _require(np.array_equal(loaded[name], value), f"{name} bit for bit as it was saved")


_CLAIMS: dict[str, Callable[[str], str | None]] = {
    "initial weights equal zoo's, bit for bit": _initial_weights,
    "get_weights returns what set_weights set, bit for bit": _round_trip,
    "set_weights rejects weights that do not fit": _strict,
    "predict takes NCHW inputs, and rejects other sizes": _predicts,
    "several outputs are returned as a dict, in order": _several_outputs,
    "models can be saved and loaded": _saves,
}


def _compare(name: str, backend: Backend, network: str, options: dict[str, Any]) -> str:
    graph = zoo.graph(network, **options)
    x = np.random.default_rng(0).random((2, *graph.input_shape), np.float32)
    weights, reference = conditioned(graph, x)
    model = zoo.build(network, name, **options, dtype="float64")
    zoo.set_weights(model, weights)
    values = zoo.features(model, x, [node.name for node in graph.nodes])
    errors = {node: error(values[node], reference[node]) for node in values}
    worst = max(errors, key=lambda node: errors[node])
    _require(errors[worst] <= TOLERANCE, f"{worst} within {TOLERANCE:g}, got {errors[worst]:.1e}")
    return f"largest error {errors[worst]:.1e}, at {worst}"


def _operations(backend: Backend) -> str:
    """Look up each operation in the backend's table, if it has one."""
    table = getattr(backend, "operations", None)
    if table is None:
        return "the backend has no table of operations"
    refused = [
        name
        for name, op in ops.OPS.items()
        if name not in table and not issubclass(op, ops.Composite)
    ]
    return f"not supported: {', '.join(refused)}" if refused else ""


def _gradients(name: str, backend: Backend) -> str:
    graph = zoo.graph("lenet5_modern")
    generator = np.random.default_rng(0)
    x = generator.random((2, *graph.input_shape))
    labels = np.array([1, 4])
    model = zoo.build("lenet5_modern", name, dtype="float64")
    weights = zoo.get_weights(model)
    loss, gradients, input_gradient = backend.gradients(model, x, labels)
    direction = {key: generator.standard_normal(weights[key].shape) for key in gradients}
    slope = sum(float((gradients[key] * direction[key]).sum()) for key in gradients)

    def shifted_loss(step: float) -> float:
        shifted = {key: weights[key] + step * direction[key] for key in direction}
        return _loss(graph, x, {**weights, **shifted}, labels)

    step = 1e-6
    quotient = (shifted_loss(step) - shifted_loss(-step)) / (2 * step)
    deviation = abs(slope - quotient) / abs(quotient)
    expected_loss = _loss(graph, x, weights, labels)
    most = tolerances.GRADIENTS["float64"] * abs(loss)
    _require(abs(loss - expected_loss) <= most, f"a loss of {expected_loss:.6g}")
    _require(input_gradient.shape == x.shape, f"a gradient of the input {list(x.shape)}")
    _require(
        deviation <= tolerances.DERIVATIVE,
        f"the directional derivative within {tolerances.DERIVATIVE:g}, got {deviation:.1e}",
    )
    return f"relative error {deviation:.1e}"


def _loss(graph: Graph, x: Any, weights: Any, labels: Any) -> float:
    """The cross-entropy computed by the NumPy reference in float64."""
    (logits,) = ops.run(graph, x, weights).values()
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_softmax = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return float(-log_softmax[np.arange(len(labels)), labels].mean())


def _require(holds: bool, expected: str) -> None:
    if not holds:
        raise AssertionError(f"expected {expected}")


def main(arguments: list[str]) -> int:
    """Check the backend of a package, print the results, and return the exit status."""
    if arguments and arguments[0] in ("-h", "--help"):
        print(f"Usage: {USAGE}\n\n{__doc__}")
        return 0
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print(f"error: expected one package. Usage: {USAGE}", file=sys.stderr)
        return 2
    os.environ.setdefault("JAX_ENABLE_X64", "1")  # or JAX would compute in float32
    failed = 0
    try:
        for result in check(arguments[0]):
            failed += result.status == FAILED
            note = f"  ({result.note})" if result.note else ""
            print(f"{result.status:13}  {result.claim}{note}", flush=True)
    except ZooError as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2
    print(f"{failed} check{'s' * (failed != 1)} failed" if failed else "all checks passed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
