"""ONNX files of other programs that are damaged, or would cost far more than their size.

They are written here byte by byte, so that neither a framework nor the package onnx is needed.
"""

from __future__ import annotations

import functools

import numpy as np
import pytest
from damage import mutants
from hostile import assert_refused
from onnx_bytes import MEGABYTE, elsewhere, hostile, outside, start, surround, tensor
from wire import message

from zoo.errors import WeightsError
from zoo.weights.reading import onnx_file, readers

PYTORCH = start(b"pytorch")


def model(*parts):
    """A model of a version, with a producer, a graph, and a version of its operations."""
    return PYTORCH + message(7, b"".join(parts)) + message(8, b"\x0a\x00\x10\x15")


def node(op, inputs, outputs, attributes=b""):
    named = b"".join(message(1, each) for each in inputs)
    named += b"".join(message(2, each) for each in outputs)
    return message(1, named + message(4, op) + attributes)


def floats(count, start=0.0):
    return (np.arange(count, dtype=np.float32) + np.float32(start)).tobytes()


GOOD = model(
    node(b"Conv", [b"x", b"conv.weight", b"conv.bias"], [b"c"]),
    node(b"Identity", [b"conv.bias"], [b"bn.weight"]),
    node(b"BatchNormalization", [b"c", b"bn.weight", b"bn.bias", b"bn.mean", b"bn.var"], [b"n"]),
    node(b"Constant", [], [b"fc.weight"], message(
        5, message(1, b"value") + tensor(b"", [4, 4], message(4, floats(16))) + b"\xa0\x01\x04")),
    node(b"Gemm", [b"n", b"fc.weight", b"fc.bias"], [b"y"], message(
        5, message(1, b"transB") + b"\x18\x01\xa0\x01\x02")),
    tensor(b"conv.weight", [4, 3, 3, 3], message(9, floats(108))),
    tensor(b"conv.bias", [4], message(4, floats(4))),
    tensor(b"bn.bias", [4], message(5, b"\x80\x78\x00\x80\x78\x01"), dtype=10),
    tensor(b"bn.mean", [4], outside(b"data")),
    tensor(b"bn.var", [4], outside(b"data", offset=b"16")),
    tensor(b"fc.bias", [4], message(10, np.arange(4.0).tobytes()), dtype=11),
    message(11, message(1, b"x") + message(2, message(1, b"\x08\x01" + message(2, message(1, b"\x08\x01"))))),
    message(12, message(1, b"y")),
)  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "files"
    path.mkdir()
    (tmp_path / "data").write_bytes(bytes(MEGABYTE))
    (path / "data").write_bytes(floats(8, start=5))
    return path


def test_the_good_file(folder):
    path = folder / "w.onnx"
    path.write_bytes(GOOD)
    opened = readers.read(path)
    found = {name: array.read() for name, array in opened.arrays.items()}
    assert opened.format == "onnx"
    assert {name: value.shape for name, value in found.items()} == {
        "conv.weight": (4, 3, 3, 3), "conv.bias": (4,), "bn.weight": (4,), "bn.bias": (4,),
        "bn.mean": (4,), "bn.var": (4,), "fc.weight": (4, 4), "fc.bias": (4,),
    }  # fmt: skip
    assert np.array_equal(found["bn.weight"], found["conv.bias"])
    assert found["bn.mean"].tolist() == [5, 6, 7, 8] and found["bn.var"][0] == 9
    assert found["bn.bias"].view(np.uint16).tolist() == [15360, 0, 15360, 1]
    assert found["fc.bias"].dtype == np.float64 and found["fc.weight"][1, 0] == 4


@pytest.mark.parametrize("count", [1_000, pytest.param(20_000, marks=pytest.mark.slow)])
def test_damaged_files_are_refused_or_read_within_their_size(count, folder):
    """Nothing in such a file says whether a value is right, only whether it can be one."""
    path = folder / "w.onnx"
    refused = 0
    for damaged in mutants(GOOD, count, seed=count):
        path.write_bytes(damaged)
        try:
            stored = onnx_file.arrays(path)
            sizes = [array.read().nbytes for array in stored.values()]
        except WeightsError as refusal:
            assert str(refusal).startswith(f"{path}: ") and len(str(refusal)) < 1_000
            refused += 1
        else:
            # A kernel may be known by several names, each an array of its own.
            assert sum(sizes) < 20 * (len(damaged) + 32)
    assert count / 4 < refused < count


