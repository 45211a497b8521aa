"""Does one job in this process; started by :mod:`zoo.comparing.processes`.

    python -m zoo.comparing.worker JOB ANSWER

Both are JSON files. A process is new for every run, so that no run depends on those before it.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any


def main(job_file: str, answer_file: str) -> None:
    """Do a job."""
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    job = json.loads(Path(job_file).read_text(encoding="utf-8"))
    try:
        from zoo.comparing import training

        work = training.prove if "jobs" in job else training.train
        answer: dict[str, Any] = {"result": work(job)}
    except Exception as error:  # a framework may raise anything; report it
        traceback.print_exc()
        lines = [text for text in str(error).splitlines() if text.strip()] or [""]
        answer = {"failed": f"{type(error).__name__}: {lines[0].strip()[:300]}"}
    part = Path(f"{answer_file}.part")
    part.write_text(json.dumps(answer), encoding="utf-8")
    part.replace(answer_file)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # frameworks take long to end, and there is nothing left to do


def _end_with_parent(parent: int) -> None:
    """End if the process that waits for the answer was killed."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
