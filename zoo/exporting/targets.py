"""The table of targets: what ``zoo.export`` writes, who writes it, and who reads it back."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from zoo import arguments
from zoo.backend import registry
from zoo.backend.programs import Program
from zoo.errors import BackendError, InputError, UnknownNameError, suggestion


@dataclass(frozen=True)
class Target:
    """A form of program.

    Attributes:
        name: Name for callers.
        title: What it is.
        written_by: What writes it, for readers of the documentation.
        engine: The runtime that the written program is read back with.
        backend: The backend whose models it is written from; others are converted.
        implementation: ``module:class`` of its :class:`zoo.backend.programs.Program`.
        suffix: How the name of its file ends; empty for a folder.
        contents: What is in its folder; a folder with anything else is not replaced.
        beside: How the names of files beside it end.
        needs: Module that it needs beside the backend's -> what pip installs it with.
        needs_to_check: The same of modules that only reading it needs.
        dtypes: The dtypes that its engine computes in on a CPU.
    """

    name: str
    title: str
    written_by: str
    engine: str
    backend: str
    implementation: str
    suffix: str = ""
    contents: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    needs: Mapping[str, str] = field(default_factory=dict)
    needs_to_check: Mapping[str, str] = field(default_factory=dict)
    dtypes: tuple[str, ...] = ("float32",)

    @property
    def ending(self) -> str:
        """What stands on the disk, in words."""
        files = " and ".join(f"`{suffix}`" for suffix in (self.suffix, *self.beside))
        return files if self.suffix else "folder"

    def program(self, check: bool) -> Program:
        """Import what writes and reads it.

        Args:
            check: Whether it will be read.

        Raises:
            BackendError: A package is missing.
        """
        needed = {**self.needs, **(self.needs_to_check if check else {})}
        for module, requirement in needed.items():
            if not registry.is_importable(module):
                purpose, otherwise = f"write {self.title}", ""
                if module in self.needs_to_check:
                    purpose = "compare the program with the model"
                    otherwise = "; or pass check=False"
                raise BackendError(
                    f"to {purpose}, zoo needs {module}: "
                    f"python -m pip install '{requirement}'{otherwise}"
                )
        registry.load(self.backend)
        module, _, name = self.implementation.partition(":")
        program = getattr(importlib.import_module(module), name)()
        assert isinstance(program, Program)
        return program


_BOTH = ("float32", "float64")

#: Every target, in the order of the documentation.
TARGETS = (
    Target(
        name="onnx",
        title="ONNX",
        written_by="zoo, from the graph",
        engine="ONNX Runtime",
        backend="onnx",
        implementation="zoo.onnx.programs:Onnx",
        suffix=".onnx",
        needs_to_check={"onnxruntime": "polyzoo[onnx]"},
    ),
    Target(
        name="openvino",
        title="OpenVINO",
        written_by="OpenVINO, from ONNX",
        engine="OpenVINO",
        backend="onnx",
        implementation="zoo.onnx.programs:OpenVino",
        suffix=".xml",
        beside=(".bin",),
        needs={"openvino": "polyzoo[openvino]"},
    ),
    Target(
        name="torch",
        title="PyTorch's exported program",
        written_by="`torch.export`",
        engine="PyTorch",
        backend="torch",
        implementation="zoo.torch.programs:ExportedProgram",
        suffix=".pt2",
        dtypes=_BOTH,
    ),
    Target(
        name="savedmodel",
        title="TensorFlow's SavedModel",
        written_by="Keras' `export`",
        engine="TensorFlow",
        backend="keras",
        implementation="zoo.keras.programs:SavedModel",
        contents=("assets", "fingerprint.pb", "saved_model.pb", "variables"),
        dtypes=_BOTH,
    ),
    Target(
        name="litert",
        title="LiteRT",
        written_by="Keras' `export`",
        engine="LiteRT",
        backend="keras",
        implementation="zoo.keras.programs:LiteRT",
        suffix=".tflite",
    ),
    Target(
        name="paddle",
        title="Paddle's inference program",
        written_by="`paddle.jit.save`",
        engine="Paddle Inference",
        backend="paddle",
        implementation="zoo.paddle.programs:InferenceProgram",
        contents=("inference.json", "inference.pdiparams"),
        dtypes=_BOTH,
    ),
    Target(
        name="jax",
        title="JAX's exported StableHLO",
        written_by="`jax.export`",
        engine="JAX",
        backend="flax",
        implementation="zoo.flax.programs:StableHlo",
        suffix=".jaxexport",
        dtypes=_BOTH,
    ),
)

_BY_NAME = {target.name: target for target in TARGETS}


def choose(path: Path, to: str | None, title: str = "") -> Target:
    """Return the target that a caller means.

    Args:
        path: Where it is written; if ``to`` is not given, its ending says what.
        to: The name of a target.
        title: What to call the path in an error; by default, as it is.

    Raises:
        UnknownNameError: There is no target of that name.
        InputError: The path does not end as the target does, or the ending says nothing.

    Example:
        >>> choose(Path("googlenet.onnx"), None).title, choose(Path("googlenet"), "paddle").name
        ('ONNX', 'paddle')
    """
    by_suffix = {target.suffix: target for target in TARGETS if target.suffix}
    title = title or str(path)
    if to is None:
        if path.suffix not in by_suffix:
            folders = " or ".join(f"to={t.name!r}" for t in TARGETS if not t.suffix)
            raise InputError(
                f"{title}: its suffix does not say what to write; expected one of "
                f"{', '.join(by_suffix)}, or {folders} for a folder"
            )
        return by_suffix[path.suffix]
    if not isinstance(to, str) or to not in _BY_NAME:
        hint = suggestion(to, _BY_NAME) or f". Known: {', '.join(_BY_NAME)}."
        raise UnknownNameError(f"unknown target {arguments.shown(to)}{hint}")
    target = _BY_NAME[to]
    if target.suffix and path.suffix != target.suffix:
        raise InputError(f"{title}: {target.title} needs a name that ends in {target.suffix}")
    if not target.suffix and path.suffix in by_suffix:
        other = by_suffix[path.suffix].title
        raise InputError(f"{title}: {target.title} is a folder, and {path.suffix} is for {other}")
    return target
