"""Random values for models of any origin, with which their outputs stay within bounds."""

from __future__ import annotations

import warnings
import zlib

import numpy as np
from loading import load


def load_framework(name):
    load(name)
    return __import__(name)


def fill_torch(model, x, spread=0.5, own=1):
    """Give a PyTorch model random values; return its outputs.

    Variances are those of the input, times 1 - spread to 1 + spread; with less of a channel's own,
    the rest is the layer's mean.
    """
    torch = load_framework("torch")
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
                fan_in = module.weight[0].numel()
                module.weight.normal_(0, (2 / fan_in) ** 0.5, generator=generator)
                if module.bias is not None:
                    module.bias.normal_(0, 0.1, generator=generator)
            if isinstance(module, torch.nn.BatchNorm2d | torch.nn.LayerNorm):
                module.weight.uniform_(0.5, 1.5, generator=generator)
                module.bias.normal_(0, 0.1, generator=generator)
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = 1.0
            if hasattr(module, "layer_scale"):  # at its start it would hide the layers before it
                module.layer_scale.uniform_(0.5, 1.5, generator=generator)
        model.train()
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.eval()
        model(torch.from_numpy(x).to(next(model.parameters()).dtype))
        for name, statistic in model.named_buffers():  # those of the photograph, changed a little
            if name.endswith("running_var"):
                shape = statistic.shape
                factor = torch.rand(shape, generator=generator, dtype=statistic.dtype)
                statistic.lerp_(statistic.mean(), 1 - own)
                statistic.mul_(1 + spread * (2 * factor - 1))
        model.eval()
        outputs = model(torch.from_numpy(x).to(next(model.parameters()).dtype))
    return _arrays(outputs, lambda value: value.numpy())


def fill_paddle(model, x, dtype="float32"):
    """Give a PaddlePaddle model random values; return its outputs."""
    paddle = load_framework("paddle")
    rng = np.random.default_rng(0)
    model.to(dtype=dtype)
    norms = [
        m for m in model.sublayers() if isinstance(m, paddle.nn.BatchNorm2D | paddle.nn.BatchNorm)
    ]
    for layer in model.sublayers():
        weight = getattr(layer, "weight", None)
        if isinstance(layer, paddle.nn.Conv2D | paddle.nn.Linear):
            shape = weight.shape
            fan_in = np.prod(shape[1:]) if len(shape) == 4 else shape[0]
            values = rng.standard_normal(shape, np.float32) * (2 / fan_in) ** 0.5
            weight.set_value(values.astype(dtype))
            if layer.bias is not None:
                layer.bias.set_value((0.1 * rng.standard_normal(layer.bias.shape)).astype(dtype))
    for layer in norms:
        layer.weight.set_value(rng.uniform(0.5, 1.5, layer.weight.shape).astype(dtype))
        layer.bias.set_value((0.1 * rng.standard_normal(layer.bias.shape)).astype(dtype))
        layer._momentum = 0.0  # the batch's own statistics
    tensor = paddle.to_tensor(x.astype(dtype))
    with paddle.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of training a batch norm
        if norms:
            model.eval()
            for layer in norms:
                layer.train()
            model(tensor)
            for layer in norms:
                variance = layer._variance.numpy()  # where a channel has few values, the layer's
                factor = rng.uniform(0.5, 1.5, variance.shape)
                layer._variance.set_value(((variance + variance.mean()) / 2 * factor).astype(dtype))
        model.eval()
        outputs = model(tensor)
    return _arrays(outputs, lambda value: value.numpy())


def fill_keras(model, x, dtype, spread=0.5):
    """Give a Keras model with a softmax random values; return its outputs.

    Its input is what its convolutions read, also if it begins with preprocessing of its own.
    """
    keras = load_framework("keras")
    rng = np.random.default_rng(0)
    for variable in model.variables:
        if variable.path.startswith("normalization"):  # of preprocessing: it does nothing
            continue
        shape = tuple(variable.shape)
        depthwise = "depthwise" in variable.path or "_dw_" in variable.path
        fan_in = np.prod(shape[:2] if depthwise else shape[:-1])
        values = rng.standard_normal(shape, np.float32)
        if variable.name == "gamma":
            variable.assign(1 + 0.1 * values)
        elif not variable.name.startswith("moving"):
            variable.assign(values * ((2 / fan_in) ** 0.5 if len(shape) > 1 else 0.1))
    images = x.transpose(0, 2, 3, 1).astype(dtype)
    if any(isinstance(layer, keras.layers.Rescaling) for layer in model.layers):
        images = np.round(255 * images)
    norms = [layer for layer in model.layers if type(layer).__name__ == "BatchNormalization"]
    for layer in norms:
        momentum, layer.momentum = layer.momentum, 0.0  # the batch's own statistics
    if norms:
        model(images, training=True)
    for layer in norms:
        layer.momentum = momentum
        variance = np.asarray(layer.moving_variance)  # where a channel has few values, the layer's
        factor = rng.uniform(1 - spread, 1 + spread, variance.shape)
        layer.moving_variance.assign((variance + variance.mean()) / 2 * factor)
    last = [layer for layer in model.layers if hasattr(layer, "kernel")][-1]
    before = np.asarray(keras.Model(model.input, last.input)(images))  # nothing is traced
    logits = before.reshape(len(x), -1) @ np.asarray(last.kernel).reshape(-1, last.kernel.shape[-1])
    last.kernel.assign(last.kernel / np.std(logits))  # or the softmax would say 0 and 1 alone
    outputs = np.asarray(model(images))
    assert 0.01 < outputs.max() < 0.99
    return {"logits": outputs}


def _arrays(outputs, numpy):
    if isinstance(outputs, dict):
        return {name: numpy(value) for name, value in outputs.items()}
    if isinstance(outputs, tuple | list):  # Paddle's GoogLeNet always gives three
        return dict(zip(("logits", "aux1", "aux2"), map(numpy, outputs), strict=True))
    return {"logits": numpy(outputs)}


def value_by_name(name, shape, gain=1, inputs_first=False):
    """Return the random value of one array, which depends on its name alone.

    Kernels have a variance of 2 / inputs, times the square of the gain. Their layout is PyTorch's,
    but those of linear layers may have their inputs first, as Paddle's have.
    """
    draw = np.random.default_rng(zlib.crc32(name.encode())).random
    if len(shape) > 1:
        inputs = shape[0] if inputs_first and len(shape) == 2 else np.prod(shape[1:])
        return (draw(shape) - 0.5) * (gain * (12 * 2 / inputs) ** 0.5)
    if name.endswith(("bias", "_mean")):
        return (draw(shape) - 0.5) / 5
    return 0.75 + draw(shape) / 2
