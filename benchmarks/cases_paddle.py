"""Benchmark cases for PaddlePaddle."""

import paddle

import zoo


def ready(model):
    return model


def cases(ours, peer, name):
    """Return what to time: name -> (zoo's function, the peer's)."""
    single = paddle.randn([1, 3, 224, 224])
    batch = paddle.randn([4 if name == "vgg16" else 16, 3, 224, 224])
    functions = {
        "forward, eager, batch 1": (forward(ours, single), forward(peer, single)),
        f"forward, eager, batch {len(batch)}": (forward(ours, batch), forward(peer, batch)),
        "predict against the plain call": (
            lambda: zoo.predict(ours, single.numpy()),
            lambda: forward(peer, single)().numpy(),
        ),
        f"SGD step, batch {len(batch)}": (step(ours, batch), step(peer, batch)),
    }
    if name == "googlenet":
        ours.eval(), peer.eval()
        a, b = paddle.jit.to_static(ours), paddle.jit.to_static(peer)
        functions["forward, to_static, batch 1"] = forward(a, single), forward(b, single)
    return functions


def forward(model, x):
    def run():
        model.eval()
        with paddle.no_grad():
            return model(x)

    return run


def step(model, x):
    optimizer = paddle.optimizer.SGD(1e-4, parameters=model.parameters())
    labels = paddle.zeros([len(x)], dtype="int64")

    def run():
        model.train()
        paddle.nn.functional.cross_entropy(model(x), labels).backward()
        optimizer.step()
        optimizer.clear_grad()

    return run
