"""Measures the start-up of zoo's commands in CPU time, as ratios to ``import numpy``.

    python benchmarks/startup.py [--repeats 5]

Each row is a separate process, started several times, alternating with the others; the smallest
CPU time counts. The output is a Markdown table for README.md in this folder.
"""

import argparse
import os
import resource
import subprocess
import sys

_COMMAND = "import sys; sys.argv = {!r}; from zoo.cli.main import main; main()"

#: Label -> Python code, extra environment variables, and the target ratio.
ROWS = {
    "`import numpy`": ("import numpy", {}, None),
    "`import zoo`": ("import zoo", {}, None),
    "`zoo --version`": (_COMMAND.format(["zoo", "--version"]), {}, 1.5),
    "`zoo --help`": (_COMMAND.format(["zoo", "--help"]), {}, 1.5),
    "completion of a backend": (
        _COMMAND.format(["zoo"]),
        {
            "_ZOO_COMPLETE": "bash_complete",
            "COMP_WORDS": "zoo verify --backends p",
            "COMP_CWORD": "3",
        },
        1.5,
    ),
    "completion of a model": (
        _COMMAND.format(["zoo"]),
        {"_ZOO_COMPLETE": "bash_complete", "COMP_WORDS": "zoo summary goog", "COMP_CWORD": "2"},
        1.5,
    ),
    "`zoo.list_models()`": ("import zoo; zoo.list_models()", {}, 1.5),
    '`zoo.graph("resnet50")`': ("import zoo; zoo.graph('resnet50')", {}, 3),
    "`zoo summary resnet50`": (_COMMAND.format(["zoo", "summary", "resnet50"]), {}, 3),
    "`zoo draw resnet50`": (_COMMAND.format(["zoo", "draw", "resnet50"]), {}, 3),
    "`zoo list`": (_COMMAND.format(["zoo", "list"]), {}, 3),
}


def cpu_seconds(code: str, extra: dict[str, str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "COLUMNS": "120", **extra},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    smallest = dict.fromkeys(ROWS, float("inf"))
    for _ in range(repeats):
        for row, (code, extra, _) in ROWS.items():
            smallest[row] = min(smallest[row], cpu_seconds(code, extra))
    numpy = smallest["`import numpy`"]
    print("| | ratio | target |\n|---|--:|--:|")
    for row, seconds in smallest.items():
        target = ROWS[row][2]
        print(f"| {row} | {seconds / numpy:.2f} | {target or ''} |")


if __name__ == "__main__":
    main()
