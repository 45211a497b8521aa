"""Publishers' files are read without running what is in them; wrong ones give one clear error."""

from __future__ import annotations

import os
import pickle
import random

import h5py
import numpy as np
import pytest
from damage import mutants, pickle_mutants

from zoo.errors import WeightsError
from zoo.weights.checking import check
from zoo.weights.reading import pickles, readers

rng = np.random.default_rng(0)
ARRAYS = {
    "conv.weight": rng.standard_normal((4, 3, 3, 3)).astype(np.float32),
    "conv.bias": rng.standard_normal(4).astype(np.float32),
    "fc.weight": rng.standard_normal((300, 100)).astype(np.float32),  # too long for a frame
}


def same(found) -> bool:
    read = {name: stored.read() for name, stored in found.items()}
    return read.keys() == ARRAYS.keys() and all(
        np.array_equal(read[name], value) for name, value in ARRAYS.items()
    )


@pytest.fixture
def pdparams(tmp_path):
    def write(value, protocol=4):
        path = tmp_path / "w.pdparams"
        with path.open("wb") as file:
            pickle.dump(value, file, protocol=protocol)
        return path

    return write


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_a_pickle_of_arrays(protocol, pdparams):
    assert same(readers.read(pdparams(ARRAYS, protocol)).arrays)


def test_what_paddle_puts_beside_the_arrays(pdparams):
    named = {name: (f"{name}_0", value) for name, value in ARRAYS.items()}
    assert same(readers.read(pdparams(named)).arrays)
    with_table = {**ARRAYS, "StructuredToParameterName@@": {"conv.weight": "conv2d_0.w_0"}}
    assert same(readers.read(pdparams(with_table)).arrays)


def test_bfloat16_is_in_a_pickle_as_its_bits(pdparams):
    bits = np.array([0x3F80, 0xC000], np.uint16)
    stored = readers.read(pdparams({"x": bits})).arrays["x"]
    assert stored.dtype == "bfloat16"
    assert stored.read().tolist() == [1.0, -2.0]


def test_arrays_by_columns(pdparams):
    stored = readers.read(pdparams({"x": np.asfortranarray(np.arange(6.0).reshape(2, 3))})).arrays[
        "x"
    ]
    assert stored.read().tolist() == [[0, 1, 2], [3, 4, 5]]


def test_what_python_2_wrote():
    """Its texts are bytes, and its OrderedDict is made of a list of pairs."""
    pairs = b"](U\x01aK\x01e](U\x02bcK\x02e"
    code = b"\x80\x02ccollections\nOrderedDict\n](" + pairs + b"e\x85R."
    assert pickles.load(memoryview(code)) == {"a": 1, "bc": 2}


def test_objects_beside_the_arrays_are_nothing(pdparams):
    """Nothing of them is made, whatever they are."""
    value = {"model": ARRAYS, "evil": Evil(), "nested": [Nested(), {Evil: 1, (1, 2): {3}}]}
    assert same(readers.read(pdparams(value)).arrays)
    assert not os.path.exists("/tmp/zoo-was-here")


class Evil:
    def __reduce__(self):
        return os.mkdir, ("/tmp/zoo-was-here",)


class Nested:
    def __reduce__(self):
        return getattr, (Evil, "__name__")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"x": Evil()}, "it names posix.mkdir, which is not an array"),
        ({"x": Nested()}, r"it names [\w.]+\.Evil, which is not an array"),
        ({"x": np.array([{}, []], object)}, "x: an array has a dtype that weights cannot have"),
        ({"x": np.array(["a"])}, "x: an array has a dtype that weights cannot have"),
        ({"x": 3}, "x: expected an array, got int"),
        (["x"], "expected arrays by name, got list"),
        ([ARRAYS, ARRAYS], r"sets of weights under numbers, .*: 0, 1; save .*example \[0\] of"),
        ({5: ARRAYS}, r"sets of weights under numbers, .*: 5; save .*example \[5\] of"),
        ({"folds": {0: {"model": ARRAYS}}}, r"numbers, .*: 0; save .*example \['folds'\]\[0\]"),
        ({"x": np.ndarray}, "x: expected an array, got Call"),
    ],
    ids=[
        "system",
        "getattr",
        "objects",
        "text",
        "number",
        "list",
        "sets",
        "number of a set",
        "folds",
        "class",
    ],
)
def test_a_pickle_of_anything_else(value, message, pdparams):
    with pytest.raises(WeightsError, match=message):
        readers.read(pdparams(value))
    assert not os.path.exists("/tmp/zoo-was-here")


def test_integers_in_a_pickle_are_reported_by_name(pdparams):
    for dtype in ("int8", "uint8", "int16", "uint32", "uint64", "bool", "complex64", "complex128"):
        found = readers.read(pdparams({"x": np.ones(3, dtype)})).arrays["x"]
        assert found.dtype == dtype and np.array_equal(found.read(), np.ones(3))
        with pytest.raises(WeightsError, match=f"^x: expected floating-point values, got {dtype}"):
            check({"x": (3,)}, {"x": (found.shape, found.dtype)})


