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
    "build": "zoo.api.models",
    "convert": "zoo.api.storage",
    "features": "zoo.api.models",
    "get_weights": "zoo.api.models",
    "diff": "zoo.views.difference",
    "draw": "zoo.views.drawing.draw",
    "graph": "zoo.api.models",
    "graph_of": "zoo.graphs.graph",
    "list_backends": "zoo.api.models",
    "list_models": "zoo.api.listing",
    "load": "zoo.api.storage",
    "loss": "zoo.api.models",
    "predict": "zoo.api.models",
    "preprocess": "zoo.api.models",
    "save": "zoo.api.storage",
    "set_weights": "zoo.api.models",
    "verify": "zoo.verification.verify",
    "BackendError": "zoo.errors",
    "InputError": "zoo.errors",
    "SpecError": "zoo.errors",
    "UnknownNameError": "zoo.errors",
    "WeightsError": "zoo.errors",
    "ZooError": "zoo.errors",
    "Graph": "zoo.graphs.graph",
    "Node": "zoo.graphs.nodes",
    "Parameter": "zoo.graphs.nodes",
}

__all__ = [*_HOMES, "__version__"]

if TYPE_CHECKING:
    from zoo.api.listing import list_models as list_models
    from zoo.api.models import build as build
    from zoo.api.models import features as features
    from zoo.api.models import get_weights as get_weights
    from zoo.api.models import graph as graph
    from zoo.api.models import list_backends as list_backends
    from zoo.api.models import loss as loss
    from zoo.api.models import predict as predict
    from zoo.api.models import preprocess as preprocess
    from zoo.api.models import set_weights as set_weights
    from zoo.api.storage import convert as convert
    from zoo.api.storage import load as load
    from zoo.api.storage import save as save
    from zoo.errors import BackendError as BackendError
    from zoo.errors import InputError as InputError
    from zoo.errors import SpecError as SpecError
    from zoo.errors import UnknownNameError as UnknownNameError
    from zoo.errors import WeightsError as WeightsError
    from zoo.errors import ZooError as ZooError
    from zoo.graphs.graph import Graph as Graph
    from zoo.graphs.graph import graph_of as graph_of
    from zoo.graphs.nodes import Node as Node
    from zoo.graphs.nodes import Parameter as Parameter
    from zoo.verification.verify import verify as verify
    from zoo.views.difference import diff as diff
    from zoo.views.drawing.draw import draw as draw


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'zoo' has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
