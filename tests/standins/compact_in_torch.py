"""torchvision's AlexNet, SqueezeNet, MobileNetV2 and V3, ShuffleNet V2 and RegNet."""

from __future__ import annotations

import math
from collections import OrderedDict
from itertools import pairwise

import torch
from torch import nn

from standins.efficient_in_torch import Residual, Squeeze, convolution


class AlexNet(nn.Module):
    def __init__(self, name, classes):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, 11, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
            nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
            nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(),
            nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(),
            nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2),
        )  # fmt: skip
        self.avgpool = nn.AdaptiveAvgPool2d(6)
        self.classifier = nn.Sequential(
            nn.Dropout(), nn.Linear(256 * 6 * 6, 4096), nn.ReLU(),
            nn.Dropout(), nn.Linear(4096, 4096), nn.ReLU(),
            nn.Linear(4096, classes),
        )  # fmt: skip

    def forward(self, x):
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


class Fire(nn.Module):
    def __init__(self, inputs, squeezed, outputs):
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, outputs, 1)
        self.expand3x3 = nn.Conv2d(squeezed, outputs, 3, padding=1)

    def forward(self, x):
        x = self.squeeze(x).relu()
        return torch.cat([self.expand1x1(x), self.expand3x3(x)], 1).relu()


class SqueezeNet(nn.Module):
    STEMS = {"squeezenet1_0": (96, 7, "P...P....P."), "squeezenet1_1": (64, 3, "P..P..P....")}

    def __init__(self, name, classes):
        super().__init__()
        inputs, kernel, layers = self.STEMS[name]
        features = [nn.Conv2d(3, inputs, kernel, stride=2), nn.ReLU()]
        squeezed = iter([16, 16, 32, 32, 48, 48, 64, 64])
        for layer in layers:
            if layer == "P":
                features.append(nn.MaxPool2d(3, 2, ceil_mode=True))
                continue
            width = next(squeezed)
            features.append(Fire(inputs, width, 4 * width))
            inputs = 8 * width
        self.features = nn.Sequential(*features)
        self.classifier = nn.Sequential(nn.Dropout(), nn.Conv2d(512, classes, 1), nn.ReLU())

    def forward(self, x):
        return self.classifier(self.features(x)).mean((2, 3))


class MobileNetV2(nn.Module):
    def __init__(self, name, classes):
        super().__init__()
        layers, inputs = [convolution(3, 32, 3, nn.ReLU6, 2)], 32
        for expand, outputs, count, stride in [
            (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1),
            (6, 160, 3, 2), (6, 320, 1, 1),
        ]:  # fmt: skip
            for i in range(count):
                wide = inputs * expand
                step = 1 if i else stride
                inner = [convolution(inputs, wide, 1, nn.ReLU6)] if expand > 1 else []
                inner.append(convolution(wide, wide, 3, nn.ReLU6, step, wide))
                inner += convolution(wide, outputs, 1, None)
                layers.append(Residual("conv", inner, step == 1 and inputs == outputs))
                inputs = outputs
        self.features = nn.Sequential(*layers, convolution(inputs, 1280, 1, nn.ReLU6))
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(1280, classes))

    def forward(self, x):
        return self.classifier(self.features(x).mean((2, 3)))


