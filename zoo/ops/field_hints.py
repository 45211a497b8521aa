"""What frameworks call the fields of operations and their values, and what to write in a spec.

The frameworks are PyTorch, Keras, TensorFlow, Paddle, Flax, ONNX and Caffe.
"""

from __future__ import annotations

from collections.abc import Container

from zoo.ops.operation_hints import normalized

_INFERRED = "It follows from the layer's input; leave it out."
_ACTIVATION = "An activation is a layer of its own: {op: relu}."
_NORMALIZATION = "A normalization is a layer of its own: {op: batch_norm}."
_LAYOUT = "Specs have channels first, and every framework gets its own layout; leave it out."
_INITIAL = "Initial values are for the whole network: see 'initializers'."
_OUTSIDE = "It is not part of the architecture; leave it out."
_NAME = "The name of a layer is the key before it; leave it out."
_OUTPUT = "A layer has one output, which others read by the layer's name; leave it out."
_ZEROS = "zoo pads only with zeros; leave it out if that is what you want."
_TRANSPOSED = "It belongs to transposed convolutions, which zoo does not have; leave it out."
_CHANNELS = "It always works on channels; leave it out."
_SLICES = "Write one 'slice' for each part, with its 'start' and 'stop'."
_RUNNING = "Evaluation always uses running statistics; leave it out."
_BOTH = "Use 'scale' and 'shift', both true or both false."
_SLOPE = "The slope below 0 is always 0; leave it out if it is 0. zoo has no leaky relu."
_THRESHOLD = "The threshold is always 0; leave it out if it is 0."
_UNSCALED = "It is always 1; leave it out if it is 1."

#: Normalized words for ``op`` itself.
TAGS = frozenset("type class classname layer layertype kind module operator optype".split())

#: Normalized word -> candidate fields; the one that the operation has is meant.
_FIELDS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("numoutput", "numoutputs", "features"), ("out_channels", "out_features")),
    **dict.fromkeys(
        "filters numfilters numfilter outplanes outputchannels outfeatures".split(),
        ("out_channels",),
    ),
    **dict.fromkeys("units numunits numhidden outchannels".split(), ("out_features",)),
    "size": ("kernel_size", "output_size", "out_features"),
    **dict.fromkeys(
        "poolsize kernel kernelshape filtersize ksize windowshape windowsize".split(),
        ("kernel_size",),
    ),
    **dict.fromkeys("strides poolstride windowstrides subsample".split(), ("stride",)),
    **dict.fromkeys("pad paddings poolpadding bordermode".split(), ("padding",)),
    **dict.fromkeys("dilations dilationrate kerneldilation dilate rate".split(), ("dilation",)),
    **dict.fromkeys("group numgroups ngroups numgroup featuregroupcount".split(), ("groups",)),
    **dict.fromkeys("bias usebias biasattr biasterm hasbias".split(), ("bias", "shift")),
    **dict.fromkeys("center beta offset usebeta".split(), ("shift",)),
    **dict.fromkeys("gamma weightattr usescale usegamma".split(), ("scale",)),
    **dict.fromkeys(("epsilon", "varianceepsilon"), ("eps",)),
    **dict.fromkeys(
        """
        p ratio droprate dropoutratio dropoutrate dropoutprob dropoutprobability prob probability
        dropprob dropprobability droppath droppathrate droppathprob dropconnectrate pdrop
        stochasticdepthrate stochasticdepthprob
        """.split(),
        ("rate",),
    ),
    **dict.fromkeys(("localsize", "n", "nsize"), ("size",)),
    "knorm": ("k",),
    "countincludepadding": ("count_include_pad",),
    "outputshape": ("output_size",),
    **dict.fromkeys(("begin", "starts"), ("start",)),
    **dict.fromkeys(("ends", "end"), ("stop",)),
    **dict.fromkeys(("indices", "index"), ("channels",)),
    **dict.fromkeys(("value", "scale", "multiplier"), ("factor",)),
    **dict.fromkeys(
        "initvalues initvalue layerscaleinit layerscaleinitvalue".split(), ("scale_init",)
    ),
    **dict.fromkeys(
        "inputs input bottom bottoms inbound inboundnodes source sources x previous".split(),
        ("from",),
    ),
    **dict.fromkeys("repeats repetitions times count".split(), ("repeat",)),
    **dict.fromkeys("if condition enabled".split(), ("when",)),
}

