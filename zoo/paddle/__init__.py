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
    defaults={
        "batch_norm_momentum": 0.1,  # paddle.nn.BatchNorm2D: 0.9 is the weight of the old value
        "batch_norm_eps": 1e-5,  # paddle.nn.BatchNorm2D
        "batch_norm_variance": "biased",  # measured; the documentation does not say
        "layer_norm_eps": 1e-5,  # paddle.nn.LayerNorm
        "padding": "stated",  # paddle.nn.Conv2D: padding=0, and numbers in paddle.vision.models
        "average_padding": "not counted",  # paddle.nn.AvgPool2D: exclusive=True
        "resize": "bilinear-antialias",  # paddle.vision.transforms.Resize, of PIL images
        "channel_order": "rgb",  # paddle.vision: the image backend is PIL
        # zoo trains with Paddle's own where they compute the written rule in float32.
        "optimizer": {
            "sgd": "written",
            "adam": "written",
            "adamw": "written",
            "rmsprop": "framework",
        },
        "optimizer_eps": {"adam": 1e-8, "adamw": 1e-8, "rmsprop": 1e-6},  # paddle.optimizer
        "optimizer_alpha": {"rmsprop": 0.95},  # paddle.optimizer.RMSProp: rho
        "weight_decay": {"adamw": 1e-2},  # paddle.optimizer.AdamW
        "decay": "coupled",  # weight_decay of paddle.optimizer: a float is L2Decay
    },
    determinism={"FLAGS_cudnn_deterministic": "1", "FLAGS_cpu_deterministic": "1"},
)
