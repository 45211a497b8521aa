"""Flags of XLA for tests and their processes."""

import importlib.metadata
import os

#: The older emitters, which compile in half of the time.
QUICK = "--xla_cpu_use_fusion_emitters=false"
#: An order of the operations that takes less memory, and uses the cores less.
SPARING = "--xla_cpu_enable_concurrency_optimized_scheduler=false"


def tell(*flags: str, environment=os.environ) -> None:
    """Add flags to those of an environment, unless another XLA is installed."""
    try:
        known = importlib.metadata.version("jaxlib").startswith("0.10.")
    except importlib.metadata.PackageNotFoundError:
        return
    if known:  # a flag that XLA does not know ends the process
        environment["XLA_FLAGS"] = " ".join([environment.get("XLA_FLAGS", ""), *flags]).strip()
