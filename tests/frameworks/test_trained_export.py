"""A GoogLeNet that was trained, written as ONNX: ONNX Runtime gives what its framework gives."""

from __future__ import annotations

import numpy as np
import pytest
from loading import load
from small import GOOGLENET

import zoo
from zoo.verification.comparison import error

STEPS, BATCH = 3, 8


@pytest.fixture(scope="module")
def digits():
    """Handwritten digits, as large as the network's input."""
    whole = zoo.dataset("digits").train
    count = STEPS * BATCH
    images = np.stack([np.asarray(whole.images[i]) for i in range(count)])
    larger = images.repeat(12, axis=1).repeat(12, axis=2)
    parts = {"x": larger, "y": whole.labels[:count]}
    return {f"{kind}_{part}": parts[kind] for part in ("train", "test") for kind in parts}


@pytest.mark.parametrize(
    "backend",
    [
        "torch",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("paddle", "keras", "flax")),
    ],
    indirect=True,
)
def test_a_trained_network_is_the_same_in_onnx(framework, backend, digits, tmp_path):
    load("onnx")
    import onnxruntime

    model = zoo.build(GOOGLENET, backend, aux=True, in_channels=1, num_classes=10, seed=3)
    before = zoo.get_weights(model)
    run = zoo.train(model, digits, epochs=1, batch_size=BATCH, lr=0.02, optimizer="sgd")
    after = zoo.get_weights(model)
    changed = [name for name in before if not np.array_equal(before[name], after[name])]
    assert len(changed) > len(before) / 2, run
    path = tmp_path / "trained.onnx"
    exported = zoo.export(model, path, aux=True)
    x = zoo.preprocess([image.reshape(96, 96) for image in digits["x_train"][:4]], model)
    expected = zoo.predict(model, x)
    session = onnxruntime.InferenceSession(path)
    names = [output.name for output in session.get_outputs()]
    found = dict(zip(names, session.run(None, {"input": x}), strict=True))
    assert set(found) == set(expected) == {"logits", "aux1", "aux2"}
    for name, value in found.items():
        assert error(value, expected[name].astype(np.float64)) <= exported.tolerance, name
