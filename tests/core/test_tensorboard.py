"""Events for TensorBoard: what they say, and that none is lost without an error."""

import resource

import pytest
from tensorboardX.proto.event_pb2 import Event, SessionLog

from zoo.errors import InputError
from zoo.training.evaluation import Evaluation
from zoo.training.events import Epoch, Step
from zoo.training.tensorboard import TensorBoard
from zoo.weights.reading.crc32c import checksum, unmasked


def test_events_on_a_full_disk_are_one_error(tmp_path):
    """A writer with a thread of its own would wait forever."""
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
    assert next((tmp_path / "board").iterdir()).stat().st_size <= 1000


def test_events_that_cannot_be_written_at_all(tmp_path):
    (tmp_path / "board").write_text("a file")
    with (
        TensorBoard(tmp_path / "board") as board,
        pytest.raises(InputError, match="board: cannot be written to: Not a directory"),
    ):
        board(Step(1, 2, 1, 1, 0.5, 0.1, 1.0))


def scalars(folder):
    """Read events as TensorBoard does: a file that begins at a step replaces what was there."""
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
