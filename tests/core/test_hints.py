"""What a message says where a spec has a framework's word."""

import json

import pytest

import zoo
from zoo import ops
from zoo.errors import MAX_QUOTED, SpecError
from zoo.language import schema
from zoo.ops import field_hints
from zoo.ops.fields import MAX_REPEAT

CONV = "op: conv, out_channels: 8, kernel_size: 3"

#: Operation -> the arguments of the layers of PyTorch, Keras, Paddle and Flax, the attributes of
#: ONNX, and the fields of Caffe.
ARGUMENTS = {
    "conv": """
        in_channels out_channels kernel_size stride padding dilation groups bias padding_mode device
        dtype filters strides data_format dilation_rate activation use_bias kernel_initializer
        bias_initializer kernel_regularizer bias_regularizer activity_regularizer kernel_constraint
        bias_constraint depth_multiplier depthwise_initializer depthwise_regularizer
        depthwise_constraint weight_attr bias_attr features in_features out_features input_dilation
        kernel_dilation feature_group_count mask param_dtype precision kernel_init bias_init
        promote_dtype conv_general_dilated conv_general_dilated_cls preferred_element_type rngs
        parent name trainable input_shape auto_pad dilations group kernel_shape pads num_output pad
        kernel_h kernel_w pad_h pad_w stride_h stride_w bias_term weight_filler bias_filler engine
        """,
    "linear": """
        in_features out_features bias device dtype units activation use_bias kernel_initializer
        bias_initializer kernel_regularizer bias_regularizer activity_regularizer kernel_constraint
        bias_constraint lora_rank lora_alpha quantization_config weight_attr bias_attr name features
        param_dtype precision kernel_init bias_init promote_dtype dot_general dot_general_cls parent
        rngs alpha beta transA transB num_output bias_term axis transpose input_dim
        """,
    "batch_norm": """
        num_features eps momentum affine track_running_stats device dtype bias axis epsilon center
        scale beta_initializer gamma_initializer moving_mean_initializer moving_variance_initializer
        beta_regularizer gamma_regularizer beta_constraint gamma_constraint renorm renorm_clipping
        renorm_momentum synchronized weight_attr bias_attr data_format use_global_stats name
        num_channels act is_test param_attr data_layout in_place moving_mean_name
        moving_variance_name do_model_average_for_mean_and_var trainable_statistics
        use_running_average param_dtype use_bias use_scale bias_init scale_init axis_name
        axis_index_groups use_fast_variance force_float32_reductions parent rngs training_mode
        spatial moving_average_fraction
        """,
    "layer_norm": """
        normalized_shape eps elementwise_affine bias device dtype axis epsilon center scale
        beta_initializer gamma_initializer beta_regularizer gamma_regularizer beta_constraint
        gamma_constraint weight_attr bias_attr name num_features use_bias use_scale bias_init
        scale_init reduction_axes feature_axes axis_name axis_index_groups use_fast_variance
        stash_type
        """,
    "lrn": "size alpha beta k data_format name bias depth_radius local_size norm_region",
    "relu": "inplace max_value negative_slope threshold name alpha",
    "relu6": "inplace name max_value negative_slope threshold",
    "sigmoid": "name inplace",
    "tanh": "name inplace",
    "hard_sigmoid": "inplace name slope offset alpha beta",
    "hard_swish": "inplace name threshold scale offset",
    "silu": "inplace name beta alpha",
    "gelu": "approximate name",
    "softmax": "axis dim name",
    "dropout": """
        p inplace rate noise_shape seed axis mode name broadcast_dims deterministic rng_collection
        parent rngs ratio training_mode training dropout_ratio drop_prob keep_prob
        """,
    "stochastic_depth": """
        p mode drop_prob drop_path drop_path_rate scale_by_keep rate seed survival_probability
        """,
    "max_pool": """
        kernel_size stride padding dilation return_indices ceil_mode pool_size strides data_format
        name return_mask window_shape auto_pad dilations kernel_shape pads storage_order pool
        global_pooling round_mode kernel_h pad_w
        """,
    "avg_pool": """
        kernel_size stride padding ceil_mode count_include_pad divisor_override pool_size strides
        data_format name exclusive window_shape auto_pad dilations kernel_shape pads
        """,
    "global_avg_pool": "data_format keepdims name output_size",
    "adaptive_avg_pool": "output_size data_format name",
    "affine": "axis num_axes filler bias_term init_values dim inplace projection_dim",
    "slice": "input axes starts ends dim start length steps axis slice_point slice_dim",
    "select": "index axis name dim indices",
    "channel_shuffle": "groups data_format name group",
    "flatten": "start_dim end_dim data_format start_axis stop_axis axis end_axis name",
    "pad": "padding mode value constant_value cropping data_format name pad pads axes",
    "pad_channels": "padding mode value data_format name pad pads",
    "scale": "scale offset bias bias_after_scale act name",
    "concat": "axis dim name concat_dim",
    "add": "name alpha axis operation coeff",
    "multiply": "name axis operation",
}


