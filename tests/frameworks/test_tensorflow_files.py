"""Checkpoints that TensorFlow writes, compared with what its own reader reads."""

from __future__ import annotations

import re
import shutil

import numpy as np
import pytest
from hostile import outcomes
from loading import load
from publishing import save_in_tensorflow

from zoo.errors import WeightsError
from zoo.language.options import Chosen
from zoo.weights import loading
from zoo.weights.reading import formats, readers

load("keras")
import tensorflow as tf

v1 = tf.compat.v1
rng = np.random.default_rng(0)
VALUES = {
    "net/conv/weights": rng.standard_normal((3, 3, 64, 128), np.float32),
    "net/conv/BatchNorm/beta": rng.standard_normal(5, np.float32),
    "net/double": rng.standard_normal((2, 3)),
    "net/half": rng.standard_normal(4).astype(np.float16),
    "net/scalar": np.array(2.5, np.float32),
    "net/empty": np.zeros((0, 3), np.float32),
    "negative": np.arange(-3, 3, dtype=np.int32),
    "bytes": np.arange(250, dtype=np.uint8),
    "flags": np.array([True, False]),
    "global_step": np.array(-7, np.int64),
}
FILES = ("one.ckpt", "two.ckpt.index")  # versions 1 and 2


def tensors(values):
    return {name: tf.constant(value) for name, value in values.items()}


