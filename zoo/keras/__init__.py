"""The Keras 3 backend: graphs as functional ``keras.Model``, NHWC, on the engine Keras runs on."""

from zoo.backend.description import Description

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
        "keras.src.export.tfsm_layer.TFSMLayer": (
            "it is a compiled program; pass the model that it was made from"
        ),
    },
    suffix=".keras",
    limits={"conv": "exact, except for stride and dilation both above 1 with no common divisor"},
    optimizer_notes={
        "SGD": ("decouples weight decay from the momentum, and keeps the learning rate in float32"),
        "Adam": (
            "adds epsilon before the bias correction (the paper's epsilon-hat), not after, so that "
            "it has about thirty times the weight in the first step; and keeps the learning rate "
            "in float32"
        ),
    },
    engines={name: {"KERAS_BACKEND": name} for name in ("jax", "torch")},
)
