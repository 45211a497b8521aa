"""Training runs: resumed, moved between frameworks, interrupted and killed."""

import functools
import json
import pkgutil
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import loading
import numpy as np
import pytest
from click.testing import CliRunner
from ends import apart, final
from PIL import Image

import zoo
from zoo.backend import registry
from zoo.cli.program import program
from zoo.errors import BackendError, InputError, TrainingError, WeightsError
from zoo.training import state as states
from zoo.training.evaluation import Evaluation
from zoo.training.events import Epoch, Evaluating, Step

pytestmark = pytest.mark.frameworks

SPEC = """
conv: {op: conv, out_channels: 4, kernel_size: 3, padding: 1, bias: false}
bn: {op: batch_norm, momentum: 0.3}
relu: {op: relu}
pool: {op: max_pool, kernel_size: 2}
dropped: {op: dropout, rate: 0.2}
flatten: {op: flatten}
hidden: {op: linear, out_features: 16}
act: {op: relu}
dropout: {op: dropout, rate: 0.3}
fc: {op: linear, out_features: $num_classes}
"""
HEADER = (
    "options: {num_classes: 10, input_size: 8, in_channels: 1}\noutputs: {logits: {from: fc}}\n"
)
OPTIMIZERS = {
    "sgd": {"optimizer": "sgd", "momentum": 0.9, "weight_decay": 1e-3},
    "adam": {"optimizer": "adam", "lr": 0.01},
    "adamw": {"optimizer": "adamw", "lr": 0.01, "weight_decay": 0.1},
}
#: 20 steps in two epochs; the checkpoint is within the second.
STEPS, STOP = 20, 13


load = functools.partial(loading.load, double=True)


@pytest.fixture(scope="module")
def spec(tmp_path_factory):
    path = tmp_path_factory.mktemp("specs") / "digit_net.yaml"
    layers = textwrap.indent(SPEC.strip(), "  ")
    path.write_text(f"format: 1\nname: digit_net\n{HEADER}layers:\n{layers}\n")
    return path


@pytest.fixture(scope="module")
def digits():
    """320 digits to train on, and 40 to validate with."""
    whole = zoo.dataset("digits")
    return {
        "x_train": np.stack([whole.train.images[i] for i in range(320)]),
        "y_train": whole.train.labels[:320],
        "x_test": np.stack([whole.validation.images[i] for i in range(40)]),
        "y_test": whole.validation.labels[:40],
    }


def settings(name, **more):
    common = {"epochs": 2, "lr": 0.1, "batch_size": 32, "schedule": "cosine", "warmup": 0.5}
    return common | {"label_smoothing": 0.1, "ema": 0.9} | OPTIMIZERS[name] | more


def stop(event):
    return isinstance(event, Step) and event.step == STOP


def losses(folder):
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines if "loss" in line]


@pytest.fixture(scope="module")
def runs(spec, digits, tmp_path_factory):
    """Runs that were stopped at a step, and those that were not, each once."""
    made = {}

    def run(backend, name, dtype="float64", *, stopped):
        key = backend, name, dtype, stopped
        if key not in made:
            load(backend)
            folder = tmp_path_factory.mktemp("runs") / "run"
            model = zoo.build(spec, backend, dtype=dtype)
            callbacks = [stop] if stopped else []
            zoo.train(model, digits, output=folder, callbacks=callbacks, **settings(name))
            made[key] = folder
        return made[key]

    return run


def copied(folder, tmp_path):
    import shutil

    return shutil.copytree(folder, tmp_path / "copy")


@pytest.mark.parametrize("dtype", ["float32", pytest.param("float64", marks=pytest.mark.slow)])
def test_a_resumed_run_is_bit_for_bit_what_it_would_have_been(
    dtype, backend, runs, digits, tmp_path
):
    folder = copied(runs(backend, "adamw", dtype, stopped=True), tmp_path)
    step, _ = final(folder)
    assert step == STOP
    run = zoo.resume(folder, data=digits)
    assert (run.step, run.stopped) == (STEPS, "finished")
    whole = runs(backend, "adamw", dtype, stopped=False)
    step, arrays = final(folder)
    expected_step, expected = final(whole)
    assert step == expected_step == STEPS
    assert arrays.keys() == expected.keys()
    assert all(np.array_equal(arrays[name], value) for name, value in expected.items())
    assert losses(folder) == losses(whole)


