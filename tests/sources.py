"""Runs written source files in processes that have no zoo, and gives what they compute."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import xla

#: Refuses zoo. For each line that it reads, it runs a file, fills its network, and saves outputs,
#: gradients and the framework's own file of the weights.
_COMMON = """
import contextlib, gc, io, json, runpy, sys, traceback
import numpy as np

class Refusing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "zoo":
            raise ImportError("there is no zoo here")

sys.meta_path.insert(0, Refusing())
answers, sys.stdout = sys.stdout, sys.stderr
IMPORTS

def run(folder, network, options, optimized):
    given = np.load(f"{folder}/native.npz")  # each array is read when it is needed
    x = np.load(f"{folder}/x.npy")
    made = runpy.run_path(f"{folder}/network.py")[network]
    PROGRAM
    outputs = outputs if isinstance(outputs, dict) else {"logits": outputs}
    np.savez(f"{folder}/outputs.npz", **{k: to_numpy(v) for k, v in outputs.items()})
    np.savez(f"{folder}/gradients.npz", **gradients)
    assert "zoo" not in sys.modules
    return count

def main(folder):
    with contextlib.redirect_stdout(io.StringIO()) as text:
        runpy.run_path(f"{folder}/network.py", run_name="__main__")
    return text.getvalue()

for line in sys.stdin:
    try:
        job = json.loads(line)
        answer = {"result": {"run": run, "main": main}[job.pop("function")](**job)}
    except Exception:  # whatever a source raises is the test's to report
        answer = {"error": traceback.format_exc()[-3000:]}
    print(json.dumps(answer), file=answers, flush=True)
    gc.collect()
"""

_TORCH = """
import torch
torch.set_default_dtype(torch.float64)
---
model = made(**options)
state = model.state_dict()
assert set(state) == set(given.files), set(state) ^ set(given.files)
for name, tensor in state.items():
    tensor.copy_(torch.from_numpy(given[name]))
model.eval()
for module in model.modules():  # a batch without dropout
    if isinstance(module, torch.nn.Dropout):
        module.p = 0.0
outputs = model(torch.tensor(x))
total = sum((v * v).sum() for v in (outputs.values() if isinstance(outputs, dict) else [outputs]))
total.backward()
gradients = {k: p.grad.numpy() for k, p in model.named_parameters()}
torch.save(model.state_dict(), f"{folder}/saved.pth")
to_numpy = lambda v: v.detach().numpy()
count = sum(p.numel() for p in model.parameters())
"""

_PADDLE = """
import paddle
paddle.set_default_dtype("float64")
---
model = made(**options)
state = model.state_dict()
assert set(state) == set(given.files), set(state) ^ set(given.files)
for name, tensor in state.items():
    tensor.set_value(given[name])
model.eval()
outputs = model(paddle.to_tensor(x))
total = sum((v * v).sum() for v in (outputs.values() if isinstance(outputs, dict) else [outputs]))
total.backward()
gradients = {k: p.grad.numpy() for k, p in model.named_parameters() if not p.stop_gradient}
paddle.save(model.state_dict(), f"{folder}/saved.pdparams")
to_numpy = lambda v: v.numpy()
count = sum(int(np.prod(p.shape)) for p in model.parameters() if not p.stop_gradient)
"""

_KERAS = """
import keras
import tensorflow as tf
keras.config.set_floatx("float64")
keras.config.set_dtype_policy("float64")
---
model = made(**options)
names = {f"{layer.name}/{w.name}": w for layer in model.layers for w in layer.weights
         if "seed" not in w.path}
assert list(names) == given.files, set(names) ^ set(given.files)  # for get_weights, in order
model.set_weights([given[name] for name in given.files])
with tf.GradientTape() as tape:
    outputs = model(x.transpose(0, 2, 3, 1), training=False)
    total = sum(tf.reduce_sum(v * v) for v in (outputs.values() if isinstance(outputs, dict) else [outputs]))
trained = {k: w.value for k, w in names.items() if w.trainable}
found = tape.gradient(total, list(trained.values()))
gradients = {k.replace("/", "|"): g.numpy() for k, g in zip(trained, found)}
model.save(f"{folder}/saved.keras")
to_numpy = lambda v: v.numpy()
count = sum(int(np.prod(w.shape)) for w in model.trainable_weights)
keras.backend.clear_session()
"""

_FLAX = """
from pathlib import Path
import jax
jax.config.update("jax_enable_x64", True)
import flax.serialization
from flax import nnx
---
jax.config.update("jax_disable_most_optimizations", not optimized)
# Initial values are only traced: most of the time would be for compiling what makes them.
model = nnx.eval_shape(lambda: made(**options, rngs=nnx.Rngs(0)))
generators, stream = nnx.state(model, nnx.RngState), nnx.state(nnx.Rngs(0))["default"]
for path, variable in nnx.to_flat_state(generators):
    variable.set_value(stream[path[-1]][...])
