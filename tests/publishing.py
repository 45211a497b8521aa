"""Publishers' models with random values, saved in the publishers' own file formats.

A stand-in takes the place of a publisher's package that is not a test dependency.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import re

import numpy as np
from filling import fill_keras, fill_paddle, fill_torch, load_framework, value_by_name
from photographs import photographs
from tables import golden

import zoo
from zoo.weights import sources
from zoo.weights.slots import slots_of

SIDE = 64  # pixels of what need not be large
CLASSES = 10


def googlenet_torchvision(path, dtype):
    torch = load_framework("torch")
    from standins.in_torch import GoogLeNet

    x = photographs(3, (3, 224, 224))
    with torch.random.fork_rng():
        model = GoogLeNet().to(getattr(torch, dtype))
        outputs = fill_torch(model, x)
        torch.save(model.state_dict(), path)
    return x, outputs, {"aux": True}


def inception_torchvision(path, dtype):
    torch = load_framework("torch")
    from standins.inception_in_torch import Inception3

    x = photographs(3, (3, 299, 299))
    with torch.random.fork_rng():
        model = Inception3(CLASSES).to(getattr(torch, dtype))
        outputs = fill_torch(model, x)
        torch.save(model.state_dict(), path)
    return x, outputs, {"aux": True, "num_classes": CLASSES}


def vgg_in_torch(kind, name, path, dtype):
    torch = load_framework("torch")
    from standins import in_torch

    x = photographs(2, (3, SIDE, SIDE))
    with torch.random.fork_rng():
        model = getattr(in_torch, kind)(name, CLASSES).to(getattr(torch, dtype))
        outputs = fill_torch(model, x)
    if path.suffix == ".safetensors":
        from safetensors.torch import save_file

        save_file(model.state_dict(), path)
    else:
        torch.save({"state_dict": model.state_dict()} if "wrapped" in path.name else
                   model.state_dict(), path)  # fmt: skip
    return x, outputs, {"input_size": SIDE, "num_classes": CLASSES}


def efficient_in_torch(kind, name, path, dtype):
    torch = load_framework("torch")
    from standins import efficient_in_torch as standins

    x = photographs(4, (3, SIDE, SIDE))
    with torch.random.fork_rng():
        model = getattr(standins, kind)(name, CLASSES).to(getattr(torch, dtype))
        # Through so many batch norms, a larger spread lets values grow to a million.
        outputs = fill_torch(model, x, spread=0.05)
    torch.save(model.state_dict(), path)
    return x, outputs, {"input_size": SIDE, "num_classes": CLASSES}


def compact_in_torch(name, side, path, dtype):
    torch = load_framework("torch")
    from standins import compact_in_torch as standins

    x = photographs(4, (3, side, side))
    with torch.random.fork_rng():
        model = standins.make(name, CLASSES).to(getattr(torch, dtype))
        outputs = fill_torch(model, x, spread=0.05, own=0.5)
    torch.save(model.state_dict(), path)
    return x, outputs, {"input_size": side, "num_classes": CLASSES}


def googlenet_paddle(path, dtype):
    paddle = load_framework("paddle")
    x = photographs(2, (3, 224, 224))
    model = paddle.vision.models.googlenet()
    outputs = fill_paddle(model, x, dtype)
    paddle.save(model.state_dict(), str(path))
    return x, outputs, {"aux": True}


def vgg_in_paddle(path, dtype):
    paddle = load_framework("paddle")
    x = photographs(1, (3, 224, 224))
    model = paddle.vision.models.vgg11(batch_norm=True)
    outputs = fill_paddle(model, x, dtype)
    paddle.save(model.state_dict(), str(path))
    return x, outputs, {}


def in_paddle(name, side, path, dtype, **options):
    """A model of paddle.vision, for photographs of a side."""
    paddle = load_framework("paddle")
    x = photographs(2, (3, side, side))
    model = getattr(paddle.vision.models, name)(num_classes=CLASSES, **options)
    outputs = fill_paddle(model, x, dtype)
    paddle.save(model.state_dict(), str(path))
    return x, outputs, {"input_size": side, "num_classes": CLASSES}


def vgg_in_paddleclas(path, dtype):
    paddle = load_framework("paddle")
    from standins.in_paddle import Vgg

    x = photographs(2, (3, SIDE, SIDE))
    model = Vgg([1, 1, 2, 2, 2], CLASSES, SIDE // 32)
    outputs = fill_paddle(model, x, dtype)
    paddle.save(model.state_dict(), str(path))
    return x, outputs, {"input_size": SIDE, "num_classes": CLASSES}


def in_keras(name, side, path, dtype, spread=0.5, **options):
    """A model of keras.applications, for photographs of a side, saved as the file's name says."""
    keras = load_framework("keras")
    x = photographs(2, (3, side, side))
    if name.startswith("EfficientNetB"):  # it begins with a factor, which Keras keeps in float32
        x = np.round(255 * x) * np.float64(np.float32(1 / 255))
    make = getattr(keras.applications, name)
    usual = keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy(dtype)
        model = make(weights=None, input_shape=(side, side, 3), classes=CLASSES, **options)
    finally:
        keras.config.set_dtype_policy(usual)
    outputs = fill_keras(model, x, dtype, spread)
    save_in_keras(model, path)
    return x, outputs, {"input_size": side, "num_classes": CLASSES}


