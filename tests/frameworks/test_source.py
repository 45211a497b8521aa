"""Source files compute what the built models do, in a process that has no zoo."""

from __future__ import annotations

import importlib
import inspect
import shutil
import sys

import loading
import numpy as np
import pytest
import sources
from everything import LAYERS
from photographs import photographs
from small import GOOGLENET, VGG_BN

import zoo
from zoo.backend.calls import located
from zoo.verification.comparison import error
from zoo.verification.conditioned_weights import conditioned
from zoo.verification.sizes import smaller

pytestmark = pytest.mark.frameworks

#: Networks of a few layers with what larger ones have, each in one framework a day.
SMALL = {"torch": GOOGLENET, "paddle": VGG_BN, "keras": GOOGLENET, "flax": VGG_BN}


@pytest.fixture(scope="session")
def runner(backend, tmp_path_factory):
    """A process that has the framework and no zoo."""
    made = sources.Runner(backend, tmp_path_factory.mktemp(backend))
    yield made
    made.close()


def check(name, backend, runner, folder, *, optimized=False, **options):
    """Hold the source of a network against its built model: in float64, gradients and files, too."""
    text = zoo.source(name, backend, **options)
    (folder / "network.py").write_text(text)
    graph = zoo.graph(name, **options)
    if graph.omitted:
        graph = zoo.graph(name, **options, aux=True)
    x = photographs(1, graph.input_shape)
    weights, values = conditioned(graph, x)
    model = zoo.build(graph, backend, dtype="float64")
    zoo.set_weights(model, weights)
    np.savez(folder / "native.npz", **sources.native(model, backend))
    np.save(folder / "x.npy", x.astype(np.float64))
    heads = {"aux": True} if graph.options["aux"] else {}
    count = runner.run(folder, sources.network_name(text), optimized=optimized, **heads)
    assert count == graph.num_parameters
    with np.load(folder / "outputs.npz") as file:
        found = dict(file)
    built, expected = run(model, backend, x.astype(np.float64))
    assert set(found) == set(built)
    for key, value in built.items():
        node = graph.output_nodes.get(key)
        assert found[key].dtype == np.float64
        assert error(found[key], value) <= 1e-12
        assert node is None or error(found[key], values[node.name]) <= 1e-11

    largest = max(abs(value).max() for value in expected.values())
    with np.load(folder / "gradients.npz") as gradients:  # each is read when it is needed
        assert set(gradients.files) == set(expected)
        for key, value in expected.items():
            assert abs(gradients[key] - value).max() <= 1e-10 * largest, key

    saved = folder / sources.SAVED[backend]  # zoo reads what the framework itself saved
    del model, expected  # of the largest networks, there is no room for another
    own = zoo.get_weights(zoo.build(graph, backend, dtype="float64", weights=saved))
    for key, value in weights.items():
        assert np.array_equal(own[key], value), key


def test_a_small_network(backend, framework, runner, tmp_path):
    check(SMALL[backend], backend, runner, tmp_path)
    number = zoo.graph(SMALL[backend]).num_parameters
    assert runner.main(tmp_path) == f"{number:,} parameters\n"


#: Also a layer that some uses of a block have and others do not, and pairs of equal numbers.
DOWN = """
options: {num_classes: 5, input_size: 34}
blocks:
  down:
    parameters: {stride: 1}
    layers:
      pool: {op: avg_pool, kernel_size: 2, stride: $stride, when: $stride > 1}
      norm: {op: batch_norm}
      pad: {op: pad_channels, padding: $stride}
      select: {op: select, channels: [2, 2]}
"""


def test_every_operation(backend, framework, runner, spec_file, tmp_path):
    """Layers have names that Keras gives its own operations, too, such as relu6 and pad."""
    layers = "keep: {block: down}\nhalve: {block: down, stride: 2}\n"
    check(spec_file(layers + LAYERS, header=DOWN), backend, runner, tmp_path)


#: Blocks of which a layer is one or another; the first one needs fewer parameters.
EITHER = """
options: {num_classes: 5, in_channels: 4, input_size: 8}
tables:
  stages:
    columns:  [    kind, expand, channels]
    rows:
      stage1: [ opening,      2,        6]
      stage2: [residual,      3,        6]
      stage3: [residual,      3,        8]
blocks:
  opening:
    parameters: {channels: ~, expand: ~, rate: ~}
    layers:
      conv: {op: conv, out_channels: $channels * $expand, kernel_size: 3}
      project: {op: conv, out_channels: $channels, kernel_size: 1}
  residual:
    parameters: {channels: ~, expand: ~, rate: ~, adds: $input.channels == $channels}
    layers:
      conv: {op: conv, out_channels: $input.channels * $expand, kernel_size: 3, padding: 1}
      project: {op: conv, out_channels: $channels, kernel_size: 1}
      drop: {op: stochastic_depth, rate: $rate, when: $adds}
      add: {op: add, from: [drop, input], when: $adds}
  stage:
    parameters: {kind: ~, expand: ~, channels: ~, count: ~}
    layers:
      block: {block: $kind, repeat: $count, channels: $channels, expand: $expand, rate: $index / 4}
"""


