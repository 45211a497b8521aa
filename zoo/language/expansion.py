"""Expands a spec to a graph: computes expressions, opens blocks, infers shapes, names mistakes."""

from __future__ import annotations

from collections.abc import Mapping as AnyMapping
from dataclasses import replace
from typing import Any

from zoo.errors import InputError, quoted, suggestion
from zoo.graphs import published
from zoo.graphs.blocks import Block, Step, moved, releasing
from zoo.graphs.graph import Graph, Output
from zoo.graphs.names import problem_with
from zoo.graphs.nodes import Node
from zoo.graphs.shapes import Map, Shape, named
from zoo.language import arguments, description, nodes, options
from zoo.language.document import Location, Mapping
from zoo.language.nodes import Value
from zoo.language.repetition import repetitions
from zoo.language.schema import Group, Rows, Spec, Use
from zoo.language.scope import Scope
from zoo.ops import Op
from zoo.ops.expressions import Budget, is_expression
from zoo.ops.fields import Layer

MAX_LAYERS = 10_000  # blocks, and layers that are left out, included
WORK_OF_LAYER = 400  # units of the budget, beside what its fields cost
WORK_OF_COPY = 100  # units of the budget for each layer of a block that is copied


def expand(model: str, spec: Spec, document: Mapping, given: options.Chosen) -> Graph:
    """Expand a spec.

    Args:
        model: Its name.
        spec: One model's, valid.
        document: The same as data that knows its lines.
        given: What the caller has chosen; the spec's own holds for the rest.

    Raises:
        SpecError: It is wrong, or does not fit this input.
        InputError: It has no auxiliary heads, and they are asked for.
    """
    own = spec.options
    chosen: dict[str, Any] = {
        "aux": given.aux,
        "num_classes": given.num_classes or own.num_classes,
        "in_channels": given.in_channels or own.in_channels,
        "input_size": given.input_size or options.size(own.input_size),
    }
    graph = _Expander(model, spec, document, chosen).graph()
    if given.aux and len(graph.outputs) < 2:
        raise InputError(f"{model} has no auxiliary heads; build it with aux=False")
    return graph


