"""Expands a spec to a graph: evaluates expressions, expands blocks, infers shapes."""

from __future__ import annotations

from collections.abc import Mapping as AnyMapping
from dataclasses import replace
from typing import Any

from zoo.errors import InputError, quoted, suggestion
from zoo.graphs import published
from zoo.graphs.blocks import Block, Step, computes_same, moved, releasing
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
from zoo.language.trace import Trace
from zoo.ops import Op
from zoo.ops.expressions import Budget, is_expression
from zoo.ops.fields import Layer

MAX_LAYERS = 10_000  # including blocks, and layers that are left out
WORK_OF_LAYER = 400  # units of the budget, in addition to the cost of its fields
WORK_OF_COPY = 100  # units of the budget for each layer of a block that is copied


#: The key of a document for the figures that the model inherits, by path name.
INHERITED = "inherited"


def expand(
    model: str,
    spec: Spec,
    document: Mapping,
    chosen: options.Chosen,
    budget: Budget | None = None,
    base: Graph | None = None,
    trace: Trace | None = None,
) -> Graph:
    """Expand a spec.

    Args:
        model: The name of the model.
        spec: The valid spec of one model.
        document: The same spec as data that knows its lines.
        chosen: The options that the caller chose; the spec's own values are used for the others.
        budget: The work that is left, if it is shared with other expansions.
        base: The network whose published figures this one inherits for the parts that compute the
            same. By default, they are in the document.
        trace: Records where in the spec each block and layer comes from.

    Raises:
        SpecError: The spec is wrong, or does not fit this input.
        InputError: Auxiliary heads are requested, and the model has none.
    """
    defaults = spec.options
    num_classes = chosen.num_classes
    values: dict[str, Any] = {
        "aux": chosen.aux,
        "num_classes": defaults.num_classes if num_classes is None else num_classes,
        "in_channels": chosen.in_channels or defaults.in_channels,
        "input_size": chosen.input_size or options.size(defaults.input_size),
    }
    graph = _Expander(model, spec, document, values, budget or Budget(), trace).graph(base)
    if chosen.classes and len(chosen.classes) == values["num_classes"]:
        options_ = {**values, "classes": chosen.classes}
        graph = replace(graph, options=options_, classes=chosen.classes)
    if chosen.aux and len(graph.outputs) < 2:
        raise InputError(f"{model} has no auxiliary heads; build it with aux=False")
    return graph


