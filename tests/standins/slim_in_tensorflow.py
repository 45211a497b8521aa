"""TF-slim's Inception v1 and VGG, written from research/slim/nets, with the names there.

A network is run once, and gives its variables random values on the way: those of batch norms are
the statistics of the images, changed a little.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf


class Net:
    def __init__(self, dtype):
        self.dtype, self.rng, self.variables = dtype, np.random.default_rng(0), {}

    def variable(self, name, value):
        assert name not in self.variables
        self.variables[name] = tf.constant(value, self.dtype)
        return self.variables[name]

    def conv(self, x, scope, outputs, kernel, stride=1, padding="SAME", norm=True, relu=True):
        shape = (kernel, kernel, x.shape[-1], outputs)
        value = self.rng.standard_normal(shape) * (2 / np.prod(shape[:3])) ** 0.5
        x = tf.nn.conv2d(x, self.variable(f"{scope}/weights", value), stride, padding)
        shift = 0.1 * self.rng.standard_normal(outputs)
        if norm:
            mean, variance = tf.nn.moments(x, [0, 1, 2])
            variance = (variance + tf.reduce_mean(variance)) / 2
            variance *= self.rng.uniform(0.5, 1.5, outputs)
            beta = self.variable(f"{scope}/BatchNorm/beta", shift)
            mean = self.variable(f"{scope}/BatchNorm/moving_mean", mean)
            variance = self.variable(f"{scope}/BatchNorm/moving_variance", variance)
            x = tf.nn.batch_normalization(x, mean, variance, beta, None, 1e-3)
        else:
            x += self.variable(f"{scope}/biases", shift)
        return tf.nn.relu(x) if relu else x


class InceptionV1(Net):
    MODULES = {
        "3b": (64, 96, 128, 16, 32, 32), "3c": (128, 128, 192, 32, 96, 64),
        "4b": (192, 96, 208, 16, 48, 64), "4c": (160, 112, 224, 24, 64, 64),
        "4d": (128, 128, 256, 24, 64, 64), "4e": (112, 144, 288, 32, 64, 64),
        "4f": (256, 160, 320, 32, 128, 128), "5b": (256, 160, 320, 32, 128, 128),
        "5c": (384, 192, 384, 48, 128, 128),
    }  # fmt: skip

    def module(self, x, name):
        n1, r3, n3, r5, n5, proj = self.MODULES[name]
        at = f"InceptionV1/Mixed_{name}/Branch"
        last = "Conv2d_0a_3x3" if name == "5b" else "Conv2d_0b_3x3"
        first = self.conv(x, f"{at}_0/Conv2d_0a_1x1", n1, 1)
        second = self.conv(x, f"{at}_1/Conv2d_0a_1x1", r3, 1)
        second = self.conv(second, f"{at}_1/Conv2d_0b_3x3", n3, 3)
        third = self.conv(x, f"{at}_2/Conv2d_0a_1x1", r5, 1)
        third = self.conv(third, f"{at}_2/{last}", n5, 3)
        fourth = tf.nn.max_pool2d(x, 3, 1, "SAME")
        fourth = self.conv(fourth, f"{at}_3/Conv2d_0b_1x1", proj, 1)
        return tf.concat([first, second, third, fourth], 3)

    def __call__(self, x, classes):
        x = self.conv(x, "InceptionV1/Conv2d_1a_7x7", 64, 7, 2)
        x = tf.nn.max_pool2d(x, 3, 2, "SAME")
        x = self.conv(x, "InceptionV1/Conv2d_2b_1x1", 64, 1)
        x = self.conv(x, "InceptionV1/Conv2d_2c_3x3", 192, 3)
        x = tf.nn.max_pool2d(x, 3, 2, "SAME")
        for name in self.MODULES:
            if name == "4b":
                x = tf.nn.max_pool2d(x, 3, 2, "SAME")
            if name == "5b":
                x = tf.nn.max_pool2d(x, 2, 2, "SAME")
            x = self.module(x, name)
        x = tf.nn.avg_pool2d(x, x.shape[1], 1, "VALID")
        scope = "InceptionV1/Logits/Conv2d_0c_1x1"
        return tf.squeeze(self.conv(x, scope, classes, 1, norm=False, relu=False), [1, 2])


class Vgg16(Net):
    def __call__(self, x, classes):
        for stage, depth in enumerate((2, 2, 3, 3, 3), 1):
            for number in range(1, depth + 1):
                scope = f"vgg_16/conv{stage}/conv{stage}_{number}"
                x = self.conv(x, scope, min(32 << stage, 512), 3, norm=False)
            x = tf.nn.max_pool2d(x, 2, 2, "VALID")
        x = self.conv(x, "vgg_16/fc6", 4096, x.shape[1], padding="VALID", norm=False)
        x = self.conv(x, "vgg_16/fc7", 4096, 1, norm=False)
        x = self.conv(x, "vgg_16/fc8", classes, 1, norm=False, relu=False)
        self.variable("vgg_16/mean_rgb", np.array([123.68, 116.78, 103.94]))
        return tf.squeeze(x, [1, 2])
