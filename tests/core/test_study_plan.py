"""Which runs a study has: its design, its switches, and the jobs."""

import itertools

import numpy as np
import pytest
from asking import BACKENDS, study
from asking import installed as installed

import zoo
from zoo.comparing import (
    conditions,
    plan,
    rewriting,
    switches,
    training,
)
from zoo.comparing.setup import Case
from zoo.data.stream import Batch
from zoo.errors import InputError, UnknownNameError
from zoo.training import recipe as recipes

# The design


@pytest.mark.parametrize("count", range(1, conditions.MOST + 1))
def test_a_design_tells_every_effect_from_the_others(count):
    """Box and Hunter's resolution IV: no effect is mixed with another, or with two together."""
    factors = [f"f{i}" for i in range(count)]
    rows = conditions.levels(factors)
    signs = np.array([[1 if f in row else -1 for f in factors] for row in rows])
    assert (signs.T @ signs == len(rows) * np.eye(count)).all()
    for a, b, c in itertools.combinations(range(min(count, 12)), 3):
        assert not (signs[:, a] * signs[:, b] * signs[:, c]).sum()
    assert rows[0] == frozenset() and rows[-1] == frozenset(factors)


def test_up_to_three_factors_are_combined_in_all_ways():
    for count in (1, 2, 3):
        assert len(conditions.levels([f"f{i}" for i in range(count)])) == 2**count
    assert len(conditions.levels([f"f{i}" for i in range(8)])) == 16  # 2^(8-4) of resolution IV


def test_conditions_are_crossed_and_repeated():
    def all_of(**options):
        chosen = {"explain": False, "crossed": False, "repeats": 0, **options}
        return list(conditions.all_of("m", "d", {}, seeds=[3, 5], factors=["a", "b"], **chosen))

    assert [(sorted(c.native), c.weights_seed, c.order_seed) for c in all_of()] == [
        ([], 3, 3), (["a", "b"], 3, 3), ([], 5, 5), (["a", "b"], 5, 5),
    ]  # fmt: skip
    crossed = [c for c in all_of(crossed=True) if not c.native]
    assert {(c.weights_seed, c.order_seed) for c in crossed} == {(3, 3), (3, 5), (5, 3), (5, 5)}
    assert len({(c.native, c.weights_seed) for c in all_of(explain=True)}) == 8
    free = [c for c in all_of(repeats=2) if not c.deterministic]
    assert [(c.repeat, c.native, c.weights_seed) for c in free] == [
        (repeat, frozenset(), seed) for seed in (3, 5) for repeat in (0, 1)
    ]


# Switches


def case(model, stated=(), resized=True, **fields):
    graph = zoo.graph(model, num_classes=10)
    recipe = recipes.of({"model": model, "data": "digits", "epochs": 1, "lr": 0.1, **fields})
    return Case(graph, recipe, frozenset(("epochs", "lr", *stated)), resized)


def native(case, name):
    return {b: switches.SWITCHES[name].native(case, entry) for b, entry in BACKENDS.items()}


def test_padding_is_moved_to_the_end_where_layers_have_a_stride():
    """As TensorFlow pads: 224 and 7 by 2 need 5 pixels, 112 and 3 by 2 need 1."""
    graph = zoo.graph("resnet18")
    same = rewriting.with_same_padding(graph)
    assert same.node("conv1.conv").attributes["padding"] == (2, 3, 2, 3)
    pool = same.node("maxpool").attributes
    assert pool["padding"] == (0, 1, 0, 1)
    assert same.node("layer1.block1.conv1.conv") == graph.node("layer1.block1.conv1.conv")
    for before, after in zip(graph.nodes, same.nodes, strict=True):
        assert (before.name, before.shape, before.parameters) == (
            after.name, after.shape, after.parameters,
        )  # fmt: skip
    assert graph.node("conv1.conv").attributes["padding"] == (3, 3, 3, 3)  # it was not changed
    assert rewriting.with_same_padding(zoo.graph("vgg11")) == zoo.graph("vgg11")


def test_average_pools_count_their_padding_or_not(spec_file):
    path = spec_file("pool: {op: avg_pool, kernel_size: 3, stride: 2, padding: 1}\n"
                     "flatten: {op: flatten}\nfc: {op: linear, out_features: 10}",
                     header="options: {num_classes: 10, input_size: 8}\n")  # fmt: skip
    graph = zoo.graph(path)
    counted = rewriting.with_padding_counted(graph, False).node("pool").attributes["counted"]
    assert counted == (0, 0, 0, 0)
    assert (
        rewriting.with_padding_counted(rewriting.with_padding_counted(graph, False), True) == graph
    )


def test_a_value_that_the_network_states_is_no_default():
    """MobileNetV3 has an epsilon and a momentum of its own, in every framework."""
    assert native(case("resnet20"), "batch_norm_eps")["keras"] == 1e-3
    assert set(native(case("mobilenet_v3_small"), "batch_norm_eps").values()) == {1e-3}
    assert set(native(case("mobilenet_v3_small"), "batch_norm_momentum").values()) == {0.01}


def test_a_field_that_the_recipe_states_is_no_default():
    free = case("lenet5", optimizer="adam")
    assert native(free, "optimizer_eps")["keras"] == 1e-7
    stated = case("lenet5", stated=["eps"], optimizer="adam", eps=0.1)
    assert set(native(stated, "optimizer_eps").values()) == {0.1}
    assert set(native(case("lenet5", stated=["init"]), "initial_weights").values()) == {
        "he_uniform"
    }
    assert native(case("lenet5"), "initial_weights") == {name: name for name in BACKENDS}


