"""All frameworks in one process, in every order in which zoo may load them."""

import itertools
import subprocess
import sys

import pytest
from limits import HANG
from loading import load
from small import VGG, VGG_BN

import zoo

BACKENDS = ("torch", "paddle", "keras", "flax")

CODE = """
import sys, warnings
warnings.simplefilter("ignore")  # the frameworks' own
{first}
import numpy as np, zoo
x = np.linspace(-1, 1, 3 * 32 * 32, dtype=np.float32).reshape(1, 3, 32, 32)
logits = {{}}
for backend in {order!r}:
    model = zoo.build({network!r}, backend)
    logits[backend] = zoo.predict(model, x)
values = list(logits.values())
for value in values[1:]:
    assert np.abs(value - values[0]).max() <= 1e-5 * np.abs(values[0]).max(), logits
print("agree")
"""


def run(order, first=""):
    code = CODE.format(order=tuple(order), first=first, network=VGG_BN)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=HANG
    )
    assert done.returncode == 0, f"status {done.returncode}\n{done.stderr[-3000:]}"
    assert done.stdout.strip().endswith("agree")


@pytest.mark.slow
def test_onnx_after_all_frameworks():
    run(("keras", "paddle", "torch", "flax", "onnx"))


@pytest.mark.slow
@pytest.mark.parametrize("first", ["import tensorflow", "import keras"])
def test_after_the_users_own_import(first):
    run(["paddle"], first)


@pytest.mark.slow
@pytest.mark.parametrize("order", list(itertools.permutations(BACKENDS)), ids="-".join)
def test_all_orders(order):
    run(order)


@pytest.mark.slow
def test_gradients_in_one_process_after_the_users_own_imports():
    run(
        ["paddle", "keras"],
        "import tensorflow as tf, jax, torch, zoo\n"
        f"model = zoo.build({VGG_BN!r}, 'paddle')\n"
        "import paddle\n"
        "model(paddle.ones([2, 3, 32, 32])).sum().backward()\n"
        "assert float(abs(model.fc1.weight.grad).sum()) > 0\n"
        "v = tf.Variable(2.0)\n"
        "with tf.GradientTape() as tape: y = v * v\n"
        "assert float(tape.gradient(y, v)) == 4",
    )


def test_float64_in_flax_without_the_flag_is_an_error_that_says_what_to_do():
    code = (
        "import zoo\n"
        f"try: zoo.build({VGG!r}, 'flax', dtype='float64')\n"
        "except zoo.BackendError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=HANG
    )
    assert done.returncode == 0, done.stderr
    assert "jax_enable_x64" in done.stdout


def test_what_compiles_nothing_does_not_import_the_compiler_of_pytorch():
    """Its import takes as long as that of PyTorch."""
    load("torch")
    code = (
        f"import sys, numpy as np, zoo; model = zoo.build({VGG!r}, 'torch')\n"
        "x, names = np.ones((1, 3, 32, 32), np.float32), ['fc1']\n"
        "assert list(zoo.features(model, x, names)) == names\n"
        "assert 'torch._dynamo' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=HANG
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["tensorflow", pytest.param("tf", marks=pytest.mark.slow)])
def test_tensorflow_by_name_insists_on_it(name):
    load("keras")
    assert zoo.graph_of(zoo.build(VGG, name)).name == "small_vgg"
    code = (
        f"import os; os.environ['KERAS_BACKEND'] = 'jax'; import zoo; zoo.build({VGG!r}, {name!r})"
    )
    bad = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=HANG)
    assert "BackendError" in bad.stderr
    assert "KERAS_BACKEND" in bad.stderr


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["jax", "torch"])
def test_keras_computes_with_whichever_engine_it_runs_on(engine, spec_file):
    path = spec_file(
        """
        conv: {op: conv, out_channels: 4, kernel_size: 3}
        bn: {op: batch_norm}
        flatten: {op: flatten}
        fc: {op: linear, out_features: $num_classes}
        """,
        header="options: {num_classes: 10, input_size: 12}\n",
    )
    code = f"""
import os
os.environ["KERAS_BACKEND"] = {engine!r}
import keras
import numpy as np
import zoo
assert keras.backend.backend() == {engine!r}
from zoo.backend import registry
from zoo.weights import initial
from zoo.training import rules
graph = zoo.graph({path!r})
x, labels = rules.batches(graph.input_shape, 4, 10)[0]
found = []
for name in ("torch", "keras"):
    backend = registry.load(name)
    model = backend.build(graph, initial.drawing(graph), "float32", 0)
    loss, gradients, of_input = backend.gradients(model, x, labels)
    found.append({{"output": zoo.predict(model, x), **gradients, "input": of_input, "loss": np.array(loss), **{{
        key: value for key, value in backend.get_weights(model).items() if "running" in key}}}})
one, other = found
assert one.keys() == other.keys()
largest = max(np.abs(value).max() for value in one.values())
assert max(np.abs(one[key] - other[key]).max() for key in one) < 1e-5 * largest
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=HANG
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("backend", [*BACKENDS, "onnx"])
def test_a_missing_framework_says_what_to_install(backend):
    code = (
        "import sys\n"
        "class Gone:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.partition('.')[0] == {backend!r}: raise ModuleNotFoundError('gone', name=name)\n"
        "sys.meta_path.insert(0, Gone())\n"
        "import zoo\n"
        f"assert {backend!r} not in zoo.list_backends()\n"
        f"try: zoo.build({VGG!r}, {backend!r})\n"
        "except zoo.BackendError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=HANG
    )
    assert done.returncode == 0, done.stderr
    assert f"zoo's {backend} backend needs" in done.stdout
    assert f"python -m pip install 'polyzoo[{backend}]'" in done.stdout
