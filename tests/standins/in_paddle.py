"""PaddleClas's VGG."""

from __future__ import annotations

from paddle import nn


class ConvBlock(nn.Layer):
    def __init__(self, inputs, outputs, count):
        super().__init__()
        self.count = count
        for i in range(1, count + 1):
            conv = nn.Conv2D(inputs, outputs, 3, padding=1, bias_attr=False)
            self.add_sublayer(f"conv{i}", conv)
            inputs = outputs

    def forward(self, x):
        for i in range(1, self.count + 1):
            x = nn.functional.relu(getattr(self, f"conv{i}")(x))
        return nn.functional.max_pool2d(x, 2, 2)


class Vgg(nn.Layer):
    """``side`` is that of its last map, 7 in what is published."""

    def __init__(self, counts, classes, side):
        super().__init__()
        inputs = 3
        for i, (count, outputs) in enumerate(zip(counts, [64, 128, 256, 512, 512], strict=True), 1):
            self.add_sublayer(f"conv_block_{i}", ConvBlock(inputs, outputs, count))
            inputs = outputs
        self.drop = nn.Dropout(0.5, mode="downscale_in_infer")
        self.fc1 = nn.Linear(512 * side * side, 4096)
        self.fc2 = nn.Linear(4096, 4096)
        self.fc3 = nn.Linear(4096, classes)

    def forward(self, x):
        for i in range(1, 6):
            x = getattr(self, f"conv_block_{i}")(x)
        x = self.drop(nn.functional.relu(self.fc1(x.flatten(1))))
        return self.fc3(self.drop(nn.functional.relu(self.fc2(x))))
