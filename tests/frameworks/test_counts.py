"""keras.applications' and paddle.vision's own models, built and counted beside zoo's graphs.

Without memory for their weights: names and shapes only.
"""

from __future__ import annotations

import functools
import types

import pytest
from counting import count, index
from loading import load

import zoo

#: zoo's network: the function that makes it, and with what
KERAS = {
    **{
        f"convnext_{size}": f"ConvNeXt{size.title()}" for size in ("tiny", "small", "base", "large")
    },
    "convnext_xlarge": "ConvNeXtXLarge",
    **{f"densenet{depth}": f"DenseNet{depth}" for depth in (121, 169, 201)},
    **{f"efficientnet_b{i}": f"EfficientNetB{i}" for i in range(8)},
    **{f"efficientnet_b{i}_tf": f"EfficientNetB{i}" for i in range(8)},
    **{f"efficientnet_v2_{size}": f"EfficientNetV2{size.upper()}" for size in "sml"},
    **{f"efficientnet_v2_{size}_tf": f"EfficientNetV2{size.upper()}" for size in "sml"},
    **{f"efficientnet_v2_b{i}": f"EfficientNetV2B{i}" for i in range(4)},
    "inception_resnet_v2": "InceptionResNetV2",
    "inception_resnet_v2_keras": "InceptionResNetV2",
    "inception_v3": "InceptionV3",
    "inception_v3_keras": "InceptionV3",
    "mobilenet_v1": "MobileNet",
    "mobilenet_v1_0_75": ("MobileNet", {"alpha": 0.75}),
    "mobilenet_v1_0_5": ("MobileNet", {"alpha": 0.5}),
    "mobilenet_v1_0_25": ("MobileNet", {"alpha": 0.25}),
    "mobilenet_v2": "MobileNetV2",
    "mobilenet_v2_keras": "MobileNetV2",
    **{
        f"mobilenet_v2_{str(alpha).replace('.', '_')}_keras": ("MobileNetV2", {"alpha": alpha})
        for alpha in (0.35, 0.5, 0.75, 1.3, 1.4)
    },
    **{
        f"mobilenet_v3_{size}{kind}": (f"MobileNetV3{size.title()}", options)
        for size in ("large", "small")
        for kind, options in (
            ("", {}),
            ("_tf", {}),
            ("_0_75", {"alpha": 0.75}),
            ("_minimal", {"minimalistic": True}),
        )
    },
    **{f"nasnet_{size}": f"NASNet{size.title()}" for size in ("mobile", "large")},
    **{f"resnet{depth}": f"ResNet{depth}" for depth in (50, 101, 152)},
    **{f"resnet{depth}_keras": f"ResNet{depth}" for depth in (50, 101, 152)},
    **{f"resnet{depth}_v2": f"ResNet{depth}V2" for depth in (50, 101, 152)},
    **{f"resnet{depth}_v2_keras": f"ResNet{depth}V2" for depth in (50, 101, 152)},
    **{f"vgg{depth}": f"VGG{depth}" for depth in (16, 19)},
    **{f"vgg{depth}_keras": f"VGG{depth}" for depth in (16, 19)},
    "xception": "Xception",
}
PADDLE = {
    "alexnet": "alexnet",
    "alexnet_paddle": "alexnet",
    **{f"densenet{depth}": f"densenet{depth}" for depth in (121, 161, 169, 201, 264)},
    "googlenet_paddle": "googlenet",
    "inception_v3": "inception_v3",
    "inception_v3_paddle": "inception_v3",
    "lenet5_paddle": "LeNet",
    "mobilenet_v1_paddle": "mobilenet_v1",
    "mobilenet_v1": "mobilenet_v1",
    "mobilenet_v1_0_75": ("mobilenet_v1", {"scale": 0.75}),
    "mobilenet_v1_0_5": ("mobilenet_v1", {"scale": 0.5}),
    "mobilenet_v1_0_25": ("mobilenet_v1", {"scale": 0.25}),
    "mobilenet_v2": "mobilenet_v2",
    "mobilenet_v3_large": "mobilenet_v3_large",
    "mobilenet_v3_small": "mobilenet_v3_small",
    **{f"resnet{depth}": f"resnet{depth}" for depth in (18, 34, 50, 101, 152)},
    **{
        f"resnext{depth}_{groups}x4d": f"resnext{depth}_{groups}x4d"
        for depth in (50, 101, 152)
        for groups in (32, 64)
    },
    "wide_resnet50_2": "wide_resnet50_2",
    "wide_resnet101_2": "wide_resnet101_2",
    **{
        f"shufflenet_v2_{width}": f"shufflenet_v2_{width}"
        for width in ("x0_25", "x0_33", "x0_5", "x1_0", "x1_5", "swish")
    },
    "shufflenet_v2_x2_0": "shufflenet_v2_x2_0",
    "shufflenet_v2_x2_0_paddle": "shufflenet_v2_x2_0",
    **{f"squeezenet1_{i}": f"squeezenet1_{i}" for i in (0, 1)},
    **{f"squeezenet1_{i}_paddle": f"squeezenet1_{i}" for i in (0, 1)},
    **{f"vgg{depth}": f"vgg{depth}" for depth in (11, 13, 16, 19)},
    **{f"vgg{depth}_bn": (f"vgg{depth}", {"batch_norm": True}) for depth in (11, 13, 16, 19)},
}

