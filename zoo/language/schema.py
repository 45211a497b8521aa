"""The grammar of a spec file, as types; the JSON Schema that editors use is made from it."""

from __future__ import annotations

import functools
import json
import operator
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import ConfigDict, Discriminator, Field, Tag, TypeAdapter

from zoo.ops import OPS
from zoo.ops.fields import (
    Classes,
    Colours,
    Crop,
    Deviations,
    Layer,
    Number,
    PlainCount,
    PlainNumber,
    PlainSize,
    Strict,
    Value,
    exactly,
)

FORMAT = 1

if TYPE_CHECKING:
    Version: TypeAlias = int
else:
    Version = exactly(FORMAT, f"{FORMAT}, the format version this zoo reads")

Name: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")]


class Use(Layer):
    """The use of a block; every field not listed here is an argument of the block."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)

    block: str = Field(description="name of a block of this file")
    table: str | None = Field(
        None, description="name of a table whose row of this layer's name gives more arguments"
    )

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments as written."""
        return self.model_extra or {}


class Group(Layer):
    """Layers in sequence under one name, for a branch that is not worth a block."""

    layers: Layers


def _kind(value: Any) -> str:
    if not isinstance(value, dict):
        return "group"
    if "op" in value:
        return value["op"] if value["op"] in list(OPS) else "unknown"
    return "use" if "block" in value else "group"


_members: list[Any] = [Annotated[op, Tag(name)] for name, op in OPS.items()]
_members += [Annotated[Use, Tag("use")], Annotated[Group, Tag("group")]]
if TYPE_CHECKING:
    Layers: TypeAlias = dict[str, Layer]
else:
    AnyLayer = Annotated[functools.reduce(operator.or_, _members), Discriminator(_kind)]
    Layers = dict[Name, AnyLayer]


class Paper(Strict):
    """Where an architecture comes from."""

    title: str
    authors: str
    year: int
    url: str
    venue: str | None = None


class Options(Strict):
    """What a network is built for unless the caller says otherwise."""

    num_classes: PlainCount = 1000
    in_channels: PlainCount = 3
    input_size: PlainSize = 224


class Table(Strict):
    """Rows of arguments, each named after the layer it belongs to."""

    columns: list[str]
    published: list[str] = Field([], description="columns that state results, not arguments")
    rows: dict[Name, list[Value]]


class BlockDef(Strict):
    """A block: layers with parameters."""

    about: str | None = None
    parameters: dict[Name, Value] = Field(
        {}, description="name: default; null where it must be given"
    )
    layers: Layers


class OutputDef(Strict):
    """A result of the network."""

    layer: str = Field(alias="from")
    loss_weight: Number = 1.0


class Normal(Strict):
    """A normal distribution."""

    mean: PlainNumber = 0.0
    std: PlainNumber


class VarianceScaling(Strict):
    """A distribution whose variance is the scale divided by the number of inputs."""

    distribution: Literal["uniform", "normal"]
    scale: PlainNumber = 1.0


if TYPE_CHECKING:
    InitialWeight: TypeAlias = Normal | VarianceScaling
else:
    InitialWeight = Annotated[
        Annotated[Normal, Tag("normal")] | Annotated[VarianceScaling, Tag("scaled")],
        Discriminator(
            lambda v: "scaled" if isinstance(v, dict) and "distribution" in v else "normal"
        ),
    ]


class Initializers(Strict):
    """How the paper fills parameters before training."""

    about: str | None = None
    weight: InitialWeight
    bias: PlainNumber = 0.0


class Preprocessing(Strict):
    """How a photograph becomes an input; what ImageNet's networks usually take if not given."""

    about: str | None = None
    crop: Crop = Field(
        0.875, description="the part of the resized photograph that the centre crop shows, each way"
    )
    keep_aspect: bool = Field(True, description="false where resizing squeezes it to that shape")
    interpolation: Literal["nearest", "bilinear", "bicubic"] = "bilinear"
    channels: Literal["rgb", "bgr"] = Field("rgb", description="their order in the input")
    range: PlainCount = Field(1, description="pixels run from 0 to this before mean and std")
    mean: Colours = Field([0.485, 0.456, 0.406], description="of red, green, blue; subtracted")
    std: Deviations = Field([0.229, 0.224, 0.225], description="of red, green, blue; divided by")


class Variant(Strict):
    """A named model: what it changes in its family. Mappings merge; everything else replaces."""

    about: str | None = None
    source: str | None = None
    base: str | None = Field(None, description="another model of the family to start from")
    settings: dict[Name, Value] = {}
    options: dict[str, Any] = {}
    tables: dict[Name, Any] = {}
    blocks: dict[Name, Any] = {}
    layers: dict[Name, Any] = {}
    outputs: dict[Name, Any] = {}
    initializers: dict[str, Any] = {}
    preprocessing: dict[str, Any] = {}
    classes: Classes = None
    published: dict[str, Any] = {}


class Spec(Strict):
    """A spec file: one family of networks."""

    format: Version
    name: Name
    title: str | None = None
    about: str | None = None
    paper: Paper | None = None
    options: Options = Options()
    settings: dict[Name, Value] = Field({}, description="values that any expression may read")
    initializers: Initializers | None = None
    preprocessing: Preprocessing = Preprocessing()
    classes: Classes = Field(None, description="what the classifier's outputs stand for")
    published: dict[str, Any] = {}
    tables: dict[Name, Table] = {}
    blocks_from: Name | None = Field(
        None,
        description="a spec beside this one, or zoo's, whose blocks this may use as well",
    )
    blocks: dict[Name, BlockDef] = {}
    layers: Layers
    outputs: dict[Name, OutputDef] = Field(
        {}, description="name: the layer it comes from; the last layer, as logits, if not given"
    )
    models: dict[Name, Variant] = Field({}, description="named variants; the family alone if none")


class Extension(Strict):
    """A spec file of more models of a family that another file holds."""

    format: Version
    extends: Name = Field(
        description="a spec beside this one, or zoo's, whose family these models join"
    )
    about: str | None = None
    models: dict[Name, Variant] = Field(min_length=1)


def json_schema() -> str:
    """Return the JSON Schema of a spec file, as text."""
    schema = TypeAdapter(Spec | Extension).json_schema(by_alias=True)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return json.dumps(schema, indent=1) + "\n"


for _model in (Group, BlockDef, Spec, Extension):
    _model.model_rebuild()

if __name__ == "__main__":  # python -m zoo.language.schema > spec/spec.schema.json
    print(json_schema(), end="")
