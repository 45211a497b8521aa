"""Trains a Flax module, a batch at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from zoo.backend.base import Array, Outputs
from zoo.backend.devices import ALONE, Group
from zoo.backend.training import Part, Plan, Trainer
from zoo.errors import BackendError
from zoo.flax import _private, optimizers, parameters, run, steps
from zoo.flax.devices import AXIS, Copies, FlaxGroup
from zoo.flax.steps import Names, Values


class FlaxTrainer(Trainer):
    """Computes a step in one function, which is always compiled, whatever the plan says.

    Arrays are not donated to it: the user may have references to them.

    Attributes:
        optimizer: Flax's optimizer, whose Variables each step updates.
    """

    model: nnx.Module

    def __init__(self, backend: Any, model: nnx.Module, plan: Plan, group: Group = ALONE) -> None:
        self._counts: list[nnx.Variable[Any]] = []  # set before there is an optimizer
        super().__init__(backend, model, plan, group)
        self._group = group if isinstance(group, FlaxGroup) else None
        self._copies = None if self._group is None else Copies(self._group)
        graph = backend.known_graph(model)
        if not self.trained:
            raise BackendError(
                f"this {graph.name} has no parameters to train: it has none, or all are frozen"
            )
        tensors = backend.tensors(model)
        self._paths = parameters.paths(model, tensors)
        variables = {name: tensor.handle for name, tensor in tensors.items()}
        wrt = nnx.All(
            nnx.Param, nnx.filterlib.PathIn(*(self._paths[name] for name in self.trained))
        )
        own = plan.settings if plan.native else None
        self.optimizer = optimizers.make(model, plan.optimized, wrt, own)
        model.train()
        self._counts = list(optimizers.counts(self.optimizer))
        self._rate = optimizers.rate(self.optimizer)
        averaged = variables if plan.ema is not None else {}
        self.averages = {name: nnx.Variable(v[...]) for name, v in averaged.items()}

        weights_tree, order = self._leaves(nnx.state(model, wrt))
        slots, slots_tree = jax.tree.flatten(
            (self.optimizer.step, self.optimizer.opt_state), is_leaf=_is_variable
        )
        trainable = {p.name for p in graph.parameters if p.trainable}
        names = Names(
            order,
            tuple(name for name in variables if name in trainable and name not in self.trained),
            tuple(name for name in variables if name not in trainable),
            tuple(self.averages),
        )
        self._variables = Values(
            [variables[name] for name in names.weights],
            [variables[name] for name in names.statistics],
            slots,
            list(self.averages.values()),
        )
        self._frozen = [variables[name] for name in names.frozen]
        self._platform = next(iter(self._variables.weights[0][...].devices())).platform
        self._dtype = self._variables.weights[0][...].dtype

        def loss(outputs: Any, labels: jax.Array) -> jax.Array:
            def cross_entropy(logits: jax.Array, weight: float) -> jax.Array:
                value: jax.Array = backend.cross_entropy(
                    logits, labels, weight, plan.label_smoothing
                )
                return value

            value: jax.Array = graph.total_loss(outputs, cross_entropy)
            return value

        self._step = steps.compiled(
            steps.split(
                model,
                self.dropouts,
                self.frozen_norms,
                plan.precision,
                self._platform,
                AXIS if self._group is not None and plan.sync_batch_norm else None,
            ),
            names,
            self._paths,
            self.optimizer.tx,
            (weights_tree, slots_tree),
            loss,  # not of the model, which would live as long as the compiled step
            plan,
            self._dtype,
            None if self._group is None else self._group.mesh,
        )

    @property
    def steps(self) -> int:
        """How many updates have been made, as the optimizer counts them."""
        return int(_private.raw(self._counts[0]))

    @steps.setter
    def steps(self, number: int) -> None:
        for count in self._counts:
            count.set_value(jnp.asarray(number, count[...].dtype))

    def step(self, parts: Sequence[Part], lr: float, examples: int | None = None) -> jax.Array:
        scaling = self.loss_scale
        scale = np.asarray(1 if scaling is None else scaling.value, self._dtype)
        _private.set_raw(self._rate, np.asarray(lr, _private.raw(self._rate).dtype))
        values = Values(*([self._value(v) for v in group] for group in self._variables))
        frozen = [self._value(variable) for variable in self._frozen]
        if len(parts) == 1:
            new, loss, finite = self._step.whole(values, frozen, self._batch(parts[0]), scale)
        else:
            new, loss, finite = self._in_parts(parts, values, frozen, scale)
        for variables, results in zip(self._variables, new, strict=True):
            for variable, value in zip(variables, results, strict=True):
                if self._copies is None:
                    _private.set_raw(variable, value)
                else:
                    self._copies.set(variable, value)
        if scaling is not None and finite[0]:
            scaling.update(bool(finite[1]))
        return loss

    def predict(self, x: Array) -> Outputs:
        return run.predict(self.model, x, self._group)

    def _value(self, variable: nnx.Variable[Any]) -> Any:
        return _private.raw(variable) if self._copies is None else self._copies.get(variable)

    def _batch(self, part: Part) -> Any:
        return (
            tuple(part) if self._group is None else jax.tree.map(self._group.divided, tuple(part))
        )

    def slot(self, slot: str, name: str) -> nnx.Variable[Any]:
        return optimizers.slot(self.optimizer, slot, self._paths[name])

    def _in_parts(
        self, parts: Sequence[Part], values: Values, frozen: list[Any], scale: np.ndarray
    ) -> Any:
        examples = sum(len(part.labels) for part in parts)
        sums: Any = jnp.zeros((), self._dtype), [jnp.zeros_like(w) for w in values.weights]
        statistics = values.statistics
        for part in parts:
            share = np.asarray(len(part.labels) / examples, self._dtype)
            batch = self._batch(part)
            sums, statistics = self._step.accumulate(
                sums, values.weights, frozen, statistics, batch, scale, share
            )
        return self._step.update(values, frozen, statistics, *sums, scale)

    def _leaves(self, state: Any) -> tuple[Any, tuple[str, ...]]:
        """Return the structure of the trained parameters, and the names of its leaves."""
        leaves, tree = jax.tree.flatten_with_path(nnx.as_pure(state))
        names = {path: name for name, path in self._paths.items()}
        return tree, tuple(names[tuple(key.key for key in path)] for path, _ in leaves)


def _is_variable(leaf: Any) -> bool:
    return isinstance(leaf, nnx.Variable)
