"""Source files compute what the built models do, in a process that has no zoo."""

from __future__ import annotations

import importlib
import inspect

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

pytestmark = pytest.mark.frameworks

#: Networks of a few layers with what larger ones have, each in one framework a day.
SMALL = {"torch": GOOGLENET, "paddle": VGG_BN, "keras": GOOGLENET, "flax": VGG_BN}


def check(name, backend, folder):
    """Hold the source of a network against its built model."""
    graph = zoo.graph(name)
    if graph.omitted:
        graph = zoo.graph(name, aux=True)
    aux = bool(graph.options["aux"])
    x = photographs(1, graph.input_shape)
    weights, values = conditioned(graph, x)
    model = zoo.build(graph, backend, dtype="float64")
    zoo.set_weights(model, weights)
    np.savez(folder / "native.npz", **sources.native(model, backend))
    np.save(folder / "x.npy", x.astype(np.float64))
    text = zoo.source(name, backend)
    path = folder / "network.py"
    path.write_text(text)
    count = sources.run(folder, path, sources.network_name(text), backend, aux)
    assert count == graph.num_parameters
    outputs = np.load(folder / "outputs.npz")
    built = zoo.predict(model, x.astype(np.float64))
    built = built if isinstance(built, dict) else {"logits": built}
    assert set(outputs) == set(built)
    for key, value in built.items():
        node = graph.output_nodes.get(key)
        assert outputs[key].dtype == np.float64
        found = outputs[key]
        assert error(found, value) <= 1e-12
        assert node is None or error(found, values[node.name]) <= 1e-11
    return graph, model, x, text


def test_a_small_network(backend, framework, tmp_path):
    graph, model, x, _ = check(SMALL[backend], backend, tmp_path)
    saved = {"torch": "saved.pth", "paddle": "saved.pdparams", "keras": "saved.keras"}
    if backend in saved:  # zoo reads what the framework itself saved
        own = zoo.build(graph, backend, dtype="float64", weights=tmp_path / saved[backend])
        for name, value in zoo.get_weights(model).items():
            assert np.array_equal(zoo.get_weights(own)[name], value), name
    gradients = dict(np.load(tmp_path / "gradients.npz"))
    expected = gradient_of_squares(model, backend, x)
    largest = max(abs(value).max() for value in expected.values())
    assert set(gradients) == set(expected)
    for name, value in expected.items():
        assert abs(gradients[name] - value).max() <= 1e-10 * largest, name


#: Also a layer that some uses of a block have and others do not.
DOWN = """
options: {num_classes: 5, input_size: 34}
blocks:
  down:
    parameters: {stride: 1}
    layers:
      pool: {op: avg_pool, kernel_size: 2, stride: $stride, when: $stride > 1}
      norm: {op: batch_norm}
"""


def test_every_operation(backend, framework, spec_file, tmp_path):
    """Layers have names that Keras gives its own operations, too, such as relu6 and pad."""
    layers = "keep: {block: down}\nhalve: {block: down, stride: 2}\n"
    check(spec_file(layers + LAYERS, header=DOWN), backend, tmp_path)


def gradient_of_squares(model, backend, x):
    """The gradients of the sum of the outputs' squares, in evaluation mode."""
    if backend == "torch":
        import torch

        model.eval()
        outputs = model(torch.tensor(x, dtype=torch.float64))
        values = outputs.values() if isinstance(outputs, dict) else [outputs]
        sum((value * value).sum() for value in values).backward()
        return {name: p.grad.numpy() for name, p in model.named_parameters()}
    if backend == "paddle":
        import paddle

        model.eval()
        outputs = model(paddle.to_tensor(x.astype("float64")))
        values = outputs.values() if isinstance(outputs, dict) else [outputs]
        sum((value * value).sum() for value in values).backward()
        named = dict(model.named_parameters())
        return {name: p.grad.numpy() for name, p in named.items() if not p.stop_gradient}
    if backend == "keras":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            outputs = model(x.transpose(0, 2, 3, 1).astype("float64"), training=False)
            values = outputs.values() if isinstance(outputs, dict) else [outputs]
            total = sum(tf.reduce_sum(value * value) for value in values)
        layers = {f"{la.name}|{w.name}": w.value for la in model.layers for w in la.weights
                  if w.trainable}  # fmt: skip
        found = tape.gradient(total, list(layers.values()))
        return {name: value.numpy() for name, value in zip(layers, found, strict=True)}
    from flax import nnx

    model.eval()

    def loss(model):
        outputs = model(x.transpose(0, 2, 3, 1).astype("float64"))
        values = outputs.values() if isinstance(outputs, dict) else [outputs]
        return sum((value * value).sum() for value in values)

    found = nnx.jit(nnx.grad(loss))(model)
    return {"|".join(map(str, p)): np.asarray(v[...]) for p, v in nnx.to_flat_state(found)}


@pytest.mark.slow
@pytest.mark.parametrize("name", zoo.list_models())
def test_every_network(name, backend, framework, tmp_path):
    check(name, backend, tmp_path)


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
