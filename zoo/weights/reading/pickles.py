"""Reads the arrays in a pickle without running any code from it.

PaddlePaddle saves weights as a pickled dict of NumPy arrays, and PyTorch as a pickled dict of
tensors, often together with objects of other classes. Here a pickle can only create numbers,
strings, tuples, lists, dicts, and inert records: of the arrays that it describes, and of everything
else, of which only the name is kept. NumPy never sees unchecked data: an array is made from a
record only after its dtype, shape and number of bytes have been checked against each other.

A pickle is a program, and a short one can do much. So it has a budget: a number of instructions,
and a number of bytes and items that it may make, in proportion to its own length. The keys of a
dict are strings or integers, whose hashes cost little; items with other keys are omitted. Neither
this module nor the code that uses the result is recursive, so nesting costs no more than its
instructions.
"""

from __future__ import annotations

import math
import pickle
import pickletools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

import ml_dtypes  # noqa: F401  (registers bfloat16 with NumPy)
import numpy as np

from zoo.weights.checkpoint import Array, Stored

MAX_INSTRUCTIONS = 1_000_000  # 20,000 arrays need about 800,000

#: dtype in a pickle -> NumPy dtype; PaddlePaddle writes the bits of bfloat16 as uint16
_DTYPES = {
    **{name: name for name in "f2 f4 f8 i1 i2 i4 i8 u1 u4 u8 b1 c8 c16".split()},
    "u2": "bfloat16",
}
_MAX_DIMENSIONS = 8
_COPIED = 1 << 16  # bytes; shorter parts are copied, longer ones are views of the file
_MAX_LINE = 1_000  # bytes of a name
_MAX_KEY = (1 << 61) - 1  # integers from here on may have the same hash
_SMALL = 100_000  # bytes and items that even the shortest pickle may make


class Call:
    """Stands in for a function: a pickle can call it, but cannot change it.

    Args:
        make: What it does. It checks its arguments, and takes no longer for large ones.
    """

    __slots__ = ("make",)

    def __init__(self, make: Callable[..., Any]) -> None:
        self.make = make


class Record:
    """Something that a pickle describes with a state.

    Attributes:
        state: The state, unchecked.
    """

    __slots__ = ("state",)

    def __init__(self) -> None:
        self.state: Any = None


class Other(Record):
    """An object of any other class, or the class or function itself; nothing of it is run.

    Attributes:
        name: The module and the name of its class.
    """

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name


#: Module and name in a pickle -> what stands for it.
Known: TypeAlias = Mapping[tuple[str, str], Any]


class Pickled(Record):
    """An array as a pickle describes it."""

    __slots__ = ()

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
        check_shape(shape)
        if (
            not isinstance(data, bytes | memoryview)
            or len(data) != math.prod(shape) * kind.itemsize
        ):
            raise ValueError("the number of bytes of an array does not match its shape")
        return np.frombuffer(data, kind).reshape(shape, order="F" if by_columns else "C")


class _Dtype(Record):
    """A dtype as a pickle describes it."""

    __slots__ = ("kind",)

    def __init__(self, kind: Any) -> None:
        super().__init__()
        self.kind = kind

    def numpy(self) -> np.dtype[Any]:
        order = self.state[1] if isinstance(self.state, tuple) and len(self.state) > 1 else "<"
        if not isinstance(self.kind, str) or self.kind not in _DTYPES or order not in ("<", "|"):
            raise ValueError("an array has a dtype that weights cannot have")
        return np.dtype(_DTYPES[self.kind])


def check_shape(shape: tuple[Any, ...]) -> None:
    """Check that a tuple from a pickle is the shape of an array.

    Raises:
        ValueError: It is not.
    """
    if len(shape) > _MAX_DIMENSIONS or not all(type(n) is int and n >= 0 for n in shape):
        raise ValueError("the shape of an array is not valid")


def _encoded(text: Any, encoding: Any) -> bytes:
    """Decode bytes from pickles of old protocols, which have no opcode for bytes."""
    if encoding != "latin1" or not isinstance(text, str):
        raise pickle.UnpicklingError("it encodes something that is not an array")
    return text.encode("latin-1")


def _same(items: Any) -> tuple[Any, ...]:
    if not isinstance(items, tuple):
        raise pickle.UnpicklingError("it makes a tuple of something that is not one")
    return items


