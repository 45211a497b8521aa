"""Benchmark cases for PyTorch."""

import numpy as np
import torch

import zoo


def ready(model):
    return model


def cases(ours, peer, name):
    """Return what to time: name -> (zoo's function, the peer's)."""
    single = torch.randn(1, 3, 224, 224)
    batch = torch.randn(4 if name == "vgg16" else 16, 3, 224, 224)
    functions = {
        "forward, eager, batch 1": (forward(ours, single), forward(peer, single)),
        f"forward, eager, batch {len(batch)}": (forward(ours, batch), forward(peer, batch)),
        "predict against the plain call": (
            lambda: zoo.predict(ours, single.numpy()),
            lambda: np.array(forward(peer, single)()),
        ),
        f"SGD step, batch {len(batch)}": (step(ours, batch), step(peer, batch)),
    }
    if name == "googlenet":
        a, b = (torch.compile(model.eval(), fullgraph=True) for model in (ours, peer))
        functions["forward, torch.compile, batch 1"] = forward(a, single), forward(b, single)
    return functions


def forward(model, x):
    def run():
        model.eval()
        with torch.no_grad():
            return model(x)

    return run


def step(model, x):
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)
    labels = torch.zeros(len(x), dtype=torch.long)

    def run():
        model.train()
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(x), labels).backward()
        optimizer.step()

    return run
