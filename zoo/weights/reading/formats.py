"""Recognizes files of weights by their contents, and says what other files are.

The name of a file matters only if the contents do not decide: training scripts give PyTorch files
any suffix.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from zoo.errors import WeightsError
from zoo.weights.reading import archives, caffe_file, orbax_folder, sstable, tensorflow_checkpoint

MAX_BYTES = 20_000_000_000

#: Suffix -> format.
SUFFIXES = {
    ".safetensors": "safetensors",
    ".pdparams": "pdparams",
    ".pdema": "pdparams",
    ".pdiparams": "pdiparams",
    ".h5": "h5",
    ".hdf5": "h5",
    ".keras": "keras",
    ".msgpack": "msgpack",
    ".onnx": "onnx",
    ".caffemodel": "caffemodel",
    tensorflow_checkpoint.INDEX: "ckpt",
    **dict.fromkeys((".pth", ".pt", ".bin", ".ckpt", ".tar"), "pth"),
}

#: The message for anything else.
EXPECTED = f"expected a file of weights, with one of the suffixes {', '.join(SUFFIXES)}"

#: A pickle of PyTorch's magic number, of any protocol; those from the fourth on have frames.
_PYTORCH_BEFORE_1_6 = re.compile(
    rb"\x80[\x02-\x05](\x95.{8})?\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19\.", re.DOTALL
)
_MAX_TEXT = 100_000  # bytes of what a server may send instead of a file
_KERAS_INDEX = ".weights.json"
_INDEX = ".index.json"  # the end of the names of indexes of several files

_HDF5 = b"\x89HDF\r\n\x1a\n"

#: Position and value of the bytes that identify a format that zoo does not read, and a message.
_OTHERS = (
    (
        0,
        b"version https://git-lfs",
        "a Git LFS pointer, which only stands for the file; fetch the file itself with "
        "'git lfs pull', or download it from the repository's page",
    ),
    (
        0,
        b"/annex/objects/",
        "a git-annex pointer, which only stands for the file; fetch the file itself with "
        "'git annex get'",
    ),
    (
        0,
        b"outs:\n- md5: ",
        "a DVC pointer, which only stands for the file; fetch the file itself with 'dvc pull', and "
        "pass its path",
    ),
    (0, b"\x93NUMPY", "a NumPy array; zoo reads arrays by name: {npz}"),
    (0, b"\x1f\x8b", "compressed with gzip; decompress it first (gunzip, or tar -xzf)"),
    (0, b"BZh", "compressed with bzip2; decompress it first (bunzip2, or tar -xjf)"),
    (0, b"\xfd7zXZ\x00", "compressed with xz; decompress it first (unxz, or tar -xJf)"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it, and pass the path of the file in it"),
    (0, b"Rar!", "a RAR archive; unpack it, and pass the path of the file in it"),
    (257, b"ustar", "a tar archive; unpack it (tar -xf), and pass the path of the file in it"),
    (4, b"TFL3", "a TensorFlow Lite model; {model}"),
)

_PROGRAM = "a program that paddle.jit.save wrote; its weights are in the .pdiparams next to it"
_TENSORFLOW = "a TensorFlow checkpoint; pass the path of the .index file"
_KERAS_PARTS = (
    "weights that Keras saved in several files, in which some layers have no names; load them into "
    "the model that saved them, and call model.save_weights('w.weights.h5')"
)
_DISTRIBUTED = (
    "a distributed checkpoint of PyTorch; join its parts with "
    "torch.distributed.checkpoint.format_utils.dcp_to_torch_save(folder, 'w.pth')"
)
_DISTRIBUTED_PADDLE = (
    "a distributed checkpoint of PaddlePaddle; load it into the model with "
    "paddle.distributed.load_state_dict(model.state_dict(), folder), and call "
    "paddle.save(model.state_dict(), 'w.pdparams')"
)
_NPZ = "save them as .safetensors with safetensors.numpy.save_file"
_MODEL = (
    "zoo reads weights by the names of layers; save the weights of the model that it was made from"
)

_OPENVINO = "an OpenVINO model, which merges layers; pass the weights that it was exported from"

#: End of a name -> what such a file is, if its contents do not show it.
_NAMED = (
    (
        r"\.pb|\.pbtxt",
        f"a TensorFlow graph; {_MODEL}, in Keras: model.save_weights('w.weights.h5')",
    ),
    (r"\.pdmodel", _PROGRAM),
    (r"\.prototxt", "a Caffe network without weights; pass the path of the .caffemodel file"),
    (r"^mlmodel", "MLflow's description of a model; pass the path of the weights in its folder"),
    (r"\.jaxexport", f"a program that jax.export saved; {_MODEL}"),
    (r"\.tflite", f"a TensorFlow Lite model; {_MODEL}"),
    (r"\.mlmodel|\.mlpackage", f"a Core ML model; {_MODEL}"),
    (r"\.npy", f"a NumPy array; zoo reads arrays by name: {_NPZ}"),
    (r"\.npz", f"arrays of NumPy, which state no layout; {_NPZ}"),
    (r"\.meta", f"a part of {_TENSORFLOW} next to it"),
    (r"\.ya?ml|\.json|\.txt|\.csv|\.py|\.md|\.xml", "a text file, not a file of weights"),
    (r"\.(png|jpe?g|gif|webp)", "a picture, not a file of weights"),
)

#: A name -> what such a file is, although its contents look like weights.
_BESIDE = (
    (r"__\d+_\d+\.distcp|\.metadata", f"a part of {_DISTRIBUTED}"),
    (r"\d+_\d+\.distcp|\d+\.metadata", f"a part of {_DISTRIBUTED_PADDLE}"),
    (r".*\.pdopt", "the state of an optimizer; pass the file of weights, .pdparams"),
    (r".*\.pdiparams\.info", "the names of weights; pass the .pdiparams file next to it"),
)

_STEP = re.compile(r"checkpoint_(\d{1,18})")  # a file of flax.training.checkpoints

#: A file in a folder -> what the folder is.
_FOLDERS = (
    (
        "saved_model.pb",
        f"a SavedModel of TensorFlow; {_MODEL}, in Keras: model.save_weights('w.weights.h5'). "
        "A SavedModel of Keras 2 can be loaded by tf_keras",
    ),
    (".metadata", _DISTRIBUTED),
    ("0.metadata", _DISTRIBUTED_PADDLE),
    ("checkpoint", f"a folder with {_TENSORFLOW} in it"),
    ("training_metadata.json", "a backup of Keras; pass the path of latest.weights.h5 in it"),
    ("data.pkl", "an unpacked PyTorch file; pass the file itself"),
    ("model.safetensors", "a folder; pass the path of model.safetensors in it"),
    (f"model.safetensors{_INDEX}", f"a folder; pass the path of model.safetensors{_INDEX} in it"),
    ("pytorch_model.bin", "a folder; pass the path of pytorch_model.bin in it"),
    (f"pytorch_model.bin{_INDEX}", f"a folder; pass the path of pytorch_model.bin{_INDEX} in it"),
    ("model.weights.h5", "a folder; pass the path of model.weights.h5 in it"),
)


def located(path: Path) -> Path:
    """Return the file that a path stands for, as in TensorFlow and Paddle it may lack its end."""
    if not os.path.exists(path):
        for end in (tensorflow_checkpoint.INDEX, ".pdiparams"):
            if os.path.isfile(f"{path}{end}"):
                return Path(f"{path}{end}")
    return path


def format_of(path: Path, part: bool = False) -> str:
    """Return the format of a file of weights.

    Args:
        path: The file.
        part: Whether it may be one of several that an index lists.

    Returns:
        ``safetensors``, ``pth``, ``pdparams``, ``pdiparams``, ``h5``, ``keras``, ``msgpack``,
        ``onnx``, ``caffemodel``, or ``ckpt``;
        ``index`` for a list of the files that the arrays are in; ``orbax`` for a folder of Orbax.

    Raises:
        WeightsError: There is no such file, or it is something else; the message says what it is,
            and what to do.
    """
    known = "" if path.suffix.lower() in SUFFIXES else f"; {EXPECTED}"
    try:
        if path.is_dir():
            if orbax_folder.is_checkpoint(path):
                return "orbax"
            raise WeightsError(f"{path}: {_folder(path)}")
        if not path.is_file():
            problem = "a pipe or a device, not a file" if path.exists() else "no such file"
            raise WeightsError(f"{path}: {problem}{known}")
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(512)
            file.seek(max(size - len(sstable.MAGIC), 0))
            end = file.read(len(sstable.MAGIC))
    except OSError as error:
        raise WeightsError(f"{path}: {error.strerror or error}") from None
    if not 0 < size <= MAX_BYTES:
        advice = "" if size else f": it is empty; download or save it again{known}"
        raise WeightsError(
            f"{path}: expected a file of 1 to {MAX_BYTES:,} bytes, got {size:,}{advice}"
        )
    if path.name.endswith(_INDEX):
        return "index"
    shard = re.fullmatch(r"(.+)-\d{5}-of-(\d{5})(\.\w+)", path.name)
    if shard and int(shard[2]) > 1 and not part:
        index = f"{shard[1]}{shard[3]}{_INDEX}"
        raise WeightsError(
            f"{path}: one of several files with the weights; pass the path of {index}, which lists "
            "them"
        )
    shard = re.fullmatch(r"(.+)_\d{5}\.weights\.h5", path.name)
    if path.name.endswith(_KERAS_INDEX) or (
        shard and path.with_name(f"{shard[1]}{_KERAS_INDEX}").is_file()
    ):
        raise WeightsError(f"{path}: {_KERAS_PARTS}")
    if what := next((what for named, what in _BESIDE if re.fullmatch(named, path.name)), ""):
        raise WeightsError(f"{path}: {what}")
    if re.search(r"\.data-\d{5}-of-\d{5}$", path.name):
        raise WeightsError(f"{path}: a part of {_TENSORFLOW} next to it")
    found = _by_contents(path, start, end, size) or SUFFIXES.get(path.suffix.lower())
    if found == "pth" and path.suffix == ".ckpt" and start.startswith(b"\0"):
        raise WeightsError(
            f"{path}: not a checkpoint of PyTorch or TensorFlow, or damaged: its end is missing; "
            "download or save it again"
        )
    if found is None:
        what = _named(path) or f"its contents are of no format that zoo reads; {EXPECTED}"
        raise WeightsError(f"{path}: {what}")
    return found


def _named(path: Path) -> str:
    """Say what a file is by the end of its name; empty if that says nothing."""
    found = (what for end, what in _NAMED if re.search(f"({end})$", path.name.lower()))
    return next(found, "")


def _markup(start: bytes) -> str:
    """Say what a file is that begins as a page or as XML; empty if it does not."""
    if re.match(rb"(\xef\xbb\xbf)?\s*<(!doctype|html|head|!--)", start, re.IGNORECASE):
        return (
            "an HTML page, not the file; download it again from the link of the file itself, not "
            "of the page that shows it"
        )
    if not re.match(rb"(\xef\xbb\xbf)?\s*<(\?xml|error>)", start, re.IGNORECASE):
        return ""
    if re.search(rb"<net name=", start):
        return _OPENVINO
    if code := re.search(rb"<error>.*?<code>(\w{1,50})</code>", start, re.IGNORECASE | re.DOTALL):
        return f"a server's answer, {code[1].decode()}, not the file; download it again"
    return "an XML file, not a file of weights"


def _folder(path: Path) -> str:
    names = {entry.name for entry in path.iterdir()}
    if what := next((what for name, what in _FOLDERS if name in names), ""):
        return what
    steps = {int(step[1]): step[0] for name in names if (step := _STEP.fullmatch(name))}
    file = steps[max(steps)] if steps else "the file of weights"
    return f"a folder; pass the path of {file} in it"


def _by_contents(path: Path, start: bytes, end: bytes, size: int) -> str | None:
    """Return the format that the first or last bytes of a file state, if they state one."""
    if end == sstable.MAGIC:
        return "ckpt"
    if start.startswith(_HDF5):
        return "h5"
    if _PYTORCH_BEFORE_1_6.match(start):
        return "pth"
    for place, magic, what in _OTHERS:
        if start.startswith(magic, place):
            raise WeightsError(f"{path}: {what.format(npz=_NPZ, model=_MODEL)}")
    if what := _markup(start):
        raise WeightsError(f"{path}: {what}")
    if re.match(rb"\x08[\x01-\x20]\x12[\x01-\x40][\w.-]+", start):  # version, producer
        return "onnx"
    if start.startswith(b"PK\x03\x04"):
        return _by_entries(path)
    if start[8:9] == b"{" and 2 <= int.from_bytes(start[:8], "little") <= size - 8:
        return "safetensors"
    if caffe_file.begins(start):
        return "caffemodel"
    if re.match(rb"(?s)([\x81-\x8f]|\xde..|\xdf....)[\xa0-\xbf\xd9-\xdb]", start):
        return "msgpack"  # a map whose first key is a string
    if start[:1] == b"\x80" and start[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return "pdparams"  # or any other pickle
    if start.startswith(b'{"base_code":{"magic":"pir"'):
        raise WeightsError(f"{path}: {_PROGRAM}")
    if start.startswith(b"model_checkpoint_path:"):
        raise WeightsError(
            f"{path}: a list of checkpoints; pass the path of the .index file of one"
        )
    if re.match(rb'\s*\{\s*"(module|class_name)":\s*"', start):
        raise WeightsError(
            f"{path}: the configuration of a model of Keras, which has no weights; save them with "
            "model.save_weights('w.weights.h5')"
        )
    if size < _MAX_TEXT and re.fullmatch(rb"[\t\n\r\x20-\x7e]+", start):
        begins = start.decode().strip().partition("\n")[0][:60]
        what = _named(path) or f"a text file, not weights ({begins!r}); download it again"
        raise WeightsError(f"{path}: {what}")
    if path.suffix.lower() == ".bin" and path.with_suffix(".xml").is_file():
        raise WeightsError(f"{path}: {_OPENVINO}")
    return None


def _by_entries(path: Path) -> str | None:
    """Return the format of a zip, by what is in it."""
    try:
        names = archives.names(path)
    except Exception:  # damaged, which its reader reports
        return None
    if {"config.json", "model.weights.h5"} <= names:
        return "keras"
    local = {name.partition("/")[2] for name in names}
    if any(name.startswith("code/") or name == "constants.pkl" for name in local):
        raise WeightsError(
            f"{path}: a TorchScript archive, which holds a program; load it with PyTorch and save "
            "its weights: torch.save(torch.jit.load(path).state_dict(), 'w.pth')"
        )
    if "data.pkl" in local:
        return "pth"
    if any(name.startswith("models/") or name.endswith("exported_program.json") for name in local):
        raise WeightsError(
            f"{path}: a program that torch.export saved; load it with PyTorch and save its "
            "weights: torch.save(torch.export.load(path).state_dict, 'w.pth')"
        )
    if names and all(name.endswith(".npy") for name in names):
        raise WeightsError(f"{path}: arrays of NumPy (.npz), which state no layout; {_NPZ}")
    raise WeightsError(f"{path}: a zip archive; unpack it, and pass the path of the file in it")
