"""Studies without a framework: what is asked, which runs there are, and how they are kept."""

import itertools
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from limits import HANG

import zoo
from zoo.backend import registry
from zoo.comparing import (
    conditions,
    plan,
    processes,
    proof,
    record,
    rewriting,
    store,
    switches,
    training,
)
from zoo.comparing import study as studies
from zoo.comparing.run import Ended, Started, run
from zoo.comparing.setup import Case
from zoo.data.stream import Batch
from zoo.errors import BackendError, InputError, SpecError, UnknownNameError, ZooError
from zoo.jobs import JobDiedError
from zoo.training import recipe as recipes

SMALL = {"models": "lenet5", "data": "digits", "seeds": 2, "epochs": 1, "lr": 0.1}
BACKENDS = {name: registry.resolve(name) for name in ("torch", "paddle", "keras", "flax")}


@pytest.fixture(autouse=True)
def installed(monkeypatch):
    """All frameworks count as installed, because none is imported here."""
    monkeypatch.setattr(registry, "is_installed", lambda entry: True)


def study(**fields):
    return studies.of({**SMALL, "backends": list(BACKENDS), **fields})


# The study file


def test_the_schema_is_up_to_date():
    path = Path(studies.__file__).with_name("study.schema.json")
    message = "python -m zoo.comparing.study > zoo/comparing/study.schema.json"
    assert json.loads(path.read_text()) == studies.schema(), message


def test_a_study_is_read_again_from_its_text(tmp_path):
    asked = study(
        grid={"momentum": [0.0, 0.9]}, native={"torch": {"padding": "same"}}, explain=True
    )
    (tmp_path / "study.yaml").write_text(asked.text())
    again = studies.of({}, tmp_path / "study.yaml")
    assert again.to_dict() == asked.to_dict() and again.stated == asked.stated


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"seed": 3}, "seed: unknown field. Did you mean 'seeds'?"),
        ({"seeds": 0}, "seeds: expected a number of seeds"),
        ({"seeds": []}, "seeds: expected at least one, got none"),
        ({"seeds": [1, 1]}, "seeds.1: it is there already"),
        ({"seeds": None}, "seeds: required field is missing"),
        ({"models": []}, "models: expected at least one"),
        ({"backends": "torch"}, "at least two frameworks, and only torch is named"),
        ({"backends": ["torch", "pytorch"]}, "at least two frameworks, and only torch is named"),
        ({"backends": ["all", "torch"]}, "'all' stands alone"),
        ({"backends": ["torch", "onnx"]}, "ONNX only infers"),
        ({"lr": None}, "lr: required field is missing"),
        ({"lr": -1}, "lr: expected a number above 0, got -1"),
        ({"optimizer": "adm"}, "optimizer: expected 'sgd', 'adam'"),
        ({"optimizer": "adam", "momentum": 0.9}, "adam has no momentum"),
        ({"grid": {"lr": [0.1]}}, "grid: lr is stated for all runs, too"),
        ({"grid": {"momentom": [0.1]}}, "unknown field of a recipe 'momentom'. Did you mean"),
        ({"grid": {"momentum": [0.5, 2]}}, "grid.momentum.1: expected a number of at least 0"),
        ({"grid": {"momentum": []}}, "grid.momentum: expected at least one"),
        ({"switches": ["paddin"]}, "unknown switch 'paddin'. Did you mean 'padding'?"),
        ({"native": {"torhc": {}}}, "unknown backend of this study 'torhc'. Did you mean 'torch'?"),
        ({"native": {"torch": {"pading": 1}}}, "unknown switch 'pading'"),
        ({"native": {"torch": {"padding": "sme"}}}, "native.torch.padding: expected 'stated' or"),
        ({"native": {"torch": {"order": 7}}, "switches": ["padding"]}, "not among the switches"),
        ({"margin": 0}, "margin: expected a number above 0"),
    ],
)  # fmt: skip
def test_a_mistake_has_one_error(fields, message):
    with pytest.raises(InputError) as error:
        study(**fields)
    assert message in str(error.value)