def message(layer, spec_file):
    with pytest.raises(SpecError) as caught:
        zoo.graph(spec_file(f"x: {layer}"))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_arguments_of_every_operation_are_listed():
    assert ARGUMENTS.keys() == ops.OPS.keys()


@pytest.mark.parametrize("op", ARGUMENTS)
def test_every_argument_is_a_field_or_has_a_hint(op):
    fields = ops.OPS[op].fields
    words = (*ARGUMENTS[op].split(), "type", "class_name", "inputs")
    assert [w for w in words if w not in fields and not field_hints.field(op, w, fields)] == []


@pytest.mark.parametrize(
    ("op", "field", "hint"),
    [
        ("conv", "padding_mode", "zoo pads only with zeros; leave it out"),
        ("conv", "auto_pad", "SAME_UPPER is 'same', VALID is 0"),
        ("conv", "kernel_regularizer", "It is not part of the architecture; leave it out."),
        ("conv", "depthwise_initializer", "Initial values are for the whole network"),
        ("conv", "kernel_h", "Write kernel_size: [height, width]."),
        ("conv", "name", "The name of a layer is the key before it; leave it out."),
        ("conv", "inputs", "Use 'from'."),
        ("conv", "type", "The operation is named by 'op'; leave it out."),
        ("linear", "features", "Use 'out_features'."),
        ("batch_norm", "bias_attr", "Use 'shift'."),
        ("batch_norm", "weight_attr", "Use 'scale'."),
        ("layer_norm", "bias", "Use 'shift'."),
        ("relu", "max_value", "With a maximum of 6 it is {op: relu6}"),
        ("relu", "negative_slope", "The slope below 0 is always 0"),
        ("relu", "alpha", "The slope below 0 is always 0"),
        ("relu", "threshold", "The threshold is always 0"),
        ("relu", "inplace", "It is not part of the architecture; leave it out."),
        ("dropout", "drop_prob", "Use 'rate'."),
        ("stochastic_depth", "drop_prob", "Use 'rate'."),
        ("stochastic_depth", "survival_probability", "which is 1 - survival_probability."),
        ("flatten", "start_dim", "It flattens everything but the batch; leave it out."),
        ("flatten", "end_dim", "It flattens everything but the batch; leave it out."),
        ("concat", "dim", "Inputs are joined along channels; leave it out."),
        ("max_pool", "dilation", "Windows of pools have no dilation"),
        ("scale", "scale", "Use 'factor'."),
    ],
)
def test_words_for_fields(op, field, hint, spec_file):
    text = message(f"{{op: {op}, {field}: 1}}", spec_file)
    assert f"$.layers.x.{field}: unknown field. " in text
    assert hint in text


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ("valid", "Write 0."),
        ("VALID", "Write 0."),
        ("SAME", "Write 'same'."),
        ("SAME_UPPER", "Write 'same'."),
        ("SAME_LOWER", "Write the numbers: [top, bottom, left, right]."),
        ("NOTSET", "Write the numbers: [top, bottom, left, right]."),
        ("reflect", "zoo pads only with zeros; write how many."),
        ("None", "Write 0."),
        ("'1'", "Write 1 without quotes."),
        ("'(1, 2)'", "Write [1, 2]."),
        ("1x2", "Write [1, 2]."),
        ("one", "A value by name is written with a $."),
    ],
)
def test_words_for_paddings(value, hint, spec_file):
    text = message(f"{{{CONV}, padding: {value}}}", spec_file)
    assert "$.layers.x.padding: expected an integer" in text
    assert text.endswith(hint)


