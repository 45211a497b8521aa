"""Writes PyTorch models as programs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from zoo.backend.base import Array, Outputs
from zoo.backend.outputs import mapped
from zoo.backend.programs import Program, Run
from zoo.graphs.graph import graph_of
from zoo.torch.run import to_numpy


class ExportedProgram(Program):
    """What ``torch.export`` writes."""

    def write(self, model: Any, path: Path) -> None:
        model.eval()
        shape = graph_of(model).input_shape
        # Of a batch of 1 it would keep the number.
        example = torch.zeros((2, *shape), dtype=model._dtype, device="cpu")
        batch = torch.export.Dim("batch")
        with torch.no_grad():
            program = torch.export.export(model, (example,), dynamic_shapes=({0: batch},))
        torch.export.save(program, path)

    def read(self, path: Path) -> Run:
        module = torch.export.load(path).module()

        def run(x: Array) -> Outputs:
            with torch.no_grad():
                outputs: Outputs = mapped(module(torch.from_numpy(x)), to_numpy)
            return outputs

        return run
