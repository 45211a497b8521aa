"""The types of ``zoo.build``, ``load`` and ``convert`` for each backend name.

The functions themselves are in ``models``, ``storage`` and ``conversion``. A stub can refer to the
types of all frameworks, because it is not imported at run time.
"""

import os
from collections.abc import Sequence
from typing import Any, Literal, TypedDict, Unpack, overload

import keras
import onnx
import paddle
import torch
from flax import nnx

from zoo.graphs.graph import Graph

_Path = str | os.PathLike[str]
_Torch = Literal["torch", "pytorch"]
_Paddle = Literal["paddle", "paddlepaddle"]
_Keras = Literal["keras", "tensorflow", "tf"]
_Flax = Literal["flax", "jax", "nnx"]
_Onnx = Literal["onnx"]

class _Build(TypedDict, total=False):
    aux: bool
    num_classes: int | None
    in_channels: int | None
    input_size: int | tuple[int, int] | None
    classes: Sequence[str] | None
    seed: int
    init: str
    dtype: str
    weights: str | os.PathLike[str] | None
    head: str | None
    stem: str | None
    entry: str | None

class _Load(TypedDict, total=False):
    aux: bool | None
    num_classes: int | None
    in_channels: int | None
    input_size: int | tuple[int, int] | None
    classes: Sequence[str] | None
    seed: int
    dtype: str | None
    head: str | None
    stem: str | None
    entry: str | None
    mmap: bool

@overload
def build(name: _Path | Graph, backend: _Torch, **options: Unpack[_Build]) -> torch.nn.Module: ...
@overload
def build(name: _Path | Graph, backend: _Paddle, **options: Unpack[_Build]) -> paddle.nn.Layer: ...
@overload
def build(name: _Path | Graph, backend: _Keras, **options: Unpack[_Build]) -> keras.Model: ...
@overload
def build(name: _Path | Graph, backend: _Flax, **options: Unpack[_Build]) -> nnx.Module: ...
@overload
def build(name: _Path | Graph, backend: _Onnx, **options: Unpack[_Build]) -> onnx.ModelProto: ...
@overload
def build(name: _Path | Graph, backend: str, **options: Unpack[_Build]) -> Any: ...
@overload
def load(path: _Path, backend: _Torch, **options: Unpack[_Load]) -> torch.nn.Module: ...
@overload
def load(path: _Path, backend: _Paddle, **options: Unpack[_Load]) -> paddle.nn.Layer: ...
@overload
def load(path: _Path, backend: _Keras, **options: Unpack[_Load]) -> keras.Model: ...
@overload
def load(path: _Path, backend: _Flax, **options: Unpack[_Load]) -> nnx.Module: ...
@overload
def load(path: _Path, backend: _Onnx, **options: Unpack[_Load]) -> onnx.ModelProto: ...
@overload
def load(path: _Path, backend: str, **options: Unpack[_Load]) -> Any: ...
@overload
def convert(model: Any, backend: _Torch) -> torch.nn.Module: ...
@overload
def convert(model: Any, backend: _Paddle) -> paddle.nn.Layer: ...
@overload
def convert(model: Any, backend: _Keras) -> keras.Model: ...
@overload
def convert(model: Any, backend: _Flax) -> nnx.Module: ...
@overload
def convert(model: Any, backend: _Onnx) -> onnx.ModelProto: ...
@overload
def convert(model: Any, backend: str) -> Any: ...
