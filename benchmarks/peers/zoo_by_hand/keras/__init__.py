"""Networks written by hand in Keras."""

from zoo import keras
from zoo_by_hand import describe

DESCRIPTION = describe(keras.DESCRIPTION)
