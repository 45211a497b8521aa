"""zoo's own file of weights: ``.safetensors`` with canonical names and layouts.

The metadata holds the network (``model``, ``spec``, ``options``), the origin of the weights
(``origin``), the version of the ``format``, and a ``digest`` of every byte of the file, which
detects damage. The digest guards against accidents; it is not a signature.
"""

from __future__ import annotations

import itertools
import json
import mmap
import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import ml_dtypes  # noqa: F401  (registers bfloat16 with NumPy)
import numpy as np
import xxhash

from zoo import arguments
from zoo.errors import InputError, WeightsError, listed
from zoo.files import Caller, replacing
from zoo.graphs.graph import Graph
from zoo.graphs.shapes import Shape
from zoo.weights.checking import shown
from zoo.weights.checkpoint import Array, Checkpoint, Stored
from zoo.weights.reading import metadata

FORMAT = "1"
#: The text of the metadata that only a checkpoint of a training run has.
TRAINING = "training"
DTYPES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}
_LETTERS = {name: letters for letters, name in DTYPES.items()}

_KEYS = frozenset(("format", "model", "options", "spec", "origin", "digest"))
_PIECE = 1 << 22  # bytes copied and hashed at a time, few enough to stay in the cache
_MAX_HEADER = 10_000_000
_MAX_DIMENSIONS = 32
_DIGEST = b'"digest":"%b"'
_NO_DIGEST = b"0" * 32  # in place of the digest while it is computed


def write(
    path: str | os.PathLike[str],
    graph: Graph,
    arrays: Mapping[str, Array],
    training: str | None = None,
    later: Caller | None = None,
) -> None:
    """Write a network's weights. An older file stays intact until the new one is complete.

    Args:
        path: The file; its name ends in ``.safetensors``.
        graph: The network.
        arrays: Canonical name -> array in the canonical layout; and if the file is a checkpoint of
            a training run, names such as ``momentum/conv1.weight`` for what belongs to a weight.
        training: What such a file says of the run.
        later: As for :func:`zoo.files.replacing`.

    Raises:
        InputError: The path cannot be written to.
    """
    path = arguments.path("path", path)
    if Path(path).suffix.lower() != ".safetensors":
        raise InputError(f"{path}: expected a name that ends in .safetensors")
    texts = {"format": FORMAT, **metadata.of(graph), "digest": _NO_DIGEST.decode()}
    if training is not None:
        texts[TRAINING] = training
    header, contents = _encoded(arrays, texts)
    try:
        with replacing(path, later) as part, part.open("wb") as file:
            file.write(len(header).to_bytes(8, "little") + header)
            for array in contents:
                file.write(array)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}") from None


def is_zoo_file(path: Path) -> bool:
    """Tell whether zoo wrote a ``.safetensors`` file, even if a byte of it has changed since.

    Raises:
        WeightsError: It is not a safetensors file, or damaged.
    """
    # Other programs write a "format", too. Half of the keys are enough: one may be damaged.
    return len(_KEYS & _Contents(path).metadata.keys()) >= 3


def read(path: Path, entry: str | None = None) -> Checkpoint:
    """Open a file written by :func:`write`. Its arrays are read on demand.

    Use the checkpoint within ``with checkpoint.verified()``: it reports a damaged file as such.

    Args:
        path: The file.
        entry: ``ema`` for the moving averages in a checkpoint of a training run, whose weights are
            read otherwise.

    Raises:
        WeightsError: The file is damaged, has a later format, was not written by zoo, or has no
            such entry.
    """
    contents = _Contents(path)
    texts = contents.metadata
    digest = texts.get("digest", "")
    reader = _Reader(contents)

    def verify() -> None:
        if reader.digest(digest) != digest:
            raise WeightsError(f"{path}: damaged: the contents do not match the file's digest")

    version = texts.get("format", "")
    if version != FORMAT:
        reason = f"format {version!r:.20} is not the {FORMAT} that this version of zoo reads"
        raise WeightsError(f"{path}: damaged, or saved by a later version of zoo: {reason}")
    return metadata.checkpoint(path, texts, _chosen(path, reader.arrays(), entry), verify)


def read_training(path: Path) -> tuple[Checkpoint, dict[str, Stored], str]:
    """Open a checkpoint of a training run.

    Returns:
        The weights, as from :func:`read`; the other arrays by name, such as
        ``momentum/conv1.weight``; and what the file says of the run.

    Raises:
        WeightsError: The file is damaged, or is none.
    """
    checkpoint = read(path)
    contents = _Contents(path)
    if TRAINING not in contents.metadata:
        checkpoint.verify()
        raise WeightsError(f"{path}: not a checkpoint of a training run, but a file of weights")
    others = {n: a for n, a in _Reader(contents).arrays().items() if "/" in n}
    return checkpoint, others, contents.metadata[TRAINING]


def _chosen(path: Path, arrays: dict[str, Stored], entry: str | None) -> dict[str, Stored]:
    """Return the weights among the arrays of a file, or those of an entry."""
    if entry is None:
        return {name: array for name, array in arrays.items() if "/" not in name}
    prefix = f"{entry}/"
    chosen = {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}
    if not chosen:
        entries = sorted({name.partition("/")[0] for name in arrays if "/" in name})
        raise WeightsError(f"{path}: no entry {entry!r:.60}; it has {listed(entries) or 'none'}")
    return chosen


def arrays(path: Path) -> dict[str, Stored]:
    """Open any ``.safetensors`` file, and ignore its metadata.

    Raises:
        WeightsError: It is not a safetensors file, or damaged.
    """
    return _Reader(_Contents(path)).arrays()


