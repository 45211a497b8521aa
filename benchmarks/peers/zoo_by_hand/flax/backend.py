"""The backend of Flax, with networks written by hand."""

import jax.numpy as jnp
from flax import nnx

from zoo.flax.backend import FlaxBackend
from zoo.flax.parameters import at
from zoo_by_hand.flax import DESCRIPTION, networks
from zoo_by_hand.written import Written


class ByHand(Written, FlaxBackend):
    """Models are ``flax.nnx.Module``."""

    description = DESCRIPTION
    networks = networks

    def write(self, network, settings, graph, dtype):
        model = network(**settings)
        # Flax sorts attributes by their names when it splits and merges a model.
        model.zoo_paths = tuple(_paths(model))
        for variable in self.written(model):
            if variable.dtype != dtype:
                variable.set_value(jnp.asarray(variable[...], dtype))
        return model

    def written(self, model):
        return [at(model, path) for path in model.zoo_paths]


def _paths(module, prefix=()):
    """Yield the paths of parameters in the order in which a module was given them."""
    items = enumerate(module) if isinstance(module, nnx.List) else vars(module).items()
    for name, value in items:
        if isinstance(value, nnx.Param):
            yield *prefix, name
        elif isinstance(value, nnx.Module):
            yield from _paths(value, (*prefix, name))
