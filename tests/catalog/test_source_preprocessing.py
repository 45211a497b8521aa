"""The preprocessing of each source's networks is that of its own code and configurations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tables import golden

from zoo.data import images
from zoo.language import catalog
from zoo.language.options import Chosen
from zoo.weights import sources
from zoo.weights.slots import published_checkpoint


@pytest.mark.parametrize("network", sources.source("paddle").networks)
def test_paddles_weights_have_paddles_preprocessing(network):
    """Sizes of PaddleClas' configurations: torchvision's of the same networks differ."""
    table = sources.source("paddle")
    graph = published_checkpoint(table, network, Path("file"), {}, Chosen()).graph()
    crop = graph.preprocessing["crop"]
    quotient = crop[0] / crop[1] if isinstance(crop, list) else crop
    expected = 299 / 320 if network == "inception_v3_paddle" else 224 / 256
    assert {**graph.preprocessing, "crop": quotient} == {**images.USUAL, "crop": expected}


@pytest.mark.parametrize(
    "row", [row for row in golden("paddleclas") if row["crop"]], ids=lambda row: row["network"]
)
def test_paddleclas_weights_have_its_preprocessing(row):
    """That of its configuration of the network, ppcls/configs/ImageNet."""
    table = sources.source("paddleclas")
    checkpoint = published_checkpoint(table, row["network"], Path("file"), {}, Chosen())
    found = {**images.USUAL, **checkpoint.document.get("preprocessing", {})}
    found.pop("about", None)
    crop = found.pop("crop")
    quotient = crop[0] / crop[1] if isinstance(crop, list) else crop
    assert quotient == pytest.approx(int(row["crop"]) / int(row["resize"]), abs=1e-12)
    normalized = {}
    if row["network"].startswith("efficientnet_v2"):  # its own NormalizeImage, with a scale of 1
        normalized = {"range": 255, "mean": [128, 128, 128], "std": [128, 128, 128]}
    assert found == {
        **{k: v for k, v in images.USUAL.items() if k != "crop"},
        "interpolation": row["interpolation"],
        **normalized,
    }


def test_timms_weights_have_timms_preprocessing():
    """Files without a hash are known by their names: those of a network's first file are its."""
    table, shared = sources.source("timm"), 0
    for row in golden("timm_preprocessing"):
        network, tag = table.networks[row["network"]], row["timm"].partition(".")[2]
        file = next(file for file in network.published if file.tag == tag)
        if file.hash is None and (file is not network.file or network.like == "torchvision"):
            shared += 1  # the names are also another file's
            continue
        _, spec, _ = catalog.load(row["network"])
        usual = {**spec.preprocessing.to_dict(exclude={"about"}), **network.preprocessing}
        found = {**images.USUAL, **(usual if file.preprocessing is None else file.preprocessing)}
        side = file.input_size or spec.options.input_size
        crop = found.pop("crop")
        shorter = crop[1] if isinstance(crop, list) else int(side / crop)  # as timm rounds it
        assert (side, shorter) == (int(row["size"]), int(int(row["size"]) / float(row["crop"])))
        assert found == {
            **{k: v for k, v in images.USUAL.items() if k != "crop"},
            "keep_aspect": row["mode"] == "center",
            "interpolation": row["interpolation"],
            "mean": [float(value) for value in row["mean"].split()],
            "std": [float(value) for value in row["std"].split()],
        }, row["timm"]
    assert shared < 20


@pytest.mark.parametrize("network", sources.source("caffe").networks)
def test_caffes_weights_have_caffes_preprocessing(network):
    """BGR from 0 to 255; less 104, 117, 123 in train_val.prototxt, or Oxford's means of VGG."""
    table = sources.source("caffe")
    recipe = published_checkpoint(table, network, Path("f"), {}, Chosen()).graph().preprocessing
    rgb = [123.68, 116.779, 103.939] if network.startswith("vgg") else [123, 117, 104]
    assert recipe["channels"] == "bgr"
    assert (recipe["range"], recipe["mean"], recipe["std"]) == (255, rgb, [1, 1, 1])
    image = np.full((300, 300, 3), (10, 20, 30), np.uint8)
    found = images.load(image, (8, 8), 3, recipe)[0, :, 4, 4]  # what the first convolution reads
    assert np.allclose(found, [30 - rgb[2], 20 - rgb[1], 10 - rgb[0]])


def test_slims_weights_have_slims_preprocessing():
    """inception_preprocessing: from -1 to 1; vgg_preprocessing: less the means, RGB."""
    table = sources.source("slim")
    expected = {
        "googlenet_slim": (1, [0.5] * 3, [0.5] * 3),
        "vgg16": (255, [123.68, 116.78, 103.94], [1] * 3),
        "vgg19": (255, [123.68, 116.78, 103.94], [1] * 3),
    }
    assert expected.keys() == table.networks.keys()
    for network, values in expected.items():
        recipe = published_checkpoint(table, network, Path("f"), {}, Chosen()).graph().preprocessing
        assert (recipe["range"], recipe["mean"], recipe["std"]) == values
        assert recipe["channels"] == "rgb"
