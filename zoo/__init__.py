"""One declarative architecture spec, four frameworks, provably the same network.

    >>> import zoo
    >>> model = zoo.build("googlenet", backend="torch")  # or "paddle", "keras", "flax"

A spec is data; a graph is what it means; a builder turns a graph into a framework's own model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# Loaded when first used: `import zoo` itself costs next to nothing.
_HOMES = {
    "build": "zoo.api",
    "convert": "zoo.checkpoints.storage",
    "features": "zoo.api",
    "get_weights": "zoo.api",
    "diff": "zoo.difference",
    "draw": "zoo.drawing.draw",
    "graph": "zoo.api",
    "graph_of": "zoo.network",
    "list_backends": "zoo.api",
    "list_models": "zoo.api",
    "load": "zoo.checkpoints.storage",
    "loss": "zoo.api",
    "predict": "zoo.api",
    "preprocess": "zoo.api",
    "save": "zoo.checkpoints.storage",
    "set_weights": "zoo.api",
    "verify": "zoo.verification.verify",
    "BackendError": "zoo.errors",
    "InputError": "zoo.errors",
    "SpecError": "zoo.errors",
    "UnknownNameError": "zoo.errors",
    "WeightsError": "zoo.errors",
    "ZooError": "zoo.errors",
    "Graph": "zoo.network",
    "Node": "zoo.network",
    "Parameter": "zoo.network",
}

__all__ = [*_HOMES, "__version__"]

if TYPE_CHECKING:
    from zoo.api import build as build
    from zoo.api import features as features
    from zoo.api import get_weights as get_weights
    from zoo.api import graph as graph
    from zoo.api import list_backends as list_backends
    from zoo.api import list_models as list_models
    from zoo.api import loss as loss
    from zoo.api import predict as predict
    from zoo.api import preprocess as preprocess
    from zoo.api import set_weights as set_weights
    from zoo.checkpoints.storage import convert as convert
    from zoo.checkpoints.storage import load as load
    from zoo.checkpoints.storage import save as save
    from zoo.difference import diff as diff
    from zoo.drawing.draw import draw as draw
    from zoo.errors import BackendError as BackendError
    from zoo.errors import InputError as InputError
    from zoo.errors import SpecError as SpecError
    from zoo.errors import UnknownNameError as UnknownNameError
    from zoo.errors import WeightsError as WeightsError
    from zoo.errors import ZooError as ZooError
    from zoo.network import Graph as Graph
    from zoo.network import Node as Node
    from zoo.network import Parameter as Parameter
    from zoo.network import graph_of as graph_of
    from zoo.verification.verify import verify as verify


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'zoo' has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