nnx.update(model, generators)
state = nnx.state(model, (nnx.Param, nnx.BatchStat))
flat = dict(nnx.to_flat_state(state))
names = {"/".join(map(str, path)): variable for path, variable in flat.items()}
assert set(names) == set(given.files), set(names) ^ set(given.files)
for name, variable in names.items():
    variable.set_value(jax.numpy.asarray(given[name]))
nnx.update(model, state)
model.eval()
def loss(model):
    outputs = model(x.transpose(0, 2, 3, 1))
    values = outputs.values() if isinstance(outputs, dict) else [outputs]
    return sum((v * v).sum() for v in values), outputs
found, outputs = nnx.jit(nnx.grad(loss, has_aux=True))(model)
gradients = {"|".join(map(str, p)): np.asarray(v[...]) for p, v in nnx.to_flat_state(found)}
saved = flax.serialization.msgpack_serialize(nnx.to_pure_dict(state))
Path(folder, "saved.msgpack").write_bytes(saved)
to_numpy = np.asarray
count = sum(v.size for v in jax.tree.leaves(nnx.state(model, nnx.Param)))
jax.clear_caches()
"""

_PROGRAMS = {"torch": _TORCH, "paddle": _PADDLE, "keras": _KERAS, "flax": _FLAX}

#: Backend -> what its program saves with the framework's own means.
SAVED = {
    "torch": "saved.pth",
    "paddle": "saved.pdparams",
    "keras": "saved.keras",
    "flax": "saved.msgpack",
}


class Runner:
    """A process with one framework and without zoo, that runs source files."""

    def __init__(self, backend: str, folder: Path) -> None:
        imports, _, program = _PROGRAMS[backend].strip().partition("\n---\n")
        path = folder / "program.py"
        indented = textwrap.indent(program, "    ").strip()
        path.write_text(_COMMON.replace("IMPORTS", imports).replace("PROGRAM", indented))
        self._program, self._process = path, self._started(path)

    @staticmethod
    def _started(program: Path) -> subprocess.Popen:
        environment = {**os.environ, "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
        environment.pop("PYTHONPATH", None)
        xla.tell(xla.QUICK, environment=environment)
        return subprocess.Popen(
            [sys.executable, program],
            cwd=program.parent,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, folder: Path, network: str, *, optimized: bool = False, **options: bool) -> int:
        """Run a source file; return the number of its parameters.

        ``folder`` has network.py, native.npz (weights by the framework's own names) and x.npy;
        afterwards it has outputs.npz, gradients.npz and the file of ``SAVED``.
        """
        job = {
            "folder": str(folder),
            "network": network,
            "options": options,
            "optimized": optimized,
        }
        return int(self._ask({"function": "run", **job}))

    def main(self, folder: Path) -> str:
        """Run network.py in a folder as a program, and return what it prints."""
        return str(self._ask({"function": "main", "folder": str(folder)}))

    def _ask(self, job: dict) -> object:
        if self._process.poll() is not None:  # one network failed; the next ones need not
            self._process = self._started(self._program)
        print(json.dumps(job), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        assert line, f"the process ended with {self._process.wait()}"
        answer = json.loads(line)
        assert "error" not in answer, answer["error"]
        return answer["result"]

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def native(model, backend: str) -> dict[str, np.ndarray]:
    """Return the weights of a model that zoo built, by the framework's own names."""
    if backend in ("torch", "paddle"):
        return {name: value.numpy() for name, value in model.state_dict().items()}
    if backend == "keras":
        return {
            f"{layer.name}/{weight.name}": weight.numpy()
            for layer in model.layers
            for weight in layer.weights
            if "seed" not in weight.path
        }
    from flax import nnx

    flat = nnx.to_flat_state(nnx.state(model, (nnx.Param, nnx.BatchStat)))
    return {"/".join(map(str, path)): np.asarray(variable[...]) for path, variable in flat}


def network_name(text: str) -> str:
    """Return the name of the class or function of the network: the one that main calls."""
    line = next(line for line in text.splitlines() if line.startswith("    model = "))
    return line.removeprefix("    model = ").partition("(")[0]