def test_a_mistake_in_a_file_has_its_line(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text("models: lenet5\ndata: digits\nseeds: 2\nepoch: 1\nlr: 0.1\n")
    with pytest.raises(SpecError, match=r"study.yaml:4: \$.epoch: unknown field. Did you mean"):
        studies.of({}, path)
    path.write_text("models: lenet5\ndata: digits\nseeds: 2\nbackends: torch\nepochs: 1\nlr: 0.1\n")
    with pytest.raises(InputError, match=r"study.yaml: backends: .* only torch is named"):
        studies.of({}, path)


def test_a_missing_framework_is_named(monkeypatch):
    monkeypatch.setattr(registry, "is_installed", lambda entry: entry.name != "paddle")
    with pytest.raises(BackendError, match="needs PaddlePaddle: python -m pip install"):
        study(backends=["torch", "paddle"])
    assert [entry.name for entry in study(backends=None).entries] == ["torch", "keras", "flax"]


# The design


@pytest.mark.parametrize("count", range(1, conditions.MOST + 1))
def test_a_design_tells_every_effect_from_the_others(count):
    """Box and Hunter's resolution IV: no effect is mixed with another, or with two together."""
    factors = [f"f{i}" for i in range(count)]
    rows = conditions.levels(factors)
    signs = np.array([[1 if f in row else -1 for f in factors] for row in rows])
    assert (signs.T @ signs == len(rows) * np.eye(count)).all()
    for a, b, c in itertools.combinations(range(min(count, 12)), 3):
        assert not (signs[:, a] * signs[:, b] * signs[:, c]).sum()
    assert rows[0] == frozenset() and rows[-1] == frozenset(factors)


def test_up_to_three_factors_are_combined_in_all_ways():
    for count in (1, 2, 3):
        assert len(conditions.levels([f"f{i}" for i in range(count)])) == 2**count
    assert len(conditions.levels([f"f{i}" for i in range(8)])) == 16  # 2^(8-4) of resolution IV


def test_conditions_are_crossed_and_repeated():
    def all_of(**options):
        chosen = {"explain": False, "crossed": False, "repeats": 0, **options}
        return list(conditions.all_of("m", "d", {}, seeds=[3, 5], factors=["a", "b"], **chosen))

    assert [(sorted(c.native), c.weights_seed, c.order_seed) for c in all_of()] == [
        ([], 3, 3), (["a", "b"], 3, 3), ([], 5, 5), (["a", "b"], 5, 5),
    ]  # fmt: skip
    crossed = [c for c in all_of(crossed=True) if not c.native]
    assert {(c.weights_seed, c.order_seed) for c in crossed} == {(3, 3), (3, 5), (5, 3), (5, 5)}
    assert len({(c.native, c.weights_seed) for c in all_of(explain=True)}) == 8
    free = [c for c in all_of(repeats=2) if not c.deterministic]
    assert [(c.repeat, c.native, c.weights_seed) for c in free] == [
        (repeat, frozenset(), seed) for seed in (3, 5) for repeat in (0, 1)
    ]


# Switches


def case(model, stated=(), resized=True, **fields):
    graph = zoo.graph(model, num_classes=10)
    recipe = recipes.of({"model": model, "data": "digits", "epochs": 1, "lr": 0.1, **fields})
    return Case(graph, recipe, frozenset(("epochs", "lr", *stated)), resized)


def native(case, name):
    return {b: switches.SWITCHES[name].native(case, entry) for b, entry in BACKENDS.items()}


def test_padding_is_moved_to_the_end_where_layers_have_a_stride():
    """As TensorFlow pads: 224 and 7 by 2 need 5 pixels, 112 and 3 by 2 need 1."""
    graph = zoo.graph("resnet18")
    same = rewriting.with_same_padding(graph)
    assert same.node("conv1.conv").attributes["padding"] == (2, 3, 2, 3)
    pool = same.node("maxpool").attributes
    assert pool["padding"] == (0, 1, 0, 1)
    assert same.node("layer1.block1.conv1.conv") == graph.node("layer1.block1.conv1.conv")
    for before, after in zip(graph.nodes, same.nodes, strict=True):
        assert (before.name, before.shape, before.parameters) == (
            after.name, after.shape, after.parameters,
        )  # fmt: skip
    assert graph.node("conv1.conv").attributes["padding"] == (3, 3, 3, 3)  # it was not changed
    assert rewriting.with_same_padding(zoo.graph("vgg11")) == zoo.graph("vgg11")


def test_average_pools_count_their_padding_or_not(spec_file):
    path = spec_file("pool: {op: avg_pool, kernel_size: 3, stride: 2, padding: 1}\n"
                     "flatten: {op: flatten}\nfc: {op: linear, out_features: 10}",
                     header="options: {num_classes: 10, input_size: 8}\n")  # fmt: skip
    graph = zoo.graph(path)
    counted = rewriting.with_padding_counted(graph, False).node("pool").attributes["counted"]
    assert counted == (0, 0, 0, 0)
    assert (
        rewriting.with_padding_counted(rewriting.with_padding_counted(graph, False), True) == graph
    )


def test_a_value_that_the_network_states_is_no_default():
    """MobileNetV3 has an epsilon and a momentum of its own, in every framework."""
    assert native(case("resnet20"), "batch_norm_eps")["keras"] == 1e-3
    assert set(native(case("mobilenet_v3_small"), "batch_norm_eps").values()) == {1e-3}
    assert set(native(case("mobilenet_v3_small"), "batch_norm_momentum").values()) == {0.01}


def test_a_field_that_the_recipe_states_is_no_default():
    free = case("lenet5", optimizer="adam")
    assert native(free, "optimizer_eps")["keras"] == 1e-7
    stated = case("lenet5", stated=["eps"], optimizer="adam", eps=0.1)
    assert set(native(stated, "optimizer_eps").values()) == {0.1}
    assert set(native(case("lenet5", stated=["init"]), "initial_weights").values()) == {
        "he_uniform"
    }
    assert native(case("lenet5"), "initial_weights") == {name: name for name in BACKENDS}


@pytest.mark.parametrize(
    ("found", "there", "absent"),
    [
        (case("lenet5"), "resize order optimizer", "batch_norm_eps decay optimizer_eps padding"),
        (case("lenet5", resized=False), "order", "resize"),
        (case("resnet20", momentum=0.9, weight_decay=1e-4), "decay padding", "weight_decay"),
        (case("resnet20", optimizer="adamw"), "weight_decay optimizer_eps", "decay"),
        (case("resnet20", accumulate=2), "batch_norm_eps", "batch_norm_variance"),
        (case("convnext_tiny"), "layer_norm_eps channel_order", "batch_norm_eps"),
    ],
)
def test_only_what_can_matter_is_a_switch(found, there, absent):
    relevant = switches.relevant(found)
    assert set(there.split()) <= set(relevant) and not set(absent.split()) & set(relevant)


def test_switches_change_what_a_run_computes():
    found = case("resnet20", momentum=0.9, weight_decay=1e-4)
    chosen = {
        "initial_weights": "torch", "batch_norm_momentum": 0.9, "batch_norm_variance": "unbiased",
        "optimizer": "framework", "decay": "decoupled", "channel_order": "bgr", "resize": "bilinear",
    }  # fmt: skip
    setup = switches.applied(found, chosen, "torch")
    assert {n.attributes["momentum"] for n in setup.graph.nodes if n.op == "batch_norm"} == {0.9}
    assert (setup.init, setup.unbiased, setup.native_optimizer) == ("native", True, True)
    assert setup.decoupled is True
    assert setup.images == {"channels": "bgr", "interpolation": "bilinear", "antialias": False}
    with pytest.raises(InputError, match="initial_weights: expected he_uniform"):
        switches.applied(found, {"initial_weights": "keras"}, "torch")
    # What is written couples its decay itself; the framework's own has none, and it is added apart.
    assert switches.applied(found, {"decay": "coupled"}, "keras").decoupled is None
    both = {"optimizer": "framework", "decay": "coupled"}
    assert switches.applied(found, both, "keras").decoupled is False


# The plan


def test_runs_with_equal_values_are_one():
    found = plan.planned(study(momentum=0.9, switches=["optimizer", "order"], seeds=1))
    runs = found[0].runs
    assert found[0].factors == ("optimizer", "order") and len(runs) == 8
    of_torch = [run for run in runs if run.backend == "torch"]
    assert of_torch[0].key != of_torch[1].key  # its order is another one
    alone = plan.planned(study(momentum=0.9, switches=["optimizer"], seeds=1))[0]
    keys = {run.backend: [r.key for r in alone.runs if r.backend == run.backend] for run in runs}
    assert len(set(keys["torch"])) == 1  # PyTorch's own optimizer is the written rule
    assert len(set(keys["keras"])) == 2
    assert len(list(plan.unique([alone]))) == 5


def test_a_key_depends_on_all_that_decides_and_on_nothing_else():
    def keys(**fields):
        chosen = {"switches": ["order"], "seeds": 1, **fields}
        return [run.key for run in plan.planned(study(**chosen))[0].runs]

    first = keys()
    for change in ({"lr": 0.2}, {"train_images": 500}, {"threads": 2}, {"seeds": [4]},
                   {"input_size": 36}, {"epochs": 2}):  # fmt: skip
        assert not set(first) & set(keys(**change)), change
    assert first == keys(margin=0.3, proof_steps=2)
    assert set(first) <= set(keys(seeds=3, explain=True))


def test_files_are_named_as_other_processes_find_them(tmp_path, monkeypatch):
    """Each run has a working directory of its own."""
    monkeypatch.chdir(tmp_path)
    digits = zoo.dataset("digits")
    images, labels = digits.train.images[:64], digits.train.labels[:64]
    np.savez("mine.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    (tmp_path / "mine.safetensors").touch()
    asked = study(data="mine.npz", weights="mine.safetensors", switches=["order"])
    for each in plan.planned(asked)[0].runs:
        assert each.job["data"]["source"] == str(tmp_path / "mine.npz")
        assert each.job["recipe"]["weights"] == str(tmp_path / "mine.safetensors")


def test_a_batch_has_one_digest_in_every_layout():
    x = np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2)
    first = Batch(x, np.arange(2))
    last = first._replace(x=np.ascontiguousarray(x.transpose(0, 2, 3, 1)))
    assert training.digest(first, "CHW") == training.digest(last, "HWC") == first.digest


def test_a_switch_that_cannot_matter_is_refused():
    with pytest.raises(InputError, match="padding cannot matter: lenet5: no layer"):
        plan.planned(study(switches=["padding"]))
    with pytest.raises(InputError, match="batch_size: digits has 1,607 images to train on"):
        plan.planned(study(batch_size=2000))
    with pytest.raises(InputError, match="train_images: digits has 1,607 images there"):
        plan.planned(study(train_images=2000))
    with pytest.raises(UnknownNameError, match="digitz"):
        plan.planned(study(data="digitz"))


def test_memory_that_does_not_suffice_is_an_error(monkeypatch):
    asked = study()
    monkeypatch.setattr(plan, "available", lambda: 2**29)
    with pytest.raises(InputError, match=r"needs about 1.* GiB, and 0.4 GiB are free"):
        plan.capacity(plan.planned(asked), asked)


# The folder, and what is trained when


@pytest.fixture
def trained(monkeypatch):
    """Puts a function in the place of training, and lists the jobs that it was given."""
    jobs = []

    def train_one(job):
        jobs.append(job)
        top1 = 0.5 + job["weights_seed"] / 10
        return {"top1": top1, "loss": 1.0, "losses": [2.0, 1.0], "seconds": 1.0}

    monkeypatch.setattr(processes, "train_one", train_one)
    return jobs


def go(path, progress=lambda event: None, **fields):
    chosen = {"switches": ["order"], "proof_steps": 0, **fields}
    with ThreadPoolExecutor(1) as executor:
        return run(study(**chosen), path, executor=executor, progress=progress)


def test_a_study_continues_with_what_is_missing(tmp_path, trained):
    path = tmp_path / "study"
    done = go(path, seeds=1)
    assert len(trained) == len(done.runs) == 8 and not done.failed
    assert {run.top1 for run in done.runs} == {0.5}
    go(path, seeds=1)
    assert len(trained) == 8
    more = go(path, seeds=2)
    assert len(trained) == 16 and len(more.runs) == 16
    assert [run.top1 for run in more.runs if run.condition.weights_seed == 1] == [0.6] * 8
    with pytest.raises(InputError, match=r"another study, with seeds \[0, 1\], not \[0\]"):
        go(path, seeds=1)
    with pytest.raises(InputError, match=r"another study, with lr 0.1, not 0.2; choose another"):
        go(path, seeds=2, lr=0.2)


def test_an_interruption_loses_no_run_that_has_ended(tmp_path, trained):
    def interrupt(event):
        if isinstance(event, Ended) and event.done == 3:
            raise KeyboardInterrupt

    path = tmp_path / "study"
    with pytest.raises(KeyboardInterrupt):
        go(path, interrupt, seeds=1)
    assert len(list((path / "runs").iterdir())) == 3
    events = []
    go(path, events.append, seeds=1)
    started = next(event for event in events if isinstance(event, Started))
    assert (started.done, started.total) == (3, 8)


def test_a_full_disk_loses_no_run_that_has_ended(tmp_path, trained, monkeypatch):
    path, write = tmp_path / "study", store.write_text

    def full(place, text):
        if len(list((path / "runs").glob("*.json"))) == 2:
            raise InputError(f"{place}: cannot be written: No space left on device")
        write(place, text)

    monkeypatch.setattr(store, "write_text", full)
    with pytest.raises(InputError, match="No space left"):
        go(path, seeds=1)
    monkeypatch.setattr(store, "write_text", write)
    trained.clear()
    go(path, seeds=1)
    assert len(trained) == 6


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"format": 1}', "[" * 100_000])
def test_a_damaged_run_is_named(tmp_path, trained, damage):
    path = tmp_path / "study"
    go(path, seeds=1)
    file = sorted((path / "runs").iterdir())[0]
    file.write_text(damage)
    with pytest.raises(InputError, match=f"{file.name}: damaged .*; remove it"):
        go(path, seeds=1)
    file.unlink()
    go(path, seeds=1)


