"""What ends a run, or keeps it from being begun or resumed: one error, and no step is lost."""

import json
from pathlib import Path

import numpy as np
import pytest
from digit_runs import copied, load, losses, settings
from digit_runs import digits as digits
from digit_runs import runs as runs
from digit_runs import spec as spec
from ends import final
from PIL import Image

import zoo
from zoo.errors import BackendError, InputError, TrainingError, WeightsError, ZooWarning
from zoo.training.events import Epoch, Evaluating, Step

pytestmark = pytest.mark.frameworks


def test_a_loss_that_is_not_finite_names_the_step_and_the_node(backend, spec, digits, tmp_path):
    load(backend)
    model = zoo.build(spec, backend)
    before = zoo.get_weights(model)
    broken = {**before, "hidden.weight": np.full_like(before["hidden.weight"], 3e38)}
    zoo.set_weights(model, broken)
    with pytest.raises(TrainingError, match=r"step 1 .*hidden is the first node"):
        zoo.train(model, digits, epochs=1, lr=0.1, batch_size=32)
    after = zoo.get_weights(model)
    assert all(np.array_equal(after[n], broken[n]) for n in broken if "running" not in n)


def test_a_node_that_float16_cannot_hold_is_named(spec, digits, tmp_path):
    """Its values are finite in the full precision of the search."""
    load("torch")
    path = tmp_path / "big.yaml"
    scales = "  up: {op: scale, factor: 100000}\n  down: {op: scale, factor: 0.00001}\n  flatten:"
    path.write_text(spec.read_text().replace("  flatten:", scales))
    message = r"step 1 .*where up is the first node with values that float16 cannot hold, up to \d"
    with pytest.raises(TrainingError, match=rf"{message}.*; precision bfloat16 or full, a lower"):
        zoo.train(zoo.build(path, "torch"), digits, epochs=1, lr=0.1, precision="float16")


def test_what_does_not_fit_is_one_error(spec, digits, runs, tmp_path):
    load("torch")
    model = zoo.build(spec, "torch")
    with pytest.raises(InputError, match="has 10 classes and the model 7"):
        zoo.train(zoo.build(spec, "torch", num_classes=7), digits, epochs=1, lr=0.1)
    with pytest.raises(InputError, match="batch_size must be from 1 to 320"):
        zoo.train(model, digits, epochs=1, lr=0.1, batch_size=400)
    with pytest.raises(InputError, match="epochs: expected an integer of at least 1"):
        zoo.train(model, digits, epochs=0, lr=0.1)
    with pytest.raises(InputError, match="sgd has no beta1"):
        zoo.train(model, digits, epochs=1, lr=0.1, beta1=0.5)
    with pytest.raises(zoo.UnknownNameError, match=r"'hiden'.*Did you mean 'hidden'"):
        zoo.train(model, digits, epochs=1, lr=0.1, freeze=["hiden"])
    with pytest.raises(InputError, match="nothing to train"):
        zoo.train(model, digits, epochs=1, lr=0.1, freeze=["*"])
    folder = copied(runs("torch", "adamw", stopped=True), tmp_path)
    others = {**digits, "x_train": digits["x_train"][::-1]}
    with pytest.raises(InputError, match="its training images, .* are not those of the run;"):
        zoo.resume(folder, data=others)
    fewer = {**digits, **{key: digits[key][:-1] for key in ("x_test", "y_test")}}
    with pytest.raises(InputError, match=r"validation images.*\(there were \d+, now there are"):
        zoo.resume(folder, data=fewer)
    with pytest.raises(InputError, match="already has a run"):
        zoo.train(model, digits, epochs=1, lr=0.1, output=folder)
    recipe = folder / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("0.01", "0.02"))
    with pytest.raises(InputError, match="recipe.yaml: lr changed since the run began, or step-"):
        zoo.resume(folder, data=digits)


