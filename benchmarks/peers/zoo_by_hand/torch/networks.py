"""GoogLeNet and VGG-16 written by hand in PyTorch; independent of zoo."""

import torch
from torch import nn


class Inception(nn.Module):
    def __init__(self, inputs, n1x1, n3x3_reduce, n3x3, n5x5_reduce, n5x5, pool_proj):
        super().__init__()
        self.branch1 = conv(inputs, n1x1, 1)
        self.branch2 = nn.Sequential(
            conv(inputs, n3x3_reduce, 1), conv(n3x3_reduce, n3x3, 3, padding=1)
        )
        self.branch3 = nn.Sequential(
            conv(inputs, n5x5_reduce, 1), conv(n5x5_reduce, n5x5, 5, padding=2)
        )
        self.branch4 = nn.Sequential(nn.MaxPool2d(3, 1, 1), conv(inputs, pool_proj, 1))

    def forward(self, x):
        return torch.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)


def conv(inputs, outputs, kernel, **options):
    return nn.Sequential(nn.Conv2d(inputs, outputs, kernel, **options), nn.ReLU())


def googlenet(num_classes=1000, dropout=0.4):
    return nn.Sequential(
        conv(3, 64, 7, stride=2, padding=3),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        nn.LocalResponseNorm(5),
        conv(64, 64, 1),
        conv(64, 192, 3, padding=1),
        nn.LocalResponseNorm(5),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        Inception(192, 64, 96, 128, 16, 32, 32),
        Inception(256, 128, 128, 192, 32, 96, 64),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        Inception(480, 192, 96, 208, 16, 48, 64),
        Inception(512, 160, 112, 224, 24, 64, 64),
        Inception(512, 128, 128, 256, 24, 64, 64),
        Inception(512, 112, 144, 288, 32, 64, 64),
        Inception(528, 256, 160, 320, 32, 128, 128),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        Inception(832, 256, 160, 320, 32, 128, 128),
        Inception(832, 384, 192, 384, 48, 128, 128),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(dropout),
        nn.Linear(1024, num_classes),
    )


def vgg16(num_classes=1000, dropout=0.5):
    layers, inputs = [], 3
    for outputs, count in [(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)]:
        for _ in range(count):
            layers += [conv(inputs, outputs, 3, padding=1)]
            inputs = outputs
        layers += [nn.MaxPool2d(2)]
    return nn.Sequential(
        *layers,
        nn.Flatten(),
        nn.Linear(512 * 7 * 7, 4096),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(4096, 4096),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(4096, num_classes),
    )