def texts_of(path: Path) -> Mapping[str, str]:
    """Return what any ``.safetensors`` file says of itself.

    Raises:
        WeightsError: It is not a safetensors file, or damaged.
    """
    return _Contents(path).metadata


@dataclass(frozen=True, slots=True)
class _Tensor:
    dtype: str
    shape: Shape
    start: int  # of its bytes, in the file
    end: int

    def pieces(self) -> list[slice]:
        """Return the parts of the file that are hashed separately."""
        starts = range(self.start, self.end, _PIECE)
        return [slice(start, min(start + _PIECE, self.end)) for start in starts]


class _Contents:
    """The header of a .safetensors file, validated by the safetensors library."""

    def __init__(self, path: Path) -> None:
        from safetensors import SafetensorError, safe_open

        self.path = path
        try:
            with path.open("rb") as file:
                length = int.from_bytes(file.read(8), "little")
                if length > _MAX_HEADER:
                    raise WeightsError(f"{path}: not a safetensors file, or damaged")
                self.header = file.read(length)
            with safe_open(path, framework="np"):
                pass
            header = json.loads(self.header)
        except OSError as error:
            raise WeightsError(f"{path}: {error.strerror or error}") from None
        except WeightsError:
            raise
        except (SafetensorError, ValueError, RecursionError) as error:
            reason = error if isinstance(error, SafetensorError) else "the header is not valid"
            raise WeightsError(f"{path}: not a safetensors file, or damaged ({reason})") from None
        self.metadata: dict[str, str] = header.pop("__metadata__", None) or {}
        self.tensors: dict[str, _Tensor] = {}
        for name, tensor in header.items():
            if len(tensor["shape"]) > _MAX_DIMENSIONS:
                raise WeightsError(f"{path}: {shown(name)} has more than {_MAX_DIMENSIONS} axes")
            start, end = (8 + length + offset for offset in tensor["data_offsets"])
            self.tensors[name] = _Tensor(tensor["dtype"], tuple(tensor["shape"]), start, end)


class _Reader:
    """Copies tensors out of a file while hashing them, or maps them."""

    def __init__(self, contents: _Contents) -> None:
        self.contents = contents
        with contents.path.open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)  # never written back
        self.bytes = np.frombuffer(mapped, np.uint8)
        self.hashes: dict[int, bytes] = {}  # of the pieces read so far, by their start
        self.pool = ThreadPoolExecutor(max_workers=2)

    def arrays(self) -> dict[str, Stored]:
        return {
            name: Stored(
                tensor.shape,
                DTYPES.get(tensor.dtype, tensor.dtype),
                self.reading(tensor),
                partial(self.pages, tensor),
            )
            for name, tensor in self.contents.tensors.items()
        }

    def pages(self, tensor: _Tensor) -> Array:
        pages = self.bytes[tensor.start : tensor.end]
        return pages.view(DTYPES[tensor.dtype]).reshape(tensor.shape)

    def reading(self, tensor: _Tensor) -> Callable[[], Array]:
        def read() -> Array:
            array = np.empty(tensor.shape, DTYPES[tensor.dtype])
            target = array.reshape(-1).view(np.uint8)

            def copy(piece: slice) -> None:
                part = target[piece.start - tensor.start : piece.stop - tensor.start]
                part[...] = self.bytes[piece]
                self.hashes[piece.start] = _hash(part)

            list(self.pool.map(copy, tensor.pieces()))
            return array

        return read

    def digest(self, stated: str) -> str:
        """Compute the digest of the tensors and of the header, without the digest stated in it."""

        def hash_(piece: slice) -> None:
            if piece.start not in self.hashes:
                self.hashes[piece.start] = _hash(self.bytes[piece])

        tensors = self.contents.tensors.values()
        list(self.pool.map(hash_, itertools.chain.from_iterable(t.pieces() for t in tensors)))
        value = stated.encode(errors="replace")
        header = self.contents.header.replace(_DIGEST % value, _DIGEST % _NO_DIGEST)
        return _total(header, (piece for _, piece in sorted(self.hashes.items())))


def _hash(piece: Array) -> bytes:
    return xxhash.xxh3_128_digest(piece.data)


def _encoded(
    arrays: Mapping[str, Array], texts: Mapping[str, str]
) -> tuple[bytes, list[memoryview]]:
    """Encode arrays as a .safetensors file; return its header and what follows.

    The library that reads such files would copy all arrays, and know the digest only afterward.
    """
    order = sorted(arrays, key=lambda name: (-arrays[name].itemsize, name))  # so all are aligned
    entries: dict[str, Any] = {"__metadata__": texts}
    contents: list[Array] = []
    end = 0
    for name in order:
        array = np.ascontiguousarray(arrays[name])
        start, end = end, end + array.nbytes
        entries[name] = {
            "dtype": _LETTERS[array.dtype.name],
            "shape": arrays[name].shape,  # a scalar is made contiguous as a vector
            "data_offsets": (start, end),
        }
        contents.append(array.reshape(-1).view(np.uint8))
    header = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()
    header += b" " * (-len(header) % 8)
    pieces = [
        array[start : start + _PIECE]
        for array in contents
        for start in range(0, len(array), _PIECE)
    ]
    with ThreadPoolExecutor(max_workers=2) as pool:
        digest = _total(header, pool.map(_hash, pieces))
    filled = header.replace(_DIGEST % _NO_DIGEST, _DIGEST % digest.encode())
    return filled, [array.data for array in contents]


def _total(header: bytes, hashes: Iterable[bytes]) -> str:
    """Return the digest of a header without its digest and of the pieces after it, in order."""
    total = xxhash.xxh3_128(header)
    for piece in hashes:
        total.update(piece)
    return total.hexdigest()