def divisible(value, by):
    """torchvision's _make_divisible."""
    new = max(by, int(value + by / 2) // by * by)
    return new + by if new < 0.9 * value else new


class MobileNetV3(nn.Module):
    BLOCKS = {  # kernel, expanded, outputs, squeeze-and-excite, hard swish, stride
        "mobilenet_v3_large": (1280, [
            (3, 16, 16, 0, 0, 1), (3, 64, 24, 0, 0, 2), (3, 72, 24, 0, 0, 1), (5, 72, 40, 1, 0, 2),
            (5, 120, 40, 1, 0, 1), (5, 120, 40, 1, 0, 1), (3, 240, 80, 0, 1, 2),
            (3, 200, 80, 0, 1, 1), (3, 184, 80, 0, 1, 1), (3, 184, 80, 0, 1, 1),
            (3, 480, 112, 1, 1, 1), (3, 672, 112, 1, 1, 1), (5, 672, 160, 1, 1, 2),
            (5, 960, 160, 1, 1, 1), (5, 960, 160, 1, 1, 1)]),
        "mobilenet_v3_small": (1024, [
            (3, 16, 16, 1, 0, 2), (3, 72, 24, 0, 0, 2), (3, 88, 24, 0, 0, 1), (5, 96, 40, 1, 1, 2),
            (5, 240, 40, 1, 1, 1), (5, 240, 40, 1, 1, 1), (5, 120, 48, 1, 1, 1),
            (5, 144, 48, 1, 1, 1), (5, 288, 96, 1, 1, 2), (5, 576, 96, 1, 1, 1),
            (5, 576, 96, 1, 1, 1)]),
    }  # fmt: skip

    def __init__(self, name, classes):
        super().__init__()
        last, blocks = self.BLOCKS[name]
        eps, inputs = 1e-3, 16
        layers = [convolution(3, 16, 3, nn.Hardswish, 2, eps=eps)]
        for kernel, wide, outputs, squeeze, hard_swish, stride in blocks:
            act = nn.Hardswish if hard_swish else nn.ReLU
            inner = [convolution(inputs, wide, 1, act, eps=eps)] if wide != inputs else []
            inner.append(convolution(wide, wide, kernel, act, stride, wide, eps))
            if squeeze:
                squeezed = divisible(wide // 4, 8)
                inner.append(Squeeze(wide, squeezed, torch.relu, nn.functional.hardsigmoid))
            inner.append(convolution(wide, outputs, 1, None, eps=eps))
            layers.append(Residual("block", inner, stride == 1 and inputs == outputs))
            inputs = outputs
        layers.append(convolution(inputs, 6 * inputs, 1, nn.Hardswish, eps=eps))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Linear(6 * inputs, last), nn.Hardswish(), nn.Dropout(0.2), nn.Linear(last, classes)
        )

    def forward(self, x):
        return self.classifier(self.features(x).mean((2, 3)))


class ShuffleUnit(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        half = outputs // 2
        self.stride, self.branch1 = stride, nn.Sequential()
        if stride > 1:
            self.branch1 = nn.Sequential(
                *convolution(inputs, inputs, 3, None, stride, inputs),
                *convolution(inputs, half, 1, nn.ReLU),
            )
        self.branch2 = nn.Sequential(
            *convolution(inputs if stride > 1 else half, half, 1, nn.ReLU),
            *convolution(half, half, 3, None, stride, half),
            *convolution(half, half, 1, nn.ReLU),
        )

    def forward(self, x):
        left, right = (x, x) if self.stride > 1 else x.chunk(2, 1)
        x = torch.cat([self.branch1(left), self.branch2(right)], 1)
        return x.unflatten(1, (2, -1)).transpose(1, 2).flatten(1, 2)


class ShuffleNetV2(nn.Module):
    WIDTHS = {
        "shufflenet_v2_x0_5": (48, 96, 192, 1024), "shufflenet_v2_x1_0": (116, 232, 464, 1024),
        "shufflenet_v2_x1_5": (176, 352, 704, 1024), "shufflenet_v2_x2_0": (244, 488, 976, 2048),
    }  # fmt: skip

    def __init__(self, name, classes):
        super().__init__()
        *widths, last = self.WIDTHS[name]
        self.conv1 = convolution(3, 24, 3, nn.ReLU, 2)
        for i, ((before, width), count) in enumerate(
            zip(pairwise([24, *widths]), (4, 8, 4), strict=True), 2
        ):
            units = [ShuffleUnit(width, width, 1) for _ in range(count - 1)]
            self.add_module(f"stage{i}", nn.Sequential(ShuffleUnit(before, width, 2), *units))
        self.conv5 = convolution(widths[-1], last, 1, nn.ReLU)
        self.fc = nn.Linear(last, classes)

    def forward(self, x):
        x = nn.functional.max_pool2d(self.conv1(x), 3, 2, 1)
        x = self.conv5(self.stage4(self.stage3(self.stage2(x))))
        return self.fc(x.mean((2, 3)))


class RegNetBlock(nn.Module):
    def __init__(self, inputs, outputs, stride, group, ratio):
        super().__init__()
        self.proj = None
        if inputs != outputs or stride != 1:
            self.proj = convolution(inputs, outputs, 1, None, stride)
        layers = {
            "a": convolution(inputs, outputs, 1, nn.ReLU),
            "b": convolution(outputs, outputs, 3, nn.ReLU, stride, outputs // group),
        }
        if ratio:
            layers["se"] = Squeeze(outputs, round(ratio * inputs), torch.relu)
        layers["c"] = convolution(outputs, outputs, 1, None)
        self.f = nn.Sequential(OrderedDict(layers))

    def forward(self, x):
        return ((x if self.proj is None else self.proj(x)) + self.f(x)).relu()


class RegNet(nn.Module):
    """Whose stages follow from five numbers, as torchvision computes them."""

    LINES = {  # depth, w_0, w_a, w_m, group width
        "regnet_x_400mf": (22, 24, 24.48, 2.54, 16), "regnet_x_800mf": (16, 56, 35.73, 2.28, 16),
        "regnet_x_1_6gf": (18, 80, 34.01, 2.25, 24), "regnet_x_3_2gf": (25, 88, 26.31, 2.25, 48),
        "regnet_x_8gf": (23, 80, 49.56, 2.88, 120), "regnet_x_16gf": (22, 216, 55.59, 2.1, 128),
        "regnet_x_32gf": (23, 320, 69.86, 2.0, 168), "regnet_y_400mf": (16, 48, 27.89, 2.09, 8),
        "regnet_y_800mf": (14, 56, 38.84, 2.4, 16), "regnet_y_1_6gf": (27, 48, 20.71, 2.65, 24),
        "regnet_y_3_2gf": (21, 80, 42.63, 2.66, 24), "regnet_y_8gf": (17, 192, 76.82, 2.19, 56),
        "regnet_y_16gf": (18, 200, 106.23, 2.48, 112),
        "regnet_y_32gf": (20, 232, 115.89, 2.53, 232),
    }  # fmt: skip

    def __init__(self, name, classes):
        super().__init__()
        depth, w_0, w_a, w_m, group_width = self.LINES[name]
        ratio = 0.25 if name.startswith("regnet_y") else None
        exponents = [round(math.log((i * w_a + w_0) / w_0) / math.log(w_m)) for i in range(depth)]
        quantized = [round(w_0 * w_m**exponent / 8) * 8 for exponent in exponents]
        self.stem = convolution(3, 32, 3, nn.ReLU, 2)
        inputs, stages = 32, OrderedDict()
        for stage, width in enumerate(dict.fromkeys(quantized), 1):
            group = min(group_width, width)
            outputs = divisible(width, group)
            blocks = OrderedDict()
            for i in range(quantized.count(width)):
                block = RegNetBlock(inputs, outputs, 1 if i else 2, group, ratio)
                blocks[f"block{stage}-{i}"], inputs = block, outputs
            stages[f"block{stage}"] = nn.Sequential(blocks)
        self.trunk_output = nn.Sequential(stages)
        self.fc = nn.Linear(inputs, classes)

    def forward(self, x):
        return self.fc(self.trunk_output(self.stem(x)).mean((2, 3)))


#: what networks' names begin with
FAMILIES = {
    "alexnet": AlexNet, "squeezenet": SqueezeNet, "mobilenet_v2": MobileNetV2,
    "mobilenet_v3": MobileNetV3, "shufflenet": ShuffleNetV2, "regnet": RegNet,
}  # fmt: skip


def make(name, classes):
    """One of the networks by its name."""
    return next(kind for start, kind in FAMILIES.items() if name.startswith(start))(name, classes)