@pytest.fixture(scope="module", params=FILES)
def file(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("tensorflow") / request.param
    save_in_tensorflow(path, tensors(VALUES))
    return path


def test_what_tensorflow_reads(file):
    opened = readers.read(file)
    reader = tf.train.load_checkpoint(str(file).removesuffix(".index"))
    names = reader.get_variable_to_shape_map()
    assert opened.format == "ckpt"
    assert opened.arrays.keys() == {name.replace("/", ".") for name in names}
    for name, shape in names.items():
        stored = opened.arrays[name.replace("/", ".")]
        found = stored.read()
        assert found.shape == stored.shape == tuple(shape)
        assert found.dtype.name == stored.dtype == VALUES[name].dtype.name
        assert np.array_equal(found, VALUES[name])
        if stored.dtype != "float16":  # which TensorFlow's reader does not have
            assert np.array_equal(found, reader.get_tensor(name))


@pytest.mark.parametrize("version", [1, 2])
def test_what_a_saver_writes(version, tmp_path):
    """As TF-slim's scripts do, with an optimizer's variables; the table leaves those out."""
    with tf.Graph().as_default(), v1.Session() as session:
        with v1.variable_scope("vgg_16/fc8"):
            weights = v1.get_variable("weights", [1, 1, 4, 3], use_resource=False)
        step = v1.train.get_or_create_global_step()
        v1.train.RMSPropOptimizer(0.1, momentum=0.9).minimize(
            tf.reduce_sum(weights**2), global_step=step
        )
        session.run(v1.global_variables_initializer())
        expected = session.run(weights)
        saver = v1.train.Saver(write_version=version)
        saver.save(session, str(tmp_path / "m.ckpt"), write_meta_graph=False)
    path = tmp_path / ("m.ckpt" if version == 1 else "m.ckpt.index")
    arrays = readers.read(path).arrays
    assert np.array_equal(arrays["vgg_16.fc8.weights"].read(), expected)
    from zoo.weights import sources

    assert len(arrays) > 2
    assert sources.source("slim").kept(arrays) == ["vgg_16.fc8.weights"]


def test_bfloat16_and_texts(tmp_path):
    value = tf.cast(tf.constant([1.0, -2.5]), tf.bfloat16)
    path = tmp_path / "b.index"
    save_in_tensorflow(path, {"x": value, "text": tf.constant(["a", "b"])})
    arrays = readers.read(path).arrays
    assert list(arrays) == ["x"]
    assert arrays["x"].dtype == "bfloat16"
    assert arrays["x"].read().tolist() == [1.0, -2.5]


def test_several_files_of_arrays(tmp_path):
    parts = [str(tmp_path / f"part{number}") for number in range(3)]
    for number, part in enumerate(parts):
        values = {f"v{number}": tf.fill([number + 2], number)}
        save_in_tensorflow(tmp_path / f"{part}.index", values)
    tf.raw_ops.MergeV2Checkpoints(checkpoint_prefixes=parts, destination_prefix=str(tmp_path / "m"))
    arrays = readers.read(tmp_path / "m.index").arrays
    assert {name: array.read().tolist() for name, array in arrays.items()} == {
        "v0": [0, 0], "v1": [1, 1, 1], "v2": [2, 2, 2, 2],
    }  # fmt: skip
    gone = tmp_path / "m.data-00001-of-00003"
    gone.unlink()
    with pytest.raises(WeightsError, match=f"its arrays are in {gone.name}, which is not next to"):
        readers.read(tmp_path / "m.index")


def test_many_variables(tmp_path):
    """In several blocks of a table, whose keys share their beginnings."""
    values = {f"scope/{'x' * 30}/{number}": np.float32(number) for number in range(2_000)}
    for name in FILES:
        save_in_tensorflow(tmp_path / name, tensors(values))
        arrays = readers.read(tmp_path / name).arrays
        assert {n: float(a.read()) for n, a in arrays.items()} == {
            n.replace("/", "."): v for n, v in values.items()
        }


def test_a_prefix_stands_for_its_index(file, tmp_path):
    for part in file.parent.iterdir():
        shutil.copy(part, tmp_path)
    prefix = tmp_path / file.name.removesuffix(".index")
    for weights in (prefix, f"slim:{prefix}"):
        loading.check(weights, "vgg16")
        with pytest.raises(WeightsError, match=re.escape(f"{prefix}")) as caught:
            loading.find(weights, "vgg16", Chosen())
        assert "the names of its 9 arrays are not those of vgg16" in str(caught.value)


def test_contents_decide(file, tmp_path):
    for name in ("w.pth", "w.bin", "w"):
        path = tmp_path / name
        shutil.copy(file, path)
        assert formats.format_of(path) == "ckpt"


def test_a_checkpoint_of_objects_has_no_names_of_layers(tmp_path):
    tf.train.Checkpoint(x=tf.Variable(1.0)).write(str(tmp_path / "c"))
    with pytest.raises(WeightsError, match=r"checkpoint of objects.*model\.save_weights"):
        readers.read(tmp_path / "c.index")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/checkpoint").touch()
    with pytest.raises(WeightsError, match=r"pass the path of the \.index file in it"):
        readers.read(tmp_path / "folder")


@pytest.mark.parametrize("version", [1, 2])
def test_a_variable_in_parts(version, tmp_path):
    name = tmp_path / ("p.ckpt" if version == 1 else "p")
    save = {"tensor_names": ["x"]}
    if version == 1:
        tf.raw_ops.SaveSlices(
            filename=str(name), shapes_and_slices=["4 2 0,2:-"], data=[tf.zeros([2, 2])], **save
        )
    else:
        tf.raw_ops.SaveV2(
            prefix=str(name), shape_and_slices=["4 2 0,2:-"], tensors=[tf.zeros([2, 2])], **save
        )
    path = name if version == 1 else tmp_path / "p.index"
    with pytest.raises(WeightsError, match="x is saved in parts, which zoo does not join"):
        readers.read(path)


def test_two_variables_of_one_name(tmp_path):
    for name in FILES:
        save_in_tensorflow(tmp_path / name, tensors({"a/b": np.ones(1), "a.b": np.ones(1)}))
        with pytest.raises(WeightsError, match=r"two variables have the name a(\.|/)b"):
            readers.read(tmp_path / name)


def test_damaged_files(file, tmp_path):
    """Everything that makes a difference has a checksum."""
    path = tmp_path / file.name
    values = {f"net/{i}": np.full(7, i, np.float32) for i in range(20)}
    save_in_tensorflow(path, tensors(values))
    refused, same, changed = outcomes(path, 1000)
    assert changed == 0
    assert refused > 800
    assert same < 200


def test_damaged_arrays(tmp_path):
    """Those of version 2 are in another file."""
    value = rng.standard_normal((64, 64), np.float32)
    save_in_tensorflow(tmp_path / "w.index", tensors({"x": value, "y": value[0]}))
    data = tmp_path / "w.data-00000-of-00001"
    good = bytearray(data.read_bytes())
    for place in range(0, len(good), 257):
        damaged = bytearray(good)
        damaged[place] ^= 1 << place % 8
        data.write_bytes(damaged)
        arrays = readers.read(tmp_path / "w.index").arrays
        with pytest.raises(WeightsError, match=r"damaged: the checksum of [xy] is wrong"):
            [array.read() for array in arrays.values()]
    for content in (good[:-1], b""):
        data.write_bytes(content)
        with pytest.raises(WeightsError, match="lies outside its file"):
            readers.read(tmp_path / "w.index")


def test_the_parts_of_a_checkpoint_are_named(tmp_path):
    save_in_tensorflow(tmp_path / "w.index", tensors({"x": np.ones(3)}))
    with pytest.raises(WeightsError, match=r"a part of .*; pass the path of the \.index file next"):
        readers.read(tmp_path / "w.data-00000-of-00001")
