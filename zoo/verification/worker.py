"""Builds and runs one backend in this process; started by ``verify`` with a job's folder.

    python -m zoo.verification.worker FOLDER BACKEND NAME STAGE

NAME is what the caller called the backend, an alias perhaps. The folder holds a job, and takes what
the worker finds:

- forward: of job.json, input.npy and weights.npz, BACKEND.forward.json and BACKEND.npz, a value for
  every node;
- training: of training.json and batch*.npz, BACKEND.training.json, BACKEND.gradients.npz, and
  BACKEND.RULE.npz, weights and statistics after the last step.

Being a process of its own, a crash is a row in the report; and it may set what a library must not,
such as JAX's x64 flag.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from zoo.verification import rules

RUNS = 5


def main(folder: str, name: str, asked: str, stage: str) -> None:
    """Do the job of one backend."""
    path = Path(folder)
    result = {"forward": forward, "training": training}[stage](path, name, asked)
    (path / f"{name}.{stage}.json").write_text(json.dumps(result))


def forward(path: Path, name: str, asked: str) -> dict[str, Any]:
    """Build, count, run and time one backend."""
    job = json.loads((path / "job.json").read_text())
    if job["dtype"] == "float64":
        os.environ["JAX_ENABLE_X64"] = "1"  # or JAX would compute in float32
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import zoo
    from zoo import backends

    backend, loading = _timed(lambda: backends.load(asked))
    options = {**job["options"], "input_size": tuple(job["options"]["input_size"])}
    model, building = _timed(
        lambda: zoo.build(job["model"], name, **options, seed=job["seed"], dtype=job["dtype"])
    )
    parameters = {"aux" if options["aux"] else "plain": backend.count_parameters(model)}
    x = np.load(path / "input.npy")
    with np.load(path / "weights.npz", allow_pickle=False) as weights:
        zoo.set_weights(model, weights)
    outputs, first = _timed(lambda: zoo.predict(model, x))
    runs = [_timed(lambda: zoo.predict(model, x))[1] for _ in range(RUNS)]
    graph = zoo.graph_of(model)
    values = zoo.features(model, x, [node.name for node in graph.nodes])
    # What predict returns may come by another road than features: both are held to the reference.
    named = outputs if isinstance(outputs, dict) else {graph.outputs[0].name: outputs}
    arrays: dict[str, Any] = {**values, **{f"output:{key}": v for key, v in named.items()}}
    np.savez(path / f"{name}.npz", **arrays)
    memory = _peak_memory()
    if job["has_aux"]:
        other = {**options, "aux": not options["aux"]}
        second = zoo.build(job["model"], name, **other, seed=job["seed"], dtype=job["dtype"])
        parameters["aux" if other["aux"] else "plain"] = backend.count_parameters(second)
    engine = getattr(backend, "engine", None)  # Keras runs on one of several
    packages = backends.resolve(name).packages
    return {
        "versions": backends.versions([packages[0], engine()] if engine else packages),
        "parameters": parameters,
        "output_shapes": {key: list(value.shape) for key, value in named.items()},
        "import_s": loading,
        "build_s": building,
        "first_run_s": first,
        "run_s": statistics.median(runs),
        "peak_memory_mib": memory,
    }


def training(path: Path, name: str, asked: str) -> dict[str, Any]:
    """Differentiate the training loss, and train by each rule."""
    job = json.loads((path / "training.json").read_text())
    os.environ["JAX_ENABLE_X64"] = "1"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import zoo
    from zoo import backends

    start = time.perf_counter()
    backend = backends.load(asked)
    options = {**job["options"], "input_size": tuple(job["options"]["input_size"])}
    graph = zoo.graph(job["model"], **options).without_dropout()
    batches = []
    for i in range(rules.STEPS):
        with np.load(path / f"batch{i}.npz", allow_pickle=False) as file:
            batches.append((file["x"], file["labels"]))
    trainer = _Trainer(backend, graph, job["seed"], "float64")
    loss, gradients, of_input = trainer.differentiate(*batches[0])
    np.savez(path / f"{name}.gradients.npz", **dict[str, Any](gradients), input=of_input)
    losses, drift = {}, []
    rates = job["rates"] or {rule: trainer.rate(rule, batches) for rule in job["rules"]}
    for rule, rate in rates.items():
        losses[rule], samples, weights = trainer.train(rule, rate, batches)
        np.savez(path / f"{name}.{rule}.npz", **dict[str, Any](weights))
        if rule == job["rules"][0]:
            single = _Trainer(backend, graph, job["seed"], "float32")
            _, rounded, _ = single.train(rule, rate, batches)
            largest = np.abs(samples).max(axis=1)
            drift = (np.abs(rounded - samples).max(axis=1) / largest).tolist()
    seconds = time.perf_counter() - start
    return {"loss": loss, "losses": losses, "drift": drift, "seconds": seconds, "rates": rates}


class _Trainer:
    """A model that is trained by a rule of NumPy's, from the same start each time."""

    SAMPLE = 64  # values of each array that are kept of every step
    NUDGE = 1e-12  # by which weights are changed to see what becomes of it
    GROWTH = 1e3  # that a change may have come to after the last step

    def __init__(self, backend: Any, graph: Any, seed: int, dtype: str) -> None:
        from zoo import initial

        self.backend = backend
        draw = initial.drawing(graph, seed, dtype=dtype)
        self.model = backend.build(graph, draw, dtype, seed)
        self.start = backend.get_weights(self.model)

    def differentiate(self, x: Any, labels: Any) -> Any:
        return self.backend.gradients(self.model, x, labels)

    def rate(self, name: str, batches: Any) -> float:
        """Find the largest learning rate at which training does not blow rounding up.

        Where it does, as in deep networks of batch norms at the usual rates, two correct
        frameworks part like one framework from itself when a weight is changed by 1e-12.
        """
        generator = np.random.default_rng(0)
        usual = self.start
        nudged = {
            key: value * (1 + self.NUDGE * generator.standard_normal(value.shape))
            for key, value in usual.items()
        }
        for rate in rules.RATES[name]:
            _, _, weights = self.train(name, rate, batches)
            self.start = nudged
            _, _, others = self.train(name, rate, batches)
            self.start = usual
            largest = max(np.abs(value).max() for value in weights.values())
            apart = max(np.abs(others[key] - value).max() for key, value in weights.items())
            if apart <= self.GROWTH * self.NUDGE * largest:
                break
        return rate

    def train(
        self, name: str, rate: float, batches: Any
    ) -> tuple[list[float], Any, dict[str, Any]]:
        """Take a step on each batch; returns losses, a sample of each step's weights, the last."""
        rule, losses, samples = rules.RULES[name](rate), [], []
        weights = {key: value.copy() for key, value in self.start.items()}
        self.backend.set_weights(self.model, weights)
        for number, batch in enumerate(batches, 1):
            loss, gradients, _ = self.differentiate(*batch)
            moved = self.backend.get_weights(self.model)
            weights.update({key: moved[key] for key in weights if key not in gradients})
            rule(weights, gradients, number)
            self.backend.set_weights(self.model, weights)
            losses.append(loss)
            samples.append(np.concatenate([self.sample(value) for value in weights.values()]))
        return losses, np.stack(samples).astype(np.float64), weights

    def sample(self, value: Any) -> Any:
        every = max(1, value.size // self.SAMPLE)
        return value.reshape(-1)[::every][: self.SAMPLE]


def _timed(function: Callable[[], Any]) -> tuple[Any, float]:
    start = time.perf_counter()
    value = function()
    return value, time.perf_counter() - start


def _peak_memory() -> float | None:
    """The most memory this process held, in MiB; None where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    main(*sys.argv[1:5])
