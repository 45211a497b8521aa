"""The PaddlePaddle backend: graphs as ``paddle.nn.Layer``, NCHW."""

from zoo.backend.description import Description

DESCRIPTION = Description(
    name="paddle",
    title="PaddlePaddle",
    implementation="zoo.paddle.backend:PaddleBackend",
    framework="paddle",
    packages=("paddlepaddle",),
    aliases=("paddlepaddle",),
    install="polyzoo[paddle]",
    wrappers={
        "paddle.hapi.model.Model": "network",
        "paddle.distributed.parallel.DataParallel": "_layers",
    },
    opaque={
        "paddle.jit.translated_layer.TranslatedLayer": (
            "it is a compiled program; pass the model that it was made from"
        ),
    },
    suffix=".pdparams",
    precision_limits={
        dtype: f"PaddlePaddle has no {dtype} convolution kernel on the CPU"
        for dtype in ("bfloat16", "float16")
    },
    optimizer_notes={"SGD": "keeps momentum and weight decay in float32"},
)
