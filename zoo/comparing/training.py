"""Trains as a job says, in this process; called by :mod:`zoo.comparing.processes`."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from zoo.api.models import build
from zoo.backend import registry
from zoo.backend.base import Backend
from zoo.comparing import examples
from zoo.data.labeled import Dataset
from zoo.data.stream import Batch
from zoo.errors import InputError, TrainingError
from zoo.graphs.graph import Graph
from zoo.graphs.layouts import channels_first
from zoo.training import recipe as recipes
from zoo.training.evaluation import Evaluation
from zoo.training.events import Step
from zoo.training.loop import Loop

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]

#: Of how many steps the digests of batches are kept.
DIGESTS = 10
#: How many images every node is compared on.
COMPARED = 4
#: About how many values are kept of all steps of a proof.
VALUES = 8_000_000


def train(job: Mapping[str, Any]) -> dict[str, Any]:
    """Train a model, and return what is measured: fields of :class:`zoo.comparing.results.Trained`.

    Raises:
        InputError: The images are others than when the study was planned, or the run was ended.
    """
    backend = _backend(job)
    data = _data(job)
    loop = _loop(backend, job, data)
    start, stopped = time.perf_counter(), "finished"
    try:
        with np.errstate(all="ignore"):  # of a run that diverges in its last steps
            run = loop.run()
        if run.stopped != "finished":
            raise InputError(f"the run was ended by {run.stopped}")
    except TrainingError as error:
        stopped = str(error)
    evaluated = [each.validation for each in loop.completed if math.isfinite(each.validation.loss)]
    if stopped == "finished" and len(evaluated) < len(loop.completed):
        stopped = "the validation loss is nan"
    last = evaluated[-1] if stopped == "finished" else None
    return {
        "top1": last and last.top1,
        "loss": last and last.loss,
        "classes": last.classes if last else (),
        "images": np.bincount(data.validation.labels, minlength=len(data.classes)).tolist(),
        "losses": loop.losses,
        "digests": loop.digests,
        "seconds": time.perf_counter() - start,
        "stopped": stopped,
        "history": [(each.top1, each.loss) for each in evaluated],
    }


def prove(job: Mapping[str, Any]) -> dict[str, Any]:
    """Make the first steps of several jobs in float64, and write what they lead to.

    Args:
        job: ``jobs``, of the same images; how many ``steps``; and the ``folder``, which gets a file
            for each, ``BACKEND.NUMBER.npz``: the values of nodes of the initial model as
            ``node/NAME``, and of parameters and statistics after each step as ``1/NAME``.

    Returns:
        The losses of each.
    """
    losses, data = [], None
    for number, each in enumerate(job["jobs"]):
        backend = _backend(each)
        data = data or _data(each)
        double = {"dtype": "float64", "precision": "full", "compile": False}
        loop = _loop(backend, {**each, "recipe": {**each["recipe"], **double}}, data)
        images = loop.validation.batch(0).x[:COMPARED]
        values = backend.features(loop.model, images, loop.graph.nodes)
        arrays = {f"node/{name}": value for name, value in values.items()}
        loop.watch(min(job["steps"], loop.steps))
        loop.run()
        arrays |= {f"{step}/{n}": v for step, s in enumerate(loop.states, 1) for n, v in s.items()}
        np.savez(Path(job["folder"]) / f"{each['backend']}.{number}.npz", **dict[str, Any](arrays))
        losses.append(loop.losses)
    return {"losses": losses}


class _Loop(Loop):
    """A loop that keeps what a study compares."""

    def __init__(self, *arguments: Any, job: Mapping[str, Any], **options: Any) -> None:
        more = {"native": job["native_optimizer"], "decoupled": job["decoupled"]}
        super().__init__(*arguments, more=more, callbacks=[self._keep], **options)
        self.train, self.validation = (
            replace(each, transform=replace(each.transform, recipe=images))
            for each in (self.train, self.validation)
            for images in [{**each.transform.recipe, **job["images"]}]
        )
        self.losses: list[float] = []
        self.digests: list[str] = []
        self.states: list[dict[str, Array]] = []
        self._steps_watched = 0
        self._unbiased = (
            self.backend.get_weights(self.model)
            if job["unbiased"]  # what running variances began with
            else None
        )

    def watch(self, steps: int) -> None:
        """Keep parameters and statistics after each of so many steps, and end after these."""
        self._steps_watched = steps

    def _keep(self, event: Any) -> bool:
        if not isinstance(event, Step):
            return False
        self.losses.append(event.loss)
        if self._steps_watched:
            weights = self.backend.get_weights(self.model)
            total = sum(value.size for value in weights.values()) * self._steps_watched
            stride = -(-total // VALUES)  # of large arrays; small ones are kept whole
            self.states.append(
                {n: v.reshape(-1)[:: stride if v.size > 64 else 1] for n, v in weights.items()}
            )
        return event.step == self._steps_watched

    def _update(self, batch: Batch, number: int) -> Any:
        if number < DIGESTS:
            self.digests.append(digest(batch, self.train.transform.layout))
        return super()._update(batch, number)

    def _evaluate(self) -> Evaluation:
        if self._unbiased is None:
            return super()._evaluate()
        weights = self.backend.get_weights(self.model)
        self.backend.set_weights(self.model, self._with_unbiased(weights, self._unbiased))
        try:
            return super()._evaluate()
        finally:
            self.backend.set_weights(self.model, weights)

    def _with_unbiased(
        self, weights: Mapping[str, Array], start: Mapping[str, Array]
    ) -> dict[str, Array]:
        """Return weights with the running variances that unbiased variances would have led to.

        A batch of n values has an unbiased variance that is n / (n - 1) of the biased one, and n is
        the same in every step. So the sum of what the steps have added is scaled. Training itself
        does not depend on running variances.
        """
        found = dict(weights)
        for node in self.graph.nodes:
            if node.op != "batch_norm":
                continue
            n = self.recipe.batch_size * int(np.prod(node.shape[1:]))
            kept = (1 - node.attributes["momentum"]) ** self.state.step
            name = f"{node.name}.running_var"
            old = weights[name].astype(np.float64)
            new = old * n / (n - 1) - kept * start[name] / (n - 1) if n > 1 else old
            found[name] = new.astype(weights[name].dtype)
        return found


def digest(batch: Batch, layout: str) -> str:
    """Return the digest of a batch, which is the same in every layout."""
    x = channels_first(batch.x) if layout == "HWC" else batch.x
    return batch._replace(x=x).digest


def _backend(job: Mapping[str, Any]) -> Backend:
    backend = registry.load(job["backend"])
    if job["deterministic"]:
        backend.determine()
    return backend


def _data(job: Mapping[str, Any]) -> Dataset:
    given = job["data"]
    data = examples.opened(given["source"], given["train_images"], given["validation_images"])
    if [data.train.digest, data.validation.digest] != given["digests"]:
        raise InputError(f"{given['source']}: the images have changed since the study was planned")
    return data


def _loop(backend: Backend, job: Mapping[str, Any], data: Dataset) -> _Loop:
    recipe = recipes.of(job["recipe"])
    graph = Graph.from_dict(job["graph"])
    pretrained: dict[str, Any] = {}
    if recipe.weights is not None:
        pretrained = {"weights": recipe.weights, "head": recipe.head}
    model = build(
        graph,
        backend.description.name,
        seed=job["weights_seed"],
        init=job["init"],
        dtype=recipe.dtype,
        **pretrained,
    )
    return _Loop(backend, model, data, recipe, job=job)
