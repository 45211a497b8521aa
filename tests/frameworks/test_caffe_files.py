"""Files of Caffe, written with Google's library: every form that Caffe has had is read alike."""

from __future__ import annotations

import caffe
import numpy as np
import pytest
from damage import mutants
from hostile import outcomes

import zoo
from zoo.errors import WeightsError
from zoo.weights.reading import formats, readers

rng = np.random.default_rng(0)
LAYERS = [
    ("conv1/7x7", "Convolution", [rng.standard_normal((4, 3, 2, 2), np.float32), np.ones(4, "f4")]),
    ("fc", "InnerProduct", [rng.standard_normal((5, 4), np.float32), np.arange(5, dtype="f4")]),
]
EXPECTED = {
    f"{name}.{number}": array for name, _, arrays in LAYERS for number, array in enumerate(arrays)
}


def arrays_of(path):
    return {name: stored.read() for name, stored in readers.read(path).arrays.items()}


@pytest.fixture
def write(tmp_path):
    def write(layers=LAYERS, file="w.caffemodel", **form):
        path = tmp_path / file
        path.write_bytes(caffe.network(layers, **form))
        return path

    return write


@pytest.mark.parametrize("version", [0, 1, 2])
@pytest.mark.parametrize("legacy", [False, True])
def test_every_form_of_a_layer(version, legacy, write):
    opened = readers.read(write(version=version, legacy=legacy))
    assert opened.format == "caffemodel"
    found = {name: stored.read() for name, stored in opened.arrays.items()}
    assert list(found) == list(EXPECTED)
    for name, value in EXPECTED.items():
        assert opened.arrays[name].dtype == "float32"
        assert np.array_equal(found[name].reshape(value.shape), value)
        if value.ndim > 1:  # a bias of old files is [1, 1, 1, n]
            assert found[name].shape == opened.arrays[name].shape == value.shape


def test_double_precision(write):
    value = rng.standard_normal((2, 3))
    stored = readers.read(write([("fc", "InnerProduct", [value])])).arrays["fc.0"]
    assert stored.dtype == "float64"
    assert np.array_equal(stored.read(), value)


def test_values_that_are_not_packed(tmp_path):
    """As protobuf allows for a repeated field, of which parts may also follow each other."""
    blob = b"\x3a\x03\x0a\x01\x03" + b"\x2d" + np.float32(1).tobytes()
    blob += b"\x2a\x08" + np.array([2, 3], "<f4").tobytes()
    layer = b"\x0a\x01a" + b"\x3a" + bytes([len(blob)]) + blob
    path = tmp_path / "w.caffemodel"
    path.write_bytes(b"\xa2\x06" + bytes([len(layer)]) + layer)
    parsed = caffe.message("NetParameter").FromString(path.read_bytes())
    assert list(parsed.layer[0].blobs[0].data) == [1, 2, 3]
    assert arrays_of(path)["a.0"].tolist() == [1, 2, 3]


@pytest.mark.parametrize(("summands", "factor"), [(999.98236, 1 / 999.98236), (1, 1), (0, 0)])
def test_a_batch_norm_has_sums_and_their_number(summands, factor, write):
    """Caffe divides by it when it uses them, and takes 0 for no summands: batch_norm_layer.cpp."""
    sums = [rng.standard_normal(3, np.float32), rng.uniform(1, 2, 3).astype("f4")]
    layers = [
        ("bn", "BatchNorm", [*sums, np.array([summands], "f4")]),
        ("scale", "Scale", [np.ones(3, "f4"), np.zeros(3, "f4")]),
    ]
    found = arrays_of(write(layers))
    assert list(found) == ["bn.0", "bn.1", "scale.0", "scale.1"]
    for number, value in enumerate(sums):
        assert found[f"bn.{number}"].dtype == np.float32
        assert np.allclose(found[f"bn.{number}"], value * factor, rtol=3e-7, atol=0)


