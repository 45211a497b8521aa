"""Files are told by their contents, and what is not a file of weights is named."""

from __future__ import annotations

import gzip
import json
import os
import pickle
import shutil
import tarfile
import time
import zipfile

import h5py
import numpy as np
import pytest
from safetensors.numpy import save_file

import zoo
from zoo.errors import UnknownNameError, WeightsError
from zoo.language import catalog
from zoo.language.options import Chosen
from zoo.weights import loading
from zoo.weights.reading import formats, readers

ARRAYS = {"a.weight": np.arange(3, dtype=np.float32), "b.weight": np.ones((2, 2), np.float32)}
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a21\nsize 46830571\n"


def page(text):
    return lambda path: path.write_bytes(text)


def zipped(**entries):
    def write(path):
        with zipfile.ZipFile(path, "w") as file:
            for name, content in entries.items():
                file.writestr(name.replace("__", "/").replace("_DOT_", "."), content)

    return write


def beside(other, content):
    def write(path):
        path.with_name(other).write_bytes(b"<?xml?>")
        path.write_bytes(content)

    return write


def tarred(path):
    source = path.with_name("inner.pth")
    source.write_bytes(bytes(100))
    with tarfile.open(path, "w") as file:
        file.add(source)


def folder(*names):
    def write(path):
        path.mkdir()
        for name in names:
            (path / name).write_bytes(b"x")

    return write