def test_a_run_under_the_key_of_another_is_named(tmp_path, trained):
    path = tmp_path / "study"
    go(path, seeds=1)
    first, second, *_ = sorted((path / "runs").iterdir())
    first.write_text(second.read_text())
    with pytest.raises(InputError, match=f"{first.name}: damaged .it is of another run"):
        go(path, seeds=1)


def test_a_second_process_and_foreign_files_are_refused(tmp_path, trained):
    path = tmp_path / "study"
    asked = study(switches=["order"], proof_steps=0, seeds=1)
    with (
        store.Folder.opened(path, asked),
        pytest.raises(InputError, match="another process is working"),
    ):
        go(path, seeds=1)
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "text").touch()
    with pytest.raises(InputError, match="other files, and no study"):
        go(tmp_path / "thesis", seeds=1)
    assert not trained


def test_a_study_that_cannot_be_made_leaves_no_folder(tmp_path, trained):
    with pytest.raises(ZooError):
        go(tmp_path / "study", data="digitz")
    assert not (tmp_path / "study").exists()


def test_a_process_that_fails_is_tried_again_and_not_kept(tmp_path, monkeypatch, trained):
    calls, path = [], tmp_path / "study"

    def fail(job):
        calls.append(job)
        if job["backend"] == "keras":
            raise JobDiedError("its process was killed by signal 9")
        return {"top1": 0.5, "loss": 1.0}

    monkeypatch.setattr(processes, "train_one", fail)
    done = go(path, seeds=1)
    assert [run.backend for run in done.failed] == ["keras", "keras"]
    assert done.failed[0].stopped.startswith("failed: ")
    assert done.failed[0].stopped.endswith("its process was killed by signal 9")
    assert len(calls) == 10 and len(list((path / "runs").iterdir())) == 6