@pytest.mark.parametrize(
    "code",
    [
        b"\x80\x04\x96" + (1 << 40).to_bytes(8, "little") + b".",  # BYTEARRAY8 of a terabyte
        b"\x80\x04\x8e" + (1 << 40).to_bytes(8, "little") + b".",  # BINBYTES8 of one
        b"\x80\x04\x95" + (1 << 62).to_bytes(8, "little") + b".",  # FRAME
        b"\x80\x02K\x01r\xff\xff\xff\xff.",  # LONG_BINPUT at the end of a list of 2^32
        b"\x80\x02cos\nsystem\n(S'true'\ntR.",
        b"(S'true'\nios\nsystem\n.",  # INST
        b"\x80\x02cnumpy\nndarray\n}U\x04makeK\x01sb.",  # changes what stands for NumPy
        b"\x80\x04\x82\x01.",  # EXT1
        b"Pid\n.",  # PERSID
        b"",
        b"\x80\x04",
        b"garbage",
    ],
)
def test_hostile_pickles(code, tmp_path):
    path = tmp_path / "w.pdparams"
    path.write_bytes(code)
    with pytest.raises(WeightsError):
        readers.read(path)


def test_a_pickle_lies_about_its_bytes(pdparams):
    path = pdparams({"x": np.zeros(4, np.float32)})
    good = path.read_bytes()
    at = good.index(bytes([pickle.BININT1[0], 4]))
    path.write_bytes(good[: at + 1] + b"\x05" + good[at + 2 :])
    with pytest.raises(WeightsError, match="number of bytes of an array does not match its shape"):
        readers.read(path)


@pytest.fixture
def hdf5(tmp_path):
    def write(names, wrapped=""):
        path = tmp_path / "w.h5"
        with h5py.File(path, "w") as file:
            for name, key in names.items():
                file.create_dataset(f"{wrapped}{key}", data=ARRAYS[name])
        return path

    return write


KERAS_1 = {"conv.weight": "conv/conv_W_1:0", "conv.bias": "conv/conv_b_1:0"}
LATER = {"conv.weight": "conv/vgg16/conv/kernel:0", "conv.bias": "conv/vgg16/conv/bias:0"}


@pytest.mark.parametrize("wrapped", ["", "model_weights/"])
@pytest.mark.parametrize(
    ("names", "kernel", "bias"), [(KERAS_1, "W", "b"), (LATER, "kernel", "bias")]
)
def test_the_names_that_keras_has_used(names, kernel, bias, wrapped, hdf5):
    found = readers.read(hdf5(names, wrapped)).arrays
    assert found.keys() == {f"conv.{kernel}", f"conv.{bias}"}
    assert np.array_equal(found[f"conv.{kernel}"].read(), ARRAYS["conv.weight"])


def test_the_numbers_of_weights_h5(tmp_path):
    with h5py.File(tmp_path / "m.weights.h5", "w") as file:
        group = file.create_group("layers/conv2d/vars")
        group.attrs["name"] = "block1_conv1"
        group.create_dataset("0", data=ARRAYS["conv.weight"])
    assert list(readers.read(tmp_path / "m.weights.h5").arrays) == ["block1_conv1.0"]


def test_what_an_optimizer_keeps_is_no_weight(tmp_path):
    with h5py.File(tmp_path / "m.weights.h5", "w") as file:
        group = file.create_group("layers/conv2d/vars")
        group.attrs["name"] = "conv"
        group.create_dataset("0", data=ARRAYS["conv.weight"])
        file.create_dataset("optimizer/vars/0", data=np.int64(3))
    assert list(readers.read(tmp_path / "m.weights.h5").arrays) == ["conv.0"]


def test_two_arrays_of_one_name(hdf5):
    path = hdf5(LATER)
    with h5py.File(path, "a") as file:
        file.create_dataset("conv/other/kernel", data=np.zeros((4, 3, 3, 3), np.float32))
    with pytest.raises(WeightsError, match="two arrays have the name conv.kernel"):
        readers.read(path)


def test_hdf5_that_looks_elsewhere(tmp_path):
    other, path = tmp_path / "other.h5", tmp_path / "w.h5"
    with h5py.File(other, "w") as file:
        file.create_dataset("secret/secret", data=ARRAYS["conv.bias"])
    with h5py.File(path, "w") as file:
        file["conv"] = h5py.ExternalLink(str(other), "/secret")
        file["model_weights"] = h5py.ExternalLink(str(other), "/")
    with pytest.raises(WeightsError, match="contains no arrays"):
        readers.read(path)
    (tmp_path / "raw").write_bytes(b"\0" * 16)
    with h5py.File(path, "w") as file:
        shape = {"shape": (4,), "dtype": "f4"}
        file.create_dataset("a/b", external=[(str(tmp_path / "raw"), 0, 16)], **shape)
    with pytest.raises(WeightsError, match="expected an array of numbers in this file"):
        readers.read(path)
    with h5py.File(path, "w") as file:
        layout = h5py.VirtualLayout(shape=(4,), dtype="f4")
        layout[:] = h5py.VirtualSource(str(other), "secret/secret", shape=(4,))
        file.create_virtual_dataset("a/b", layout)
    with pytest.raises(WeightsError, match="expected an array of numbers in this file"):
        readers.read(path)
    with h5py.File(path, "w") as file:
        file["a/b"] = h5py.Empty("f4")
    with pytest.raises(WeightsError, match="expected an array of numbers in this file"):
        readers.read(path)


