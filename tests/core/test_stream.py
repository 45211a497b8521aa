"""The stream of batches: the same numbers always, whoever makes them."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from limits import HANG
from PIL import Image

from zoo.data.augmentation import AUGMENTATIONS, DRAWS
from zoo.data.datasets import dataset
from zoo.data.images import USUAL, Transform, default
from zoo.data.labeled import Part
from zoo.data.stream import Share, Stream
from zoo.errors import InputError

TRANSFORM = Transform((12, 10), 3, USUAL, "HWC")


@pytest.fixture(scope="module")
def part():
    return dataset("digits").train


def test_the_order_is_the_one_that_is_written_down(part):
    """Recomputed here from the definition, so that it can never change unnoticed."""
    stream = Stream(part, TRANSFORM, 100, seed=7)
    assert stream.steps == 16
    key = int.from_bytes(hashlib.sha256(b"7|order").digest()[:16], "little")
    raw = np.random.Philox(key=key, counter=[0, 0, 0, 2]).random_raw(len(part))
    expected = sorted(range(len(part)), key=lambda i: raw[i])
    assert stream.place(2 * 16 + 3) == (2, 3)
    assert stream.indices(2 * 16 + 3).tolist() == expected[300:400]


def test_an_epoch_has_every_image_once_and_another_order_each_time(part):
    stream = Stream(part, TRANSFORM, 1)
    count = len(part)
    first, second = (
        [int(stream.indices(epoch * count + i)[0]) for i in range(count)] for epoch in (0, 1)
    )
    assert sorted(first) == sorted(second) == list(range(count))
    assert first != second
    assert [int(Stream(part, TRANSFORM, 1, seed=1).indices(i)[0]) for i in range(9)] != first[:9]


@pytest.mark.parametrize("batch_size", [12, 13])
def test_processes_share_the_batches_that_one_has(batch_size, part):
    whole = Stream(part, TRANSFORM, batch_size, augmentation=AUGMENTATIONS["flip"])
    shares = [replace(whole, share=Share(rank, 5)) for rank in range(5)]
    expected = whole.batch(9)
    batches = [next(share.batches(9, 11, workers=rank % 2)) for rank, share in enumerate(shares)]
    assert np.array_equal(np.concatenate([batch.x for batch in batches]), expected.x)
    assert np.concatenate([b.labels for b in batches]).tolist() == expected.labels.tolist()
    sizes = [len(batch.labels) for batch in batches]
    assert max(sizes) - min(sizes) == 1


def test_processes_evaluate_each_image_once(part):
    """The last batch is smaller than the number of processes, so some have nothing of it."""
    whole = Stream(part, TRANSFORM, 803, shuffle=False)
    shares = [replace(whole, share=Share(rank, 4)) for rank in range(4)]
    seen = [int(i) for share in shares for n in range(whole.steps) for i in share.indices(n)]
    assert sorted(seen) == list(range(len(part)))
    assert [share.shape(2)[0] for share in shares] == [1, 0, 0, 0]
    assert [len(batch.labels) for batch in shares[3].epoch(0, workers=1)] == [200, 200, 0]


def test_a_share_of_parts_is_a_part_of_each(part):
    """As devices share the parts in which a step computes a batch."""
    parts = [Share(rank, 2, 2).of_parts(10) for rank in (0, 1)]
    assert [[p.tolist() for p in own] for own in parts] == [
        [[0, 1, 2], [5, 6, 7]],
        [[3, 4], [8, 9]],
    ]


def test_evaluation_has_every_image_in_order(part):
    stream = Stream(part, TRANSFORM, 500, shuffle=False)
    sizes = [len(stream.indices(i)) for i in range(stream.steps)]
    assert sizes == [500, 500, 500, 107]
    assert np.concatenate([stream.indices(i) for i in range(4)]).tolist() == list(range(1607))
    x = stream.batch(3).x
    assert x.shape == (107, 12, 10, 3)
    assert np.array_equal(x[5], TRANSFORM(part.images[1505]))


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_a_batch_is_known_from_its_number(name, part):
    stream = Stream(part, TRANSFORM, 16, augmentation=AUGMENTATIONS[name])
    again = Stream(part, TRANSFORM, 16, augmentation=AUGMENTATIONS[name])
    wanted = [stream.batch(number).digest for number in (0, 1, 150)]
    assert [again.batch(number).digest for number in (150, 1, 0)] == wanted[::-1]
    assert len(set(wanted)) == 3


def test_the_same_image_in_two_epochs(part):
    few = Part(part.images[:4], part.labels[:4])
    for name, alike in (("none", True), ("pad-crop", False), ("random-resized-crop", False)):
        stream = Stream(few, TRANSFORM, 4, augmentation=AUGMENTATIONS[name])
        first, second = (
            stream.batch(i).x[np.argsort(stream.indices(i), kind="stable")] for i in (0, 1)
        )
        assert np.array_equal(first, second) == alike


@pytest.mark.parametrize("count", [1, 2, 3])
def test_workers_make_the_same(count, part):
    stream = Stream(part, TRANSFORM, 16, augmentation=AUGMENTATIONS["pad-crop"])
    found = [batch.digest for batch in stream.batches(95, 106, count)]
    assert found == [batch.digest for batch in stream.batches(95, 106)]


def test_a_batch_stays_what_it_is(part):
    stream = Stream(part, TRANSFORM, 4)
    batches = list(stream.batches(0, 9, 1))
    assert [batch.digest for batch in batches] == [b.digest for b in stream.batches(0, 9)]


def no_draws(**draws):
    values = [0.5] * DRAWS
    for place, value in draws.items():
        values[int(place[1:]) if place[0] == "d" else -int(place[1:])] = value
    return values


def test_a_padded_image_is_moved_and_mirrored():
    image = np.random.default_rng(0).integers(0, 256, (12, 10, 3)).astype(np.uint8)
    plain = {**USUAL, "crop": 1, "mean": [0, 0, 0], "std": [1, 1, 1], "range": 255}
    transform = Transform((12, 10), 3, plain, "HWC")
    padded = np.pad(image, ((4, 4), (4, 4), (0, 0)))
    apply = AUGMENTATIONS["pad-crop"].apply
    for left, top, flip in ((0.0, 0.0, 0.9), (0.999, 0.5, 0.9), (0.2, 0.7, 0.1)):
        x, y = int(left * 9), int(top * 9)
        expected = padded[y : y + 12, x : x + 10]
        found = apply(image, transform, no_draws(m3=left, m2=top, m1=flip))
        assert np.array_equal(found, expected[:, ::-1] if flip < 0.5 else expected)


def test_parts_of_a_photograph_cover_what_they_may():
    """As the paper has it: 8 to 100 % of the area, and a ratio of 3/4 to 4/3."""
    augmentation = AUGMENTATIONS["random-resized-crop"]
    generator = np.random.default_rng(0)
    for size in ((451, 300), (300, 451), (64, 64)):
        shares, ratios = [], []
        for _ in range(300):
            left, top, right, bottom = augmentation._part(size, generator.random(DRAWS).tolist())
            assert 0 <= left < right <= size[0]
            assert 0 <= top < bottom <= size[1]
            shares.append((right - left) * (bottom - top) / (size[0] * size[1]))
            ratios.append((right - left) / (bottom - top))
        assert min(shares) < 0.15 < 0.8 < max(shares)
        assert 0.7 < min(ratios) < 0.85 < 1.2 < max(ratios) < 1.4
    part = augmentation._part((1000, 2), [0.5] * DRAWS)
    assert part == (498, 0, 501, 2), "the center, where no part fits"


def test_a_part_is_resized_as_pillow_does():
    augmentation = AUGMENTATIONS["random-resized-crop"]
    draws = np.random.default_rng(1).random(DRAWS).tolist()
    draws[-1] = 0.9
    transform = Transform((32, 48), 3, USUAL, "HWC")
    with Image.open(default()) as opened:
        photograph = opened.convert("RGB")
    box = augmentation._part(photograph.size, draws)
    expected = photograph.resize((48, 32), Image.Resampling.BILINEAR, box)
    found = augmentation.apply(default(), transform, draws)
    assert np.array_equal(found, transform.finished(expected))


@pytest.fixture
def damaged(tmp_path):
    """Three images in files, of which the second is none."""
    paths = [tmp_path / f"{name}.png" for name in "abc"]
    for number, path in enumerate(paths):
        Image.fromarray(np.full((8, 8, 3), 50 * number, np.uint8)).save(path)
    paths[1].write_bytes(paths[1].read_bytes()[:40])
    return Part(paths, np.array([0, 1, 2]), [path.name for path in paths])


@pytest.mark.parametrize("count", [0, 1])
def test_a_damaged_image_is_named_or_counted(count, damaged):
    strict = Stream(damaged, TRANSFORM, 3, shuffle=False)
    with pytest.raises(InputError, match=r"b\.png: cannot be read as an image"):
        list(strict.batches(0, 1, count))
    lenient = Stream(damaged, TRANSFORM, 3, shuffle=False, skip_damaged=True)
    (batch,) = lenient.batches(0, 1, count)
    assert batch.labels.tolist() == [0, 2, 2]
    assert batch.damaged == (1,)
    assert np.array_equal(batch.x[1], batch.x[2])


def test_no_image_at_all_can_be_read(damaged):
    part = Part(damaged.images[1:2] * 2, np.array([0, 1]))
    with pytest.raises(InputError, match="no image can be read"):
        Stream(part, TRANSFORM, 1, skip_damaged=True).batch(0)


@pytest.mark.parametrize("size", [0, -1, 2000])
def test_a_batch_size_that_cannot_be(size, part):
    with pytest.raises(InputError, match="batch_size must be from 1 to 1,607"):
        Stream(part, TRANSFORM, size)


class Unwilling:
    """Images that end the process that reads them."""

    def __init__(self, how):
        self.how = how

    def __len__(self):
        return 4

    def __getitem__(self, index):
        if self.how == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        raise KeyError("a fault of the caller's own")


@pytest.mark.parametrize(
    ("how", "message"),
    [("killed", "was killed by SIGKILL, perhaps"), ("raises", "ended with status 1")],
)
def test_a_process_that_ends_is_an_error(how, message):
    stream = Stream(Part(Unwilling(how), np.zeros(4, int)), TRANSFORM, 2)
    with pytest.raises(InputError, match=message):
        list(stream.batches(0, 2, 1))


TERMINATED = """
import os, signal
from zoo.data import datasets, images, stream
transform = images.Transform((8, 8), 1, images.USUAL)
batches = stream.Stream(datasets.dataset("digits").train, transform, 8).batches(0, 20, 2)
next(batches)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.killpg(0, signal.SIGTERM)
print(len(list(batches)))
"""


def test_a_signal_to_the_group_is_for_the_first_process():
    """``timeout`` and schedulers of clusters send it to all; a run then saves its last step."""
    run = [sys.executable, "-c", TERMINATED]
    done = subprocess.run(run, capture_output=True, timeout=HANG, start_new_session=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"19\n", b"")


def test_what_cannot_be_sent():
    stream = Stream(Part([lambda: 0] * 4, np.zeros(4, int)), TRANSFORM, 2)
    with pytest.raises(InputError, match="cannot be sent to a worker process .* workers=0"):
        list(stream.batches(0, 2, 1))


CODE = """
import os, signal
from zoo.data import datasets, images, stream
transform = images.Transform((8, 8), 1, images.USUAL)
batches = stream.Stream(datasets.dataset("digits").train, transform, 8).batches(0, 100, 2)
next(batches)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_nothing_stays_of_a_run_that_is_killed():
    """Its processes have the same standard error, which ends with the last of them."""
    run = [sys.executable, "-c", CODE]
    done = subprocess.run(run, stderr=subprocess.PIPE, timeout=HANG)
    assert done.returncode == -signal.SIGKILL
    assert done.stderr == b""