@pytest.mark.parametrize("version", [0, 1, 2])
@pytest.mark.parametrize("name", ["net", ""])
@pytest.mark.parametrize("file", ["w.caffemodel", "w.bin", "w"])
def test_contents_decide(version, name, file, write):
    layers = [("data", "Data", []), *LAYERS]
    assert formats.format_of(write(layers, file, version=version, name=name)) == "caffemodel"


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([LAYERS[0], LAYERS[0]], "two layers have the name conv1/7x7"),
        ([("relu", "ReLU", [])], "contains no arrays"),
        ([("bn", "BatchNorm", [np.ones(3, "f4")] * 3)], "the number of summands of bn is not one"),
    ],
)
def test_what_is_not_valid(layers, message, write):
    path = write(layers)
    with pytest.raises(WeightsError, match=message) as caught:
        readers.read(path)
    assert str(path) in str(caught.value)


def change(alter):
    net = caffe.message("NetParameter").FromString(caffe.network(LAYERS))
    alter(net.layer[0].blobs[0])
    return net.SerializeToString()


@pytest.mark.parametrize(
    "alter",
    [
        lambda blob: blob.data.pop(),
        lambda blob: blob.data.append(1),
        lambda blob: blob.ClearField("data"),
        lambda blob: blob.shape.dim.append(-1),
        lambda blob: blob.shape.dim.append(2**62),
        lambda blob: blob.shape.dim.extend([1] * 200),
        lambda blob: setattr(blob, "num", 4),
        lambda blob: blob.double_data.append(0.5),
    ],
)
def test_a_shape_that_is_not_that_of_the_values(alter, tmp_path):
    path = tmp_path / "w.caffemodel"
    path.write_bytes(change(alter))
    with pytest.raises(WeightsError, match=r"w\.caffemodel: not a Caffe file .* or damaged"):
        readers.read(path)


def test_damaged_files(write):
    """The format has no checksum: changed values and names cannot be detected."""
    layers = [(f"conv{i}", "Convolution", [np.full((2, 1, 1, 1), i, "f4")]) for i in range(12)]
    refused, same, changed = outcomes(write(layers), 1000)
    assert refused > 300
    assert same + changed > 50


def test_a_file_cut_short(write):
    path = write()
    content = path.read_bytes()
    for end in range(1, len(content), 3):
        path.write_bytes(content[:end])
        try:
            found = arrays_of(path)
        except WeightsError:
            continue
        assert len(found) < len(EXPECTED)  # it ends after a layer
        for name, value in found.items():
            assert np.array_equal(value, EXPECTED[name])


def test_the_first_bytes_of_damaged_files_raise_nothing():
    from zoo.weights.reading import caffe_file

    good = caffe.network(LAYERS)[:200]
    assert caffe_file.begins(good)
    for start in mutants(good, 2000, 0):
        caffe_file.begins(start)
    assert not caffe_file.begins(b"\x0a\x07\x0a\x05input\x12\x01x")  # a graph of TensorFlow
    assert not caffe_file.begins(b"")


def test_networks_of_the_same_names(tmp_path):
    """CaffeNet and AlexNet have the same layers with weights, in another order of the rest."""
    parameters = zoo.graph("alexnet_bvlc").parameters
    kernels = iter(p.shape for p in parameters if len(p.shape) == 4)
    layers = []
    for name in ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8"):
        convolution = name.startswith("conv")
        shape = next(kernels) if convolution else (1, 1)  # the others are large
        kind = "Convolution" if convolution else "InnerProduct"
        layers.append((name, kind, [np.zeros(shape, "f4"), np.zeros(shape[0], "f4")]))
    path = tmp_path / "mine.caffemodel"
    path.write_bytes(caffe.network(layers))
    with pytest.raises(WeightsError, match="alexnet_bvlc and of caffenet, which compute different"):
        zoo.load(path, "torch")
