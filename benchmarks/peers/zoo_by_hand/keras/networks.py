"""GoogLeNet and VGG-16 written by hand in Keras, as in its guides; independent of zoo."""

import keras
from keras import layers, ops


def googlenet(num_classes=1000, dropout=0.4, size=(224, 224)):
    """The paper's network with its response normalization, without auxiliary heads."""
    x = inputs = keras.Input((*size, 3))
    x = layers.ZeroPadding2D(3)(x)
    x = conv(x, 64, 7, strides=2, padding="valid")
    x = pool(x)
    x = response_norm(x)
    x = conv(x, 64, 1)
    x = conv(x, 192, 3)
    x = response_norm(x)
    x = pool(x)
    x = inception(x, 64, 96, 128, 16, 32, 32)
    x = inception(x, 128, 128, 192, 32, 96, 64)
    x = pool(x)
    x = inception(x, 192, 96, 208, 16, 48, 64)
    x = inception(x, 160, 112, 224, 24, 64, 64)
    x = inception(x, 128, 128, 256, 24, 64, 64)
    x = inception(x, 112, 144, 288, 32, 64, 64)
    x = inception(x, 256, 160, 320, 32, 128, 128)
    x = pool(x)
    x = inception(x, 256, 160, 320, 32, 128, 128)
    x = inception(x, 384, 192, 384, 48, 128, 128)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(dropout)(x)
    return keras.Model(inputs, layers.Dense(num_classes)(x))


def vgg16(num_classes=1000, dropout=0.5, size=(224, 224)):
    """The 16-layer network of Simonyan and Zisserman, configuration D."""
    x = inputs = keras.Input((*size, 3))
    for filters, count in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(count):
            x = conv(x, filters, 3)
        x = layers.MaxPooling2D(2)(x)
    x = layers.Flatten()(x)
    for _ in range(2):
        x = layers.Dense(4096, activation="relu")(x)
        x = layers.Dropout(dropout)(x)
    return keras.Model(inputs, layers.Dense(num_classes)(x))


def conv(x, filters, kernel_size, strides=1, padding="same"):
    return layers.Conv2D(filters, kernel_size, strides, padding, activation="relu")(x)


def pool(x):
    return layers.MaxPooling2D(3, 2, padding="same")(x)


def inception(x, n1x1, n3x3_reduce, n3x3, n5x5_reduce, n5x5, pool_proj):
    branches = [
        conv(x, n1x1, 1),
        conv(conv(x, n3x3_reduce, 1), n3x3, 3),
        conv(conv(x, n5x5_reduce, 1), n5x5, 5),
        conv(layers.MaxPooling2D(3, 1, padding="same")(x), pool_proj, 1),
    ]
    return layers.Concatenate()(branches)


def response_norm(x):
    return ResponseNorm()(x)


class ResponseNorm(layers.Layer):
    """Local response normalization over 5 channels, with the constants of the Caffe model."""

    def call(self, x):
        # TensorFlow's own has no float64, in which gradients are compared.
        if keras.backend.backend() == "tensorflow" and self.compute_dtype != "float64":
            import tensorflow as tf

            return tf.nn.lrn(x, depth_radius=2, bias=1.0, alpha=2e-5, beta=0.75)
        channels = x.shape[-1]
        squares = ops.pad(ops.square(x), ((0, 0), (0, 0), (0, 0), (2, 2)))
        total = sum(squares[..., i : i + channels] for i in range(5))
        return x / ops.power(1.0 + 2e-5 * total, 0.75)
