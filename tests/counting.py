"""Counts the parameters of a model by its framework's own means and none of zoo's."""

import math

import numpy as np


def count(model, backend: str) -> int:
    """Trainable values, by each framework's own means and none of zoo's."""
    if backend == "torch":
        return sum(p.numel() for p in model.parameters())
    if backend == "paddle":
        return sum(int(np.prod(p.shape)) for p in model.parameters() if not p.stop_gradient)
    if backend == "keras":
        return sum(math.prod(v.shape) for v in model.trainable_variables)
    import jax
    from flax import nnx

    return sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)))
