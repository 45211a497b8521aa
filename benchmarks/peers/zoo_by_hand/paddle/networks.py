"""GoogLeNet and VGG-16 written by hand in PaddlePaddle, as an experienced user would."""

import paddle
from paddle import nn
from paddle.nn import functional as F


class ConvReLU(nn.Layer):
    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0):
        super().__init__()
        self.conv = nn.Conv2D(in_channels, out_channels, kernel_size, stride, padding)
        self.relu = nn.ReLU()

    def forward(self, x):
        return self.relu(self.conv(x))


class ResponseNorm(nn.Layer):
    """Local response normalization over 5 channels, with the constants of the Caffe model."""

    def forward(self, x):
        if x.dtype != paddle.float64:
            return F.local_response_norm(x, 5)
        # Paddle compiles its own in float32 only, and gradients are compared in float64.
        squares = F.pad(x.square().unsqueeze(1), [0, 0, 0, 0, 2, 2], data_format="NCDHW")
        return x / (1 + 1e-4 * F.avg_pool3d(squares, (5, 1, 1), 1).squeeze(1)) ** 0.75


class Inception(nn.Layer):
    def __init__(self, in_channels, c1, c3_reduce, c3, c5_reduce, c5, pool):
        super().__init__()
        self.branch1 = ConvReLU(in_channels, c1, 1)
        self.branch2 = nn.Sequential(
            ConvReLU(in_channels, c3_reduce, 1), ConvReLU(c3_reduce, c3, 3, padding=1)
        )
        self.branch3 = nn.Sequential(
            ConvReLU(in_channels, c5_reduce, 1), ConvReLU(c5_reduce, c5, 5, padding=2)
        )
        self.branch4 = nn.Sequential(nn.MaxPool2D(3, 1, 1), ConvReLU(in_channels, pool, 1))

    def forward(self, x):
        return paddle.concat(
            [self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1
        )


class GoogLeNet(nn.Layer):
    def __init__(self, num_classes, dropout):
        super().__init__()
        self.stem = nn.Sequential(
            ConvReLU(3, 64, 7, 2, 3),
            nn.MaxPool2D(3, 2, ceil_mode=True),
            ResponseNorm(),
            ConvReLU(64, 64, 1),
            ConvReLU(64, 192, 3, padding=1),
            ResponseNorm(),
            nn.MaxPool2D(3, 2, ceil_mode=True),
        )
        self.stage3 = nn.Sequential(
            Inception(192, 64, 96, 128, 16, 32, 32),
            Inception(256, 128, 128, 192, 32, 96, 64),
            nn.MaxPool2D(3, 2, ceil_mode=True),
        )
        self.stage4 = nn.Sequential(
            Inception(480, 192, 96, 208, 16, 48, 64),
            Inception(512, 160, 112, 224, 24, 64, 64),
            Inception(512, 128, 128, 256, 24, 64, 64),
            Inception(512, 112, 144, 288, 32, 64, 64),
            Inception(528, 256, 160, 320, 32, 128, 128),
            nn.MaxPool2D(3, 2, ceil_mode=True),
        )
        self.stage5 = nn.Sequential(
            Inception(832, 256, 160, 320, 32, 128, 128),
            Inception(832, 384, 192, 384, 48, 128, 128),
        )
        self.head = nn.Sequential(
            nn.AdaptiveAvgPool2D(1), nn.Flatten(), nn.Dropout(dropout), nn.Linear(1024, num_classes)
        )

    def forward(self, x):
        return self.head(self.stage5(self.stage4(self.stage3(self.stem(x)))))


class VGG16(nn.Layer):
    def __init__(self, num_classes, dropout):
        super().__init__()
        layers, channels = [], 3
        for width, depth in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
            for _ in range(depth):
                layers += [nn.Conv2D(channels, width, 3, padding=1), nn.ReLU()]
                channels = width
            layers.append(nn.MaxPool2D(2, 2))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(512 * 7 * 7, 4096),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(4096, num_classes),
        )

    def forward(self, x):
        return self.classifier(self.features(x))


def googlenet(num_classes=1000, dropout=0.4):
    return GoogLeNet(num_classes, dropout)


def vgg16(num_classes=1000, dropout=0.5):
    return VGG16(num_classes, dropout)
