"""How Keras models are run, for benchmarks."""

import keras
import numpy as np

import zoo
from zoo.graphs.shapes import Map


def ready(model):
    return model


def ways(ours, peer, name):
    """What is measured: name -> (zoo's, the peer's)."""
    one = np.random.default_rng(0).standard_normal((1, 224, 224, 3), np.float32)
    batch = np.repeat(one, 4 if name == "vgg16" else 16, 0)
    planar = np.ascontiguousarray(one.transpose(0, 3, 1, 2))
    return {
        "forward, eager, batch 1": (lambda: ours(one), lambda: peer(one)),
        "forward, predict_on_batch, batch 1": (
            lambda: ours.predict_on_batch(one),
            lambda: peer.predict_on_batch(one),
        ),
        f"forward, predict_on_batch, batch {len(batch)}": (
            lambda: ours.predict_on_batch(batch),
            lambda: peer.predict_on_batch(batch),
        ),
        "predict against the plain call": (
            lambda: zoo.predict(ours, planar),
            lambda: np.array(peer(one)),
        ),
        f"SGD step, batch {len(batch)}": (step(ours, batch), step(peer, batch)),
    }


def permute():
    from zoo.backend.parameters import to_native

    to_native(np.ones((4096, 25088), np.float32), "IO", Map(512, 7, 7))


def step(model, x):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.SGD(1e-4), loss=loss)
    labels = np.zeros(len(x), np.int64)
    return lambda: model.train_on_batch(x, labels)
