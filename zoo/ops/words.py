"""Fields in Keras, PyTorch, Paddle, ONNX and Caffe, and operations that zoo does not have.

What frameworks call an operation is stated where it is registered. A hint says so where a word
means something else in another framework.
"""

from __future__ import annotations

from collections.abc import Container

_NO = "zoo has no such operation."

#: Normalised word -> what to do instead.
ABSENT: dict[str, str] = {
    **dict.fromkeys(
        """
        prelu elu celu selu mish softplus softsign logsigmoid softmax logsoftmax softmin maxout glu
        swiglu rrelu hardtanh hardshrink softshrink tanhshrink threshold thresholdedrelu
        instancenormalization instancenorm groupnormalization groupnorm rmsnorm rmsnormalization
        spectralnormalization weightnorm syncbatchnorm embedding lstm gru rnn attention
        multiheadattention scaleddotproductattention einsum matmul conv1d conv3d maxpool1d maxpool3d
        avgpool1d avgpool3d lppool maxunpool fractionalmaxpool upsample upsampling resize
        interpolate pixelshuffle depthtospace spacetodepth unfold fold bilinear lambda
        subtract sub divide div pow sqrt exp log abs neg clip clamp maximum minimum max min mean sum
        reducemax reducesum gather scatter squeeze unsqueeze expand tile stack
        """.split(),
        _NO,
    ),
    "leakyrelu": f"{_NO} It is not 'relu', whose slope below 0 is 0.",
    "softmax": f"{_NO} Networks return logits; apply softmax to them.",
    **dict.fromkeys(
        ("conv2dtranspose", "convtranspose", "deconvolution", "deconv"),
        f"{_NO} It is not 'conv'.",
    ),
    **dict.fromkeys(
        ("separableconv", "separableconvolution"),
        f"{_NO} Write two 'conv', the first with groups equal to its input channels.",
    ),
    **dict.fromkeys(
        ("globalmaxpooling", "globalmaxpool", "adaptivemaxpool"),
        f"{_NO} It is not 'global_avg_pool'; 'max_pool' with the kernel_size of the map is the "
        "global maximum.",
    ),
    **dict.fromkeys(
        "spatialdropout dropout1d dropout2d dropout3d alphadropout gaussiandropout".split(),
        f"{_NO} It is not 'dropout', which drops single values.",
    ),
    **dict.fromkeys(
        ("zeropadding", "zeropad", "pad"),
        "Padding is a field of the next layer: 'padding' of 'conv', 'max_pool' or 'avg_pool'.",
    ),
    **dict.fromkeys(
        ("reshape", "permute", "transpose", "view"),
        f"{_NO} 'flatten' turns a map into a vector, 'channel_shuffle' reorders channels.",
    ),
    **dict.fromkeys(
        ("input", "inputlayer", "placeholder", "data"), "The input is not a layer; see 'options'."
    ),
    "identity": "Leave the layer out, or write 'when: false'.",
    "sequential": "Write a group: 'layers' without 'op'.",
    "split": "Write one 'slice' for each part.",
    "crop": f"{_NO} 'slice' takes a range of channels.",
}

#: Normalised word -> what to mind where an operation of zoo is meant, but not with its defaults.
CAVEATS: dict[str, str] = {
    **dict.fromkeys(
        ("depthwiseconv", "depthwiseconvolution"),
        "Set 'groups' to the number of its input channels.",
    ),
    "hardsigmoid": "Its slope is 1/6; that of ONNX and of Keras 2 is 0.2.",
    "rescaling": "It has a factor and no offset.",
    **dict.fromkeys(
        ("globalaveragepooling", "globalaveragepool"),
        "It returns a map of 1x1; put a 'flatten' after it for a vector.",
    ),
    **dict.fromkeys(
        ("averagepooling", "averagepool"),
        "It counts padding by default; Keras and ONNX do not: count_include_pad: false.",
    ),
}

_INFERRED = "It follows from the layer's input; leave it out."
_ACTIVATION = "An activation is a layer of its own: {op: relu}."
_LAYOUT = "Specs have channels first, and every framework gets its own layout; leave it out."
_INITIAL = "Initial values are for the whole network: see 'initializers'."