@pytest.mark.parametrize("count", [7, 12])
def test_a_network_whose_output_is_not_the_classes_is_refused(count, spec, digits, tmp_path):
    """Before the first step, and before there is a folder."""
    load("torch")
    path = tmp_path / "other.yaml"
    path.write_text(spec.read_text().replace("$num_classes", str(count)))
    message = rf"has 10 classes, and the output 'logits' of digit_net has {count} features; write"
    with pytest.raises(InputError, match=message):
        zoo.train(zoo.build(path, "torch"), digits, epochs=1, lr=0.1, output=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_what_a_run_cannot_be_resumed_with_is_said(spec, digits, runs, tmp_path):
    load("torch"), load("paddle")
    folder = copied(runs("torch", "adamw", stopped=True), tmp_path)
    with pytest.raises(InputError, match=r"'arrays', is no dataset.*data= in zoo.resume"):
        zoo.resume(folder)
    other = tmp_path / "other"
    model, more = zoo.build(spec, "torch"), {"lr": np.float64(0.1), "precision": "bfloat16"}
    zoo.train(model, digits, epochs=np.int64(1), batch_size=320, output=other, **more)
    told = r"on GPUs only.*resume this one in torch, or .*step-00000001.safetensors"
    with pytest.raises(BackendError, match=told):
        zoo.resume(other, data=digits, backend="paddle", epochs=np.int64(2))
    assert zoo.resume(other, data=digits, epochs=np.int64(2)).step == 2


def test_a_run_that_patience_ended_is_complete(spec, digits, tmp_path):
    """It makes no epoch more, unless there is more patience."""
    load("torch")
    still = {"lr": 1e-9, "batch_size": 320, "patience": 2}  # too little to change a top-1
    run = zoo.train(zoo.build(spec, "torch"), digits, epochs=4, output=tmp_path / "run", **still)
    assert (run.stopped, len(run.epochs)) == ("patience", 3)
    for more in ({}, {"epochs": 9}, {"patience": 1}):
        told = r"ended after epoch 3, because no top-1 .* of 1; .* pass a patience of more than 2$"
        with pytest.raises(InputError, match=told):
            zoo.resume(tmp_path / "run", data=digits, **more)
    run = zoo.resume(tmp_path / "run", data=digits, patience=3)
    assert (run.stopped, [epoch.epoch for epoch in run.epochs]) == ("finished", [4])
    with pytest.raises(InputError, match="epoch 4 and ended .* more epochs and a patience of more"):
        zoo.resume(tmp_path / "run", data=digits)
    run = zoo.resume(tmp_path / "run", data=digits, patience=4, epochs=9)
    assert (run.stopped, [epoch.epoch for epoch in run.epochs]) == ("patience", [5])


def test_what_the_model_has_already_is_no_setting(spec, digits):
    load("torch")
    model = zoo.build(spec, "torch")
    for name, value in (("dtype", "float64"), ("weights", "torchvision"), ("head", "new")):
        with pytest.raises(InputError, match=f"{name}: the model is built already"):
            zoo.train(model, digits, epochs=1, lr=0.1, **{name: value})


@pytest.fixture
def photos(digits, tmp_path):
    """The digits as a folder of images."""
    data = tmp_path / "data"
    for part, images, labels in (("train", "x_train", "y_train"), ("val", "x_test", "y_test")):
        for number, (image, label) in enumerate(zip(digits[images], digits[labels], strict=True)):
            place = data / part / str(label)
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image.squeeze()).save(place / f"{number:03}.png")
    return data


def test_a_damaged_image_loses_nothing(spec, photos, tmp_path):
    """What was done before is saved, and the run goes on with the image, or without it."""
    load("torch")
    data = photos
    model = zoo.build(spec, "torch")
    stream = zoo.stream(model, zoo.dataset(data).train, 32)
    damaged = Path(stream.part.images[int(stream.indices(3)[0])])  # of the fourth step
    content = damaged.read_bytes()
    damaged.write_bytes(content[:50])
    folder = tmp_path / "run"
    with pytest.raises(InputError, match=rf"{damaged}.*skip_damaged=True.* saved at step 3"):
        zoo.train(model, data, epochs=1, lr=0.1, batch_size=32, output=folder)
    assert final(folder)[0] == 3
    run = zoo.resume(folder, skip_damaged=True)
    assert run.epochs[0].damaged == 1
    lines = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    named = [line["damaged"] for line in lines if "damaged" in line and "loss" in line]
    assert named == [[stream.part.name(int(stream.indices(3)[0]))]]


