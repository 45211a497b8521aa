"""Normalisations, and scaling by channel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from zoo.graphs.nodes import Node, Parameter
from zoo.graphs.shapes import Shape
from zoo.ops.base import Array, Inferred, Op, ShapeError, map_of
from zoo.ops.fields import Boolean, Number, Positive, Rate


class BatchNorm(Op):
    """Normalises each channel by the batch's statistics, or by running ones in evaluation.

    In training the biased variance of the batch normalises and also enters the running variance:
    ``running = (1 - momentum) * running + momentum * batch``. (PyTorch's own layer puts the
    unbiased variance there.)

    Attributes of the node: num_features, eps, momentum (the weight of the new value), scale,
    shift. Parameters: weight if scale, bias if shift, running_mean, running_var, each [channels].

    Source: Ioffe and Szegedy, Batch Normalization, https://arxiv.org/abs/1502.03167
    """

    op: Literal["batch_norm"]
    eps: Number = 1e-5
    momentum: Rate = 0.1
    scale: Boolean = True
    shift: Boolean = True

    def infer(self, inputs: Sequence[Shape], layout: Shape | None) -> Inferred:
        if layout:
            raise ShapeError(
                "a batch norm of a flattened map is not defined; put it before flatten"
            )
        shape = (inputs[0][0],)
        if self.eps <= 0:
            raise ShapeError(f"eps must be above 0, got {self.eps}")
        parameters = [
            *([Parameter("weight", shape, 1.0)] if self.scale else []),
            *([Parameter("bias", shape, 0.0)] if self.shift else []),
            Parameter("running_mean", shape, 0.0, trainable=False),
            Parameter("running_var", shape, 1.0, trainable=False),
        ]
        attributes = {
            "num_features": shape[0],
            "eps": float(self.eps),
            "momentum": float(self.momentum),
            "scale": self.scale,
            "shift": self.shift,
        }
        return Inferred(inputs[0], attributes, tuple(parameters))

    @staticmethod
    def meaning(node: Node, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        (x,) = inputs
        across = (slice(None), *(None,) * (x.ndim - 2))
        deviation = np.sqrt(weights["running_var"] + x.dtype.type(node.attributes["eps"]))
        out = (x - weights["running_mean"][across]) / deviation[across]
        if "weight" in weights:
            out = out * weights["weight"][across]
        return out + weights["bias"][across] if "bias" in weights else out


class LayerNorm(Op):
    """Normalises the channels at each place of a map, or the features of a vector.

    By their mean and biased variance, in training as in evaluation. Attributes of the node:
    num_features, eps, scale, shift. Parameters: weight if scale, bias if shift, each [channels].

    Source: Ba et al., Layer Normalization, https://arxiv.org/abs/1607.06450
    """

    op: Literal["layer_norm"]
    eps: Number = 1e-5
    scale: Boolean = True
    shift: Boolean = True

    def infer(self, inputs: Sequence[Shape], layout: Shape | None) -> Inferred:
        if layout:
            raise ShapeError(
                "a layer norm of a flattened map is not defined; put it before flatten"
            )
        if self.eps <= 0:
            raise ShapeError(f"eps must be above 0, got {self.eps}")
        shape = (inputs[0][0],)
        parameters = [
            *([Parameter("weight", shape, 1.0)] if self.scale else []),
            *([Parameter("bias", shape, 0.0)] if self.shift else []),
        ]
        attributes = {
            "num_features": shape[0],
            "eps": float(self.eps),
            "scale": self.scale,
            "shift": self.shift,
        }
        return Inferred(inputs[0], attributes, tuple(parameters))

    @staticmethod
    def meaning(node: Node, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        (x,) = inputs
        across = (slice(None), *(None,) * (x.ndim - 2))
        variance = x.var(axis=1, keepdims=True) + x.dtype.type(node.attributes["eps"])
        out = (x - x.mean(axis=1, keepdims=True)) / np.sqrt(variance)
        if "weight" in weights:
            out = out * weights["weight"][across]
        return np.asarray(out + weights["bias"][across] if "bias" in weights else out)


class Affine(Op):
    """Each channel times a weight of its own, plus a bias of its own if shift.

    Attributes of the node: num_features, shift, scale_init, what the weights start at. Parameters:
    weight, and bias if shift, each [channels].
    """

    op: Literal["affine"]
    shift: Boolean = True
    scale_init: Number = 1.0

    def infer(self, inputs: Sequence[Shape], layout: Shape | None) -> Inferred:
        if layout:
            raise ShapeError(
                "a flattened map has no channels to scale; put the layer before flatten"
            )
        shape, start = (inputs[0][0],), float(self.scale_init)
        parameters = [
            Parameter("weight", shape, start),
            *([Parameter("bias", shape, 0.0)] if self.shift else []),
        ]
        attributes = {"num_features": shape[0], "shift": self.shift, "scale_init": start}
        return Inferred(inputs[0], attributes, tuple(parameters))

    @staticmethod
    def meaning(node: Node, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        (x,) = inputs
        across = (slice(None), *(None,) * (x.ndim - 2))
        out = x * weights["weight"][across]
        return out + weights["bias"][across] if "bias" in weights else out


class LRN(Op):
    """Local response normalisation across channels.

    ``x / (k + alpha / size * sum of x^2 over size channels) ^ beta``: alpha is divided by the size,
    as in Caffe and PyTorch (TensorFlow's and the AlexNet paper's are not divided).

    Attributes of the node: size, alpha, beta, k.

    Source: Krizhevsky et al., ImageNet Classification with Deep Convolutional Neural Networks, 2012
    """

    op: Literal["lrn"]
    size: Positive
    alpha: Number = 1e-4
    beta: Number = 0.75
    k: Number = 1.0

    def infer(self, inputs: Sequence[Shape], layout: Shape | None) -> Inferred:
        map_of(inputs[0])
        if self.size % 2 == 0:
            raise ShapeError(f"size must be odd, so that the window has a middle, got {self.size}")
        if self.k <= 0 or self.alpha < 0:
            raise ShapeError(f"k must be above 0 and alpha not below, got {self.k}, {self.alpha}")
        numbers = {"alpha": float(self.alpha), "beta": float(self.beta), "k": float(self.k)}
        return Inferred(inputs[0], {"size": self.size, **numbers})

    @staticmethod
    def meaning(node: Node, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        (x,), at = inputs, node.attributes
        half = at["size"] // 2
        squares = np.pad(x * x, ((0, 0), (half, half), (0, 0), (0, 0)))
        total = sum(squares[:, i : i + x.shape[1]] for i in range(at["size"]))
        return np.asarray(x / (at["k"] + at["alpha"] / at["size"] * total) ** at["beta"])
