"""A backend's table of parameters, and conversion between its layouts and the canonical ones.

Every backend has a table ``PARAMETERS`` in its package, which is read before its framework is
imported: operation -> canonical name -> :class:`Slot`, which gives the framework's own name and
order of axes. A parameter that is not in the table has its canonical name and the canonical layout.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from zoo.graphs.layouts import outputs_first, outputs_last
from zoo.graphs.shapes import Map, Shape

Array = np.ndarray[tuple[int, ...], np.dtype[Any]]


class Slot(NamedTuple):
    """Name and layout of a parameter in a framework's layer.

    Attributes:
        name: The layer's own name for it.
        axes: ``OIHW`` or ``HWIO`` for a convolution's kernel, ``HWCM`` for a depthwise one's,
            ``OI`` or ``IO`` for a linear layer's, ``C`` for a vector.
    """

    name: str
    axes: str = "C"


Table = Mapping[str, Mapping[str, Slot]]

#: The canonical layout of each operation's kernel.
CANONICAL = {"conv": "OIHW", "linear": "OI"}


@dataclass(frozen=True)
class Tensor:
    """A parameter or running statistic of a model.

    Attributes:
        handle: The framework's object for it: a tensor or a Variable.
        shape: Its shape in the framework.
        axes: The order of its axes in the framework; see :class:`Slot`.
        layout: ``(C, H, W)`` if it is a linear layer's kernel whose inputs are a flattened map in
            HWC order.
    """

    handle: Any
    shape: Shape
    axes: str = "C"
    layout: Map | None = None

    @classmethod
    def canonical(cls, handle: Any) -> Tensor:
        """Describe an object that is in the canonical layout.

        Args:
            handle: Any object with a ``shape``.
        """
        shape = tuple(handle.shape)
        return cls(handle, shape, {4: "OIHW", 2: "OI"}.get(len(shape), "C"))

    @property
    def canonical_shape(self) -> Shape:
        """Its shape in the canonical layout."""
        shape = tuple(self.shape)
        match self.axes:
            case "HWIO" | "IO":
                return (*shape[:-3:-1], *shape[:-2])
            case "HWCM":
                return (shape[2] * shape[3], 1, *shape[:2])
            case "C":
                return tuple(n for n in shape if n > 1) or shape[:1]
            case _:
                return shape

    def to_canonical(self, array: Array) -> Array:
        """Copy an array from the framework's layout to the canonical one.

        Args:
            array: The tensor's value or gradient, in the tensor's shape.
        """
        if self.axes in ("OIHW", "OI", "C"):
            return np.array(array, order="C").reshape(self.canonical_shape)
        outputs, inputs, *window = self.canonical_shape
        return outputs_first(array.reshape(*window, inputs, outputs), self.layout)

    def to_native(self, array: Array) -> Array:
        """Copy a canonical array to the framework's layout."""
        return to_native(array, self.axes, self.layout).reshape(self.shape)


def to_native(array: Array, axes: str, layout: Map | None = None) -> Array:
    """Copy a canonical array to another order of axes.

    Args:
        array: A kernel [O, I, H, W] or [O, I], or a vector.
        axes: See :class:`Slot`.
        layout: See :class:`Tensor`.

    Example:
        >>> to_native(np.zeros((64, 3, 7, 5)), "HWIO").shape
        (7, 5, 3, 64)
    """
    if axes in ("OIHW", "OI", "C"):
        return array.copy()
    return outputs_last(array, layout)


def slot(table: Table, op: str, name: str) -> Slot:
    """Return the name and layout of a parameter in a backend.

    Args:
        table: The backend's table.
        op: The operation.
        name: The parameter's canonical local name, such as ``weight``.
    """
    axes = CANONICAL.get(op, "C") if name == "weight" else "C"
    return table.get(op, {}).get(name, Slot(name, axes))


def convention(
    table: Table, flatten: str, left_out: Iterable[str] = (), numbered: bool = False
) -> dict[str, Any]:
    """Convert a table to the form of a source of weights, to read models and files with it.

    Args:
        table: The backend's table.
        flatten: ``CHW`` or ``HWC``: the order in which the framework flattens a map.
        left_out: Patterns of names that have no counterpart in zoo.
        numbered: Whether files may have numbers in place of the names of a layer's parameters.
    """
    layouts = {op: slot(table, op, "weight").axes for op in ("conv", "linear")}
    if "depthwise" in table:
        layouts["depthwise"] = table["depthwise"]["weight"].axes
    parameters = {
        op: {name: [native.name] for name, native in slots.items() if native.name != name}
        for op, slots in table.items()
        if op != "depthwise"
    }
    return {
        "layouts": {**layouts, "flatten": flatten},
        "parameters": {op: slots for op, slots in parameters.items() if slots},
        "left_out": list(left_out),
        **({"numbers": True} if numbered else {}),
    }
