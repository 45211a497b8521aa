"""torchvision's GoogLeNet and VGG, and timm's VGG."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

VGG = {
    "vgg11": [[64], [128], [256, 256], [512, 512], [512, 512]],
    "vgg16": [[64, 64], [128, 128], [256] * 3, [512] * 3, [512] * 3],
}


class ConvBnRelu(nn.Module):
    def __init__(self, inputs, outputs, **window):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, bias=False, **window)
        self.bn = nn.BatchNorm2d(outputs, eps=0.001)

    def forward(self, x):
        return F.relu(self.bn(self.conv(x)))


class Inception(nn.Module):
    def __init__(self, inputs, one, reduce3, three, reduce5, five, pool):
        super().__init__()
        self.branch1 = ConvBnRelu(inputs, one, kernel_size=1)
        self.branch2 = nn.Sequential(
            ConvBnRelu(inputs, reduce3, kernel_size=1),
            ConvBnRelu(reduce3, three, kernel_size=3, padding=1),
        )
        self.branch3 = nn.Sequential(
            ConvBnRelu(inputs, reduce5, kernel_size=1),
            ConvBnRelu(reduce5, five, kernel_size=3, padding=1),  # not 5
        )
        self.branch4 = nn.Sequential(
            nn.MaxPool2d(3, stride=1, padding=1, ceil_mode=True),
            ConvBnRelu(inputs, pool, kernel_size=1),
        )

    def forward(self, x):
        branches = self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)
        return torch.cat(branches, 1)


class Aux(nn.Module):
    def __init__(self, inputs, classes):
        super().__init__()
        self.conv = ConvBnRelu(inputs, 128, kernel_size=1)
        self.fc1 = nn.Linear(2048, 1024)
        self.fc2 = nn.Linear(1024, classes)

    def forward(self, x):
        x = self.conv(F.adaptive_avg_pool2d(x, 4)).flatten(1)
        return self.fc2(F.relu(self.fc1(x)))


class GoogLeNet(nn.Module):
    """torchvision's, in evaluation but with its auxiliary heads; transform_input is for the caller."""

    def __init__(self, classes=1000):
        super().__init__()
        self.conv1 = ConvBnRelu(3, 64, kernel_size=7, stride=2, padding=3)
        self.conv2 = ConvBnRelu(64, 64, kernel_size=1)
        self.conv3 = ConvBnRelu(64, 192, kernel_size=3, padding=1)
        self.inception3a = Inception(192, 64, 96, 128, 16, 32, 32)
        self.inception3b = Inception(256, 128, 128, 192, 32, 96, 64)
        self.inception4a = Inception(480, 192, 96, 208, 16, 48, 64)
        self.inception4b = Inception(512, 160, 112, 224, 24, 64, 64)
        self.inception4c = Inception(512, 128, 128, 256, 24, 64, 64)
        self.inception4d = Inception(512, 112, 144, 288, 32, 64, 64)
        self.inception4e = Inception(528, 256, 160, 320, 32, 128, 128)
        self.inception5a = Inception(832, 256, 160, 320, 32, 128, 128)
        self.inception5b = Inception(832, 384, 192, 384, 48, 128, 128)
        self.aux1 = Aux(512, classes)
        self.aux2 = Aux(528, classes)
        self.fc = nn.Linear(1024, classes)

    def forward(self, x):
        pool = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        x = self.conv3(self.conv2(pool(self.conv1(x))))
        x = pool(self.inception3b(self.inception3a(pool(x))))
        x = self.inception4a(x)
        first = self.aux1(x)
        x = self.inception4d(self.inception4c(self.inception4b(x)))
        second = self.aux2(x)
        x = F.max_pool2d(self.inception4e(x), 2, stride=2, ceil_mode=True)
        x = self.inception5b(self.inception5a(x)).mean((2, 3))
        return {"logits": self.fc(x), "aux1": first, "aux2": second}


def features(stages, batch_norm):
    layers, inputs = [], 3
    for stage in stages:
        for outputs in stage:
            layers.append(nn.Conv2d(inputs, outputs, 3, padding=1))
            layers += [nn.BatchNorm2d(outputs)] if batch_norm else []
            layers.append(nn.ReLU())
            inputs = outputs
        layers.append(nn.MaxPool2d(2, 2))
    return nn.Sequential(*layers)


class TorchvisionVgg(nn.Module):
    """torchvision's."""

    def __init__(self, name, classes):
        super().__init__()
        self.features = features(VGG[name.removesuffix("_bn")], name.endswith("_bn"))
        self.avgpool = nn.AdaptiveAvgPool2d(7)
        self.classifier = nn.Sequential(
            nn.Linear(512 * 7 * 7, 4096), nn.ReLU(), nn.Dropout(),
            nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout(),
            nn.Linear(4096, classes),
        )  # fmt: skip

    def forward(self, x):
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


class TimmVgg(nn.Module):
    """timm's, whose first dense layers are convolutions; it enlarges maps of less than 7x7."""

    def __init__(self, name, classes):
        super().__init__()
        self.features = features(VGG[name.removesuffix("_bn")], name.endswith("_bn"))
        self.pre_logits = nn.Module()
        self.pre_logits.fc1 = nn.Conv2d(512, 4096, 7)
        self.pre_logits.fc2 = nn.Conv2d(4096, 4096, 1)
        self.head = nn.Module()
        self.head.fc = nn.Linear(4096, classes)

    def forward(self, x):
        x = self.features(x)
        x = F.adaptive_avg_pool2d(x, [max(7, side) for side in x.shape[2:]])
        x = F.relu(self.pre_logits.fc1(x))
        return self.head.fc(F.relu(self.pre_logits.fc2(x)).mean((2, 3)))