NO_GAMMA = "batch norms without gamma"
RESNET_BIASES = "biases of convolutions, which batch norms follow"
RESNET_V2_BIASES = "biases of conv1, of the last convolution of each block and of shortcuts"
#: How many parameters more the publisher's has, where it has others, and which.
DIFFERENT = {
    ("keras", "inception_v3"): (-17_216, NO_GAMMA),
    ("keras", "inception_resnet_v2"): (-30_272, NO_GAMMA),
    ("keras", "resnet50"): (26_560, RESNET_BIASES),
    ("keras", "resnet101"): (52_672, RESNET_BIASES),
    ("keras", "resnet152"): (75_712, RESNET_BIASES),
    ("keras", "resnet50_v2"): (19_008, RESNET_V2_BIASES),
    ("keras", "resnet101_v2"): (36_416, RESNET_V2_BIASES),
    ("keras", "resnet152_v2"): (51_776, RESNET_V2_BIASES),
    ("paddle", "shufflenet_v2_x2_0"): (-27_460, "224 channels in stage 2, the paper's table 244"),
}


@pytest.fixture(scope="module")
def counted(free_memory):
    """Counts a publisher's model by its framework's own means: each built once, and freed."""
    for name in TABLES:
        load(name)
    import keras
    import paddle

    @functools.cache
    def parameters(source, name, **options):
        if source == "keras":
            with keras.StatelessScope(initialize_variables=False):
                model = getattr(keras.applications, name)(weights=None, **options)
        else:
            with paddle.LazyGuard():
                model = getattr(paddle.vision.models, name)(**options)
        found = count(model, source)
        del model
        keras.backend.clear_session()
        free_memory()
        return found

    return parameters


TABLES = {"keras": KERAS, "paddle": PADDLE}


def cases():
    """Every network; all but the smallest of each family are slow."""
    models = {model["model"]: model for model in index()}
    for source, table in TABLES.items():
        seen = set()
        for name in sorted(table, key=lambda name: models[name]["macs"]):
            family = models[name]["family"]
            yield pytest.param(source, name, marks=[pytest.mark.slow] if family in seen else [])
            seen.add(family)


@pytest.mark.parametrize(("source", "network"), list(cases()))
def test_a_publishers_own_model_has_as_many_parameters(source, network, counted):
    theirs = TABLES[source][network]
    name, options = (theirs, {}) if isinstance(theirs, str) else theirs
    graph = zoo.graph(network, aux=name == "googlenet")  # whose auxiliary heads are always there
    more, _ = DIFFERENT.get((source, network), (0, None))
    assert counted(source, name, **options) == graph.num_parameters + more


def test_every_network_that_a_publisher_ships_is_counted_or_named():
    load("keras")
    load("paddle")
    import keras
    import paddle

    for source, module in (("keras", keras.applications), ("paddle", paddle.vision.models)):
        found = {
            name
            for name, each in vars(module).items()
            if isinstance(each, types.FunctionType) and not name.startswith("_")
        }
        table = TABLES[source].values()
        known = {each if isinstance(each, str) else each[0] for each in table}
        assert found == known - {"LeNet"}  # which is a class
