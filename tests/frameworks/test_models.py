"""Whole models in every framework: counted by the framework, compared at every node."""

from __future__ import annotations

import gc
import math

import numpy as np
import pytest
from tables import golden

import zoo


def published(model: str, variant: str) -> int:
    rows = {
        (row["model"], row["variant"]): int(row["parameters"]) for row in golden("parameter_counts")
    }
    return rows[model, variant]


def count(model, backend: str) -> int:
    """Trainable values, by each framework's own means and none of zoo's."""
    if backend == "torch":
        return sum(p.numel() for p in model.parameters())
    if backend == "paddle":
        return sum(int(np.prod(p.shape)) for p in model.parameters() if not p.stop_gradient)
    if backend == "keras":
        return sum(math.prod(v.shape) for v in model.trainable_variables)
    import jax
    from flax import nnx

    return sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)))


@pytest.mark.parametrize(
    ("name", "aux", "key"),
    [
        ("googlenet", False, ("googlenet", "paper, no aux")),
        ("googlenet", True, ("googlenet", "paper, with aux")),
        (
            "googlenet_no_reduce",
            False,
            ("googlenet", "paper without the 1x1 64-channel conv2 reduce, no aux"),
        ),
        ("vgg11", False, ("vgg11", "bias")),
        ("vgg13", False, ("vgg13", "bias")),
        ("vgg16", False, ("vgg16", "bias")),
        ("vgg19", False, ("vgg19", "bias")),
        ("vgg16_c", False, ("vgg16_c", "configuration C (1x1 convs), bias")),
        ("vgg11_bn", False, ("vgg11", "BN, conv bias kept")),
        ("vgg13_bn", False, ("vgg13", "BN, conv bias kept")),
        ("vgg16_bn", False, ("vgg16", "BN, conv bias kept")),
        ("vgg19_bn", False, ("vgg19", "BN, conv bias kept")),
    ],
)
def test_parameter_counts(name, aux, key, framework, backend):
    model = zoo.build(name, backend, aux=aux)
    assert count(model, backend) == published(*key)
    assert framework.count_parameters(model) == published(*key)
    if name == "googlenet":
        shapes = framework.shapes(model)
        inside = sum(math.prod(s) for n, s in shapes.items() if n.startswith("inception3a."))
        assert inside == published("inception_module", "3a alone (192 in)")
    del model
    gc.collect()


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


SIZES = [
    ("googlenet", {"aux": True}, 1),
    ("googlenet", {"aux": True, "input_size": (231, 197)}, 3),
    ("googlenet_tutorial", {"aux": True, "input_size": (225, 239)}, 1),
    ("vgg13_bn", {"input_size": 32, "num_classes": 10}, 3),
    ("vgg11_bn", {"input_size": (71, 45), "in_channels": 4, "num_classes": 7}, 1),
]


@pytest.mark.parametrize(("name", "options", "batch"), SIZES)
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 1e-5)])
def test_every_node(name, options, batch, dtype, tolerance, worst_node):
    worst = worst_node(name, dtype, batch, **options)
    assert worst.error <= tolerance, worst
    gc.collect()
