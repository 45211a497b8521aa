"""Files that would cost far more than their size are refused, at little cost.

Each is read in a process of its own, with a limit on its memory.
"""

from __future__ import annotations

import json
import pickle
import struct
import zipfile

import numpy as np
import pytest
from hostile import assert_refused, refusals

import zoo
from zoo.weights.reading import zoo_file

HEAD = b"\x80\x04"
MEGABYTE = 1_000_000


def text(value: bytes) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value


def integer(value: int) -> bytes:
    return b"\x8a\x10" + value.to_bytes(16, "little", signed=True)


LIST = b"](" + b"K\x01" * 100_000 + b"e"
LATIN = text(b"x" * MEGABYTE)
#: What a pickle does -> its code.
PICKLES = {
    "a key of nested tuples": b"}N" + b"\x85" * 150_000 + b"Ns.",
    "keys of nested tuples": b"}(" + (b"N" + b"\x85" * 900 + b"N") * 300 + b"u.",
    "nested tuples": b"}X\x01\x00\x00\x00kN" + b"\x85" * 150_000 + b"s.",
    "nested lists": b"]" * 100_000 + b"a" * 99_999 + b".",
    "nested dicts": (b"}" + text(b"k")) * 60_000 + b"N" + b"s" * 60_000 + b".",
    "nested arrays": b"cnumpy\nndarray\n\x94" + b")R" + b"h\x00)R" * 60_000 + b"b" * 60_000 + b".",
    "a list in itself": b"]\x94" + b"h\x00a" * 50_000 + b".",
    "tuples of a long list": (
        b"cbuiltins\ntuple\n\x94" + LIST + b"\x94(" + b"h\x00h\x01\x85R" * 3_000 + b"l."
    ),
    "tuples of a long tuple": (
        b"cbuiltins\ntuple\n\x94(" + b"K\x01" * 100_000 + b"t\x94" + b"h\x00h\x01R" * 3_000 + b"."
    ),
    "arrays of a long tuple": (
        b"cnumpy\nndarray\n\x94(" + b"K\x01" * 100_000 + b"t\x94" + b"h\x00h\x01R" * 100_000 + b"."
    ),
    "dicts of a long list": (
        b"ccollections\nOrderedDict\n\x94" + LIST + b"\x94(" + b"h\x00h\x01\x85R" * 3_000 + b"t."
    ),
    "texts encoded": (
        b"c_codecs\nencode\n\x94" + LATIN + b"\x94" + text(b"latin1") + b"\x86\x94"
        + b"(" + b"h\x00h\x02R" * 3_000 + b"t."
    ),
    "keys of one hash": (
        b"}(" + b"".join(integer(i * (2**61 - 1)) + b"N" for i in range(50_000)) + b"u."
    ),
    "long keys compared": (
        LATIN + b"\x94" + LATIN + b"\x94}h\x00Ns" + b"h\x01Ns" * 200_000 + b"."
    ),
    "many empty dicts": b"}\x94" * 1_000_001 + b".",
    "a long shape": (
        b"}" + text(b"k") + b"cnumpy\nndarray\n)R" + b"(K\x01(" + integer(2**62) * 100_000 + b"t"
        b"cnumpy\ndtype\n" + text(b"f4") + b"\x85R\x89Nt" + b"bs."
    ),
    "a large shape": (
        b"}" + text(b"k") + b"cnumpy\nndarray\n)R" + b"(K\x01(" + integer(2**62) * 8 + b"t"
        b"cnumpy\ndtype\n" + text(b"f4") + b"\x85R\x89C\x00t" + b"bs."
    ),
    "a dict in itself": (
        b"}\x94" + b"".join(text(key) + b"h\x00s" for key in (b"model", b"state_dict", b"a")) + b"."
    ),
    "a dict of itself": (
        b"}\x94(" + b"".join(text(b"k%d" % i) + b"h\x00" for i in range(30_000)) + b"u."
    ),
    "long names in long names": (
        b"}\x94(" + b"".join(
            text(b"k%d" % i) + b"}\x94(" + text(b"y" * 100_000) + b"K\x01u" for i in range(50)
        ) + b"u."
    ),
    "many objects": b"](" + b"cos\nsystem\n)R" * 200_000 + b"e.",
    "states of objects": b"cos\nsystem\n)\x81" + b"}b" * 300_000 + b".",
    "a large set": b"\x8f(" + b"K\x01" * 500_000 + b"\x90.",
    "dicts of many pairs": (
        b"ccollections\nOrderedDict\n\x94](" + b"](K\x01K\x02e" * 90_000 + b"e\x94"
        + b"(h\x00h\x01\x85R" * 2_000 + b"."
    ),
    "a long integer": b"\x8b" + struct.pack("<i", MEGABYTE) + b"\x01" * MEGABYTE + b".",
    "a number of many digits": b"I" + b"1" * MEGABYTE + b"\n.",
    "a terabyte": b"\x96" + (1 << 40).to_bytes(8, "little") + b".",
    "a long frame": b"\x95" + (1 << 62).to_bytes(8, "little") + b".",
}  # fmt: skip


