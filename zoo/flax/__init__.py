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
    suffix=".msgpack",
)