#: Hints for both windowed pools.
_POOL = {
    **dict.fromkeys(
        "dilation dilations dilationrate".split(),
        "Windows of pools have no dilation; leave it out if it is 1.",
    ),
    **dict.fromkeys(
        ("globalpooling", "globalpool"),
        "If it is true, write {op: global_avg_pool}; else leave it out.",
    ),
    **dict.fromkeys(
        ("pool", "pooltype", "poolingtype", "poolmode"), "Write {op: max_pool} or {op: avg_pool}."
    ),
    **dict.fromkeys(
        ("roundmode", "poolingconvention"), "Use 'ceil_mode': true rounds up, false rounds down."
    ),
}

#: Hints for words without a direct counterpart: operation -> word -> hint.
_NOTES: dict[str, dict[str, str]] = {
    "conv": {
        **dict.fromkeys(
            ("depthmultiplier", "channelmultiplier"),
            "Write groups: $input.channels, and out_channels as a multiple.",
        ),
        **dict.fromkeys(("outputpadding", "transposed", "inputdilation"), _TRANSPOSED),
        "mask": "Every weight of a kernel is used; leave it out.",
    },
    "linear": {
        **dict.fromkeys(("alpha", "beta"), _UNSCALED),
        **dict.fromkeys(
            ("transa", "transb", "transpose"),
            "Weights always have the shape [out, in]; leave it out.",
        ),
    },
    "batch_norm": {
        "decay": "Use 'momentum', which is 1 - decay.",
        "movingaveragefraction": "Use 'momentum', which is 1 - moving_average_fraction.",
        "affine": _BOTH,
        "fixgamma": "It is the opposite of 'scale'.",
        "useglobalstats": _RUNNING,
        "trackrunningstats": "Running statistics are always kept; leave it out.",
        "spatial": _CHANNELS,
        **dict.fromkeys(
            ("renorm", "renormclipping", "renormmomentum"),
            "zoo has no batch renormalization; leave it out if it is false.",
        ),
    },
    "layer_norm": {
        "elementwiseaffine": _BOTH,
        **dict.fromkeys(
            "normalizedshape axis dim beginnormaxis reductionaxes featureaxes".split(),
            "A layer norm is always over the channels; leave it out.",
        ),
        "rmsscaling": "zoo has no RMS norm; leave it out if it is false.",
    },
    "lrn": {
        **dict.fromkeys(
            ("depthradius", "radius"),
            "Use 'size', which is 2 * depth_radius + 1. TensorFlow does not divide alpha by "
            "the size: multiply its alpha by it.",
        ),
        "bias": "Use 'k'. TensorFlow's alpha is not divided by the size, ONNX's is.",
        "normregion": "The sum is always over channels; leave it out if it is ACROSS_CHANNELS.",
    },
    "relu": {
        **dict.fromkeys(
            ("maxvalue", "max", "upper"),
            "With a maximum of 6 it is {op: relu6}; zoo has no other.",
        ),
        **dict.fromkeys("negativeslope alpha slope leakiness".split(), _SLOPE),
        **dict.fromkeys(("threshold", "min"), _THRESHOLD),
    },
    "relu6": {
        **dict.fromkeys(("maxvalue", "max"), "It is always 6; leave it out if it is 6."),
        **dict.fromkeys("negativeslope alpha slope".split(), _SLOPE),
        **dict.fromkeys(("threshold", "min"), _THRESHOLD),
    },
    "hard_sigmoid": {
        **dict.fromkeys(
            "alpha beta slope offset".split(),
            "The slope is 1/6 and the offset 1/2, as in Paddle's layer; ONNX's default slope is "
            "0.2.",
        ),
    },
    "hard_swish": dict.fromkeys(
        "alpha beta slope threshold scale offset".split(),
        "It is always x * relu6(x + 3) / 6; leave it out if that is what you want.",
    ),
    "silu": dict.fromkeys(("alpha", "beta"), _UNSCALED),
    "gelu": {"approximate": "zoo's gelu is exact; leave it out if it is false or 'none'."},
    "softmax": dict.fromkeys(("axis", "dim"), _CHANNELS),
    "dropout": {
        "mode": "zoo scales in training. For Paddle's downscale_in_infer put {op: scale, "
        "factor: 1 - rate} after it.",
        **dict.fromkeys(
            "noiseshape broadcastdims axis dim".split(), "It drops single values; leave it out."
        ),
    },
    "stochastic_depth": {
        **dict.fromkeys(
            ("mode", "noiseshape", "broadcastdims"),
            "Each example is dropped by itself, as with mode 'row'; leave it out.",
        ),
        "scalebykeep": "What is kept is always divided by 1 - rate; leave it out if it is true.",
    },
    "max_pool": {
        **_POOL,
        **dict.fromkeys(
            ("returnindices", "returnmask", "includeargmaxindex"),
            "It returns values only; leave it out.",
        ),
        **dict.fromkeys(
            ("countincludepad", "countincludepadding"),
            "Padding is never the maximum; leave it out.",
        ),
    },
    "avg_pool": {
        **_POOL,
        "exclusive": "It is the opposite of 'count_include_pad'.",
        "divisoroverride": "The divisor is always the size of the window; leave it out.",
    },
    "global_avg_pool": {
        **dict.fromkeys(
            ("keepdims", "keepdim"),
            "It always returns a map of 1x1; put a 'flatten' after it for a vector.",
        ),
        **dict.fromkeys(
            "kernelsize poolsize size stride strides padding outputsize".split(),
            "The window is the whole map; leave it out.",
        ),
    },
    "flatten": dict.fromkeys(
        "startdim enddim startaxis stopaxis axis endaxis dim".split(),
        "It flattens everything but the batch; leave it out.",
    ),
    "scale": dict.fromkeys(
        "offset bias biasafterscale biasterm shift".split(),
        "It only multiplies; leave it out if it is 0 or false.",
    ),
    "affine": {
        **dict.fromkeys(("scale", "usescale"), "It always has a weight; leave it out."),
        **dict.fromkeys(("axis", "numaxes", "dim"), _CHANNELS),
    },
    "slice": {
        "length": "Use 'stop', which is start + length.",
        **dict.fromkeys(
            ("step", "steps", "strides"), "It takes every channel; for others use 'select'."
        ),
        **dict.fromkeys("slicepoint slicepoints numorsections sections chunks".split(), _SLICES),
        **dict.fromkeys("axis axes dim slicedim".split(), _CHANNELS),
    },
    "select": dict.fromkeys(("axis", "dim"), _CHANNELS),
    "channel_shuffle": dict.fromkeys(("axis", "dim"), _CHANNELS),
    "pad_channels": {
        **dict.fromkeys(("mode", "paddingmode", "value", "constantvalues"), _ZEROS),
        **dict.fromkeys(("axis", "dim", "axes", "padfromleftaxis"), _CHANNELS),
        "pads": "Use 'padding': a number or [before, after].",
    },
    "pad": {
        **dict.fromkeys(("mode", "value", "constantvalue", "constantvalues"), _ZEROS),
        **dict.fromkeys(("cropping", "croppings"), "Use 'padding' with negative numbers."),
        **dict.fromkeys(
            ("axes", "padfromleftaxis"), "It always pads height and width; leave it out."
        ),
    },
    "concat": dict.fromkeys(
        "axis dim concatdim concataxis".split(),
        "Inputs are joined along channels; leave it out.",
    ),
    "add": {
        **dict.fromkeys(("coeff", "alpha"), "Put a {op: scale} before it."),
        "operation": "SUM is {op: add}, PROD is {op: multiply}; zoo has no maximum.",
        "axis": "Inputs have one shape; leave it out.",
    },
    "multiply": {
        "operation": "SUM is {op: add}, PROD is {op: multiply}; zoo has no maximum.",
        "axis": "Inputs have one shape, or one value for each channel; leave it out.",
    },
}