#: what Keras 1 called layers and variables: https://github.com/keras-team/keras/tree/1.2.2
KERAS_1 = {
    "conv2d": "convolution2d", "batch_normalization": "batchnormalization",
    "kernel": "W", "bias": "b", "moving_mean": "running_mean", "moving_variance": "running_std",
}  # fmt: skip


def in_keras_2(name):
    """What Keras 2 called a layer of MobileNetV3."""
    name = re.sub(r"^(conv|logits)\b|^conv(?=_)", lambda match: match[0].capitalize(), name)
    name = re.sub(r"^(expanded_conv(?:_\d+)?)_(?=[a-z])", r"\1/", name)
    return re.sub("_bn$", "/BatchNorm", name.replace("excite_conv", "excite/Conv"))


def save_in_keras(model, path):
    version = path.name.partition("_")[0]
    if version in ("keras1", "keras2"):  # as the older ones of the published files are
        import h5py
        import keras

        with h5py.File(path, "w") as file:
            for layer in model.layers:
                name = layer.name
                if version == "keras1":
                    kind, number = re.fullmatch(r"(.+?)((?:_\d+)?)", name).groups()
                    name = KERAS_1.get(kind, kind) + number
                elif model.name.startswith("MobileNetV3"):
                    name = in_keras_2(name)
                group = file.require_group(name)
                for variable in layer.weights:
                    local = variable.name
                    if isinstance(layer, keras.layers.DepthwiseConv2D):
                        local = f"depthwise_{local}"
                    if version == "keras1":
                        stored = f"{name}_{KERAS_1.get(local, local)}_1:0"
                    else:
                        stored = f"{name}/{local}:0"
                    group.create_dataset(stored, data=np.asarray(variable))
    elif path.name.endswith(".weights.h5"):
        model.save_weights(path)
    else:
        with contextlib.redirect_stderr(None):
            model.save(path)


def of_golden(source, network, path, dtype):
    """A file with a publisher's names; the outputs are those that the publisher's own model gave."""
    row = row_of(source, network)
    side, gain, inputs_first = int(row["side"]), float(row["gain"]), source == "paddleclas"
    shapes = shapes_in(source, network)
    arrays = {
        name: value_by_name(name, shape, gain, inputs_first).astype(dtype)
        for name, shape in shapes.items()
    }
    if path.suffix == ".safetensors":
        from safetensors.numpy import save_file

        save_file(arrays, path)
    elif path.suffix == ".pdparams":
        paddle = load_framework("paddle")
        paddle.save({name: paddle.to_tensor(array) for name, array in arrays.items()}, str(path))
    else:
        torch = load_framework("torch")
        torch.save({name: torch.from_numpy(array) for name, array in arrays.items()}, path)
    logits = np.array([[float(value) for value in row["logits"].split()]])
    x = photographs(1, (3, side, side))
    return x, {"logits": logits}, {"input_size": side, "num_classes": CLASSES}


of_timm = functools.partial(of_golden, "timm")
of_paddleclas = functools.partial(of_golden, "paddleclas")


def row_of(source, network):
    """What a publisher's own model of a network has and gives."""
    return next(row for row in golden(source) if row["network"] == network)


