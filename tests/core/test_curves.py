"""Pictures and events of training runs, whose folders are written by hand."""

import itertools
import json
import re
import warnings
from pathlib import Path

import pytest

import zoo
from zoo.errors import InputError
from zoo.training.evaluation import Evaluation
from zoo.training.events import Epoch, Step
from zoo.weights.reading.crc32c import checksum, unmasked

resource = pytest.importorskip("resource")


def folder_of(path, *, ema=None, resumed=()):
    """A run of three epochs with two steps each, and where others went on."""
    path.mkdir()
    recipe = f"model: lenet5\ndata: digits\nepochs: 3\nlr: 0.1\nema: {json.dumps(ema)}\n"
    (path / "recipe.yaml").write_text(recipe)
    lines = [{"step": 0, "backend": "torch"}]
    lines += [{"step": step, "backend": backend} for step, backend in resumed]
    lines += [{"step": n, "loss": 1 / n, "lr": 0.1} for n in range(1, 7)]
    for n in range(1, 4):
        result = {"loss": 1.0, "top1": n / 4, "top5": None}
        epoch = {"epoch": n, "step": 2 * n, "train_loss": 1.0, "validation": result}
        lines.append({**epoch, "best": True, "lr": 0.1, "seconds": 1.0})
    (path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.fixture(autouse=True)
def libraries():
    pytest.importorskip("matplotlib")
    pytest.importorskip("jinja2")


@pytest.mark.parametrize(
    "name", ["cost_$5_vs_$6", "we$ird_<b>&_$x^2", '_a"b', "$\\frac$", "\N{SNOWMAN}"]
)
def test_the_name_of_a_run_is_shown_as_it_is(name, tmp_path):
    from xml.etree import ElementTree

    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of Matplotlib, about a name that it leaves out
        warnings.filterwarnings("ignore", message="Glyph")
        folder = folder_of(tmp_path / name)
        page = zoo.curves(folder).read_text("utf-8")
    picture = ElementTree.parse(folder / "curves.svg").getroot()
    assert picture.get("aria-label") == f"Training of {name}"
    texts = {"".join(text.itertext()) for text in picture.iter("{http://www.w3.org/2000/svg}text")}
    assert {f"{name}: training", f"{name}: validation"} <= texts
    assert "<b>&_" not in page


def test_the_labels_of_resumes_are_beneath_each_other(tmp_path):
    runs = [
        folder_of(tmp_path / name, resumed=[(2, name), (3, name)]) for name in ("flax", "keras")
    ]
    zoo.curves(runs, tmp_path / "both")
    picture = (tmp_path / "both" / "curves.svg").read_text()
    heights = re.findall(r'<text [^>]*?y="([\d.]+)"[^>]*>(?:flax|keras)</text>', picture)
    places = sorted(map(float, heights))
    assert len(places) == 4 and all(b - a > 9 for a, b in itertools.pairwise(places))


@pytest.mark.parametrize("ema", [None, 0.9])
def test_validation_of_averages_is_called_so(ema, tmp_path):
    page = zoo.curves(folder_of(tmp_path / "run", ema=ema)).read_text()
    assert ("run: validation of the averages" in page) == (ema is not None)
    assert ("moving averages of the weights" in page) == (ema is not None)


def test_events_on_a_full_disk_are_one_error(tmp_path):
    """A writer with a thread of its own would wait forever."""
    pytest.importorskip("tensorboardX")
    from zoo.training.tensorboard import TensorBoard

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def write():
        with TensorBoard(tmp_path / "board") as board:
            for n in range(1, 1000):
                board(Step(n, 1000, 1, 1, 0.5, 0.1, 1.0))

    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(InputError, match="board: cannot be written to: File too large"):
            write()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert next(Path(tmp_path / "board").iterdir()).stat().st_size <= 1000


def test_events_that_cannot_be_written_at_all(tmp_path):
    pytest.importorskip("tensorboardX")
    from zoo.training.tensorboard import TensorBoard

    (tmp_path / "board").write_text("a file")
    with (
        TensorBoard(tmp_path / "board") as board,
        pytest.raises(InputError, match="board: cannot be written to: Not a directory"),
    ):
        board(Step(1, 2, 1, 1, 0.5, 0.1, 1.0))


def scalars(folder):
    """Read events as TensorBoard does: a file that begins at a step replaces what was there."""
    from tensorboardX.proto.event_pb2 import Event, SessionLog

    found = {}
    for path in sorted(folder.iterdir()):
        content = path.read_bytes()
        while content:
            head, length = content[:8], int.from_bytes(content[:8], "little")
            body = content[12 : 12 + length]
            assert unmasked(content[8:12]) == checksum(head)
            assert unmasked(content[12 + length : 16 + length]) == checksum(body)
            content, event = content[16 + length :], Event.FromString(body)
            if event.session_log.status == SessionLog.START:
                found = {key: v for key, v in found.items() if key[1] < event.step}
            for value in event.summary.value:
                assert (value.tag, event.step) not in found
                found[value.tag, event.step] = value.simple_value
    return found


def test_events_name_the_evaluation_of_averages(tmp_path):
    """Each step is shown once, though the second was made again by a run that was resumed."""
    pytest.importorskip("tensorboardX")
    from zoo.training.tensorboard import TensorBoard

    averages, plain = (Evaluation(10, 0.5, top1, None, ()) for top1 in (0.75, 0.5))
    for first in (1, 2):
        with TensorBoard(tmp_path) as board:
            for n in (1, 2)[first - 1 :]:
                board(Step(n, 2, n, 2, first, 0.1, 1.0))
                board(Epoch(n, 2, n, 0.5, 0.1, averages, plain, True, 1.0, 1.0, 0))
    found = scalars(tmp_path)
    assert {tag for tag, _ in found} == {
        *("step/loss", "step/lr", "train/loss"),
        *("validation/loss", "validation/top1", "validation_ema/loss", "validation_ema/top1"),
    }
    assert [found["step/loss", n] for n in (1, 2)] == [1, 2]
    assert [found["validation/top1", n] for n in (1, 2)] == [0.5, 0.5]
    assert [found["validation_ema/top1", n] for n in (1, 2)] == [0.75, 0.75]
