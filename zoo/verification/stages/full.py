"""Runs a model in its other forms, in lower precision, and with the framework's own optimizers.

Of job.json, input.npy, weights.npz, batch*.npz and reference.npz, the reference's outputs, it makes
a list of what :class:`zoo.verification.results.Check` holds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from zoo.training import rules
from zoo.verification.comparison import error
from zoo.verification.stages import job_of
from zoo.verification.stages.training import Array, Batches, Trainer, given

PRECISIONS = ("float32", "bfloat16", "float16")


def run(folder: Path, name: str, asked: str) -> dict[str, Any]:
    """Do the job."""
    import zoo
    from zoo.backend import registry

    job = job_of(folder)
    backend = registry.load(asked)
    x = np.load(folder / "input.npy")
    with np.load(folder / "weights.npz", allow_pickle=False) as file:
        weights = dict(file)
    with np.load(folder / "reference.npz", allow_pickle=False) as file:
        reference = dict(file)

    def build(dtype: str) -> Any:
        model = zoo.build(job["model"], name, **job["options"], seed=job["seed"], dtype=dtype)
        zoo.set_weights(model, weights)
        return model

    model = build("float64")
    found = _forms(backend, model, x, reference)
    nodes = [node.name for node in zoo.graph_of(model).nodes]
    own = zoo.features(model, x, nodes)
    for dtype in PRECISIONS:
        try:
            values = zoo.features(build(dtype), x, nodes)
        except Exception as failure:  # a kernel that the framework has not
            found.append({"kind": "precision", "what": dtype, **_lacking(failure, name, dtype)})
            continue
        errors = {node: error(values[node], own[node]) for node in nodes}
        node = max(errors, key=lambda name: errors[name])
        found.append({"kind": "precision", "what": dtype, "error": errors[node], "node": node})
    graph = zoo.graph(job["model"], **job["options"]).without_dropout()
    trainer = Trainer(backend, graph, job["seed"], "float64")
    for rule, rate in job["rates"].items():
        found += _optimizer(trainer, rule, rate, given(folder))
    return {"checks": found}


def _forms(
    backend: Any, model: Any, x: Array, reference: Mapping[str, Array]
) -> list[dict[str, Any]]:
    found = []
    for form, function in backend.forms(model).items():
        try:
            result = function(x)
        except Exception as failure:  # a form that cannot be made here, as without a compiler
            found.append({"kind": "form", "what": form, "note": _word(failure)})
            continue
        outputs = result if isinstance(result, dict) else {next(iter(reference)): result}
        errors = {f"output {key}": error(outputs[key], aim) for key, aim in reference.items()}
        node = max(errors, key=lambda name: errors[name])
        found.append({"kind": "form", "what": form, "error": errors[node], "node": node})
    return found


def _optimizer(trainer: Trainer, rule: str, rate: float, batches: Batches) -> list[dict[str, Any]]:
    """How far the framework's own optimizer is from the rule, after one step and after all."""
    trained = [parameter.name for parameter in trainer.graph.parameters if parameter.trainable]
    found = []
    for steps in (1, len(batches)):
        _, _, aim = trainer.train(rule, rate, batches[:steps])
        trainer.backend.set_weights(trainer.model, trainer.start)
        step = trainer.backend.optimizing(trainer.model, rule, {"lr": rate, **rules.SETTINGS[rule]})
        for batch in batches[:steps]:
            step(*batch)
        mine = trainer.backend.get_weights(trainer.model)
        # Over how far training has moved them: over the weights themselves it would look small.
        moved = max(float(np.abs(aim[key] - trainer.start[key]).max()) for key in trained)
        errors = {key: float(np.abs(mine[key] - aim[key]).max()) / moved for key in trained}
        node = max(errors, key=lambda name: errors[name])
        what = f"{rule}, {steps} step{'s' * (steps > 1)}"
        found.append({"kind": "optimizer", "what": what, "error": errors[node], "node": node})
    return found


#: how frameworks say that they have no kernel, with its name
_NO_KERNEL = re.compile(r"kernel `(\w+)` is not registered|\"(\w+)\" not implemented for")


def _lacking(failure: Exception, backend: str, dtype: str) -> dict[str, str]:
    """Why a network does not run in a dtype, in plain words where they are known."""
    from zoo.backend import registry

    said = _word(failure)
    kernel = _NO_KERNEL.search(str(failure))
    if not kernel:
        return {"note": said}
    title, operation = registry.resolve(backend).title, kernel[1] or kernel[2]
    return {
        "note": f"{title} has no {dtype} kernel for the operation {operation} on this machine",
        "detail": said,
    }


def _word(failure: Exception) -> str:
    """The line of an error that says most, shortened."""
    lines = [line.strip() for line in str(failure).splitlines() if line.strip()]
    telling = [line for line in lines if "rror" in line or "not" in line]
    return f"{type(failure).__name__}: {(telling or lines or [''])[0][:200]}"
