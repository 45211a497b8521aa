"""Whole models in every framework: counted by the framework, compared at every node."""

from __future__ import annotations

import math

import numpy as np
import pytest
from conftest import BACKENDS
from counting import DENSE, count, index
from small import GOOGLENET, VGG_POOLED
from tables import COUNTS, INCEPTION_3A, golden

import zoo

_FAMILY = {model["model"]: model["family"] for model in index()}
#: Those that test_zoo does not count; one of those that count the same, such as a publisher's variant that differs in no parameter.
BUILT = {c.parameters: c for c in reversed(COUNTS) if c.aux or _FAMILY[c.model] in DENSE}


#: Built at every run in all frameworks: what README says of GoogLeNet.
ALWAYS = {"googlenet"}
#: And in one framework in turn: one of each family.
IN_TURN = {"googlenet_torchvision", "inception_v3", "alexnet", "vgg16", "zfnet"}


def counts():
    for number, published in enumerate(reversed(BUILT.values())):
        for place, backend in enumerate(BACKENDS):
            in_turn = published.model in IN_TURN and place == number % len(BACKENDS)
            marks = [] if in_turn or published.model in ALWAYS else pytest.mark.slow
            yield pytest.param(backend, published, marks=marks, id=f"{backend}-{published}")


@pytest.mark.parametrize(("backend", "published"), list(counts()), indirect=["backend"])
def test_parameter_counts(published, framework, backend, free_memory):
    name, aux, parameters = published
    model = zoo.build(name, backend, aux=aux)
    assert count(model, backend) == parameters
    assert framework.count_parameters(model) == parameters
    if name == "googlenet":
        shapes = framework.shapes(model)
        inside = sum(math.prod(s) for n, s in shapes.items() if n.startswith("inception3a."))
        assert inside == INCEPTION_3A
    del model
    free_memory()


def test_every_row_of_the_tutorials_summary(framework, backend):
    """Convolutions, pools and linear layers of a published summary, in the framework itself."""
    kinds = {"Conv2D": "conv", "MaxPool2D": "max_pool", "AvgPool2D": "avg_pool", "Linear": "linear"}
    rows = [row for row in golden("googlenet_paddle_layers") if row["kind"] in kinds]
    model = zoo.build("googlenet_tutorial", backend, aux=True)
    graph = zoo.graph("googlenet_tutorial", aux=True)
    order = {
        kind: iter([n for n in graph.nodes if n.op.removeprefix("global_") == op])
        for kind, op in kinds.items()
    }
    x = np.zeros((1, 3, 224, 224), np.float32)
    values = zoo.features(model, x, [node.name for node in graph.nodes])
    shapes = framework.shapes(model)
    total = 0
    for row in rows:
        node = next(order[row["kind"]])
        assert values[node.name].shape == tuple(map(int, row["output_shape_nchw"].split("x")))
        own = sum(math.prod(s) for n, s in shapes.items() if n.rpartition(".")[0] == node.name)
        assert own == int(row["parameters"]), node.name
        total += own
    assert total == 13_378_280
    assert all(next(rest, None) is None for rest in order.values())


#: Odd sizes, other numbers of channels and of classes, and batches.
CASES = [
    (GOOGLENET, {"aux": True, "input_size": (101, 83)}, 1),
    (VGG_POOLED, {"input_size": (71, 45), "in_channels": 4, "num_classes": 7}, 1),
    ("lenet5", {}, 3),
    ("alexnet_two_towers", {"input_size": (67, 71), "num_classes": 7}, 2),
    ("inception_module_naive", {"input_size": (5, 8)}, 1),
]
#: Cases without anything that those do not have.
FURTHER_CASES = [
    ("squeezenet1_1", {"input_size": (61, 44), "num_classes": 7}, 2),
    ("googlenet", {"aux": True}, 1),
    ("googlenet", {"aux": True, "input_size": (101, 83)}, 1),
    ("googlenet_tutorial", {"aux": True, "input_size": (225, 239)}, 1),
    ("googlenet_paddle", {"aux": True, "input_size": 96}, 1),
    ("vgg11_paddleclas", {"input_size": 32, "num_classes": 10}, 1),
    ("vgg13_bn", {"input_size": 32, "num_classes": 10}, 3),
    ("vgg16_small", {}, 1),
    ("nin_cifar10", {}, 1),
]
SLOW_CASES = [pytest.param(*case, marks=pytest.mark.slow) for case in FURTHER_CASES]


@pytest.mark.parametrize(("name", "options", "batch"), CASES + SLOW_CASES)
def test_every_node(name, options, batch, worst_node, free_memory):
    worst = worst_node(name, "float64", batch, **options)
    assert worst.error <= 1e-12, worst
    free_memory()


@pytest.mark.parametrize(
    ("name", "options", "batch"),
    [
        (GOOGLENET, {"aux": True}, 1),
        *(pytest.param(*case, marks=pytest.mark.slow) for case in CASES[2:4] + FURTHER_CASES),
    ],
)
def test_every_node_in_float32(name, options, batch, worst_node, free_memory):
    worst = worst_node(name, "float32", batch, **options)
    assert worst.error <= 1e-5, worst
    free_memory()
