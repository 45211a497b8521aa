"""What differs between the frameworks' dialects, and where it shows in source code."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from zoo.language.places import Span


@dataclass(frozen=True)
class Note:
    """One difference.

    Attributes:
        topic: A word that also names the lesson about it.
        title: What differs.
        text: How, in a few sentences.
        patterns: Backend -> a regular expression of the code that shows it.
        anywhere: Whether code that belongs to no layer shows it, too.
    """

    topic: str
    title: str
    text: str
    patterns: Mapping[str, str]
    anywhere: bool = False


NOTES = (
    Note(
        "layouts",
        "Layouts",
        "PyTorch and PaddlePaddle keep feature maps as [N, C, H, W], Keras and Flax as "
        "[N, H, W, C]. So channels are axis 1 or the last one.",
        {
            "torch": r"\[N, \d+, \d+, \d+\]|(?<=\), )1(?=\)$)",
            "paddle": r"\[N, \d+, \d+, \d+\]|\baxis=1\b",
            "keras": r"\[N, \d+, \d+, \d+\]|keras\.Input\(\(\d+, \d+, \d+\)\)|x\.shape\[-1\]",
            "flax": r"\[N, \d+, \d+, \d+\]|(?<=\), )-1(?=\)$)|\bmean\(\(1, 2\)",
        },
        anywhere=True,
    ),
    Note(
        "padding",
        "Padding",
        "PyTorch pads both sides alike. 'same' in the others puts the odd pixel of a layer with a "
        "stride at the end, so that it samples other positions. Convolutions of Keras have "
        "'valid' and 'same' alone: other padding is a layer of its own. Without being told, those "
        "of Flax pad as 'SAME', and all others not at all.",
        {
            "torch": r"padding=(?:\([\w, ]*\)|[\w/ ]+)|ZeroPad2d",
            "paddle": r"padding=(?:\([\w, ]*\)|[\w/ ]+)|ZeroPad2D",
            "keras": r"ZeroPadding2D|padding=\"same\"",
            "flax": r"padding=(?:\([\w, ()]*\)\)|\"\w+\"|[\w/ ]+)",
        },
    ),
    Note(
        "ceil_mode",
        "Windows that reach beyond the edge",
        "With ceil mode, a pool has a last window that is only partly within the map. PyTorch "
        "drops it where it would start in the padding, PaddlePaddle keeps it. Keras and Flax have "
        "no such mode; padding at the end does the same.",
        {
            "torch": r"ceil_mode=\w+",
            "paddle": r"ceil_mode=\w+",
            "keras": r"(?:Max|Average)Pooling2D\((?=[^)]*padding=\"same\")|\bmax_pool\(",
            "flax": r"nnx\.max_pool\b",
        },
    ),
    Note(
        "average_pool",
        "Averages at the edge",
        "In an average pool, PyTorch and Flax count the zeros of the padding, PaddlePaddle and "
        "Keras do not, unless they are told.",
        {
            "torch": r"AvgPool2d\b|count_include_pad=\w+",
            "paddle": r"AvgPool2D\b|\bavg_pool\b|exclusive=\w+",
            "keras": r"AveragePooling2D\b|\bavg_pool\b",
            "flax": r"avg_pool\b|count_include_pad=\w+",
        },
    ),
    Note(
        "lrn",
        "Local response normalization",
        "PyTorch and PaddlePaddle divide alpha by the size of the window, as Caffe does. "
        "TensorFlow's function does not, and Keras and Flax have no such layer.",
        {
            "torch": r"LocalResponseNorm",
            "paddle": r"LocalResponseNorm|\blocal_response_norm\b",
            "keras": r"\blrn\b",
            "flax": r"\blrn\b",
        },
        anywhere=True,
    ),
    Note(
        "batch_norm",
        "Batch norm",
        "Momentum is the weight of the new value in PyTorch (0.1), and of the old one in all "
        "others (0.9 in PaddlePaddle, 0.99 in Keras and Flax). Epsilon is 1e-3 in Keras and 1e-5 "
        "elsewhere. PyTorch keeps an unbiased running variance, the others a biased one. An "
        "argument that is left out has the framework's own default.",
        {
            "torch": r"BatchNorm[12]d\b",
            "paddle": r"BatchNorm[12]D\b",
            "keras": r"BatchNormalization\b",
            "flax": r"nnx\.BatchNorm\b|use_fast_variance=\w+",
        },
    ),
    Note(
        "flatten",
        "Flattening",
        "A flattened map has its values by channel in PyTorch and PaddlePaddle, by position in "
        "Keras and Flax. The weights of the layer that follows are in that order, too.",
        {
            "torch": r"(?:nn|torch)\.(?:F|f)latten\b",
            "paddle": r"(?:nn|paddle)\.(?:F|f)latten\b",
            "keras": r"layers\.Flatten\b",
            "flax": r"\.reshape\b|\bflatten\b",
        },
    ),
    Note(
        "dropout",
        "Dropout",
        "All of them scale the kept values by 1 / (1 - rate) in training. They differ in how the "
        "mode is set: model.train() and model.eval() in PyTorch, PaddlePaddle and Flax, and an "
        "argument of the call, training=True, in Keras.",
        {
            "torch": r"nn\.Dropout\b",
            "paddle": r"nn\.Dropout\b",
            "keras": r"layers\.Dropout\b",
            "flax": r"nnx\.Dropout\b",
        },
    ),
    Note(
        "initializers",
        "Initial weights",
        "Of a layer without an initializer, the weights are uniform within 1 / sqrt(fan-in) in "
        "PyTorch, normal with sqrt(2 / fan-in) in PaddlePaddle's convolutions, Glorot uniform in "
        "Keras, and LeCun normal in Flax.",
        {
            "torch": r"nn\.(?:Conv2d|Linear)\b",
            "paddle": r"nn\.(?:Conv2D|Linear)\b",
            "keras": r"layers\.(?:Depthwise)?(?:Conv2D|Dense)\b",
            "flax": r"nnx\.(?:Conv|Linear)\b",
        },
    ),
    Note(
        "randomness",
        "Random numbers",
        "A Flax module takes its random numbers from an argument. The others have a global "
        "generator, with a seed that is set before.",
        {"flax": r"\*, rngs\b|rngs=nnx\.Rngs\(0\)"},
        anywhere=True,
    ),
    Note(
        "activations",
        "GELU and hard sigmoid",
        "GELU is exact by default in PyTorch, PaddlePaddle and Keras, and approximated by tanh in "
        "Flax. The slope of a hard sigmoid is 1/6, which some kernels round to float32.",
        {
            "torch": r"\b(?:GELU|Hard[Ss]igmoid|Hardswish)\b",
            "paddle": r"\b(?:GELU|Hard[Ss]igmoid|Hardswish)\b",
            "keras": r"\b(?:gelu|hard_sigmoid|hard_swish)\b",
            "flax": r"\b(?:gelu|hard_sigmoid|hard_swish)\b",
        },
    ),
    Note(
        "kernel_size",
        "Sizes of kernels",
        "A kernel size of 3 is a square of 3x3, but in Flax a kernel over one axis.",
        {"flax": r"\((?:kernel_size, kernel_size|([1-9]\d*), \1)\)"},
    ),
)


def found(text: str, backend: str, spans: Sequence[Span]) -> Iterator[tuple[int, int, Note]]:
    """Yield where the code of a framework shows a difference, and which.

    Args:
        text: The code.
        backend: The framework.
        spans: The parts that belong to layers.

    Yields:
        Start and end in the text, and the difference. Where two could apply, the first one of the
        table does.

    Example:
        >>> code = "self.bn = nn.BatchNorm2d(64)"
        >>> [note.topic for _, _, note in found(code, "torch", [Span(0, len(code), "conv/bn")])]
        ['batch_norm']
    """
    taken: list[tuple[int, int]] = []
    layers = {place for span in spans for place in range(span.start, span.end)}
    for note in NOTES:
        for match in re.finditer(note.patterns.get(backend, r"(?!)"), text, re.MULTILINE):
            start, end = match.span()
            free = all(end <= a or start >= b for a, b in taken)
            if end > start and free and (note.anywhere or start in layers):
                taken.append((start, end))
                yield start, end, note
