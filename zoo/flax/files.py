"""Writes Flax weight files."""

from __future__ import annotations

from flax import nnx, serialization


def export(model: nnx.Module, path: str) -> None:
    """Save parameters and statistics as nested dicts of arrays, in MessagePack.

    ``flax.serialization.msgpack_restore`` reads them, and ``nnx.replace_by_pure_dict`` puts them
    into a module's state.
    """
    state = nnx.state(model, nnx.Any(nnx.Param, nnx.BatchStat))
    data = serialization.msgpack_serialize(nnx.to_pure_dict(state))
    with open(path, "wb") as file:
        file.write(data)
