"""Starts the processes in which backends work, one at a time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from zoo import backends

TIMEOUT = 1800  # seconds that one worker may take


def work(path: Path, entry: backends.Entry, asked: str, stage: str) -> dict[str, Any] | str:
    """Run one worker.

    Args:
        path: The job's folder; see :mod:`zoo.verification.worker`.
        entry: The backend.
        asked: What the caller called it: ``tensorflow`` says more than ``keras``.
        stage: ``forward`` or ``training``.

    Returns:
        What it found, or in words why it found nothing.
    """
    if not backends.is_installed(entry):
        return "not installed"
    module = "zoo.verification.worker"
    command = [sys.executable, "-m", module, str(path), entry.name, asked, stage]
    # The worker finds zoo where this process found it, even when that is only a checkout.
    root = str(Path(__file__).resolve().parents[2])
    given = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    search = os.pathsep.join([root, *map(os.path.abspath, given)])  # it works elsewhere
    environment = {**os.environ, "PYTHONPATH": search}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=TIMEOUT, env=environment, cwd=path
        )
    except subprocess.TimeoutExpired:
        return f"no result within {TIMEOUT} s"
    if done.returncode < 0:
        return f"the worker died of signal {-done.returncode}"
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        return lines[-1].strip() if lines else f"the worker ended with status {done.returncode}"
    result: dict[str, Any] = json.loads((path / f"{entry.name}.{stage}.json").read_text())
    return result
