"""``zoo.source``: a network as the source code of a framework."""

from __future__ import annotations

import os
from typing import Any, Unpack

from zoo import arguments
from zoo.backend import registry
from zoo.errors import BackendError
from zoo.files import write_text
from zoo.graphs.graph import Graph
from zoo.views.arguments import GraphOptions, graph_to_show
from zoo.writing.files import BACKENDS, write


class Source(str):
    """Source code, as text; notebooks display it as code."""

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the source code to a file.

        Raises:
            InputError: The file cannot be written.
        """
        write_text(arguments.path("path", path), str(self))

    def _repr_markdown_(self) -> str:
        return f"```python\n{self}```"


def source(
    model: str | os.PathLike[str] | Graph | Any,
    backend: str,
    path: str | os.PathLike[str] | None = None,
    **options: Unpack[GraphOptions],
) -> Source:
    """Write a network as a module of one framework that does not need zoo.

    The module has a class, or in Keras a function, for each block of the spec, with the block's
    parameters. The names of its layers are those of the model that :func:`zoo.build` returns, so
    their weights can be exchanged. Its layers are those of the framework, with the framework's own
    initial values. It is for inputs of the size that the graph was made for.

    Args:
        model: A model that zoo ships, the path of a YAML file, a graph, or a model that zoo built.
        backend: ``torch``, ``paddle``, ``keras`` or ``flax``. The framework need not be installed.
        path: A file to write as well.
        options: For a name or a file, as for :func:`zoo.graph`. They are the defaults of the
            arguments ``aux`` and ``num_classes`` of the network.

    Returns:
        The source code, formatted as ruff does.

    Raises:
        UnknownNameError, SpecError: As :func:`zoo.graph` does.
        BackendError: There is no such backend, or none that source code can be written for; or the
            network has a layer that cannot be written.
        InputError: The file cannot be written.

    Example:
        >>> import zoo
        >>> lines = zoo.source("vgg16", "torch").splitlines()
        >>> [line for line in lines if line.startswith("class")]
        ['class Conv(nn.Module):', 'class Stage(nn.Module):', 'class VGG(nn.Module):']
    """
    if path is not None:
        path = arguments.path("path", path)
    graph = graph_to_show("source", model, options)
    name = registry.resolve(backend).name
    if name not in BACKENDS:
        raise BackendError(
            f"no source code can be written for the backend {name}; choose {', '.join(BACKENDS)}"
        )
    text = Source(write(graph, name)[0])
    if path is not None:
        text.save(path)
    return text
