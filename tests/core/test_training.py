"""What trains without a framework: recipes, schedules, masks, folders and checkpoints."""

import errno
import json
import math
import os
from pathlib import Path

import numpy as np
import pytest

import zoo
from zoo.errors import InputError, SpecError, UnknownNameError, WeightsError
from zoo.training import recipe as recipes
from zoo.training import state as states
from zoo.training.evaluation import cross_entropy, rank
from zoo.training.folder import Folder, read_metrics
from zoo.training.freezing import frozen
from zoo.training.masks import Masks
from zoo.training.recipe import Recipe
from zoo.training.train import Settings

LEAST = {"model": "lenet5", "data": "digits", "epochs": 2, "lr": 0.1}


def test_the_cosine_is_the_papers():
    """SGDR, equation 5, with a least rate of 0."""
    rate = zoo.schedule("cosine", 0.3, steps=200)
    for step in range(201):
        assert rate(step) == pytest.approx(0.15 * (1 + math.cos(step / 200 * math.pi)), abs=1e-16)


def test_the_warm_up_rises_in_a_line_and_then_the_schedule_begins():
    rate = zoo.schedule("step", 0.4, warmup=4, milestones=(6, 8), gamma=0.5)
    expected = [0.1, 0.2, 0.3, 0.4, 0.4, 0.4, 0.2, 0.2, 0.1]
    assert [rate(step) for step in range(9)] == pytest.approx(expected, rel=1e-15)
    cosine = zoo.schedule("cosine", 1.0, steps=12, warmup=2)
    assert cosine(2) == 1.0
    assert cosine(7) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "cosin", "lr": 1}, "Did you mean 'cosine'"),
        ({"name": "cosine", "lr": 1}, "needs steps"),
        ({"name": "constant", "lr": -1}, "lr must be a number of at least 0"),
        ({"name": "constant", "lr": float("nan")}, "lr must be a number"),
        ({"name": "step", "lr": 1, "milestones": (4, 2)}, "milestones must be"),
        ({"name": "cosine", "lr": 1, "steps": 5, "warmup": 6}, "warmup must be from 0"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused(arguments, message):
    with pytest.raises((InputError, UnknownNameError), match=message):
        zoo.schedule(**arguments)


MASKED = """
conv: {op: conv, out_channels: 3, kernel_size: 3, padding: 1}
depth: {op: stochastic_depth, rate: 0.25}
map: {op: dropout, rate: 0.5}
flatten: {op: flatten}
vector: {op: dropout, rate: 0.1}
fc: {op: linear, out_features: $num_classes}
"""


@pytest.fixture
def masked(spec_file):
    return zoo.graph(spec_file(MASKED, header="options: {num_classes: 4, input_size: [6, 5]}\n"))


def test_masks_drop_by_their_rates(masked):
    masks = Masks(masked, 1, dtype="float64").batch(3, 2000)
    for name, rate in (("depth", 0.25), ("map", 0.5), ("vector", 0.1)):
        mask = masks[name]
        assert set(np.unique(mask)) == {0, 1 / (1 - rate)}
        share = (mask == 0).mean()
        assert abs(share - rate) < 4 * math.sqrt(rate * (1 - rate) / mask.size)
    assert masks["depth"].shape == (2000, 1, 1, 1)
    assert masks["map"].shape == (2000, 3, 6, 5)


def test_masks_are_the_same_in_every_layout(masked):
    first, last = (Masks(masked, 1, layout).batch(3, 4) for layout in ("CHW", "HWC"))
    assert np.array_equal(first["map"].transpose(0, 2, 3, 1), last["map"])
    folded = first["vector"].reshape(4, 3, 6, 5).transpose(0, 2, 3, 1).reshape(4, -1)
    assert np.array_equal(folded, last["vector"])
    assert np.array_equal(first["depth"], last["depth"])


def test_masks_depend_on_seed_step_and_node_alone(masked):
    one = Masks(masked, 1).batch(3, 64)
    assert all(
        np.array_equal(one[name], mask) for name, mask in Masks(masked, 1).batch(3, 64).items()
    )
    for others in (Masks(masked, 2).batch(3, 64), Masks(masked, 1).batch(4, 64)):
        assert not any(np.array_equal(one[name], mask) for name, mask in others.items())
    assert not np.array_equal(one["map"].reshape(64, -1) > 0, one["vector"] > 0)


def test_every_setting_of_a_recipe_can_be_given_to_train():
    ours = {name for name, field in Recipe.fields.items() if not field.required}
    model = {"format", "aux", "in_channels", "input_size", "weights", "head", "init", "dtype"}
    assert set(Settings.__annotations__) == ours - model


def test_the_schema_of_recipes_is_the_committed_one():
    path = Path(recipes.__file__).with_name("recipe.schema.json")
    message = "python -m zoo.training.recipe > zoo/training/recipe.schema.json"
    assert json.loads(path.read_text()) == recipes.schema(), message


def test_a_recipe_is_written_and_read_back(tmp_path):
    path = tmp_path / "recipe.yaml"
    recipe = recipes.of(
        {
            **LEAST,
            "schedule": "step",
            "milestones": [1],
            "freeze": ["c*", "a 'b'"],
            "clip_norm": 1.5,
            "gamma": 1e-9,
        }
    )
    path.write_text(recipe.text())
    assert recipes.of({}, path).to_dict() == recipe.to_dict()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("lr: fast", r"recipe.yaml:5: \$.lr: expected a number above 0, got 'fast'"),
        ("momentun: 0.9", "Did you mean 'momentum'"),
        ("momentum: 1", "at least 0 and less than 1"),
        ("beta1: 0.5", "sgd has no beta1"),
        ("nesterov: true", r"recipe.yaml:5: \$.nesterov: nesterov requires a momentum"),
        ("warmup: 3", "warmup must be at most epochs"),
        ("accumulate: 65", "accumulate must be at most batch_size"),
        ("milestones: [1]", "milestones are for the schedule step, not for constant"),
        (
            "dtype: float64\nprecision: float16",
            "precision float16 needs dtype float32, got float64",
        ),
        (
            "dtype: float64\nprecision: bfloat16",
            "precision bfloat16 needs dtype float32, got float64",
        ),
        ("schedule: step", r"recipe.yaml:5: \$.schedule: schedule step needs milestones"),
        (
            "gamma: 0.5",
            r"recipe.yaml:5: \$.gamma: gamma is for the schedule step, not for constant",
        ),
        ("head: new", r"recipe.yaml:5: \$.head: head requires weights"),
        ("learning_rate: 0.1", "Did you mean 'lr'"),
        ("num_epochs: 1", "Did you mean 'epochs'"),
        ("backend: torch", "no setting of a recipe, but an option .*: zoo train --backend"),
        ("tensorboard: true", "option of the command: zoo train --tensorboard"),
        ("schedule: linear", "expected 'constant', 'cosine' or 'step'"),
        ("seed: 1.5", "expected an integer"),
        ("format: 2", "the format that this version of zoo reads"),
    ],
)
def test_a_wrong_recipe_is_one_error(line, message, tmp_path):
    path = tmp_path / "recipe.yaml"
    key = line.partition(":")[0]
    lines = [f"{name}: {value}" for name, value in LEAST.items() if name != key]
    path.write_text("\n".join([*lines, *([""] * (4 - len(lines))), line]) + "\n")
    with pytest.raises((SpecError, InputError), match=message):
        recipes.of({}, path)