def test_pickles(tmp_path):
    files = {kind: HEAD + code for kind, code in PICKLES.items()}
    assert_refused(tmp_path, files, ".pdparams")


#: What a MessagePack file does -> its bytes: a map, and what is under its key.
MESSAGES = {
    "nested maps": b"\x81\xa1a" * 100_000 + b"\xc0",
    "long arrays": b"\x81\xa1a" + b"\xdd\xff\xff\xff\xff" * 400,
    "large maps": b"\x81\xa1a" + b"\xdf\x00\x00\x4e\x20" * 400,
    "a long text": b"\x81\xa1a\xdb\xff\xff\xff\xff",
    "a large shape": b"\x81\xa1a\xc7\x1a\x01\x93\x92"
    + b"\xcf"
    + b"\x40" * 8
    + b"\x01\xa7float32\xc4\x00",
    "an array of objects": b"\x81\xa1a\xc7\x0c\x01\x93\x91\x01\xa6object\xc4\x00",
}


def test_messages(tmp_path):
    pytest.importorskip("msgpack")  # comes with Flax
    assert_refused(tmp_path, MESSAGES, ".msgpack")


def test_a_keras_file_that_decompresses_to_far_more(tmp_path):
    path = tmp_path / "w.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("config.json", "{}")
        file.writestr("model.weights.h5", bytes(300_000_000))
    (error,) = refusals([path])
    assert "its entries are compressed" in error


def test_only_text_names_an_array(tmp_path):
    path = tmp_path / "w.pdparams"
    path.write_bytes(pickle.dumps({1: np.zeros(3, np.float32)}, protocol=4))
    (error,) = refusals([path])
    assert "a key that is not a name" in error


def safetensors(header: bytes, values: bytes = b"") -> bytes:
    return struct.pack("<Q", len(header)) + header + values


def tensors(**entries: tuple[list[int], list[int]]) -> bytes:
    return json.dumps(
        {n: {"dtype": "F32", "shape": s, "data_offsets": o} for n, (s, o) in entries.items()}
    ).encode()


def headers():
    """What a header does -> its bytes."""
    many = ",".join(
        f'"{i}":{{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}' for i in range(150_000)
    )
    return {
        "nested": b"[" * 9_000_000,
        "nested dicts": b'{"a":' * 1_500_000,
        "nested metadata": b'{"__metadata__":{"a":' + b"[" * 9_000_000,
        "many tensors": f"{{{many}}}".encode(),
        "many shapes": b'{"a":{"dtype":"F32","shape":[' + b"1," * 4_000_000 + b'6],"data_offsets":[0,24]}}',
        "many axes": tensors(a=([6] + [1] * 32, [0, 24])),
        "overlapping": tensors(a=([4], [0, 16]), b=([4], [8, 24])),
        "beyond the end": tensors(a=([1 << 40], [0, 1 << 42])),
        "a product beyond 64 bits": tensors(a=([1 << 62, 1 << 62], [0, 24])),
        "large and empty": tensors(a=([1 << 62, 0, 1 << 62], [0, 0]), b=([6], [0, 24])),
        "a long name": b'{"' + b"x." * 4_500_000 + b'":{"dtype":"F32","shape":[6],"data_offsets":[0,24]}}',
        "much metadata": b'{"__metadata__":{' + b",".join(b'"%d":""' % i for i in range(700_000)) + b"}}",
    }  # fmt: skip