def shapes_in(source, network):
    """Name -> shape, as a publisher's own model has them; a digest of these is a published figure."""
    row = row_of(source, network)
    graph = zoo.graph(network, num_classes=CLASSES, input_size=int(row["side"]))
    slots = slots_of(sources.source(source), graph)
    shapes = {}
    for node in graph.nodes:
        for parameter in node.parameters:
            slot, shape = slots[parameter.name], parameter.shape
            if slot.op == "linear" and slot.layout == "OIHW":  # a convolution over the whole map
                shape = (shape[0], *(node.attributes.get("layout") or (shape[1], 1, 1)))
            elif slot.op == "conv" and slot.layout in ("OI", "IO"):
                shape = shape[:2]
            if slot.layout == "IO":
                shape = shape[::-1]
            (name,) = [name for name in slot.names if not name.endswith(OLD)]
            shapes[name] = shape
    lines = sorted(f"{name} {'x'.join(map(str, shape))}" for name, shape in shapes.items())
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]
    assert (len(shapes), digest) == (int(row["arrays"]), row["digest"])
    return shapes


#: torchvision's alternatives for DenseNet, which timm does not have
OLD = tuple(f".{kind}.{i}.{local}" for kind in ("norm", "conv") for i in (1, 2) for local in
            ("weight", "bias", "running_mean", "running_var"))  # fmt: skip


def in_caffe(make, side, path, dtype, **form):
    """A network of Caffe's Model Zoo, written as its authors' version of Caffe did."""
    torch = load_framework("torch")
    import caffe
    from standins import caffe_in_torch as standins

    x = photographs(2, (3, side, side))
    with torch.random.fork_rng():
        model = make(standins).to(getattr(torch, dtype))
        outputs = fill_torch(model, x)
    path.write_bytes(caffe.network(model.blobs(), **form))
    options = {"input_size": side, "num_classes": CLASSES}
    return x, outputs, {**options, "aux": True} if "aux1" in outputs else options


def in_slim(name, side, path, dtype):
    """A network of TF-slim, written as the first or the second version of TensorFlow's files."""
    load_framework("keras")
    import tensorflow as tf
    from standins import slim_in_tensorflow as standins

    x = photographs(2, (3, side, side))
    model = getattr(standins, name)(dtype)
    logits = model(tf.constant(x.transpose(0, 2, 3, 1), dtype), CLASSES)
    save_in_tensorflow(path, {**model.variables, "global_step": tf.constant(0, tf.int64)})
    return x, {"logits": logits.numpy()}, {"input_size": side, "num_classes": CLASSES}


def save_in_tensorflow(path, variables):
    """A checkpoint of version 2, if the path is that of an index, or else 1."""
    import tensorflow as tf

    names, values = list(variables), list(variables.values())
    if path.suffix == ".index":
        tf.raw_ops.SaveV2(
            prefix=str(path.with_suffix("")), tensor_names=names,
            shape_and_slices=[""] * len(names), tensors=values,
        )  # fmt: skip
    else:
        tf.raw_ops.Save(filename=str(path), tensor_names=names, data=values)


