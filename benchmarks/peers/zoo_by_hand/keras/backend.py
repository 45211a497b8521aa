"""The backend of Keras, with networks written by hand."""

from contextlib import contextmanager

import keras

from zoo.keras.backend import KerasBackend
from zoo_by_hand.keras import DESCRIPTION, networks
from zoo_by_hand.written import Written


class ByHand(Written, KerasBackend):
    """Models are functional ``keras.Model``."""

    description = DESCRIPTION
    networks = networks

    def write(self, network, settings, graph, dtype):
        with _by_default(dtype):
            return network(size=graph.input_shape[1:], **settings)

    def written(self, model):
        return [variable for layer in _in_order(model) for variable in layer.trainable_variables]


@contextmanager
def _by_default(dtype):
    before = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)
    try:
        yield
    finally:
        keras.config.set_floatx(before[0])
        keras.config.set_dtype_policy(before[1])


def _in_order(model):
    """Return the layers as they were called; Keras has those of all branches by their depth."""
    sources = {id(layer.output): layer for layer in model.layers}
    found = []

    def visit(tensor):
        layer = sources.pop(id(tensor), None)
        if layer is not None:
            for each in keras.tree.flatten(layer.input):
                visit(each)
            found.append(layer)

    visit(model.output)
    return found