#: Normalised word -> candidate fields; the one that the operation has is meant.
_FIELDS: dict[str, tuple[str, ...]] = {
    "filters": ("out_channels",),
    "numfilters": ("out_channels",),
    "outplanes": ("out_channels",),
    "numoutput": ("out_channels", "out_features"),
    "outputchannels": ("out_channels",),
    "units": ("out_features",),
    "size": ("kernel_size", "output_size", "out_features"),
    "outchannels": ("out_features",),
    "outfeatures": ("out_channels",),
    "poolsize": ("kernel_size",),
    "kernel": ("kernel_size",),
    "kernelshape": ("kernel_size",),
    "filtersize": ("kernel_size",),
    "ksize": ("kernel_size",),
    "strides": ("stride",),
    "poolstride": ("stride",),
    "pad": ("padding",),
    "paddings": ("padding",),
    "poolpadding": ("padding",),
    "dilations": ("dilation",),
    "dilationrate": ("dilation",),
    "group": ("groups",),
    "numgroups": ("groups",),
    "usebias": ("bias",),
    "biasattr": ("bias",),
    "biasterm": ("bias",),
    "epsilon": ("eps",),
    "center": ("shift",),
    "p": ("rate",),
    "ratio": ("rate",),
    "droprate": ("rate",),
    "dropoutratio": ("rate",),
    "prob": ("rate",),
    "probability": ("rate",),
    "localsize": ("size",),
    "n": ("size",),
    "countincludepadding": ("count_include_pad",),
    "outputshape": ("output_size",),
    "begin": ("start",),
    "starts": ("start",),
    "ends": ("stop",),
    "end": ("stop",),
    "indices": ("channels",),
    "index": ("channels",),
    "value": ("factor",),
}

#: Hints for words without a direct counterpart: (operation or "", word) -> hint.
_NOTES: dict[tuple[str, str], str] = {
    **{("", word): _INFERRED for word in "inchannels infeatures numfeatures numchannels".split()},
    **{("", word): _ACTIVATION for word in "activation act activationlayer".split()},
    **{("", word): _LAYOUT for word in "dataformat axis dim channelaxis".split()},
    **{
        ("", word): _INITIAL
        for word in "kernelinitializer biasinitializer gammainitializer betainitializer "
        "weightattr paramattr kernelregularizer weightfiller biasfiller".split()
    },
    (
        "",
        "pads",
    ): "It is 'padding', in another order: ONNX writes [top, left, bottom, right], zoo "
    "[top, bottom, left, right].",
    ("", "autopad"): "It is 'padding': SAME_UPPER is 'same', VALID is 0.",
    ("", "keepprob"): "It is 'rate', and rate is 1 - keep_prob.",
    ("conv", "depthmultiplier"): "Write groups: $input.channels, and out_channels as a multiple.",
    ("batch_norm", "decay"): "It is 'momentum', and momentum is 1 - decay.",
    ("batch_norm", "affine"): "It is 'scale' and 'shift', both true or both false.",
    ("layer_norm", "elementwiseaffine"): "It is 'scale' and 'shift', both true or both false.",
    ("layer_norm", "normalizedshape"): "A layer norm is always over the channels; leave it out.",
    (
        "batch_norm",
        "useglobalstats",
    ): "Evaluation always uses running statistics; leave it out.",
    ("batch_norm", "trackrunningstats"): "Running statistics are always kept; leave it out.",
    ("lrn", "depthradius"): "It is 'size', and size is 2 * depth_radius + 1. TensorFlow does not "
    "divide alpha by the size: multiply its alpha by it.",
    ("lrn", "bias"): "It is 'k'. TensorFlow's alpha is not divided by the size, ONNX's is.",
    ("avg_pool", "exclusive"): "It is the opposite of 'count_include_pad'.",
    ("avg_pool", "divisoroverride"): "The divisor is always the size of the window; leave it out.",
    ("hard_sigmoid", "alpha"): "The slope is 1/6, the offset 1/2; ONNX's default slope is 0.2.",
    ("hard_sigmoid", "slope"): "The slope is 1/6, the offset 1/2, as in Paddle's layer.",
    ("gelu", "approximate"): "zoo's gelu is exact; leave it out if it is false or 'none'.",
    ("silu", "beta"): "It is always 1; leave it out.",
    ("dropout", "mode"): "zoo scales in training. For Paddle's downscale_in_infer put {op: scale, "
    "factor: 1 - rate} after it.",
    ("concat", "axis"): "Inputs are joined along channels; leave it out.",
}


def normalised(word: str) -> str:
    """Normalise a word: drop what differs between frameworks.

    Example:
        >>> normalised("Batch_Norm2D"), normalised("BatchNormalization")
        ('batchnorm', 'batchnormalization')
    """
    return word[:60].lower().replace("_", "").replace("-", "").removesuffix("2d")


def field(op: str, key: str, fields: Container[str]) -> str | None:
    """Return a hint on the field that frameworks call ``key``; None if unknown.

    Args:
        op: The operation.
        key: The framework's word.
        fields: The operation's own fields.

    Example:
        >>> field("conv", "filters", ["out_channels"])
        "It is called 'out_channels'."
    """
    plain = normalised(key)
    note = _NOTES.get((op, plain)) or _NOTES.get(("", plain))
    if note:
        return note
    names = [name for name in _FIELDS.get(plain, ()) if name in fields]
    return f"It is called {names[0]!r}." if names else None
