"""Networks of Caffe's Model Zoo, written from their .prototxt files, with the names there."""

from __future__ import annotations

import torch
from torch import nn


class Net(nn.Module):
    """Layers by names with slashes."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleDict()

    def conv(self, name, inputs, outputs, kernel, **options):
        self.layers[name] = nn.Conv2d(inputs, outputs, kernel, **options)

    def linear(self, name, inputs, outputs):
        self.layers[name] = nn.Linear(inputs, outputs)

    def relu(self, name, x):
        return self.layers[name](x).relu()

    def blobs(self):
        """The name, the type and the arrays of each layer."""
        for name, layer in self.layers.items():
            kind = "Convolution" if isinstance(layer, nn.Conv2d) else "InnerProduct"
            yield name, kind, [layer.weight.detach().numpy(), layer.bias.detach().numpy()]


def pool(x):
    return nn.functional.max_pool2d(x, 3, 2, ceil_mode=True)


def lrn(x):
    return nn.functional.local_response_norm(x, 5, alpha=1e-4, beta=0.75, k=1)


class GoogLeNet(Net):
    MODULES = {
        "3a": (192, 64, 96, 128, 16, 32, 32), "3b": (256, 128, 128, 192, 32, 96, 64),
        "4a": (480, 192, 96, 208, 16, 48, 64), "4b": (512, 160, 112, 224, 24, 64, 64),
        "4c": (512, 128, 128, 256, 24, 64, 64), "4d": (512, 112, 144, 288, 32, 64, 64),
        "4e": (528, 256, 160, 320, 32, 128, 128), "5a": (832, 256, 160, 320, 32, 128, 128),
        "5b": (832, 384, 192, 384, 48, 128, 128),
    }  # fmt: skip

    def __init__(self, classes):
        super().__init__()
        self.conv("conv1/7x7_s2", 3, 64, 7, stride=2, padding=3)
        self.conv("conv2/3x3_reduce", 64, 64, 1)
        self.conv("conv2/3x3", 64, 192, 3, padding=1)
        for module, (inputs, n1, r3, n3, r5, n5, proj) in self.MODULES.items():
            self.conv(f"inception_{module}/1x1", inputs, n1, 1)
            self.conv(f"inception_{module}/3x3_reduce", inputs, r3, 1)
            self.conv(f"inception_{module}/3x3", r3, n3, 3, padding=1)
            self.conv(f"inception_{module}/5x5_reduce", inputs, r5, 1)
            self.conv(f"inception_{module}/5x5", r5, n5, 5, padding=2)
            self.conv(f"inception_{module}/pool_proj", inputs, proj, 1)
        for number, inputs in (("1", 512), ("2", 528)):
            self.conv(f"loss{number}/conv", inputs, 128, 1)
            self.linear(f"loss{number}/fc", 2048, 1024)
            self.linear(f"loss{number}/classifier", 1024, classes)
        self.linear("loss3/classifier", 1024, classes)

    def module(self, name, x):
        def conv(layer, x):
            return self.relu(f"inception_{name}/{layer}", x)

        pooled = nn.functional.max_pool2d(x, 3, 1, 1)
        return torch.cat(
            [
                conv("1x1", x),
                conv("3x3", conv("3x3_reduce", x)),
                conv("5x5", conv("5x5_reduce", x)),
                conv("pool_proj", pooled),
            ],
            1,
        )

    def head(self, number, x):
        x = self.relu(f"loss{number}/conv", nn.functional.avg_pool2d(x, 5, 3))
        x = self.relu(f"loss{number}/fc", x.flatten(1))
        return self.layers[f"loss{number}/classifier"](x).softmax(1)

    def forward(self, x):
        x = lrn(pool(self.relu("conv1/7x7_s2", x)))
        x = pool(lrn(self.relu("conv2/3x3", self.relu("conv2/3x3_reduce", x))))
        outputs = {}
        for name in self.MODULES:
            x = self.module(name, pool(x) if name in ("4a", "5a") else x)
            if name in ("4a", "4d"):
                aux = "1" if name == "4a" else "2"
                outputs[f"aux{aux}"] = self.head(aux, x)
        x = nn.functional.avg_pool2d(x, 7).flatten(1)
        return {"logits": self.layers["loss3/classifier"](x).softmax(1), **outputs}


class AlexNet(Net):
    """BVLC's AlexNet; as CaffeNet, the pools come before LRN."""

    def __init__(self, classes, pool_first):
        super().__init__()
        self.pool_first = pool_first
        self.conv("conv1", 3, 96, 11, stride=4)
        self.conv("conv2", 96, 256, 5, padding=2, groups=2)
        self.conv("conv3", 256, 384, 3, padding=1)
        self.conv("conv4", 384, 384, 3, padding=1, groups=2)
        self.conv("conv5", 384, 256, 3, padding=1, groups=2)
        self.linear("fc6", 9216, 4096)
        self.linear("fc7", 4096, 4096)
        self.linear("fc8", 4096, classes)

    def forward(self, x):
        for name in ("conv1", "conv2"):
            x = self.relu(name, x)
            x = lrn(pool(x)) if self.pool_first else pool(lrn(x))
        for name in ("conv3", "conv4", "conv5"):
            x = self.relu(name, x)
        x = self.relu("fc7", self.relu("fc6", pool(x).flatten(1)))
        return self.layers["fc8"](x).softmax(1)