def test_settings_that_do_not_fit_are_named_where_they_stand(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text("model: lenet5\ndata: digits\nepochs: 2\nlr: 0.1\nwarmup: 2\n")
    assert recipes.of({"accumulate": 2}, path).warmup == 2
    with pytest.raises(SpecError, match=r"recipe.yaml:5: \$.warmup: warmup must be at most epochs"):
        recipes.of({"epochs": 1}, path)
    with pytest.raises(InputError, match="^warmup must be at most epochs, 2, got 3"):
        recipes.of({"warmup": 3}, path)


def test_a_recipe_can_be_tried_for_fewer_epochs_than_its_milestones():
    late = {**LEAST, "schedule": "step", "milestones": [1, 20]}
    assert recipes.of(late).milestones == [1, 20]


def test_numbers_of_numpy_are_numbers(tmp_path):
    numbers = {"epochs": np.int64(3), "lr": np.float64(0.1), "momentum": np.float32(0.5)}
    more = {"schedule": "step", "milestones": [np.int32(1)], "sync_batch_norm": np.bool_(False)}
    recipe = recipes.of({**LEAST, **numbers, **more, "batch_size": np.array(8)})
    values = recipe.to_dict()
    assert [type(values[name]) for name in (*numbers, "batch_size", "sync_batch_norm")] == [
        *(int, float, float),
        *(int, bool),
    ]
    (tmp_path / "recipe.yaml").write_text(recipe.text())
    assert recipes.of({}, tmp_path / "recipe.yaml").to_dict() == values
    with pytest.raises(InputError, match="epochs: expected an integer of at least 1"):
        recipes.of({**LEAST, "epochs": np.float64(1.5)})


def test_a_recipe_without_a_setting_names_it():
    with pytest.raises(InputError, match="lr: required field is missing"):
        recipes.of({name: value for name, value in LEAST.items() if name != "lr"})


def test_freezing_a_block_means_all_within():
    graph = zoo.graph("resnet20")
    names = frozen(graph, ["layer1", "conv1.conv.weight", "fc.b*"])
    expected = {
        p.name
        for p in graph.parameters
        if p.trainable
        and (p.name.startswith("layer1.") or p.name in ("conv1.conv.weight", "fc.bias"))
    }
    assert names == expected
    with pytest.raises(UnknownNameError, match="Did you mean 'layer1'"):
        frozen(graph, ["layr1"])


def test_ranks_and_losses_by_hand():
    logits = np.array([[0.0, 2.0, 1.0], [5.0, 5.0, 1.0], [np.nan, 1.0, 0.0]])
    assert rank(logits, [2, 1, 0]).tolist() == [1, 1, 2]
    assert cross_entropy(np.log([[0.5, 0.25, 0.25]]), np.array([1]))[0] == pytest.approx(
        math.log(4)
    )


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
