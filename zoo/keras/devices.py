"""Several devices in Keras on TensorFlow: a strategy of ``tf.distribute``."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

import numpy as np
import tensorflow as tf

from zoo.backend import devices
from zoo.backend.devices import ALONE, Array, Group, check_size
from zoo.errors import BackendError

#: What is in the errors of the libraries that connect processes.
_LOST = ("Collective ops is aborted", "coordination", "Connection", "UNAVAILABLE")


@dataclass(frozen=True)
class KerasGroup(Group):
    """The replicas of a strategy.

    Attributes:
        strategy: The strategy.
    """

    strategy: Any = None

    @property
    def local(self) -> int:
        """How many of the devices are this process's."""
        return self.devices // self.size

    def sum(self, values: Array) -> Array:
        if self.size == 1:
            return values
        share = tf.constant(np.asarray(values, np.float64) / self.local)
        with devices.connected(_LOST):
            given = self.strategy.experimental_distribute_values_from_function(lambda _: share)
            return cast(
                Array, self.strategy.reduce(tf.distribute.ReduceOp.SUM, given, None).numpy()
            )

    def divided(self, make: Callable[[Any], Any], values: Any) -> Any:
        """Divide this process's part of a batch among its devices.

        Args:
            make: Makes a tensor of an array.
            values: Arrays [N, ...], in dicts and tuples.
        """
        first, count = self.rank * self.local, self.local

        def of(context: Any) -> Any:
            number = context.replica_id_in_sync_group - first
            return tf.nest.map_structure(
                lambda array: make(np.array_split(array, count)[number]), values
            )

        return self.strategy.experimental_distribute_values_from_function(of)

    def total(self, values: Any) -> Any:
        """Add up tensors that each device has."""
        return tf.nest.map_structure(
            lambda value: self.strategy.reduce(tf.distribute.ReduceOp.SUM, value, None), values
        )

    def joined(self, values: Any) -> Any:
        """Join what this process's devices have, along the first axis."""
        own = self.strategy.experimental_local_results
        if isinstance(values, Mapping):
            return {name: self.joined(value) for name, value in values.items()}
        return np.concatenate([np.asarray(value) for value in own(values)])


@cache
def _totals(group: KerasGroup, shape: Any) -> Any:
    """Return a compiled sum of vectors; TensorFlow would compile one at each call."""
    return tf.function(group.total, autograph=False)


def group(number: int | None) -> Group:
    """Return the devices of a run; see :meth:`zoo.backend.base.Backend.group`."""
    if "TF_CONFIG" in os.environ:
        strategy, rank, size = _several_processes()
        check_size("TF_CONFIG", number, strategy.num_replicas_in_sync)
    elif number in (None, 1):
        return ALONE
    else:
        found = _local(number)
        strategy, rank, size = tf.distribute.MirroredStrategy(found), 0, 1
    return KerasGroup(rank, size, strategy.num_replicas_in_sync, strategy=strategy)


def _several_processes() -> tuple[Any, int, int]:
    """Return a strategy of the processes that the variable TF_CONFIG names."""
    try:
        config = json.loads(os.environ["TF_CONFIG"])
        rank, size = int(config["task"]["index"]), len(config["cluster"]["worker"])
    except (ValueError, LookupError, TypeError):
        raise BackendError(
            'the environment variable TF_CONFIG must be {"cluster": {"worker": [ADDRESS:PORT, …]}, '
            '"task": {"type": "worker", "index": NUMBER}}'
        ) from None
    return _strategy(), rank, size


def _strategy() -> Any:
    global _kept
    if _kept is None:  # TensorFlow connects a process once
        try:
            _kept = tf.distribute.MultiWorkerMirroredStrategy()
        except RuntimeError as error:
            raise BackendError(f"TensorFlow cannot connect the processes: {error}") from None
    return _kept


_kept: Any = None


def _local(number: int) -> list[str]:
    """Return devices of this process; of a CPU, TensorFlow makes as many as are asked for."""
    kind = "GPU" if len(tf.config.list_physical_devices("GPU")) >= number else "CPU"
    if kind == "CPU":
        cpu = tf.config.list_physical_devices("CPU")[0]
        with suppress(RuntimeError):  # TensorFlow has been used before
            made = tf.config.get_logical_device_configuration(cpu)
            if made is None or len(made) < number:
                parts = [tf.config.LogicalDeviceConfiguration()] * number
                tf.config.set_logical_device_configuration(cpu, parts)
    found = [device.name for device in tf.config.list_logical_devices(kind)]
    if len(found) < number:
        raise BackendError(
            f"TensorFlow has {len(found)} {kind} devices in this process, and {number} are asked "
            "for; a CPU counts as several if tf.config.set_logical_device_configuration comes "
            "before all else"
        )
    return found[:number]
