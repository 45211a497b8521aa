# Frameworks in an order that works, float64 in JAX, seeds, and how pictures look.
import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import paddle  # before TensorFlow, which has functions of the same names in its library
import keras
import torch
import jax
import matplotlib.pyplot as plt
import numpy as np

jax.config.update("jax_enable_x64", True)  # or JAX turns float64 into float32
keras.config.set_floatx("float32")
keras.config.set_dtype_policy("float32")
torch.manual_seed(0), paddle.seed(0), keras.utils.set_random_seed(0)
np.set_printoptions(precision=4, suppress=True)

BLUE, ORANGE, GREEN, PINK, GRAY = "#2b83c6", "#d55e00", "#009e73", "#cc79a7", "#7a7a7a"
COLORS = {"PyTorch": ORANGE, "PaddlePaddle": BLUE, "Keras": PINK, "Flax": GREEN}
plt.rcdefaults()
texts = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
plt.rcParams.update(dict.fromkeys(texts, GRAY))  # gray on nothing: readable on white and on black
backgrounds = ("figure.facecolor", "axes.facecolor", "savefig.facecolor")
plt.rcParams.update(dict.fromkeys(backgrounds, "none"))
plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False})
plt.rcParams.update({"figure.figsize": (6, 2.4), "figure.constrained_layout.use": True})
plt.rcParams.update({"font.size": 10, "svg.hashsalt": "zoo"})
