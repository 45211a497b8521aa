"""The Keras 3 backend: graphs as functional ``keras.Model``, NHWC, on the engine Keras runs on."""

from zoo.backend.description import Description, Mode
from zoo.backend.parameters import Parameters, Slot, convention

#: operation -> canonical name -> Keras' own name and axes
PARAMETERS = Parameters(
    "keras",
    {
        "conv": {"weight": Slot("kernel", "HWIO")},
        "depthwise": {"weight": Slot("kernel", "HWCM")},
        "linear": {"weight": Slot("kernel", "IO")},
        "affine": {"weight": Slot("kernel")},
        "layer_norm": {"weight": Slot("gamma"), "bias": Slot("beta")},
        "batch_norm": {
            "weight": Slot("gamma"),
            "bias": Slot("beta"),
            "running_mean": Slot("moving_mean"),
            "running_var": Slot("moving_variance"),
        },
    },
)

_DTYPES = ("float32", "bfloat16")

DESCRIPTION = Description(
    name="keras",
    title="Keras 3",
    implementation="zoo.keras.backend:KerasBackend",
    framework="keras",
    packages=("keras", "tensorflow"),
    aliases=("tensorflow", "tf"),
    install="polyzoo[keras]",
    opaque={
        "keras.src.layers.rnn.time_distributed.TimeDistributed": (
            "it takes sequences of images; pass its .layer"
        ),
        "keras.src.layers.core.wrapper.Wrapper": "it is a layer around another; pass its .layer",
        "keras.src.export.tfsm_layer.TFSMLayer": (
            "it is a compiled program; pass the model that it was made from"
        ),
    },
    suffix=".keras",
    convention=convention(PARAMETERS, "HWC", ["*seed_generator_state"], numbered=True),
    formats=("h5",),
    level="full",
    modes=(
        Mode("eager", ("forward", "gradients"), _DTYPES, ("cpu", "cuda")),
        Mode("tf.function", ("forward", "gradients", "train"), _DTYPES, ("cpu", "cuda")),
        Mode("XLA", ("forward", "gradients", "train"), _DTYPES, ("cpu", "cuda")),
    ),
    limits={"conv": "yes, except for a stride and a dilation above 1 without a common divisor"},
    optimizer_notes={
        "SGD": ("decouples weight decay from the momentum, and keeps the learning rate in float32"),
        "Adam": (
            "adds epsilon before the bias correction (the paper's epsilon-hat), not after, so that "
            "it has about thirty times the weight in the first step; and keeps the learning rate "
            "in float32"
        ),
    },
    engines={name: {"KERAS_BACKEND": name} for name in ("jax", "torch")},
    defaults={
        "batch_norm_momentum": 0.01,  # keras.layers.BatchNormalization: 0.99 is that of the old
        "batch_norm_eps": 1e-3,  # keras.layers.BatchNormalization
        "batch_norm_variance": "biased",  # keras.layers.BatchNormalization: moving_var
        "layer_norm_eps": 1e-3,  # keras.layers.LayerNormalization
        "padding": "same",  # its layers have only "valid" and "same"
        "average_padding": "not counted",  # keras.layers.AveragePooling2D
        "resize": "bilinear",  # keras.layers.Resizing: antialias=False
        "channel_order": "rgb",  # keras.utils.load_img
        "optimizer": dict.fromkeys(("sgd", "adam", "adamw", "rmsprop"), "framework"),
        "optimizer_eps": dict.fromkeys(("adam", "adamw", "rmsprop"), 1e-7),  # keras.optimizers
        "optimizer_alpha": {"rmsprop": 0.9},  # keras.optimizers.RMSprop: rho
        "weight_decay": {"adamw": 4e-3},  # keras.optimizers.AdamW
        "decay": "decoupled",  # weight_decay of keras.optimizers.Optimizer
    },
    determinism={"TF_DETERMINISTIC_OPS": "1", "TF_CUDNN_DETERMINISTIC": "1"},
)
