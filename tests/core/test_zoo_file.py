"""zoo's own file of weights: what is in it, and that a damaged one is never taken."""

from __future__ import annotations

import json
import struct

import ml_dtypes
import numpy as np
import pytest
from damage import mutants
from safetensors.numpy import load_file, save_file

import zoo
from zoo.errors import InputError, WeightsError, ZooError
from zoo.language.options import Chosen
from zoo.views.difference.diff import Difference
from zoo.weights import adaptation, loading
from zoo.weights.reading import zoo_file

SPEC = """
conv: {op: conv, out_channels: 4, kernel_size: 3, bias: false}
bn: {op: batch_norm}
flatten: {op: flatten}
fc: {op: linear, out_features: $num_classes}
"""
HEADER = "options: {num_classes: 5, input_size: 6}\nclasses: [a, b, c, d, e]\n"


@pytest.fixture
def graph(spec_file):
    return zoo.graph(spec_file(SPEC, header=HEADER))


@pytest.fixture
def arrays(graph):
    rng = np.random.default_rng(0)
    return {p.name: rng.standard_normal(p.shape).astype(np.float32) for p in graph.parameters}


@pytest.fixture
def file(tmp_path, graph, arrays):
    path = tmp_path / "weights.safetensors"
    zoo_file.write(path, graph, arrays)
    return path


def arrays_in(path):
    checkpoint = zoo_file.read(path)
    with checkpoint.verified():
        return {name: stored.read() for name, stored in checkpoint.arrays.items()}


def loaded(path):
    """The arrays of a file, as a caller of zoo.load gets them."""
    checkpoint = loading.find(path, None, Chosen())
    with checkpoint.verified():
        network, fill = adaptation.filling(checkpoint.graph(), checkpoint, dtype="float32")
        return {parameter.name: fill(parameter) for parameter in network.parameters}


def test_names_layouts_and_metadata(file, graph, arrays):
    found = load_file(file)  # the library's own reader
    assert found.keys() == arrays.keys()
    for name, value in arrays.items():
        assert found[name].tobytes() == value.tobytes()
    header = file.read_bytes()[8 : 8 + struct.unpack("<Q", file.read_bytes()[:8])[0]]
    metadata = json.loads(header)["__metadata__"]
    assert metadata["format"] == "1"
    assert metadata["model"] == "tiny"
    assert json.loads(metadata["options"]) == {
        "aux": False, "num_classes": 5, "in_channels": 3, "input_size": [6, 6],
    }  # fmt: skip
    assert json.loads(metadata["spec"])["layers"].keys() == {"conv", "bn", "flatten", "fc"}


def test_the_file_knows_its_network(file, graph):
    again = zoo_file.read(file).graph()
    assert not Difference.between(graph, again)
    assert again.classes == ("a", "b", "c", "d", "e")
    assert again.options == graph.options


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
def test_every_dtype_comes_back_bit_for_bit(dtype, tmp_path, graph, arrays):
    assert ml_dtypes.bfloat16  # which makes NumPy know the name
    given = {name: value.astype(dtype) for name, value in arrays.items()}
    given["conv.weight"].ravel()[:4] = [np.nan, np.inf, -0.0, 1e-7]
    zoo_file.write(tmp_path / "w.safetensors", graph, given)
    for name, value in arrays_in(tmp_path / "w.safetensors").items():
        assert value.dtype.name == dtype
        assert value.tobytes() == given[name].tobytes()


def test_arrays_that_are_not_contiguous(tmp_path, graph, arrays):
    given = {name: np.asfortranarray(value) for name, value in arrays.items()}
    zoo_file.write(tmp_path / "w.safetensors", graph, given)
    for name, value in arrays_in(tmp_path / "w.safetensors").items():
        assert np.array_equal(value, arrays[name])


def test_no_damaged_file_is_taken(file):
    path = file.with_name("damaged.safetensors")
    for damaged in mutants(file.read_bytes(), 1200, seed=0):
        path.write_bytes(damaged)
        with pytest.raises(ZooError):
            loaded(path)


