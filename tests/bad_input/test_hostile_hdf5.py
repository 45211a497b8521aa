"""Chunks and groups of HDF5 that would cost far more than their size."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import zlib

import h5py
import numpy as np
import pytest
from hostile import refusals

from zoo.errors import WeightsError
from zoo.weights.reading import readers


@functools.cache
def compressed() -> bytes:
    """Half a gigabyte of zeros, compressed to a thousandth."""
    packer = zlib.compressobj(1)
    return b"".join(packer.compress(bytes(1 << 20)) for _ in range(512)) + packer.flush()


def large_chunk(file):
    """A chunk of half a gigabyte in an array of 16 bytes."""
    options = {"maxshape": (None,), "chunks": (1 << 27,), "compression": "gzip"}
    array = file.create_dataset("conv1/kernel", shape=(4,), dtype="f4", **options)
    array.id.write_direct_chunk((0,), compressed())


def long_chunk(file):
    """A chunk that is half a gigabyte when it is decompressed, for half a megabyte."""
    options = {"chunks": (1 << 17,), "compression": "gzip"}
    array = file.create_dataset("conv1/kernel", shape=(1 << 18,), dtype="f4", **options)
    array.id.write_direct_chunk((0,), compressed())


def other_filter(file):
    file.create_dataset("conv1/kernel", data=np.zeros(1 << 18, "f4"), compression="lzf")


READ_ONE = """
import sys
from pathlib import Path
from hostile import limit_memory, peak
from zoo.errors import WeightsError
from zoo.weights.reading import readers
(stored,) = readers.read(Path(sys.argv[1])).arrays.values()
limit_memory()
before = peak()
try:
    stored.read()
except WeightsError as error:
    print(error)
assert peak() - before < 50
"""


@pytest.mark.parametrize("fill", [large_chunk, long_chunk, other_filter])
def test_chunks_of_hdf5(fill, tmp_path):
    """They are looked at when the array is read."""
    path = tmp_path / "w.h5"
    with h5py.File(path, "w") as file:
        fill(file)
    done = subprocess.run(
        [sys.executable, "-c", READ_ONE, str(path)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    assert f"{path}: /conv1/kernel: " in done.stdout


@pytest.mark.parametrize(
    "options",
    [
        {"compression": "gzip"},
        {"compression": "gzip", "shuffle": True, "fletcher32": True},
        {"maxshape": (None, None)},
        {"fletcher32": True},
    ],
)
def test_what_h5py_writes_in_chunks_is_read(options, tmp_path):
    value = np.random.default_rng(0).standard_normal((300, 200)).astype(np.float32)
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file.create_dataset("conv/kernel", data=value, **options)
    stored = readers.read(tmp_path / "w.h5").arrays["conv.kernel"]
    assert np.array_equal(stored.read(), value)


@pytest.mark.parametrize("options", [{}, {"chunks": (1, 1 << 20)}, {"compression": "gzip"}])
def test_zeros_do_not_make_a_small_file_a_large_model(options, tmp_path):
    path = tmp_path / "w.h5"
    with h5py.File(path, "w") as file:
        data = np.zeros((64, 1 << 20), "f4") if "compression" in options else None
        file.create_dataset("fc/kernel", (64, 1 << 20), "f4", data=data, **options)
    with pytest.raises(WeightsError, match="its arrays would take 268 MB of memory"):
        readers.read(path)


def deep(file):
    for _ in range(5_000):
        file = file.create_group("g")
    file.create_dataset("kernel", data=np.zeros(4, np.float32))


def long_name(file):
    file.create_dataset("x" * 50_000, data=np.zeros(4, np.float32))


def many_names(file):
    """Of which each contains the names of the groups that it is in."""
    for _ in range(30):
        file = file.create_group("x" * 1_000)
    for number in range(2_000):
        file.create_dataset(str(number), data=np.float32(0))


def large_attribute(file):
    group = file.create_group("layers/conv/vars")
    group.attrs["name"] = np.zeros(8_000)
    group.create_dataset("0", data=np.zeros(4, np.float32))


def test_groups_of_hdf5(tmp_path):
    paths = []
    for fill in (deep, long_name, many_names, large_attribute):
        paths.append(tmp_path / f"{fill.__name__}.h5")
        with h5py.File(paths[-1], "w", libver="latest") as file:
            fill(file)
    refusals(paths)
