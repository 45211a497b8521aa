"""The folder of a run, and the checkpoints in it."""

import errno
import json
import os

import numpy as np
import pytest

import zoo
from zoo.errors import InputError, WeightsError
from zoo.training import recipe as recipes
from zoo.training import state as states
from zoo.training.folder import Folder, read_metrics
from zoo.training.train import backend_of

LEAST = {"model": "lenet5", "data": "digits", "epochs": 2, "lr": 0.1}


def test_a_folder_is_held_by_one_and_keeps_what_it_should(tmp_path):
    recipe = recipes.of(LEAST)
    with Folder.new(tmp_path / "run", recipe) as folder:
        with (
            pytest.raises(InputError, match="another process is training"),
            Folder.new(tmp_path / "run", recipe),
        ):
            pass
        for step in (5, 10, 100_000_000):
            folder.checkpoint(step).write_text(str(step))
        folder.keep_best(folder.checkpoint(5))
        folder.remove_old(2)
        assert [path.read_text() for path in folder.checkpoints()] == ["10", "100000000"]
        assert (folder.path / "best.safetensors").read_text() == "5"
        for step in (1, 2, 3):
            folder.write({"step": step, "loss": 0.5})
        folder.flush()
        with (folder.path / "metrics.jsonl").open("a") as file:
            file.write('{"step": 4, "lo')  # the process was killed
        folder.forget(2)
        steps = [{"step": 1, "loss": 0.5}, {"step": 2, "loss": 0.5}]
        assert read_metrics(folder.path / "metrics.jsonl") == steps
        with (folder.path / "metrics.jsonl").open("a") as file:
            file.write('{"step": 2, "validation": {}}\n')  # and was killed before the checkpoint
        folder.forget(2, evaluated=False)
        assert read_metrics(folder.path / "metrics.jsonl") == steps
    with pytest.raises(InputError, match="already has a run"), Folder.new(tmp_path / "run", recipe):
        pass
    with (
        pytest.raises(InputError, match="not the folder of a training run"),
        Folder.existing(tmp_path),
    ):
        pass


def test_what_the_disk_refuses_in_the_background_is_one_error(tmp_path):
    def refuse():
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    called = []
    with Folder.new(tmp_path / "run", recipes.of(LEAST)) as folder:
        folder.checkpoint(0)
        folder.later(lambda: called.append(1))
        folder.later(refuse)
        folder.later(lambda: called.append(2))
        with pytest.raises(InputError, match="run: cannot be written to: No space left on device"):
            folder.settle()
        assert called == [1, 2]
        folder.settle()
    with pytest.raises(InputError, match="No space left"), Folder.existing(folder.path) as folder:
        folder.later(refuse)  # a run that ends waits, too


@pytest.fixture
def checkpoint(tmp_path):
    graph = zoo.graph("lenet5")
    rng = np.random.default_rng(0)
    weights = {p.name: rng.standard_normal(p.shape).astype(np.float32) for p in graph.parameters}
    slots = {f"momentum/{name}": value * 2 for name, value in weights.items()}
    state = states.State(recipes.of(LEAST).to_dict(), "torch", ("a", "b"), 7, 7, None, 1.5, 0.25, 1)
    path = tmp_path / "step-00000007.safetensors"
    states.write(path, graph, weights, slots, state)
    return path, weights, slots, state


def test_a_checkpoint_says_what_it_was_told(checkpoint):
    path, weights, slots, state = checkpoint
    saved = states.read(path)
    assert saved.state == state
    with saved.weights.verified():
        assert {name: a.read().tolist() for name, a in saved.weights.arrays.items()} == {
            name: a.tolist() for name, a in weights.items()
        }
        assert {name: a.read().tolist() for name, a in saved.slots.items()} == {
            name: a.tolist() for name, a in slots.items()
        }


def test_a_damaged_checkpoint_is_one_error(checkpoint, tmp_path):
    """Any byte, and any length."""
    path, *_ = checkpoint
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    header = 8 + int.from_bytes(whole[:8], "little")
    damaged = tmp_path / "damaged.safetensors"
    for attempt in range(300):
        content = bytearray(whole)
        place = int(rng.integers(header if attempt % 2 else len(whole)))
        content[place] ^= int(rng.integers(1, 256))
        damaged.write_bytes(
            content[: int(rng.integers(len(whole)))] if attempt % 10 == 0 else content
        )
        with pytest.raises(WeightsError):
            _read_all(damaged)


def _read_all(path):
    saved = states.read(path)
    with saved.weights.verified():
        for stored in (*saved.weights.arrays.values(), *saved.slots.values()):
            stored.read()


def test_a_file_of_weights_is_no_checkpoint(tmp_path):
    from zoo.weights.reading import zoo_file

    graph = zoo.graph("lenet5")
    path = tmp_path / "weights.safetensors"
    zoo_file.write(path, graph, {p.name: np.zeros(p.shape, np.float32) for p in graph.parameters})
    with pytest.raises(WeightsError, match="not a checkpoint of a training run"):
        states.read(path)
    with pytest.raises(WeightsError, match="no such file"):
        states.read(tmp_path / "none.safetensors")


def test_a_state_that_is_something_else_is_one_error(checkpoint, tmp_path):
    from zoo.weights.reading import zoo_file

    path, weights, slots, _ = checkpoint
    graph = zoo.graph("lenet5")
    texts = json.loads(zoo_file.texts_of(path)["training"])
    for key in texts:
        for value in (None, "x", [], {}, -1, [1]):
            other = tmp_path / "other.safetensors"
            zoo_file.write(other, graph, {**weights, **slots}, json.dumps({**texts, key: value}))
            try:
                saved = states.read(other)
            except WeightsError as error:
                assert "the state of the run cannot be read" in str(error)
            else:
                assert isinstance(saved.state.step, int)


def test_a_run_without_a_checkpoint_is_neither_resumed_nor_overwritten(tmp_path):
    path = tmp_path / "run"
    with (
        Folder.new(path, recipes.of(LEAST)),
        pytest.raises(InputError, match="another process is training in this folder"),
    ):
        backend_of(path)
    with pytest.raises(InputError, match="ended before its first checkpoint"):
        backend_of(path)
    before = (path / "recipe.yaml").read_bytes()
    with (
        pytest.raises(InputError, match=r"has a recipe.yaml, but no checkpoint to resume from"),
        Folder.new(path, recipes.of({**LEAST, "seed": 1})),
    ):
        pass
    assert (path / "recipe.yaml").read_bytes() == before