HEADS = (
    SPEC
    + """
aux1:
  from: relu
  when: $aux
  layers: {mean: {op: global_avg_pool}, flatten: {op: flatten}, fc: {op: linear, out_features: $num_classes}}
"""
)


@pytest.fixture(scope="module")
def hundred(digits, tmp_path_factory):
    """A hundred steps with all that training has, in each framework, once."""
    folder, made = tmp_path_factory.mktemp("hundred"), {}
    spec = folder / "two_heads.yaml"
    header = HEADER.replace("{from: fc}", "{from: fc}, aux1: {from: aux1, loss_weight: 0.3}")
    layers = textwrap.indent(HEADS.strip(), "  ")
    spec.write_text(f"format: 1\nname: two_heads\n{header}layers:\n{layers}\n")

    def run(backend):
        if backend not in made:
            load(backend)
            model = zoo.build(spec, backend, dtype="float64", aux=True)
            zoo.train(
                model,
                digits,
                output=folder / backend,
                **settings("sgd", epochs=10, lr=0.05, warmup=2, clip_norm=1.0),
            )
            made[backend] = final(folder / backend), losses(folder / backend)
        return made[backend]

    return run


def test_a_hundred_steps_are_the_same_in_every_framework(backend, hundred):
    """Heads, momentum, decay, warm-up and cosine, smoothing, clipping, averages and dropout."""
    (step, arrays), found = hundred(backend)
    (_, expected), reference = hundred("torch")
    assert step == len(found) == 100
    assert found == pytest.approx(reference, rel=1e-8)
    assert apart(arrays, expected) <= 1e-8


PAIRS = [
    (a, b)
    for a in ("torch", "paddle", "keras", "flax")
    for b in ("torch", "paddle", "keras", "flax")
    if a != b
]
RING = [("torch", "paddle"), ("paddle", "keras"), ("keras", "flax"), ("flax", "torch")]