#: Hints that hold for every operation: word -> hint.
_GENERAL: dict[str, str] = {
    **dict.fromkeys(TAGS, "The operation is named by 'op'; leave it out."),
    **dict.fromkeys(
        """
        inchannels infeatures numfeatures numchannels inplanes inputchannels inputdim inputshape
        inputsize batchinputshape projectiondim
        """.split(),
        _INFERRED,
    ),
    **dict.fromkeys(
        """
        activation act activationlayer activationfn activationfunction actlayer acttype nonlinearity
        """.split(),
        _ACTIVATION,
    ),
    **dict.fromkeys(
        "norm normlayer normalization normalizerfn batchnorm usebatchnorm bn usebn".split(),
        _NORMALIZATION,
    ),
    **dict.fromkeys("dataformat datalayout layout axis axes dim channelaxis".split(), _LAYOUT),
    **dict.fromkeys(
        """
        inplace device dtype paramdtype autocast precision promotedtype preferredelementtype
        stashtype storageorder engine cudnnoff cudnntune workspace fused quantizationconfig
        convgeneraldilated convgeneraldilatedcls dotgeneral dotgeneralcls usefastvariance
        forcefloat32reductions lorarank loraalpha parent reuse
        training istraining istest trainingmode deterministic userunningaverage trainable
        trainablestatistics weightdecay lrmult decaymult param l1 l2 seed rngs
        rngcollection synchronized axisname axisindexgroups movingmeanname movingvariancename
        domodelaverageformeanandvar virtualbatchsize weights out
        """.split(),
        _OUTSIDE,
    ),
    **dict.fromkeys("name scope layername id".split(), _NAME),
    **dict.fromkeys("top tops output outputs".split(), _OUTPUT),
    "nobias": "It is the opposite of 'bias'.",
    "paddingmode": _ZEROS,
    "pads": "Use 'padding', with another order: ONNX writes [top, left, bottom, right], zoo "
    "[top, bottom, left, right].",
    **dict.fromkeys(
        ("autopad", "padtype"),
        "Use 'padding': SAME_UPPER is 'same', VALID is 0, and any other is written as "
        "[top, bottom, left, right].",
    ),
    **{
        normalized(word): f"Use 'rate', which is 1 - {word}."
        for word in "keep_prob keep_rate keep_probability survival_prob survival_rate "
        "survival_probability".split()
    },
    **{
        f"{word}{side}": f"Write {field}: [height, width]."
        for word, field in {
            "kernel": "kernel_size",
            "stride": "stride",
            "pad": "padding",
            "dilation": "dilation",
        }.items()
        for side in ("h", "w", "height", "width")
    },
}