def test_blocks_of_which_a_layer_is_one_or_another(backend, framework, runner, spec_file, tmp_path):
    layers = """
    stage: {block: stage, table: stages, repeat: [1, 3, 2], count: $item}
    pool: {op: adaptive_avg_pool, output_size: 3}
    conv: {op: conv, out_channels: 4, kernel_size: 1}
    flatten: {op: flatten}
    fc: {op: linear, out_features: $num_classes}
    """
    check(spec_file(layers, header=EITHER), backend, runner, tmp_path)


#: Repetitions with the names of rows, in one place or two, of groups, side by side, and left out.
REPEATED = """
options: {num_classes: 5, in_channels: 3, input_size: 17}
tables:
  widths:
    columns: [filters, stride]
    rows: {a: [8, 1], left: [8, 2], b2: [8, 1]}
  more:
    columns: [filters, stride]
    rows: {only: [6, 2]}
blocks:
  residual:
    parameters: {filters: ~, stride: 1}
    layers:
      conv: {op: conv, out_channels: $filters, kernel_size: 3, stride: $stride, padding: 1}
      shortcut: {op: conv, from: input, out_channels: $filters, kernel_size: 1, stride: $stride, when: $stride != 1 or $input.channels != $filters}
      add: {op: add, from: [conv, shortcut]}
  stage:
    parameters: {rows: ~, stride: 1}
    layers:
      body: {block: residual, repeat: {table: $rows}, stride: $stride if $index == 0 else 1}
"""


def test_what_is_repeated(backend, framework, runner, spec_file, tmp_path):
    layers = """
    stem: {block: residual, repeat: {table: widths}}
    first: {block: stage, rows: widths}
    second: {block: stage, rows: more, stride: 2}
    group: {repeat: 2, layers: {conv: {op: conv, out_channels: 4, kernel_size: 1}, relu: {op: relu}}}
    side: {from: group2, op: conv, out_channels: 3, kernel_size: 1, repeat: 2}
    concat: {op: concat, from: [side1, side2]}
    late: {block: residual, filters: 6, repeat: 4, when: $index != 1}
    flatten: {op: flatten}
    fc: {op: linear, out_features: $num_classes}
    """
    check(spec_file(layers, header=REPEATED), backend, runner, tmp_path)


def run(model, backend, x):
    """The outputs, and the gradients of the sum of their squares, in evaluation mode."""

    def named(outputs):
        return outputs if isinstance(outputs, dict) else {"logits": outputs}

    if backend in ("torch", "paddle"):
        model.eval()
        module = importlib.import_module(backend)
        x = (module.from_numpy if backend == "torch" else module.to_tensor)(x)
        outputs = named(model(x))
        sum((value * value).sum() for value in outputs.values()).backward()
        outputs = {name: value.detach() for name, value in outputs.items()}
        found = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    elif backend == "keras":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            outputs = named(model(x.transpose(0, 2, 3, 1), training=False))
            total = sum(tf.reduce_sum(value * value) for value in outputs.values())
        layers = {f"{la.name}|{w.name}": w.value for la in model.layers for w in la.weights
                  if w.trainable}  # fmt: skip
        found = dict(zip(layers, tape.gradient(total, list(layers.values())), strict=True))
    else:
        from flax import nnx

        model.eval()

        def loss(model):
            outputs = named(model(x.transpose(0, 2, 3, 1)))
            return sum((value * value).sum() for value in outputs.values()), outputs

        tree, outputs = nnx.jit(nnx.grad(loss, has_aux=True))(model)
        found = {"|".join(map(str, p)): v[...] for p, v in nnx.to_flat_state(tree)}
    return tuple({k: np.asarray(v) for k, v in each.items()} for each in (outputs, found))


@pytest.mark.slow
@pytest.mark.parametrize("name", zoo.list_models())
def test_every_network(name, backend, framework, runner, tmp_path):
    size = smaller(zoo.graph(name, aux=bool(zoo.graph(name).omitted)))
    # Compiling is most of the time of XLA, unless it computes gradients of grouped convolutions.
    grouped = any(node.attributes.get("groups", 1) > 1 for node in zoo.graph(name).nodes)
    if backend == "flax":
        sys.modules["jax"].config.update("jax_disable_most_optimizations", not grouped)
    try:
        check(name, backend, runner, tmp_path, optimized=grouped, input_size=size)
    finally:
        if backend == "flax":
            sys.modules["jax"].config.update("jax_disable_most_optimizations", loading.quick)
    shutil.rmtree(tmp_path)  # up to gigabytes


@pytest.mark.parametrize("backend", ["torch", "keras", "flax"], indirect=True)
def test_the_defaults_that_a_file_omits_are_the_frameworks_own(backend, framework):
    dialect = importlib.import_module(f"zoo.writing.{backend}").DIALECT
    for target, defaults in dialect.defaults.items():
        if target.startswith("zoo."):
            continue
        called = located(target)
        made = called.__init__ if isinstance(called, type) else called
        signature = inspect.signature(made).parameters
        for name, value in defaults.items():
            stated = signature[name].default
            known = (
                {0: ("VALID", "valid"), 1: ((1, 1), None)}.get(value, ()) if value in (0, 1) else ()
            )
            assert stated == value or stated in known, (target, name, stated)