#: What a file is -> what it is called, what writes it, and what the error says.
OTHERS = {
    "a pointer": ("w.pth", page(POINTER), "Git LFS pointer.*git lfs pull"),
    "a pointer, safetensors": ("w.safetensors", page(POINTER), "Git LFS pointer"),
    "a pointer, h5": ("w.h5", page(POINTER), "Git LFS pointer"),
    "a page": ("w.pth", page(b"\n<!DOCTYPE html><html>"), r"HTML.*download it again"),
    "a page, safetensors": ("w.safetensors", page(b"<HTML lang=en>" + bytes(99)), "HTML"),
    "a server's error": (
        "w.h5", page(b'<?xml version="1.0"?>\n<Error><Code>NoSuchKey</Code></Error>'), "answer, NoSuchKey"
    ),
    "OpenVINO": ("w.xml", page(b'<?xml version="1.0"?>\n<net name="Model0" version="11">'), "OpenVINO"),
    "values of OpenVINO": ("w.bin", beside("w.xml", bytes(range(99, 199))), "OpenVINO"),
    "other XML": ("w.xml", page(b"<?xml version='1.0'?><svg/>"), "an XML file"),
    "a pointer of DVC": ("w.pth.dvc", page(b"outs:\n- md5: 22e1\n  path: w.pth\n"), "'dvc pull'"),
    "a pointer of git-annex": ("w.pth", page(b"/annex/objects/MD5E-s9--d41d.pth\n"), "'git annex get'"),
    "MLflow's list": ("MLmodel", page(b"flavors:\n  pytorch:\n    code: null\n"), "MLflow.*in its folder"),
    "a configuration": ("config.json", page(b'{"architectures": ["ResNet"]}'), "text file, not a file of"),
    "a network of Caffe, as text": ("w.prototxt", page(b'name: "LeNet"\n'), "pass .*caffemodel"),
    "an answer": ("w.pth", page(b'{"message": "Not Found"}'), r"a text.*Not Found.*download"),
    "nothing": ("w.pth", page(b""), "it is empty; download or save it again"),
    "gzip": ("w.pth", lambda path: path.write_bytes(gzip.compress(b"x")), "gzip; decompress it"),
    "a tar": ("w.tar", tarred, "a tar archive; unpack it"),
    "a zip": ("w.zip", zipped(w_DOT_pth=b"x"), "a zip archive; unpack it"),
    "a zip, called pth": ("w.pth", zipped(w_DOT_pth=b"x"), "a zip archive; unpack it"),
    "TorchScript": (
        "w.pt", zipped(w__data_DOT_pkl=b"x", w__code__a_DOT_py=b"x"), r"TorchScript.*torch\.jit\.load"
    ),
    "torch.export": ("w.pt2", zipped(w__models__model_DOT_json=b"{}"), r"torch\.export"),
    "npz": ("w.npz", lambda path: np.savez(path, a=np.zeros(3)), r"\.npz.*safetensors"),
    "npy": ("w.npy", lambda path: np.save(path, np.zeros(3)), "a NumPy array"),
    "a graph": ("frozen.pb", page(b"\x08\x01\x12\x05\n\x03abc"), "a TensorFlow graph"),
    "a TensorFlow checkpoint": (
        "m.ckpt.data-00000-of-00001", page(bytes(9)), "a part of a TensorFlow checkpoint; .*index"
    ),
    "a list of checkpoints": (
        "checkpoint", page(b'model_checkpoint_path: "m.ckpt"\n'), r"a list of checkpoints; .*\.index"
    ),
    "a V1 checkpoint cut short": ("m.ckpt", page(bytes(99)), "its end is missing; download or save it"),
    "its graph": ("m.ckpt.meta", page(bytes(9)), "a part of a TensorFlow checkpoint"),
    "TensorFlow Lite": ("w.tflite", page(b"\x1c\0\0\0TFL3" + bytes(99)), "TensorFlow Lite"),
    "a program of JAX": ("w.jaxexport", page(b"<\0\0\0" + bytes(range(99))), r"that jax\.export saved"),
    "pdmodel": ("w.pdmodel", page(b"\n\x9e" + bytes(99)), r"paddle\.jit\.save"),
    "a new program": ("w.json", page(b'{"base_code":{"magic":"pir","version":4}}'), r"paddle\.jit\.save"),
    "names": ("w.pdiparams.info", page(b"\x80\x02}q\0."), "the names of weights; pass the .pdiparams file"),
    "an optimizer": ("w.pdopt", page(b"\x80\x04}."), "the state of an optimizer"),
    "a network of Caffe": ("w.prototxt", page(b'name: "LeNet"\nlayer {' + bytes(9)), "pass .*caffemodel"),
    "a picture": ("w.png", page(b"\x89PNG\r\n"), "a picture"),
    "a SavedModel": ("saved", folder("saved_model.pb", "keras_metadata.pb"), "a SavedModel"),
    "a folder of Hugging Face": ("hub", folder("config.json", "model.safetensors"), "the path of mo"),
    "a folder of Orbax": ("orbax", folder("_METADATA", "d"), "Orbax, or damaged"),
    "a distributed folder": ("dcp", folder(".metadata", "__0_0.distcp"), r"distributed.*dcp_to_torch_save"),
    "a part of it": ("__0_0.distcp", page(b"PK"), r"a part of a distributed.*dcp_to_torch_save"),
    "a distributed folder of Paddle": (
        "dist", folder("0.metadata", "0_0.distcp"), r"of PaddlePaddle.*load_state_dict.*paddle\.save"
    ),
    "a part of Paddle's": ("0_0.distcp", page(b"PK"), r"a part of .*of PaddlePaddle.*paddle\.save"),
    "the list of Paddle's": ("0.metadata", page(b"\x80\x04}."), r"of PaddlePaddle.*paddle\.save"),
    "Keras' configuration": (
        "w.json", page(b'{"module": "keras.src", "class_name": "Functional"}'), "which has no weights; save"
    ),
    "Flax's older folder": ("flax", folder("checkpoint_7", "checkpoint_12"), "the path of checkpoint_12"),
    "a folder of TensorFlow": ("tf", folder("checkpoint", "c-1.index"), "a TensorFlow checkpoint"),
    "a backup of Keras": ("backup", folder("training_metadata.json"), r"latest\.weights\.h5"),
    "a list of Keras": ("w.weights.json", page(b"{}"), "Keras saved in several files"),
    "a folder": ("folder.pth", folder(), "a folder; pass the path of the file"),
    "a part": ("model-00001-of-00003.safetensors", page(b"x"), r"model\.safetensors\.index\.json"),
    "no format": ("w.dat", page(bytes(range(256))), "of no format that zoo reads"),
    "a pipe": ("w.pth", os.mkfifo, "a pipe or a device, not a file"),
    "no file": ("gone.pth", lambda path: None, "no such file"),
}  # fmt: skip


@pytest.mark.parametrize("kind", OTHERS)
def test_other_files_are_named_at_once(kind, tmp_path):
    name, write, message = OTHERS[kind]
    write(tmp_path / name)
    start = time.perf_counter()
    for network in (None, "resnet18"):
        with pytest.raises(WeightsError, match=message) as caught:
            loading.find(tmp_path / name, network, Chosen())
        assert str(tmp_path / name) in str(caught.value)
    assert time.perf_counter() - start < 2
    if kind != "a folder of Orbax":  # which is opened to find out
        with pytest.raises(WeightsError, match=message):
            loading.check(tmp_path / name, None)


