"""Every framework's trainer against the written rules, on PyTorch's gradients, in float64."""

import functools
import itertools
import pkgutil
from dataclasses import replace

import loading
import numpy as np
import pytest

import zoo
from zoo.backend import registry
from zoo.backend.training import EMA, Part, Plan, Rule
from zoo.training.masks import Masks
from zoo.training.rules import Written
from zoo.weights import initial

pytestmark = pytest.mark.frameworks

# A bias before a batch norm has no gradient but rounding errors, which Adam makes as large as any.
SPEC = """
conv: {op: conv, out_channels: 6, kernel_size: 3, padding: 1, bias: false}
bn: {op: batch_norm, momentum: 0.3}
relu: {op: relu}
depth: {op: stochastic_depth, rate: 0.4}
depthwise: {op: conv, out_channels: 12, kernel_size: 3, groups: 6, stride: 2, bias: false}
pointwise: {op: conv, out_channels: 4, kernel_size: 1, bias: false}
norm: {op: batch_norm}
map_dropout: {op: dropout, rate: 0.2}
flatten: {op: flatten}
dropout: {op: dropout, rate: 0.5}
hidden: {op: linear, out_features: 9}
last_dropout: {op: dropout, rate: 0.1}
fc: {op: linear, out_features: $num_classes}
aux1:
  from: relu
  when: $aux
  layers: {mean: {op: global_avg_pool}, flatten: {op: flatten}, fc: {op: linear, out_features: $num_classes}}
"""
HEADER = """
options: {num_classes: 5, input_size: [9, 7]}
outputs: {logits: {from: fc}, aux1: {from: aux1, loss_weight: 0.3}}
"""
RULES = {
    "sgd": Rule("sgd", 0.1),
    "momentum": Rule("sgd", 0.1, momentum=0.9, weight_decay=1e-2),
    "nesterov": Rule("sgd", 0.1, momentum=0.9, nesterov=True, weight_decay=1e-2, decay="kernels"),
    "adam": Rule("adam", 0.01, weight_decay=1e-2),
    "adamw": Rule("adamw", 0.01, beta1=0.8, beta2=0.9, eps=1e-4, weight_decay=0.1),
    "adamw-kernels": Rule("adamw", 0.01, weight_decay=0.1, decay="kernels"),
    "rmsprop": Rule("rmsprop", 0.01, eps=1e-3, weight_decay=1e-2),
    "rmsprop-momentum": Rule("rmsprop", 0.01, alpha=0.9, momentum=0.5),
}
PLANS = {
    **{name: Plan(rule) for name, rule in RULES.items()},
    "everything": Plan(
        RULES["adamw"],
        label_smoothing=0.1,
        clip_norm=0.5,
        frozen=frozenset(("conv.weight", "norm.weight", "norm.bias")),
        ema=0.8,
    ),
}
KERNELS = {f"{layer}.weight" for layer in "conv depthwise pointwise hidden fc aux1.fc".split()}
#: Each rule once, and all that there is besides.
DAILY = ("nesterov", "adam", "rmsprop-momentum", "everything")
STEPS, EXAMPLES, SEED = 6, 6, 3
TOLERANCE = 1e-10


load = functools.partial(loading.load, double=True)


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    path = tmp_path_factory.mktemp("specs") / "trained.yaml"
    layers = "\n".join(f"  {line}" for line in SPEC.strip().splitlines())
    path.write_text(f"format: 1\nname: trained\n{HEADER}layers:\n{layers}\n")
    return zoo.graph(path, aux=True)


def rate(step):
    return 0.02 / (1 + step)


def batch(graph, step):
    rng = np.random.default_rng(step)
    x = rng.standard_normal((EXAMPLES, *graph.input_shape)).astype(np.float32)
    return x, rng.integers(0, 5, EXAMPLES)


def build(graph, backend):
    module = registry.load(backend)
    return module, module.build(graph, initial.drawing(graph, dtype="float64"), "float64", 0)


