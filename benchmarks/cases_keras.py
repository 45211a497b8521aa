"""Benchmark cases for Keras."""

import keras
import numpy as np

import zoo
from zoo.graphs.shapes import Map


def ready(model):
    return model


def cases(ours, peer, name):
    """Return what to time: name -> (zoo's function, the peer's)."""
    single = np.random.default_rng(0).standard_normal((1, 224, 224, 3), np.float32)
    batch = np.repeat(single, 4 if name == "vgg16" else 16, 0)
    planar = np.ascontiguousarray(single.transpose(0, 3, 1, 2))
    return {
        "forward, eager, batch 1": (lambda: ours(single), lambda: peer(single)),
        "forward, predict_on_batch, batch 1": (
            lambda: ours.predict_on_batch(single),
            lambda: peer.predict_on_batch(single),
        ),
        f"forward, predict_on_batch, batch {len(batch)}": (
            lambda: ours.predict_on_batch(batch),
            lambda: peer.predict_on_batch(batch),
        ),
        "predict against the plain call": (
            lambda: zoo.predict(ours, planar),
            lambda: np.array(peer(single)),
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
