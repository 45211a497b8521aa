"""Writes files of Caffe with Google's own library of Protocol Buffers.

The messages are those of caffe.proto, with the few fields that files of weights need.
"""

from __future__ import annotations

import functools

import numpy as np
import pytest

#: Message -> fields: name, number, type, whether it is repeated, whether it is packed.
MESSAGES = {
    "BlobShape": [("dim", 1, "int64", True, True)],
    "BlobProto": [
        ("num", 1, "int32", False, False),
        ("channels", 2, "int32", False, False),
        ("height", 3, "int32", False, False),
        ("width", 4, "int32", False, False),
        ("data", 5, "float", True, True),
        ("diff", 6, "float", True, True),
        ("shape", 7, "BlobShape", False, False),
        ("double_data", 8, "double", True, True),
    ],
    "LayerParameter": [
        ("name", 1, "string", False, False),
        ("type", 2, "string", False, False),
        ("bottom", 3, "string", True, False),
        ("top", 4, "string", True, False),
        ("blobs", 7, "BlobProto", True, False),
    ],
    "V0LayerParameter": [
        ("name", 1, "string", False, False),
        ("type", 2, "string", False, False),
        ("num_output", 3, "uint32", False, False),
        ("blobs", 50, "BlobProto", True, False),
    ],
    "V1LayerParameter": [
        ("layer", 1, "V0LayerParameter", False, False),
        ("bottom", 2, "string", True, False),
        ("top", 3, "string", True, False),
        ("name", 4, "string", False, False),
        ("type", 5, "int32", False, False),
        ("blobs", 6, "BlobProto", True, False),
        ("blobs_lr", 7, "float", True, False),
    ],
    "NetParameter": [
        ("name", 1, "string", False, False),
        ("layers", 2, "V1LayerParameter", True, False),
        ("input", 3, "string", True, False),
        ("input_dim", 4, "int32", True, False),
        ("layer", 100, "LayerParameter", True, False),
    ],
}
#: The type of a layer, as each of the three messages calls it.
TYPES = {
    "Convolution": ("Convolution", 4, "conv"),
    "InnerProduct": ("InnerProduct", 14, "innerproduct"),
}


def message(name: str):
    """The class of a message."""
    from google.protobuf import message_factory

    return message_factory.GetMessageClass(pool().FindMessageTypeByName(f"caffe.{name}"))


@functools.cache
def pool():
    """The messages, described."""
    descriptor_pb2 = pytest.importorskip("google.protobuf.descriptor_pb2")  # comes with ONNX
    from google.protobuf import descriptor_pool

    file = descriptor_pb2.FileDescriptorProto(name="caffe.proto", package="caffe", syntax="proto2")
    kinds = descriptor_pb2.FieldDescriptorProto
    for title, fields in MESSAGES.items():
        described = file.message_type.add(name=title)
        for field, number, kind, repeated, packed in fields:
            made = described.field.add(name=field, number=number)
            made.label = kinds.LABEL_REPEATED if repeated else kinds.LABEL_OPTIONAL
            if kind in MESSAGES:
                made.type, made.type_name = kinds.TYPE_MESSAGE, f".caffe.{kind}"
            else:
                made.type = getattr(kinds, f"TYPE_{kind.upper()}")
            if packed:
                made.options.packed = True
    found = descriptor_pool.DescriptorPool()
    found.Add(file)
    return found


def blob(value, legacy=False):
    """An array as a message; in the way of 2014, its shape has four numbers."""
    made = message("BlobProto")()
    if legacy:
        sides = (1,) * (4 - value.ndim) + value.shape
        made.num, made.channels, made.height, made.width = sides
    else:
        made.shape.dim.extend(value.shape)
    values = made.double_data if value.dtype == np.float64 else made.data
    values.extend(value.ravel().tolist())
    return made


def network(layers, version=2, legacy=False, name="net"):
    """A network as bytes.

    Args:
        layers: The name, the type and the arrays of each layer.
        version: Of the message for a layer: 0, 1 or 2.
        legacy: Whether shapes have four numbers.
        name: The network's name.
    """
    net = message("NetParameter")(name=name, input=["data"] if version else [])
    for title, kind, arrays in layers:
        names = TYPES.get(kind, (kind, 0, kind.lower()))
        if version == 2:
            layer = net.layer.add(name=title, type=names[0], bottom=["data"], top=[title])
        elif version == 1:
            layer = net.layers.add(name=title, type=names[1], bottom=["data"], top=[title])
        else:
            layer = net.layers.add(top=[title]).layer
            layer.name, layer.type = title, names[2]
        layer.blobs.extend(blob(np.asarray(array), legacy) for array in arrays)
    return net.SerializeToString()
