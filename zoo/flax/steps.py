"""A step of training as compiled functions of the values of Variables.

``nnx.jit`` traverses the model and the optimizer at every call, which takes longer than a step of a
small network. Here that happens once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax import lax

from zoo.backend.outputs import mapped
from zoo.backend.training import Plan
from zoo.flax import _private, grouped, parameters
from zoo.flax.devices import AXIS, DIVIDED, WHOLE
from zoo.flax.parameters import Path

#: Layers that compute in a dtype that is a setting of theirs.
_LAYERS = (nnx.Conv, nnx.Linear, nnx.BatchNorm, nnx.LayerNorm)

#: How many of the latest steps are kept compiled, for another trainer of the same network.
_KEPT = 8
_steps: dict[Any, Step] = {}

Arrays = Sequence[jax.Array]
Loss = Callable[[Any, jax.Array], jax.Array]


class Values(NamedTuple):
    """All that a step changes: Variables, or their values.

    Attributes:
        weights: Trained parameters, in the order of the leaves of the optimizer's trees.
        statistics: Running statistics.
        slots: All leaves of the optimizer, with its counts and its learning rate.
        averages: Moving averages; empty if there are none.
    """

    weights: list[Any]
    statistics: list[Any]
    slots: list[Any]
    averages: list[Any]


class Names(NamedTuple):
    """Canonical names of the parameters and statistics that functions take as lists."""

    weights: tuple[str, ...]
    frozen: tuple[str, ...]
    statistics: tuple[str, ...]
    averages: tuple[str, ...]


def split(
    model: nnx.Module,
    dropouts: Sequence[str],
    frozen_norms: Sequence[str],
    precision: str,
    platform: str,
    axis: str | None = None,
) -> tuple[Any, Any]:
    """Split a model in training mode into its structure and the shapes of its Variables.

    Args:
        model: It is not changed.
        dropouts: Names of layers that pass on their input, until a mask is given.
        frozen_norms: Names of batch norms that use their running statistics.
        precision: See :class:`zoo.backend.training.Plan`.
        platform: Where the step is computed, such as ``cpu``.
        axis: The axis of devices over which batch norms take the statistics of a batch.
    """
    training = nnx.merge(*nnx.split(model))  # shares the values, but not the settings
    training.train()
    for name in dropouts:
        parameters.find(training, name).deterministic = True
    for name in frozen_norms:
        parameters.find(training, name).use_running_average = True
    for _, module in nnx.iter_modules(training):
        if axis is not None and isinstance(module, nnx.BatchNorm):
            module.axis_name = axis
        if precision != "full" and isinstance(module, _LAYERS):
            module.dtype = jnp.dtype(precision)
        native = getattr(module, "conv_general_dilated", None) is lax.conv_general_dilated
        if native and module.feature_group_count > 1 and (precision, platform) == ("full", "cpu"):
            module.conv_general_dilated = grouped.convolution
    graphdef, state = nnx.split(training)
    return graphdef, jax.eval_shape(lambda: state)


class Network:
    """The forward pass in training mode, as a function."""

    def __init__(self, graphdef: Any, state: Any, names: Names, paths: Mapping[str, Path]) -> None:
        """Take what :func:`split` returns, the names of the arguments, and where they belong."""
        self._graphdef, self._state, self._names, self._paths = graphdef, state, names, paths

    def __call__(
        self,
        weights: Arrays,
        frozen: Arrays,
        statistics: Arrays,
        x: jax.Array,
        masks: Mapping[str, jax.Array],
    ) -> tuple[Any, list[jax.Array]]:
        """Return the network's result and the new running statistics.

        Args:
            weights: Trained parameters.
            frozen: The other parameters.
            statistics: Running statistics.
            x: [N, H, W, C].
            masks: Name of a dropout -> what its input is multiplied by.
        """
        model = nnx.merge(self._graphdef, self._state, copy=True)
        variables = {name: parameters.at(model, path) for name, path in self._paths.items()}
        names = self._names
        for group, values in (
            (names.weights, weights),
            (names.frozen, frozen),
            (names.statistics, statistics),
        ):
            for name, value in zip(group, values, strict=True):
                _private.set_raw(variables[name], value)
        for name, mask in masks.items():
            path, _, local = name.rpartition(".")
            vars(parameters.find(model, path) if path else model)[local] = _Dropping(mask)
        result = model(x)
        return result, [_private.raw(variables[name]) for name in names.statistics]


class Step:
    """The compiled functions of a step."""

    def __init__(
        self,
        network: Network,
        names: Names,
        transform: optax.GradientTransformation,
        trees: tuple[Any, Any],
        loss: Loss,
        plan: Plan,
        dtype: Any,
        mesh: Any = None,
    ) -> None:
        """Define the functions; each is compiled when it is first called.

        Args:
            network: The forward pass.
            names: The names of what it takes.
            transform: What the optimizer computes.
            trees: The structures of the weights, and of the optimizer's count and state.
            loss: A function of the network's result and class numbers.
            plan: How the network is trained.
            dtype: The dtype of its weights.
            mesh: The devices that share a batch; None for one.
        """
        self._mesh = mesh
        self._network, self._names, self._transform = network, names, transform
        self._trees, self._loss, self._plan, self._dtype = trees, loss, plan, dtype
        self.whole = jax.jit(self._whole)
        self.accumulate = jax.jit(self._accumulate)
        self.update = jax.jit(self._update)

    def _whole(
        self,
        values: Values,
        frozen: Arrays,
        batch: tuple[Any, Any, Any],
        scale: jax.Array,
    ) -> Any:
        """Make a step with a batch that is not divided."""
        loss, statistics, gradients = self._differentiate(
            values.weights, frozen, values.statistics, batch, scale, 1
        )
        return self._update(values, frozen, statistics, loss, gradients, scale)

    def _accumulate(
        self,
        sums: tuple[jax.Array, list[jax.Array]],
        weights: Arrays,
        frozen: Arrays,
        statistics: Arrays,
        batch: tuple[Any, Any, Any],
        scale: jax.Array,
        share: jax.Array,
    ) -> Any:
        """Add the loss and the gradients of a part of a batch to sums."""
        loss, statistics, gradients = self._differentiate(
            weights, frozen, statistics, batch, scale, share
        )
        return (sums[0] + loss, jax.tree.map(jnp.add, sums[1], gradients)), statistics

    def _differentiate(
        self,
        weights: Arrays,
        frozen: Arrays,
        statistics: Arrays,
        batch: tuple[Any, Any, Any],
        scale: jax.Array,
        share: Any,
    ) -> Any:
        """Return the loss, the new running statistics and the gradients of a batch."""
        given = weights, frozen, statistics, batch, scale, share
        if self._mesh is None:
            return self._of_device(*given)
        specs = WHOLE, WHOLE, WHOLE, DIVIDED, WHOLE, WHOLE
        on_all = jax.shard_map(self._of_device, mesh=self._mesh, in_specs=specs, out_specs=WHOLE)
        return on_all(*given)

    def _of_device(
        self,
        weights: Arrays,
        frozen: Arrays,
        statistics: Arrays,
        batch: tuple[Any, Any, Any],
        scale: jax.Array,
        share: Any,
    ) -> Any:
        x, labels, masks = batch

        def compute(weights: Arrays) -> Any:
            outputs, updated = self._network(
                weights, frozen, statistics, x.astype(self._dtype), masks
            )
            outputs = mapped(outputs, lambda output: output.astype(self._dtype))
            loss = self._loss(outputs, labels) * share
            if self._mesh is not None:
                loss = lax.pmean(loss, AXIS)  # whose gradients are those of the whole batch
            return loss * scale, (loss, updated)

        gradients, (loss, updated) = jax.grad(compute, has_aux=True)(weights)
        if self._mesh is not None and not self._plan.sync_batch_norm:
            updated = [lax.pmean(value, AXIS) for value in updated]
        return loss, updated, gradients

    def _update(
        self,
        values: Values,
        frozen: Arrays,
        statistics: Arrays,
        loss: jax.Array,
        gradients: Arrays,
        scale: jax.Array,
    ) -> Any:
        """Return new values, the loss, and whether it and the gradients were finite."""
        finite = jnp.isfinite(loss)
        good = finite
        if self._plan.precision == "float16":
            gradients = [gradient / scale for gradient in gradients]
            good &= jnp.stack([jnp.isfinite(gradient).all() for gradient in gradients]).all()
        if self._plan.clip_norm is not None:
            gradients = _clipped(gradients, self._plan.clip_norm)
        weights_tree, slots_tree = self._trees
        count, state = slots_tree.unflatten(values.slots)
        rate = state.hyperparams["learning_rate"]
        decayed, gradients = self._decayed(values.weights, gradients, rate)
        weights = weights_tree.unflatten(decayed)
        updates, state = self._transform.update(weights_tree.unflatten(gradients), state, weights)
        weights = optax.apply_updates(weights, updates)
        weights = _where(good, jax.tree.leaves(weights), values.weights)
        statistics = _where(finite, statistics, values.statistics)
        slots = _where(good, jax.tree.leaves((count + 1, state)), values.slots)
        averages: Arrays = ()
        if self._plan.ema is not None:
            averages = self._average(self._plan.ema, weights, frozen, statistics, values.averages)
        averages = _where(finite, averages, values.averages)
        new = Values(weights, statistics, slots, averages)
        return new, loss, (finite, good)

    def _decayed(self, weights: Arrays, gradients: Arrays, rate: Any) -> tuple[Arrays, Arrays]:
        """Let weights decay apart from the optimizer, and return them and the gradients."""
        plan, decays = self._plan, [self._plan.apart(weight) for weight in weights]
        if not any(decays):
            return weights, gradients
        pairs = list(zip(weights, decays, strict=True))
        if plan.decoupled:
            return [weight * (1 - rate * decay) for weight, decay in pairs], gradients
        added = zip(gradients, pairs, strict=True)
        return weights, [gradient + decay * weight for gradient, (weight, decay) in added]

    def _average(
        self, kept: float, weights: Arrays, frozen: Arrays, statistics: Arrays, averages: Arrays
    ) -> list[jax.Array]:
        names = self._names
        now = dict(zip(names.weights, weights, strict=True))
        now |= dict(zip(names.frozen, frozen, strict=True))
        now |= dict(zip(names.statistics, statistics, strict=True))
        return [
            average + (1 - kept) * (now[name] - average)
            for name, average in zip(names.averages, averages, strict=True)
        ]


def compiled(
    parts: tuple[Any, Any],
    names: Names,
    paths: Mapping[str, Path],
    transform: optax.GradientTransformation,
    trees: tuple[Any, Any],
    loss: Loss,
    plan: Plan,
    dtype: Any,
    mesh: Any = None,
) -> Step:
    """Return a step, an earlier one if it is the same but for values and the learning rate.

    Args:
        parts: What :func:`split` returns.
        names: See :class:`Step`, as for the others.
        paths: Where in the model what they name is; it follows from the structure.
        transform: It follows from the plan.
        trees: As there.
        loss: It follows from the graph, which is in the structure, and from the plan.
        plan: As there.
        dtype: As there.
        mesh: As there.
    """
    key = parts[0], names, trees, replace(plan, rule=replace(plan.rule, lr=0)), dtype, mesh
    step = _steps.pop(key, None)
    if step is None:
        step = Step(Network(*parts, names, paths), names, transform, trees, loss, plan, dtype, mesh)
    _steps[key] = step
    if len(_steps) > _KEPT:
        del _steps[next(iter(_steps))]
    return step


class _Dropping:
    """Multiplies by a mask."""

    def __init__(self, mask: jax.Array) -> None:
        self._mask = mask

    def __call__(self, x: jax.Array) -> jax.Array:
        return x * self._mask.astype(x.dtype)


def _clipped(gradients: Arrays, largest: float) -> list[jax.Array]:
    norm = jnp.sqrt(sum(jnp.square(gradient).sum() for gradient in gradients))
    factor = jnp.minimum(largest / norm, 1)
    return [gradient * factor for gradient in gradients]


def _where(condition: jax.Array, new: Arrays, old: Arrays) -> list[jax.Array]:
    return [jnp.where(condition, a, b) for a, b in zip(new, old, strict=True)]
