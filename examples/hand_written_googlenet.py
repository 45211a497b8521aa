"""Compares a hand-written GoogLeNet, as in a well-known PaddlePaddle tutorial, with its spec.

    python examples/hand_written_googlenet.py

This is how a course can check homework: students write a network in any framework and map its
modules to those of the spec, and zoo reports the first node at which the two diverge.
"""

from __future__ import annotations

import numpy as np
import paddle
from paddle import nn
from paddle.nn import functional as F

import zoo
from zoo.testing import assert_same

# n1x1, n3x3 reduce, n3x3, n5x5 reduce, n5x5, after the pool: Table 1 of the paper
TABLE = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


class Inception(nn.Layer):
    """A module of four branches."""

    def __init__(self, channels: int, c1: int, r3: int, c3: int, r5: int, c5: int, cp: int) -> None:
        super().__init__()
        self.p1_1 = nn.Conv2D(channels, c1, 1)
        self.p2_1 = nn.Conv2D(channels, r3, 1)
        self.p2_2 = nn.Conv2D(r3, c3, 3, padding=1)
        self.p3_1 = nn.Conv2D(channels, r5, 1)
        self.p3_2 = nn.Conv2D(r5, c5, 5, padding=2)
        self.p4_1 = nn.MaxPool2D(3, 1, 1)
        self.p4_2 = nn.Conv2D(channels, cp, 1)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        p1 = F.relu(self.p1_1(x))
        p2 = F.relu(self.p2_2(F.relu(self.p2_1(x))))
        p3 = F.relu(self.p3_2(F.relu(self.p3_1(x))))
        p4 = F.relu(self.p4_2(self.p4_1(x)))
        return paddle.concat([p1, p2, p3, p4], axis=1)


class Head(nn.Layer):
    """An auxiliary classifier; there is no activation after its convolution."""

    def __init__(self, channels: int, side: int, classes: int) -> None:
        super().__init__()
        self.pool = nn.AvgPool2D(5, 3)
        self.conv = nn.Conv2D(channels, 128, 1)
        self.fc1 = nn.Linear(128 * side * side, 1024)
        self.drop = nn.Dropout(0.7)
        self.fc2 = nn.Linear(1024, classes)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        x = self.conv(self.pool(x)).flatten(1)
        return self.fc2(self.drop(F.relu(self.fc1(x))))


class GoogLeNet(nn.Layer):
    """The tutorial's network: padded pools, no normalization, two auxiliary classifiers."""

    def __init__(self, classes: int = 1000, size: int = 224) -> None:
        super().__init__()
        self.conv1 = nn.Conv2D(3, 64, 7, 2, 3)
        self.pool1 = nn.MaxPool2D(3, 2, 1)
        self.conv2_1 = nn.Conv2D(64, 64, 1)
        self.conv2_2 = nn.Conv2D(64, 192, 3, padding=1)
        self.pool2 = nn.MaxPool2D(3, 2, 1)
        channels = 192
        for name, row in TABLE.items():
            setattr(self, f"block{name}", Inception(channels, *row))
            channels = row[0] + row[2] + row[4] + row[5]
        self.pool3 = nn.MaxPool2D(3, 2, 1)
        self.pool4 = nn.MaxPool2D(3, 2, 1)
        self.pool5 = nn.AdaptiveAvgPool2D(1)
        self.drop = nn.Dropout(0.4)
        self.fc = nn.Linear(1024, classes)
        side = (-(-size // 16) - 5) // 3 + 1
        self.head1 = Head(512, side, classes)
        self.head2 = Head(528, side, classes)

    def forward(self, x: paddle.Tensor) -> list[paddle.Tensor]:
        x = self.pool1(F.relu(self.conv1(x)))
        x = self.pool2(F.relu(self.conv2_2(F.relu(self.conv2_1(x)))))
        x = self.pool3(self.block3b(self.block3a(x)))
        x = self.block4a(x)
        aux1 = self.head1(x)
        x = self.block4d(self.block4c(self.block4b(x)))
        aux2 = self.head2(x)
        x = self.pool4(self.block4e(x))
        x = self.pool5(self.block5b(self.block5a(x))).flatten(1)
        return [self.fc(self.drop(x)), aux1, aux2]


#: The spec's names -> the names of the modules above. ``*`` matches one part of a name. Identical
#: names need no entry.
NAMES = {
    "conv1.conv": "conv1",
    "conv2.reduce.conv": "conv2_1",
    "conv2.conv.conv": "conv2_2",
    "inception*": "block*",
    "inception*.branch1x1.conv": "block*.p1_1",
    "inception*.branch3x3.reduce.conv": "block*.p2_1",
    "inception*.branch3x3.conv.conv": "block*.p2_2",
    "inception*.branch5x5.reduce.conv": "block*.p3_1",
    "inception*.branch5x5.conv.conv": "block*.p3_2",
    "inception*.branch_pool.pool": "block*.p4_1",
    "inception*.branch_pool.proj.conv": "block*.p4_2",
    "aux*": "head*",
}


def main() -> None:
    """Compare the network with the tutorial's spec, and with one that adds an activation."""
    paddle.seed(0)
    model = GoogLeNet(classes=10, size=96)
    x = np.random.default_rng(0).standard_normal((2, 3, 96, 96)).astype(np.float32)
    options = {"aux": True, "num_classes": 10, "input_size": 96}
    assert_same(model, zoo.graph("googlenet_tutorial", **options), x, names=NAMES)
    print("It is googlenet_tutorial: every parameter, module and output matches.\n")
    # In this spec a ReLU follows the convolution of each auxiliary head, as in the paper.
    names = {**NAMES, "aux*.conv.conv": "head*.conv"}
    try:
        assert_same(model, zoo.graph("googlenet_tutorial_relu", **options), x, names=names)
    except AssertionError as mismatch:
        print(mismatch)


if __name__ == "__main__":
    main()
