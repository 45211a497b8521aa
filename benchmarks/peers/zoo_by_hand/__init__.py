"""Networks written by hand in each framework, as backends that ``zoo bench`` compares with zoo's.

The files ``networks.py`` are independent of zoo.
"""

from zoo.backend.description import Description


def describe(framework: Description) -> Description:
    """Describe the networks that are written by hand in a framework, which runs them as zoo's."""
    return Description(
        name=f"{framework.name}-by-hand",
        title=f"{framework.title} by hand",
        implementation=f"{__name__}.{framework.name}.backend:ByHand",
        framework=framework.framework,
        packages=framework.packages,
        requires=framework.requires,
        install=framework.install,
        owners=(f"{__name__}.{framework.name}",),
        convention=framework.convention,
        level="none",
        networks=("googlenet", "vgg16"),
        precision_limits=framework.precision_limits,
        modes=framework.modes,
        determinism=framework.determinism,
    )
