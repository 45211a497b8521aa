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
    packages=("flax", "jax"),
    aliases=("jax", "nnx"),
    requires=("jax", "jaxlib"),
    install="polyzoo[flax]",
    wrappers={"flax.nnx.training.optimizer.ModelAndOptimizer": "model"},
    opaque={
        "flax.nnx.training.optimizer.Optimizer": "it does not hold the model; pass the model",
        "flax.nnx.helpers.List": "it holds several models; pass one of them",
        "flax.nnx.helpers.Dict": "it holds several models; pass one of them",
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
)