@pytest.fixture(scope="module")
def expected(graph):
    """What the written rules give: losses, and all that there is after the last step."""

    @functools.cache
    def compute(name):
        load("torch")
        import torch
        import torch.nn.functional as F

        plan = PLANS[name]
        module, model = build(graph, "torch")
        trained = {
            p.name: model.get_parameter(p.name)
            for p in graph.parameters
            if p.trainable and p.name not in plan.frozen
        }
        norms = [p for p in plan.frozen if p.endswith("norm.weight")]
        decays = {
            p.name: plan.rule.weight_decay * (plan.rule.decay == "all" or p.name in KERNELS)
            for p in graph.parameters
        }
        written = Written(plan.rule, decays)
        masks = Masks(graph, SEED, dtype="float64")
        averages, losses = module.get_weights(model), []
        for step in range(STEPS):
            x, labels = batch(graph, step)
            model.train()
            for norm in norms:
                model.get_submodule(norm.removesuffix(".weight")).eval()
            given = masks.batch(step, EXAMPLES)

            def dropped(layer, inputs, output, name, given=given):
                return inputs[0] * torch.from_numpy(given[name])

            hooks = [
                model.get_submodule(node).register_forward_hook(
                    functools.partial(dropped, name=node)
                )
                for node in given
            ]
            outputs = model(torch.from_numpy(x).double())
            for hook in hooks:
                hook.remove()
            smoothing, target = plan.label_smoothing, torch.from_numpy(labels)
            loss = F.cross_entropy(outputs["logits"], target, label_smoothing=smoothing)
            loss = loss + 0.3 * F.cross_entropy(outputs["aux1"], target, label_smoothing=smoothing)
            found = torch.autograd.grad(loss, list(trained.values()))
            gradients = {n: g.numpy() for n, g in zip(trained, found, strict=True)}
            if plan.clip_norm is not None:
                norm = np.sqrt(sum((g**2).sum() for g in gradients.values()))
                assert norm > plan.clip_norm, "nothing is clipped"
                gradients = {n: g * (plan.clip_norm / norm) for n, g in gradients.items()}
            weights = module.get_weights(model)
            written.step(weights, gradients, step + 1, rate(step))
            module.set_weights(model, weights)
            if plan.ema is not None:
                averages = {
                    n: plan.ema * averages[n] + (1 - plan.ema) * w for n, w in weights.items()
                }
            losses.append(loss.item())
        state = {f"{s}/{n}": a for s, arrays in written.slots.items() for n, a in arrays.items()}
        if plan.ema is not None:
            state |= {f"{EMA}/{n}": a for n, a in averages.items()}
        return losses, weights, state

    return compute


def take(trainer, graph, steps, parts=(0, EXAMPLES)):
    """Take steps, each in parts of the batch."""
    layout = "HWC" if trainer.backend.channels_last else "CHW"
    masks, losses = Masks(graph, SEED, layout, "float64"), []
    for step in steps:
        x, labels = batch(graph, step)
        if layout == "HWC":
            x = np.ascontiguousarray(x.transpose(0, 2, 3, 1))
        given = masks.batch(step, EXAMPLES)
        pieces = [slice(a, b) for a, b in itertools.pairwise(parts)]
        losses.append(
            trainer.step(
                [Part(x[p], labels[p], {n: m[p] for n, m in given.items()}) for p in pieces],
                rate(step),
            )
        )
    return [float(loss) for loss in losses]


def assert_same(found, expected):
    """Arrays of a kind are compared by the largest of them."""
    assert found.keys() == expected.keys()
    kinds = {}
    for name in expected:
        kinds.setdefault(name.partition("/")[0] if "/" in name else "", []).append(name)
    for names in kinds.values():
        largest = max(np.abs(expected[name]).max() for name in names)
        for name in names:
            assert found[name].shape == expected[name].shape, name
            assert np.abs(found[name] - expected[name]).max() <= TOLERANCE * largest, name


@pytest.mark.parametrize(
    "name", [n if n in DAILY else pytest.param(n, marks=pytest.mark.slow) for n in PLANS]
)
def test_a_trainer_computes_the_written_rule(name, backend, graph, expected):
    load(backend)
    module, model = build(graph, backend)
    trainer = module.trainer(model, PLANS[name])
    start = module.get_weights(model)
    losses = take(trainer, graph, range(STEPS))
    check((losses, module.get_weights(model), trainer.get_state()), expected(name))
    assert trainer.steps == STEPS
    for parameter in PLANS[name].frozen:
        assert np.array_equal(module.get_weights(model)[parameter], start[parameter])
        average = trainer.get_state()[f"{EMA}/{parameter}"]
        assert np.array_equal(average, start[parameter]), "an average of equal values is that value"


