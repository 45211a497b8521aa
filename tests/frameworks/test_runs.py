"""Training runs: resumed, moved between frameworks, interrupted and killed."""

import pkgutil
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace

import numpy as np
import pytest
from digit_runs import HEADER, OPTIMIZERS, SPEC, STEPS, STOP, copied, load, losses, settings
from digit_runs import digits as digits
from digit_runs import runs as runs
from digit_runs import spec as spec
from ends import apart, final

import zoo
from zoo.backend import registry
from zoo.data import stream
from zoo.data.workers import filled
from zoo.errors import InputError
from zoo.training import state as states
from zoo.training.evaluation import Evaluation
from zoo.training.events import Step

pytestmark = pytest.mark.frameworks


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


def test_processes_that_prepare_images_stay_from_epoch_to_epoch(spec, digits, monkeypatch):
    load("torch")
    started = []
    monkeypatch.setattr(stream, "filled", lambda *given: started.append(1) or filled(*given))
    alone, helped = (
        zoo.train(
            zoo.build(spec, "torch"), digits, epochs=3, lr=0.1, ema=0.9, workers=workers
        ).epochs
        for workers in (0, 2)
    )
    assert [epoch.validation for epoch in helped] == [epoch.validation for epoch in alone]
    assert len(started) == 2  # for training and for evaluation


def test_a_resumed_run_says_what_was_best_and_goes_on_writing_events(
    spec, tmp_path, command, monkeypatch
):
    """The best epoch may be one before it was resumed."""
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
