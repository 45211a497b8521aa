"""Expands a spec to a graph: computes expressions, opens blocks, infers shapes, names mistakes."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping as AnyMapping
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from zoo import published
from zoo.errors import InputError, suggestion
from zoo.language import catalogue
from zoo.language.document import Mapping
from zoo.language.fields import RESERVED_FIELDS, Layer
from zoo.language.names import problem_with
from zoo.language.schema import Group, Spec, Use
from zoo.language.scope import Scope
from zoo.network import Block, Graph, Node, Output, Shape, Step
from zoo.ops import OPS, Op, ShapeError

MAX_LAYERS = 20_000  # blocks, and layers that are left out, included
MAX_REPEAT = 1_000
MAX_BLOCK_DEPTH = 16
MAX_IMAGE = 8_192  # pixels a side
MAX_COUNT = 1_000_000  # classes or channels


def graph(
    name: str | os.PathLike[str],
    *,
    aux: bool = False,
    num_classes: int | None = None,
    in_channels: int | None = None,
    input_size: int | tuple[int, int] | None = None,
) -> Graph:
    """Make the graph of a model.

    Args:
        name: A model zoo ships (see :func:`zoo.list_models`), or the path of a YAML file.
        aux: Whether to keep the auxiliary heads.
        num_classes: Outputs of the classifiers; the spec's own number if not given.
        in_channels: Channels of the input; the spec's own if not given.
        input_size: Height and width of the input, one number for a square; the spec's if not given.

    Returns:
        The graph. No framework is imported.

    Raises:
        UnknownNameError: No such model.
        SpecError: The spec is wrong, or does not fit this input; the message names the node.
        InputError: An option has a value that cannot be.

    Example:
        >>> import zoo
        >>> zoo.graph("vgg16").num_parameters
        138357544
    """
    name = os.fspath(name)
    if type(aux) is not bool:
        raise InputError(f"aux must be True or False, got {aux!r}")
    given = {"num_classes": num_classes, "in_channels": in_channels}
    for key, value in given.items():
        if value is not None and (type(value) is not int or not 1 <= value <= MAX_COUNT):
            raise InputError(f"{key} must be an integer from 1 to {MAX_COUNT:,}, got {value!r}")
    size = None if input_size is None else _size(input_size)
    # A shipped spec does not change, nor does a graph: each is made once.
    expand = _expanded if name in catalogue.shipped() else _expanded.__wrapped__
    return expand(name, aux, num_classes, in_channels, size)


@functools.lru_cache(maxsize=64)
def _expanded(
    name: str,
    aux: bool,
    num_classes: int | None,
    in_channels: int | None,
    input_size: tuple[int, int] | None,
) -> Graph:
    model, spec, document = catalogue.load(name)
    options: dict[str, Any] = {
        "aux": aux,
        "num_classes": num_classes or spec.options.num_classes,
        "in_channels": in_channels or spec.options.in_channels,
        "input_size": input_size or _size(spec.options.input_size),
    }
    if aux and len(spec.outputs) < 2:
        raise InputError(f"{model} has no auxiliary heads; build it with aux=False")
    return _Expander(model, spec, document, options).graph()


def _size(value: Any) -> tuple[int, int]:
    sides = (value, value) if isinstance(value, int) else value
    if (
        not isinstance(sides, Sequence)
        or len(sides) != 2
        or not all(type(s) is int and 1 <= s <= MAX_IMAGE for s in sides)
    ):
        raise InputError(
            f"input_size must be an integer from 1 to {MAX_IMAGE} or (height, width), got {value!r}"
        )
    return sides[0], sides[1]


#: Names that expressions read and a spec does not set.
_SPECIAL = ("index", "item", "input")


@dataclass(frozen=True, slots=True)
class _Value:
    """What a local name stands for while a block is expanded."""

    step: str  # the local step that computes it, or "input"
    node: str  # the node that computes it, as a path name, or "input"
    shape: Shape
    layout: Shape | None = None


class _Expander:
    def __init__(
        self, model: str, spec: Spec, document: Mapping, options: AnyMapping[str, Any]
    ) -> None:
        self.model, self.spec, self.document, self.options = model, spec, document, options
        self.published: dict[str, dict[str, Any]] = {}
        self.count = 0

    def graph(self) -> Graph:
        spec = self.spec
        height, width = self.options["input_size"]
        names = {**self.options, "input_size": [height, width]}
        for key, value in spec.settings.items():
            if key in self.options or key in _SPECIAL:
                at = Scope(self.document, self.model, "", ("settings", key), names)
                at.fail(f"a setting cannot be called {key!r}: the name has a meaning already")
            names[key] = Scope(self.document, self.model, "", ("settings", key), names).compute(
                value
            )
        root_scope = Scope(self.document, self.model, "", ("published",), names)
        self.note("", spec.published, root_scope)
        shape = (self.options["in_channels"], height, width)
        scope = Scope(self.document, self.model, "", ("layers",), names)
        wanted = {output.layer: name for name, output in spec.outputs.items()}
        root, kept = self.block(
            spec.layers, scope, _Value("input", "input", shape), self.model, wanted
        )
        return Graph(
            name=self.model,
            root=root,
            outputs=self.outputs(kept, root, scope),
            input_shape=shape,
            options=dict(self.options),
            omitted=tuple(
                name
                for name, layer in spec.layers.items()
                if "$aux" in str(layer.when) and name in kept and kept[name].step != name
            ),
            initializers=self.initializers(scope),
            published=self.published if self.as_published() else {},
            about=self.about(),
            source=self.document.file,
        )

    def outputs(
        self, kept: AnyMapping[str, _Value], root: Block, scope: Scope
    ) -> tuple[Output, ...]:
        outputs = []
        for name, output in self.spec.outputs.items():
            at = scope.moved("outputs", name)
            if output.layer not in kept:
                hint = suggestion(output.layer, kept)
                at.fail(f"output {name!r} comes from no layer {output.layer!r}.{hint}")
            if kept[output.layer].step == output.layer:
                weight = at.compute(output.loss_weight)
                if type(weight) not in (int, float):
                    at.fail(f"loss_weight must be a number, got {weight!r}", "loss_weight")
                outputs.append(Output(name, output.layer, float(weight)))
        if self.spec.outputs and (not outputs or outputs[0].name != next(iter(self.spec.outputs))):
            scope.moved("outputs").fail("the first output was left out")
        if root.output == "input":
            scope.fail("the network has no layers, or its output is its input")
        return tuple(outputs) or (Output("logits", root.output),)

    def as_published(self) -> bool:
        """Whether the options are the spec's own, so that the paper's figures apply."""
        own = self.spec.options.model_dump()
        own["input_size"] = _size(own["input_size"])
        return all(self.options[key] == value for key, value in own.items())

    def initializers(self, scope: Scope) -> dict[str, dict[str, float]]:
        init = self.spec.initializers
        if init is None:
            return {}
        weight = (
            {"weight": {"mean": init.weight.mean, "std": init.weight.std}} if init.weight else {}
        )
        return {**weight, "bias": {"constant": init.bias}}

    def about(self) -> dict[str, Any]:
        spec = self.spec
        paper = spec.paper.model_dump(exclude_none=True) if spec.paper else {}
        return {"family": spec.name, "title": spec.title, "about": spec.about, "paper": paper}

    # Blocks

    def block(
        self,
        layers: AnyMapping[str, Layer],
        scope: Scope,
        entry: _Value,
        kind: str,
        wanted: AnyMapping[str, str] | None = None,
    ) -> tuple[Block, dict[str, _Value]]:
        """Expand layers to a block; also returns what each local name stands for."""
        local: dict[str, _Value] = {"input": replace(entry, step="input")}
        steps: list[Step] = []
        latest = local["input"]
        for key, layer in layers.items():
            for name, names in self.repetitions(key, layer, scope):
                at = scope.inner(name, key, names)
                self.count += 1
                if self.count > MAX_LAYERS:
                    at.fail(f"more than {MAX_LAYERS:,} layers")
                if name in local:
                    at.fail(f"the name {name!r} is already taken in this block")
                if problem := problem_with(name):
                    at.fail(problem)
                sources = self.sources(name, layer, local, latest, at, layers)
                at = scope.inner(name, key, {**names, "input": _parts(sources[0].shape)})
                latest = self.layer(name, layer, sources, at, steps)
                local[name] = latest
        if wanted:
            latest = local.get(next(iter(wanted)), latest)
        output = latest.step
        read = {source for step in steps for source in step.inputs} | {output}
        read |= {local[name].step for name in wanted or () if name in local}
        for step in steps:
            if step.name not in read:
                at = scope.inner(step.name, step.name, scope.names)
                at.fail("its output is read by no layer; name it in a later layer's 'from'")
        kept = {local[name].step for name in wanted or () if name in local} | {output}
        block = Block(
            scope.path, kind, _with_releases(steps, kept), output, entry.shape, latest.shape
        )
        return block, local

    def repetitions(
        self, key: str, layer: Layer, scope: Scope
    ) -> list[tuple[str, AnyMapping[str, Any]]]:
        if layer.repeat is None:
            return [(key, scope.names)]
        at = scope.inner(key, key, scope.names)
        times = at.compute(layer.repeat, "repeat")
        items = times if isinstance(times, list) else [None] * times if _is_count(times) else None
        if items is None or len(items) > MAX_REPEAT:
            at.fail(f"repeat must be a list or a number from 0 to {MAX_REPEAT}, got {times!r}")
        return [
            (f"{key}{i + 1}", {**scope.names, "index": i, "item": item})
            for i, item in enumerate(items)
        ]

    def sources(
        self,
        name: str,
        layer: Layer,
        local: AnyMapping[str, _Value],
        latest: _Value,
        at: Scope,
        layers: AnyMapping[str, Layer],
    ) -> list[_Value]:
        if layer.inputs is None:
            return [latest]
        wanted = [layer.inputs] if isinstance(layer.inputs, str) else layer.inputs
        at = at.moved(*at.location, "from")
        if not wanted:
            at.fail("expected at least one layer to read")
        for source in wanted:
            repeated = source in layers and layers[source].repeat is not None
            if source == name or (source in layers and source not in local and not repeated):
                at.fail(f"it reads {source!r}, which comes later: a cycle, or the wrong order")
            if source not in local and source in layers:
                at.fail(f"it reads {source!r}, which is repeated: name one, such as '{source}1'")
            if source not in local:
                at.fail(f"it reads {source!r}, which is no layer here.{suggestion(source, local)}")
        return [local[source] for source in wanted]

    # Layers

    def layer(
        self, name: str, layer: Layer, sources: list[_Value], at: Scope, steps: list[Step]
    ) -> _Value:
        """Expand one layer; append its step, or return its source if it is left out."""
        when = at.compute(layer.when, "when")
        if not isinstance(when, bool):
            at.fail(f"when must be true or false, got {when!r}")
        if not when:
            if len(sources) > 1:
                at.fail("a layer of several inputs cannot be left out")
            return sources[0]
        self.note(at.path, layer.published or {}, at.moved(*at.location, "published"))
        if isinstance(layer, Op):
            node = self.node(layer, sources, at)
            child: Node | Block = node
            value = _Value(name, node.name, node.shape, node.layout)
        else:
            if len(sources) > 1:
                at.fail("a block has one input; join them first with concat or add")
            child, value = self.inner_block(name, layer, sources[0], at)
            if not child.steps:
                return sources[0]
        steps.append(Step(name, tuple(source.step for source in sources), child))
        return value

    def inner_block(
        self, name: str, layer: Layer, source: _Value, at: Scope
    ) -> tuple[Block, _Value]:
        if isinstance(layer, Group):
            kind, layers = name, layer.layers
            scope = at.moved(*at.location, "layers")
        else:
            assert isinstance(layer, Use)
            kind, scope = self.enter(name, layer, at)
            layers = self.spec.blocks[kind].layers
        # `$input` is each layer's own input, so the outer one does not reach inside.
        block, local = self.block(layers, scope, source, kind)
        last = next((v for v in local.values() if v.step == block.output), local["input"])
        return block, replace(last, step=name, shape=block.shape)

    def enter(self, name: str, use: Use, at: Scope) -> tuple[str, Scope]:
        """Give the scope inside a block: its parameters and nothing of where it is used."""
        blocks = self.spec.blocks
        kind = at.compute(use.block, "block")
        if kind not in blocks:
            known = suggestion(kind, blocks) or f" Known: {', '.join(blocks) or 'none'}."
            at.fail(f"unknown block {kind!r}.{known}", "block")
        if kind in at.blocks or len(at.blocks) >= MAX_BLOCK_DEPTH:
            at.fail(f"a cycle: block {' in '.join([kind, *reversed(at.blocks)])}")
        given = {**self.row(name, use, at), **use.arguments}
        parameters = blocks[kind].parameters
        for key in given:
            if key not in parameters:
                hint = (
                    suggestion(key, parameters) or f" It takes: {', '.join(parameters) or 'none'}."
                )
                at.fail(f"block {kind!r} has no parameter {key!r}.{hint}", key)
        settings = {**self.options, **self.spec.settings}
        names: dict[str, Any] = {k: v for k, v in at.names.items() if k in settings}
        for key, default in parameters.items():
            place = at.moved("blocks", kind, "parameters", key, names=names)
            if key in RESERVED_FIELDS or key in settings or key in _SPECIAL:
                place.fail(f"a parameter cannot be called {key!r}: the name has a meaning already")
            if key in given:
                names[key] = at.compute(given[key], key)
            elif default is not None:
                names[key] = place.compute(default)
            else:
                at.fail(f"block {kind!r} needs the argument {key!r}")
        inside = ("blocks", kind, "layers")
        return kind, at.moved(*inside, names=names, block=kind)

    def row(self, name: str, use: Use, at: Scope) -> dict[str, Any]:
        """The arguments that a table gives for this layer; notes what it states as published."""
        if use.table is None:
            return {}
        at = at.moved(*at.location, "table")
        tables = self.spec.tables
        which = at.compute(use.table)
        if which not in tables:
            at.fail(f"unknown table {which!r}.{suggestion(which, tables)}")
        table = tables[which]
        if name not in table.rows:
            at.fail(f"table {which!r} has no row {name!r}.{suggestion(name, table.rows)}")
        row, place = table.rows[name], ("tables", which, "rows", name)
        if len(row) != len(table.columns):
            count = len(table.columns)
            at.moved(*place).fail(f"expected {count} columns, got {len(row)}")
        cells = dict(zip(table.columns, row, strict=True))
        stated = {key: cells.pop(key) for key in table.published if key in cells}
        self.note(at.path, stated, at.moved(*place))
        return cells

    def note(self, path: str, figures: AnyMapping[str, Any], at: Scope) -> None:
        """Keep what the paper states of a node or block."""
        for kind, figure in figures.items():
            if problem := published.problem_with(kind, figure):
                at.fail(problem, *([kind] if at.location[-1] == "published" else []))
            self.published.setdefault(path, {})[kind] = figure

    def node(self, op: Op, sources: list[_Value], at: Scope) -> Node:
        least, most = op.arity
        if not least <= len(sources) <= most:
            takes = f"{least} input" if most == least else f"{least} to {most} inputs"
            at.fail(f"{op.op} takes {takes}, got {len(sources)}")
        op = self.resolve(op, at)
        layouts = {source.layout for source in sources}
        if len(layouts) > 1:
            at.fail("it joins flattened maps of different shapes; join the maps, then flatten")
        shapes = tuple(source.shape for source in sources)
        try:
            found = op.infer(shapes, layouts.pop())
        except ShapeError as error:
            at.fail(str(error))
        parameters = tuple(replace(p, name=f"{at.path}.{p.name}") for p in found.parameters)
        inputs = tuple(source.node for source in sources)
        return Node(
            at.path,
            op.op,
            inputs,
            shapes,
            found.shape,
            found.attributes,
            parameters,
            found.macs,
            found.layout,
        )

    def resolve(self, op: Op, at: Scope) -> Op:
        """Compute an operation's expressions and check the values that came out."""
        own = {key: value for key, value in op if key not in Layer.model_fields}
        values: dict[str, Any] = {}
        for key, value in own.items():
            values[key] = at.compute(value, key)
        if values == own:
            return op
        try:
            return OPS[op.op].model_validate(values)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            key = str(first["loc"][0])
            at.fail(f"{first['msg']}, got {values[key]!r} from {own[key]!r}", key)


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= MAX_REPEAT


def _parts(shape: Shape) -> dict[str, int]:
    if len(shape) == 1:
        return {"features": shape[0]}
    return dict(zip(("channels", "height", "width"), shape, strict=True))


def _with_releases(steps: Sequence[Step], kept: set[str]) -> tuple[Step, ...]:
    """Note at each step which values nothing reads any more."""
    last = {source: i for i, step in enumerate(steps) for source in step.inputs}
    return tuple(
        replace(
            step, releases=tuple(sorted(n for n, i in last.items() if i == at and n not in kept))
        )
        for at, step in enumerate(steps)
    )
