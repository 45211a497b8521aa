"""PyTorch's files: read as PyTorch reads them, and refused where they would cost too much."""

from __future__ import annotations

import io
import pickle
import random
import struct
import zipfile

import numpy as np
import pytest
from damage import mutants, pickle_mutants
from hostile import assert_refused, refusals
from loading import load

from zoo.errors import WeightsError
from zoo.weights.reading import readers

load("torch")
import torch


def read(path):
    return readers.read(path).arrays


def tensors():
    torch.manual_seed(0)
    values = torch.randn(10)
    return {
        "by channels": torch.randn(4, 3, 2, 2).to(memory_format=torch.channels_last),
        "transposed": torch.randn(3, 4).t(),
        "a part": values[2:7:2],
        "of the same": values[5:],
        "expanded": torch.randn(1).expand(5),
        "parameter": torch.nn.Parameter(torch.randn(2)),
        "scalar": torch.tensor(3),
        "empty": torch.zeros(0, 3),
        **{
            str(dtype): torch.tensor([0, 1, 1]).to(dtype)
            for dtype in (torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32,
                          torch.int16, torch.int8, torch.uint8, torch.bool)
        },
    }  # fmt: skip


def training():
    model = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 1), torch.nn.BatchNorm2d(3))
    model(torch.zeros(1, 2, 2, 2)).sum().backward()
    optimizer = torch.optim.Adam(model.parameters())
    optimizer.step()
    return {
        "state_dict": model.state_dict(),  # an OrderedDict with attributes
        "optimizer": optimizer.state_dict(),
        "epoch": 3,
        "arguments": {"dtype": torch.float32, "size": torch.Size([2]), "set": {1, 2}, "lr": 0.1},
        "device": torch.device("cpu"),
    }


@pytest.mark.parametrize("new", [True, False], ids=["zip", "before 1.6"])
@pytest.mark.parametrize("make", [tensors, training])
def test_the_values_are_those_that_pytorch_reads(make, new, tmp_path):
    path = tmp_path / "w.pth"
    torch.save(make(), path, _use_new_zipfile_serialization=new)
    expected = torch.load(path, weights_only=False)
    expected = expected.get("state_dict", expected)
    found = read(path)
    assert found.keys() == expected.keys()
    for name, stored in found.items():
        tensor = expected[name].detach()
        assert stored.shape == tuple(tensor.shape), name
        assert stored.dtype == str(tensor.dtype).removeprefix("torch."), name
        value = stored.read()
        assert value.dtype.name == stored.dtype and value.shape == stored.shape, name
        assert np.array_equal(value.astype(np.float64), tensor.double().numpy()), name


def archive(path, pickled: bytes, storage: bytes = bytes(16)):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("w/data.pkl", pickled)
        file.writestr("w/data/0", storage)


def described(size: bytes, stride: bytes, count: int = 4, offset: bytes = b"K\x00") -> bytes:
    """A dict of one tensor, with a size and a stride of choice."""
    return (
        b"\x80\x02}X\x01\x00\x00\x00actorch._utils\n_rebuild_tensor_v2\n"
        b"((X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu"
        + b"\x8a\x08" + struct.pack("<q", count) + b"tQ" + offset + size + stride
        + b"\x89NtRs."
    )  # fmt: skip


def long(value: int) -> bytes:
    return b"\x8a\x08" + struct.pack("<q", value)


FOUR, ONE = b"K\x04\x85", b"K\x01\x85"
GIGABYTES = b"\x8a\x05" + (4 * 10**9).to_bytes(5, "little")
PICKLES = {
    "a bytearray of gigabytes": b"\x80\x02cbuiltins\nbytearray\n" + GIGABYTES + b"\x85R.",
    "one in a dict": (
        b"\x80\x02}X\x01\x00\x00\x00ac__builtin__\nbytearray\n" + GIGABYTES + b"\x85Rs."
    ),
    "a tensor of gigabytes": b"\x80\x02ctorch\nFloatTensor\n" + GIGABYTES + b"\x85R.",
    "a storage of gigabytes": b"\x80\x02ctorch\nFloatStorage\n" + GIGABYTES + b"\x85R.",
    "a large size": described(long(1 << 60) + b"\x85", ONE),
    "a large stride": described(FOUR, long(1 << 60) + b"\x85"),
    "a negative stride": described(FOUR, long(-1) + b"\x85"),
    "a large offset": described(FOUR, ONE, offset=long(1 << 60)),
    "a large storage": described(FOUR, ONE, count=1 << 60),
    "a negative storage": described(FOUR, ONE, count=-4),
    "a size beyond its storage": described(b"K\x05\x85", ONE),
    "more strides than sizes": described(FOUR, b"K\x01K\x01\x86"),
    "a key of nested tuples": b"\x80\x02}N" + b"\x85" * 150_000 + b"Ns.",
    "keys of one hash": (
        b"\x80\x02}(" + b"".join(
            b"\x8a\x10" + (i * (2**61 - 1)).to_bytes(16, "little") + b"N" for i in range(50_000)
        ) + b"u."
    ),
    "sets of a long list": (
        b"\x80\x02cbuiltins\nset\nq\x00](" + b"K\x01" * 100_000 + b"eq\x01("
        + b"h\x00h\x01\x85R" * 3_000 + b"l."
    ),
    "code": b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R.",
}  # fmt: skip


