"""Published tables, read from ``golden/``."""

import csv
from pathlib import Path


def golden(name: str) -> list[dict[str, str]]:
    """The rows of a published table."""
    with (Path(__file__).parent / "golden" / f"{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


#: (model, variant) of parameter_counts.csv -> our name for it, and whether with auxiliary heads
COUNTS = {
    ("googlenet", "paper, no aux"): ("googlenet", False),
    ("googlenet", "paper, with aux"): ("googlenet", True),
    ("googlenet", "batch norm in place of bias, no aux"): ("googlenet_bn", False),
    ("googlenet", "torchvision (BN, 3x3 in the 5x5 branch), no aux"): (
        "googlenet_torchvision",
        False,
    ),
    ("googlenet", "torchvision, with aux"): ("googlenet_torchvision", True),
    ("googlenet", "paddle, no aux"): ("googlenet_paddle", False),
    ("googlenet", "paddle.vision / PaddleClas, with aux"): ("googlenet_paddle", True),
    ("googlenet", "paper without the 1x1 64-channel conv2 reduce, no aux"): (
        "googlenet_no_reduce",
        False,
    ),
    ("vgg11", "bias"): ("vgg11", False),
    ("vgg13", "bias"): ("vgg13", False),
    ("vgg16", "bias"): ("vgg16", False),
    ("vgg19", "bias"): ("vgg19", False),
    ("vgg16_c", "configuration C (1x1 convs), bias"): ("vgg16_c", False),
    ("vgg11", "BN, conv bias kept"): ("vgg11_bn", False),
    ("vgg13", "BN, conv bias kept"): ("vgg13_bn", False),
    ("vgg16", "BN, conv bias kept"): ("vgg16_bn", False),
    ("vgg19", "BN, conv bias kept"): ("vgg19_bn", False),
    ("vgg16", "no conv bias (PaddleClas)"): ("vgg16_paddleclas", False),
}