# The file to repeat a study from


def test_a_study_is_repeated_from_its_file(tmp_path, trained):
    done = go(tmp_path / "study", seeds=1)
    file = tmp_path / "run.json"
    record.write(file, record.contents(done))
    recorded = record.read(file)
    again = record.study_of(recorded)
    record.check(recorded, plan.planned(again))
    assert record.differences(recorded, done.comparisons, done.runs) == []
    first = recorded["runs"][done.comparisons[0].runs[0].key]
    first["digests"]["losses"] = "0" * 64
    (found,) = record.differences(recorded, done.comparisons, done.runs)
    assert found.endswith("(torch): losses")
    recorded["versions"]["torch"]["torch"] = "1.0"
    recorded["runs"] = {}
    with pytest.raises(InputError, match="cannot be repeated bit for bit: torch was 1.0 and is"):
        record.check(recorded, plan.planned(again))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"zoo_compare": 1}', "[" * 100_000])
def test_another_file_is_no_study_to_repeat(tmp_path, text):
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(InputError, match=r"run\.json: "):
        record.read(tmp_path / "run.json")
    with pytest.raises(InputError, match="cannot be read"):
        record.read(tmp_path / "absent.json")


# The proof


def arrays(**changes):
    generator = np.random.default_rng(0)
    names = ("node/conv", "node/bn", "1/conv.weight", "1/bn.running_mean", "2/conv.weight",
             "2/bn.running_mean")  # fmt: skip
    values = {name: generator.standard_normal(8) for name in names}
    for name, change in changes.items():
        key = name.replace("__", "/").replace("_OF_", ".")
        values[key] = values[key] + change
    return values