def regions(content):
    """Name of each part of a file -> the positions of its bytes."""
    end = 8 + struct.unpack("<Q", content[:8])[0]
    header = content[8:end]
    found = {"length": range(8), "values": range(end, len(content), 53)}
    metadata = json.loads(header)["__metadata__"]
    for key, value in metadata.items():
        start = 8 + header.index(f'"{key}":'.encode())
        written = start + len(f'"{key}":'), len(json.dumps(value, ensure_ascii=False).encode())
        found[f"{key}'s name"] = range(start, written[0] + 1)
        found[key] = range(written[0], sum(written), 7 if key == "spec" else 1)
    braces = 8 + header.index(b"}")  # where the metadata, written first, ends
    first = min(min(positions) for name, positions in found.items() if "'" in name)
    found["start"] = range(8, first)
    found["tensors"] = range(8 + header.index(b'},"') if b'},"' in header else braces, end, 3)
    return found


REGIONS = [
    "length", "start", "format's name", "format", "model's name", "model", "options's name",
    "options", "spec's name", "spec", "origin's name", "origin", "digest's name", "digest",
    "tensors", "values",
]  # fmt: skip


@pytest.mark.parametrize("region", REGIONS)
def test_a_damaged_byte_is_reported_as_damage(region, file):
    """Never as names, shapes, options or a spec that do not fit."""
    good = file.read_bytes()
    assert regions(good).keys() == set(REGIONS)
    path = file.with_name("damaged.safetensors")
    for position in regions(good)[region]:
        for flipped in (1 << position % 8, 1 << (position + 3) % 8):
            damaged = bytearray(good)
            damaged[position] ^= flipped
            path.write_bytes(damaged)
            with pytest.raises(WeightsError, match="damaged") as caught:
                loaded(path)
            first_line = str(caught.value).partition("\n")[0]
            assert "damaged" in first_line.removeprefix(str(path)), (position, flipped)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b'"model":"tiny"', b'"model":"tidy"'),
        (b'\\"num_classes\\": 5', b'\\"num_classes\\": 6'),
        (b'\\"out_channels\\": 4', b'\\"out_channels\\": 8'),
        (b'\\"conv\\": {', b'\\"cnov\\": {'),
        (b'"fc.bias"', b'"fc.bais"'),
        (b'"dtype":"F32"', b'"dtype":"I32"'),
        (b'"model":', b'"nodel":'),
        (b'"digest":', b'"digets":'),
        (b'"format":', b'"fornat":'),
    ],
)
def test_damage_that_would_mislead(before, after, file):
    """Each would otherwise be reported as another network, other names or other shapes."""
    good = file.read_bytes()
    assert before in good and len(before) == len(after)
    path = file.with_name("damaged.safetensors")
    path.write_bytes(good.replace(before, after, 1))
    with pytest.raises(WeightsError, match=r"damaged.safetensors: .*damaged"):
        loaded(path)


def test_an_intact_file_that_does_not_fit_is_not_called_damaged(file):
    checkpoint = loading.find(file, None, Chosen())
    with (
        pytest.raises(WeightsError, match=r"wrong shape: fc.weight") as caught,
        checkpoint.verified(),
    ):
        adaptation.filling(checkpoint.graph(num_classes=7), checkpoint, dtype="float32")
    assert "damaged" not in str(caught.value)


def test_a_file_of_another_format(file):
    path = file.with_name("later.safetensors")
    path.write_bytes(file.read_bytes().replace(b'"format":"1"', b'"format":"2"'))
    with pytest.raises(
        WeightsError, match="format '2' is not the 1 that this version of zoo reads"
    ):
        zoo_file.read(path)


def test_a_safetensors_file_of_someone_else_is_not_zoos(tmp_path, arrays):
    path = tmp_path / "theirs.safetensors"
    save_file(arrays, path)
    assert not zoo_file.is_zoo_file(path)


def test_a_hostile_header(tmp_path):
    path = tmp_path / "w.safetensors"
    path.write_bytes(struct.pack("<Q", 1 << 60) + b"{}")
    with pytest.raises(WeightsError, match="not a safetensors file, or damaged"):
        zoo_file.read(path)
    header = b"[" * 100_000
    path.write_bytes(struct.pack("<Q", len(header)) + header)
    with pytest.raises(WeightsError, match="not a safetensors file, or damaged"):
        zoo_file.read(path)


def test_where_it_cannot_be_written(tmp_path, graph, arrays):
    with pytest.raises(InputError, match=r"expected a name that ends in \.safetensors"):
        zoo_file.write(tmp_path / "w.pt", graph, arrays)
    with pytest.raises(InputError, match="cannot be written: No such file or directory"):
        zoo_file.write(tmp_path / "no" / "w.safetensors", graph, arrays)
