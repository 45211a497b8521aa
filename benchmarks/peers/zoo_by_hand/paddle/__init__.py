"""Networks written by hand in PaddlePaddle."""

from zoo import paddle
from zoo_by_hand import describe

DESCRIPTION = describe(paddle.DESCRIPTION)