def test_pickles(tmp_path):
    assert_refused(tmp_path, PICKLES, ".pth", archive)


def test_a_tensor_that_is_described_well_is_read(tmp_path):
    archive(tmp_path / "w.pth", described(FOUR, ONE), np.arange(4, dtype="<f4").tobytes())
    assert read(tmp_path / "w.pth")["a"].read().tolist() == [0, 1, 2, 3]


def overlapping(path):
    """20,000 entries of one part, which has 2 MB."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as part:
        part.writestr("w/data.pkl", described(FOUR, ONE))
        part.writestr("w/data/0", bytes(2_000_000))
        (_, entry) = part.infolist()
        for _ in range(20_000):
            part.filelist.append(entry)
    path.write_bytes(file.getvalue())


def many_entries(path):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("w/data.pkl", described(FOUR, ONE))
        file.writestr("w/data/0", bytes(16))
        for number in range(60_000):
            name = zipfile.ZipInfo(f"w/data/{number:050}")
            name.header_offset = name.CRC = 0
            file.filelist.append(name)


def large_table(path):
    """The table claims to have almost four gigabytes."""
    archive(path, described(FOUR, ONE))
    content = bytearray(path.read_bytes())
    struct.pack_into("<I", content, len(content) - 10, (1 << 32) - 2)
    path.write_bytes(content)


def compressed(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("w/data.pkl", bytes(200_000_000))


def long_entry(path):
    """An entry claims to have a gigabyte."""
    archive(path, described(FOUR, ONE))
    content = path.read_bytes()
    path.write_bytes(
        content.replace(struct.pack("<II", 16, 16), struct.pack("<II", *[1 << 30] * 2))
    )


def two_folders(path):
    archive(path, described(FOUR, ONE))
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("v/data.pkl", described(FOUR, ONE))


def missing_values(path):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("w/data.pkl", described(FOUR, ONE))


ARCHIVES = (
    missing_values,
    overlapping,
    many_entries,
    large_table,
    compressed,
    long_entry,
    two_folders,
)


def test_archives(tmp_path):
    paths = []
    for write in ARCHIVES:
        paths.append(tmp_path / f"{write.__name__}.pth")
        write(paths[-1])
    errors = refusals(paths)
    for path, error in zip(paths, errors, strict=True):
        assert str(path) in error
    assert "the values of a tensor are missing" in errors[0]


def test_files_before_1_6(tmp_path):
    file = io.BytesIO()
    torch.save(tensors(), file, _use_new_zipfile_serialization=False)
    good = file.getvalue()
    at = good.index(struct.pack("<q", 48))  # the first storage
    paths = [tmp_path / f"{number}.pth" for number in range(3)]
    paths[0].write_bytes(good[:at] + struct.pack("<q", 1 << 60) + good[at + 8 :])
    paths[1].write_bytes(good.replace(b"cpu", b"cpx")[:at])
    paths[2].write_bytes(
        b"".join(pickle.dumps(v, 2) for v in (119547037146038801333356, 1, {}, {}, []))
    )
    refusals(paths)


@pytest.mark.parametrize("new", [True, False], ids=["zip", "before 1.6"])
def test_damaged_files_are_refused_or_have_other_values_only(new, tmp_path):
    file = io.BytesIO()
    torch.save(
        {f"layer{i}.weight": torch.randn(3, i + 1) for i in range(4)},
        file,
        _use_new_zipfile_serialization=new,
    )
    path, good = tmp_path / "w.pth", file.getvalue()
    path.write_bytes(good)
    expected = {name: stored.shape for name, stored in read(path).items()}
    seeds = random.Random(2)
    whole = [next(mutants(good, 1, seeds.random())) for _ in range(500)]
    if new:
        with zipfile.ZipFile(path) as opened:
            (name,) = (n for n in opened.namelist() if n.endswith("data.pkl"))
            parts = {n: opened.read(n) for n in opened.namelist()}
    else:
        stream = io.BytesIO(good)
        for _ in range(3):
            pickle.load(stream)
        start = stream.tell()
        end = good.index(b".\x80\x02", start) + 1
    refused = 0
    for i in range(1_000):
        if i < 500:
            path.write_bytes(whole[i])
        elif new:
            changed = next(pickle_mutants(parts[name], 1, seeds.random()))
            with zipfile.ZipFile(path, "w") as opened:
                for each, content in parts.items():
                    opened.writestr(each, changed if each == name else content)
        else:
            changed = next(pickle_mutants(good[start:end], 1, seeds.random()))
            path.write_bytes(good[:start] + changed + good[end:])
        try:
            found = read(path)
        except WeightsError as error:
            assert str(path) in str(error)
            refused += 1
            continue
        if {name: stored.shape for name, stored in found.items()} == expected:
            for stored in found.values():
                assert stored.read().shape == stored.shape
    assert refused > 500
