"""The Flax backend: graphs as ``flax.nnx.Module``, NHWC."""

from zoo.backend.description import Description

DESCRIPTION = Description(
    name="flax",
    title="Flax NNX",
    implementation="zoo.flax.backend:FlaxBackend",
    framework="flax",
    packages=("flax", "jax"),
    aliases=("jax", "nnx"),
    requires=("jax",),
    install="polyzoo[flax]",
    wrappers={"flax.nnx.training.optimizer.ModelAndOptimizer": "model"},
    opaque={
        "flax.nnx.training.optimizer.Optimizer": "it does not hold the model; pass the model",
        "flax.training.train_state.TrainState": (
            "it has the parameters of a linen model; zoo's are models of nnx"
        ),
    },
    suffix=".msgpack",
)
