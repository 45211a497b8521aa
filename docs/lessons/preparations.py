# The same for every lesson: frameworks in an order that works, float64 in JAX, and the pictures.
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
plt.rcParams.update(  # gray on nothing can be read on white and on black
    {key: GRAY for key in ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")}
    | {"figure.facecolor": "none", "axes.facecolor": "none", "savefig.facecolor": "none"}
    | {"figure.figsize": (6, 2.4), "font.size": 10, "legend.frameon": False, "svg.hashsalt": "zoo"}
    | {"axes.spines.top": False, "axes.spines.right": False, "figure.constrained_layout.use": True}
)