@pytest.mark.parametrize(
    ("layer", "hint"),
    [
        (f"{{{CONV}, bias: no}}", "got 'no'. Write false."),
        (f"{{{CONV}, bias: 1}}", "got 1. Write true."),
        (f"{{{CONV}, stride: None}}", "got 'None'. For the default, leave it out."),
        (f"{{{CONV}, stride: same}}", "got 'same'. A value by name is written with a $."),
        (f"{{{CONV}, padding: '[1, 2, 3, 4]'}}", "Write [1, 2, 3, 4]."),
        (f"{{{CONV}, stride: (2, 2)}}", "needs quotes. A list is written [3, 3]."),
        (f"{{{CONV}, padding: 1.5}}", "got 1.5"),
        ("{op: conv, kernel_size: 1, out_channels: 3x3}", "got '3x3'"),
        ("{op: batch_norm, eps: '1e-5'}", "got '1e-5'. Write 1e-5 without quotes."),
        ("{op: pad_channels, padding: same}", "Write how many channels of zeros to add."),
        ("{op: dropout, rate: half}", "A value by name is written with a $."),
        ("{op: relu, repeat: twice}", "A value by name is written with a $."),
    ],
)
def test_words_for_other_values(layer, hint, spec_file):
    assert message(layer, spec_file).endswith(hint)


@pytest.mark.parametrize(
    ("value", "end"),
    [("valid", "got 'valid' from '$word'. Write 0."), ("one", "got 'one' from '$word'")],
)
def test_computed_words(value, end, spec_file):
    path = spec_file(f"x: {{{CONV}, padding: $word}}", header=f"settings: {{word: {value}}}\n")
    with pytest.raises(SpecError) as caught:
        zoo.graph(path)
    assert str(caught.value).endswith(end)


@pytest.mark.parametrize("tag", ["type", "class", "class_name", "layer", "kind", "module", "Type"])
def test_words_for_op(tag, spec_file):
    place = f"$.layers.x.{tag}: unknown field."
    assert f"{place} Use 'op: relu'." in message(f"{{{tag}: relu}}", spec_file)
    text = message(f"{{filters: 3, {tag}: Conv2D}}", spec_file)
    assert f"{place} Use 'op: conv'." in text
    assert f"{place} Use 'op'." in message(f"{{{tag}: mish}}", spec_file)
    assert f"{place} Use 'op'." in message(f"{{{tag}: [relu]}}", spec_file)


def test_an_operation_without_a_mapping(spec_file):
    text = message("ReLU", spec_file)
    assert text.endswith("$.layers.x: expected a mapping, got 'ReLU'. Write {op: relu}.")
    assert message("mish", spec_file).endswith("$.layers.x: expected a mapping, got 'mish'")


@pytest.mark.parametrize(
    ("layer", "known"),
    [
        ("{op: relu, wobble: 1}", "from, when, repeat, after, published."),
        (
            f"{{{CONV}, wobble: 1}}",
            "out_channels, kernel_size, stride, padding, dilation, groups, bias, from, when, "
            "repeat, after, published.",
        ),
        ("{wobble: 1}", "op, block, from, when, repeat, after, published, layers."),
    ],
)
def test_an_unknown_field_without_a_hint_lists_the_known_ones(layer, known, spec_file):
    assert message(layer, spec_file).endswith(f"$.layers.x.wobble: unknown field. Known: {known}")


def test_the_list_of_known_fields_is_bounded(spec_file):
    with pytest.raises(SpecError) as caught:
        zoo.graph(spec_file("r: {op: relu}", header="wobble: 1\n"))
    known = str(caught.value).partition("Known: ")[2]
    assert "layers" in known or " more." in known
    assert len(known) < MAX_QUOTED + len(" and 10 more.")


def test_hints_on_long_words_take_no_time(spec_file):
    text = message(f"{{{CONV}, padding: {'1x' * 100_000}}}", spec_file)
    assert len(text) < 1_000


def test_the_limit_of_repetitions_is_documented():
    limit = f"{MAX_REPEAT:,}"
    definitions = json.loads(schema.json_schema())["$defs"]
    for name in ("Layer", "Use"):
        assert limit in definitions[name]["properties"]["repeat"]["description"]
