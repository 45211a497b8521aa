"""An operation is registered once, and everything else about it follows."""

import importlib.util
import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest

import zoo
from zoo import ops
from zoo.errors import SpecError
from zoo.graphs.shapes import Map, Vector
from zoo.language import schema
from zoo.ops import field_hints, operation_hints, registry
from zoo.ops.base import Op
from zoo.ops.cases import Generator
from zoo.ops.composite import Composite, as_block, opened
from zoo.ops.registry import operation

ROOT = Path(zoo.__file__).parent.parent
LAYERS = """
c: {op: conv, out_channels: 4, kernel_size: 3}
p: {op: prelu}
"""


def test_a_new_operation_is_unknown_without_its_package(spec_file):
    with pytest.raises(SpecError, match="unknown op 'prelu'. zoo has no such operation."):
        zoo.graph(spec_file(LAYERS))


def test_a_new_operation_has_shapes_parameters_and_a_meaning(prelu, spec_file):
    graph = zoo.graph(spec_file(LAYERS), in_channels=3, input_size=5)
    node = graph.node("p")
    assert node.shape == Map(4, 3, 3)
    assert [(p.name, p.shape, p.constant) for p in node.parameters] == [("p.weight", (4,), 0.25)]
    x = np.random.default_rng(0).standard_normal((2, 3, 5, 5))
    weights = {p.name: np.ones(p.shape) for p in graph.parameters}
    weights["p.weight"] = np.array([0.0, 0.5, 1.0, 2.0])
    values = dict(ops.steps(graph, x, weights))
    slopes = np.array([0.0, 0.5, 1.0, 2.0])[:, None, None]
    assert np.array_equal(values["p"], np.where(values["c"] < 0, slopes * values["c"], values["c"]))
    with pytest.raises(SpecError, match="put the layer before flatten"):
        zoo.graph(spec_file("f: {op: flatten}\np: {op: prelu}"))


def test_a_new_operation_is_in_the_schema_the_tables_and_the_colors(prelu):
    validator = jsonschema.Draft202012Validator(json.loads(schema.json_schema()))
    document = {"format": 1, "name": "x", "layers": {"p": {"op": "prelu", "init": 0.1}}}
    validator.validate(document)
    document["layers"]["p"] = {"op": "prelu", "slope": 0.1}
    assert not validator.is_valid(document)
    line = "| `prelu` | `init` (0.25, the initial slope) | x where x is positive, elsewhere x "
    assert line in tables().language()
    assert "| `prelu` |" in tables().operations()
    assert ops.OPS["prelu"].family == "activation"


def test_a_new_operation_is_tested_and_suggested(prelu, spec_file):
    case = ops.OPS["prelu"].cases(Generator(seed=0))
    assert case.document()["layers"] == {"n0": {"op": "prelu"}}
    with pytest.raises(SpecError, match="unknown op 'ParametricReLU'. Use 'prelu'."):
        zoo.graph(spec_file("p: {op: ParametricReLU}"))


# What the backends need for it, one function each, goes here.


