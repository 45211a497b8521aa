"""A backend's table of parameters, and conversion between its layouts and the canonical ones.

Every backend has a table ``PARAMETERS`` in its package, which is read before its framework is
imported: operation -> canonical name -> :class:`Slot`, which gives the framework's own name and
order of axes. A parameter that is not in the table has its canonical name and the canonical layout.
An operation of another package says this itself: see ``parameters`` of :class:`zoo.ops.base.Op`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from zoo.errors import BackendError
from zoo.graphs.graph import own_graph
from zoo.graphs.layouts import outputs_first, outputs_last
from zoo.graphs.nodes import Node
from zoo.graphs.shapes import Map, Shape
from zoo.ops import OPS

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
    def canonical(cls, handle: Any, shape: Shape | None = None) -> Tensor:
        """Describe an object that is in the canonical layout.

        Args:
            handle: Any object.
            shape: Its shape; that of the object if not given.
        """
        shape = tuple(handle.shape if shape is None else shape)
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
                vector = tuple(n for n in shape if n > 1) or shape[:1]
                return vector if len(vector) == 1 else shape
            case _:
                return shape

    def to_canonical(self, array: Array, copy: bool = True) -> Array:
        """Bring an array from the framework's layout to the canonical one.

        Args:
            array: The tensor's value or gradient, in the tensor's shape.
            copy: Whether the result must be a copy, even if the layout is the same.
        """
        if self.axes in ("OIHW", "OI", "C"):
            array = np.array(array, order="C") if copy else np.asarray(array, order="C")
            return array.reshape(self.canonical_shape)
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


class Parameters(dict[str, Mapping[str, Slot]]):
    """A backend's table: operation -> canonical name -> :class:`Slot`.

    Args:
        backend: The backend's name.
        table: The parameters of zoo's own operations.

    Example:
        >>> parameters = Parameters("mine", {"linear": {"weight": Slot("kernel", "IO")}})
        >>> parameters.slot("linear", "weight"), parameters.slot("linear", "bias")
        (Slot(name='kernel', axes='IO'), Slot(name='bias', axes='C'))
    """

    def __init__(self, backend: str, table: Mapping[str, Mapping[str, Slot]]) -> None:
        super().__init__(table)
        self.backend = backend

    def slot(self, op: str, name: str) -> Slot:
        """Return the name and layout of a parameter in the backend.

        Args:
            op: The operation.
            name: The parameter's canonical name, such as ``weight``; or its path, which ends in it.
        """
        name = name.rpartition(".")[2]
        slots = self[op] if op in self else self._of_package(op)
        axes = CANONICAL.get(op, "C") if name == "weight" else "C"
        return slots.get(name, Slot(name, axes))

    def of_packages(self, model: Any) -> dict[str, tuple[str, Slot]]:
        """Return how the backend calls the parameters of other packages' operations.

        Args:
            model: The model that has them; none has any unless zoo built it.

        Returns:
            Path of the parameter in the framework -> canonical path, and name and layout.
        """
        return {
            f"{node.name}.{slot.name}": (f"{node.name}.{name}", slot)
            for node in getattr(own_graph(model), "nodes", ())
            for name, slot in self._of_package(node.op).items()
        }

    def missing(self, node: Node, name: str, layer: object) -> BackendError:
        """Return the error of a layer that lacks a parameter.

        Args:
            node: The node that the layer was built of.
            name: The canonical path of the parameter.
            layer: The layer.
        """
        local = name.rpartition(".")[2]
        return BackendError(
            f"{node.name}: the operation {node.op!r} has the parameter {local!r}, and its layer in "
            f"the {self.backend} backend, {type(layer).__name__}, has no "
            f"{self.slot(node.op, name).name!r}; if the layer calls it otherwise, say so in the "
            f'operation\'s class: parameters = {{"{self.backend}": {{"{local}": NAME}}}}'
        )

    def names_of_packages(self) -> dict[str, dict[str, list[str]]]:
        """Return operation -> canonical name -> name in the backend, for other packages' ones."""
        return {
            op: {name: [slot.name] for name, slot in slots.items()}
            for op in OPS.loaded()
            if (slots := self._of_package(op))
        }

    def _of_package(self, op: str) -> Mapping[str, Slot]:
        stated = OPS[op].parameters.get(self.backend, {}) if op in OPS else {}
        return {
            name: Slot(native) if isinstance(native, str) else Slot(*native)
            for name, native in stated.items()
        }


def convention(
    table: Parameters, flatten: str, left_out: Iterable[str] = (), numbered: bool = False
) -> dict[str, Any]:
    """Convert a table to the form of a source of weights, to read models and files with it.

    Args:
        table: The backend's table.
        flatten: ``CHW`` or ``HWC``: the order in which the framework flattens a map.
        left_out: Patterns of names that have no counterpart in zoo.
        numbered: Whether files may have numbers in place of the names of a layer's parameters.
    """
    layouts = {op: table.slot(op, "weight").axes for op in ("conv", "linear")}
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
