"""The backend of PyTorch, with networks written by hand."""

import torch

from zoo.torch.backend import TorchBackend
from zoo_by_hand.torch import DESCRIPTION, networks
from zoo_by_hand.written import Written


class ByHand(Written, TorchBackend):
    """Models are ``torch.nn.Module``."""

    description = DESCRIPTION
    networks = networks

    def write(self, network, settings, graph, dtype):
        return network(**settings).to(getattr(torch, dtype))

    def written(self, model):
        return model.parameters()
