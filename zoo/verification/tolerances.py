"""The largest errors that a verification accepts. Documentation and help quote these values."""

from __future__ import annotations

#: dtype -> the largest error of any node in a forward pass
FORWARD = {"float32": 1e-5, "float64": 1e-12}
#: In float32, the tolerance is at least this multiple of NumPy's own float32 error.
ROUNDING_FACTOR = 4
#: dtype -> the largest difference of a gradient, relative to the largest gradient of the model
GRADIENTS = {"float32": 1e-4, "float64": 1e-10}
#: dtype -> the largest difference of weights and running statistics after training, relative to
#: the largest of them
TRAINING = {"float32": 1e-4, "float64": 1e-8}

#: The largest error of a directional derivative, relative to a difference quotient of the loss
DERIVATIVE = 1e-6


def forward(dtype: str, rounding: float | None = None) -> float:
    """Return the largest error of a node in a forward pass.

    Args:
        dtype: What is computed in. For one without an entry in ``FORWARD``, such as ``bfloat16``,
            the tolerance depends on the rounding error alone.
        rounding: The largest error that NumPy makes on the network in that dtype, if known.

    Example:
        >>> forward("float32", 1e-5), forward("float32", 1e-7), forward("float64")
        (4e-05, 1e-05, 1e-12)
    """
    return max(FORWARD.get(dtype, 0.0), ROUNDING_FACTOR * (rounding or 0.0))


def table() -> list[tuple[str, str, float, str]]:
    """Return every tolerance, for a table.

    Returns:
        Rows of (compared quantity, dtype, tolerance, how the error is measured).

    Example:
        >>> for quantity, dtype, tolerance, _ in table()[:2]:
        ...     print(quantity, dtype, tolerance)
        forward float32 1e-05
        forward float64 1e-12
    """
    measures = {
        "forward": (FORWARD, "max|a - b| / max|reference| of each node"),
        "gradients": (GRADIENTS, "max|a - b| / the largest gradient of the model"),
        "training": (TRAINING, "max|a - b| / the largest weight or statistic of the model"),
    }
    return [
        (quantity, dtype, tolerance, measure)
        for quantity, (tolerances, measure) in measures.items()
        for dtype, tolerance in tolerances.items()
    ]