def of_other_programs():
    """What a file does -> its bytes."""
    return {
        "many inputs of a node": model(message(1, b"\x0a\x00" * 2 * MEGABYTE)),
        "many attributes": model(message(1, b"\x2a\x00" * 2 * MEGABYTE)),
        "many numbers of an attribute": model(node(b"Conv", [], [], message(
            5, message(1, b"pads") + b"\x40\x01" * 2 * MEGABYTE))),
        "many axes of an input": model(message(11, message(2, message(1, message(
            2, b"\x0a\x00" * MEGABYTE))))),
        "long names": model(*[node(b"Relu", [b"a" * MEGABYTE], [b"b"])] * 30),
        "a huge tensor of numbers": model(tensor(b"a", [1 << 40], message(4, bytes(16)))),
        "a huge tensor of integers": model(tensor(b"a", [1 << 40], message(5, bytes(16)), dtype=10)),
        "a huge constant": model(node(b"Constant", [], [b"a"], message(
            5, message(1, b"value") + tensor(b"", [1 << 40], number=5)))),
        "large and empty": model(tensor(b"a", [1 << 62, 0, 1 << 62])),
        "two of a name": model(tensor(b"a", [1], message(9, bytes(4))) * 2),
        "nested graphs": model(functools.reduce(
            lambda inner, _: message(1, message(5, message(6, inner))), range(2_000), b"")),
        "names in a circle": model(
            node(b"Identity", [b"a"], [b"b"]), node(b"Identity", [b"b"], [b"a"]),
            node(b"Conv", [b"x", b"a"], [b"y"])),
        "no graph": PYTORCH + message(8, b""),
        "a graph that is a number": PYTORCH + b"\x38\x07" + message(8, b""),
        "a name that is a number": model(message(1, b"\x08\x07")),
        "a tensor that is a number": model(b"\x28\x07"),
        "the same bytes for many tensors": model(*[
            tensor(b"a%d" % i, [8], outside(b"data", length=b"32")) for i in range(5_000)]),
    }  # fmt: skip


def test_hostile_files(folder):
    surround(folder)
    files = hostile(model, PYTORCH) | of_other_programs() | elsewhere(model)
    assert_refused(folder, files, ".onnx")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (model(tensor(b"a", [4], outside(b"gone.bin"))),
         r"w\.onnx: gone\.bin, which has the values of a, is missing; put it beside it$"),
        (model(tensor(b"a", [4], outside(b"data", offset=b"abc"))), "the offset of the values of a is 'abc'"),
        (model(node(b"Conv", [b"x", b"a"], [b"y"]), tensor(b"a", [4], message(9, bytes(4)), dtype=99)),
         r"w\.onnx: a has values of ONNX's data type 99"),
        (PYTORCH + message(8, b""), r"\(it has no graph\)"),
        (PYTORCH + message(7, b""), "it states no version of its operations"),
    ],
)  # fmt: skip
def test_errors_tell_one_cause(content, text, folder):
    (folder / "w.onnx").write_bytes(content)
    with pytest.raises(WeightsError, match=text):
        readers.read(folder / "w.onnx")


def test_places_outside_the_folder_are_not_looked_at(folder):
    """The error is the same whether or not there is such a file."""
    errors = set()
    for place in (b"/etc/passwd", b"/etc/gone", b"../data", b"../gone", b"link"):
        (folder / "link").unlink(missing_ok=True)
        (folder / "link").symlink_to("../data")
        path = folder / "w.onnx"
        path.write_bytes(model(tensor(b"a", [4], outside(place))))
        with pytest.raises(
            WeightsError, match="w.onnx: the values of a are in .*only files in the folder"
        ) as caught:
            readers.read(path)
        errors.add(str(caught.value).replace(place.decode(), "PLACE"))
    assert len(errors) == 1
