"""The grammar of a spec file; the JSON Schema that editors use is generated from it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from zoo.errors import suggestion
from zoo.ops import OPS
from zoo.ops.field_hints import TAGS
from zoo.ops.fields import (
    ANYTHING,
    CLASSES,
    COLORS,
    COUNT,
    CROP,
    DEVIATIONS,
    MAPPING,
    MAX_REPEAT,
    NUMBER,
    PLAIN_BOOLEAN,
    PLAIN_COUNT,
    PLAIN_INTEGER,
    PLAIN_NUMBER,
    PLAIN_SIZE,
    TEXT,
    VALUE,
    Layer,
    exactly,
)
from zoo.ops.grammar import Field, Record, RecordOf
from zoo.ops.kinds import (
    MISSING,
    NAME,
    Kind,
    ListOf,
    MappingOf,
    Mismatch,
    Nullable,
    kind_or_value,
    one_of,
)
from zoo.ops.operation_hints import normalized
from zoo.ops.registry import hint, meant

FORMAT = 1

VERSION = exactly(FORMAT, f"{FORMAT}, the format that this version of zoo reads")
OPTIONAL_TEXT: Kind[str | None] = Nullable(TEXT)
NOTHING: Mapping[str, Any] = {}


class AnyLayer(Kind[Layer]):
    """An operation, the use of a block, or a group."""

    def read(self, value: Any) -> Layer:
        if not isinstance(value, dict):
            name = meant(value) if isinstance(value, str) else None
            hint = f"Write {{op: {name}}}." if name else ""
            raise Mismatch("expected a mapping", value, hint=hint)
        if "op" not in value:
            if "block" in value:
                return Use.read(value)
            # Checked first: without an operation, its fields are unknown, too.
            for key in value:
                if normalized(key) in TAGS:
                    raise Mismatch(f"unknown field. {_as_op(value[key])}", MISSING, key)
            return Group.read(value)
        name = value["op"]
        if not isinstance(name, str) or name not in OPS:
            raise Mismatch(f"unknown op {_name(name)}{_correction(name)}")
        return OPS[name].read(value)

    def schema(self, definitions: dict[str, Any]) -> dict[str, Any]:
        kinds: list[type[Record]] = [*OPS.values(), Use, Group]
        return {"anyOf": [kind.schema(definitions) for kind in kinds]}


LAYERS: Kind[Mapping[str, Layer]] = MappingOf(AnyLayer())


def _name(name: Any) -> str:
    """Show the value of ``op`` in a message."""
    return kind_or_value(name) if isinstance(name, str | dict) else f"{name!r:.60}"


def _as_op(word: Any) -> str:
    """Return the hint for an operation that is written in another field than ``op``."""
    name = meant(word) if isinstance(word, str) else None
    return f"Use 'op: {name}'." if name else "Use 'op'."


def _correction(name: Any) -> str:
    if isinstance(name, str) and (word := hint(name)):
        return f". {word}"
    return suggestion(name, OPS) or f". Known: {', '.join(OPS)}."


class Rows(Record):
    """The rows of a table: one layer for each, with the name of the row."""

    table = Field(TEXT)


class Repetition(Kind[int | list[Any] | Rows]):
    """A count, a list of items or the rows of a table."""

    def read(self, value: Any) -> int | list[Any] | Rows:
        return Rows.read(value) if isinstance(value, dict) else COUNT.read(value)

    def schema(self, definitions: dict[str, Any]) -> dict[str, Any]:
        return {"anyOf": [COUNT.schema(definitions), Rows.schema(definitions)]}


class Use(Layer):
    """The use of a block; every field not listed here is an argument of the block."""

    extra = True

    block = Field(TEXT, doc="the name of a block of this file")
    table = Field(OPTIONAL_TEXT, None, doc="a table whose row of this layer's name gives arguments")
    repeat: Field[Any] = Field(
        Nullable(Repetition()),
        None,
        doc="how many times in a row, a list with one $item for each time, or {table: its name}"
        f" for one layer a row; at most {MAX_REPEAT:,}",
    )

    @property
    def arguments(self) -> Mapping[str, Any]:
        """The arguments as written."""
        return self.given_extra

    @classmethod
    def _definition(cls, definitions: dict[str, Any]) -> dict[str, Any]:
        return super()._definition(definitions) | {"not": {"required": ["op"]}}


class Group(Layer):
    """Layers in sequence under one name, for a branch that is not worth a block."""

    layers = Field(LAYERS)

    @classmethod
    def known(cls) -> list[str]:
        return ["op", "block", *cls.fields]

    @classmethod
    def missing(cls, key: str) -> Mismatch:
        return Mismatch(
            "expected one of op (an operation), block (the use of one) or layers (a group)"
        )


class Paper(Record):
    """Where an architecture comes from."""

    title = Field(TEXT)
    authors = Field(TEXT)
    year = Field(PLAIN_INTEGER)
    url = Field(TEXT)
    venue = Field(OPTIONAL_TEXT, None)


class Options(Record):
    """The options that a network is built with by default."""

    num_classes = Field(PLAIN_COUNT, 1000)
    in_channels = Field(PLAIN_COUNT, 3)
    input_size = Field(PLAIN_SIZE, 224)


class Table(Record):
    """Rows of arguments, each named after the layer it belongs to."""

    columns = Field(ListOf(TEXT))
    published = Field(ListOf(TEXT), [], doc="columns that state results, not arguments")
    rows = Field(MappingOf(ListOf(VALUE)))
    notes = Field(
        MappingOf(MappingOf(TEXT, names=False)),
        NOTHING,
        doc="row: why its figures differ from the computed ones",
    )


class BlockDef(Record):
    """A block: layers with parameters."""

    about = Field(OPTIONAL_TEXT, None)
    parameters = Field(MappingOf(VALUE), NOTHING, doc="name: default; null where it must be given")
    layers = Field(LAYERS)


class OutputDef(Record):
    """A result of the network."""

    layer = Field(TEXT, key="from")
    loss_weight = Field(NUMBER, 1.0)


class Normal(Record):
    """A normal distribution."""

    mean = Field(PLAIN_NUMBER, 0.0)
    std = Field(PLAIN_NUMBER)


class VarianceScaling(Record):
    """A distribution whose variance is the scale divided by the number of inputs."""

    distribution = Field(one_of("uniform", "normal"))
    scale = Field(PLAIN_NUMBER, 1.0)


class InitialWeight(Kind[Normal | VarianceScaling]):
    """One of the two ways to draw weights."""

    def read(self, value: Any) -> Normal | VarianceScaling:
        scaled = isinstance(value, dict) and "distribution" in value
        return VarianceScaling.read(value) if scaled else Normal.read(value)

    def schema(self, definitions: dict[str, Any]) -> dict[str, Any]:
        return {"anyOf": [Normal.schema(definitions), VarianceScaling.schema(definitions)]}


class Initializers(Record):
    """How the paper initializes parameters."""

    about = Field(OPTIONAL_TEXT, None)
    weight = Field(InitialWeight())
    bias = Field(PLAIN_NUMBER, 0.0)


class Preprocessing(Record):
    """How a photograph becomes an input; by default, what most ImageNet networks take."""

    about = Field(OPTIONAL_TEXT, None)
    crop = Field(
        CROP,
        0.875,
        doc="how much of the resized photograph the center crop keeps, each way: a fraction,"
        " or the pixels of both, [224, 256]",
    )
    keep_aspect = Field(
        PLAIN_BOOLEAN, True, doc="if false, resizing squeezes the photograph to the input's shape"
    )
    interpolation = Field(one_of("nearest", "bilinear", "bicubic"), "bilinear")
    channels = Field(one_of("rgb", "bgr"), "rgb", doc="their order in the input")
    range = Field(PLAIN_COUNT, 1, doc="pixels run from 0 to this before mean and std")
    mean = Field(COLORS, [0.485, 0.456, 0.406], doc="of red, green, blue; subtracted")
    std = Field(DEVIATIONS, [0.229, 0.224, 0.225], doc="of red, green, blue; divided by")


class Variant(Record):
    """A named model: what it changes in its family. Mappings merge; everything else replaces."""

    about = Field(OPTIONAL_TEXT, None)
    source = Field(OPTIONAL_TEXT, None)
    base = Field(OPTIONAL_TEXT, None, doc="another model of the family to start from")
    settings = Field(MappingOf(VALUE), NOTHING)
    options = Field(MAPPING, NOTHING)
    tables = Field(MappingOf(ANYTHING), NOTHING)
    blocks = Field(MappingOf(ANYTHING), NOTHING)
    layers = Field(MappingOf(ANYTHING), NOTHING)
    outputs = Field(MappingOf(ANYTHING), NOTHING)
    initializers = Field(MAPPING, NOTHING)
    preprocessing = Field(MAPPING, NOTHING)
    classes = Field(CLASSES, None)
    published = Field(MAPPING, NOTHING)


class _File(Record):
    """What every spec file states."""

    @classmethod
    def missing(cls, key: str) -> Mismatch:
        found = super().missing(key)
        if key == "format":
            found.hint = f"Write 'format: {FORMAT}'."
        return found


class ModelTable(Variant):
    """Models in the rows of a table, each with these fields and those that its cells state."""

    columns = Field(
        ListOf(TEXT), doc="a setting, or the path of another field, such as options.input_size"
    )
    rows = Field(
        MappingOf(ListOf(ANYTHING), empty=False), doc="name of the model: a cell for each column"
    )

    @classmethod
    def is_one(cls, value: Any) -> bool:
        """Tell whether an entry of ``models`` is a table rather than a model."""
        return isinstance(value, dict) and ("columns" in value or "rows" in value)


class AnyModel(Kind[Variant]):
    """A model, or a table of models."""

    def read(self, value: Any) -> Variant:
        return (ModelTable if ModelTable.is_one(value) else Variant).read(value)

    def schema(self, definitions: dict[str, Any]) -> dict[str, Any]:
        return {"anyOf": [kind.schema(definitions) for kind in (Variant, ModelTable)]}


class Spec(_File):
    """A spec file: one family of networks."""

    format = Field(VERSION)
    name = Field(NAME)
    title = Field(OPTIONAL_TEXT, None)
    about = Field(OPTIONAL_TEXT, None)
    paper = Field(Nullable(RecordOf(Paper)), None)
    options = Field(RecordOf(Options), Options())
    settings = Field(MappingOf(VALUE), NOTHING, doc="values that any expression may read")
    initializers = Field(Nullable(RecordOf(Initializers)), None)
    preprocessing = Field(RecordOf(Preprocessing), Preprocessing())
    classes = Field(CLASSES, None, doc="what the classifier's outputs stand for")
    published = Field(MAPPING, NOTHING)
    tables = Field(MappingOf(RecordOf(Table)), NOTHING)
    blocks_from = Field(
        Nullable(NAME),
        None,
        doc="a spec in the same folder, or one of zoo's, whose blocks this one may use",
    )
    blocks = Field(MappingOf(RecordOf(BlockDef)), NOTHING)
    layers = Field(LAYERS)
    outputs = Field(
        MappingOf(RecordOf(OutputDef)),
        NOTHING,
        doc="name: the layer it comes from; by default the last layer, as logits",
    )
    models = Field(
        MappingOf(AnyModel()), NOTHING, doc="named variants; by default the family alone"
    )


class Extension(_File):
    """A spec file with more models of a family in another file."""

    format = Field(VERSION)
    extends = Field(
        NAME, doc="a spec in the same folder, or one of zoo's, whose family these models join"
    )
    about = Field(OPTIONAL_TEXT, None)
    models = Field(MappingOf(AnyModel(), empty=False))


def json_schema() -> str:
    """Return the JSON Schema of a spec file, as text."""
    definitions: dict[str, Any] = {}
    files = [Spec.schema(definitions), Extension.schema(definitions)]
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$defs": dict(sorted(definitions.items())),
        "anyOf": files,
    }
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":  # python -m zoo.language.schema > spec/spec.schema.json
    print(json_schema(), end="")