#: source, network, file, what saves it, dtypes
PUBLISHED = {
    "torchvision googlenet": (
        "torchvision", "googlenet_torchvision", "g.pth", googlenet_torchvision),
    "torchvision inception": (
        "torchvision", "inception_v3", "i.pth", inception_torchvision),
    "torchvision vgg": (
        "torchvision", "vgg11_bn", "wrapped.pth",
        functools.partial(vgg_in_torch, "TorchvisionVgg", "vgg11_bn")),
    "torchvision efficientnet": (
        "torchvision", "efficientnet_b1", "b1.pth",
        functools.partial(efficient_in_torch, "EfficientNet", "efficientnet_b1")),
    "torchvision efficientnet v2": (
        "torchvision", "efficientnet_v2_s", "v2.pth",
        functools.partial(efficient_in_torch, "EfficientNet", "efficientnet_v2_s")),
    "torchvision mnasnet": (
        "torchvision", "mnasnet0_5", "m.pth",
        functools.partial(efficient_in_torch, "MNASNet", "mnasnet0_5")),
    "torchvision convnext": (
        "torchvision", "convnext_tiny", "n.pth",
        functools.partial(efficient_in_torch, "ConvNeXt", "convnext_tiny")),
    "torchvision alexnet": (
        "torchvision", "alexnet", "a.pth",
        functools.partial(compact_in_torch, "alexnet", SIDE)),
    "torchvision squeezenet": (
        "torchvision", "squeezenet1_0", "s0.pth",
        functools.partial(compact_in_torch, "squeezenet1_0", SIDE)),
    "torchvision mobilenet v2": (
        "torchvision", "mobilenet_v2", "m2.pth",
        functools.partial(compact_in_torch, "mobilenet_v2", SIDE)),
    "torchvision mobilenet v3 small": (
        "torchvision", "mobilenet_v3_small", "m3s.pth",
        functools.partial(compact_in_torch, "mobilenet_v3_small", 96)),
    "torchvision shufflenet": (
        "torchvision", "shufflenet_v2_x0_5", "sh.pth",
        functools.partial(compact_in_torch, "shufflenet_v2_x0_5", SIDE)),
    "torchvision regnet y": (
        "torchvision", "regnet_y_400mf", "ry.pth",
        functools.partial(compact_in_torch, "regnet_y_400mf", SIDE)),
    "timm vgg": (
        "timm", "vgg11_bn", "model.safetensors",
        functools.partial(vgg_in_torch, "TimmVgg", "vgg11_bn")),
    "timm vgg, plain": (
        "timm", "vgg11", "pytorch_model.bin", functools.partial(vgg_in_torch, "TimmVgg", "vgg11")),
    "timm efficientnet": (
        "timm", "efficientnet_b0", "tb0.pth", functools.partial(of_timm, "efficientnet_b0")),
    "timm efficientnet, edge": (
        "timm", "efficientnet_es", "tes.pth", functools.partial(of_timm, "efficientnet_es")),
    "timm resnet, d": ("timm", "resnet18d", "trd.pth", functools.partial(of_timm, "resnet18d")),
    "timm resnet, s": (
        "timm", "resnet50s", "trs.safetensors", functools.partial(of_timm, "resnet50s")),
    "timm resnet, se": (
        "timm", "se_resnet50", "trse.safetensors", functools.partial(of_timm, "se_resnet50")),
    "timm efficientnet, tf": (
        "timm", "efficientnet_v2_b0", "te2.pth", functools.partial(of_timm, "efficientnet_v2_b0")),
    "timm mobilenet v3 large, tf": (
        "timm", "mobilenet_v3_large_tf", "tm3l.safetensors",
        functools.partial(of_timm, "mobilenet_v3_large_tf")),
    "timm mnasnet": (
        "timm", "mnasnet0_5", "tm.safetensors", functools.partial(of_timm, "mnasnet0_5")),
    "timm mobilenet": (
        "timm", "mobilenet_v1_timm", "tm1.pth", functools.partial(of_timm, "mobilenet_v1_timm")),
    "timm mobilenet v3 small": (
        "timm", "mobilenet_v3_small_timm", "tm3.safetensors",
        functools.partial(of_timm, "mobilenet_v3_small_timm")),
    "timm regnet": (
        "timm", "regnet_y_400mf", "tr.safetensors", functools.partial(of_timm, "regnet_y_400mf")),
    "timm xception": (
        "timm", "xception_timm", "tx.safetensors", functools.partial(of_timm, "xception_timm")),
    "paddle googlenet": ("paddle", "googlenet_paddle", "g.pdparams", googlenet_paddle),
    "paddle vgg": ("paddle", "vgg11_bn", "v.pdparams", vgg_in_paddle),
    "paddle resnet": (
        "paddle", "resnet50", "r.pdparams", functools.partial(in_paddle, "resnet50", 96)),
    "paddle densenet": (
        "paddle", "densenet121", "d.pdparams",
        functools.partial(in_paddle, "densenet121", 96)),
    "paddleclas vgg": ("paddleclas", "vgg11_paddleclas", "c.pdparams", vgg_in_paddleclas),
    "paddleclas resnet": (
        "paddleclas", "resnet18_paddleclas", "cr.pdparams",
        functools.partial(of_paddleclas, "resnet18_paddleclas")),
    "paddleclas resnet, vd": (
        "paddleclas", "resnet18_vd", "cvd.pdparams", functools.partial(of_paddleclas, "resnet18_vd")),
    "paddleclas resnext, vd": (
        "paddleclas", "resnext50_vd_32x4d", "cx.pdparams",
        functools.partial(of_paddleclas, "resnext50_vd_32x4d")),
    "paddleclas resnet, se": (
        "paddleclas", "se_resnet18_vd", "cse.pdparams",
        functools.partial(of_paddleclas, "se_resnet18_vd")),
    "paddleclas inception": (
        "paddleclas", "inception_v3_paddle", "ci3.pdparams",
        functools.partial(of_paddleclas, "inception_v3_paddle")),
    "paddleclas densenet": (
        "paddleclas", "densenet121", "cd.pdparams",
        functools.partial(of_paddleclas, "densenet121")),
    "paddleclas alexnet": (
        "paddleclas", "alexnet_paddle", "ca.pdparams",
        functools.partial(of_paddleclas, "alexnet_paddle")),
    "paddleclas mobilenet": (
        "paddleclas", "mobilenet_v1_0_25_paddle", "cm1.pdparams",
        functools.partial(of_paddleclas, "mobilenet_v1_0_25_paddle")),
    "paddleclas mobilenet v2": (
        "paddleclas", "mobilenet_v2_0_25_paddleclas", "cm2.pdparams",
        functools.partial(of_paddleclas, "mobilenet_v2_0_25_paddleclas")),
    "paddleclas mobilenet v3": (
        "paddleclas", "mobilenet_v3_small_0_35_paddleclas", "cm3.pdparams",
        functools.partial(of_paddleclas, "mobilenet_v3_small_0_35_paddleclas")),
    "paddleclas regnet": (
        "paddleclas", "regnet_x_200mf", "cr2.pdparams",
        functools.partial(of_paddleclas, "regnet_x_200mf")),
    "paddleclas convnext": (
        "paddleclas", "convnext_tiny", "cn.pdparams",
        functools.partial(of_paddleclas, "convnext_tiny")),
    "paddleclas efficientnet": (
        "paddleclas", "efficientnet_b0_tf", "ce.pdparams",
        functools.partial(of_paddleclas, "efficientnet_b0_tf")),
    "paddleclas efficientnet v2": (
        "paddleclas", "efficientnet_v2_s_tf", "ce2.pdparams",
        functools.partial(of_paddleclas, "efficientnet_v2_s_tf")),
    "paddleclas tinynet": (
        "paddleclas", "tinynet_e_paddleclas", "ct.pdparams",
        functools.partial(of_paddleclas, "tinynet_e_paddleclas")),
    "paddleclas inception v4": (
        "paddleclas", "inception_v4_paddleclas", "ci4.pdparams",
        functools.partial(of_paddleclas, "inception_v4_paddleclas")),
    "paddleclas squeezenet": (
        "paddleclas", "squeezenet1_1_paddle", "cs.pdparams",
        functools.partial(of_paddleclas, "squeezenet1_1_paddle")),
    "paddleclas shufflenet": (
        "paddleclas", "shufflenet_v2_x0_25", "csh.pdparams",
        functools.partial(of_paddleclas, "shufflenet_v2_x0_25")),
    "keras vgg16": ("keras", "vgg16_keras", "keras1_v16.h5", functools.partial(in_keras, "VGG16", SIDE)),
    "keras vgg19": (
        "keras", "vgg19_keras", "v19.weights.h5", functools.partial(in_keras, "VGG19", SIDE)),
    "keras vgg16 whole": (
        "keras", "vgg16_keras", "whole.h5", functools.partial(in_keras, "VGG16", SIDE)),
    "keras inception": (
        "keras", "inception_v3_keras", "i3.h5", functools.partial(in_keras, "InceptionV3", 75)),
    "keras resnet": ("keras", "resnet50_keras", "r50.h5", functools.partial(in_keras, "ResNet50", 96)),
    "keras xception": (
        "keras", "xception", "keras1_x.h5", functools.partial(in_keras, "Xception", 71)),
    "keras mobilenet": (
        "keras", "mobilenet_v1_0_5", "keras1_m1.h5",
        functools.partial(in_keras, "MobileNet", 96, alpha=0.5)),
    "keras mobilenet v2": (
        "keras", "mobilenet_v2_keras", "m2.h5", functools.partial(in_keras, "MobileNetV2", 96)),
    "keras densenet": (
        "keras", "densenet121_keras", "d.h5", functools.partial(in_keras, "DenseNet121", 64)),
    "keras inception resnet": (
        "keras", "inception_resnet_v2_keras", "ir2.h5",
        functools.partial(in_keras, "InceptionResNetV2", 75)),
    "keras convnext": (
        "keras", "convnext_tiny", "n.weights.h5",
        functools.partial(in_keras, "ConvNeXtTiny", 64, include_preprocessing=False)),
    "keras efficientnet": (
        "keras", "efficientnet_b0_tf", "keras2_e0.h5",
        functools.partial(in_keras, "EfficientNetB0", SIDE, spread=0.05)),
    "keras efficientnet v2": (
        "keras", "efficientnet_v2_b0", "e2.weights.h5",
        functools.partial(
            in_keras, "EfficientNetV2B0", SIDE, spread=0.05, include_preprocessing=False)),
    "keras efficientnet v2 s": (
        "keras", "efficientnet_v2_s_tf", "keras2_e2s.h5",
        functools.partial(
            in_keras, "EfficientNetV2S", SIDE, spread=0.05, include_preprocessing=False)),
    "keras mobilenet v2, narrow": (
        "keras", "mobilenet_v2_0_35_keras", "m2n.weights.h5",
        functools.partial(in_keras, "MobileNetV2", SIDE, alpha=0.35)),
    "keras mobilenet v3": (
        "keras", "mobilenet_v3_small_tf", "keras2_m3.h5",
        functools.partial(in_keras, "MobileNetV3Small", SIDE, include_preprocessing=False)),
    "keras mobilenet v3 large": (
        "keras", "mobilenet_v3_large_0_75", "m3l.h5",
        functools.partial(
            in_keras, "MobileNetV3Large", SIDE, alpha=0.75, include_preprocessing=False)),
    "keras mobilenet v3, minimalistic": (
        "keras", "mobilenet_v3_small_minimal", "keras2_m3m.h5",
        functools.partial(
            in_keras, "MobileNetV3Small", SIDE, minimalistic=True, include_preprocessing=False)),
    "keras resnet v2": (
        "keras", "resnet50_v2_keras", "r2.h5", functools.partial(in_keras, "ResNet50V2", 43)),
    "keras nasnet": (
        "keras", "nasnet_mobile", "nm.weights.h5",
        functools.partial(in_keras, "NASNetMobile", SIDE, spread=0.05)),
    "paddle inception": (
        "paddle", "inception_v3_paddle", "i3.pdparams",
        functools.partial(in_paddle, "inception_v3", 107)),
    "paddle resnext": (
        "paddle", "resnext50_32x4d", "rx.pdparams",
        functools.partial(in_paddle, "resnext50_32x4d", SIDE)),
    "paddle alexnet": (
        "paddle", "alexnet_paddle", "a.pdparams", functools.partial(in_paddle, "alexnet", 224)),
    "paddle squeezenet": (
        "paddle", "squeezenet1_0_paddle", "s0.pdparams",
        functools.partial(in_paddle, "squeezenet1_0", SIDE)),
    "paddle squeezenet 1.1": (
        "paddle", "squeezenet1_1_paddle", "s1.pdparams",
        functools.partial(in_paddle, "squeezenet1_1", SIDE)),
    "paddle mobilenet": (
        "paddle", "mobilenet_v1_0_25_paddle", "m1.pdparams",
        functools.partial(in_paddle, "mobilenet_v1", SIDE, scale=0.25)),
    "paddle mobilenet v2": (
        "paddle", "mobilenet_v2", "m2.pdparams", functools.partial(in_paddle, "mobilenet_v2", SIDE)),
    "paddle mobilenet v3 small": (
        "paddle", "mobilenet_v3_small", "m3s.pdparams",
        functools.partial(in_paddle, "mobilenet_v3_small", 96)),
    "paddle mobilenet v3 large": (
        "paddle", "mobilenet_v3_large", "m3l.pdparams",
        functools.partial(in_paddle, "mobilenet_v3_large", 96)),
    "paddle shufflenet, swish": (
        "paddle", "shufflenet_v2_swish", "ns.pdparams",
        functools.partial(in_paddle, "shufflenet_v2_swish", SIDE)),
    "paddle shufflenet": (
        "paddle", "shufflenet_v2_x0_5", "n.pdparams",
        functools.partial(in_paddle, "shufflenet_v2_x0_5", SIDE)),
    "caffe nin": (
        "caffe", "nin_imagenet", "nin_imagenet.caffemodel",
        functools.partial(
            in_caffe, lambda n: n.Nin(CLASSES), 224, version=1, legacy=True)),
    "caffe squeezenet": (
        "caffe", "squeezenet1_0_caffe", "squeezenet_v1.0.caffemodel",
        functools.partial(in_caffe, lambda n: n.SqueezeNet(CLASSES), SIDE)),
    "caffe googlenet": (
        "caffe", "googlenet_bvlc", "bvlc_googlenet.caffemodel",
        functools.partial(in_caffe, lambda n: n.GoogLeNet(CLASSES), 224)),
    "caffe vgg": (
        "caffe", "vgg16", "VGG_ILSVRC_16_layers.caffemodel",
        functools.partial(
            in_caffe, lambda n: n.Vgg((2, 2, 3, 3, 3), CLASSES), 224,
            version=1, legacy=True)),
    "caffe alexnet": (
        "caffe", "alexnet_bvlc", "bvlc_alexnet.caffemodel",
        functools.partial(
            in_caffe, lambda n: n.AlexNet(CLASSES, False), 227, version=0, legacy=True)),
    "caffe caffenet": (
        "caffe", "caffenet", "bvlc_reference_caffenet.caffemodel",
        functools.partial(
            in_caffe, lambda n: n.AlexNet(CLASSES, True), 227, version=1, legacy=True)),
    "slim inception": (
        "slim", "googlenet_slim", "inception_v1.ckpt",
        functools.partial(in_slim, "InceptionV1", 224)),
    "slim vgg": (
        "slim", "vgg16", "vgg_16.ckpt.index", functools.partial(in_slim, "Vgg16", 224)),
}  # fmt: skip

