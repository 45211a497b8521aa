"""Several devices in JAX: a mesh of them, of one process or of several."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

import jax
import numpy as np
from flax import nnx
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from zoo.backend import devices
from zoo.backend.devices import ALONE, Array, Group, check_size
from zoo.errors import BackendError
from zoo.flax import _private

#: The mesh's only axis, along which batches are divided.
AXIS = "batch"
WHOLE, DIVIDED = PartitionSpec(), PartitionSpec(AXIS)

#: What is in the errors of the libraries that connect processes.
_LOST = ("Gloo", "gloo", "coordination service", "NCCL", "Connection")


@dataclass(frozen=True)
class FlaxGroup(Group):
    """The devices of a mesh.

    Attributes:
        mesh: The devices of all processes.
        own: Those of this process.
    """

    mesh: Any = None
    own: Any = None

    def sum(self, values: Array) -> Array:
        if self.size == 1:
            return values
        # As integers, because JAX makes float32 of float64 unless it is told otherwise.
        words = np.array(values, np.float64).view(np.uint32)
        with devices.connected(_LOST):
            gathered = np.asarray(multihost_utils.process_allgather(words))
        return cast(Array, gathered.reshape(self.size, -1).view(np.float64).sum(0))

    def divided(self, array: Array) -> jax.Array:
        """Divide this process's part of a batch among its devices."""
        return self._place(array, DIVIDED)

    def copied(self, value: Any) -> jax.Array:
        """Copy a value to all devices; it is the same in all processes."""
        return self._place(np.asarray(value), WHOLE)

    def _place(self, array: Array, spec: PartitionSpec) -> jax.Array:
        sharding = NamedSharding(self.mesh, spec)
        return jax.make_array_from_process_local_data(sharding, np.asarray(array))


def group(number: int | None) -> Group:
    """Return the devices of a run; see :meth:`zoo.backend.base.Backend.group`."""
    if "JAX_COORDINATOR_ADDRESS" in os.environ and not jax.distributed.is_initialized():
        jax.distributed.initialize(
            num_processes=_variable("JAX_NUM_PROCESSES"), process_id=_variable("JAX_PROCESS_ID")
        )
    if jax.distributed.is_initialized():
        check_size("jax.distributed", number, jax.device_count())
        found, own = jax.devices(), jax.local_devices()
    elif number in (None, 1):
        return ALONE
    else:
        found = own = _local(number)
    return FlaxGroup(
        jax.process_index(),
        jax.process_count(),
        len(found),
        even=True,
        mesh=Mesh(np.array(found), (AXIS,)),
        own=Mesh(np.array(own), (AXIS,)),
    )


class Copies:
    """Values of Variables on all devices of a group, as long as the Variables have the same.

    A Variable itself has the copy on the process's first device, so that all else that is done with
    the model needs one device.
    """

    def __init__(self, group: FlaxGroup) -> None:
        self._group = group
        self._kept: dict[int, tuple[Any, jax.Array]] = {}

    def get(self, variable: nnx.Variable[Any]) -> jax.Array:
        """Return a Variable's value on all devices."""
        value = _private.raw(variable)
        own, copies = self._kept.get(id(variable), (None, None))
        return self._group.copied(value) if copies is None or own is not value else copies

    def set(self, variable: nnx.Variable[Any], copies: jax.Array) -> None:
        """Give a Variable a value that is on all devices."""
        own = copies.addressable_data(0)
        self._kept[id(variable)] = own, copies
        _private.set_raw(variable, own)


def predicting(group: FlaxGroup, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a compiled forward pass on all devices of the process.

    Args:
        group: The devices.
        function: A function of the values of Variables, and of x [N, ...].
    """
    whole, divided = (NamedSharding(group.own, spec) for spec in (WHOLE, DIVIDED))
    count = group.own.size

    def run(values: list[Any], x: Array) -> Any:
        missing = -len(x) % count
        full = np.concatenate([x, x[:1].repeat(missing, 0)]) if missing else x
        result = function(jax.device_put(values, whole), jax.device_put(full, divided))
        return jax.tree.map(lambda value: np.asarray(value)[: len(x)], result)

    return run


def _variable(name: str) -> int | None:
    """Return the value of an environment variable; without it, JAX asks the cluster."""
    value = os.environ.get(name)
    if value is not None and not value.isdecimal():
        raise BackendError(f"the environment variable {name} must be a number, got {value!r:.40}")
    return None if value is None else int(value)


def _local(number: int) -> list[Any]:
    """Return devices of this process; of a CPU, JAX makes as many as are asked for."""
    forced = "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
    if not forced and jax.config.jax_num_cpu_devices < number:
        with suppress(RuntimeError):  # JAX has been used before
            jax.config.update("jax_num_cpu_devices", number)
    found = jax.local_devices()
    if len(found) < number:
        raise BackendError(
            f"JAX has {len(found)} {found[0].platform.upper()} devices in this process, and "
            f"{number} are asked for; a CPU counts as several if "
            f'jax.config.update("jax_num_cpu_devices", {number}) comes before all else'
        )
    return found[:number]
