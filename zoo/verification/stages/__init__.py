"""What a worker can be told to do, a module a stage, each with ``run(folder, backend, asked)``.

``backend`` is its name, under which files are kept, and ``asked`` what the caller called it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def job_of(folder: Path) -> dict[str, Any]:
    """Read a job's ``job.json``; its input size is a tuple again."""
    job: dict[str, Any] = json.loads((folder / "job.json").read_text())
    size = tuple(job["options"]["input_size"])
    return {**job, "options": {**job["options"], "input_size": size}}
