"""The files of a study: JSON, CSV, Parquet, and what benchopt reads."""

from __future__ import annotations

import csv
import io
import json
import sys

import pytest
from pyarrow import parquet
from pydantic import TypeAdapter
from reported import small as small
from reported import study as study

from zoo.comparing.differences import Difference
from zoo.comparing.effects import Explanation
from zoo.comparing.variance import Variance
from zoo.errors import BackendError, InputError
from zoo.views.study.report import Study


def test_json_back_and_forth(study, tmp_path):
    path = tmp_path / "study.json"
    assert study.write(path) == [path]
    again = Study.read(path)
    assert again == study and again.methods == study.methods
    data = json.loads(path.read_text())
    assert data["differences"][0]["a"] == "torch" and data["effects"][0]["measure"] == "top1"
    kinds = {"differences": Difference, "effects": Explanation, "variance": Variance}
    for name, kind in kinds.items():
        found = TypeAdapter(tuple[kind, ...]).validate_python(data[name])
        assert found == getattr(study, name)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "no study of zoo compare"),
        ({"zoo_study": 9}, "has format 9"),
        ({"zoo_study": 1, "runs": [{"backend": 1}]}, "damaged: runs.0"),
        ({"zoo_study": 1, "runs": []}, "at least one run"),
    ],
)
def test_other_files_are_refused(data, message, tmp_path):
    path = tmp_path / "x.json"
    path.write_text(json.dumps(data))
    with pytest.raises(InputError, match=message):
        Study.read(path)


def test_csv_has_a_line_of_each_run_and_each_estimate(study, tmp_path):
    assert [p.name for p in study.write(tmp_path / "runs.csv")] == ["runs.csv", "effects.csv"]
    runs = list(csv.DictReader(io.StringIO((tmp_path / "runs.csv").read_text())))
    assert len(runs) == len(study.runs)
    assert float(runs[0]["top1"]) == study.runs[0].top1
    assert {run["status"] for run in runs} == {"learned", "chance", "stopped"}
    lines = list(csv.DictReader(io.StringIO((tmp_path / "effects.csv").read_text())))
    kinds = {line["estimate"] for line in lines}
    assert kinds == {
        "difference",
        "class",
        "gap",
        "aligned",
        "share",
        "residual",
        "variance",
        "cost",
    }
    first = next(line for line in lines if line["estimate"] == "difference")
    assert float(first["value"]) == study.differences[0].figure.mean


def test_benchopt_reads_it(study, tmp_path, monkeypatch):
    """The columns that it needs; what it does with them is its own affair."""
    place = tmp_path / "study.benchopt.csv"
    assert study.write(place) == [place]
    lines = list(csv.DictReader(io.StringIO(place.read_text())))
    needed = {"objective_name", "solver_name", "dataset_name", "idx_rep", "stop_val", "time"}
    assert needed | {"objective_value", "objective_top1"} <= set(lines[0])
    assert len(lines) == len(study.runs) - 1  # one has no result
    keys = {(x["objective_name"], x["solver_name"], x["dataset_name"], x["idx_rep"]) for x in lines}
    assert len(keys) == len(lines)
    assert "Keras 3[native=none,deterministic=True]" in {line["solver_name"] for line in lines}
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(BackendError, match="pip install 'pyarrow"):
        study.write(tmp_path / "study.parquet")


@pytest.mark.slow
def test_parquet(study, tmp_path):
    study.write(tmp_path / "study.parquet")
    table = parquet.read_table(tmp_path / "study.parquet")
    assert table.num_rows == len(study.runs) - 1 and b"_meta_json" in table.schema.metadata