#: A class or function in a pickle -> how the framework that has it saves weights.
SAVING = {
    "flax.nnx.statelib State": r"msgpack_serialize\(nnx\.to_pure_dict",
    "zoo.flax.model Network": r"msgpack_serialize\(nnx\.to_pure_dict",
    "jax._src.array _reconstruct_array": r"msgpack_serialize\(nnx\.to_pure_dict",
    "keras.src.models.functional Functional": r"model\.save_weights\('w\.weights\.h5'\)",
    "zoo.paddle.model Network": r"paddle\.save\(model\.state_dict\(\), 'w\.pdparams'\)",
    "zoo.torch.model Network": r"torch\.save\(model\.state_dict\(\), 'w\.pth'\)",
    "__main__ Net": r"torch\.save\(model\.state_dict\(\), 'w\.pth'\)",
}


@pytest.mark.parametrize("name", SAVING)
def test_an_object_of_a_framework_is_saved_as_that_framework_does(name, tmp_path):
    thing = f"c{name.replace(' ', chr(10))}\n".encode()
    attribute = b"cbuiltins\ngetattr\n" + thing + b"X\1\0\0\0a\x86R"
    for value in (thing, attribute, thing + b"K\0\x86", b"}X\1\0\0\0a" + thing + b"s"):
        (tmp_path / "w.pkl").write_bytes(b"\x80\x02" + value + b".")
        with pytest.raises(WeightsError, match=f"{name.replace(' ', '.')}.*{SAVING[name]}"):
            readers.read(tmp_path / "w.pkl")


def test_a_tensor_that_pickle_itself_wrote(tmp_path):
    value = b"ctorch._utils\n_rebuild_tensor_v2\n(ctorch.storage\n_load_from_bytes\nC\0\x85RtR"
    (tmp_path / "w.pkl").write_bytes(b"\x80\x03}X\1\0\0\0a" + value + b"s.")
    with pytest.raises(WeightsError, match=r"a: .* pickled without torch\.save; .*torch\.save\("):
        readers.read(tmp_path / "w.pkl")


def test_names_may_be_bytes(tmp_path):
    named = {name.encode(): array for name, array in ARRAYS.items()}
    for value in (named, {"state_dict": named}):
        (tmp_path / "w.pkl").write_bytes(pickle.dumps(value))
        assert readers.read(tmp_path / "w.pkl").arrays.keys() == ARRAYS.keys()


def test_empty_arrays_are_refused(tmp_path):
    empty = {name: array[:0] for name, array in ARRAYS.items()}
    save_file(empty, tmp_path / "w.safetensors")
    (tmp_path / "w.pkl").write_bytes(pickle.dumps(empty))
    for name, advice in (("w.safetensors", "DeepSpeed"), ("w.pkl", "of a model that has them")):
        with pytest.raises(WeightsError, match=f"its arrays are empty.*{advice}"):
            readers.read(tmp_path / name)


def test_arrays_without_names_are_refused(tmp_path):
    (tmp_path / "w.pkl").write_bytes(pickle.dumps([*ARRAYS.values()]))
    with pytest.raises(WeightsError, match=r"Keras' model\.get_weights\(\).*model\.save_weights"):
        readers.read(tmp_path / "w.pkl")


@pytest.mark.parametrize(
    ("names", "advice"),
    [
        (["fc.weight_g", "fc.weight_v"], r"paddle\.nn\.utils\.remove_weight_norm\(layer\)"),
        (
            ["fc.weight_orig", "fc.weight_u", "fc.weight_v"],
            "spectral_norm; save the weights .*without",
        ),
    ],
)
def test_a_normalized_layer_is_undone_as_its_framework_does(names, advice, tmp_path):
    for also, what in ((["bn._mean"], advice), (["bn.running_mean"], "torch.nn.utils.remove_")):
        arrays = dict.fromkeys([*names, *also], np.ones((2, 2), np.float32))
        for path in (tmp_path / "w.pkl", tmp_path / "w.safetensors"):
            path.write_bytes(pickle.dumps(arrays))
            if path.suffix == ".safetensors":
                save_file(arrays, path)
            with pytest.raises(WeightsError, match=what):
                loading.find(path, None, Chosen())


def hdf5(path):
    with h5py.File(path, "w") as file:
        for name, array in ARRAYS.items():
            file[name.replace(".", "/")] = array


