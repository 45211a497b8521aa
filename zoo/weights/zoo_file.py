"""zoo's own file of weights: ``.safetensors`` with canonical names and layouts.

Its metadata holds the network (``model``, ``spec``, ``options``), where the weights came from
(``origin``), the ``format``'s version, and a ``digest`` of every byte of the file, by which a
damaged one is refused. The digest guards against accidents; it is not a signature.
"""

from __future__ import annotations

import itertools
import json
import mmap
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import ml_dtypes  # noqa: F401  (makes NumPy know the name bfloat16)
import numpy as np
import xxhash

from zoo.errors import InputError, WeightsError, ZooError
from zoo.files import replacing
from zoo.graphs.graph import Graph
from zoo.graphs.shapes import Shape
from zoo.language import document, options
from zoo.weights.checkpoint import Array, Checkpoint, Stored

FORMAT = "1"
DTYPES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}

_PIECE = 1 << 22  # bytes that are copied and hashed at a time, while a processor's cache holds them
_MAX_HEADER = 10_000_000
_KEY = b'"digest":"%b"'
_UNSIGNED = b"0" * 32  # what stands for the digest while it is computed


def write(path: str | os.PathLike[str], graph: Graph, arrays: Mapping[str, Array]) -> None:
    """Write a network's weights; the old file, if any, stays whole until the new one is.

    Args:
        path: Ends in ``.safetensors``.
        graph: The network.
        arrays: Canonical name -> array in the canonical layout.

    Raises:
        InputError: The path cannot be written to.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    if Path(path).suffix.lower() != ".safetensors":
        raise InputError(f"{path}: expected a name that ends in .safetensors")
    metadata = {
        "format": FORMAT,
        "model": graph.name,
        "options": json.dumps(graph.options),
        "spec": json.dumps(graph.document, ensure_ascii=False),
        "origin": json.dumps(dict(graph.origin), ensure_ascii=False),
        "digest": _UNSIGNED.decode(),
    }
    whole = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    try:
        with replacing(path) as part:
            save_file(whole, part, metadata=metadata)
            _sign(part)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}") from None
    except SafetensorError as error:  # such as of a full disk
        raise InputError(f"{path}: cannot be written: {error}") from None


def is_neutral(path: Path) -> bool:
    """Tell whether a .safetensors file is zoo's own.

    Raises:
        WeightsError: It is no such file at all.
    """
    metadata = _Contents(path).metadata
    return {"format", "model", "spec", "digest"} <= metadata.keys()


def read(path: Path) -> Checkpoint:
    """Open a file that :func:`write` made; arrays are read when they are asked for.

    Raises:
        WeightsError: It is damaged, of a later format, or not zoo's.
    """
    contents = _Contents(path)
    stated = contents.metadata
    if stated.get("format") != FORMAT:
        given = stated.get("format", "")
        raise WeightsError(f"{path}: format {given!r:.20} is not the {FORMAT} this zoo reads")
    try:
        model, digest = stated["model"], stated["digest"]
        chosen = options.checked(**json.loads(stated["options"]))
        origin = {str(key): str(value) for key, value in json.loads(stated["origin"]).items()}
        spec = document.parse(stated["spec"], f"{path}: spec")
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        said = f" ({error})" if isinstance(error, ZooError) else ""
        raise WeightsError(f"{path}: not a file that zoo saved, or damaged{said}") from None
    reader = _Reader(contents)

    def verify() -> None:
        if reader.digest(digest) != digest:
            raise WeightsError(f"{path}: damaged: its digest is not that of its bytes")

    return Checkpoint(path.name, model, spec, chosen, reader.arrays(), origin, verify)


def arrays(path: Path) -> dict[str, Stored]:
    """Open any .safetensors file for its arrays alone.

    Raises:
        WeightsError: It is damaged.
    """
    return _Reader(_Contents(path)).arrays()


@dataclass(frozen=True, slots=True)
class _Tensor:
    dtype: str
    shape: Shape
    start: int  # of its bytes in the file
    end: int

    def pieces(self) -> list[slice]:
        """The parts of the file that are hashed one by one."""
        starts = range(self.start, self.end, _PIECE)
        return [slice(start, min(start + _PIECE, self.end)) for start in starts]


class _Contents:
    """What the header of a .safetensors file says, once its own library has found it sound."""

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
            stated = json.loads(self.header)
        except OSError as error:
            raise WeightsError(f"{path}: {error.strerror or error}") from None
        except WeightsError:
            raise
        except (SafetensorError, ValueError, RecursionError) as error:
            reason = error if isinstance(error, SafetensorError) else "its header"
            raise WeightsError(f"{path}: not a safetensors file, or damaged ({reason})") from None
        self.metadata: dict[str, str] = stated.pop("__metadata__", None) or {}
        self.tensors: dict[str, _Tensor] = {}
        for name, tensor in stated.items():
            start, end = (8 + length + offset for offset in tensor["data_offsets"])
            self.tensors[name] = _Tensor(tensor["dtype"], tuple(tensor["shape"]), start, end)


class _Reader:
    """Copies tensors out of a file, and hashes them as they pass; or gives the file's own pages."""

    def __init__(self, contents: _Contents) -> None:
        self.contents = contents
        with contents.path.open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)  # never written back
        self.bytes = np.frombuffer(mapped, np.uint8)
        self.hashes: dict[int, bytes] = {}  # of the pieces that have passed, by where they start
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
                own = target[piece.start - tensor.start : piece.stop - tensor.start]
                own[...] = self.bytes[piece]
                self.hashes[piece.start] = _hash(own)

            list(self.pool.map(copy, tensor.pieces()))
            return array

        return read

    def digest(self, stated: str) -> str:
        """Digest the file: its header, as it is without the digest it states, and its pieces."""

        def pass_(piece: slice) -> None:
            if piece.start not in self.hashes:
                self.hashes[piece.start] = _hash(self.bytes[piece])

        tensors = self.contents.tensors.values()
        list(self.pool.map(pass_, itertools.chain.from_iterable(t.pieces() for t in tensors)))
        header = self.contents.header
        whole = xxhash.xxh3_128(header.replace(_KEY % stated.encode(), _KEY % _UNSIGNED))
        for _, piece in sorted(self.hashes.items()):
            whole.update(piece)
        return whole.hexdigest()


def _hash(piece: Array) -> bytes:
    return xxhash.xxh3_128_digest(piece.data)


def _sign(path: Path) -> None:
    """Put a file's digest into its header, for which a place was kept."""
    contents = _Contents(path)
    digest = _Reader(contents).digest(_UNSIGNED.decode())
    with path.open("r+b") as file:
        file.seek(8 + contents.header.index(_KEY % _UNSIGNED))
        file.write(_KEY % digest.encode())