def test_a_huge_array_that_was_never_written_is_refused(tmp_path):
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file.create_dataset("a/kernel", shape=(1 << 20, 1 << 20), dtype="f4", chunks=(64, 64))
    with pytest.raises(WeightsError, match="would take 4,398,047 MB of memory, and the file has"):
        readers.read(tmp_path / "w.h5")


@pytest.mark.parametrize("kind", ["pdparams", "h5"])
def test_damaged_files_are_refused_or_have_other_values_only(kind, tmp_path, pdparams, hdf5):
    """These forms have no checksum, so changed values cannot be detected; everything else must be."""
    good = pdparams(ARRAYS) if kind == "pdparams" else hdf5({**LATER, "fc.weight": "fc/kernel"})
    expected = {name: stored.shape for name, stored in readers.read(good).arrays.items()}
    # Around the values only: mutants of these are all alike.
    whole = good.read_bytes()
    values = whole.index(ARRAYS["fc.weight"].tobytes())
    counts = {"refused": 0, "read": 0}
    seeds = random.Random(1)
    for i in range(500):
        head = bytearray(next(mutants(whole[:values], 1, seeds.random())))
        path = tmp_path / f"{i}.{kind}"  # a new name: HDF5 knows files that are still open
        path.write_bytes(bytes(head) + whole[values:])
        try:
            found = readers.read(path).arrays
            if {name: stored.shape for name, stored in found.items()} == expected:
                for stored in found.values():
                    assert stored.read().shape == stored.shape
            counts["read"] += 1
        except WeightsError as error:
            assert str(path) in str(error)
            counts["refused"] += 1
        path.unlink()
    assert counts["refused"] > 250, counts


def test_damaged_chunks(tmp_path):
    with h5py.File(tmp_path / "good.h5", "w") as file:
        for name, options in (
            ("a", {"compression": "gzip", "shuffle": True, "fletcher32": True}),
            ("b", {"compression": "gzip", "maxshape": (None, None)}),
        ):
            data = np.round(rng.standard_normal((60, 50))).astype(np.float32)
            file.create_dataset(f"{name}/kernel", data=data, **options)
    good = (tmp_path / "good.h5").read_bytes()
    refused = 0
    for i, damaged in enumerate(mutants(good, 500, seed=4)):
        path = tmp_path / f"{i}.h5"
        path.write_bytes(damaged)
        try:
            for stored in readers.read(path).arrays.values():
                if stored.shape == (60, 50):
                    assert stored.read().shape == stored.shape
        except WeightsError as error:
            assert str(path) in str(error)
            refused += 1
        path.unlink()
    assert refused > 100


@pytest.mark.parametrize("protocol", [2, 4])
def test_pickles_with_other_instructions(protocol, tmp_path):
    good = pickle.dumps({"a": np.zeros(3, np.float32), "b": ("b_0", np.zeros(2))}, protocol)
    path = tmp_path / "w.pdparams"
    refused = 0
    for code in pickle_mutants(good, 1_000, seed=protocol):
        path.write_bytes(code)
        try:
            for stored in readers.read(path).arrays.values():
                assert stored.read().shape == stored.shape
        except WeightsError as error:
            assert str(path) in str(error)
            refused += 1
    assert refused > 500


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "w.npz",
            r"expected a file of weights, with one of the suffixes \.safetensors, \.pdparams",
        ),
        ("missing.pdparams", "no such file"),
        ("folder.pdparams", "a folder"),
        ("empty.h5", "expected a file of 1 to"),
        ("noise.h5", "not an HDF5 file of weights, or damaged"),
        ("noise.safetensors", "not a safetensors file, or damaged"),
    ],
)
def test_no_file_of_weights_at_all(name, message, tmp_path):
    path = tmp_path / name
    if "folder" in name:
        path.mkdir()
    elif "noise" in name:
        path.write_bytes(bytes(range(256)) * 8)
    elif "missing" not in name:
        path.touch()
    with pytest.raises(WeightsError, match=message):
        readers.read(path)


def test_a_pickle_is_read_where_it_lies(pdparams):
    """Large arrays are not copied before they are asked for."""
    path = pdparams(ARRAYS)
    data = memoryview(path.read_bytes())
    value = pickles.load(data)
    assert np.shares_memory(value["fc.weight"].array(), np.frombuffer(data, np.uint8))


def test_names_in_errors_are_short_and_printable(pdparams):
    with pytest.raises(WeightsError) as caught:
        readers.read(pdparams({"\x1b[2J" + "a" * 1_000_000: 3}))
    message = str(caught.value)
    assert len(message) < 400 and message.isprintable()
