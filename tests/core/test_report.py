"""The report of a verification in a terminal."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rich.console import Console

from zoo.backend import registry
from zoo.verification.comparison import Worst
from zoo.verification.rendering import terminal
from zoo.verification.results import BackendResult, Pair, Results

COUNTS = {"plain": 6_998_552, "aux": 13_378_280}
LONGEST = "inception4e.branch5x5.reduce.conv"  # of the names of googlenet
SHAPES = {name: [1, 1000] for name in ("logits", "aux1", "aux2")}


def result(entry, **changes):
    given = {
        "versions": dict.fromkeys(entry.packages, "2.21.0rc1"),
        "status": "compared",
        "parameters": COUNTS,
        "output_shapes": SHAPES,
        "logits_error": 4.5e-7,
        "worst": Worst(1.7e-6, LONGEST),
        "top5": (1, 2, 3, 4, 5),
    }
    return BackendResult(entry.name, entry.title, **{**given, **changes})


@pytest.fixture
def report():
    results = [result(entry) for entry in registry.table().values()]
    names = [r.backend for r in results]
    return Results(
        model="googlenet",
        options={"aux": True, "input_size": (224, 224)},
        dtype="float32",
        level="forward",
        tolerance=1e-5,
        seed=0,
        image="chelsea.jpg (shipped)",
        parameters=COUNTS,
        nodes=("a", "b"),
        top5=(1, 2, 3, 5, 4),
        results=tuple(results),
        pairs=tuple(
            Pair(a, b, 8e-7, Worst(2.5e-6, "aux1.fc")) for a in names for b in names if a < b
        ),
    )


def lines(report, width=80):
    console = Console(width=width, color_system=None)
    with console.capture() as shown:
        console.print(terminal.render(report))
    return [line.rstrip() for line in shown.get().splitlines()]


def test_five_backends_fit_into_80_columns(report):
    text = lines(report)
    for r in report.results:
        (line,) = (line for line in text if line.startswith(f" {r.title} "))
        assert line.split()[-8:] == "13,378,280 3 of 1x1000 3 of 5 PASS".split(), line
        assert " 6,998,552 " in line
        for name, version in r.versions.items():
            assert f"{name} {version}" in " ".join(text)
        assert any(line.startswith(f" {r.backend} - reference ") for line in text)
    assert sum(LONGEST in line for line in text) == len(report.results)


def test_backends_that_were_not_compared(report):
    first, second, *others = report.results
    missing = result(registry.resolve(first.backend), status="missing", versions={})
    failed = result(registry.resolve(second.backend), status="failed", problems=("it failed",))
    text = lines(replace(report, results=(missing, failed, *others)))
    (line,) = (line for line in text if line.startswith(f" {first.title} "))
    assert line.split()[-2:] == ["not", "installed"] and "6,998,552" not in line
    (line,) = (line for line in text if line.startswith(f" {second.title} "))
    assert line.endswith(" FAIL") and "6,998,552" not in line
    assert "FAIL googlenet" in text[-1]
