"""Reads the arrays in a pickle without running any code from it.

PaddlePaddle saves weights as a pickled dict of NumPy arrays. Here a pickle can only create numbers,
strings, tuples, lists, dicts, and inert records of the arrays and dtypes that it describes; any
other name in it is an error. NumPy never sees unchecked data: an array is made from a record only
after its dtype, shape and number of bytes have been checked against each other.
"""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from typing import Any

import ml_dtypes  # noqa: F401  (registers bfloat16 with NumPy)
import numpy as np

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]

#: dtype in a pickle -> NumPy dtype; PaddlePaddle writes the bits of bfloat16 as uint16
_DTYPES = {"f2": "f2", "f4": "f4", "f8": "f8", "i4": "i4", "i8": "i8", "u2": "bfloat16"}
_MAX_DIMENSIONS = 8
_COPIED = 1 << 16  # bytes; shorter parts are copied, longer ones are views of the file


def load(data: memoryview) -> Any:
    """Read a pickle of arrays in plain containers.

    Args:
        data: The whole file; large arrays are views of it.

    Returns:
        The contents, with arrays as :class:`Pickled`.

    Raises:
        pickle.UnpicklingError: It contains a name that is not allowed, or is not a pickle.
        Exception: Any error of Python's own unpickler, for a damaged pickle.
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
        """Return the array, as a view of the file's bytes.

        Raises:
            ValueError: The description is inconsistent.
        """
        match self.state:
            case (int(), tuple(shape), _Dtype() as dtype, bool(by_columns), data):
                kind = dtype.numpy()
            case _:
                raise ValueError("the description of an array is not valid")
        if not all(type(n) is int and n >= 0 for n in shape) or len(shape) > _MAX_DIMENSIONS:
            raise ValueError("the shape of an array is not valid")
        if (
            not isinstance(data, bytes | memoryview)
            or len(data) != math.prod(shape) * kind.itemsize
        ):
            raise ValueError("the number of bytes of an array does not match its shape")
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
            raise ValueError("an array has a dtype that weights cannot have")
        return np.dtype(_DTYPES[self.kind])


class _Call:
    """Stands in for a function of NumPy: a pickle can call it, but cannot change it."""

    __slots__ = ("make",)

    def __init__(self, make: Callable[..., Any]) -> None:
        self.make = make

    def __call__(self, *arguments: Any) -> Any:
        return self.make(*arguments)

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("it changes something that is not an array")


def _encoded(text: Any, encoding: Any) -> bytes:
    """Decode bytes from pickles of old protocols, which have no opcode for bytes."""
    if encoding != "latin1" or not isinstance(text, str):
        raise pickle.UnpicklingError("it encodes something that is not an array")
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


# Not the unpickler in C, which allocates as much memory as a number in the pickle requests.
class _Reader(pickle._Unpickler):
    dispatch = {
        code: pickle._Unpickler.dispatch[code]
        for code in (getattr(pickle, name)[0] for name in _OPCODES)
    }

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _KNOWN[module, name]
        except KeyError:
            raise pickle.UnpicklingError(
                f"it names {module:.100}.{name:.100}, which is not an array"
            ) from None


class _Bytes:
    """A file-like view of memory."""

    def __init__(self, data: memoryview) -> None:
        self.data, self.position = data, 0

    def read(self, size: int) -> bytes | memoryview:
        start, self.position = self.position, self.position + size
        if size < 0 or self.position > len(self.data):
            raise EOFError("the file is cut short")
        part = self.data[start : self.position]
        return bytes(part) if size < _COPIED else part

    def readline(self) -> bytes:
        line = bytes(self.data[self.position : self.position + 1000]).partition(b"\n")[0] + b"\n"
        return bytes(self.read(len(line)))