@pytest.mark.parametrize(
    "name",
    [
        "nesterov",
        "everything",
        *(pytest.param(n, marks=pytest.mark.slow) for n in ("adam", "rmsprop-momentum")),
    ],
)
def test_a_run_goes_on_from_its_state(name, backend, graph):
    """Weights, slots and the number of steps are all that a new trainer needs, bit for bit."""
    load(backend)
    module, model = build(graph, backend)
    first = module.trainer(model, PLANS[name])
    take(first, graph, range(3))
    weights, state = module.get_weights(model), first.get_state()
    after = take(first, graph, range(3, STEPS))

    _, other = build(graph, backend)
    second = module.trainer(other, PLANS[name])
    take(second, graph, [9])  # whatever it did before is forgotten
    module.set_weights(other, weights)
    second.set_state(state, 3)
    assert take(second, graph, range(3, STEPS)) == after
    for one, two in (
        (module.get_weights(model), module.get_weights(other)),
        (first.get_state(), second.get_state()),
    ):
        assert one.keys() == two.keys()
        assert all(np.array_equal(one[key], two[key]) for key in one)


def test_parts_of_a_batch_add_up(backend, graph):
    """Without batch norms, whose statistics are those of a part."""
    load(backend)
    plan = replace(
        PLANS["momentum"],
        frozen=frozenset(("bn.weight", "bn.bias", "norm.weight", "norm.bias")),
    )
    results = []
    for parts in ((0, EXAMPLES), (0, 1, 4, EXAMPLES)):
        module, model = build(graph, backend)
        trainer = module.trainer(model, plan)
        losses = take(trainer, graph, range(2), parts)
        results.append((losses, module.get_weights(model)))
    (losses, whole), (partial, summed) = results
    assert partial == pytest.approx(losses, rel=TOLERANCE)
    assert_same(summed, whole)


def half_smoothed(logits, labels, weight=1.0, smoothing=0.0, *, of=None):
    return of(logits, labels, weight, smoothing * logits.shape[-1] / (logits.shape[-1] - 1))


FAULTS = {
    "decay on biases": (
        "nesterov",
        "zoo.backend.training.Rule.decay_of",
        lambda of: lambda rule, parameter: rule.weight_decay,
    ),
    "aux weight 0.4": (
        "momentum",
        "zoo.torch.train.cross_entropy",
        lambda of: (
            lambda logits, labels, weight, smoothing: of(
                logits, labels, 0.4 if weight == 0.3 else weight, smoothing
            )
        ),
    ),
    "smoothing that leaves out the class": (
        "everything",
        "zoo.torch.train.cross_entropy",
        lambda of: functools.partial(half_smoothed, of=of),
    ),
    "a moving average without statistics": (
        "everything",
        "zoo.torch.trainer.TorchTrainer._average",
        lambda of: lambda trainer, kept: None,
    ),
    "clipping by the largest value": (
        "everything",
        "zoo.torch.trainer._clip",
        lambda of: lambda gradients, largest: [g.clamp_(-largest, largest) for g in gradients],
    ),
    "a dropout that drops nothing": (
        "sgd",
        "zoo.torch.trainer._Dropping.__call__",
        lambda of: lambda hook, module, inputs, output: output,
    ),
    "frozen norms that update": (
        "everything",
        "torch.nn.BatchNorm2d.eval",
        lambda of: lambda norm: norm,
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_seeded_fault_is_found(fault, graph, expected, monkeypatch):
    load("torch")
    name, place, make = FAULTS[fault]
    owner, _, attribute = place.rpartition(".")
    found = pkgutil.resolve_name(owner)
    monkeypatch.setattr(found, attribute, make(getattr(found, attribute)))
    module, model = build(graph, "torch")
    trainer = module.trainer(model, PLANS[name])
    got = take(trainer, graph, range(STEPS))
    with pytest.raises(AssertionError):
        check((got, module.get_weights(model), trainer.get_state()), expected(name))


def check(found, expected):
    losses, *arrays = found
    expected_losses, *expected_arrays = expected
    assert losses == pytest.approx(expected_losses, rel=TOLERANCE)
    for one, other in zip(arrays, expected_arrays, strict=True):
        assert_same(one, other)
