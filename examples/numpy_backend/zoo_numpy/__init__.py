"""A backend for zoo that runs networks in NumPy; it does not train them."""

from zoo.backend.description import Description

DESCRIPTION = Description(
    name="numpy",
    title="NumPy",
    implementation="zoo_numpy.backend:NumpyBackend",
    framework="numpy",
    packages=("numpy",),
    owners=("zoo_numpy",),
    precision_limits={"bfloat16": "NumPy has no bfloat16"},
)
