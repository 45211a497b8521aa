"""The largest errors that a verification accepts. Documentation and help quote this file."""

from __future__ import annotations

#: dtype -> the largest error of any node in a forward pass
FORWARD = {"float32": 1e-5, "float64": 1e-12}
#: In float32, a network may also have this multiple of the error that NumPy makes in float32.
ROUNDING_FACTOR = 4
#: dtype -> the largest difference of a gradient, over the largest gradient of the model
GRADIENTS = {"float32": 1e-4, "float64": 1e-10}
#: dtype -> the largest difference of weights and running statistics after training, over the
#: largest of them
TRAINING = {"float32": 1e-4, "float64": 1e-8}


def table() -> list[tuple[str, str, float, str]]:
    """Return every tolerance, for a table.

    Returns:
        Rows of (what is compared, dtype, tolerance, how the error is measured).

    Example:
        >>> for what, dtype, tolerance, _ in table()[:2]:
        ...     print(what, dtype, tolerance)
        forward float32 1e-05
        forward float64 1e-12
    """
    measures = {
        "forward": (FORWARD, "max|a - b| / max|reference| of each node"),
        "gradients": (GRADIENTS, "max|a - b| / the largest gradient of the model"),
        "training": (TRAINING, "max|a - b| / the largest weight or statistic of the model"),
    }
    return [
        (what, dtype, tolerance, measure)
        for what, (tolerances, measure) in measures.items()
        for dtype, tolerance in tolerances.items()
    ]
