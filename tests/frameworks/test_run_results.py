"""What a run does with its settings, and what it reports."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from digit_runs import digits as digits
from digit_runs import load
from digit_runs import spec as spec

import zoo
from zoo.backend import registry
from zoo.cli.program import program
from zoo.training import state as states
from zoo.training.events import Epoch, Step

pytestmark = pytest.mark.frameworks


def test_epochs_report_what_the_model_does(spec, digits):
    """The validation is that of zoo.predict on the whole set."""
    load("torch")
    model = zoo.build(spec, "torch")
    seen = []
    run = zoo.train(model, digits, epochs=2, lr=0.05, batch_size=32, callbacks=[seen.append])
    epochs = [event for event in seen if isinstance(event, Epoch)]
    assert run.epochs == tuple(epochs)
    x = zoo.preprocess(list(digits["x_test"]), model)
    logits = zoo.predict(model, x).astype(np.float64)
    right = logits.argmax(1) == digits["y_test"]
    assert epochs[-1].validation.top1 == right.mean()
    top5 = (np.argsort(-logits, 1)[:, :5] == digits["y_test"][:, None]).any(1)
    assert epochs[-1].validation.top5 == top5.mean()
    for number, share in enumerate(epochs[-1].validation.classes):
        of = right[digits["y_test"] == number]
        assert share == (of.mean() if len(of) else None)
    steps = [event for event in seen if isinstance(event, Step)]
    assert [event.step for event in steps] == list(range(1, 21))
    assert epochs[0].train_loss == pytest.approx(np.mean([e.loss for e in steps[:10]]))


def test_frozen_layers_stay_and_others_are_trained(backend, spec, digits):
    load(backend)
    model = zoo.build(spec, backend)
    before = zoo.get_weights(model)
    zoo.train(model, digits, epochs=1, lr=0.1, batch_size=160, freeze=["conv", "b*"])
    assert not registry.load(backend).frozen(model), "the user's model is not frozen"
    after = zoo.get_weights(model)
    same = {name for name in before if np.array_equal(before[name], after[name])}
    assert same == {name for name in before if name.startswith(("conv.", "bn."))}


def test_updates_that_float16_skips_are_reported(spec, digits, tmp_path):
    load("torch")
    path, data, folder = tmp_path / "steep.yaml", tmp_path / "digits.npz", tmp_path / "run"
    path.write_text(spec.read_text().replace("from: fc}", "from: up}"))
    path.write_text(path.read_text() + "  up: {op: scale, factor: 2000}\n")
    np.savez(data, **digits)
    options = ["--precision", "float16", "--batch-size", "32", "--epochs", "2", "--lr", "1e-9"]
    given = ["train", path, "--backend", "torch", "--data", data, "--output", folder, *options]
    done = CliRunner().invoke(program, [*map(str, given), "--workers", "0"])
    assert done.exit_code == 0
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    steps = [line for line in lines if "loss" in line]
    skipped = [line.get("skipped", False) for line in steps]
    assert skipped[0] and not skipped[-1]
    scales = [line["loss_scale"] for line in steps]
    assert scales == [2.0 ** (16 - sum(skipped[:step])) for step in range(20)]
    assert [line["skipped"] for line in lines if "best" in line] == [
        sum(skipped[:10]),
        sum(skipped[10:]),
    ]
    last = sorted((folder / "checkpoints").iterdir())[-1]
    assert states.read(last).state.updates == 20 - sum(skipped)
    found = f"{sum(skipped)} of 20 steps updated no weight, because a gradient overflowed float16"
    assert found in done.output
    assert f"  {sum(skipped[:10])} steps without an update" in done.output + done.stderr
    said = f"In {sum(skipped)} of 20 steps, a gradient overflowed float16"
    assert said in (folder / "run.html").read_text()


@pytest.mark.parametrize("answer", [True, np.bool_(True), False, np.bool_(False), None])
def test_a_callback_answers_with_a_boolean_or_nothing(answer, spec, digits):
    load("torch")
    model = zoo.build(spec, "torch")
    callbacks = [lambda event: answer]
    run = zoo.train(model, digits, epochs=1, lr=0.1, batch_size=160, callbacks=callbacks)
    assert (run.step, run.stopped) == ((1, "callback") if answer else (2, "finished"))


def test_an_error_of_a_run_names_options_on_the_command_line(spec, digits, tmp_path):
    load("torch")
    np.savez(tmp_path / "digits.npz", **digits)
    options = ["--data", tmp_path / "digits.npz", "--batch-size", 400, "--epochs", 1, "--lr", 0.1]
    given = ["train", spec, "--backend", "torch", *options, "--output", tmp_path / "run"]
    done = CliRunner().invoke(program, [*map(str, given), "--workers", "0"])
    assert done.exit_code == 1
    assert "--batch-size must be from 1 to 320, the number of images, got 400" in str(
        done.exception
    )
