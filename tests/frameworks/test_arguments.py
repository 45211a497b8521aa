"""Every argument of every public function: what it accepts, or an error that zoo means."""

from __future__ import annotations

import inspect
from pathlib import Path

import numpy as np
import pytest
from loading import load

import zoo
import zoo.testing
from zoo.benchmarking import processes
from zoo.benchmarking.results import Round
from zoo.errors import quoted
from zoo.verification.case import Case

#: What users pass by mistake, by its description.
VALUES = {
    quoted(value, 20): value
    for value in (
        None, 5, -1, 1.5, float("nan"), True, 10**5000, "nope", "", "\0",
        "x" * 2000, b"x", [], {}, set(), (1, 2, 3), [None], [[1], [2, 3]], {"a": 1}, int,
        Path("/nonexistent"), np.zeros(3), np.array(["a"]),
    )
}  # fmt: skip
VALUES["an object"] = object()

IMAGE = np.zeros((1, 1, 32, 32), np.float32)


@pytest.fixture(scope="module")
def calls(tmp_path_factory):
    """Name of each function -> the function, and arguments with which it succeeds."""
    load("torch")
    import torch

    folder = tmp_path_factory.mktemp("arguments")
    file = folder / "lenet5.safetensors"
    model, graph = zoo.build("lenet5", "torch"), zoo.graph("lenet5")
    zoo.save(model, file)
    photograph = np.zeros((40, 40, 3), np.uint8)
    x = np.random.default_rng(0).random((2, 1, 32, 32)).astype(np.float32)
    digits = zoo.dataset("digits").train
    images, labels = np.stack([digits.images[i] for i in range(40)]), digits.labels[:40]
    few = {"x_train": images, "y_train": labels, "x_test": images, "y_test": labels}
    adam = zoo.optimizer(model, "adam", 0.1)
    once = {"epochs": 1, "lr": 0.1, "batch_size": 20}
    run = folder / "run"
    zoo.train(zoo.build("lenet5", "torch"), few, output=run, **once)
    # Without a file there is no photograph, so that verify checks its arguments and ends.
    no_photograph = {"backends": "torch", "image": folder / "none.jpg"}
    return {
        "bench": (zoo.bench, {"models": "lenet5", "backends": "onnx", "budget": 1e-9}),
        "build": (zoo.build, {"name": "lenet5", "backend": "torch"}),
        "build, pretrained": (
            zoo.build,
            {"name": "lenet5", "backend": "torch", "weights": file, "head": "new"},
        ),
        # Without data nothing is trained: compare checks its arguments and ends.
        "compare": (
            zoo.compare,
            {"models": "lenet5", "data": "none", "seeds": 1, "epochs": 1, "lr": 0.1, "grid": {}},
        ),
        "convert": (zoo.convert, {"model": model, "backend": "torch"}),
        "curves": (zoo.curves, {"runs": run}),
        "dataset": (zoo.dataset, {"source": "digits"}),
        "diff": (zoo.diff, {"old": "lenet5", "new": graph}),
        "diff, names": (zoo.diff, {"old": "lenet5", "new": "lenet5_modern", "aux": False}),
        "diff, page": (
            zoo.diff,
            {"old": "lenet5", "new": "lenet5_modern", "path": folder / "d.html", "depth": 2},
        ),
        "draw": (zoo.draw, {"model": "lenet5", "aux": False}),
        "Drawing.save": (zoo.draw("lenet5").save, {"path": folder / "lenet5.svg"}),
        "export": (zoo.export, {"model": model, "path": folder / "w.onnx", "check": False}),
        "extractor": (zoo.extractor, {"model": model, "nodes": graph.nodes[0].name}),
        "features": (zoo.features, {"model": model, "x": x, "nodes": graph.nodes[0].name}),
        "get_optimizer_state": (zoo.get_optimizer_state, {"model": model, "optimizer": adam}),
        "get_weights": (zoo.get_weights, {"model": model}),
        "graph": (zoo.graph, {"name": "lenet5"}),
        "Graph.node": (graph.node, {"path": graph.nodes[0].name}),
        "Graph.summary": (graph.summary, {}),
        "Graph.from_dict": (zoo.Graph.from_dict, {"data": graph.to_dict()}),
        "graph_of": (zoo.graph_of, {"model": model}),
        "list_backends": (zoo.list_backends, {}),
        "list_models": (zoo.list_models, {}),
        "load": (zoo.load, {"path": file, "backend": "torch"}),
        "loss": (
            zoo.loss,
            {"model": model, "outputs": model(torch.from_numpy(x)), "labels": [0, 1]},
        ),
        "optimizer": (
            zoo.optimizer,
            {"model": model, "name": "sgd", "lr": 0.1, "momentum": 0.9},
        ),
        "predict": (zoo.predict, {"model": model, "x": x}),
        "preprocess": (zoo.preprocess, {"image": photograph, "model": model}),
        "reset_head": (zoo.reset_head, {"model": model, "num_classes": 3}),
        "resume": (zoo.resume, {"folder": run, "data": few}),
        "save": (zoo.save, {"model": model, "path": folder / "saved.safetensors"}),
        "schedule": (zoo.schedule, {"name": "step", "lr": 0.1, "milestones": [1, 2]}),
        "set_optimizer_state": (
            zoo.set_optimizer_state,
            {"model": model, "optimizer": adam, "state": zoo.get_optimizer_state(model, adam)},
        ),
        "set_weights": (zoo.set_weights, {"model": model, "weights": zoo.get_weights(model)}),
        "sources": (zoo.sources, {"model": "lenet5", "aux": False}),
        "source": (zoo.source, {"model": "lenet5", "backend": "torch", "aux": False}),
        "stream": (
            zoo.stream,
            {"model": model, "part": zoo.dataset("digits").train, "batch_size": 8},
        ),
        "train": (
            zoo.train,
            {
                "model": zoo.build("lenet5", "torch"),
                "data": few,
                **once,
                **{"momentum": 0.9, "freeze": ["c1"], "schedule": "step", "milestones": [1]},
                **{"clip_norm": 1.0, "precision": "full", "seed": 1, "patience": 1},
            },
        ),
        "transform": (zoo.transform, {"model": model, "layout": "HWC"}),
        "summary": (zoo.summary, {"model": "lenet5", "aux": False}),
        "verify": (zoo.verify, {"name": "lenet5", **no_photograph}),
        "testing.assert_same": (
            zoo.testing.assert_same,
            {"model_a": model, "model_b": "lenet5", "x": x, "level": "training"},
        ),
    }