def test_headers_of_safetensors(tmp_path):
    paths, contents = [], headers()
    for number, header in enumerate(contents.values()):
        paths.append(tmp_path / f"{number}.safetensors")
        paths[-1].write_bytes(safetensors(header, bytes(24)))
    claimed = tmp_path / "claimed.safetensors"
    claimed.write_bytes(struct.pack("<Q", 9_999_999) + b"{}")
    errors = refusals([*paths, claimed])
    for path, error in zip([*paths, claimed], errors, strict=True):
        assert str(path) in error
    named = dict(zip(contents, errors, strict=False))
    assert "a has more than 32 axes" in named["many axes"]
    assert "a has more than 32 axes" in named["many shapes"]
    assert "the name of an array is too long" in named["a long name"]


OPTIONS = {"aux": False, "num_classes": None, "in_channels": None, "input_size": None}


def with_spec(path, spec: str, **metadata: str):
    """A file as zoo saves one, with a digest that is right."""
    given = {"format": "1", "model": "m", "options": json.dumps(OPTIONS), "spec": spec}
    given.update({"origin": "{}", "digest": "0" * 32})
    header, contents = zoo_file._encoded({"r.weight": np.zeros(4, np.float32)}, given | metadata)
    path.write_bytes(struct.pack("<Q", len(header)) + header + b"".join(contents))
    return path


def lines(count: int, text: str) -> str:
    return "".join(text.format(i=i) + "\n" for i in range(count))


RELU = "layers:\n  r: {op: relu, repeat: 1000}\n"
SLOW = {
    "too much work": f"settings:\n{lines(9_000, '  s{i}: {i}')}{RELU}",
    "more than 10,000 layers": f"layers:\n{lines(20_000, '  r{i}: {{op: relu}}')}",
    "more than 50,000 values": f"settings:\n  a: [{'[],' * 300_000} 1]\n{RELU}",
    "more than 2,000,000 characters": (
        f"settings:\n  x: &k {'x' * 500_000}\n"
        f"blocks:\n{lines(5000, '  b{i}: {{parameters: {{? *k : 1}}, layers: {{}}}}')}{RELU}"
    ),
}


def test_a_slow_spec_in_a_file_of_weights(tmp_path):
    """The budget of specs is the same there."""
    paths = [
        with_spec(tmp_path / f"{i}.safetensors", f"format: 1\nname: slow\n{spec}")
        for i, spec in enumerate(SLOW.values())
    ]
    for reason, error in zip(SLOW, refusals(paths), strict=True):
        assert reason in error


def metadata():
    """What metadata does -> what they have in place of what zoo writes."""
    return {
        "deep spec": {"spec": "[" * MEGABYTE},
        "long spec": {"spec": "format: 1\nname: m\n" + "#\n" * 2_500_000},
        "blank spec": {"spec": " " * 9_000_000},
        "deep options": {"options": "[" * MEGABYTE},
        "many options": {"options": json.dumps({str(i): 0 for i in range(500_000)})},
        "long number": {"options": '{"num_classes": ' + "9" * MEGABYTE + "}"},
        "deep origin": {"origin": '{"source":' + "[" * 900 + "]" * 900 + "}"},
        "many origins": {"origin": json.dumps({str(i): "" for i in range(500_000)})},
    }


def test_metadata_of_zoos_own_files(tmp_path):
    spec = "format: 1\nname: m\nlayers:\n  r: {op: relu}\n"
    paths = [
        with_spec(tmp_path / f"{i}.safetensors", **{"spec": spec, **changed})
        for i, changed in enumerate(metadata().values())
    ]
    refusals(paths)


def test_an_index_of_parts_is_no_file_of_weights(tmp_path):
    path = tmp_path / "model.safetensors.index.json"
    path.write_text('{"weight_map": ' + "[" * 100_000)
    with pytest.raises(zoo.WeightsError, match="expected a file of weights, with one of the suff"):
        zoo.load(path, "torch")
