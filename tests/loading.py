"""Loads a backend for tests."""

import os
import warnings

import pytest

from zoo.backend import registry

#: Whether compilers may skip optimizations, which take most of the time of a model's first run. So
#: it is in the tests of every run; slow tests have them all.
quick = False


def load(name: str, double: bool = False):
    """The backend's module; a missing framework is a skip on a laptop and a failure in CI.

    What a framework warns of while it is imported is not zoo's to answer for. ``double`` lets JAX
    compute in float64.
    """
    if not registry.is_installed(registry.resolve(name)):
        message = f"{name} is not installed"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message, allow_module_level=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the frameworks' own, while they are imported
        backend = registry.load(name)
        if quick and name == "flax":
            import jax

            jax.config.update("jax_disable_most_optimizations", True)
        if double and name == "flax":
            import jax

            jax.config.update("jax_enable_x64", True)
        if quick and name == "keras":
            import tensorflow as tf

            tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
        return backend