def test_a_damaged_image_to_validate_with_loses_nothing_and_is_left_out(spec, photos, tmp_path):
    load("torch")
    part = zoo.dataset(photos).validation
    missing = [4, 5, len(part) - 1]  # two in a row, and the last
    contents = {
        Path(part.images[index]): Path(part.images[index]).read_bytes() for index in missing
    }
    for path, content in contents.items():
        path.write_bytes(content[:50])
    folder = tmp_path / "run"
    message = rf"{part.name(4)}.*skip_damaged=True goes on without such images.* saved at step 10"
    with pytest.raises(InputError, match=message):
        zoo.train(zoo.build(spec, "torch"), photos, epochs=1, lr=0.1, batch_size=32, output=folder)
    assert final(folder)[0] == 10
    copy = copied(folder, tmp_path)
    run = zoo.resume(folder, skip_damaged=True)
    found = run.epochs[0].validation
    assert found.images == len(part) - 3 and run.epochs[0].damaged == 0
    assert found.damaged == tuple(part.name(index) for index in missing)
    kept = [index for index in range(len(part)) if index not in missing]
    x = zoo.preprocess([part.images[index] for index in kept], run.model)
    assert found.top1 == (zoo.predict(run.model, x).argmax(1) == part.labels[kept]).mean()
    line = json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])
    assert line["validation"]["damaged"] == list(found.damaged)
    assert (folder / "best.safetensors").exists()

    for path, content in contents.items():  # or they are mended
        path.write_bytes(content)
    with pytest.warns(ZooWarning, match="other sizes than when .*unless you have only rep"):
        run = zoo.resume(copy)
    assert run.epochs[0].validation.images == len(part)
    assert zoo.resume(copy, epochs=2).epochs[0].epoch == 2  # which is said once


def evaluations(folder):
    lines = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    return [(line["step"], line["validation"], line["best"]) for line in lines if "best" in line]


@pytest.mark.parametrize("kind", [Step, Evaluating, Epoch])
def test_a_callback_that_raises_loses_nothing(kind, spec, digits, runs, tmp_path):
    """Not even in the evaluation of the averages: the resumed run is what it would have been."""
    load("torch")
    evaluated = []

    def fail(event):
        evaluated.extend([event] * isinstance(event, Evaluating))
        ends = len(evaluated) == 2 if kind is Evaluating else getattr(event, "step", 0) == 10
        if isinstance(event, kind) and ends:
            raise ZeroDivisionError

    model, folder = zoo.build(spec, "torch", dtype="float64"), tmp_path / "run"
    with pytest.raises(ZeroDivisionError):
        zoo.train(model, digits, output=folder, callbacks=[fail], **settings("adamw"))
    assert final(folder)[0] == 10
    zoo.resume(folder, data=digits)
    whole = runs("torch", "adamw", stopped=False)
    (_, arrays), (_, expected) = final(folder), final(whole)
    assert all(np.array_equal(arrays[name], value) for name, value in expected.items())
    assert losses(folder) == losses(whole)
    assert evaluations(folder) == evaluations(whole)


def test_a_callback_that_answers_something_else_is_named(spec, digits, tmp_path):
    load("torch")

    def wrong(event):
        return 1

    model = zoo.build(spec, "torch")
    with pytest.raises(InputError, match=r"callbacks: .*wrong returned 1; return True to end"):
        zoo.train(model, digits, epochs=1, lr=0.1, output=tmp_path / "run", callbacks=[wrong])
    assert final(tmp_path / "run")[0] == 1


def test_a_damaged_checkpoint_names_the_one_before(runs, digits, tmp_path):
    load("torch")
    folder = copied(runs("torch", "adamw", stopped=True), tmp_path)
    *_, before, last = sorted((folder / "checkpoints").iterdir())
    last.write_bytes(last.read_bytes()[:1000])
    with pytest.raises(WeightsError, match=f"{last.name}.*delete the file .* from {before.name}"):
        zoo.resume(folder, data=digits)
    last.unlink()
    zoo.resume(folder, data=digits)
