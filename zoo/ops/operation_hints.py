"""Operations of Keras, PyTorch, Paddle, ONNX and Caffe that zoo does not have.

The frameworks' names for zoo's operations are stated where these are registered. A hint also warns
if a word means something else in another framework.
"""

from __future__ import annotations

_NO = "zoo has no such operation."

#: Normalized word -> what to do instead.
ABSENT: dict[str, str] = {
    **dict.fromkeys(
        """
        prelu elu celu selu mish softplus softsign logsigmoid logsoftmax softmin maxout glu
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
        "reflectionpad replicationpad circularpad constantpad".split(),
        f"{_NO} 'pad' adds zeros.",
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
    "crop": f"{_NO} 'pad' with negative numbers removes pixels, 'slice' takes a range of channels.",
}

#: Normalized word -> a caveat, if the operation of zoo has other defaults.
CAVEATS: dict[str, str] = {
    **dict.fromkeys(
        ("depthwiseconv", "depthwiseconvolution"),
        "Set 'groups' to the number of its input channels.",
    ),
    "softmax": "A network to train returns logits: leave it out at the end.",
    "hardsigmoid": "Its slope is 1/6; that of ONNX and of Keras 2 is 0.2.",
    **dict.fromkeys(
        ("zeropadding", "zeropad"),
        "'conv', 'max_pool' and 'avg_pool' also have a 'padding' of their own.",
    ),
    "cropping": "Write negative numbers: padding [-1, 0, -1, 0] removes the first row and column.",
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


def normalized(word: str) -> str:
    """Normalize a word: remove what differs between frameworks.

    Example:
        >>> normalized("Batch_Norm2D"), normalized("BatchNormalization")
        ('batchnorm', 'batchnormalization')
    """
    return word[:60].lower().replace("_", "").replace("-", "").removesuffix("2d")