class _Expander:
    def __init__(
        self, model: str, spec: Spec, document: Mapping, options: AnyMapping[str, Any]
    ) -> None:
        self.model, self.spec, self.document, self.options = model, spec, document, options
        self.published: dict[str, dict[str, Any]] = {}
        self.count = 0
        self.expanded: dict[tuple[Any, ...], tuple[Block, int]] = {}
        self.budget = Budget()

    def scope(self, location: Location, names: AnyMapping[str, Any]) -> Scope:
        """Return a place in the document; all of them share one budget."""
        return Scope(self.document, self.model, "", location, names, budget=self.budget)

    def graph(self) -> Graph:
        spec = self.spec
        height, width = self.options["input_size"]
        names = {**self.options, "input_size": [height, width]}
        for key, value in spec.settings.items():
            if key in self.options or key in arguments.SPECIAL:
                at = self.scope(("settings", key), names)
                at.fail(f"a setting cannot be called {key!r}: the name has a meaning already")
            names[key] = self.scope(("settings", key), names).compute(value)
        self.everywhere = names
        for kind, figure in spec.published.items():
            at = self.scope(("published", kind), names)
            self.note("", kind, figure, at)
        shape = Map(self.options["in_channels"], height, width)
        scope = self.scope(("layers",), names)
        wanted = {output.layer: name for name, output in spec.outputs.items()}
        root, kept = self.block(
            spec.layers, scope, Value("input", "input", shape), self.model, wanted
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
            initializers=description.initializers(spec),
            published=self.published if description.is_as_published(spec, self.options) else {},
            about=description.about(spec),
            preprocessing=spec.preprocessing.to_dict(exclude={"about"}),
            classes=description.class_names(spec, self.options, self.scope(("classes",), names)),
            document=self.document,
        )

    def outputs(
        self, kept: AnyMapping[str, Value], root: Block, scope: Scope
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
                    at.fail(f"loss_weight must be a number, got {quoted(weight)}", "loss_weight")
                outputs.append(Output(name, output.layer, float(weight)))
        if self.spec.outputs and (not outputs or outputs[0].name != next(iter(self.spec.outputs))):
            scope.moved("outputs").fail("the first output was left out")
        if root.output == "input":
            scope.fail("the network has no layers, or its output is its input")
        return tuple(outputs) or (Output("logits", root.output),)

    # Blocks

    def block(
        self,
        layers: AnyMapping[str, Layer],
        scope: Scope,
        entry: Value,
        kind: str,
        wanted: AnyMapping[str, str] | None = None,
    ) -> tuple[Block, dict[str, Value]]:
        """Expand layers to a block; also returns what each local name stands for."""
        local: dict[str, Value] = {"input": replace(entry, step="input")}
        steps: list[Step] = []
        latest = local["input"]
        for key, layer in layers.items():
            for name, names in repetitions(self.spec, key, layer, scope):
                at = scope.inner(name, key, names)
                at.spend(WORK_OF_LAYER + 2 * len(names) + len(at.path) // 2)
                self.counted(1, at)
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
            scope.path,
            kind,
            releasing(steps, kept),
            output,
            named(entry.shape),
            named(latest.shape),
        )
        return block, local

    def sources(
        self,
        name: str,
        layer: Layer,
        local: AnyMapping[str, Value],
        latest: Value,
        at: Scope,
        layers: AnyMapping[str, Layer],
    ) -> list[Value]:
        if layer.inputs is None:
            return [latest]
        wanted = [layer.inputs] if isinstance(layer.inputs, str) else layer.inputs
        at = at.moved(*at.location, "from")
        if not wanted:
            at.fail("expected at least one layer to read")
        at.spend(20 * len(wanted))
        for source in wanted:
            if is_expression(source):
                at.fail(f"'from' takes names of layers, no expressions: {quoted(source)}")
            repeat = layers[source].repeat if source in layers else None
            repeated = repeat is not None
            if source == name or (source in layers and source not in local and not repeated):
                at.fail(
                    f"it reads {quoted(source)}, which comes later: a cycle, or the wrong order"
                )
            if source not in local and source in layers:
                example = "a row" if isinstance(repeat, Rows) else f"'{source}1'"
                at.fail(
                    f"it reads {quoted(source)}, which is repeated: name one, such as {example}"
                )
            if source not in local:
                at.fail(
                    f"it reads {quoted(source)}, which is no layer here.{suggestion(source, local)}"
                )
        return [local[source] for source in wanted]

    # Layers

    def layer(
        self, name: str, layer: Layer, sources: list[Value], at: Scope, steps: list[Step]
    ) -> Value:
        """Expand one layer; append its step, or return its first source if it is left out."""
        when = at.compute(layer.when, "when")
        if not isinstance(when, bool):
            at.fail(f"when must be true or false, got {quoted(when)}")
        if not when:
            return sources[0]
        if isinstance(layer, Op):
            node = nodes.make(layer, sources, at)
            child: Node | Block = node
            self.note_all(layer, arguments.NO_ROW, at)
            value = Value(name, node.name, node.shape, node.layout)
        else:
            if len(sources) > 1:
                at.fail("a block has one input; join them first with concat or add")
            child = self.inner_block(name, layer, sources[0], at)
            if not child.steps:
                return sources[0]
            last = child.output_node
            value = Value(name, last.name, child.shape, last.layout)
        steps.append(Step(name, tuple(source.step for source in sources), child))
        return value

    def inner_block(self, name: str, layer: Layer, source: Value, at: Scope) -> Block:
        if isinstance(layer, Group):
            self.note_all(layer, arguments.NO_ROW, at)
            kind, layers = name, layer.layers
            scope = at.moved(*at.location, "layers")
        else:
            assert isinstance(layer, Use)
            kind, scope, row = arguments.enter(self.spec, self.everywhere, name, layer, at)
            self.note_all(layer, row, at)
            return self.used(kind, scope, source)
        # `$input` is each layer's own input, so the outer one does not reach inside.
        return self.block(layers, scope, source, kind)[0]

    def used(self, kind: str, scope: Scope, source: Value) -> Block:
        """Expand a block; one that was expanded already, with equal arguments, is copied."""
        parameters = self.spec.blocks[kind].parameters
        values = repr([scope.names[name] for name in parameters])  # tells 1 from 1.0 and true
        key = kind, scope.blocks, values, source.shape, source.layout
        if key in self.expanded:
            block, count = self.expanded[key]
            scope.spend(WORK_OF_COPY * count)
            self.counted(count, scope)
            return moved(block, scope.path, source.node)
        count, notes = self.count, len(self.published)
        block, _ = self.block(self.spec.blocks[kind].layers, scope, source, kind)
        if notes == len(self.published):  # figures belong to one place
            self.expanded[key] = block, self.count - count
        return block

    def counted(self, layers: int, at: Scope) -> None:
        self.count += layers
        if self.count > MAX_LAYERS:
            at.fail(f"more than {MAX_LAYERS:,} layers")

    def note_all(self, layer: Layer, row: arguments.Row, at: Scope) -> None:
        """Keep a layer's figures, and those of its row that the layer does not state itself."""
        own = layer.published or {}
        for kind, figure in row.published.items():
            if kind not in own and figure is not None:
                self.note(at.path, kind, figure, row.places[kind])
        for kind, figure in own.items():
            if figure is not None:
                self.note(at.path, kind, figure, at.moved(*at.location, "published", kind))

    def note(self, path: str, kind: str, figure: Any, at: Scope) -> None:
        """Keep a figure that the paper states of a node or block."""
        if problem := published.problem_with(kind, figure):
            at.fail(problem)
        kept = published.reasons(figure) if kind == published.NOTES else figure
        self.published.setdefault(path, {})[kind] = kept


def _parts(shape: Shape) -> dict[str, int]:
    if len(shape) == 1:
        return {"features": shape[0]}
    return dict(zip(("channels", "height", "width"), shape, strict=True))