def tables():
    spec = importlib.util.spec_from_file_location("tables_of_docs", ROOT / "docs" / "tables.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_table_of_the_spec_language_is_current():
    module = tables()
    assert module.rendered(module.LANGUAGE) == module.LANGUAGE.read_text(), "python docs/tables.py"


@pytest.mark.parametrize("name", ops.OPS)
def test_every_operation_is_complete(name):
    op = ops.OPS[name]
    assert op.op == name
    assert op.family in registry.FAMILIES
    assert op.__doc__
    assert op.__doc__.partition("\n\n")[0].endswith((".", ".)"))
    required = [field.key for field in op.own_fields().values() if field.required]
    stated = op.cases.__func__ is not Op.cases.__func__
    assert stated or not required, f"{name} has required fields and no cases"
    for seed in range(5):
        case = op.cases(Generator(seed))
        document = case.document()
        assert name in {layer.get("op") for layer in document["layers"].values()}
        schema.Spec.read(document)


def test_an_operation_is_registered_once_and_with_a_known_family():
    with pytest.raises(ValueError, match="operation 'relu' is already registered"):
        operation("relu", family="activation")(type("Other", (Op,), {}))
    with pytest.raises(ValueError, match="other: unknown family 'odd'. Known: convolution, dense"):
        operation("other", family="odd")(type("Other", (Op,), {}))
    assert "other" not in ops.OPS


def test_operations_cannot_be_changed():
    conv = ops.OPS["conv"].read({"op": "conv", "out_channels": 8, "kernel_size": 3})
    assert (conv.out_channels, conv.stride, conv.op) == (8, 1, "conv")
    for change in ("out_channels", "stride", "other"):
        with pytest.raises(AttributeError, match="a Conv cannot be changed"):
            setattr(conv, change, 2)
    with pytest.raises(AttributeError, match="a Conv cannot be changed"):
        del conv.out_channels


@pytest.mark.parametrize(
    ("op", "message"),
    [
        ("swish", "Use 'silu'."),
        ("DepthwiseConv2D", "Use 'conv'. Set 'groups' to the number of its input"),
        ("HardSigmoid", "Use 'hard_sigmoid'. Its slope is 1/6"),
        ("AveragePool", "Use 'avg_pool'. It counts padding by default"),
        ("Conv2D", "Use 'conv'."),
        ("fc", "Use 'linear'."),
        ("Gemm", "Use 'linear'."),
        ("InnerProduct", "Use 'linear'."),
        ("BatchNormalization", "Use 'batch_norm'."),
        ("BatchNorm2D", "Use 'batch_norm'."),
        ("MaxPooling2D", "Use 'max_pool'."),
        ("GlobalAveragePooling2D", "Use 'global_avg_pool'."),
        ("Concatenate", "Use 'concat'."),
        ("LeakyReLU", "zoo has no such operation. It is not 'relu'"),
        ("ELU", "zoo has no such operation."),
        ("mish", "zoo has no such operation."),
        ("GroupNorm", "zoo has no such operation."),
        ("Conv2DTranspose", "zoo has no such operation. It is not 'conv'."),
        ("GlobalMaxPooling2D", "It is not 'global_avg_pool'"),
        ("Dropout2d", "It is not 'dropout', which drops single values."),
        ("ZeroPadding2D", "Use 'pad'. 'conv', 'max_pool' and 'avg_pool' also have"),
        ("Cropping2D", "Use 'pad'. Write negative numbers"),
        ("ReflectionPad2d", "zoo has no such operation. 'pad' adds zeros."),
        ("cnv", "Did you mean 'conv'?"),
    ],
)
def test_frameworks_words_for_operations(op, message, spec_file):
    with pytest.raises(SpecError) as caught:
        zoo.graph(spec_file(f"x: {{op: {op}}}"))
    assert f"$.layers.x: unknown op '{op}'. " in str(caught.value)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("op", "field", "message"),
    [
        ("conv", "filters", "Use 'out_channels'."),
        ("conv", "num_filters", "Use 'out_channels'."),
        ("conv", "strides", "Use 'stride'."),
        ("conv", "dilation_rate", "Use 'dilation'."),
        ("conv", "use_bias", "Use 'bias'."),
        ("conv", "activation", "An activation is a layer of its own"),
        ("conv", "in_channels", "It follows from the layer's input; leave it out."),
        ("conv", "pads", "with another order"),
        ("conv", "kernal_size", "Did you mean 'kernel_size'?"),
        ("linear", "units", "Use 'out_features'."),
        ("batch_norm", "epsilon", "Use 'eps'."),
        ("batch_norm", "decay", "Use 'momentum', which is 1 - decay"),
        ("max_pool", "pool_size", "Use 'kernel_size'."),
        ("dropout", "p", "Use 'rate'."),
        ("dropout", "keep_prob", "Use 'rate', which is 1 - keep_prob"),
        ("lrn", "depth_radius", "which is 2 * depth_radius + 1. TensorFlow does not divide alpha"),
        ("avg_pool", "exclusive", "the opposite of 'count_include_pad'"),
        ("concat", "axis", "Inputs are joined along channels"),
    ],
)
def test_frameworks_words_for_fields(op, field, message, spec_file):
    with pytest.raises(SpecError) as caught:
        zoo.graph(spec_file(f"x: {{op: {op}, {field}: 1}}"))
    assert f"$.layers.x.{field}: unknown field. " in str(caught.value)
    assert message in str(caught.value)


