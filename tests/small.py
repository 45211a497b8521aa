"""Networks made as zoo's own are, with the same names of layers, but ten times smaller."""

from pathlib import Path

_FOLDER = Path(__file__).parent / "small_networks"

VGG = f"{_FOLDER / 'small_vgg.yaml'}:small_vgg"
VGG_BN = f"{_FOLDER / 'small_vgg.yaml'}:small_vgg_bn"
VGG_POOLED = f"{_FOLDER / 'small_vgg.yaml'}:small_vgg_pooled"
GOOGLENET = f"{_FOLDER / 'small_googlenet.yaml'}:small_googlenet"
RESNET = f"{_FOLDER / 'small_resnet.yaml'}:small_resnet"
