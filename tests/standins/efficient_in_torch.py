"""torchvision's EfficientNet-B1 and V2-S, MNASNet 0.5 and ConvNeXt-T, without stochastic depth."""

from __future__ import annotations

import torch
from torch import nn


def convolution(inputs, outputs, kernel, act=nn.SiLU, stride=1, groups=1, eps=1e-5):
    layers = [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs, eps=eps),
    ]
    return nn.Sequential(*layers, act()) if act else nn.Sequential(*layers)


class Squeeze(nn.Module):
    def __init__(self, channels, squeezed, act=nn.functional.silu, gate=torch.sigmoid):
        super().__init__()
        self.fc1 = nn.Conv2d(channels, squeezed, 1)
        self.fc2 = nn.Conv2d(squeezed, channels, 1)
        self.act, self.gate = act, gate

    def forward(self, x):
        return self.gate(self.fc2(self.act(self.fc1(x.mean((2, 3), keepdim=True))))) * x


class Residual(nn.Module):
    """Adds its input where that has the shape of its output."""

    def __init__(self, name, layers, adds):
        super().__init__()
        self.add_module(name, nn.Sequential(*layers))
        self.name, self.adds = name, adds

    def forward(self, x):
        out = self.get_submodule(self.name)(x)
        return out + x if self.adds else out


def mbconv(inputs, outputs, expand, kernel, stride, eps):
    wide = inputs * expand
    layers = [convolution(inputs, wide, 1, eps=eps)] if expand > 1 else []
    layers += [
        convolution(wide, wide, kernel, stride=stride, groups=wide, eps=eps),
        Squeeze(wide, inputs // 4),
        convolution(wide, outputs, 1, None, eps=eps),
    ]
    return Residual("block", layers, stride == 1 and inputs == outputs)


def fused(inputs, outputs, expand, kernel, stride, eps):
    wide = inputs * expand if expand > 1 else outputs
    layers = [convolution(inputs, wide, kernel, stride=stride, eps=eps)]
    layers += [convolution(wide, outputs, 1, None, eps=eps)] if expand > 1 else []
    return Residual("block", layers, stride == 1 and inputs == outputs)


class EfficientNet(nn.Module):
    STAGES = {  # block, expand, kernel, stride, channels, blocks
        "efficientnet_b1": (32, 1e-5, [
            (mbconv, 1, 3, 1, 16, 2), (mbconv, 6, 3, 2, 24, 3), (mbconv, 6, 5, 2, 40, 3),
            (mbconv, 6, 3, 2, 80, 4), (mbconv, 6, 5, 1, 112, 4), (mbconv, 6, 5, 2, 192, 5),
            (mbconv, 6, 3, 1, 320, 2)]),
        "efficientnet_v2_s": (24, 1e-3, [
            (fused, 1, 3, 1, 24, 2), (fused, 4, 3, 2, 48, 4), (fused, 4, 3, 2, 64, 4),
            (mbconv, 4, 3, 2, 128, 6), (mbconv, 6, 3, 1, 160, 9), (mbconv, 6, 3, 2, 256, 15)]),
    }  # fmt: skip

    def __init__(self, name, classes):
        super().__init__()
        inputs, eps, stages = self.STAGES[name]
        layers = [convolution(3, inputs, 3, stride=2, eps=eps)]
        for block, expand, kernel, stride, outputs, count in stages:
            blocks = []
            for i in range(count):
                blocks.append(block(inputs, outputs, expand, kernel, 1 if i else stride, eps))
                inputs = outputs
            layers.append(nn.Sequential(*blocks))
        self.features = nn.Sequential(*layers, convolution(inputs, 1280, 1, eps=eps))
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(1280, classes))

    def forward(self, x):
        return self.classifier(self.features(x).mean((2, 3)))


class MNASNet(nn.Module):
    def __init__(self, name, classes):
        super().__init__()
        relu = nn.ReLU
        layers = [
            *convolution(3, 16, 3, relu, 2),
            *convolution(16, 16, 3, relu, groups=16),
            *convolution(16, 8, 1, None),
        ]
        inputs = 8
        for expand, kernel, stride, outputs, count in [
            (3, 3, 2, 16, 3), (3, 5, 2, 24, 3), (6, 5, 2, 40, 3),
            (6, 3, 1, 48, 2), (6, 5, 2, 96, 4), (6, 3, 1, 160, 1),
        ]:  # fmt: skip
            blocks = []
            for i in range(count):
                wide = inputs * expand
                inner = [
                    *convolution(inputs, wide, 1, relu),
                    *convolution(wide, wide, kernel, relu, 1 if i else stride, wide),
                    *convolution(wide, outputs, 1, None),
                ]
                blocks.append(Residual("layers", inner, i > 0))
                inputs = outputs
            layers.append(nn.Sequential(*blocks))
        self.layers = nn.Sequential(*layers, *convolution(inputs, 1280, 1, relu))
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(1280, classes))

    def forward(self, x):
        return self.classifier(self.layers(x).mean((2, 3)))


class Permuted(nn.Module):
    def __init__(self, *order):
        super().__init__()
        self.order = order

    def forward(self, x):
        return x.permute(self.order)


class MapNorm(nn.LayerNorm):
    def forward(self, x):
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Block(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.layer_scale = nn.Parameter(torch.full((channels, 1, 1), 1e-6))
        self.block = nn.Sequential(
            nn.Conv2d(channels, channels, 7, padding=3, groups=channels),
            Permuted(0, 2, 3, 1),
            nn.LayerNorm(channels, eps=1e-6),
            nn.Linear(channels, 4 * channels),
            nn.GELU(),
            nn.Linear(4 * channels, channels),
            Permuted(0, 3, 1, 2),
        )

    def forward(self, x):
        return x + self.layer_scale * self.block(x)


class ConvNeXt(nn.Module):
    def __init__(self, name, classes):
        super().__init__()
        widths, depths = [96, 192, 384, 768], [3, 3, 9, 3]
        layers = [nn.Sequential(nn.Conv2d(3, 96, 4, 4), MapNorm(96, eps=1e-6))]
        for before, width, depth in zip([0, *widths], widths, depths, strict=False):
            if before:
                down = nn.Conv2d(before, width, 2, 2)
                layers.append(nn.Sequential(MapNorm(before, eps=1e-6), down))
            layers.append(nn.Sequential(*[Block(width) for _ in range(depth)]))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            MapNorm(768, eps=1e-6), nn.Flatten(), nn.Linear(768, classes)
        )

    def forward(self, x):
        return self.classifier(self.features(x).mean((2, 3), keepdim=True))
