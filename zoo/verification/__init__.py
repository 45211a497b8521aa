"""Shows that the frameworks hold the same network.

Each backend runs in a process of its own, with the same weights, on the same photograph; every
node is held against the NumPy float64 meaning of the graph, and against the other backends.
"""

from zoo.verification.results import BackendResult, Report
from zoo.verification.verify import verify

__all__ = ["BackendResult", "Report", "verify"]
