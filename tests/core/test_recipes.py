"""Recipes: what they accept, and where a mistake in one stands."""

import json
from pathlib import Path

import numpy as np
import pytest

import zoo
from zoo.errors import InputError, SpecError, UnknownNameError
from zoo.training import recipe as recipes
from zoo.training.freezing import frozen
from zoo.training.recipe import Recipe
from zoo.training.train import Settings

LEAST = {"model": "lenet5", "data": "digits", "epochs": 2, "lr": 0.1}


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
