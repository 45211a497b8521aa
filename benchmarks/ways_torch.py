"""How PyTorch models are run, for benchmarks."""

import numpy as np
import torch

import zoo


def ready(model):
    return model


def ways(ours, peer, name):
    """What is measured: name -> (zoo's, the peer's)."""
    one = torch.randn(1, 3, 224, 224)
    batch = torch.randn(4 if name == "vgg16" else 16, 3, 224, 224)
    found = {
        "forward, eager, batch 1": (forward(ours, one), forward(peer, one)),
        f"forward, eager, batch {len(batch)}": (forward(ours, batch), forward(peer, batch)),
        "predict against the plain call": (
            lambda: zoo.predict(ours, one.numpy()),
            lambda: np.array(forward(peer, one)()),
        ),
        f"SGD step, batch {len(batch)}": (step(ours, batch), step(peer, batch)),
    }
    if name == "googlenet":
        a, b = (torch.compile(model.eval(), fullgraph=True) for model in (ours, peer))
        found["forward, torch.compile, batch 1"] = forward(a, one), forward(b, one)
    return found


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
