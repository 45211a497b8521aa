"""Runs the jobs of one backend in this process; started by :mod:`zoo.verification.workers`.

    python -m zoo.verification.worker BACKEND

A job is a line of JSON on standard input, ``{"stage": ..., "folder": ..., "requested": ...}``. The
answer is a line on standard output, ``{"result": {...}}`` or ``{"failed": "reason"}``. The output
of frameworks goes to standard error. The stages are the modules of
:mod:`zoo.verification.stages`; arrays are passed through files in the job's folder.

In a separate process, a crash becomes a row of the report, and global settings that a library must
not change, such as JAX's x64 flag, can be set safely.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
from contextlib import suppress
from pathlib import Path


def main(backend: str) -> None:
    """Run jobs until standard input ends."""
    results = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # keep the output of frameworks apart from results
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    _preload(backend)
    for line in sys.stdin:
        job = json.loads(line)
        try:
            stage = importlib.import_module(f"zoo.verification.stages.{job['stage']}")
            answer = {"result": stage.run(Path(job["folder"]), backend, job["requested"])}
        except Exception as error:  # a framework may raise anything; report it
            traceback.print_exc()
            lines = [text for text in str(error).splitlines() if text.strip()] or [""]
            answer = {"failed": f"{type(error).__name__}: {lines[-1].strip()}"}
        results.write(json.dumps({**answer, "memory_mib": _memory()}) + "\n")


def _preload(backend: str) -> None:
    """Import the framework while the first job is being prepared."""
    from zoo.backend import registry

    with suppress(Exception):  # the first job will raise and report it
        registry.load(backend)


def _memory() -> float:
    """The memory usage of this process in MiB; 0 if the system does not report it."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


if __name__ == "__main__":
    main(sys.argv[1])
