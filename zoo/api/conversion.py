"""From a file of weights to a file of another form."""

from __future__ import annotations

from pathlib import Path

from zoo.backend import registry
from zoo.errors import InputError
from zoo.files import replacing
from zoo.graphs.graph import Graph
from zoo.language import options
from zoo.language.graphs import graph
from zoo.weights import loading, zoo_file
from zoo.weights.checking import widest


def convert(
    source: str,
    target: Path,
    name: str | None = None,
    aux: bool | None = None,
    *,
    num_classes: int | None = None,
    in_channels: int | None = None,
    input_size: int | tuple[int, int] | None = None,
    head: str | None = None,
    stem: str | None = None,
) -> tuple[Graph, str]:
    """Write weights in the form that the target's name ends in.

    Args:
        source: As in :func:`zoo.weights.loading.find`.
        target: ``.safetensors``, which needs no framework; or what one calls its own.
        name: The network; None if the file knows.
        aux: Whether to keep auxiliary heads; if the file has them, if not given.
        num_classes: As for :func:`zoo.build`.
        in_channels: As for :func:`zoo.build`.
        input_size: As for :func:`zoo.build`.
        head: As for :func:`zoo.build`.
        stem: As for :func:`zoo.build`.

    Returns:
        The network, and the dtype of its weights.

    Raises:
        InputError: There is no such form, or the file cannot be written.
        WeightsError: The weights are damaged, of another network, or do not fit.
    """
    forms = {entry.suffix: entry.name for entry in registry.table().values() if entry.suffix}
    suffix = target.suffix.lower()
    if suffix != ".safetensors" and suffix not in forms:
        known = ", ".join([".safetensors", *forms])
        raise InputError(f"{target}: expected a name that ends in one of {known}")
    if name:
        graph(name)  # a misspelt one is told of first
    asked = options.checked(False, num_classes, in_channels, input_size)
    checkpoint = loading.find(source, name, asked)
    plain = checkpoint.graph(**asked._asdict())
    if aux is None:
        aux = any(key.partition(".")[0] in plain.omitted for key in checkpoint.arrays)
    network = checkpoint.graph(**asked._replace(aux=aux)._asdict())
    if name:
        network = graph(name, **network.options)
    dtype = widest(stored.dtype for stored in checkpoint.arrays.values())
    network, fill = loading.filling(network, checkpoint, dtype=dtype, head=head, stem=stem)
    if suffix == ".safetensors":
        arrays = {parameter.name: fill(parameter) for parameter in network.parameters}
        checkpoint.verify()
        zoo_file.write(target, network, arrays)
        return network, dtype
    backend = registry.load(forms[suffix])
    model = backend.build(network, fill, dtype, 0)
    checkpoint.verify()
    try:
        with replacing(target) as part:
            backend.export(model, str(part))
    except (OSError, RuntimeError) as error:  # PyTorch's own of a full disk is the latter
        reason = getattr(error, "strerror", None) or str(error).partition("\n")[0]
        raise InputError(f"{target}: cannot be written: {reason}") from None
    return network, dtype