_ARRAY = Call(lambda *_: Pickled())
_SET = Other("builtins.set")
_DICT = Call(lambda *_: {})
_TUPLE = Call(_same)  # with which PaddlePaddle writes a tensor and its name
#: What arrays of NumPy, and the dicts that all frameworks write, are made of.
KNOWN: Known = {
    ("collections", "OrderedDict"): _DICT,
    ("collections", "defaultdict"): _DICT,
    ("numpy", "ndarray"): _ARRAY,
    ("numpy", "dtype"): Call(lambda kind, *_: _Dtype(kind)),
    ("numpy.core.multiarray", "_reconstruct"): _ARRAY,
    ("numpy._core.multiarray", "_reconstruct"): _ARRAY,
    ("_codecs", "encode"): Call(_encoded),
    ("builtins", "tuple"): _TUPLE,
    ("__builtin__", "tuple"): _TUPLE,
}


def load(data: memoryview) -> Any:
    """Read a pickle of NumPy's arrays in plain containers.

    Args:
        data: The whole file; large arrays are views of it.

    Returns:
        The contents, with arrays as :class:`Pickled`.

    Raises:
        pickle.UnpicklingError: It contains an instruction that is not allowed, or does too much.
        Exception: Any error of Python's own, for a damaged pickle.
    """
    return Reader(data, KNOWN).load()


def stored(value: Any) -> Stored | None:
    """Return an array of NumPy, if that is what a value from a pickle describes.

    Raises:
        ValueError: The description is inconsistent.
    """
    if isinstance(value, tuple) and len(value) == 2:  # PaddlePaddle's tensor, with its name
        value = value[1]
    if not isinstance(value, Pickled):
        return None
    array = value.array()
    return Stored(array.shape, array.dtype.name, lambda: np.array(array, order="C"))


