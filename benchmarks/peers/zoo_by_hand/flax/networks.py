"""GoogLeNet and VGG-16 written by hand in Flax NNX, in the style of its documentation."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx

# Channels of each module: input; 1x1; 3x3 reduce and 3x3; 5x5 reduce and 5x5; after the pool.
MODULES = (
    (192, 64, 96, 128, 16, 32, 32),
    (256, 128, 128, 192, 32, 96, 64),
    (480, 192, 96, 208, 16, 48, 64),
    (512, 160, 112, 224, 24, 64, 64),
    (512, 128, 128, 256, 24, 64, 64),
    (512, 112, 144, 288, 32, 64, 64),
    (528, 256, 160, 320, 32, 128, 128),
    (832, 256, 160, 320, 32, 128, 128),
    (832, 384, 192, 384, 48, 128, 128),
)
POOLED_AFTER = (1, 6)  # modules 3b and 4e


class ConvReLU(nnx.Module):
    def __init__(
        self, din: int, dout: int, kernel: int, stride: int = 1, *, rngs: nnx.Rngs
    ) -> None:
        half = kernel // 2
        self.conv = nnx.Conv(
            din, dout, (kernel, kernel), stride, padding=((half, half), (half, half)), rngs=rngs
        )

    def __call__(self, x: jax.Array) -> jax.Array:
        return nnx.relu(self.conv(x))


class Inception(nnx.Module):
    def __init__(
        self, din: int, n1: int, r3: int, n3: int, r5: int, n5: int, pool: int, *, rngs: nnx.Rngs
    ) -> None:
        self.branch1 = ConvReLU(din, n1, 1, rngs=rngs)
        self.reduce3 = ConvReLU(din, r3, 1, rngs=rngs)
        self.branch3 = ConvReLU(r3, n3, 3, rngs=rngs)
        self.reduce5 = ConvReLU(din, r5, 1, rngs=rngs)
        self.branch5 = ConvReLU(r5, n5, 5, rngs=rngs)
        self.project = ConvReLU(din, pool, 1, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        pooled = nnx.max_pool(x, (3, 3), (1, 1), "SAME")
        branches = (
            self.branch1(x),
            self.branch3(self.reduce3(x)),
            self.branch5(self.reduce5(x)),
            self.project(pooled),
        )
        return jnp.concatenate(branches, -1)


def lrn(x: jax.Array, size: int = 5, alpha: float = 1e-4, beta: float = 0.75) -> jax.Array:
    window, ones = (1, 1, 1, size), (1, 1, 1, 1)
    total = jax.lax.reduce_window(x * x, 0.0, jax.lax.add, window, ones, "SAME")
    return x / (1 + alpha / size * total) ** beta


def pool(x: jax.Array) -> jax.Array:
    return nnx.max_pool(x, (3, 3), (2, 2), "SAME")


class GoogLeNet(nnx.Module):
    def __init__(self, num_classes: int, dropout: float, *, rngs: nnx.Rngs) -> None:
        self.conv1 = ConvReLU(3, 64, 7, 2, rngs=rngs)
        self.reduce2 = ConvReLU(64, 64, 1, rngs=rngs)
        self.conv2 = ConvReLU(64, 192, 3, rngs=rngs)
        self.modules = nnx.List([Inception(*row, rngs=rngs) for row in MODULES])
        self.dropout = nnx.Dropout(dropout, rngs=rngs)
        self.fc = nnx.Linear(1024, num_classes, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        x = lrn(pool(self.conv1(x)))
        x = pool(lrn(self.conv2(self.reduce2(x))))
        for i, module in enumerate(self.modules):
            x = module(x)
            if i in POOLED_AFTER:
                x = pool(x)
        return self.fc(self.dropout(x.mean((1, 2))))


class VGG16(nnx.Module):
    def __init__(self, num_classes: int, dropout: float, *, rngs: nnx.Rngs) -> None:
        widths = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
        din, stages = 3, []
        for stage in widths:
            layers = []
            for dout in stage:
                layers.append(ConvReLU(din, dout, 3, rngs=rngs))
                din = dout
            stages.append(nnx.Sequential(*layers))
        self.stages = nnx.List(stages)
        self.fc1 = nnx.Linear(512 * 7 * 7, 4096, rngs=rngs)
        self.fc2 = nnx.Linear(4096, 4096, rngs=rngs)
        self.fc3 = nnx.Linear(4096, num_classes, rngs=rngs)
        self.dropout = nnx.Dropout(dropout, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        for stage in self.stages:
            x = nnx.max_pool(stage(x), (2, 2), (2, 2))
        x = x.reshape(len(x), -1)
        x = self.dropout(nnx.relu(self.fc1(x)))
        x = self.dropout(nnx.relu(self.fc2(x)))
        return self.fc3(x)


def googlenet(num_classes: int = 1000, dropout: float = 0.4) -> nnx.Module:
    return GoogLeNet(num_classes, dropout, rngs=nnx.Rngs(0))


def vgg16(num_classes: int = 1000, dropout: float = 0.5) -> nnx.Module:
    return VGG16(num_classes, dropout, rngs=nnx.Rngs(0))
