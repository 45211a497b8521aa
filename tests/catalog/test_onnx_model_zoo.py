"""The names in files of the ONNX Model Zoo, as programs that read these files state them."""

from __future__ import annotations

import itertools

import pytest
from tables import golden

import zoo
from zoo.weights import sources
from zoo.weights.slots import published_slots

ROWS = golden("onnx_model_zoo")
TABLE = sources.source("onnx")


@pytest.mark.parametrize("network", ["googlenet_bvlc", "resnet18", "squeezenet1_1", "vgg19"])
def test_every_array_has_its_published_name_and_shape(network):
    slots = {
        name: (parameter, slot)
        for parameter, slot in published_slots(TABLE, network).items()
        for name in slot.names
        if not slot.optional
    }
    rows = [row for row in ROWS if row["network"] == network]
    assert slots.keys() == {row["name"] for row in rows}
    for row in rows:
        parameter, slot = slots[row["name"]]
        assert parameter.rpartition(".")[0] == row["node"]
        assert "x".join(map(str, slot.shape)) == row["shape"], parameter


def test_vgg16_is_numbered_like_vgg19():
    """A published map of Gluon's names begins: conv1_1 is vgg0_conv0, conv3_3 vgg0_conv6."""
    names = [slot.names[0] for slot in published_slots(TABLE, "vgg16").values()]
    layers = [*(f"conv{i}" for i in range(13)), *(f"dense{i}" for i in range(3))]
    ends = ("weight", "bias")
    assert names == [f"vgg0_{layer}_{end}" for layer, end in itertools.product(layers, ends)]
    slot = published_slots(TABLE, "vgg16")["stage3.conv3.conv.weight"]
    assert slot.names == ("vgg0_conv6_weight",)


def test_every_network_is_tested():
    networks = {*(row["network"] for row in ROWS), "vgg16"}
    assert networks == TABLE.networks.keys() <= set(zoo.list_models())