def keras(path):
    inner = path.with_name("inner.h5")
    hdf5(inner)
    zipped(config_DOT_json=b"{}", model_DOT_weights_DOT_h5=inner.read_bytes())(path)


def onnx(path):
    """A program that adds arrays to its input, as the few bytes that this takes."""

    def message(number, content):
        return bytes([number << 3 | 2, len(content)]) + content

    graph = b""
    for name, array in ARRAYS.items():
        shape = b"".join(bytes([8, size]) for size in array.shape)
        named = message(8, name.encode()) + message(9, array.tobytes())
        graph += message(5, shape + b"\x10\x01" + named)
        graph += message(1, message(1, b"x") + message(1, name.encode()) + message(4, b"Add"))
    path.write_bytes(
        b"\x08\x07\x12\x07pytorch\x1a\x052.6.0" + message(7, graph) + message(8, b"\x10\x15")
    )


WRITERS = {
    "onnx": onnx,
    "safetensors": lambda path: save_file(ARRAYS, path),
    "pdparams": lambda path: path.write_bytes(pickle.dumps(ARRAYS, protocol=4)),
    "h5": hdf5,
    "keras": keras,
}


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("suffix", [".pth", ".ckpt", ".h5", ".safetensors", ".best", ""])
def test_contents_decide_not_the_suffix(kind, suffix, tmp_path):
    path = tmp_path / f"weights{suffix}"
    WRITERS[kind](path)
    opened = readers.read(path)
    assert opened.format == {"keras": "h5"}.get(kind, kind)
    assert {name: array.read().tolist() for name, array in opened.arrays.items()} == {
        name: array.tolist() for name, array in ARRAYS.items()
    }


def test_a_keras_file_with_compressed_entries_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "w.keras", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("config.json", "{}" * 99)
        file.writestr("model.weights.h5", bytes(10_000_000))
    with pytest.raises(WeightsError, match="its entries are compressed"):
        readers.read(tmp_path / "w.keras")


def test_an_index_and_its_files(tmp_path):
    network = "squeezenet1_1"
    graph = zoo.graph(network)
    names = [parameter.name for parameter in graph.parameters]
    arrays = {p.name: np.full(p.shape, i, np.float16) for i, p in enumerate(graph.parameters)}
    parts = {"model-00001-of-00002.safetensors": names[:9]}
    parts["model-00002-of-00002.safetensors"] = names[9:]
    for file, some in parts.items():
        save_file({name: arrays[name] for name in some}, tmp_path / file)
    listed = {name: file for file, some in parts.items() for name in some}
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": listed}))
    found = readers.read(index).arrays
    assert {name: array.read()[..., 0].max() for name, array in found.items()} == {
        name: array[..., 0].max() for name, array in arrays.items()
    }
    shutil.move(tmp_path / "model-00002-of-00002.safetensors", tmp_path / "elsewhere")
    with pytest.raises(WeightsError, match=r"model-00002-of-00002\.safetensors, which is not in"):
        readers.read(index)


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{}", '{"weight_map": 3}', '{"weight_map": {"a": "../w.safetensors"}}',
        '{"weight_map": {"a": "/etc/passwd"}}', '{"weight_map": {"a": "w.safetensors.index.json"}}',
        '{"weight_map": {"a": "other.safetensors"}}', '{"weight_map": ' + "[" * 100_000,
    ],
)  # fmt: skip
def test_an_index_of_anything_else(text, tmp_path):
    index = tmp_path / "w.safetensors.index.json"
    index.write_text(text)
    save_file(ARRAYS, tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match=r"w\.safetensors\.index\.json"):
        readers.read(index)


def test_a_file_of_weights_is_no_network():
    assert set(formats.SUFFIXES) == catalog.WEIGHTS
    for name in ("s.onnx", "folder/s.safetensors"):
        with pytest.raises(UnknownNameError, match=f"'{name}' is a file of weights, not a network"):
            zoo.graph(name)


@pytest.mark.parametrize("suffix", formats.SUFFIXES)
def test_every_suffix_has_a_reader(suffix, tmp_path):
    if suffix == ".msgpack":
        pytest.importorskip("msgpack")  # comes with Flax
    path = tmp_path / f"w{suffix}"
    path.write_bytes(bytes(128))
    with pytest.raises(WeightsError, match=r"not a.*or damaged"):
        readers.read(path)
