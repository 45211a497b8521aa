"""Benchmark cases for Flax."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

import zoo
from zoo.graphs.shapes import Map


def ready(model):
    return jax.block_until_ready(nnx.state(model, nnx.Param))


def cases(ours, peer, name):
    """Return what to time: name -> (zoo's function, the peer's)."""
    single = jax.random.normal(jax.random.key(0), (1, 224, 224, 3))
    batch = jnp.repeat(single, 4 if name == "vgg16" else 16, 0)
    planar = np.asarray(single).transpose(0, 3, 1, 2)
    jitted = forward(peer, single)

    def plain(x):
        peer.eval()
        return peer(x)

    return {
        "forward, nnx.jit, batch 1": (forward(ours, single), jitted),
        f"forward, nnx.jit, batch {len(batch)}": (forward(ours, batch), forward(peer, batch)),
        "predict against the plain call": (
            lambda: zoo.predict(ours, planar),
            lambda: np.array(plain(single)),
        ),
        "predict against the nnx.jit call": (
            lambda: zoo.predict(ours, planar),
            lambda: np.array(jitted()),
        ),
        f"SGD step, nnx.jit, batch {len(batch)}": (step(ours, batch), step(peer, batch)),
    }


def permute():
    from zoo.backend.parameters import to_native

    kernel = to_native(np.ones((4096, 25088), np.float32), "IO", Map(512, 7, 7))
    jax.device_put(kernel).block_until_ready()


call = nnx.jit(lambda model, x: model(x))


def forward(model, x):
    def run():
        model.eval()
        return call(model, x).block_until_ready()

    return run


@nnx.jit
def update(model, x):
    def loss(model):
        return -jax.nn.log_softmax(model(x))[:, 0].mean()

    gradients = nnx.grad(loss)(model)
    updated = jax.tree.map(lambda p, g: p - 1e-4 * g, nnx.state(model, nnx.Param), gradients)
    nnx.update(model, updated)


def step(model, x):
    def run():
        model.train()
        update(model, x)
        jax.block_until_ready(nnx.state(model, nnx.Param))

    return run
