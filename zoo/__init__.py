"""One declarative architecture spec, four frameworks, the same network in each.

    >>> import zoo
    >>> model = zoo.build("googlenet", backend="torch")  # or "paddle", "keras", "flax"

A spec is data; a graph is its meaning; a builder turns a graph into a framework's own model.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as in typing, whose import takes longer than all else that is needed here

__version__ = "0.1.0"

# Loaded on first use, so that `import zoo` is fast.
_HOMES = {
    "bench": "zoo.views.benchmark.bench",
    "build": "zoo.api.models",
    "convert": "zoo.api.conversion",
    "dataset": "zoo.data.datasets",
    "export": "zoo.exporting.export",
    "extractor": "zoo.api.running",
    "features": "zoo.api.running",
    "get_weights": "zoo.api.models",
    "curves": "zoo.views.curves.draw",
    "diff": "zoo.views.difference.diff",
    "draw": "zoo.views.drawing.draw",
    "get_optimizer_state": "zoo.api.optimizers",
    "graph": "zoo.language.graphs",
    "graph_of": "zoo.api.networks",
    "list_backends": "zoo.api.listing",
    "list_models": "zoo.api.listing",
    "load": "zoo.api.storage",
    "loss": "zoo.api.running",
    "predict": "zoo.api.running",
    "optimizer": "zoo.api.optimizers",
    "preprocess": "zoo.api.preprocessing",
    "reset_head": "zoo.api.heads",
    "resume": "zoo.training.train",
    "save": "zoo.api.storage",
    "schedule": "zoo.training.schedules",
    "set_optimizer_state": "zoo.api.optimizers",
    "set_weights": "zoo.api.models",
    "source": "zoo.writing.source",
    "sources": "zoo.writing.sources",
    "stream": "zoo.api.streams",
    "summary": "zoo.views.summary.summary",
    "train": "zoo.training.train",
    "transform": "zoo.api.preprocessing",
    "verify": "zoo.verification.verify",
    "BackendError": "zoo.errors",
    "InputError": "zoo.errors",
    "SpecError": "zoo.errors",
    "TrainingError": "zoo.errors",
    "UnknownNameError": "zoo.errors",
    "WeightsError": "zoo.errors",
    "ZooError": "zoo.errors",
    "Exported": "zoo.exporting.export",
    "Benchmark": "zoo.views.benchmark.report",
    "Difference": "zoo.views.difference.diff",
    "Drawing": "zoo.views.drawing.draw",
    "Graph": "zoo.graphs.graph",
    "Node": "zoo.graphs.nodes",
    "Parameter": "zoo.graphs.nodes",
    "Source": "zoo.writing.source",
    "Sources": "zoo.writing.sources",
    "Summary": "zoo.views.summary.summary",
}

__all__ = [*_HOMES, "__version__"]

if TYPE_CHECKING:
    from typing import Any

    from zoo.api.heads import reset_head as reset_head
    from zoo.api.listing import list_backends as list_backends
    from zoo.api.listing import list_models as list_models
    from zoo.api.models import get_weights as get_weights
    from zoo.api.models import set_weights as set_weights
    from zoo.api.networks import graph_of as graph_of
    from zoo.api.optimizers import get_optimizer_state as get_optimizer_state
    from zoo.api.optimizers import optimizer as optimizer
    from zoo.api.optimizers import set_optimizer_state as set_optimizer_state
    from zoo.api.preprocessing import preprocess as preprocess
    from zoo.api.preprocessing import transform as transform
    from zoo.api.running import extractor as extractor
    from zoo.api.running import features as features
    from zoo.api.running import loss as loss
    from zoo.api.running import predict as predict
    from zoo.api.storage import save as save
    from zoo.api.streams import stream as stream
    from zoo.api.typed import build as build
    from zoo.api.typed import convert as convert
    from zoo.api.typed import load as load
    from zoo.data.datasets import dataset as dataset
    from zoo.errors import BackendError as BackendError
    from zoo.errors import InputError as InputError
    from zoo.errors import SpecError as SpecError
    from zoo.errors import TrainingError as TrainingError
    from zoo.errors import UnknownNameError as UnknownNameError
    from zoo.errors import WeightsError as WeightsError
    from zoo.errors import ZooError as ZooError
    from zoo.exporting.export import Exported as Exported
    from zoo.exporting.export import export as export
    from zoo.graphs.graph import Graph as Graph
    from zoo.graphs.nodes import Node as Node
    from zoo.graphs.nodes import Parameter as Parameter
    from zoo.language.graphs import graph as graph
    from zoo.training.schedules import schedule as schedule
    from zoo.training.train import resume as resume
    from zoo.training.train import train as train
    from zoo.verification.verify import verify as verify
    from zoo.views.benchmark.bench import bench as bench
    from zoo.views.benchmark.report import Benchmark as Benchmark
    from zoo.views.curves.draw import curves as curves
    from zoo.views.difference.diff import Difference as Difference
    from zoo.views.difference.diff import diff as diff
    from zoo.views.drawing.draw import Drawing as Drawing
    from zoo.views.drawing.draw import draw as draw
    from zoo.views.summary.summary import Summary as Summary
    from zoo.views.summary.summary import summary as summary
    from zoo.writing.source import Source as Source
    from zoo.writing.source import source as source
    from zoo.writing.sources import Sources as Sources
    from zoo.writing.sources import sources as sources


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'zoo' has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
