"""What layers do by chance in training: whole examples or single values, scaled for what is lost."""

from __future__ import annotations

import numpy as np
import pytest

import zoo

pytestmark = pytest.mark.frameworks


def trained(model, backend: str, x: np.ndarray) -> np.ndarray:
    """The model's output in training mode, [N, C, H, W], by each framework's own means."""
    if backend == "torch":
        import torch

        return model.train()(torch.tensor(x)).detach().numpy()
    if backend == "paddle":
        import paddle

        model.train()
        return model(paddle.to_tensor(x)).numpy()
    x = x.transpose(0, 2, 3, 1)
    if backend == "keras":
        return np.asarray(model(x, training=True)).transpose(0, 3, 1, 2)
    model.train()
    return np.asarray(model(x)).transpose(0, 3, 1, 2)


@pytest.fixture
def make(spec_file, framework, backend):
    def make(layer, **options):
        path = spec_file(
            f"same: {{op: relu}}\ndrop: {layer}",
            header="options: {in_channels: 4, input_size: 3}\noutputs: {map: {from: drop}}\n",
        )
        return zoo.build(path, backend, **options)

    return make


def test_stochastic_depth_drops_whole_examples(make, backend):
    model = make("{op: stochastic_depth, rate: 0.25}")
    x = np.ones((400, 4, 3, 3), np.float32)
    out = trained(model, backend, x)
    kept = out[:, 0, 0, 0]
    assert (out == kept[:, None, None, None]).all(), "an example is dropped whole"
    assert set(np.unique(kept).round(5)) == {0, np.float32(1 / 0.75).round(5)}
    assert 0.15 < (kept == 0).mean() < 0.35
    assert (zoo.predict(model, x) == x).all()
    assert (trained(model, backend, x) != out).any(), "another draw each time"


def test_dropout_drops_single_values(make, backend):
    model = make("{op: dropout, rate: 0.25}")
    x = np.ones((50, 4, 3, 3), np.float32)
    out = trained(model, backend, x)
    assert set(np.unique(out).round(5)) == {0, np.float32(1 / 0.75).round(5)}
    assert 0.15 < (out == 0).mean() < 0.35
    assert len(np.unique(out.reshape(50, -1).sum(1))) > 3
    assert (zoo.predict(model, x) == x).all()


@pytest.mark.parametrize("layer", ["{op: stochastic_depth, rate: 0}", "{op: dropout, rate: 0}"])
def test_a_rate_of_nothing_drops_nothing(layer, make, backend):
    x = np.ones((20, 4, 3, 3), np.float32)
    assert (trained(make(layer), backend, x) == x).all()
