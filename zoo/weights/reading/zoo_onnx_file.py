"""Reads the weights in the ONNX files that zoo wrote.

Such a file is a message of Protocol Buffers. Only the few of its fields that hold weights are
decoded, where they lie in the file, so that neither a framework nor the package ``onnx`` is needed.

The metadata holds the network as ``.safetensors`` does; the digests of the spec and of the weights;
and ``digest``, of all else that makes the network: options, nodes, shapes and constants. Digests
guard against accidents, and against tools that changed the network and not what the file says of
it; they are no signatures.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import xxhash

from zoo.errors import WeightsError
from zoo.weights.checkpoint import Checkpoint, Stored, UnreadableError, reporting_damage
from zoo.weights.reading import metadata
from zoo.weights.reading.onnx_messages import Bytes, OtherDtypeError, Reader, Tensor
from zoo.weights.reading.protobuf import mapped, message

#: The texts that state digests.
SPEC_DIGEST, WEIGHTS_DIGEST, DIGEST = "spec_digest", "weights_digest", "digest"

_OWN_TEXTS = frozenset(("spec", SPEC_DIGEST, WEIGHTS_DIGEST, DIGEST))
_KIND = "an ONNX model"
#: In ONNX's messages: the numbers of the fields that are read.
_GRAPH, _OPERATIONS, _TEXTS, _FUNCTIONS = 7, 8, 14, 25
_NODES, _TENSORS, _INPUTS, _OUTPUTS, _VALUES, _SPARSE = 1, 5, 11, 12, 13, 15


def is_zoo_file(path: Path) -> bool:
    """Tell whether a file states a network as zoo's files do, whole or in part.

    Raises:
        WeightsError: The file is damaged.
    """
    with reporting_damage(path, _KIND):
        reader = Reader(mapped(path), path.parent)
        pairs = (value for number, value in reader.fields(reader.data) if number == _TEXTS)
        return any(reader.pair(pair)[0] in _OWN_TEXTS for pair in pairs)


def read(path: Path) -> Checkpoint:
    """Open an ONNX file that zoo wrote. Its arrays are read on demand.

    Use the checkpoint within ``with checkpoint.verified()``: it reports a damaged file as such.

    Raises:
        WeightsError: The file is damaged, or was not written by zoo.
    """
    with reporting_damage(path, _KIND):
        contents = _contents(path)
    texts = contents.texts
    if len({*metadata.KEYS, WEIGHTS_DIGEST} & texts.keys()) < 3:  # one may be damaged
        raise WeightsError(
            f"{path}: it states a network as zoo's files do, but only in part: it is damaged, "
            "or another program changed it"
        )

    def verify() -> None:
        if (
            contents.digest() != texts.get(DIGEST)
            or spec_digest(texts) != texts.get(SPEC_DIGEST)
            or contents.weights_digest() != texts.get(WEIGHTS_DIGEST)
        ):
            raise WeightsError(
                f"{path}: its nodes, weights and metadata do not fit together as zoo wrote them: "
                "the file is damaged, or another program changed it. zoo reads a changed model as "
                "one of another program if it has no metadata: del model.metadata_props[:]"
            )

    arrays = {tensor.name: tensor.stored for tensor in contents.weights}
    return metadata.checkpoint(path, texts, arrays, verify)


def arrays(path: Path) -> dict[str, Stored]:
    """Open the weights in an ONNX file that zoo wrote, for which it need not be the network stated.

    Raises:
        WeightsError: The file is damaged.
    """
    checkpoint = read(path)
    checkpoint.verify()
    return dict(checkpoint.arrays)


def is_constant(name: str) -> bool:
    """Tell whether an initializer is a constant of an operation, such as ``norm1/window``."""
    return "/" in name  # which names of layers cannot have


def digest_of(texts: Mapping[str, str], parts: Iterable[Bytes]) -> str:
    """Return the digest of what makes a network besides its weights.

    Args:
        texts: The metadata.
        parts: The messages of the model, one after another, and what :func:`described` returns of
            each initializer.
    """
    return _digest([*(texts.get(key, "").encode() for key in metadata.KEYS), *parts])


def spec_digest(texts: Mapping[str, str]) -> str:
    """Return the digest of the spec in the metadata."""
    return _digest([texts.get("spec", "").encode()])


def weights_digest(values: Iterable[Bytes]) -> str:
    """Return the digest of the bytes of all weights, in the order of the file."""
    return _digest(values)


def described(name: str, dtype: int, shape: Sequence[int], values: Bytes) -> bytes:
    """Return what a network's digest needs of an initializer; the values, too, of constants."""
    head = f"{name} {dtype} {list(shape)} ".encode()
    return head + bytes(values) if is_constant(name) else head


def _digest(parts: Iterable[Bytes]) -> str:
    total = xxhash.xxh3_128()
    for part in parts:
        total.update(len(part).to_bytes(8, "little"))  # or what two parts share could move
        total.update(part)
    return total.hexdigest()


@dataclass
class _Contents:
    """The parts of a file that are read."""

    texts: dict[str, str] = field(default_factory=dict)
    messages: dict[int, list[memoryview]] = field(default_factory=dict)
    tensors: list[Tensor] = field(default_factory=list)

    @property
    def weights(self) -> list[Tensor]:
        return [tensor for tensor in self.tensors if not is_constant(tensor.name)]

    def digest(self) -> str:
        messages = (each for number in ORDER for each in self.messages.get(number, ()))
        tensors = (described(t.name, t.dtype, t.shape, t.values) for t in self.tensors)
        return digest_of(self.texts, [*messages, *tensors])

    def weights_digest(self) -> str:
        return weights_digest(tensor.values for tensor in self.weights)


#: The order in which a digest takes the messages of a model; those of the graph have their number.
ORDER = (-_OPERATIONS, -_FUNCTIONS, _INPUTS, _OUTPUTS, _VALUES, _NODES, _SPARSE)


def _contents(path: Path) -> _Contents:
    contents, reader = _Contents(), Reader(mapped(path), path.parent)
    graphs: list[memoryview] = []
    for number, value in reader.fields(reader.data):
        if number == _GRAPH:
            graphs.append(message(value))
        elif number in (_OPERATIONS, _FUNCTIONS):
            contents.messages.setdefault(-number, []).append(message(value))
        elif number == _TEXTS:
            key, text = reader.pair(value)
            contents.texts[key] = text
    if len(graphs) != 1:
        raise ValueError(f"it has {len(graphs)} graphs")
    for number, value in reader.fields(graphs[0]):
        if number == _TENSORS:
            try:
                contents.tensors.append(reader.tensor(value, typed=True))
            except OtherDtypeError as error:
                raise UnreadableError(
                    "another program changed what zoo wrote, such as to quantize it; pass the file "
                    f"as it was before ({error})"
                ) from None
        elif number in ORDER:
            contents.messages.setdefault(number, []).append(message(value))
    if len({tensor.name for tensor in contents.tensors}) < len(contents.tensors):
        raise ValueError("two initializers have the same name")
    return contents
