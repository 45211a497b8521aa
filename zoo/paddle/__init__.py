"""The PaddlePaddle backend: graphs as ``paddle.nn.Layer``, NCHW."""

from zoo.backend.description import Description, Mode
from zoo.backend.parameters import Parameters, Slot, convention

#: operation -> canonical name -> Paddle's own name and axes
PARAMETERS = Parameters(
    "paddle",
    {
        "linear": {"weight": Slot("weight", "IO")},
        "batch_norm": {"running_mean": Slot("_mean"), "running_var": Slot("_variance")},
    },
)

_COMPILED = "it is a compiled program; pass the model that it was made from"

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
        "paddle.jit.translated_layer.TranslatedLayer": _COMPILED,
        "paddle.jit.pir_translated_layer.PirTranslatedLayer": _COMPILED,
        "paddle.nn.layer.container.LayerList": "it holds several models; pass one of them",
        "paddle.nn.layer.container.LayerDict": "it holds several models; pass one of them",
    },
    suffix=".pdparams",
    convention=convention(PARAMETERS, "CHW"),
    formats=("pdparams", "safetensors"),
    level="full",
    modes=(
        Mode("eager", ("forward", "gradients", "train"), devices=("cpu", "cuda")),
        Mode("to_static", ("forward", "gradients"), devices=("cpu", "cuda")),
    ),
    precision_limits={
        dtype: f"PaddlePaddle has no {dtype} convolution kernel on the CPU"
        for dtype in ("bfloat16", "float16")
    },
    optimizer_notes={"SGD": "keeps momentum and weight decay in float32"},
)
