"""The backend of PaddlePaddle, with networks written by hand."""

from zoo.paddle.backend import PaddleBackend
from zoo_by_hand.paddle import DESCRIPTION, networks
from zoo_by_hand.written import Written


class ByHand(Written, PaddleBackend):
    """Models are ``paddle.nn.Layer``."""

    description = DESCRIPTION
    networks = networks

    def write(self, network, settings, graph, dtype):
        return network(**settings).to(dtype=dtype)

    def written(self, model):
        return model.parameters()