def compare(other):
    names = ["conv.weight", "bn.running_mean"]
    return proof.compare({"torch": arrays(), "keras": other}, names, "net")


def test_frameworks_that_agree_are_proven():
    steps, largest = compare(arrays(**{"2__conv_OF_weight": 1e-12}))
    assert steps == 2 and 0 < largest < 1e-8


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"1__bn_OF_running_mean": 1e-3}, "the first node is bn, whose running_mean differs by"),
        (
            {"1__bn_OF_running_mean": 1e-3, "1__conv_OF_weight": 1e-3},
            "the first node is conv, whose weight differs by .* after step 1",
        ),
        ({"2__conv_OF_weight": 1e-3}, "the first node is conv, .* after step 2"),
        (
            {"1__conv_OF_weight": 1e-3, "node__bn": 1e-6},
            "the first node is bn, which differs by .* in the initial model",
        ),
        ({"1__conv_OF_weight": np.nan}, "the first node is conv, whose weight differs by inf"),
    ],
)
def test_the_first_node_that_differs_is_named(changes, message):
    with pytest.raises(
        proof.ProofError, match=f"PyTorch and Keras 3 do not train alike.*{message}"
    ):
        compare(arrays(**changes))


def test_without_scipy_is_one_line():
    code = (
        "import sys\nsys.modules['scipy'] = None\n"
        "sys.argv = ['zoo', 'compare', 'lenet5', '--data', 'digits', '--seeds', '2', '--epochs',"
        " '1', '--lr', '0.1', '--output', 'study']\n"
        "from zoo.cli.main import main\nmain()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=HANG
    )
    assert done.returncode == 2
    wanted = "error: studies need SciPy: python -m pip install 'polyzoo[compare]'"
    assert " ".join(done.stderr.split()) == wanted
