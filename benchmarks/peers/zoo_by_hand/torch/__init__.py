"""Networks written by hand in PyTorch."""

from zoo import torch
from zoo_by_hand import describe

DESCRIPTION = describe(torch.DESCRIPTION)