@pytest.mark.parametrize(
    ("name", "pair"),
    [
        pytest.param(
            name, pair, marks=() if (name == "adamw" and pair in RING) else pytest.mark.slow
        )
        for name in OPTIMIZERS
        for pair in PAIRS
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else None,
)
def test_a_run_goes_on_in_another_framework(name, pair, runs, digits, tmp_path):
    """As if it had never moved: dropout, schedule, moving averages and all."""
    first, second = pair
    load(second)
    folder = copied(runs(first, name, stopped=True), tmp_path)
    assert zoo.resume(folder, backend=second, data=digits).step == STEPS
    _, arrays = final(folder)
    _, expected = final(runs(first, name, stopped=False))
    assert apart(arrays, expected) <= 1e-10
    assert losses(folder) == pytest.approx(losses(runs(first, name, stopped=False)), rel=1e-10)


def test_a_checkpoint_is_read_and_written_by_every_framework_without_loss(
    spec, digits, runs, tmp_path
):
    """Once around, bit for bit."""
    folder = runs("torch", "adamw", stopped=True)
    _, expected = final(folder)
    saved = states.read(sorted((folder / "checkpoints").iterdir())[-1])
    from zoo.backend.training import Plan, Rule

    arrays = expected
    plan = Plan(Rule("adamw", 0.01, weight_decay=0.1), ema=0.9)
    for backend in ("paddle", "keras", "flax", "torch"):
        load(backend)
        module = registry.load(backend)
        model = zoo.build(spec, backend, dtype="float64", seed=5)
        trainer = module.trainer(model, plan)
        module.set_weights(model, {n: a for n, a in arrays.items() if "/" not in n})
        trainer.set_state({n: a for n, a in arrays.items() if "/" in n}, saved.state.updates)
        arrays = {**module.get_weights(model), **trainer.get_state()}
        assert arrays.keys() == expected.keys()
        assert all(np.array_equal(arrays[name], value) for name, value in expected.items())


def test_the_framework_of_a_run_can_be_read_as_weights(backend, runs, digits):
    """A checkpoint is a file of weights, and of its moving averages."""
    folder = runs(backend, "adamw", stopped=True)
    last = sorted((folder / "checkpoints").iterdir())[-1]
    _, arrays = final(folder)
    loaded = zoo.get_weights(zoo.load(last, backend))
    averages = zoo.get_weights(zoo.load(last, backend, entry="ema"))
    for name, value in loaded.items():
        assert np.array_equal(value, arrays[name])
        assert np.array_equal(averages[name], arrays[f"ema/{name}"])


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


def test_a_run_that_is_interrupted_saves_and_goes_on(runs, digits, spec, tmp_path):
    """SIGTERM lets the step end; what follows is what would have followed."""
    load("torch")
    model = zoo.build(spec, "torch", dtype="float64")

    def interrupt(event):
        if isinstance(event, Step) and event.step == 7:
            signal.raise_signal(signal.SIGTERM)

    folder = tmp_path / "run"
    run = zoo.train(model, digits, output=folder, callbacks=[interrupt], **settings("adamw"))
    assert (run.step, run.stopped) == (7, "SIGTERM")
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    zoo.resume(folder, data=digits)
    _, arrays = final(folder)
    _, expected = final(runs("torch", "adamw", stopped=False))
    assert all(np.array_equal(arrays[name], value) for name, value in expected.items())


KILLED = """
import os, sys, signal
import numpy as np
import zoo
from zoo.training.events import Step

folder, spec, data, die = sys.argv[1:]
step = int(die)
def kill(event):
    if isinstance(event, Step) and event.step >= step:
        os.kill(os.getpid(), signal.SIGKILL)
callbacks = [kill] if step else []
if os.path.isdir(os.path.join(folder, "checkpoints")):
    zoo.resume(folder, data=data, callbacks=callbacks)
else:
    model = zoo.build(spec, "torch", dtype="float64")
    zoo.train(model, data, output=folder, callbacks=callbacks, checkpoint_every=3, **SETTINGS)
"""


@pytest.mark.parametrize("times", [1, pytest.param(200, marks=pytest.mark.slow)])
def test_a_run_that_is_killed_loses_nothing(times, spec, digits, runs, tmp_path):
    """At random steps, as often as it takes."""
    load("torch")
    data = tmp_path / "digits.npz"
    np.savez(data, **digits)
    script = tmp_path / "run.py"
    script.write_text(KILLED.replace("SETTINGS", repr(settings("adamw"))))
    generator = np.random.default_rng(times)
    expected = None
    for attempt in range(-(-times // 4)):
        folder = tmp_path / f"run{attempt}"
        deaths = sorted(generator.choice(np.arange(1, STEPS), 4 if times > 4 else times, False))
        for die in (*deaths, 0):
            done = subprocess.run(
                [sys.executable, script, folder, spec, data, str(die)], capture_output=True
            )
            assert done.returncode == (-signal.SIGKILL if die else 0), done.stderr.decode()[-500:]
        _, arrays = final(folder)
        expected = expected or final(runs("torch", "adamw", stopped=False))[1]
        assert all(np.array_equal(arrays[name], value) for name, value in expected.items())
        assert losses(folder) == losses(runs("torch", "adamw", stopped=False))


def test_only_one_process_works_in_a_folder(spec, digits, tmp_path):
    load("torch")
    folder = tmp_path / "run"
    seen = []

    def again(event):
        if isinstance(event, Step) and event.step == 2:
            with pytest.raises(InputError, match="another process is training"):
                zoo.resume(folder, data=digits)
            seen.append(event)

    model = zoo.build(spec, "torch")
    zoo.train(model, digits, epochs=1, lr=0.1, output=folder, callbacks=[again])
    assert seen


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
    with pytest.raises(InputError, match="not those that the run was trained on"):
        zoo.resume(folder, data=others)
    with pytest.raises(InputError, match="already has a run"):
        zoo.train(model, digits, epochs=1, lr=0.1, output=folder)
    recipe = folder / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("0.01", "0.02"))
    with pytest.raises(InputError, match="changed since the run began"):
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
    assert zoo.resume(copy).epochs[0].validation.images == len(part)


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


@pytest.mark.parametrize("answer", [True, np.bool_(True), False, np.bool_(False), None])
def test_a_callback_answers_with_a_boolean_or_nothing(answer, spec, digits):
    load("torch")
    model = zoo.build(spec, "torch")
    callbacks = [lambda event: answer]
    run = zoo.train(model, digits, epochs=1, lr=0.1, batch_size=160, callbacks=callbacks)
    assert (run.step, run.stopped) == ((1, "callback") if answer else (2, "finished"))


def test_a_callback_that_answers_something_else_is_named(spec, digits, tmp_path):
    load("torch")

    def wrong(event):
        return 1

    model = zoo.build(spec, "torch")
    with pytest.raises(InputError, match=r"callbacks: .*wrong returned 1; return True to end"):
        zoo.train(model, digits, epochs=1, lr=0.1, output=tmp_path / "run", callbacks=[wrong])
    assert final(tmp_path / "run")[0] == 1


def evaluations(folder):
    lines = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    return [(line["step"], line["validation"], line["best"]) for line in lines if "best" in line]


def test_a_damaged_checkpoint_names_the_one_before(runs, digits, tmp_path):
    load("torch")
    folder = copied(runs("torch", "adamw", stopped=True), tmp_path)
    *_, before, last = sorted((folder / "checkpoints").iterdir())
    last.write_bytes(last.read_bytes()[:1000])
    with pytest.raises(WeightsError, match=f"{last.name}.*delete the file .* from {before.name}"):
        zoo.resume(folder, data=digits)
    last.unlink()
    zoo.resume(folder, data=digits)


def test_a_resumed_run_says_what_was_best_and_goes_on_writing_events(
    spec, tmp_path, command, monkeypatch
):
    """The best epoch may be one before it was resumed."""
    pytest.importorskip("tensorboardX")
    load("torch")
    top1 = iter((0.9, 0.2, 0.3))
    result = Evaluation(190, 1.0, 0.0, None, ())
    monkeypatch.setattr(
        "zoo.training.loop.evaluate", lambda *_, **__: replace(result, top1=next(top1))
    )
    run, data = tmp_path / "run", ("--data", "digits", "--lr", "0.1", "--batch-size", "512")
    new = ("train", spec, "--backend", "torch", *data, "--epochs", "1", "--output", run)
    assert command(*new, "--tensorboard")[0] == 0
    resuming = ("train", "--resume", run, "--epochs")
    for epochs, more, files in ((2, (), 2), (3, ("--no-tensorboard",), 2)):
        status, told, wrong = command(*resuming, epochs, *more)
        assert (status, "best top-1 90.00% (epoch 1)" in told) == (0, True), wrong
        assert len(list((run / "tensorboard").iterdir())) == files
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    monkeypatch.setattr("zoo.training.tensorboard.find_spec", lambda name: None)
    status, _, wrong = command(*resuming, 4)
    assert status != 0 and "pass --no-tensorboard" in wrong


def test_frozen_layers_stay_and_others_are_trained(backend, spec, digits):
    load(backend)
    model = zoo.build(spec, backend)
    before = zoo.get_weights(model)
    zoo.train(model, digits, epochs=1, lr=0.1, batch_size=160, freeze=["conv", "b*"])
    assert not registry.load(backend).frozen(model), "the user's model is not frozen"
    after = zoo.get_weights(model)
    same = {name for name in before if np.array_equal(before[name], after[name])}
    assert same == {name for name in before if name.startswith(("conv.", "bn."))}


FREEZE = {
    "torch": lambda model: model.conv.requires_grad_(False),
    "paddle": lambda model: setattr(model.conv.weight, "stop_gradient", True),
    "keras": lambda model: setattr(model.get_layer("conv"), "trainable", False),
}


@pytest.mark.parametrize(
    ("first", "second"),
    [("torch", "torch"), ("torch", "flax"), ("paddle", "paddle"), ("keras", "keras")],
)
def test_what_the_framework_freezes_stays_frozen_after_a_resume(
    first, second, spec, digits, tmp_path
):
    load(first), load(second)
    model = zoo.build(spec, first)
    FREEZE[first](model)
    before = zoo.get_weights(model)
    folder, more = tmp_path / "run", {"lr": 0.1, "momentum": 0.9, "batch_size": 160}
    first_step = [lambda event: isinstance(event, Step)]
    zoo.train(model, digits, epochs=2, output=folder, callbacks=first_step, freeze=["b*"], **more)
    recipe = (folder / "recipe.yaml").read_text()
    assert 'freeze: ["b*", "conv.weight"]' in recipe
    run = zoo.resume(folder, backend=second, data=digits)
    assert (folder / "recipe.yaml").read_text() == recipe
    after = zoo.get_weights(run.model)
    same = {name for name in before if np.array_equal(before[name], after[name])}
    assert same == {name for name in before if name.startswith(("conv.", "bn."))}


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


def restarted(loop, saved, of):
    of(loop, saved)
    rate, start = loop.rate, saved.state.step
    loop.rate = lambda step: rate(step - start)


def from_the_epoch(loop, saved, of):
    of(loop, saved)
    batches = loop.train.batches
    offset = saved.state.step % loop.train.steps
    object.__setattr__(
        loop.train,
        "batches",
        lambda start, stop, workers: batches(start - offset, stop - offset, workers),
    )


def without(trainer, arrays, steps, of, slot):
    kept = {n: a * (not n.startswith(slot)) for n, a in arrays.items()}
    of(trainer, kept, steps)


TRAINER = "zoo.torch.trainer.TorchTrainer"
FAULTS = {
    "momentum not carried": (
        f"{TRAINER}.set_state",
        lambda of: lambda t, a, n: without(t, a, n, of, "moment1"),
    ),
    "moving averages lost": (
        f"{TRAINER}.set_state",
        lambda of: lambda t, a, n: without(t, a, n, of, "ema"),
    ),
    "Adam's steps off by one": (
        f"{TRAINER}.set_state",
        lambda of: lambda trainer, arrays, steps: of(trainer, arrays, steps + 1),
    ),
    "schedule restarted": (
        "zoo.training.loop.Loop.resume",
        lambda of: lambda loop, saved: restarted(loop, saved, of),
    ),
    "the order of the epoch repeated": (
        "zoo.training.loop.Loop.resume",
        lambda of: lambda loop, saved: from_the_epoch(loop, saved, of),
    ),
    "dropout repeated": (
        "zoo.training.masks.Masks.batch",
        lambda of: lambda masks, step, size: of(masks, step % STOP, size),
    ),
    "the last batch dropped": (
        "zoo.data.stream.Stream.steps",
        lambda of: property(lambda stream: max(1, of.fget(stream) - 1)),
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_seeded_fault_is_found(fault, runs, digits, tmp_path, monkeypatch):
    """By what is compared when a run is resumed or moved."""
    whole = runs("torch", "adamw", stopped=False)
    folder = copied(runs("torch", "adamw", stopped=True), tmp_path)
    place, make = FAULTS[fault]
    owner, _, attribute = place.rpartition(".")
    found = pkgutil.resolve_name(owner)
    before = found.__dict__[attribute]
    monkeypatch.setattr(found, attribute, make(before))
    zoo.resume(folder, data=digits)
    step, arrays = final(folder)
    expected_step, expected = final(whole)
    same = step == expected_step and apart(arrays, expected) <= 1e-10
    assert not same
    assert losses(folder) != losses(whole) or fault == "moving averages lost"