class Reader:
    """Reads pickles that follow one another.

    Args:
        data: The whole file.
        known: What stands for names in them; an :class:`Other` for any other name.
        persistent: Returns what stands for something that is stored outside of a pickle.

    Attributes:
        position: The number of bytes that have been read.
    """

    def __init__(
        self, data: memoryview, known: Known, persistent: Callable[[Any], Any] | None = None
    ) -> None:
        self.data, self.known, self.persistent = data, known, persistent
        self.position = self.instructions = self.made = 0

    def load(self) -> Any:
        """Read the next pickle.

        Raises:
            Exception: As :func:`load`.
        """
        stack: list[Any] = []
        marks: list[int] = []
        memo: dict[int, Any] = {}

        def pop_items() -> list[Any]:
            start = marks.pop()
            items = stack[start:]
            del stack[start:]
            return items

        file: Any = self  # which has the two methods of a file that are used
        instructions: Iterator[tuple[Any, Any, Any]] = pickletools.genops(file)
        for opcode, argument, _ in instructions:
            self.instructions += 1
            if self.instructions > MAX_INSTRUCTIONS:
                raise pickle.UnpicklingError(f"it has more than {MAX_INSTRUCTIONS:,} instructions")
            name = opcode.name
            if name in _VALUES:
                stack.append(argument)
                continue
            match name:
                case "PROTO" | "FRAME":  # frames only make reading from a disk faster
                    pass
                case "STOP":
                    return stack.pop()
                case "MARK":
                    marks.append(len(stack))
                case "NONE" | "NEWTRUE" | "NEWFALSE":
                    stack.append(_CONSTANTS[name])
                case "EMPTY_TUPLE":
                    stack.append(())
                case "TUPLE1" | "TUPLE2" | "TUPLE3":
                    marks.append(len(stack) - int(name[-1]))
                    stack.append(tuple(pop_items()))
                case "TUPLE":
                    stack.append(tuple(pop_items()))
                case "EMPTY_LIST":
                    stack.append([])
                case "APPEND" | "APPENDS":
                    items = pop_items() if name == "APPENDS" else [stack.pop()]
                    if not isinstance(stack[-1], Other):
                        _of(list, stack[-1]).extend(items)
                case "EMPTY_SET":
                    stack.append(_SET)
                case "ADDITEMS":
                    pop_items()
                    _of(Other, stack[-1])
                case "FROZENSET":
                    pop_items()
                    stack.append(_SET)
                case "EMPTY_DICT":
                    stack.append({})
                case "SETITEM":
                    value, key = stack.pop(), stack.pop()
                    self.set(stack[-1], [key, value])
                case "SETITEMS":
                    items = pop_items()
                    self.set(stack[-1], items)
                case "MEMOIZE":
                    memo[len(memo)] = stack[-1]
                case "BINPUT" | "LONG_BINPUT":
                    memo[argument] = stack[-1]
                case "BINGET" | "LONG_BINGET":
                    stack.append(memo[argument])
                case "GLOBAL":
                    stack.append(self.find(*argument.split(" ", 1)))
                case "STACK_GLOBAL":
                    attribute, module = stack.pop(), stack.pop()
                    stack.append(self.find(module, attribute))
                case "REDUCE" | "NEWOBJ":
                    arguments = stack.pop()
                    stack.append(self.call(stack.pop(), arguments))
                case "NEWOBJ_EX":
                    del stack[-1]  # arguments by name
                    arguments = stack.pop()
                    stack.append(self.call(stack.pop(), arguments))
                case "BUILD":
                    state = stack.pop()
                    if not isinstance(stack[-1], dict):  # what a dict has besides its items
                        _of(Record, stack[-1]).state = state
                case "BINPERSID" if self.persistent:
                    stack.append(self.persistent(stack.pop()))
                case _:
                    raise pickle.UnpicklingError(
                        f"it has the instruction {name}, which no array needs"
                    )
        raise EOFError("the file is truncated")

    def set(self, target: Any, items: list[Any]) -> None:
        """Put keys and values into a dict."""
        if len(items) % 2:
            raise pickle.UnpicklingError("a key has no value")
        if isinstance(target, Other):
            return
        for key, value in zip(items[::2], items[1::2], strict=True):
            if type(key) is bytes:
                key = key.decode(errors="backslashreplace")
            if type(key) is str:
                self.make(len(key))  # which may be compared with another
            elif type(key) is not int or abs(key) >= _MAX_KEY:
                continue
            _of(dict, target)[key] = value

    def find(self, module: Any, name: Any) -> Any:
        """Return what stands for a name."""
        if type(module) is not str or type(name) is not str:
            raise pickle.UnpicklingError("the name of a function is not text")
        known = self.known.get((module, name))
        return Other(f"{module:.100}.{name:.100}") if known is None else known

    def call(self, function: Any, arguments: Any) -> Any:
        """Call what stands for a function."""
        self.make(len(_of(tuple, arguments)))
        if isinstance(function, Other):
            owner = arguments[0] if function.name == "builtins.getattr" and arguments else None
            return Other(owner.name if isinstance(owner, Other) else function.name)
        try:
            value = _of(Call, function).make(*arguments)
        except TypeError:
            raise pickle.UnpicklingError("it calls a function with unexpected arguments") from None
        if isinstance(value, bytes):
            self.make(len(value))
        if function is _DICT and arguments and isinstance(arguments[0], list):
            for pair in arguments[0]:  # as Python 2 writes an OrderedDict
                self.make(2)
                self.set(value, _of(list, pair))
        return value

    def make(self, count: int) -> None:
        """Count bytes or items that the pickle makes."""
        self.made += count
        if self.made > 2 * len(self.data) + _SMALL:
            raise pickle.UnpicklingError("it creates far more data than the file contains")

    def read(self, size: int) -> bytes | memoryview:
        """Return the next bytes of the file, where they are many as a view of it."""
        start, self.position = self.position, self.position + size
        if size < 0 or self.position > len(self.data):
            raise EOFError("the file is truncated")
        part = self.data[start : self.position]
        return bytes(part) if size < _COPIED else part

    def readline(self) -> bytes:
        """Return the rest of a line, which is a name."""
        line = bytes(self.data[self.position : self.position + _MAX_LINE]).partition(b"\n")[0]
        return bytes(self.read(len(line) + 1))


def _of(kind: type[Any], value: Any) -> Any:
    """Return a value that must be of some type."""
    if not isinstance(value, kind):
        raise pickle.UnpicklingError("it changes or calls something that is not an array")
    return value


_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}

#: The instructions that are a value.
_VALUES = frozenset(
    "BININT BININT1 BININT2 LONG1 BINFLOAT BINUNICODE SHORT_BINUNICODE BINUNICODE8 "
    "BINBYTES SHORT_BINBYTES BINBYTES8 BINSTRING SHORT_BINSTRING".split()
)