#: Networks of so many batch norms that with random weights one framework in float32 parts from
#: itself in float64 by 1e-5, more or less from processor to processor; compared in float64.
MAGNIFYING = (
    "torchvision efficientnet", "torchvision efficientnet v2", "torchvision mnasnet",
    "torchvision regnet y", "paddle mobilenet v2", "keras inception", "keras mobilenet",
    "keras mobilenet v2", "keras densenet", "keras inception resnet", "keras efficientnet",
    "keras efficientnet v2", "keras efficientnet v2 s", "keras mobilenet v2, narrow",
    "keras mobilenet v3", "keras mobilenet v3 large", "keras mobilenet v3, minimalistic",
    "keras resnet v2", "keras nasnet",
    *(key for key in PUBLISHED if getattr(PUBLISHED[key][3], "func", None) is of_golden),
)  # fmt: skip

#: Networks that take a framework half a minute and more, and second ones of a kind.
SLOW = (
    "keras densenet", "keras inception resnet", "keras efficientnet v2", "keras efficientnet v2 s",
    "keras mobilenet v3 large", "keras mobilenet v3, minimalistic", "keras nasnet",
    "keras inception", "keras resnet v2", "keras mobilenet v2, narrow", "keras vgg19",
    "timm vgg, plain", "paddle vgg", "paddle densenet", "torchvision vgg", "torchvision inception",
    "timm xception", "paddleclas alexnet", "paddleclas densenet", "paddleclas inception",
    "paddleclas resnext, vd", "paddleclas convnext", "caffe vgg", "caffe alexnet", "caffe caffenet",
    "caffe nin", "caffe squeezenet", "slim vgg", "paddle mobilenet v3 large",
    "paddle squeezenet 1.1", "torchvision efficientnet v2", "torchvision mnasnet",
    "torchvision alexnet", "torchvision mobilenet v2", "timm vgg", "timm efficientnet",
    "timm mobilenet v3 small", "timm mnasnet", "timm mobilenet", "paddleclas vgg",
    "paddleclas resnet", "paddleclas mobilenet", "paddleclas mobilenet v2",
    "paddleclas squeezenet", "paddleclas efficientnet v2", "paddleclas tinynet",
    "paddleclas inception v4", "timm resnet, s", "timm resnet, se", "keras xception",
    "keras mobilenet v2",
    "keras efficientnet", "keras vgg16 whole", "paddle inception", "paddle resnet",
    "paddle mobilenet v3 small", "timm regnet", "timm mobilenet v3 large, tf",
    "torchvision convnext", "torchvision mobilenet v3 small", "paddleclas shufflenet",
    "paddleclas resnet, vd", "paddle resnext", "paddle alexnet", "paddle mobilenet", "paddle mobilenet v2", "paddle shufflenet",
)  # fmt: skip
