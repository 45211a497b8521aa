"""The operations of the spec language.

Each is registered once with :func:`zoo.ops.registry.operation`, in a module of this package or of
a package that has an entry point in the group ``zoo.operations``. Its class has the fields, the
shape rule, the definition in NumPy, the documentation, the color, the frameworks' words for it and
the test cases. The schema, the tables of the documentation and the tests are derived from it.

A builder gets a :class:`zoo.graphs.nodes.Node` and reads ``node.attributes``, which each class
lists. :func:`run` computes a whole graph: the reference with which every framework is compared.
"""

from __future__ import annotations

import importlib
import pkgutil

from zoo.ops.base import Array, Inferred, Op, ShapeError
from zoo.ops.composite import Composite
from zoo.ops.reference import run, steps
from zoo.ops.registry import OPS, operation

for _module in sorted(module.name for module in pkgutil.iter_modules(__path__)):
    importlib.import_module(f"{__name__}.{_module}")


__all__ = [
    "OPS",
    "Array",
    "Composite",
    "Inferred",
    "Op",
    "ShapeError",
    "operation",
    "run",
    "steps",
]
