"""Reads the arrays of a pickle without running what it says.

PaddlePaddle saves its weights as a pickled dict of NumPy arrays. Here a pickle can make numbers,
text, tuples, lists, dicts, and inert records of the arrays and dtypes it describes; whatever else
it names is an error. No function of NumPy's sees what a hostile file says: an array is made from
a record only once its dtype, shape and number of bytes have been found to agree.
"""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from typing import Any

import ml_dtypes  # noqa: F401  (makes NumPy know the name bfloat16)
import numpy as np

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]

#: dtype in a pickle -> NumPy's; PaddlePaddle writes bfloat16 as its bits
_DTYPES = {"f2": "f2", "f4": "f4", "f8": "f8", "i4": "i4", "i8": "i8", "u2": "bfloat16"}
_MAX_DIMENSIONS = 8
_COPIED = 1 << 16  # bytes that are copied when read; longer ones stay where they are


def load(data: memoryview) -> Any:
    """Read a pickle of arrays in plain containers.

    Args:
        data: The whole file; large arrays stay where they are in it.

    Returns:
        What it holds, arrays being :class:`Pickled`.

    Raises:
        pickle.UnpicklingError: It names what it may not, or is none.
        Exception: Whatever a damaged one makes Python's own reader stumble over.
    """
    file: Any = _Bytes(data)
    return _Reader(file).load()


class Pickled:
    """An array as a pickle describes it."""

    __slots__ = ("state",)

    def __init__(self) -> None:
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def array(self) -> Array:
        """Make the array, over the file's own bytes.

        Raises:
            ValueError: The description does not hold together.
        """
        match self.state:
            case (int(), tuple(shape), _Dtype() as dtype, bool(by_columns), data):
                kind = dtype.numpy()
            case _:
                raise ValueError("an array is described wrongly")
        if not all(type(n) is int and n >= 0 for n in shape) or len(shape) > _MAX_DIMENSIONS:
            raise ValueError("an array has a shape that cannot be")
        if (
            not isinstance(data, bytes | memoryview)
            or len(data) != math.prod(shape) * kind.itemsize
        ):
            raise ValueError("an array has not as many bytes as its shape says")
        return np.frombuffer(data, kind).reshape(shape, order="F" if by_columns else "C")


class _Dtype:
    """A dtype as a pickle describes it."""

    __slots__ = ("kind", "state")

    def __init__(self, kind: Any) -> None:
        self.kind, self.state = kind, None

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def numpy(self) -> np.dtype[Any]:
        order = self.state[1] if isinstance(self.state, tuple) and len(self.state) > 1 else "<"
        if not isinstance(self.kind, str) or self.kind not in _DTYPES or order not in ("<", "|"):
            raise ValueError("an array has a dtype that weights have not")
        return np.dtype(_DTYPES[self.kind])


class _Call:
    """Stands for a function of NumPy's: a pickle can call it, and change nothing of it."""

    __slots__ = ("make",)

    def __init__(self, make: Callable[..., Any]) -> None:
        self.make = make

    def __call__(self, *arguments: Any) -> Any:
        return self.make(*arguments)

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("it changes what is no array")


def _encoded(text: Any, encoding: Any) -> bytes:
    """Bytes, as pickles had them before there was an opcode for bytes."""
    if encoding != "latin1" or not isinstance(text, str):
        raise pickle.UnpicklingError("it encodes what is no array")
    return text.encode("latin-1")


_ARRAY = _Call(lambda *_: Pickled())
_TUPLE = _Call(lambda items=(): tuple(items))
_KNOWN = {
    ("numpy", "ndarray"): _ARRAY,
    ("numpy", "dtype"): _Call(lambda kind, *_: _Dtype(kind)),
    ("numpy.core.multiarray", "_reconstruct"): _ARRAY,
    ("numpy._core.multiarray", "_reconstruct"): _ARRAY,
    ("_codecs", "encode"): _Call(_encoded),
    ("builtins", "tuple"): _TUPLE,
    ("__builtin__", "tuple"): _TUPLE,
    ("collections", "OrderedDict"): _Call(lambda items=(): dict(items)),
}

_OPCODES = (
    "PROTO FRAME STOP MARK POP POP_MARK DUP NONE NEWTRUE NEWFALSE INT BININT BININT1 BININT2 LONG "
    "LONG1 LONG4 FLOAT BINFLOAT UNICODE BINUNICODE SHORT_BINUNICODE BINUNICODE8 "
    "BINBYTES SHORT_BINBYTES BINBYTES8 TUPLE EMPTY_TUPLE TUPLE1 TUPLE2 TUPLE3 "
    "LIST EMPTY_LIST APPEND APPENDS DICT EMPTY_DICT SETITEM SETITEMS "
    "GET BINGET LONG_BINGET PUT BINPUT LONG_BINPUT MEMOIZE GLOBAL STACK_GLOBAL REDUCE BUILD"
).split()


# Not the reader in C, which takes a number in a pickle for the length of a list and fills memory.
class _Reader(pickle._Unpickler):
    dispatch = {
        code: pickle._Unpickler.dispatch[code]
        for code in (getattr(pickle, name)[0] for name in _OPCODES)
    }

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _KNOWN[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which is no array") from None


class _Bytes:
    """Memory, to be read as a file is."""

    def __init__(self, data: memoryview) -> None:
        self.data, self.at = data, 0

    def read(self, size: int) -> bytes | memoryview:
        start, self.at = self.at, self.at + size
        if size < 0 or self.at > len(self.data):
            raise EOFError("the file ends too early")
        part = self.data[start : self.at]
        return bytes(part) if size < _COPIED else part

    def readline(self) -> bytes:
        line = bytes(self.data[self.at : self.at + 1000]).partition(b"\n")[0] + b"\n"
        return bytes(self.read(len(line)))