class _Expander:
    def __init__(
        self,
        model: str,
        spec: Spec,
        document: Mapping,
        options: AnyMapping[str, Any],
        budget: Budget,
        trace: Trace | None,
    ) -> None:
        self.model, self.spec, self.document, self.options = model, spec, document, options
        self.trace = trace
        self.published: dict[str, dict[str, Any]] = {}
        self.count = 0
        self.expanded: dict[tuple[Any, ...], tuple[Block, int]] = {}
        self.budget = budget

    def scope(self, location: Location, names: AnyMapping[str, Any]) -> Scope:
        """Return a scope of the whole network; all scopes share one budget."""
        return Scope(self.document, self.model, "", location, names, budget=self.budget)

    def graph(self, base: Graph | None) -> Graph:
        spec = self.spec
        height, width = self.options["input_size"]
        names = {**self.options, "input_size": [height, width]}
        for key, value in spec.settings.items():
            setting_scope = self.scope(("settings", key), names)
            if key in self.options or key in arguments.SPECIAL:
                setting_scope.fail(f"a setting cannot be called {key!r}: the name is reserved")
            names[key] = setting_scope.compute(value)
        self.global_names = names
        if self.trace is not None:
            self.trace.names = names
        for kind, figure in spec.published.items():
            figure_scope = self.scope(("published", kind), names)
            self.record_figure("", kind, figure, figure_scope)
        shape = Map(self.options["in_channels"], height, width)
        scope = self.scope(("layers",), names)
        output_names = {output.layer: name for name, output in spec.outputs.items()}
        root, values = self.block(
            spec.layers, scope, Value("input", "input", shape), self.model, output_names
        )
        return Graph(
            name=self.model,
            root=root,
            outputs=self.outputs(values, root, scope),
            input_shape=shape,
            options=dict(self.options),
            omitted=tuple(
                name
                for name, layer in spec.layers.items()
                if "$aux" in str(layer.when) and name in values and values[name].step != name
            ),
            initializers=description.initializers(spec),
            published=self.figures(root, base),
            about=description.about(spec),
            preprocessing=spec.preprocessing.to_dict(exclude={"about"}),
            classes=description.class_names(spec, self.options, self.scope(("classes",), names)),
            document=self.document,
        )

    def outputs(
        self, values: AnyMapping[str, Value], root: Block, scope: Scope
    ) -> tuple[Output, ...]:
        if root.output == "input":
            empty = "the network has no layers"
            scope.fail("the output of the network is its input" if root.steps else empty)
        if self.options["num_classes"] == 0:
            return (Output("features", root.output),)
        outputs = []
        for name, output in self.spec.outputs.items():
            inner = scope.moved("outputs", name)
            if output.layer not in values:
                hint = suggestion(output.layer, values)
                inner.fail(f"output {name!r} comes from an unknown layer {output.layer!r}{hint}")
            if values[output.layer].step == output.layer:
                weight = inner.compute(output.loss_weight)
                if type(weight) not in (int, float):
                    inner.fail(f"loss_weight must be a number, got {quoted(weight)}", "loss_weight")
                outputs.append(Output(name, output.layer, float(weight)))
        if self.spec.outputs and (not outputs or outputs[0].name != next(iter(self.spec.outputs))):
            scope.moved("outputs").fail("the first output was left out")
        return tuple(outputs) or (Output("logits", root.output),)

    def figures(self, root: Block, base: Graph | None) -> AnyMapping[str, Any]:
        """Return the figures stated and inherited; none with other options than the spec's own."""
        if not description.is_as_published(self.spec, self.options):
            return {}
        children = {child.name: child for child in root.descendants}
        if base is None:
            stated = self.document.get(INHERITED, {})
            if problem := published.problem_with_all(stated):
                self.scope((INHERITED,), {}).fail(problem)
            inherited = {path: stated[path] for path in stated if not path or path in children}
        else:
            inherited = {
                path: figures
                for path, figures in base.published.items()
                if path in children and computes_same(base[path], children[path])
            }
        return published.combined(self.published, inherited)

    # Blocks

    def block(
        self,
        layers: AnyMapping[str, Layer],
        scope: Scope,
        entry: Value,
        kind: str,
        output_names: AnyMapping[str, str] | None = None,
    ) -> tuple[Block, dict[str, Value]]:
        """Expand layers to a block; also return the value of each local name."""
        values: dict[str, Value] = {"input": replace(entry, step="input")}
        steps: list[Step] = []
        latest = values["input"]
        for key, layer in layers.items():
            for name, names in repetitions(self.spec, key, layer, scope):
                inner = scope.inner(name, key, names)
                inner.spend(WORK_OF_LAYER + 2 * len(names) + len(inner.path) // 2)
                self.count_layers(1, inner)
                if name in values:
                    inner.fail(f"the name {name!r} is already taken in this block")
                if problem := problem_with(name):
                    inner.fail(problem)
                if self.trace is not None and layer.repeat is not None:
                    self.trace.repeated[inner.path] = key
                sources = self.sources(name, layer, values, latest, inner, layers)
                inner = scope.inner(name, key, {**names, "input": _parts(sources[0].shape)})
                latest = self.layer(name, layer, sources, inner, steps)
                values[name] = latest
        if output_names:
            latest = values.get(next(iter(output_names)), latest)
        output = latest.step
        read = {source for step in steps for source in step.inputs} | {output}
        read |= {values[name].step for name in output_names or () if name in values}
        for step in steps:
            if step.name not in read:
                inner = scope.inner(step.name, step.name, scope.names)
                inner.fail("no layer reads its output; name it in the 'from' of a later layer")
        kept = {values[name].step for name in output_names or () if name in values} | {output}
        block = Block(
            scope.path,
            kind,
            releasing(steps, kept),
            output,
            named(entry.shape),
            named(latest.shape),
        )
        return block, values

    def sources(
        self,
        name: str,
        layer: Layer,
        values: AnyMapping[str, Value],
        latest: Value,
        scope: Scope,
        layers: AnyMapping[str, Layer],
    ) -> list[Value]:
        if layer.inputs is None:
            return [latest]
        names = [layer.inputs] if isinstance(layer.inputs, str) else layer.inputs
        scope = scope.moved(*scope.location, "from")
        if not names:
            scope.fail("expected at least one layer to read")
        scope.spend(20 * len(names))
        for source in names:
            if is_expression(source):
                scope.fail(f"'from' takes names of layers, not expressions: {quoted(source)}")
            repeat = layers[source].repeat if source in layers else None
            is_later = source in layers and source not in values and repeat is None
            if source == name or is_later:
                scope.fail(
                    f"it reads {quoted(source)}, which comes later: a cycle, or the wrong order"
                )
            if source not in values and source in layers:
                example = "a row" if isinstance(repeat, Rows) else f"'{source}1'"
                scope.fail(
                    f"it reads {quoted(source)}, which is repeated: name one, such as {example}"
                )
            if source not in values:
                hint = suggestion(source, values)
                scope.fail(f"it reads {quoted(source)}, which is not a layer here{hint}")
        return [values[source] for source in names]

    # Layers

    def layer(
        self, name: str, layer: Layer, sources: list[Value], scope: Scope, steps: list[Step]
    ) -> Value:
        """Expand one layer; append its step, or return its first source if it is left out."""
        when = scope.compute(layer.when, "when")
        if not isinstance(when, bool):
            scope.fail(f"when must be true or false, got {quoted(when)}")
        if not when:
            return sources[0]
        if isinstance(layer, Op):
            if self.options["num_classes"] == 0 and nodes.has_no_outputs(layer, scope):
                return sources[0]  # the classifier
            node = nodes.make(layer, sources, scope)
            child: Node | Block = node
            self.record_figures(layer, arguments.NO_ROW, scope)
            value = Value(name, node.name, node.shape, node.layout)
        else:
            if len(sources) > 1:
                scope.fail("a block has one input; join them first with concat or add")
            child = self.inner_block(name, layer, sources[0], scope)
            if not child.steps:
                return sources[0]
            last = child.output_node
            value = Value(name, last.name, child.shape, last.layout)
        steps.append(Step(name, tuple(source.step for source in sources), child))
        return value

    def inner_block(self, name: str, layer: Layer, source: Value, scope: Scope) -> Block:
        if isinstance(layer, Group):
            self.record_figures(layer, arguments.NO_ROW, scope)
            inner = scope.moved(*scope.location, "layers")
            return self.block(layer.layers, inner, source, name)[0]
        assert isinstance(layer, Use)
        kind, inner, row = arguments.enter(self.spec, self.global_names, name, layer, scope)
        self.record_figures(layer, row, scope)
        return self.expand_use(kind, inner, source)

    def expand_use(self, kind: str, scope: Scope, source: Value) -> Block:
        """Expand a block, or copy it if it was already expanded with equal arguments."""
        parameters = self.spec.blocks[kind].parameters
        # Unlike equality, repr distinguishes 1 from 1.0 and true.
        values = repr([scope.names[name] for name in parameters])
        key = kind, scope.blocks, values, source.shape, source.layout
        if self.trace is not None:  # which copies would not be recorded in
            self.trace.uses[scope.path] = kind, {name: scope.names[name] for name in parameters}
        elif key in self.expanded:
            block, count = self.expanded[key]
            scope.spend(WORK_OF_COPY * count)
            self.count_layers(count, scope)
            return moved(block, scope.path, source.node)
        count, notes = self.count, len(self.published)
        block, _ = self.block(self.spec.blocks[kind].layers, scope, source, kind)
        if notes == len(self.published):  # figures belong to one path, so they cannot be copied
            self.expanded[key] = block, self.count - count
        return block

    def count_layers(self, layers: int, scope: Scope) -> None:
        self.count += layers
        if self.count > MAX_LAYERS:
            scope.fail(f"more than {MAX_LAYERS:,} layers")

    def record_figures(self, layer: Layer, row: arguments.Row, scope: Scope) -> None:
        """Record the figures of a layer, and those of its row that the layer does not override."""
        stated = layer.published or {}
        for kind, figure in row.published.items():
            if kind not in stated and figure is not None:
                self.record_figure(scope.path, kind, figure, row.scopes[kind])
        for kind, figure in stated.items():
            figure_scope = scope.moved(*scope.location, "published", kind)
            self.record_figure(scope.path, kind, figure, figure_scope)

    def record_figure(self, path: str, kind: str, figure: Any, scope: Scope) -> None:
        """Record a figure that is stated for a node or block; None drops an inherited one."""
        if figure is not None and (problem := published.problem_with(kind, figure)):
            scope.fail(problem)
        value = published.reasons(figure or {}) if kind == published.NOTES else figure
        self.published.setdefault(path, {})[kind] = value


def _parts(shape: Shape) -> dict[str, int]:
    if len(shape) == 1:
        return {"features": shape[0]}
    return dict(zip(("channels", "height", "width"), shape, strict=True))
