"""Runs a model in other execution modes, in lower precision, and with the framework's optimizers.

Reads job.json, input.npy, weights.npz, batch*.npz and reference.npz, the reference outputs.
Returns the fields of :class:`zoo.verification.results.Check`. An exception is a failed check,
unless the backend declares a limit that explains it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from zoo.training import rules
from zoo.verification.comparison import error, worst
from zoo.verification.known_limitations import form_limit, precision_limit
from zoo.verification.stages import build, read_job
from zoo.verification.stages.training import Array, Batches, Trainer, read_batches

PRECISIONS = ("float32", "bfloat16", "float16")

Checks = list[dict[str, Any]]


def run(folder: Path, name: str, requested: str) -> dict[str, Any]:
    """Run the job."""
    import zoo
    from zoo.backend import registry

    job = read_job(folder)
    backend: Any = registry.load(requested)
    x = np.load(folder / "input.npy")
    with np.load(folder / "weights.npz", allow_pickle=False) as file:
        weights = dict(file)
    with np.load(folder / "reference.npz", allow_pickle=False) as file:
        reference = dict(file)

    def build_model(dtype: str) -> Any:
        model = build(backend, job["graph"], dtype, job["seed"])
        zoo.set_weights(model, weights)
        return model

    model = build_model("float64")
    checks = _forms(backend, name, model, x, reference)
    nodes = [node.name for node in zoo.graph_of(model).nodes]
    float64_values = zoo.features(model, x, nodes)
    for dtype in PRECISIONS:
        check: dict[str, Any] = {"kind": "precision", "what": dtype}
        try:
            values = zoo.features(build_model(dtype), x, nodes)
        except Exception as failure:  # a framework may raise anything
            check |= _without_kernel(failure, name, dtype, precision_limit(name, dtype))
        else:
            errors = {node: error(values[node], float64_values[node]) for node in nodes}
            check |= _largest(errors)
        checks.append(check)
    trainer = Trainer(backend, job["graph"].without_dropout(), job["seed"], "float64")
    batches = read_batches(folder)
    for rule, rate in job["rates"].items():
        for steps in (1, len(batches)):
            description = f"{rule}, {steps} step{'s' * (steps > 1)}"
            check = {"kind": "optimizer", "what": description}
            try:
                check |= _largest(_optimizer(trainer, rule, rate, batches[:steps]))
            except Exception as failure:  # a framework may raise anything
                check |= {"note": summary(failure)}
            checks.append(check)
    return {"checks": checks}


def _forms(backend: Any, name: str, model: Any, x: Array, reference: Mapping[str, Array]) -> Checks:
    checks = []
    for form, function in backend.forms(model).items():
        check: dict[str, Any] = {"kind": "form", "what": form}
        try:
            result = function(x)
        except Exception as failure:  # a framework may raise anything
            check |= _explained(failure, form_limit(name, form))
        else:
            outputs = result if isinstance(result, dict) else {next(iter(reference)): result}
            check |= _largest(
                {f"output {key}": error(outputs[key], value) for key, value in reference.items()}
            )
        checks.append(check)
    return checks


def _optimizer(trainer: Trainer, rule: str, rate: float, batches: Batches) -> dict[str, float]:
    """Compare weights trained by the framework's own optimizer with those of the rule."""
    _, _, expected = trainer.train(rule, rate, batches)
    trainer.backend.set_weights(trainer.model, trainer.start)
    step = trainer.backend.optimizing(trainer.model, rule, {"lr": rate, **rules.SETTINGS[rule]})
    for batch in batches:
        step(*batch)
    weights = trainer.backend.get_weights(trainer.model)
    trained = [parameter.name for parameter in trainer.graph.parameters if parameter.trainable]
    # Relative to the change in training; relative to the weights, any difference would look small.
    change = max(float(np.abs(expected[key] - trainer.start[key]).max()) for key in trained)
    return {key: float(np.abs(weights[key] - expected[key]).max()) / change for key in trained}


def _largest(errors: Mapping[str, float]) -> dict[str, Any]:
    largest = worst(errors)
    return {"error": largest.error, "node": largest.node}


#: How frameworks report a missing kernel, with its name.
_NO_KERNEL = re.compile(r"kernel `(\w+)` is not registered|\"(\w+)\" not implemented for")


def _without_kernel(failure: Exception, backend: str, dtype: str, limit: str) -> dict[str, str]:
    """Report an exception like :func:`_explained`, but name the missing kernel if possible."""
    from zoo.backend import registry

    kernel = _NO_KERNEL.search(str(failure))
    if not kernel:
        return _explained(failure, limit)
    title, operation = registry.resolve(backend).title, kernel[1] or kernel[2]
    reason = f"{title} has no {dtype} kernel for the operation {operation} on this machine"
    return {"note": reason, "detail": summary(failure), "limit": limit}


def _explained(failure: Exception, limit: str) -> dict[str, str]:
    """Report an exception: as a declared limit if there is one, otherwise as a failure."""
    if limit:
        return {"note": limit, "detail": summary(failure), "limit": limit}
    return {"note": summary(failure)}


def summary(failure: Exception) -> str:
    """Return the type of an error and the most informative line of its message, shortened."""
    lines = [line.strip() for line in str(failure).splitlines() if line.strip()]
    informative = [line for line in lines if "rror" in line or "not" in line]
    return f"{type(failure).__name__}: {(informative or lines or [''])[0][:200]}"
