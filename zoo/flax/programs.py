"""Writes Flax modules as programs."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import nnx

from zoo.backend.base import Array, Outputs
from zoo.backend.outputs import mapped
from zoo.backend.programs import Program, Run

#: Where a program runs, whatever it was written on.
_PLATFORMS = ("cpu", "cuda", "rocm", "tpu")


class StableHlo(Program):
    """What ``jax.export`` writes: StableHLO with the weights in it."""

    def write(self, model: nnx.Module, path: Path) -> None:
        model.eval()
        graph, (structure, state) = model.zoo_graph, nnx.split(model)
        names = [output.name for output in graph.outputs]

        def network(input: jax.Array) -> Any:
            outputs = nnx.merge(structure, state)(input)
            # JAX puts the keys of a plain dict in alphabetical order.
            return OrderedDict((name, outputs[name]) for name in names) if names[1:] else outputs

        channels, *size = graph.input_shape
        (batch,) = jax.export.symbolic_shape("batch")
        x = jax.ShapeDtypeStruct((batch, *size, channels), model._dtype)
        program = jax.export.export(jax.jit(network), platforms=_PLATFORMS)(x)
        path.write_bytes(program.serialize())

    def read(self, path: Path) -> Run:
        program = jax.export.deserialize(bytearray(path.read_bytes()))

        def run(x: Array) -> Outputs:
            outputs: Outputs = mapped(program.call(x), np.asarray)
            return outputs

        return run
