"""Models by family and by size, and parameters counted by a framework's own means."""

import functools
import json
import math
import re
from pathlib import Path

import numpy as np


def count(model, backend: str) -> int:
    """Trainable values, by each framework's own means and none of zoo's."""
    if backend == "torch":
        return sum(p.numel() for p in model.parameters())
    if backend == "paddle":
        return sum(int(np.prod(p.shape)) for p in model.parameters() if not p.stop_gradient)
    if backend == "keras":
        return sum(math.prod(v.shape) for v in model.trainable_variables)
    if backend == "onnx":  # which does not tell weights from statistics and constants
        names = re.compile(r".*/.*|.*\.running_(mean|var)")
        tensors = (t for t in model.graph.initializer if not names.fullmatch(t.name))
        return sum(math.prod(t.dims) for t in tensors)
    import jax
    from flax import nnx

    return sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)))


#: Models with more parameters or nodes than this take too much memory or time for four frameworks
#: at each run. They are held by graph and shape, and by ``zoo verify --all``.
MOST_PARAMETERS, MOST_NODES = 60_000_000, 450


def is_large(graph) -> bool:
    """Whether a network is among those."""
    return graph.num_parameters > MOST_PARAMETERS or len(graph.nodes) > MOST_NODES


ROOT = Path(__file__).resolve().parent.parent

#: Families whose dense layers depend on the size of the input.
DENSE = {"alexnet", "vgg", "zfnet"}


@functools.cache
def large() -> set[str]:
    """The names of those, as docs/models.md has them: to find them takes every graph at its small size."""
    text = (ROOT / "docs" / "models.md").read_text()
    block = re.search("<!-- largest -->(.*)<!-- /largest -->", text, re.S)
    assert block
    return set(re.findall(r"`(\w+)`", block[1]))


def index() -> list[dict]:
    """What the index says of each model: ``model``, ``family``, ``macs`` and the like."""
    files = json.loads((ROOT / "spec" / "index.json").read_text())["files"]
    return [model for file in files.values() for model in file["models"]]
