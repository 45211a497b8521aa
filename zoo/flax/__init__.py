"""The Flax backend: graphs as ``flax.nnx.Module``, NHWC."""

from zoo.backend.description import Description, Mode
from zoo.backend.parameters import Parameters, Slot, convention

#: operation -> canonical name -> Flax's own name and axes
PARAMETERS = Parameters(
    "flax",
    {
        "conv": {"weight": Slot("kernel", "HWIO")},
        "linear": {"weight": Slot("kernel", "IO")},
        "layer_norm": {"weight": Slot("scale")},
        "batch_norm": {
            "weight": Slot("scale"),
            "running_mean": Slot("mean"),
            "running_var": Slot("var"),
        },
    },
)

_DTYPES = ("float32", "bfloat16")

DESCRIPTION = Description(
    name="flax",
    title="Flax NNX",
    implementation="zoo.flax.backend:FlaxBackend",
    framework="flax",
    packages=("flax", "jax", "optax"),
    aliases=("jax", "nnx"),
    requires=("jax", "jaxlib"),
    install="polyzoo[flax]",
    wrappers={"flax.nnx.training.optimizer.ModelAndOptimizer": "model"},
    opaque={
        "flax.nnx.training.optimizer.Optimizer": "it does not hold the model; pass the model",
        "flax.nnx.statelib.State": "it is half of a model; pass nnx.merge(graphdef, state)",
        "flax.nnx.graphlib.GraphDef": "it is half of a model; pass nnx.merge(graphdef, state)",
        "flax.training.train_state.TrainState": (
            "it has the parameters of a linen model; zoo's are models of nnx"
        ),
    },
    suffix=".msgpack",
    convention=convention(PARAMETERS, "HWC", ["*.rngs.*"]),
    formats=("msgpack", "safetensors", "pdparams"),  # the last for any pickle of arrays
    level="full",
    modes=(
        Mode("eager", ("forward", "gradients"), _DTYPES, ("cpu", "cuda")),
        Mode("nnx.jit", ("forward", "gradients"), _DTYPES, ("cpu", "cuda")),
        Mode("jax.jit", ("forward", "gradients", "train"), _DTYPES, ("cpu", "cuda")),
    ),
    defaults={
        "batch_norm_momentum": 0.01,  # flax.nnx.BatchNorm: 0.99 is the weight of the old value
        "batch_norm_eps": 1e-5,  # flax.nnx.BatchNorm
        "batch_norm_variance": "biased",  # flax.nnx.BatchNorm
        "layer_norm_eps": 1e-6,  # flax.nnx.LayerNorm
        "padding": "same",  # flax.nnx.Conv: padding="SAME"
        "average_padding": "counted",  # flax.nnx.avg_pool: count_include_pad=True
        "resize": "bilinear-antialias",  # jax.image.resize: antialias=True
        "channel_order": "rgb",
        # Optax corrects Adam's moments in float32, and its RMSprop adds epsilon inside the root.
        "optimizer": {
            "sgd": "written",
            "adam": "framework",
            "adamw": "framework",
            "rmsprop": "framework",
        },
        "optimizer_eps": dict.fromkeys(("adam", "adamw", "rmsprop"), 1e-8),  # optax
        "optimizer_alpha": {"rmsprop": 0.9},  # optax.rmsprop: decay
        "weight_decay": {"adamw": 1e-4},  # optax.adamw
        # Optax leaves it to its users; Flax's example of ImageNet adds it to the loss.
        "decay": "coupled",
    },
    determinism={"XLA_FLAGS": "--xla_gpu_deterministic_ops=true"},
)
