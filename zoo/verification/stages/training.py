"""Differentiates the training loss, and trains by each rule.

Of job.json and batch*.npz it makes BACKEND.gradients.npz; BACKEND.RULE.npz, weights and statistics
after the last step; and BACKEND.RULE.steps.npy, all of them or a sample after each.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from zoo.training import rules
from zoo.verification.stages import job_of

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]
Batches = list[tuple[Array, Array]]


def run(folder: Path, name: str, asked: str) -> dict[str, Any]:
    """Do the job."""
    import zoo
    from zoo.backend import registry

    start = time.perf_counter()
    job = job_of(folder)
    backend = registry.load(asked)
    graph = zoo.graph(job["model"], **job["options"]).without_dropout()
    batches = given(folder)
    trainer = Trainer(backend, graph, job["seed"], "float64")
    loss, gradients, of_input = trainer.differentiate(*batches[0])
    np.savez(folder / f"{name}.gradients.npz", **dict[str, Any](gradients), input=of_input)
    losses, drift, sampled = {}, [], 0
    rates = job["rates"] or {rule: trainer.rate(rule, batches) for rule in job["rules"]}
    for rule, rate in rates.items():
        losses[rule], samples, weights = trainer.train(rule, rate, batches)
        np.savez(folder / f"{name}.{rule}.npz", **dict[str, Any](weights))
        np.save(folder / f"{name}.{rule}.steps.npy", samples)
        sampled = samples.shape[1]
        if rule == job["rules"][0]:
            single = Trainer(backend, graph, job["seed"], "float32")
            _, rounded, _ = single.train(rule, rate, batches)
            largest = np.abs(samples).max(axis=1)
            drift = (np.abs(rounded - samples).max(axis=1) / largest).tolist()
    seconds = time.perf_counter() - start
    return {
        "loss": loss,
        "losses": losses,
        "drift": drift,
        "sampled": sampled,
        "seconds": seconds,
        "rates": rates,
    }


def given(folder: Path) -> Batches:
    """Read the batches of a job."""
    found = []
    for i in range(rules.STEPS):
        with np.load(folder / f"batch{i}.npz", allow_pickle=False) as file:
            found.append((file["x"], file["labels"]))
    return found


class Trainer:
    """A model that is trained by a rule of NumPy's, from the same start each time."""

    MOST = 1_000_000  # about so many values are kept of every step, which is 80 MB of ten
    LEAST = 64  # of each array, or all it has, so that a bias is not passed over
    NUDGE = 1e-12  # by which weights are changed to see what becomes of it
    GROWTH = 1e3  # that a change may have come to after the last step

    def __init__(self, backend: Any, graph: Any, seed: int, dtype: str) -> None:
        from zoo.weights import initial

        self.backend, self.graph = backend, graph
        draw = initial.drawing(graph, seed, dtype=dtype)
        self.model = backend.build(graph, draw, dtype, seed)
        self.start = backend.get_weights(self.model)
        self.every = -(-sum(value.size for value in self.start.values()) // self.MOST)

    def differentiate(self, x: Array, labels: Array) -> tuple[float, dict[str, Array], Array]:
        """Return the loss, its gradients by name, and the input's."""
        found: tuple[float, dict[str, Array], Array]
        found = self.backend.gradients(self.model, x, labels)
        return found

    def rate(self, name: str, batches: Batches) -> float:
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
        self, name: str, rate: float, batches: Batches
    ) -> tuple[list[float], Array, dict[str, Array]]:
        """Take a step on each batch; returns losses, each step's weights or a sample, the last."""
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
        return losses, np.stack(samples).astype(np.float64, copy=False), weights

    def sample(self, value: Array) -> Array:
        """Take all values of an array, or of a large network's some, evenly."""
        every = max(1, min(self.every, value.size // self.LEAST))
        return value.reshape(-1)[::every]
