"""What differs between the frameworks' source code."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from zoo.graphs.graph import Graph
from zoo.graphs.nodes import Node
from zoo.writing.pieces import Made


@dataclass(frozen=True)
class Dialect:
    """How source code is written for one framework.

    Attributes:
        backend: The backend.
        imports: The lines that import the framework, by the name that a file uses.
        prefixes: Package of a description -> what precedes its names in a file.
        base: The base class of modules.
        method: The method that computes.
        describe: Returns the calls that make the layer of a node.
        fields: Argument -> field of the operation, where their names differ.
        positional: Target -> how many of its arguments are given by position; 1 if not listed.
        defaults: Target -> its defaults.
        native: Returns the framework's own call for one of zoo's, where it computes the same.
        chain: The text of the class ``Sequential``, which applies layers one after the other;
            empty if the framework's own gives them names.
        identity: A layer that returns what it reads.
        main: The lines of ``main``, for the name of the network.
        operators: Operation -> the operator that computes it.
        functions: Target of a layer without weights -> the function that computes the same, and its
            further arguments. It is called where the value is needed, if the layer's own arguments
            are constants.
        pairs: Whether layers take pairs, rather than one number.
        instead: A module with classes that files have instead of those in the backend's modules.
        images: The shape of images, for a docstring.
        setup: Returns lines that a file begins with, after its imports.
    """

    backend: str
    imports: Mapping[str, str]
    prefixes: Mapping[str, str]
    base: str
    method: str
    describe: Callable[[Node], Any]
    fields: Mapping[str, str]
    positional: Mapping[str, int]
    defaults: Mapping[str, Mapping[str, Any]]
    native: Callable[[Made], Made]
    chain: str
    identity: str
    main: Callable[[str], list[str]]
    operators: Mapping[str, str] = field(default_factory=lambda: {"add": "+", "multiply": "*"})
    functions: Mapping[str, tuple[str, Mapping[str, Any]]] = field(default_factory=dict)
    pairs: bool = False
    instead: str = ""
    images: Callable[[Any], str] = lambda shape: f"[N, {', '.join(map(str, shape))}]"
    setup: Callable[[Graph], list[str]] = lambda graph: []
