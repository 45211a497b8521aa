"""The loop of training: steps, epochs, evaluations and checkpoints."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from zoo import arguments
from zoo.api.streams import stream
from zoo.backend.base import Backend
from zoo.backend.devices import ALONE, Group
from zoo.backend.training import EMA, LossScale, Part, Plan
from zoo.data.labeled import Dataset
from zoo.data.stream import Batch, Share
from zoo.errors import InputError, TrainingError, WeightsError
from zoo.graphs import losses
from zoo.training import checks
from zoo.training import state as states
from zoo.training.divergence import not_finite
from zoo.training.evaluation import Evaluation, evaluate
from zoo.training.events import Callback, Epoch, Evaluating, Event, Step
from zoo.training.folder import Folder
from zoo.training.freezing import frozen
from zoo.training.interruption import SIGNALS, Interruption
from zoo.training.masks import Masks
from zoo.training.recipe import Recipe
from zoo.training.state import State

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]

#: The largest batch of an evaluation, unless a step has a larger one.
_EVALUATED = 64


@dataclass(frozen=True)
class Run:
    """The result of training.

    Attributes:
        model: The trained model.
        epochs: The epochs that were completed since it was started or resumed.
        stopped: Why it ended: ``finished``, ``patience``, ``callback``, or the name of the signal
            that interrupted it, such as ``SIGTERM``.
        step: How many steps have been made in all.
        updates: How many of them have updated the weights: all, but in float16.
        averages: Canonical name -> the moving averages of weights and running statistics, for
            ``zoo.set_weights``; empty if there are none.
        best: The best top-1 of all epochs, those before it was resumed included; None before the
            first.
        best_epoch: The epoch that had it, from 1.
    """

    model: Any = field(repr=False)
    epochs: tuple[Epoch, ...]
    stopped: str
    step: int
    updates: int
    averages: Mapping[str, Array] = field(default_factory=dict, repr=False)
    best: float | None = None
    best_epoch: int = 0


class Loop:
    """Trains a model as a recipe says."""

    def __init__(
        self,
        backend: Backend,
        model: Any,
        data: Dataset,
        recipe: Recipe,
        *,
        group: Group = ALONE,
        folder: Folder | None = None,
        workers: int = 0,
        callbacks: Iterable[Callback] = (),
        more: Mapping[str, Any] = {},
    ) -> None:
        """Prepare everything that can fail, before the first step.

        Args:
            backend: The model's backend.
            model: The model.
            data: The images.
            recipe: How to train.
            group: The devices to train on.
            folder: Where to write metrics and checkpoints; None to write nothing.
            workers: Processes that prepare images.
            callbacks: Called with each event.
            more: Fields of the plan that are not in recipes, for ``zoo compare``.

        Raises:
            InputError, UnknownNameError, BackendError: The parts do not fit together.
        """
        self.backend, self.recipe, self.group = backend, recipe, group
        self.folder, self.workers, self.callbacks = folder, workers, _functions(callbacks)
        self.graph = backend.known_graph(model)
        checks.check_classes(self.graph, data)
        losses.check(self.graph)
        checks.check_outputs(self.graph, data)
        checks.check_devices(backend, recipe, group)
        size = recipe.batch_size
        skip = recipe.skip_damaged
        train = stream(
            model,
            data.train,
            size,
            seed=recipe.seed,
            augmentation=recipe.augmentation,
            skip_damaged=skip,
        )
        held_out = min(len(data.validation), max(size, _EVALUATED))
        validation = stream(
            model, data.validation, held_out, shuffle=False, layout="CHW", skip_damaged=skip
        )
        share = Share(group.rank, group.size, recipe.accumulate)
        self.train = replace(train, share=share)
        self.validation = replace(validation, share=replace(share, parts=1))
        places = share.of_parts(size)
        ends = np.cumsum([len(part) for part in places]).tolist()
        self._places = np.concatenate(places)  # of this process's examples in a batch
        self._parts = [slice(end - len(part), end) for end, part in zip(ends, places, strict=True)]
        self.steps = recipe.epochs * self.train.steps
        self.rate = recipe.learning_rate(self.train.steps)
        self.masks = Masks(
            self.graph,
            recipe.seed,
            self.train.transform.layout,
            "float64" if recipe.dtype == "float64" else "float32",
        )
        kept = frozen(self.graph, recipe.freeze)
        if not any(p.trainable and p.name not in kept for p in self.graph.parameters):
            raise InputError(f"{self.graph.name}: nothing to train, as every parameter is frozen")
        self.trainer = backend.trainer(
            model,
            Plan(
                recipe.rule(),
                label_smoothing=recipe.label_smoothing,
                clip_norm=recipe.clip_norm,
                frozen=kept,
                ema=recipe.ema,
                precision=recipe.precision,
                compile=recipe.compile,
                sync_batch_norm=recipe.sync_batch_norm,
                **more,
            ),
            *(() if group is ALONE else (group,)),  # which older packages do not know
        )
        digests = data.train.digest, data.validation.digest
        sizes = data.train.sizes, data.validation.sizes
        self._given, self.model = model, self.trainer.model
        self._data, images = data.name, (len(data.train), len(data.validation))
        self.state = State(
            recipe.to_dict(), backend.description.name, digests, images=images, sizes=sizes
        )
        self.completed: list[Epoch] = []
        self._saved = -1  # the step of the last checkpoint
        evaluations = recipe.epochs * (1 if recipe.ema is None else 2)
        self._held_out = self.validation.batches(  # its processes stay from epoch to epoch
            0, evaluations * self.validation.steps, min(workers, self.validation.steps)
        )
        self._clock, self._asked_to_stop = _Clock(), False

    def resume(self, saved: states.Saved) -> None:
        """Go on from a checkpoint, whose weights the model already has.

        Raises:
            WeightsError: It does not fit this run.
            InputError: The images are others than those that the run began with.
        """
        checks.check_images(self._data, saved.state, self.state)
        if not self.group.rank:
            checks.warn_of_changes(self._data, saved.state, self.state)
        state = self.trainer.state()
        shapes = {name: tensor.canonical_shape for name, tensor in state.items()}
        if shapes != {name: tuple(stored.shape) for name, stored in saved.slots.items()}:
            raise WeightsError("the checkpoint does not have the state of this run's optimizer")
        slots = {name: stored.read() for name, stored in saved.slots.items()}
        self.trainer.set_state(slots, saved.state.updates)
        if saved.state.loss_scale is not None:
            self.trainer.loss_scale = LossScale(*saved.state.loss_scale)
        now = self.state
        self.state = replace(saved.state, recipe=now.recipe, backend=now.backend, sizes=now.sizes)

    def run(self) -> Run:
        """Train until the end, or until something ends it before.

        Raises:
            TrainingError: The loss is not finite.
            InputError: An image or a file cannot be read or written.
        """
        with Interruption() as interruption, closing(self.trainer), closing(self._held_out):
            if self.folder is not None:
                start = {"step": self.state.step, "backend": self.state.backend}
                self.folder.write(start)
            if self.state.step == 0:
                self._save()
            stopped = self._rest(interruption) or "finished"
            self._save_once()
            if self.folder is not None:
                self.folder.settle()
        state = self.trainer.get_state() if self.trainer.averages else {}
        averages = {
            name.removeprefix(f"{EMA}/"): value
            for name, value in state.items()
            if name.startswith(f"{EMA}/")
        }
        done, epochs = self.state, tuple(self.completed)
        best = done.best, done.best_epoch
        return Run(self._given, epochs, stopped, done.step, done.updates, averages, *best)

    def _rest(self, interruption: Interruption) -> str | None:
        """Make what is left of the run, and return why it ended before the last step."""
        if self.state.pending:
            stop = self._end_epoch()
            stop = self._asked(interruption) or stop
            if stop and self.state.step < self.steps:
                return stop
        return self._steps(interruption)

    def _steps(self, interruption: Interruption) -> str | None:
        """Make the steps that are left, and return why it ended before the last."""
        batches = self.train.batches(self.state.step, self.steps, self.workers)
        upcoming, problem = next(batches, None), None
        while upcoming is not None:
            batch, number, scale = upcoming, self.state.step, self._scale
            loss = self._update(batch, number)
            try:
                upcoming = next(batches, None)  # made while the framework computes
            except InputError as error:  # which follows when this step has ended
                upcoming, problem = None, error
            self._end_step(number, float(loss), batch, scale)
            stop = None
            if not self.state.step % self.train.steps:
                stop = self._end_epoch()
            elif self._is_due():
                self._save()
            stop = self._asked(interruption) or stop
            if problem is not None:
                raise self._saved_before(problem) from problem
            if stop and upcoming is not None:
                return stop
        return None

    def _saved_before(self, error: InputError) -> InputError:
        """Save what was done before an error of the images, and return it with this news."""
        if self.folder is None:
            return error
        self._save_once()
        return InputError(f"{error}. The run is saved at step {self.state.step:,}")

    def _asked(self, interruption: Interruption) -> str | None:
        """Return what a signal or a callback asked for, in any of the processes."""
        reasons = (*(signal.name for signal in SIGNALS), "callback")
        here = [reason == interruption.signal for reason in reasons[:-1]]
        asked = self.group.sum(np.array([*here, self._asked_to_stop], np.float64))
        return next((name for name, count in zip(reasons, asked, strict=True) if count), None)

    def _is_due(self) -> bool:
        every = self.recipe.checkpoint_every
        return every > 0 and not self.state.step % every

    def _update(self, batch: Batch, number: int) -> Any:
        """Update the weights, and return the loss that the framework may still be computing."""
        size = self.recipe.batch_size
        masks = {name: m[self._places] for name, m in self.masks.batch(number, size).items()}
        parts = [
            Part(batch.x[p], batch.labels[p], {name: mask[p] for name, mask in masks.items()})
            for p in self._parts
        ]
        if self.group.size > 1:
            return self.trainer.step(parts, self.rate(number), size)
        return self.trainer.step(parts, self.rate(number))

    @property
    def _scale(self) -> float | None:
        """What the next loss is multiplied by; None but in float16."""
        scale = self.trainer.loss_scale
        return None if scale is None else scale.value

    def _end_step(self, number: int, loss: float, batch: Batch, scale: float | None) -> None:
        """Count a step, whose loss was scaled, and report it."""
        if not math.isfinite(loss):
            raise self._diverged(number, loss, batch)
        self.state.step = number + 1
        self.state.pending = not self.state.step % self.train.steps
        self.state.loss_sum += loss
        # Only in float16 the optimizer's count, which may have to be waited for, can be another.
        updates = self.state.updates + 1 if scale is None else self.trainer.steps
        skipped = updates == self.state.updates
        self.state.updates = updates
        self.state.skipped += skipped
        self._clock.images += self.recipe.batch_size
        self._clock.damaged += len(batch.damaged)
        step = Step(
            number + 1,
            self.steps,
            number // self.train.steps + 1,
            self.recipe.epochs,
            loss,
            self.rate(number),
            self._clock.rate,
            scale,
            skipped,
        )
        if self.folder is not None:
            damaged = [self.train.part.name(index) for index in batch.damaged]
            more = {"loss_scale": scale, "skipped": skipped, "damaged": damaged}
            line = {"step": step.step, "loss": loss, "lr": step.lr}
            self.folder.write(line | {name: value for name, value in more.items() if value})
        self._report(step)

    def _end_epoch(self) -> str | None:
        """Evaluate, save, and return the reason to stop, if there is one."""
        rate, number = self._clock.rate, self.state.step // self.train.steps
        validation, others = self._evaluated()
        self.state.pending = False
        best = self.state.best is None or validation.top1 > self.state.best
        if best:
            self.state.best, self.state.best_epoch = validation.top1, number
        epoch = Epoch(
            number,
            self.recipe.epochs,
            self.state.step,
            self.state.loss_sum / self.train.steps,
            self.rate(self.state.step - 1),
            validation,
            others,
            best,
            self._clock.seconds,
            rate,
            int(self.group.sum(np.array([self._clock.damaged], np.float64))[0]),
            self.state.skipped,
        )
        self.state.loss_sum, self.state.skipped = 0.0, 0
        self.completed.append(epoch)
        if self.folder is not None:
            self.folder.write(asdict(epoch))
        self._save(best)
        self._report(epoch)
        self._clock = _Clock()
        return "patience" if self.is_impatient else None

    @property
    def is_impatient(self) -> bool:
        """Whether an epoch has just ended, and too many have passed since the best."""
        epoch, within = divmod(self.state.step, self.train.steps)
        patience, waited = self.recipe.patience, epoch - self.state.best_epoch
        ended = not within and not self.state.pending
        return ended and patience is not None and waited >= patience

    def _evaluated(self) -> tuple[Evaluation, Evaluation | None]:
        """Evaluate the model, and with moving averages these and the weights themselves.

        Whatever ends that, such as a damaged image or a callback, loses no step.
        """
        try:
            plain = self._evaluate()
            if self.recipe.ema is None:
                return plain, None
            with self._averaged():
                return self._evaluate(), plain
        except InputError as error:
            raise self._saved_before(error) from error
        except Exception:  # a framework or a callback may raise anything
            self._save_once()
            raise

    def _evaluate(self) -> Evaluation:
        return evaluate(
            self.trainer.predict,
            self.graph.outputs[0].name,
            self.validation,
            self._held_out,
            self.graph.options["num_classes"],
            group=self.group,
            progress=lambda done, total: self._report(Evaluating(done, total)),
        )

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """Give the model its moving averages during a block."""
        weights = self.backend.get_weights(self.model)
        state = self.trainer.get_state()
        averages = {name: state[f"{EMA}/{name}"] for name in weights}
        self.backend.set_weights(self.model, averages)
        try:
            yield
        finally:
            self.backend.set_weights(self.model, weights)

    def _save_once(self) -> None:
        """Save what was done, unless it has been saved."""
        if self._saved != self.state.step:
            self._save()

    def _save(self, best: bool = False) -> None:
        if self.folder is None:
            return
        self.folder.settle()
        self.folder.flush()
        scale = self.trainer.loss_scale
        self.state.loss_scale = None if scale is None else (scale.value, scale.good)
        path = self.folder.checkpoint(self.state.step)
        weights = self.backend.get_weights(self.model, copy=False)
        slots = self.trainer.get_state(copy=False)
        later, keep = self.folder.later, self.recipe.keep
        states.write(path, self.graph, weights, slots, self.state, later)
        if best:
            later(partial(self.folder.keep_best, path))
        later(partial(self.folder.remove_old, keep))
        self._saved = self.state.step

    def _report(self, event: Event) -> None:
        for callback in self.callbacks:
            try:
                if _asks_to_stop(callback, event):
                    self._asked_to_stop = True
            except Exception:  # a callback may raise anything, and loses no step
                # While a network is evaluated, it may have its averages in place of its weights.
                if not isinstance(event, Evaluating):
                    self._save_once()
                raise

    def _diverged(self, number: int, loss: float, batch: Batch) -> TrainingError:
        """Return the error for a loss that is not finite, which no update followed."""
        place = f"step {number + 1:,} (epoch {number // self.train.steps + 1})"
        precision = self.recipe.precision
        where = not_finite(self.backend, self.model, self.graph, batch.x, precision)
        others = {"float16": "precision bfloat16 or full, ", "bfloat16": "full precision, "}
        return TrainingError(
            f"the loss is {loss} at {place}, where {where}; {others.get(precision, '')}a lower "
            "learning rate, a warm-up or clip_norm may help"
        )


@dataclass
class _Clock:
    """Counts the images of an epoch."""

    start: float = field(default_factory=time.perf_counter)
    images: int = 0
    damaged: int = 0

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.start

    @property
    def rate(self) -> float:
        return self.images / max(self.seconds, 1e-9)


def _functions(callbacks: Any) -> tuple[Callback, ...]:
    if not isinstance(callbacks, Iterable) or not all(map(callable, found := tuple(callbacks))):
        raise arguments.wrong("callbacks", "a list of functions of an event", callbacks)
    return found


def _asks_to_stop(callback: Callback, event: Event) -> bool:
    """Call a callback, and return whether it asks the run to end.

    Raises:
        InputError: It returns neither a boolean nor None.
    """
    answer = callback(event)
    if answer is None or isinstance(answer, bool | np.bool_):
        return bool(answer)
    name = getattr(callback, "__qualname__", type(callback).__qualname__)
    raise InputError(
        f"callbacks: {name} returned {arguments.shown(answer)}; return True to end the run, and "
        "False or None to go on"
    )
