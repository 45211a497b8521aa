"""Switches of the images: how they are prepared, and their order."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from zoo.api.preprocessing import recipe_of
from zoo.backend.description import Description
from zoo.comparing.setup import Case, Setup
from zoo.comparing.switches.switch import Switch
from zoo.ops.fields import PLAIN_INTEGER, TEXT
from zoo.ops.kinds import Scalar, one_of

#: How images are resized -> the fields of a spec's preprocessing.
RESIZING: Mapping[str, Mapping[str, Any]] = {
    "nearest": {"interpolation": "nearest", "antialias": False},
    "bilinear": {"interpolation": "bilinear", "antialias": False},
    "bicubic": {"interpolation": "bicubic", "antialias": False},
    "bilinear-antialias": {"interpolation": "bilinear"},
    "bicubic-antialias": {"interpolation": "bicubic"},
}


class Resize(Switch):
    """How images become as large as the input."""

    name = "resize"
    title = "images: interpolation, and whether it averages over the pixels between"
    kind = one_of(*RESIZING)

    def irrelevance(self, case: Case) -> str:
        return "" if case.resized else "the images have the size of the input"

    def aligned(self, case: Case) -> str:
        return f"{recipe_of(case.graph)['interpolation']}-antialias"

    def apply(self, setup: Setup, value: str, backend: str) -> Setup:
        # Pillow's own names need no entry: they are what the spec has.
        return replace(setup, images={**setup.images, **RESIZING.get(value, {})})


class ChannelOrder(Switch):
    """The order of the colors."""

    name = "channel_order"
    title = "images: the order of the colors"
    kind = one_of("rgb", "bgr")

    def irrelevance(self, case: Case) -> str:
        return "" if case.graph.input_shape.channels > 1 else "it has one channel"

    def aligned(self, case: Case) -> str:
        return str(recipe_of(case.graph)["channels"])

    def native(self, case: Case, backend: Description) -> Any:
        # A spec that states bgr, such as Caffe's, means that of the images its weights come from.
        return self.aligned(case) if self.aligned(case) != "rgb" else super().native(case, backend)

    def apply(self, setup: Setup, value: str, backend: str) -> Setup:
        return replace(setup, images={**setup.images, "channels": value})


class Order(Switch):
    """The order of the images, augmentation and dropout."""

    name = "order"
    title = "order of the images, augmentation and dropout: the same, or one of each framework"
    said = "shared"
    kind = Scalar(
        "'shared', a word, or an integer",
        lambda v: isinstance(v, str | int) and not isinstance(v, bool),
        TEXT.schema({}),
        PLAIN_INTEGER.schema({}),
        plain=True,
    )

    def irrelevance(self, case: Case) -> str:
        return ""

    def aligned(self, case: Case) -> str:
        return "shared"

    def native(self, case: Case, backend: Description) -> str:
        return backend.name

    def apply(self, setup: Setup, value: str | int | None, backend: str) -> Setup:
        if value in (None, "shared"):
            return setup
        text = f"{setup.recipe.seed}|{value}".encode()
        seed = int.from_bytes(hashlib.sha256(text).digest()[:6], "little")
        return setup.with_recipe(seed=seed)