def public_functions():
    """The names of all functions that zoo and zoo.testing export."""
    own = {name for name in zoo.__all__ if inspect.isfunction(getattr(zoo, name))}
    return own | {f"testing.{name}" for name in zoo.testing.__all__ if name.islower()}


def parameters(function, given):
    """The parameters of a function; of ``**options`` those that are given."""
    names = inspect.signature(function).parameters
    return [n for n, p in names.items() if p.kind is not p.VAR_KEYWORD] + [
        n for n in given if n not in names
    ]


def test_no_public_function_is_left_out(calls):
    assert public_functions() <= calls.keys()


def not_measured(cell, folder, number, **options):
    """Stands for a benchmark whose arguments are right, which would take minutes."""
    return Round(number, problems=("not measured",))


def not_run(*arguments):
    """Stands for a verification whose arguments are right."""
    raise zoo.InputError("not run")


def test_a_wrong_argument_is_zoos_own_error(calls, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # "nope" may name a file
    monkeypatch.setattr(processes, "measure", not_measured)
    monkeypatch.setattr(Case, "run", not_run)
    wrong = []
    for name, (function, given) in calls.items():
        for parameter in parameters(function, given):
            for described, value in VALUES.items():
                if parameter == "progress" and callable(value):
                    continue  # what it raises is the caller's own
                try:
                    function(**{**given, parameter: value})
                except zoo.ZooError:
                    pass
                except AssertionError as error:
                    if name != "testing.assert_same" or "is not" not in str(error):
                        wrong.append(f"{name}, {parameter}={described}: {error!r}")
                except Exception as error:  # what is no ZooError is the fault looked for
                    wrong.append(f"{name}, {parameter}={described}: {error!r}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("name", "parameter", "value", "message"),
    [
        ("features", "nodes", None, "nodes must be the name of a node or several, got None"),
        ("save", "path", None, "path must be the path of a file, got None"),
        ("list_models", "pattern", 5, "pattern must be None or a shell pattern"),
        ("verify", "backends", 5, "backends must be None, the name of a backend or several, got 5"),
        ("verify", "seed", "one", "seed must be an integer, got 'one'"),
        ("draw", "path", 5, "path must be the path of a file, got 5"),
        ("diff", "every", "yes", "every must be True or False, got 'yes'"),
        ("load", "mmap", 1, "mmap must be True or False, got 1"),
        ("load", "aux", [], r"aux must be True or False, got \[\]"),
        ("build", "name", None, "a model must be a name or the path of a YAML file, got None"),
        ("build", "head", "", "head, stem and entry require pretrained weights"),
        ("get_weights", "model", None, "expected a model of PyTorch, .*, got None"),
        (
            "graph_of",
            "model",
            "lenet5",
            "expected a model of PyTorch, .*, got 'lenet5'; zoo.build makes one from a name",
        ),
        ("set_weights", "weights", None, "weights must be a mapping of names to arrays, got None"),
        ("testing.assert_same", "names", ["a"], "names must be a mapping"),
        ("testing.assert_same", "tolerance", -1, "tolerance must be None or a number above 0"),
    ],
)
def test_the_error_names_the_argument(calls, name, parameter, value, message):
    function, given = calls[name]
    with pytest.raises(zoo.ZooError, match=message):
        function(**{**given, parameter: value})


@pytest.mark.parametrize("name", ["summary", "draw", "diff"])
def test_an_unknown_option_names_the_function_called(calls, name):
    function, given = calls[name]
    with pytest.raises(TypeError, match=rf"^{name}\(\) got an unexpected keyword argument 'nope'"):
        function(**given, nope=3)
    with pytest.raises(TypeError, match="'num_clases'. Did you mean 'num_classes'"):
        function(**given, num_clases=3)


def test_a_tensor_is_no_model(calls):
    import torch

    tensor = torch.zeros(3)
    for function in (zoo.get_weights, lambda model: zoo.predict(model, IMAGE)):
        with pytest.raises(zoo.BackendError, match="expected a model of .*, got Tensor"):
            function(tensor)


def test_numpys_integers_are_integers(calls):
    model = zoo.build("lenet5", "torch", seed=np.int64(3), num_classes=np.int8(4))
    same = zoo.get_weights(zoo.build("lenet5", "torch", seed=3, num_classes=4))
    for name, value in zoo.get_weights(model).items():
        assert np.array_equal(value, same[name])