@pytest.mark.parametrize(
    ("found", "there", "absent"),
    [
        (case("lenet5"), "resize order optimizer", "batch_norm_eps decay optimizer_eps padding"),
        (case("lenet5", resized=False), "order", "resize"),
        (case("resnet20", momentum=0.9, weight_decay=1e-4), "decay padding", "weight_decay"),
        (case("resnet20", optimizer="adamw"), "weight_decay optimizer_eps", "decay"),
        (case("resnet20", accumulate=2), "batch_norm_eps", "batch_norm_variance"),
        (case("convnext_tiny"), "layer_norm_eps channel_order", "batch_norm_eps"),
    ],
)
def test_only_what_can_matter_is_a_switch(found, there, absent):
    relevant = switches.relevant(found)
    assert set(there.split()) <= set(relevant) and not set(absent.split()) & set(relevant)


def test_switches_change_what_a_run_computes():
    found = case("resnet20", momentum=0.9, weight_decay=1e-4)
    chosen = {
        "initial_weights": "torch", "batch_norm_momentum": 0.9, "batch_norm_variance": "unbiased",
        "optimizer": "framework", "decay": "decoupled", "channel_order": "bgr", "resize": "bilinear",
    }  # fmt: skip
    setup = switches.applied(found, chosen, "torch")
    assert {n.attributes["momentum"] for n in setup.graph.nodes if n.op == "batch_norm"} == {0.9}
    assert (setup.init, setup.unbiased, setup.native_optimizer) == ("native", True, True)
    assert setup.decoupled is True
    assert setup.images == {"channels": "bgr", "interpolation": "bilinear", "antialias": False}
    with pytest.raises(InputError, match="initial_weights: expected he_uniform"):
        switches.applied(found, {"initial_weights": "keras"}, "torch")
    # What is written couples its decay itself; the framework's own has none, and it is added apart.
    assert switches.applied(found, {"decay": "coupled"}, "keras").decoupled is None
    both = {"optimizer": "framework", "decay": "coupled"}
    assert switches.applied(found, both, "keras").decoupled is False


# The plan


def test_runs_with_equal_values_are_one():
    found = plan.planned(study(momentum=0.9, switches=["optimizer", "order"], seeds=1))
    runs = found[0].runs
    assert found[0].factors == ("optimizer", "order") and len(runs) == 8
    of_torch = [run for run in runs if run.backend == "torch"]
    assert of_torch[0].key != of_torch[1].key  # its order is another one
    alone = plan.planned(study(momentum=0.9, switches=["optimizer"], seeds=1))[0]
    keys = {run.backend: [r.key for r in alone.runs if r.backend == run.backend] for run in runs}
    assert len(set(keys["torch"])) == 1  # PyTorch's own optimizer is the written rule
    assert len(set(keys["keras"])) == 2
    assert len(list(plan.unique([alone]))) == 5


def test_a_key_depends_on_all_that_decides_and_on_nothing_else():
    def keys(**fields):
        chosen = {"switches": ["order"], "seeds": 1, **fields}
        return [run.key for run in plan.planned(study(**chosen))[0].runs]

    first = keys()
    for change in ({"lr": 0.2}, {"train_images": 500}, {"threads": 2}, {"seeds": [4]},
                   {"input_size": 36}, {"epochs": 2}):  # fmt: skip
        assert not set(first) & set(keys(**change)), change
    assert first == keys(margin=0.3, proof_steps=2)
    assert set(first) <= set(keys(seeds=3, explain=True))


def test_files_are_named_as_other_processes_find_them(tmp_path, monkeypatch):
    """Each run has a working directory of its own."""
    monkeypatch.chdir(tmp_path)
    digits = zoo.dataset("digits")
    images, labels = digits.train.images[:64], digits.train.labels[:64]
    np.savez("mine.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    (tmp_path / "mine.safetensors").touch()
    asked = study(data="mine.npz", weights="mine.safetensors", switches=["order"])
    for each in plan.planned(asked)[0].runs:
        assert each.job["data"]["source"] == str(tmp_path / "mine.npz")
        assert each.job["recipe"]["weights"] == str(tmp_path / "mine.safetensors")


def test_a_batch_has_one_digest_in_every_layout():
    x = np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2)
    first = Batch(x, np.arange(2))
    last = first._replace(x=np.ascontiguousarray(x.transpose(0, 2, 3, 1)))
    assert training.digest(first, "CHW") == training.digest(last, "HWC") == first.digest


def test_a_switch_that_cannot_matter_is_refused():
    with pytest.raises(InputError, match="padding cannot matter: lenet5: no layer"):
        plan.planned(study(switches=["padding"]))
    with pytest.raises(InputError, match="batch_size: digits has 1,607 images to train on"):
        plan.planned(study(batch_size=2000))
    with pytest.raises(InputError, match="train_images: digits has 1,607 images there"):
        plan.planned(study(train_images=2000))
    with pytest.raises(UnknownNameError, match="digitz"):
        plan.planned(study(data="digitz"))


def test_memory_that_does_not_suffice_is_an_error(monkeypatch):
    asked = study()
    monkeypatch.setattr(plan, "available", lambda: 2**29)
    with pytest.raises(InputError, match=r"needs about 1.* GiB, and 0.4 GiB are free"):
        plan.capacity(plan.planned(asked), asked)
