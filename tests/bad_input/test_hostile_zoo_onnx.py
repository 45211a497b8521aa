"""ONNX files that say zoo wrote them, and would cost far more than their size."""

from __future__ import annotations

from hostile import assert_refused
from onnx_bytes import MEGABYTE, elsewhere, hostile, outside, start, surround, tensor
from wire import message

ZOO = start(b"zoo")


def graph_of(*parts):
    return ZOO + message(7, b"".join(parts))


def props(**texts):
    return b"".join(
        message(14, message(1, key.encode()) + message(2, value.encode()))
        for key, value in texts.items()
    )


NETWORK = props(
    model="m",
    spec="format: 1\nname: m\nlayers:\n  r: {op: relu}\n",
    options='{"aux": false, "num_classes": null, "in_channels": null, "input_size": null}',
    origin="{}",
    weights_digest="0" * 32,
)


def stated(*parts):
    """A model that states its network."""
    return graph_of(*parts) + NETWORK


def own_files():
    """What a file does -> its bytes."""
    return {
        "a long name": graph_of(tensor(b"a" * 5 * MEGABYTE, [4], message(9, bytes(16)))),
        "many metadata": graph_of() + b"".join(b"r\n\n\x06%06d\x12\0" % i for i in range(500_000)),
        "much metadata": graph_of() + props(spec="#\n" * 6 * MEGABYTE),
        "a deep spec": stated() + props(spec="[" * MEGABYTE),
        "a deep origin": stated() + props(origin='{"a":' + "[" * 900 + "]" * 900 + "}"),
        "many options": stated() + props(options="{" + '"a":0,' * MEGABYTE + '"b":1}'),
        "the same bytes for many tensors": stated(
            *[tensor(b"a%d" % i, [MEGABYTE // 4], outside(b"data", length=b"1000000")) for i in range(5_000)]
        ),
        "a text that is none": stated(tensor(b"\xff\xfe", [4], message(9, bytes(16)))),
        "wrong kinds": ZOO + b"\x38\x07" + NETWORK,
    }  # fmt: skip


def test_hostile_files(tmp_path):
    folder = tmp_path / "files"
    folder.mkdir()
    surround(folder)
    files = hostile(graph_of, ZOO) | own_files() | elsewhere(stated)
    assert_refused(folder, files, ".onnx")