#: Hints for whole kinds of words, by their ends.
_ENDINGS = {
    ("initializer", "initializer", "init", "filler", "attr"): _INITIAL,
    ("regularizer", "regularizer", "constraint"): _OUTSIDE,
}

_NUMBERS = "Write the numbers: [top, bottom, left, right]."

#: What frameworks call a padding -> what to write.
PADDINGS: dict[str, str] = {
    **dict.fromkeys(("same", "sameupper", "half"), "Write 'same'."),
    **dict.fromkeys(("valid", "none", "no", "zero"), "Write 0."),
    "zeros": "zoo always pads with zeros; write how many.",
    **dict.fromkeys(("notset", "explicit", "full", "causal"), _NUMBERS),
    "samelower": f"'same' adds an odd pixel at the end, not the beginning. {_NUMBERS}",
    **dict.fromkeys(
        "circular wrap reflect symmetric replicate edge constant".split(),
        "zoo pads only with zeros; write how many.",
    ),
}

#: Words for true and false in languages and frameworks -> what to write.
BOOLEANS: dict[str, str] = {
    **dict.fromkeys("yes on y t 1 true".split(), "Write true."),
    **dict.fromkeys("no off n f 0 false none".split(), "Write false."),
}


def field(op: str, key: str, fields: Container[str]) -> str | None:
    """Return a hint on the field that frameworks call ``key``; None if unknown.

    Args:
        op: The operation.
        key: The framework's word.
        fields: The operation's own fields.

    Example:
        >>> field("conv", "filters", ["out_channels"])
        "Use 'out_channels'."
    """
    plain = normalized(key)
    if plain in _NOTES.get(op, ()):
        return _NOTES[op][plain]
    for name in _FIELDS.get(plain, ()):
        if name in fields:
            return f"Use {name!r}."
    endings = (hint for ends, hint in _ENDINGS.items() if plain.endswith(ends))
    return _GENERAL.get(plain) or next(endings, None)
