"""Networks written by hand in Flax."""

from zoo import flax
from zoo_by_hand import describe

DESCRIPTION = describe(flax.DESCRIPTION)