def test_the_tables_of_words_are_in_the_form_that_is_looked_up():
    noted = {word for notes in field_hints._NOTES.values() for word in notes}
    fields = noted | field_hints._FIELDS.keys() | field_hints._GENERAL.keys()
    values = field_hints.PADDINGS.keys() | field_hints.BOOLEANS.keys()
    assert field_hints._NOTES.keys() <= ops.OPS.keys()
    for word in operation_hints.ABSENT.keys() | fields | values:
        assert operation_hints.normalized(word) in (word, word.removesuffix("2d"))
    own = {
        operation_hints.normalized(word) for op in ops.OPS.values() for word in (op.op, *op.words)
    }
    assert not own & operation_hints.ABSENT.keys()
    known = {key for op in ops.OPS.values() for key in op.fields}
    assert {name for names in field_hints._FIELDS.values() for name in names} <= known


def test_a_composite_is_its_layers_under_one_name(squeeze_excite, spec_file):
    short = zoo.graph(spec_file("se: {op: squeeze_excite, reduction: 4}"), in_channels=8)
    (node,) = short.nodes
    assert node.attributes == {"reduction": 4}
    assert [p.name for p in node.parameters] == [
        f"se.{layer}.{kind}" for layer in ("reduce", "expand") for kind in ("weight", "bias")
    ]
    inner = tuple(as_block(node).nodes)
    assert [each.name for each in inner] == [
        f"se.{name}" for name in ("pool", "reduce", "relu", "expand", "gate", "product")
    ]
    assert inner[-1].inputs == ("input", "se.gate")
    assert inner[-1].shape == node.shape
    assert sum(each.macs for each in inner) == node.macs
    assert tuple(p for each in inner for p in each.parameters) == node.parameters
    long = zoo.graph(
        spec_file(
            """
            se:
              layers:
                pool: {op: global_avg_pool}
                reduce: {op: conv, out_channels: 2, kernel_size: 1}
                relu: {op: relu}
                expand: {op: conv, out_channels: 8, kernel_size: 1}
                gate: {op: sigmoid}
                product: {op: multiply, from: [input, gate]}
            """,
            file="long.yaml",
        ),
        in_channels=8,
    )
    random = np.random.default_rng(0)
    weights = {p.name: random.standard_normal(p.shape) for p in short.parameters}
    assert weights.keys() == {p.name for p in long.parameters}
    x = random.standard_normal((2, 8, *short.input_shape[1:]))
    expected = ops.run(long, x, weights)["logits"]
    assert np.array_equal(ops.run(short, x, weights)["logits"], expected)


def test_layers_of_composites_have_names_that_modules_can_have():
    with pytest.raises(ValueError, match="Doubled: 'double' is already an attribute"):

        class Doubled(Composite):
            expands = {"double": {"op": "scale", "factor": 2}}


def test_composites_of_zoo_mean_what_their_layers_do(spec_file):
    for name, inner in (("silu", "sigmoid"), ("hard_swish", "hard_sigmoid")):
        assert issubclass(ops.OPS[name], Composite)
        graph = zoo.graph(spec_file(f"f: {{op: flatten}}\nx: {{op: {name}}}"), input_size=4)
        assert graph.node("x").shape == Vector(48)
        assert graph.node("x").layout == Map(3, 4, 4)
        assert [node.op for node in as_block(graph.node("x")).nodes] == [inner, "multiply"]
        assert opened(graph, ops.OPS) is graph
        assert opened(graph, {"multiply", inner, "flatten"})["x"].output_node.name == "x.product"
