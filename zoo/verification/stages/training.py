"""Differentiates the training loss, and trains with each optimizer rule.

Reads job.json and batch*.npz. Writes BACKEND.gradients.npz; BACKEND.RULE.npz, the weights and
statistics after the last step; and BACKEND.RULE.steps.npy, all or a sample of them after each step.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from zoo.training import rules
from zoo.verification.stages import build, read_job

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]
Batches = list[tuple[Array, Array]]


def run(folder: Path, name: str, requested: str) -> dict[str, Any]:
    """Run the job."""
    from zoo.backend import registry

    job = read_job(folder)
    backend = registry.load(requested)
    graph = job["graph"].without_dropout()
    batches = read_batches(folder)
    trainer = Trainer(backend, graph, job["seed"], "float64")
    loss, gradients, input_gradient = trainer.differentiate(*batches[0])
    np.savez(folder / f"{name}.gradients.npz", **dict[str, Any](gradients), input=input_gradient)
    losses, drift, sampled = {}, [], 0
    rates = job["rates"] or {rule: trainer.rate(rule, batches) for rule in job["rules"]}
    for rule, rate in rates.items():
        losses[rule], samples, weights = trainer.train(rule, rate, batches)
        np.savez(folder / f"{name}.{rule}.npz", **dict[str, Any](weights))
        np.save(folder / f"{name}.{rule}.steps.npy", samples)
        sampled = samples.shape[1]
        if rule == job["rules"][0]:
            single = Trainer(backend, graph, job["seed"], "float32")
            _, single_samples, _ = single.train(rule, rate, batches)
            largest = np.abs(samples).max(axis=1)
            drift = (np.abs(single_samples - samples).max(axis=1) / largest).tolist()
    return {"loss": loss, "losses": losses, "drift": drift, "sampled": sampled, "rates": rates}


def read_batches(folder: Path) -> Batches:
    """Read the batches of a job."""
    batches = []
    for i in range(rules.STEPS):
        with np.load(folder / f"batch{i}.npz", allow_pickle=False) as file:
            batches.append((file["x"], file["labels"]))
    return batches


class Trainer:
    """Trains a model with the NumPy rules on its own gradients, each time from the same weights."""

    MAX_SAMPLES = 1_000_000  # approximate number of values to record per step: 80 MB for ten
    MIN_PER_ARRAY = 64  # values to record of each array, or all if fewer, so that none is skipped
    PERTURBATION = 1e-12  # relative change of the weights whose amplification is measured
    MAX_AMPLIFICATION = 1e3  # of the perturbation, after the last step

    def __init__(self, backend: Any, graph: Any, seed: int, dtype: str) -> None:
        self.backend, self.graph = backend, graph
        self.model = build(backend, graph, dtype, seed)
        self.start = backend.get_weights(self.model)
        self.stride = -(-sum(value.size for value in self.start.values()) // self.MAX_SAMPLES)

    def differentiate(self, x: Array, labels: Array) -> tuple[float, dict[str, Array], Array]:
        """Return the loss, its gradients by canonical name, and the gradient of the input."""
        result: tuple[float, dict[str, Array], Array]
        result = self.backend.gradients(self.model, x, labels)
        return result

    def rate(self, name: str, batches: Batches) -> float:
        """Find the largest learning rate at which training does not amplify rounding errors.

        If training amplifies them, as in deep networks with batch norm at common rates, two correct
        frameworks diverge, just as one framework diverges from itself when its weights change by
        1e-12.
        """
        generator = np.random.default_rng(0)
        start = self.start
        perturbed = {
            key: value * (1 + self.PERTURBATION * generator.standard_normal(value.shape))
            for key, value in start.items()
        }
        for rate in rules.RATES[name]:
            _, _, weights = self.train(name, rate, batches)
            self.start = perturbed
            _, _, diverged = self.train(name, rate, batches)
            self.start = start
            largest = max(np.abs(value).max() for value in weights.values())
            difference = max(np.abs(diverged[key] - value).max() for key, value in weights.items())
            if difference <= self.MAX_AMPLIFICATION * self.PERTURBATION * largest:
                break
        return rate

    def train(
        self, name: str, rate: float, batches: Batches
    ) -> tuple[list[float], Array, dict[str, Array]]:
        """Take a step on each batch.

        Returns:
            The losses; all or a sample of the weights after each step [steps, values]; and the
            weights after the last step.
        """
        rule, losses, samples = rules.named(name, rate), [], []
        weights = {key: value.copy() for key, value in self.start.items()}
        self.backend.set_weights(self.model, weights)
        for number, batch in enumerate(batches, 1):
            loss, gradients, _ = self.differentiate(*batch)
            updated = self.backend.get_weights(self.model)  # with new running statistics
            weights.update({key: updated[key] for key in weights if key not in gradients})
            rule.step(weights, gradients, number)
            self.backend.set_weights(self.model, weights)
            losses.append(loss)
            samples.append(np.concatenate([self.sample(value) for value in weights.values()]))
        return losses, np.stack(samples).astype(np.float64, copy=False), weights

    def sample(self, value: Array) -> Array:
        """Take all values of an array, or evenly spaced ones if the network is large."""
        stride = max(1, min(self.stride, value.size // self.MIN_PER_ARRAY))
        return value.reshape(-1)[::stride]
