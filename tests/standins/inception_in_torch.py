"""torchvision's Inception v3."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from standins.in_torch import ConvBnRelu

SPLIT = ("a", "b")  # what the names of a 1x3 and a 3x1 side by side end in


class Mixed(nn.Module):
    """Branches of convolutions: name -> outputs and kernel sizes of one after the other."""

    def __init__(self, inputs, branches, pool=0):
        super().__init__()
        self.names, self.outputs = [], pool or inputs
        for branch, convs in branches.items():
            width, names = inputs, []
            for number, (outputs, kernel) in enumerate(convs, 1):
                name = branch if len(convs) == 1 else f"{branch}_{number}"
                if kernel == "split":
                    self.add_module(f"{name}a", conv(width, outputs, (1, 3)))
                    self.add_module(f"{name}b", conv(width, outputs, (3, 1)))
                    outputs = 2 * outputs
                else:
                    self.add_module(name, conv(width, outputs, kernel))
                names.append(name)
                width = outputs
            self.names.append(names)
            self.outputs += width
        if pool:
            self.branch_pool = conv(inputs, pool, 1)

    def forward(self, x):
        outputs = []
        for names in self.names:
            y = x
            for name in names:
                if hasattr(self, name):
                    y = getattr(self, name)(y)
                else:
                    y = torch.cat([getattr(self, name + end)(y) for end in SPLIT], 1)
            outputs.append(y)
        if hasattr(self, "branch_pool"):
            outputs.append(self.branch_pool(F.avg_pool2d(x, 3, stride=1, padding=1)))
        else:
            outputs.append(F.max_pool2d(x, 3, stride=2))
        return torch.cat(outputs, 1)


def conv(inputs, outputs, kernel):
    """Padded so that the map keeps its size; ``/2`` halves it, without padding."""
    if kernel == "/2":
        return ConvBnRelu(inputs, outputs, kernel_size=3, stride=2)
    kernel = (kernel, kernel) if isinstance(kernel, int) else kernel
    padding = (kernel[0] // 2, kernel[1] // 2)
    return ConvBnRelu(inputs, outputs, kernel_size=kernel, padding=padding)


def a(inputs, pool):
    double = [(64, 1), (96, 3), (96, 3)]
    branches = {"branch1x1": [(64, 1)], "branch5x5": [(48, 1), (64, 5)], "branch3x3dbl": double}
    return Mixed(inputs, branches, pool)


def b(inputs):
    return Mixed(
        inputs, {"branch3x3": [(384, "/2")], "branch3x3dbl": [(64, 1), (96, 3), (96, "/2")]}
    )


def c(inputs, width):
    flat, tall = (width, (1, 7)), (width, (7, 1))
    branches = {
        "branch1x1": [(192, 1)],
        "branch7x7": [(width, 1), flat, (192, (7, 1))],
        "branch7x7dbl": [(width, 1), tall, flat, tall, (192, (1, 7))],
    }
    return Mixed(inputs, branches, 192)


def d(inputs):
    branches = {
        "branch3x3": [(192, 1), (320, "/2")],
        "branch7x7x3": [(192, 1), (192, (1, 7)), (192, (7, 1)), (192, "/2")],
    }
    return Mixed(inputs, branches)


def e(inputs):
    branches = {
        "branch1x1": [(320, 1)],
        "branch3x3": [(384, 1), (384, "split")],
        "branch3x3dbl": [(448, 1), (384, 3), (384, "split")],
    }
    return Mixed(inputs, branches, 192)


class Aux(nn.Module):
    def __init__(self, inputs, classes):
        super().__init__()
        self.conv0 = ConvBnRelu(inputs, 128, kernel_size=1)
        self.conv1 = ConvBnRelu(128, 768, kernel_size=5)
        self.fc = nn.Linear(768, classes)

    def forward(self, x):
        x = self.conv1(self.conv0(F.avg_pool2d(x, 5, stride=3)))
        return self.fc(x.mean((2, 3)))


class Inception3(nn.Module):
    """In evaluation but with its auxiliary head; transform_input is for the caller."""

    def __init__(self, classes):
        super().__init__()
        self.Conv2d_1a_3x3 = ConvBnRelu(3, 32, kernel_size=3, stride=2)
        self.Conv2d_2a_3x3 = ConvBnRelu(32, 32, kernel_size=3)
        self.Conv2d_2b_3x3 = ConvBnRelu(32, 64, kernel_size=3, padding=1)
        self.Conv2d_3b_1x1 = ConvBnRelu(64, 80, kernel_size=1)
        self.Conv2d_4a_3x3 = ConvBnRelu(80, 192, kernel_size=3)
        makes = {
            "5b": (a, 32), "5c": (a, 64), "5d": (a, 64), "6a": (b,), "6b": (c, 128), "6c": (c, 160),
            "6d": (c, 160), "6e": (c, 192), "7a": (d,), "7b": (e,), "7c": (e,),
        }  # fmt: skip
        inputs = 192
        for name, (make, *width) in makes.items():
            module = make(inputs, *width)
            self.add_module(f"Mixed_{name}", module)
            inputs = module.outputs
        self.AuxLogits = Aux(768, classes)
        self.fc = nn.Linear(inputs, classes)

    def forward(self, x):
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(F.max_pool2d(x, 3, stride=2)))
        x = F.max_pool2d(x, 3, stride=2)
        aux = None
        for name, module in self.named_children():
            if name.startswith("Mixed"):
                x = module(x)
            if name == "Mixed_6e":
                aux = self.AuxLogits(x)
        return {"logits": self.fc(x.mean((2, 3))), "aux": aux}