class Vgg(Net):
    """Oxford's."""

    def __init__(self, depths, classes):
        super().__init__()
        self.depths, inputs = depths, 3
        for stage, depth in enumerate(depths, 1):
            for number in range(1, depth + 1):
                self.conv(f"conv{stage}_{number}", inputs, min(32 << stage, 512), 3, padding=1)
                inputs = min(32 << stage, 512)
        self.linear("fc6", 512 * 7 * 7, 4096)
        self.linear("fc7", 4096, 4096)
        self.linear("fc8", 4096, classes)

    def forward(self, x):
        for stage, depth in enumerate(self.depths, 1):
            for number in range(1, depth + 1):
                x = self.relu(f"conv{stage}_{number}", x)
            x = nn.functional.max_pool2d(x, 2)
        x = self.relu("fc7", self.relu("fc6", x.flatten(1)))
        return self.layers["fc8"](x).softmax(1)


class SqueezeNet(Net):
    """Version 1.0."""

    def __init__(self, classes):
        super().__init__()
        self.conv("conv1", 3, 96, 7, stride=2)
        inputs = 96
        for fire in range(2, 10):
            squeezed = 16 * (fire // 2)
            self.conv(f"fire{fire}/squeeze1x1", inputs, squeezed, 1)
            self.conv(f"fire{fire}/expand1x1", squeezed, 4 * squeezed, 1)
            self.conv(f"fire{fire}/expand3x3", squeezed, 4 * squeezed, 3, padding=1)
            inputs = 8 * squeezed
        self.conv("conv10", inputs, classes, 1, padding=1)

    def forward(self, x):
        x = pool(self.relu("conv1", x))
        for fire in range(2, 10):
            x = self.relu(f"fire{fire}/squeeze1x1", x)
            parts = [self.relu(f"fire{fire}/expand{size}", x) for size in ("1x1", "3x3")]
            x = torch.cat(parts, 1)
            x = pool(x) if fire in (4, 8) else x
        return self.relu("conv10", x).mean((2, 3)).softmax(1)


class Nin(Net):
    """The authors' network for ImageNet."""

    def __init__(self, classes):
        super().__init__()
        self.conv("conv1", 3, 96, 11, stride=4)
        self.conv("cccp1", 96, 96, 1)
        self.conv("cccp2", 96, 96, 1)
        self.conv("conv2", 96, 256, 5, padding=2)
        self.conv("cccp3", 256, 256, 1)
        self.conv("cccp4", 256, 256, 1)
        self.conv("conv3", 256, 384, 3, padding=1)
        self.conv("cccp5", 384, 384, 1)
        self.conv("cccp6", 384, 384, 1)
        self.conv("conv4-1024", 384, 1024, 3, padding=1)
        self.conv("cccp7-1024", 1024, 1024, 1)
        self.conv("cccp8-1024", 1024, classes, 1)

    def forward(self, x):
        for number, name in enumerate(self.layers):
            x = self.relu(name, x)
            x = pool(x) if number in (2, 5, 8) else x
        return x.mean((2, 3)).softmax(1)
